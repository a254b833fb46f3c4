"""leakage.py on hand-made splits and against comparing every pair of images."""

import json

import numpy as np
import pandas as pd
import pytest

from cxr_core.data.patient_ids import find_patients
from cxr_core.splits.leakage import CAUSES, compare_splits, leakage_of, score_without_leaks
from cxr_core.splits.split import SPLIT_KINDS, image_groups, make_split

TABLE = pd.DataFrame(
    {
        "file": [f"normal/{c}.png" for c in "abcdefg"],
        "class_name": "normal",
        "path": [f"/data/normal/{c}.png" for c in "abcdefg"],
        "patient": ["anna", "anna", None, None, "bert", "cleo", None],
        "digest": ["1", "2", "3", "3", "5", "6", "7"],
    }
)
GROUPS = np.array([0, 0, 1, 1, 2, 3, 2])
SIDES = np.array(["train", "test", "test", "train", "train", "test", "validation"], object)


def random_case(seed, n=120):
    """A table with patients and equal files, its groups and a random split."""
    rng = np.random.default_rng(seed)
    patients = [f"p{p}" if p < 20 else None for p in rng.integers(0, 40, n)]
    files = [f"{c}/{i}.png" for i, c in enumerate(rng.choice(["normal", "covid"], n))]
    table = pd.DataFrame({"file": files, "class_name": [f.split("/")[0] for f in files], "patient": patients})
    table["digest"] = [f"d{d}" for d in rng.integers(0, 150, n)]
    return table, image_groups(table), rng.choice(["train", "validation", "test"], n)


def predictions_of(rows, right, **columns):
    truth = TABLE["class_name"].iloc[rows].to_numpy()
    frame = pd.DataFrame({"file": TABLE["file"].iloc[rows].to_numpy(), "true": truth, "split": "test"})
    return frame.assign(predicted=np.where(right, truth, "covid"), right=right, **columns)


def test_images_that_share_a_group_with_training_are_found():
    rows = leakage_of(SIDES, TABLE, GROUPS).rows
    assert rows["row"].tolist() == [1, 2, 6]
    assert rows["split"].tolist() == ["test", "test", "validation"]


def test_each_is_told_by_its_cause():
    assert leakage_of(SIDES, TABLE, GROUPS).rows["cause"].tolist() == ["patient", "copy", "duplicate"]


def test_each_names_a_training_image_that_it_shares_this_with():
    rows = leakage_of(SIDES, TABLE, GROUPS).rows
    assert rows["train_row"].tolist() == [0, 3, 4]
    assert rows["train_file"].tolist() == ["normal/a.png", "normal/d.png", "normal/e.png"]


def test_the_counts_are_by_side_and_cause():
    leakage = leakage_of(SIDES, TABLE, GROUPS)
    assert leakage.images == {"test": 3, "validation": 1}
    assert (leakage.count(), leakage.count("validation")) == (2, 1)
    assert leakage.causes() == {"copy": 1, "patient": 1, "duplicate": 0}


@pytest.mark.parametrize("seed", range(5))
def test_the_rows_are_those_that_comparing_every_pair_finds(seed):
    table, groups, sides = random_case(seed)
    expected = {
        i
        for i in range(len(table))
        for j in range(len(table))
        if sides[i] != "train" and sides[j] == "train" and groups[i] == groups[j]
    }
    assert set(leakage_of(sides, table, groups).rows["row"]) == expected


@pytest.mark.parametrize("seed", range(5))
def test_causes_and_partners_are_what_comparing_every_pair_finds(seed):
    table, groups, sides = random_case(seed)
    train = [j for j in range(len(table)) if sides[j] == "train"]
    for leak in leakage_of(sides, table, groups).rows.itertuples():
        mine = table.iloc[leak.row]
        partners = {
            "copy": [j for j in train if table["digest"][j] == mine["digest"]],
            "patient": [j for j in train if table["patient"][j] == mine["patient"]],
            "duplicate": [j for j in train if groups[j] == leak.group],
        }
        cause = next(c for c in CAUSES if partners[c])
        assert (leak.cause, leak.train_row) == (cause, partners[cause][0])


