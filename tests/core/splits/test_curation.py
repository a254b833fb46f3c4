"""What a person decided holds for an image, known by its content, and is never lost."""

import json

import pandas as pd
import pytest

from cxr_core.splits.curation import (
    DUPLICATE,
    Curation,
    curation_path,
    dataset_decisions,
    decisions_about,
    exclude,
    excluded_rows,
    include,
    load_curation,
    mark_distinct,
    save_curation,
    save_decisions,
    stored_decisions,
    taken_back,
    unmark_distinct,
    without_distinct,
)
from cxr_core.splits.split import image_groups
from cxr_core.system.files import write_json


def table_of(**digests):
    """One row per file: name and content."""
    files = [f"normal/{name}.png" for name in digests]
    return pd.DataFrame(
        {"file": files, "digest": list(digests.values()), "class_name": "normal", "patient": [None] * len(files)}
    )


TABLE = table_of(a="1", b="2", c="3", d="4")
PAIRS = pd.DataFrame({"a": [0, 1, 2], "b": [1, 2, 3], "kind": "near", "score": 60})
DECIDED = mark_distinct(exclude(exclude(Curation(), TABLE[:1], "blurred"), TABLE[2:], "by hand"), TABLE[1:3])


def pairs_left(curation, table=TABLE, pairs=PAIRS):
    return without_distinct(pairs, table, curation)[["a", "b"]].to_numpy().tolist()


# On disk


@pytest.mark.parametrize("curation", [Curation(), DECIDED], ids=["none", "some"])
def test_what_is_saved_comes_back(curation, tmp_path):
    save_curation(curation, tmp_path / "new" / "decisions.json")
    assert load_curation(tmp_path / "new" / "decisions.json") == curation


def test_names_with_emoji_and_quotes_come_back(tmp_path):
    curation = exclude(Curation(), pd.DataFrame({"file": ['normal/🫁 "x".png'], "digest": ["1"]}), "not a chest: “x”")
    save_curation(curation, tmp_path / "decisions.json")
    assert load_curation(tmp_path / "decisions.json") == curation


def test_the_order_of_deciding_does_not_change_the_file(tmp_path):
    for name, rows in (("one", TABLE), ("two", TABLE[::-1])):
        save_curation(exclude(Curation(), rows, "blurred"), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_without_a_file_nothing_is_decided(tmp_path):
    assert load_curation(tmp_path / "decisions.json") == Curation()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{}", '{"excluded": [], "distinct": 3}', '{"excluded": ["a.png"], "distinct": []}',
        '{"excluded": [{"file": "a.png", "reason": "x"}], "distinct": []}',
        '{"excluded": [], "distinct": [[{"file": "a.png"}]]}',
        '{"excluded": [{"file": "a.png", "digest": [], "reason": "x"}], "distinct": []}',
    ],
)  # fmt: skip
def test_a_broken_file_is_one_sentence_that_names_it_and_stays_as_it_is(text, tmp_path):
    path = tmp_path / "decisions.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="holds no decisions about a data set; move it away") as caught:
        load_curation(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == text


def test_a_file_that_is_no_text_is_one_sentence_too(tmp_path):
    (tmp_path / "decisions.json").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ValueError, match="holds no decisions"):
        load_curation(tmp_path / "decisions.json")


def test_every_data_set_has_a_file_of_its_own(tmp_path):
    paths = {curation_path(roots, tmp_path) for roots in (["/x/chests"], ["/y/chests"], ["/x/chests", "/y/chests"])}
    assert len(paths) == 3
    assert curation_path(["/x/chests"], tmp_path) in paths


# Left out


def test_the_rows_left_out_are_those_of_the_images_named():
    assert excluded_rows(TABLE, DECIDED).tolist() == [True, False, True, True]


def test_a_changed_file_takes_part_again():
    assert excluded_rows(table_of(a="other", b="2"), exclude(Curation(), TABLE[:2], "x")).tolist() == [False, True]


def test_equal_content_under_two_names_is_told_apart():
    twins = table_of(a="1", twin="1")
    assert excluded_rows(twins, exclude(Curation(), twins[1:], "x")).tolist() == [False, True]


