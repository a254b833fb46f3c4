"""image_search.py: the files that a listed path can mean, among few and among many of one name."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_core.data.layouts.tables import image_search
from cxr_core.data.layouts.tables.image_search import ImageSearch

FOLDERS = st.lists(st.sampled_from("ab"), max_size=4)
PLACES = st.lists(st.tuples(FOLDERS, st.sampled_from(["x.png", "x.jpg", "x", "y.png"])), min_size=1, max_size=40)


def search_among(places):
    """An ImageSearch of files that lie nowhere; `places` are (folders, name) below /set."""
    files = defaultdict(set)
    for folders, name in places:
        files["/".join(("/set", *folders))].add(name)
    return ImageSearch(Path("/set"), tuple((folder, tuple(sorted(names))) for folder, names in files.items()))


@given(PLACES, FOLDERS, st.sampled_from(["x.png", "x.gif", "x", "y.png", "z.png"]))
def test_of_two_paths_one_ends_the_other(places, folders, name):
    listed = "/".join((*folders, name))
    names = {found for _, found in places}
    stem = name.partition(".")[0]
    # A name is looked for as it is; a listed one without its ending, or with another, means the image of that stem.
    same = {name} if name in names and "." in name else set()
    if not same and ("." in name or name == stem):
        same = {found for found in names if found.partition(".")[0] == stem}
    expected = set()
    for inner, found in places:
        if found in same:
            inside, wanted = ["", *inner], ["", *folders]
            shorter, longer = sorted((inside[1:], wanted[1:]), key=len)
            if longer[len(longer) - len(shorter) :] == shorter:
                expected.add("/".join(("/set", *inner, found)))
    assert set(search_among(places).named(listed)) == expected


@pytest.mark.parametrize(
    ("listed", "there"),
    [("IMAGES/A1.PNG", "images/a1.png"), ("a1.jpg", "Images/A1.PNG"), ("M\u00fcller/1.png", "Mu\u0308ller/1.png"),
     ("Mu\u0308ller\\1", "m\u00fcller/1.png"), ("STRASSE.png", "stra\u00dfe.png")],
)  # fmt: skip
def test_a_name_in_other_letters_means_the_file_where_no_other_has_it(listed, there):
    *folders, name = there.split("/")
    assert list(search_among([(folders, name)]).named(listed)) == [f"/set/{there}"]
    beside = listed.replace("\\", "/").split("/")
    beside[-1] = beside[-1].partition(".")[0] + ".png"
    both = search_among([(folders, name), (beside[:-1], beside[-1])])
    assert list(both.named(listed)) == ["/set/" + "/".join(beside)]
    assert list(search_among([(["patient2", *folders], name)]).named(f"patient1/{listed}")) == []


def test_a_name_that_several_files_have_in_other_letters_means_each_of_them():
    assert len(search_among([("", "Aa.png"), ("", "aA.png")]).named("AA.png")) == 2


def test_a_name_that_each_patients_image_has_costs_no_look_at_all_of_them(monkeypatch):
    monkeypatch.setattr(image_search, "_agree", lambda *_: pytest.fail("one was looked at"))
    places = [((f"patient{i}", f"study{i % 3}"), "view1_frontal.jpg") for i in range(3_000)]
    search = search_among(places)
    for (patient, study), name in places:
        assert list(search.named(f"CheXpert/train/{patient}/{study}/{name}")) == [f"/set/{patient}/{study}/{name}"]
    assert len(search.named("view1_frontal.jpg")) == 3_000