def test_without_training_images_nothing_leaks():
    leakage = leakage_of(np.full(7, "test", object), TABLE, GROUPS)
    assert leakage.rows.empty
    assert leakage.causes() == {"copy": 0, "patient": 0, "duplicate": 0}


def test_images_on_no_side_are_passed_over():
    sides = SIDES.copy()
    sides[[1, 3]] = ["", np.nan]
    assert leakage_of(sides, TABLE, GROUPS).rows["row"].tolist() == [6]


def test_a_table_without_patients_takes_them_from_the_file_names():
    files = ["virus/person7_virus_1.jpeg", "virus/person7_virus_2.jpeg"]
    table = pd.DataFrame({"file": files, "class_name": "virus", "digest": ["1", "2"]})
    assert leakage_of(["train", "test"], table, [0, 0]).rows["cause"].tolist() == ["patient"]


def test_a_split_read_back_from_csv_gives_the_same(tmp_path):
    table, groups, sides = random_case(0)
    table.assign(group=groups, split=sides).to_csv(tmp_path / "split.csv", index=False)
    read = pd.read_csv(tmp_path / "split.csv")
    again = leakage_of(read["split"], read, read["group"])
    assert again.to_dict() == leakage_of(sides, table, groups).to_dict()


def test_the_index_of_the_table_does_not_matter():
    moved = TABLE.set_index(np.arange(7)[::-1] * 3)
    pd.testing.assert_frame_equal(leakage_of(SIDES, moved, GROUPS).rows, leakage_of(SIDES, TABLE, GROUPS).rows)


LIMIT = "for 3 of 7 images nothing tells the patient"


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [
        (SIDES, f"2 of 3 test images share a patient or a duplicate with training; {LIMIT}."),
        (["train", "test"] + [""] * 5, "The one test image shares a patient or a duplicate with training."),
        (["train"] * 5 + ["test", "train"], f"No known patient is shared, and no duplicate; {LIMIT}."),
        (["train", *[""] * 3, "test", "test", ""], "No test image shares a patient or a duplicate with training."),
        (["", "", "train", "", "", "", "test"], "No duplicate is shared; for 2 of 2 images nothing tells the patient."),
        (["train"] * 7, "There are no test images."),
    ],
)
def test_the_answer_is_one_sentence(sides, sentence):
    assert leakage_of(sides, TABLE, GROUPS).sentence == sentence


def test_the_dictionary_is_plain_json():
    values = json.loads(json.dumps(leakage_of(SIDES, TABLE, GROUPS).to_dict(), allow_nan=False))
    assert values["test"] == {
        "images": 3,
        "share_with_train": 2,
        "causes": {"copy": 1, "patient": 1, "duplicate": 0},
        "files": ["normal/b.png", "normal/c.png"],
    }


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="7, 7 and 2"):
        leakage_of(SIDES, TABLE, [0, 1])


def test_a_grouped_split_leaks_nothing_and_a_random_one_does():
    table, groups, _ = random_case(0)
    counts = compare_splits(table, groups, seed=0).set_index("kind")["share_with_train"]
    assert counts["grouped"] == 0
    assert counts["random"] > 0


@pytest.mark.parametrize("kind", [kind for kind in SPLIT_KINDS if kind not in ("given", "source")])
def test_the_comparison_counts_what_each_split_leaks(kind):
    table, groups, _ = random_case(1)
    row = compare_splits(table, groups, seed=4).set_index("kind").loc[kind]
    split = make_split(table, kind, seed=4, groups=groups)
    trained = set(groups[split.train])
    assert row["test_images"] == len(split.test)
    assert row["share_with_train"] == sum(groups[i] in trained for i in split.test)
    assert row["validation_share_with_train"] == sum(groups[i] in trained for i in split.validation)


def test_only_the_articles_test_images_choose_the_epoch_too():
    table, groups, _ = random_case(0)
    rows = compare_splits(table, groups, seed=0).set_index("kind")
    assert rows.loc["article", "chose_the_epoch"] == rows.loc["article", "test_images"]
    assert (rows.drop("article")["chose_the_epoch"] == 0).all()