def test_an_image_that_is_left_out_already_keeps_its_first_reason():
    both = exclude(exclude(Curation(), TABLE[:1], "blurred"), TABLE[:2], "inverted")
    assert both.reasons() == {"blurred": 1, "inverted": 1}
    assert exclude(both, TABLE[:2], "other") == both


def test_including_takes_back_what_is_named_and_no_more():
    assert excluded_rows(TABLE, include(DECIDED, TABLE[:3])).tolist() == [False, False, False, True]


def test_including_what_was_never_left_out_changes_nothing():
    assert include(DECIDED, TABLE[1:2]) == DECIDED


def test_reasons_are_counted_with_the_most_frequent_first():
    assert list(DECIDED.reasons().items()) == [("by hand", 2), ("blurred", 1)]


def test_a_decision_gives_new_decisions_and_leaves_the_old_ones_alone():
    before = Curation()
    exclude(before, TABLE, "x")
    mark_distinct(before, TABLE)
    assert before == Curation()


# Alike, but not the same


def test_a_pair_marked_as_distinct_is_dropped_and_its_neighbours_stay():
    assert pairs_left(mark_distinct(Curation(), TABLE[1:3])) == [[0, 1], [2, 3]]


def test_only_two_images_of_one_mark_are_parted():
    marked = mark_distinct(mark_distinct(Curation(), TABLE[:2]), TABLE[2:])
    assert pairs_left(marked) == [[1, 2]]


def test_an_image_can_be_part_of_two_marks():
    marked = mark_distinct(mark_distinct(Curation(), TABLE[:2]), TABLE[1:3])
    assert pairs_left(marked) == [[2, 3]]


def test_a_changed_file_is_joined_again():
    changed = table_of(a="1", b="2", c="other", d="4")
    assert pairs_left(mark_distinct(Curation(), TABLE[1:3]), changed) == [[0, 1], [1, 2], [2, 3]]


def test_unmarking_one_image_of_a_mark_joins_them_again():
    marked = mark_distinct(Curation(), TABLE[1:3])
    assert unmark_distinct(marked, TABLE[2:3]) == Curation()


def test_unmarking_leaves_other_marks():
    marked = mark_distinct(mark_distinct(Curation(), TABLE[:2]), TABLE[2:])
    assert pairs_left(unmark_distinct(marked, TABLE[:1])) == [[0, 1], [1, 2]]


def test_a_group_marked_as_distinct_is_parted():
    joined = image_groups(TABLE, PAIRS)
    parted = image_groups(TABLE, without_distinct(PAIRS, TABLE, mark_distinct(Curation(), TABLE)))
    assert len(set(joined)) == 1
    assert len(set(parted)) == 4


def test_marks_come_back_from_disk_as_they_were(tmp_path):
    path = tmp_path / "decisions.json"
    save_curation(mark_distinct(Curation(), TABLE[1:3]), path)
    assert pairs_left(load_curation(path)) == [[0, 1], [2, 3]]
    assert json.loads(path.read_text())["distinct"] == [
        [{"file": "normal/b.png", "digest": "2"}, {"file": "normal/c.png", "digest": "3"}]
    ]


def test_a_copy_of_an_image_of_a_mark_stays_with_that_image():
    twins = table_of(a="1", b="2", twin="1")
    pairs = pd.DataFrame({"a": [0, 0], "b": [1, 2], "kind": ["near", "equal"], "score": [60, -1]})
    assert pairs_left(mark_distinct(Curation(), twins[:2]), twins, pairs) == [[0, 2]]
    # Unless the two were marked themselves.
    assert pairs_left(mark_distinct(Curation(), twins), twins, pairs) == []


def test_a_mark_holds_for_the_contents_under_any_name():
    renamed = TABLE.assign(file=["x.png", "y.png", "z.png", "w.png"])
    assert pairs_left(mark_distinct(Curation(), TABLE[1:3]), renamed) == [[0, 1], [2, 3]]


# Decisions belong to the image


NORTH = table_of(a="1", b="2", c="3")
SOUTH = table_of(a="4", b="2", d="5")
BOTH = pd.concat([NORTH, SOUTH], ignore_index=True)


