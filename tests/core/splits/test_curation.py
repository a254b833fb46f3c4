"""What a person decided holds for one content of one file, and is never lost."""

import json

import pandas as pd
import pytest

from cxr_core.splits.curation import (
    Curation,
    curation_path,
    exclude,
    excluded_rows,
    include,
    load_curation,
    mark_distinct,
    save_curation,
    unmark_distinct,
    without_distinct,
)
from cxr_core.splits.split import image_groups


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
