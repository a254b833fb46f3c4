"""source_scores.py on predictions of hospitals whose figures we made."""

import pandas as pd
import pytest

from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.hospitals.source_scores import (
    known_sources,
    score_sources,
    source_notes,
    source_shares,
    source_table,
    worst_source_sentences,
)

CLASSES = ("normal", "covid")


def hospital(source, *, normal=(0, 0), covid=(0, 0)):
    """Predictions of one source: (right, wrong) of each class."""
    rows = [
        (source, true, true if i < right else other)
        for true, other, (right, wrong) in (("normal", "covid", normal), ("covid", "normal", covid))
        for i in range(right + wrong)
    ]
    return pd.DataFrame(rows, columns=["source", "true", "predicted"])


def predictions(*hospitals):
    table = pd.concat(hospitals, ignore_index=True)
    files = [f"{i}.png" for i in range(len(table))]
    return table.assign(file=files, right=table["true"] == table["predicted"], group=range(len(table)))


TABLE = predictions(
    hospital("good", normal=(38, 2), covid=(36, 4)),
    hospital("bad", normal=(12, 8), covid=(18, 2)),
    hospital("blind", normal=(20, 0), covid=(5, 5)),
    hospital("tiny", normal=(1, 2)),
)


def test_each_source_has_the_accuracy_recall_and_false_alarms_of_its_own_images():
    score = next(s for s in score_sources(TABLE, CLASSES) if s["source"] == "bad")
    covid = score["per_class"]["covid"]
    assert score["accuracy"] == {
        "share": 30 / 40, "ci95": share_interval([True] * 30 + [False] * 10, range(40)), "images": 40,
    }  # fmt: skip
    assert (covid["recall"]["share"], covid["recall"]["images"]) == (18 / 20, 20)
    assert (covid["false_alarms"]["share"], covid["false_alarms"]["images"]) == (8 / 20, 20)
    assert covid["false_alarms"]["ci95"] == share_interval([True] * 8 + [False] * 12, range(20))


def test_an_interval_counts_a_patient_once():
    one_each = score_sources(TABLE, CLASSES)[0]["accuracy"]["ci95"]
    in_pairs = score_sources(TABLE.assign(group=TABLE.index // 2), CLASSES)[0]["accuracy"]["ci95"]
    assert in_pairs[1] - in_pairs[0] > one_each[1] - one_each[0]


def test_the_worst_source_comes_first_and_one_of_few_images_last():
    assert [s["source"] for s in score_sources(TABLE, CLASSES)] == ["bad", "blind", "good", "tiny"]


def test_the_worst_are_named_in_words_and_a_source_of_few_images_is_not():
    worst, recall, alarms = worst_source_sentences(score_sources(TABLE, CLASSES))
    assert worst.startswith("Worst source: bad, accuracy 75.0 % of 40 images (95 %: ")
    assert recall.startswith("Lowest recall: COVID-19 at blind, 50.0 % of 10 images (95 %: ")
    assert alarms.startswith("Most false alarms: wrongly called COVID-19 at bad, 40.0 % of 20 images (95 %: ")


def test_where_all_sources_are_small_none_is_the_worst():
    table = predictions(hospital("a", normal=(3, 1)), hospital("b", covid=(2, 2)))
    sentences = worst_source_sentences(score_sources(table, CLASSES))
    assert sentences == ["No source has 10 images, too few to say at which one it is worst."]


def test_the_table_gives_counts_for_few_images_and_a_dash_for_none():
    table = source_table(score_sources(TABLE, CLASSES)).set_index("Source")
    assert list(table) == ["Accuracy", "Normal found", "COVID-19 found", "Wrongly called COVID-19"]
    assert table.loc["good", "COVID-19 found"] == "90.0 % (76.3 to 97.2), n = 40"
    assert table.loc["tiny", "Accuracy"] == "1 of 3, too few"
    assert table.loc["tiny", "COVID-19 found"] == "–"


def test_one_figure_has_the_sources_with_enough_images_for_it_in_their_order():
    scores = score_sources(TABLE, CLASSES)
    shares = source_shares(scores, "COVID-19 found")
    assert set(shares["source"]) == {"good", "bad", "blind"}
    good = shares.set_index("source").loc["good"]
    assert (good["share"], good["images"]) == (0.9, 40)
    assert (good["low"], good["high"]) == pytest.approx(share_interval([True] * 36 + [False] * 4, range(40)))
    assert list(shares["source"]) == [s["source"] for s in scores if s["source"] != "tiny"]
    assert source_shares(scores[-1:], "COVID-19 found").empty


def test_sources_with_few_images_or_one_class_and_images_without_a_source_are_told_of():
    table = predictions(TABLE, hospital(None, normal=(4, 0)), hospital("ward", covid=(12, 0)))
    notes = source_notes(score_sources(table, CLASSES), len(table))
    assert notes == [
        "Too few images (below 10) to judge: tiny.",
        "One class only, so that accuracy is the recall of that class, and the source gives it away: ward, tiny.",
        "4 images without a source are left out here; a column source in a CSV file tells it.",
    ]


def test_one_source_or_none_has_no_table():
    one = TABLE[TABLE["source"] == "good"]
    for table in (one, TABLE.drop(columns="source"), TABLE.assign(source=None)):
        assert score_sources(table, CLASSES) == []
    assert worst_source_sentences([]) == source_notes([], 5) == []


def test_without_a_column_the_folders_of_the_data_sets_are_the_sources():
    paths = [f"/data/{'a' if i % 2 else 'b'}/{file}" for i, file in enumerate(TABLE["file"])]
    table = TABLE.drop(columns="source").assign(path=paths)
    assert set(known_sources(table)) == {"a", "b"}