@pytest.fixture
def keep(tmp_path):
    """A callable(roots, table, change) that changes what is decided about a data set, and keeps it."""

    def change(roots, table, function):
        before = dataset_decisions(table, roots, tmp_path)
        save_decisions(function(before), table, roots, tmp_path)

    return change


@pytest.fixture
def excluded_in(tmp_path):
    return lambda roots, table: excluded_rows(table, dataset_decisions(table, roots, tmp_path)).tolist()


@pytest.mark.parametrize("roots", [["/north", "/south"], ["/south", "/north"]], ids=["added", "another order"])
def test_a_second_folder_and_another_order_of_folders_keep_what_was_decided(keep, excluded_in, roots):
    keep(["/north"], NORTH, lambda c: exclude(c, NORTH[:1], "blurred", among=NORTH))
    table = BOTH if roots[0] == "/north" else pd.concat([SOUTH, NORTH], ignore_index=True)
    assert excluded_in(roots, table) == (table["digest"] == "1").tolist()


def test_what_was_decided_about_several_folders_holds_for_one_of_them(keep, excluded_in):
    keep(["/north", "/south"], BOTH, lambda c: exclude(c, BOTH[3:4], "inverted", among=BOTH))
    assert excluded_in(["/south"], SOUTH) == [True, False, False]
    assert excluded_in(["/north"], NORTH) == [False, False, False]


def test_marks_are_kept_when_a_folder_is_added(keep, tmp_path):
    keep(["/north"], NORTH, lambda c: mark_distinct(c, NORTH[:2]))
    found = dataset_decisions(BOTH, ["/north", "/south"], tmp_path)
    assert pairs_left(found, BOTH, PAIRS[:1]) == []
    keep(["/north", "/south"], BOTH, lambda c: unmark_distinct(c, BOTH))
    assert dataset_decisions(NORTH, ["/north"], tmp_path) == Curation()


def test_what_is_taken_back_in_one_data_set_is_taken_back_in_all(keep, excluded_in):
    keep(["/north"], NORTH, lambda c: exclude(c, NORTH, "blurred", among=NORTH))
    keep(["/north", "/south"], BOTH, lambda c: include(c, BOTH[:1]))
    assert excluded_in(["/north"], NORTH) == [False, True, True]
    assert excluded_in(["/north", "/south"], BOTH) == [False, True, True, False, True, False]


def test_a_decision_about_one_data_set_leaves_those_about_other_images_alone(keep, excluded_in):
    keep(["/north"], NORTH, lambda c: exclude(c, NORTH[:1], "blurred", among=NORTH))
    keep(["/south"], SOUTH, lambda c: exclude(c, SOUTH[2:], "blurred", among=SOUTH))
    keep(["/south"], SOUTH, lambda c: include(c, SOUTH))
    assert excluded_in(["/north"], NORTH) == [True, False, False]


def test_an_excluded_image_is_excluded_under_another_name_and_as_a_copy(keep, excluded_in):
    keep(["/north"], NORTH, lambda c: exclude(c, NORTH[1:2], "blurred", among=NORTH))
    renamed = NORTH.assign(file=["covid/x.png", "covid/y.png", "covid/z.png"])
    assert excluded_in(["/renamed"], renamed) == [False, True, False]
    assert excluded_in(["/north", "/south"], BOTH) == [False, True, False, False, True, False]


@pytest.mark.parametrize("names", [("normal/b.png", "normal/b.png"), ("normal/b.png", "covid/x.png")], ids=str)
def test_of_two_copies_one_always_takes_part(keep, excluded_in, names):
    both = BOTH.copy()
    both.loc[[1, 4], "file"] = names
    keep(["/north", "/south"], both, lambda c: exclude(c, both[4:5], DUPLICATE, among=both))
    excluded = excluded_in(["/north", "/south"], both)
    assert (excluded[1], excluded[4]) in ((False, True), (True, False))
    assert sum(excluded) == 1
    # Each folder alone holds one copy only.
    assert excluded_in(["/north"], both[:3]) == [False] * 3
    assert excluded_in(["/south"], both[3:]) == [False] * 3