def test_a_kind_that_is_impossible_says_why():
    table, groups, _ = random_case(0)
    groups_table = table.assign(patient=table["class_name"])
    row = compare_splits(groups_table, image_groups(groups_table), seed=0).set_index("kind").loc["grouped"]
    assert pd.isna(row["test_images"])
    assert "at least 3 patients" in row["note"]


def test_the_grouped_split_is_made_from_the_groups_given():
    table, _, _ = random_case(0)
    groups = np.arange(120) % 12  # what neither patient nor content tells
    assert compare_splits(table, groups, seed=0).set_index("kind").loc["grouped", "share_with_train"] == 0


def test_shares_are_passed_on_to_the_split():
    table, groups, _ = random_case(0)
    rows = compare_splits(table, groups, seed=0, test_share=0.5, validation_share=0.1).set_index("kind")
    assert rows.loc["random", "test_images"] == 60


def test_the_score_is_given_with_and_without_what_leaks():
    leaks = leakage_of(SIDES, TABLE, GROUPS).rows
    score = score_without_leaks(predictions_of([1, 2, 5], np.array([True, True, False])), leaks)
    assert score == {"all": pytest.approx(2 / 3), "without": 0.0, "n_all": 3, "n_without": 1, "unclear": 0}


def test_only_the_side_asked_for_is_scored():
    predictions = predictions_of([1, 5, 6], np.array([True, True, False])).assign(split=["test", "test", "validation"])
    leaks = leakage_of(SIDES, TABLE, GROUPS).rows
    assert score_without_leaks(predictions, leaks)["n_all"] == 2
    assert score_without_leaks(predictions, leaks, side="validation")["n_without"] == 0


def test_a_score_of_no_image_is_none():
    leaks = leakage_of(SIDES, TABLE, GROUPS).rows
    score = score_without_leaks(predictions_of([1, 2], np.array([True, True])), leaks)
    assert (score["all"], score["without"], score["n_without"]) == (1.0, None, 0)


def test_a_file_name_that_two_roots_share_is_told_apart_by_its_path():
    leaks = leakage_of(SIDES, TABLE, GROUPS).rows
    predictions = predictions_of([1, 1], np.array([True, False])).assign(path=["/data/normal/b.png", "/other/b.png"])
    assert score_without_leaks(predictions, leaks) == {
        "all": 0.5, "without": 0.0, "n_all": 2, "n_without": 1, "unclear": 0,
    }  # fmt: skip


def test_without_paths_a_file_name_that_two_roots_share_is_left_out_and_counted():
    leaks = leakage_of(SIDES, TABLE, GROUPS).rows
    score = score_without_leaks(predictions_of([1, 1, 5], np.array([True, False, True])), leaks)
    assert (score["n_all"], score["n_without"], score["unclear"]) == (3, 1, 2)


def test_without_leaks_the_two_scores_are_equal():
    leaks = leakage_of(["train"] * 5 + ["test", "train"], TABLE, GROUPS).rows
    score = score_without_leaks(predictions_of([5], np.array([True])), leaks)
    assert (score["all"], score["without"], score["n_without"]) == (1.0, 1.0, 1)


def test_a_random_split_of_patient_folders_leaks_and_a_grouped_one_does_not():
    files = [f"{c}/patient{n}{i}/{k}.png" for c, n in (("normal", 1), ("covid", 2)) for i in range(9) for k in range(4)]
    table = pd.DataFrame({"file": files, "class_name": [f.split("/")[0] for f in files]})
    table = table.join(find_patients(table)).assign(digest=files)
    patient = table["file"].str.rsplit("/", n=1).str[0]
    counts = compare_splits(table, image_groups(table), seed=0).set_index("kind")["share_with_train"]
    assert counts["grouped"] == 0
    split = make_split(table, "random", seed=0)
    assert counts["random"] == patient.iloc[split.test].isin(patient.iloc[split.train]).sum() > 0