def test_of_copies_in_two_classes_the_one_that_was_kept_takes_part(keep, excluded_in):
    both = BOTH.copy()
    both.loc[[1, 4], "file"] = ["covid/b.png", "normal/b.png"]
    keep(["/north", "/south"], both, lambda c: exclude(c, both[1:2], DUPLICATE, among=both))
    assert excluded_in(["/north", "/south"], both) == [False, True, False, False, False, False]
    swapped = pd.concat([both[3:], both[:3]], ignore_index=True)
    assert excluded_in(["/south", "/north"], swapped) == [False, False, False, False, True, False]


def test_a_decision_about_one_folder_keeps_which_copy_was_excluded_elsewhere(keep, excluded_in):
    both = BOTH.copy()
    both.loc[[1, 4], "file"] = ["covid/b.png", "normal/b.png"]
    keep(["/north", "/south"], both, lambda c: exclude(c, both[1:2], DUPLICATE, among=both))
    keep(["/north"], both[:3], lambda c: exclude(c, both[:1], "blurred", among=both[:3]))
    keep(["/north"], both[:3], lambda c: include(c, both[:1]))
    assert excluded_in(["/north", "/south"], both) == [False, True, False, False, False, False]


def test_excluding_the_last_copy_excludes_the_content(keep, excluded_in):
    keep(["/north", "/south"], BOTH, lambda c: exclude(c, BOTH[4:5], DUPLICATE, among=BOTH))
    keep(["/north", "/south"], BOTH, lambda c: exclude(c, BOTH[1:2], "blurred", among=BOTH))
    assert excluded_in(["/north", "/south"], BOTH) == [False, True, False, False, True, False]
    keep(["/north", "/south"], BOTH, lambda c: include(c, BOTH[1:2]))
    assert excluded_in(["/north", "/south"], BOTH) == [False] * 6


EARLIER = {
    "excluded": [
        {"file": "normal/a.png", "digest": "1", "reason": "blurred"},
        {"file": "normal/b.png", "digest": "2", "reason": "duplicate"},
    ],
    "distinct": [[{"file": "normal/a.png", "digest": "1"}, {"file": "normal/c.png", "digest": "3"}]],
}


@pytest.mark.parametrize("roots", [["/north"], ["/north", "/south"], ["/south", "/north"]], ids=str)
def test_decisions_of_an_earlier_version_hold_in_every_data_set_of_their_images(tmp_path, excluded_in, roots):
    write_json(curation_path(["/north"], tmp_path), EARLIER)
    assert excluded_in(roots, NORTH) == [True, True, False]
    renamed = NORTH.assign(file=["x.png", "y.png", "z.png"])
    # A duplicate may be a copy of which another one takes part: it is excluded under its name alone.
    assert excluded_in(roots, renamed) == [True, False, False]
    assert len(dataset_decisions(NORTH, roots, tmp_path).distinct) == 1


def test_decisions_of_an_earlier_version_can_be_taken_back(tmp_path, keep, excluded_in):
    write_json(curation_path(["/north"], tmp_path), EARLIER)
    keep(["/north", "/south"], BOTH, lambda c: include(c, BOTH[:2]))
    assert excluded_in(["/north"], NORTH) == [False] * 3


def test_broken_decisions_about_another_data_set_are_passed_over_and_stay(tmp_path, keep, excluded_in):
    other = curation_path(["/elsewhere"], tmp_path)
    other.parent.mkdir()
    other.write_text("{")
    keep(["/north"], NORTH, lambda c: exclude(c, NORTH[:1], "blurred", among=NORTH))
    assert excluded_in(["/north"], NORTH) == [True, False, False]
    assert other.read_text() == "{"


def test_a_run_copies_what_concerns_its_images_alone(keep, tmp_path):
    keep(["/north"], NORTH, lambda c: exclude(c, NORTH[:1], "blurred", among=NORTH))
    keep(["/south"], SOUTH, lambda c: exclude(c, SOUTH[2:], "inverted", among=SOUTH))
    everything = stored_decisions(["/south"], tmp_path)
    assert everything.reasons() == {"inverted": 1, "blurred": 1}
    assert decisions_about(everything, SOUTH).reasons() == {"inverted": 1}


# Taking back one change

TWINS = table_of(a="1", twin="1", b="2")


def test_taking_back_gives_what_was_before():
    before = exclude(Curation(), TABLE[:1], "blurred", among=TABLE)
    for after in (
        exclude(before, TABLE[1:3], "by hand", among=TABLE),
        include(before, TABLE[:1]),
        mark_distinct(before, TABLE[1:3]),
        mark_distinct(exclude(before, TABLE[3:], "by hand", among=TABLE), TABLE[:2]),
    ):
        assert taken_back(after, before, after) == before
    marked = mark_distinct(before, TABLE[1:3])
    assert taken_back(unmark_distinct(marked, TABLE[1:2]), marked, unmark_distinct(marked, TABLE[1:2])) == marked


def test_what_was_decided_meanwhile_about_other_images_stays():
    after = exclude(Curation(), TABLE[:1], "blurred", among=TABLE)
    meanwhile = mark_distinct(exclude(after, TABLE[3:], "by hand", among=TABLE), TABLE[1:3])
    expected = mark_distinct(exclude(Curation(), TABLE[3:], "by hand", among=TABLE), TABLE[1:3])
    assert taken_back(meanwhile, Curation(), after) == expected


def test_what_was_decided_anew_about_the_same_image_stays():
    after = exclude(Curation(), TABLE[:2], "blurred", among=TABLE)
    # The first image was included again in another tab, and then excluded for another reason.
    meanwhile = exclude(include(after, TABLE[:1]), TABLE[:1], "by hand", among=TABLE)
    assert taken_back(meanwhile, Curation(), after).reasons() == {"by hand": 1}


def test_taking_back_an_inclusion_keeps_later_exclusions_of_others():
    before = exclude(Curation(), TABLE[:2], "blurred", among=TABLE)
    after = include(before, TABLE[:2])
    meanwhile = exclude(after, TABLE[2:3], "by hand", among=TABLE)
    assert taken_back(meanwhile, before, after).reasons() == {"blurred": 2, "by hand": 1}


def test_taking_back_twice_changes_nothing_more():
    after = exclude(Curation(), TABLE[:2], "blurred", among=TABLE)
    once = taken_back(after, Curation(), after)
    assert taken_back(once, Curation(), after) == once


def test_what_somebody_included_again_meanwhile_is_not_excluded_by_taking_back_something_else():
    own = exclude(DECIDED, TABLE[1:2], "by hand", among=TABLE)
    meanwhile = include(own, TABLE[:1])
    assert excluded_rows(TABLE, taken_back(meanwhile, DECIDED, own)).tolist() == [False, False, True, True]


def test_of_two_copies_the_one_taken_back_takes_part_and_the_other_stays_excluded():
    own = exclude(Curation(), TWINS[:1], DUPLICATE, among=TWINS)
    meanwhile = exclude(own, TWINS[1:2], "blurred", among=TWINS)
    assert excluded_rows(TWINS, meanwhile).tolist() == [True, True, False]
    left = taken_back(meanwhile, Curation(), own)
    assert excluded_rows(TWINS, left).tolist() == [False, True, False]


def test_one_of_two_copies_excluded_again_meanwhile_keeps_its_reason():
    whole = exclude(Curation(), TWINS[:2], "blurred", among=TWINS)
    own = include(whole, TWINS[:2])
    left = taken_back(exclude(own, TWINS[:1], "by hand", among=TWINS), whole, own)
    assert excluded_rows(TWINS, left).tolist() == [True, True, False]
    assert left.reasons() == {"by hand": 1, "blurred": 1}


def test_what_was_excluded_whole_meanwhile_stays_so():
    one = exclude(Curation(), TWINS[:1], DUPLICATE, among=TWINS)
    own = include(one, TWINS[:1])
    assert excluded_rows(TWINS, taken_back(exclude(own, TWINS[:2], "x", among=TWINS), one, own))[:2].all()


def test_an_exclusion_is_taken_back_though_its_image_was_marked_as_distinct_meanwhile():
    own = exclude(Curation(), TABLE[:1], "blurred", among=TABLE)
    meanwhile = mark_distinct(own, TABLE[:2])
    assert taken_back(meanwhile, Curation(), own) == mark_distinct(Curation(), TABLE[:2])
