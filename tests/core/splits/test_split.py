"""Who stands where, over many seeds."""

import hashlib
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from cxr_core.data.dataset import scan_dataset
from cxr_core.splits.leakage import leakage_of
from cxr_core.splits.split import (
    SPLIT_KINDS,
    Split,
    image_groups,
    make_split,
    move_to_training,
    split_counts,
    split_kinds,
    split_table,
)

pytestmark = pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
SEEDS = range(6)
# "given" and "source" need more than a table; they have tests of their own.
DRAWN_KINDS = [kind for kind in SPLIT_KINDS if kind not in ("given", "source")]


def random_table(seed, n=400):
    """A table with patients of several images, exact copies and copies with a further ending."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(["normal", "covid", "virus"], n, p=[0.5, 0.3, 0.2])
    patients = [f"person{p}" if p < 60 else None for p in rng.integers(0, 120, n)]
    digests = [f"{c}{d}" for c, d in zip(classes, rng.integers(0, 900, n), strict=True)]
    names = [f"{c}/image-{k}.{e}" for c, k, e in zip(classes, rng.integers(0, 900, n), ["png"] * n, strict=True)]
    table = pd.DataFrame({"class_name": classes, "file": names, "patient": patients, "digest": digests})
    table["patient"] = table["patient"].where(table["patient"].isna(), table["class_name"] + "-" + table["patient"])
    return table


def table_of(files, class_name="normal", patient=None, digest=None):
    n = len(files)
    return pd.DataFrame(
        {"class_name": class_name, "file": files, "patient": patient or [None] * n, "digest": digest or range(n)}
    ).astype({"digest": "string"})


def random_pairs(seed, n=400):
    """Sixty pairs of rows that look alike, in chains and across classes."""
    pairs = np.random.default_rng(seed).integers(0, n, (60, 2))
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    return pd.DataFrame(pairs, columns=["a", "b"]).assign(kind="near", score=60)


def sides(split):
    return [set(side.tolist()) for side in (split.train, split.validation, split.test)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["grouped", "stratified", "random"])
def test_the_three_sides_are_apart_and_complete(kind, seed):
    train, validation, test = sides(make_split(random_table(seed), kind, seed=seed))
    assert not train & validation and not train & test and not validation & test
    assert train | validation | test == set(range(400))


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_the_same_seed_splits_the_same_way_and_another_one_differently(kind):
    table = random_table(0)
    first, same, other = (make_split(table, kind, seed=seed) for seed in (3, 3, 4))
    assert sides(first) == sides(same)
    assert sides(first) != sides(other)


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_positions_are_sorted_integers(kind):
    split = make_split(random_table(0), kind, seed=0)
    for side in (split.train, split.validation, split.test):
        assert side.dtype == np.int64
        assert (np.diff(side) > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stratified_split_keeps_the_share_of_every_class(seed):
    table = random_table(seed)
    split = make_split(table, "stratified", seed=seed)
    whole = table["class_name"].value_counts(normalize=True)
    for side in (split.train, split.validation, split.test):
        share = table["class_name"].iloc[side].value_counts(normalize=True)
        np.testing.assert_allclose(share[whole.index], whole, atol=1.5 / len(side))


@pytest.mark.parametrize("kind", ["stratified", "random"])
def test_the_shares_are_those_asked_for(kind):
    split = make_split(random_table(0), kind, seed=0, validation_share=0.1, test_share=0.3)
    np.testing.assert_allclose((len(split.train), len(split.validation), len(split.test)), (240, 40, 120), atol=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_grouped_split_comes_near_the_shares_asked_for(seed):
    split = make_split(random_table(seed), "grouped", seed=seed)
    assert abs(len(split.test) - 80) < 25
    assert abs(len(split.validation) - 60) < 25


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", ["patient", "digest", "file"])
def test_a_grouped_split_never_parts_what_belongs_together(key, seed):
    table = random_table(seed)
    names = pd.Series(make_split(table, "grouped", seed=seed).names(len(table)))
    known = table[key].notna()
    assert names[known].groupby(table[key][known]).nunique().max() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_grouped_split_has_every_class_on_every_side(seed):
    files = [f"{c}/{i}.png" for c in ("normal", "covid") for i in range(50)] + [f"virus/{i}.png" for i in range(24)]
    patients = [None] * 100 + ["a"] * 18 + ["b"] * 3 + ["c"] * 3
    table = table_of(files, [f.split("/")[0] for f in files], patients)
    split = make_split(table, "grouped", seed=seed)
    for side in (split.train, split.validation, split.test):
        assert set(table["class_name"].iloc[side]) == {"normal", "covid", "virus"}


def test_the_articles_way_is_80_to_20_at_random_and_tests_on_what_it_chose_by():
    split = make_split(random_table(0), "article", seed=5)
    train, test = train_test_split(np.arange(400), test_size=0.2, random_state=5)
    assert (len(split.train), len(split.test)) == (320, 80)
    np.testing.assert_array_equal(split.validation, split.test)
    assert sides(split)[::2] == [set(train), set(test)]


@pytest.mark.parametrize("kind", ["stratified", "random"])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_split_at_random_is_scikit_learns_twice_with_the_same_seed(kind, seed):
    table = random_table(1)
    labels = table["class_name"].to_numpy()

    def parted(rows, share):
        return train_test_split(
            rows, test_size=share, random_state=seed, stratify=labels[rows] if kind == "stratified" else None
        )

    rest, test = parted(np.arange(400), 0.2)
    train, validation = parted(np.sort(rest), 0.15 / 0.8)
    split = make_split(table, kind, seed=seed)
    assert sides(split) == [set(train), set(validation), set(test)]


def groups_of_classes(**counts):
    """A table with six images of each of a class's groups."""
    files = [f"{c}/{i}-{k}.png" for c, n in counts.items() for i in range(n) for k in range(6)]
    names = [f.split("/")[0] for f in files]
    return table_of(files, names, [f.split("-")[0] for f in files])


def test_three_groups_of_a_class_are_the_fewest_of_a_grouped_split():
    split = make_split(groups_of_classes(normal=3, covid=9), "grouped", seed=0)
    assert sum(map(len, sides(split))) == 72
    with pytest.raises(ValueError, match="at least 3 patients or images per class; 'normal' has 2"):
        make_split(groups_of_classes(normal=2, covid=9), "grouped", seed=0)


def test_five_images_of_a_class_are_the_fewest():
    names = ["normal"] * 5 + ["covid"] * 20
    table = table_of([f"{c}/{i}.png" for i, c in enumerate(names)], names)
    split = make_split(table, "random", seed=0)
    assert sum(map(len, sides(split))) == 25
    with pytest.raises(ValueError, match="at least 5 images; 'normal' has 4"):
        make_split(table[1:].reset_index(drop=True), "random", seed=0)


def test_names_say_the_side_of_every_row():
    split = make_split(random_table(0), "stratified", seed=0)
    names = split.names(400)
    for side in ("train", "validation", "test"):
        np.testing.assert_array_equal(np.flatnonzero(names == side), getattr(split, side))


def test_the_articles_names_know_train_and_test_only():
    assert set(make_split(random_table(0), "article", seed=0).names(400)) == {"train", "test"}


def test_images_of_one_patient_are_one_group():
    groups = image_groups(table_of(["a.png", "b.png", "c.png"], patient=["p1", "p2", "p1"]))
    assert groups[0] == groups[2] != groups[1]


def test_copies_of_one_image_are_one_group_across_classes():
    table = table_of(["normal/a.png", "covid/b.png", "covid/c.png"], ["normal", "covid", "covid"], digest=list("xxy"))
    groups = image_groups(table)
    assert groups[0] == groups[1] != groups[2]


def test_names_that_differ_by_further_endings_are_one_group():
    groups = image_groups(table_of(["a.jpeg", "a.jpeg.jpg", "b.jpeg"]))
    assert groups[0] == groups[1] != groups[2]


def test_equal_names_of_two_folders_are_two_groups():
    groups = image_groups(table_of(["covid/anna/1.png", "covid/bert/1.png", "covid/anna/1.png.jpg"], "covid"))
    assert groups[0] == groups[2] != groups[1]
    roots = table_of(["covid/1.png"] * 2, "covid").assign(path=["/a/covid/1.png", "/b/covid/1.png"])
    assert len(set(image_groups(roots))) == 2


def test_equal_names_of_two_classes_are_two_groups():
    groups = image_groups(table_of(["normal/a.png", "covid/a.png"], ["normal", "covid"]))
    assert groups[0] != groups[1]


def test_groups_grow_along_chains_of_what_is_shared():
    table = table_of(["a.png", "b.png", "c.png", "d.png"], patient=["p1", "p1", None, None], digest=list("xyyz"))
    groups = image_groups(table)
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_a_pair_of_duplicates_is_one_group_across_classes_patients_and_names():
    table = table_of(["normal/a.png", "covid/b.png", "covid/c.png"], ["normal", "covid", "covid"], ["p1", "p2", None])
    groups = image_groups(table, pd.DataFrame({"a": [0], "b": [1]}))
    assert groups[0] == groups[1] != groups[2]


def test_groups_grow_along_chains_of_patients_and_duplicates():
    table = table_of([f"{name}.png" for name in "abcde"], patient=["p1", "p1", "p2", "p2", None])
    groups = image_groups(table, pd.DataFrame({"a": [1], "b": [2]}))
    assert len(set(groups[:4])) == 1
    assert groups[4] != groups[0]


def test_no_pairs_at_all_change_no_group():
    table = random_table(0)
    np.testing.assert_array_equal(image_groups(table, random_pairs(0)[:0]), image_groups(table))


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_are_what_a_walk_along_everything_shared_reaches(seed):
    table, pairs = random_table(seed, 120), random_pairs(seed, 120)
    ties = {tuple(pair) for pair in pairs[["a", "b"]].to_numpy().tolist()}
    for key in ("patient", "digest", "file"):
        values = table[key].tolist()
        ties |= {(a, b) for a in range(120) for b in range(120) if a < b and values[a] and values[a] == values[b]}
    reached = {row: {row} for row in range(120)}
    for a, b in ties:
        whole = reached[a] | reached[b]
        for row in whole:
            reached[row] = whole
    groups = image_groups(table, pairs)
    assert all(set(np.flatnonzero(groups == groups[row])) == reached[row] for row in range(120))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_grouped_split_never_parts_a_pair_of_duplicates(seed):
    table, pairs = random_table(seed), random_pairs(seed)
    split = make_split(table, "grouped", seed=seed, groups=image_groups(table, pairs))
    names = split.names(len(table))
    assert (names[pairs["a"]] == names[pairs["b"]]).all()


@pytest.mark.parametrize("kind", ["stratified", "random", "article"])
def test_every_other_split_parts_pairs_of_duplicates(kind):
    table, pairs = random_table(0), random_pairs(0)
    names = make_split(table, kind, seed=0, groups=image_groups(table, pairs)).names(len(table))
    assert (names[pairs["a"]] != names[pairs["b"]]).any()


@pytest.mark.parametrize("kind", ["stratified", "random", "article"])
def test_groups_do_not_change_a_split_of_another_kind(kind):
    table = random_table(0)
    with_groups = make_split(table, kind, seed=0, groups=image_groups(table, random_pairs(0)))
    assert sides(with_groups) == sides(make_split(table, kind, seed=0))


def test_a_grouped_split_without_groups_goes_by_patient_content_and_name():
    table = random_table(0)
    by_default = make_split(table, "grouped", seed=0)
    assert sides(by_default) == sides(make_split(table, "grouped", seed=0, groups=image_groups(table)))


def test_duplicates_that_tie_a_class_together_are_too_few_groups_for_a_grouped_split():
    table = table_of([f"{c}/{i}.png" for c in ("normal", "covid") for i in range(10)], ["normal"] * 10 + ["covid"] * 10)
    groups = image_groups(table, pd.DataFrame({"a": range(10, 19), "b": range(11, 20)}))
    with pytest.raises(ValueError, match="at least 3 patients or images per class; 'covid' has 1"):
        make_split(table, "grouped", seed=0, groups=groups)


def test_a_splits_table_says_group_and_side_of_every_file():
    table = table_of([f"{i}.png" for i in range(6)]).assign(path=[f"/x/{i}.png" for i in range(6)], width=9)
    split = Split(np.array([0, 2, 4]), np.array([1]), np.array([3, 5]))
    rows = split_table(table, np.array([7, 8, 7, 9, 7, 9]), split)
    assert list(rows) == ["file", "class_name", "path", "patient", "digest", "group", "split"]
    assert rows["group"].tolist() == [7, 8, 7, 9, 7, 9]
    assert rows["split"].tolist() == ["train", "validation", "train", "test", "train", "test"]
    pd.testing.assert_frame_equal(rows[["file", "path", "digest"]], table[["file", "path", "digest"]])


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_counts_per_class_and_side_are_those_of_the_sides(kind):
    table = random_table(0)
    split = make_split(table, kind, seed=0)
    counts = split_counts(table, split)
    assert list(counts.columns) == ["train", "validation", "test"]
    for side in counts:
        assert counts[side].to_dict() == table["class_name"].iloc[getattr(split, side)].value_counts().to_dict()


def test_a_class_that_a_side_lacks_counts_nothing_there():
    table = pd.DataFrame({"class_name": ["a", "b", "b"]})
    counts = split_counts(table, Split(*(np.array([i]) for i in range(3))))
    assert counts.to_numpy().tolist() == [[1, 0, 0], [0, 1, 1]]


def test_classes_are_counted_in_display_order_however_frequent_they_are():
    table = pd.DataFrame({"class_name": ["virus", "virus", "virus", "covid", "covid", "normal"] * 3})
    counts = split_counts(table, Split(*np.arange(18).reshape(3, 6)))
    assert counts.index.tolist() == ["normal", "covid", "virus"]
    assert counts.to_numpy().tolist() == [[1] * 3, [2] * 3, [3] * 3]


def test_groups_do_not_depend_on_the_tables_index():
    table = random_table(0)
    np.testing.assert_array_equal(image_groups(table), image_groups(table.set_axis(range(1000, 1400))))


def given_table(sides):
    """Twelve images of two classes with a side each."""
    files = [f"{c}/{i}.png" for c in ("normal", "covid") for i in range(6)]
    return table_of(files, [f.split("/")[0] for f in files]).assign(split=sides)


GIVEN = ["train", "test", "validation", "train", "train", "test"] * 2


def test_a_given_split_is_taken_as_it_stands():
    names = make_split(given_table(GIVEN), "given", seed=0).names(12)
    assert names.tolist() == GIVEN


def test_a_given_split_without_validation_draws_it_from_train_by_patients():
    table = pd.concat([given_table(["train", "test", "train", "train", "train", "test"] * 2)] * 3, ignore_index=True)
    patients = [
        f"{row.class_name}-{i % 3}" if row.split == "train" else f"t{i}" for i, row in enumerate(table.itertuples())
    ]
    table = table.assign(
        patient=patients, digest=[str(i) for i in range(len(table))], file=[f"{i}.png" for i in range(36)]
    )
    split = make_split(table, "given", seed=0)
    assert sorted(split.test) == np.flatnonzero(table["split"] == "test").tolist()
    for class_name in ("normal", "covid"):
        assert class_name in set(table["class_name"].iloc[split.validation])
        assert class_name in set(table["class_name"].iloc[split.train])
    assert not set(table["patient"].iloc[split.train]) & set(table["patient"].iloc[split.validation])
    again = make_split(table, "given", seed=0)
    assert again.validation.tolist() == split.validation.tolist()


def test_only_a_data_set_with_sides_of_its_own_offers_the_given_split():
    assert "given" in split_kinds(given_table(GIVEN))
    assert split_kinds(random_table(0)) == DRAWN_KINDS


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (random_table(0), "brings no split of its own"),
        (given_table([None, *GIVEN[1:]]), "leaves images without a side"),
        (given_table(["train", "test", "train", "train", "train", "test", *GIVEN[6:]]), "'normal' in validation"),
    ],
    ids=["none", "a gap", "a class is missing on a side"],
)
def test_a_given_split_that_is_not_whole_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        make_split(table, "given", seed=0)


@pytest.mark.parametrize(
    ("kind", "shares", "table", "message"),
    [
        ("kfold", {}, random_table(0), "split must be one of.*'kfold'"),
        ("random", {"test_share": 0}, random_table(0), "received 0.15 and 0"),
        ("random", {"test_share": 0.9}, random_table(0), "received 0.15 and 0.9"),
        ("random", {"validation_share": 0}, random_table(0), "received 0 and 0.2"),
        ("random", {"validation_share": 0.5, "test_share": 0.5}, random_table(0), "received 0.5 and 0.5"),
        ("random", {}, random_table(0).query("class_name == 'covid'"), "at least two classes.*has 1"),
        (
            "random",
            {},
            pd.concat(
                [random_table(0).query("class_name != 'virus'"), random_table(0).query("class_name == 'virus'")[:4]]
            ),
            "at least 5 images.*'virus' has 4",
        ),
        (
            "grouped",
            {},
            pd.concat([random_table(0), table_of([f"rare/{i}.png" for i in range(9)], "rare", ["one"] * 9)]),
            "at least 3 patients.*'rare' has 1",
        ),
    ],
    ids=["kind", "no test", "shares above one", "no validation", "no train", "one class", "four images", "one patient"],
)
def test_what_cannot_be_split_is_refused_with_the_rule_and_the_value(kind, shares, table, message):
    with pytest.raises(ValueError, match=message):
        make_split(table.reset_index(drop=True), kind, seed=0, **shares)


def test_of_several_classes_that_a_given_side_lacks_the_first_is_named():
    files = [f"{c}/{i}.png" for c in ("normal", "covid", "virus") for i in range(5)]
    table = table_of(files, [f.split("/")[0] for f in files]).assign(split="train")
    with pytest.raises(ValueError, match="no image of class 'covid' in validation"):
        make_split(table, "given", seed=0)


def test_a_split_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        make_split(random_table(0), "random", seed=0).test = np.arange(3)


CASE = Path(__file__).resolve().parents[4] / "shared" / "cases" / "24-few-patients"


@pytest.mark.skipif(not CASE.is_dir(), reason="needs ../shared/cases/24-few-patients")
@pytest.mark.parametrize("patients", [3, 4, 6])
def test_few_patients_per_class_stand_on_every_side(patients, tmp_path):
    table = scan_dataset(CASE / f"patients{patients}.csv", index_dir=tmp_path).table
    for seed in range(40):
        split = make_split(table, "grouped", seed=seed)
        assert (split_counts(table, split) >= 3).to_numpy().all()
        assert pd.Series(split.names(len(table))).groupby(table["patient"]).nunique().max() == 1
        assert leakage_of(split.names(len(table)), table, image_groups(table)).count() == 0


def test_too_few_images_for_a_stratified_side_are_one_sentence_of_our_own():
    names = [f"class{c}" for c in range(6) for _ in range(5)]
    table = table_of([f"{c}/{i}.png" for i, c in enumerate(names)], names)
    counts = split_counts(table, make_split(table, "stratified", seed=0, validation_share=0.2))
    assert counts["test"].tolist() == counts["validation"].tolist() == [1] * 6
    with pytest.raises(ValueError, match="of each of the 6 classes on every side"):
        make_split(table, "stratified", seed=0, validation_share=0.1)


# Folds


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("folds", [2, 5])
def test_over_all_folds_every_image_is_tested_once_and_never_beside_its_group(seed, folds):
    table = random_table(seed)
    groups = image_groups(table, random_pairs(seed))
    tested = []
    for fold in range(1, folds + 1):
        split = make_split(table, "grouped", seed=seed, groups=groups, folds=folds, fold=fold)
        train, validation, test = sides(split)
        assert train | validation | test == set(range(400)) and not train & validation
        for one, other in ((train, test), (validation, test), (train, validation)):
            assert not set(groups[list(one)]) & set(groups[list(other)])
        tested += split.test.tolist()
    assert sorted(tested) == list(range(400))


@pytest.mark.parametrize(
    ("kind", "folds", "fold", "sentence"),
    [
        ("random", 5, 1, "grouped split"),
        ("grouped", 1, 1, "at least 2 folds"),
        ("grouped", 5, 0, "counted from 1"),
        ("grouped", 5, 6, "6 of 5"),
        ("grouped", 0, 2, "at least 2 folds"),
    ],
)
def test_impossible_folds_are_refused(kind, folds, fold, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_split(random_table(0), kind, seed=0, folds=folds, fold=fold)


# One source apart


def of_sources(rows):
    """A table of (source, class, patient) rows."""
    table = pd.DataFrame(rows, columns=["source", "class_name", "patient"])
    names = [f"{i}.png" for i in range(len(table))]
    return table.assign(file=names, path=[f"/data/{name}" for name in names], digest=names)


@pytest.fixture
def three_sources():
    return of_sources([(s, c, f"{s}{c}{i}") for s in ("north", "south", "west") for c in "ab" for i in range(8)])


@pytest.mark.parametrize("source", ["north", "south", "west"])
def test_a_source_is_the_test_side_and_the_others_train_and_validate(three_sources, source):
    split = make_split(three_sources, "source", seed=0, test_source=source)
    names = split.names(len(three_sources))
    assert set(names[three_sources["source"] == source]) == {"test"}
    assert set(names[three_sources["source"] != source]) == {"train", "validation"}
    assert len(split.validation) == pytest.approx(0.15 * 32, abs=2)
    for side in (split.train, split.validation):
        assert set(three_sources["class_name"].iloc[side]) == {"a", "b"}


def test_what_is_tied_to_the_source_never_trains(three_sources):
    # A patient of the north was seen in the south, too.
    three_sources.loc[20, "patient"] = three_sources.loc[0, "patient"]
    split = make_split(three_sources, "source", seed=0, test_source="north")
    assert 20 in split.test and len(split.test) == 17


def test_another_seed_validates_on_others_and_tests_on_the_same(three_sources):
    one, other = (make_split(three_sources, "source", seed=seed, test_source="west") for seed in (0, 1))
    np.testing.assert_array_equal(one.test, other.test)
    assert one.validation.tolist() != other.validation.tolist()


def test_an_unknown_source_is_refused_with_those_there_are(three_sources):
    with pytest.raises(ValueError, match="must be one of north, south, west; received ''"):
        make_split(three_sources, "source", seed=0)


def test_a_source_that_alone_has_a_class_cannot_be_left_out(three_sources):
    alone = three_sources[(three_sources["class_name"] == "a") | (three_sources["source"] == "west")]
    with pytest.raises(ValueError, match="Without west no image of class 'b' is left to train on"):
        make_split(alone.reset_index(drop=True), "source", seed=0, test_source="west")


def test_sources_with_one_patient_of_a_class_can_neither_train_nor_validate_without_the_other():
    rows = [("north", "a", f"a{i}") for i in range(9)] + [("north", "b", "b0")] * 6
    rows += [("south", c, f"s{c}{i}") for c in "ab" for i in range(6)]
    with pytest.raises(ValueError, match="Without south the other sources have too few patients"):
        make_split(of_sources(rows), "source", seed=0, test_source="south")


def test_the_split_by_source_is_offered_apart_since_it_needs_a_source(three_sources):
    assert "source" not in split_kinds(three_sources)


# Sizes: each share is that of all images, whichever way a split is drawn


def single_images(n=600, **columns):
    """N images of three classes by turns, each a group of its own."""
    names = np.array(["normal", "covid", "virus"])[np.arange(n) % 3]
    return pd.DataFrame({
        "file": [f"{i}.png" for i in range(n)], "path": [f"/{i}.png" for i in range(n)], "class_name": names,
        "digest": [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)], "patient": None,
    } | columns)  # fmt: skip


@pytest.mark.parametrize(("validation_share", "test_share"), [(0.1, 0.3), (0.3, 0.1), (0.2, 0.2)])
def test_a_grouped_split_has_the_shares_of_all_images(validation_share, test_share):
    split = make_split(single_images(), "grouped", seed=1, validation_share=validation_share, test_share=test_share)
    assert len(split.validation) / 600 == pytest.approx(validation_share, abs=0.02)
    assert len(split.test) / 600 == pytest.approx(test_share, abs=0.02)


@pytest.mark.parametrize("folds", [2, 3, 4, 5])
def test_folds_are_of_equal_size_and_each_validates_its_share_of_all_images(folds):
    tested = []
    for fold in range(1, folds + 1):
        split = make_split(single_images(), "grouped", seed=1, folds=folds, fold=fold, validation_share=0.1)
        assert len(split.test) == pytest.approx(600 / folds, abs=6)
        assert len(split.validation) == pytest.approx(60, abs=6)
        tested += split.test.tolist()
    assert sorted(tested) == list(range(600))


def test_a_source_split_validates_its_share_of_the_images_of_other_sources():
    table = single_images(source=np.where(np.arange(600) < 150, "north", "south"))
    split = make_split(table, "source", seed=0, test_source="north", validation_share=0.2)
    assert split.test.tolist() == list(range(150))
    assert len(split.validation) == pytest.approx(90, abs=6)


def test_a_given_split_without_validation_gives_it_the_share_of_all_that_training_leaves():
    table = single_images(split=np.where(np.arange(600) < 120, "test", "train"))
    before = table["split"].copy()
    split = make_split(table, "given", seed=0, validation_share=0.1, test_share=0.5)
    # A tenth of all would be a fifth of a half: so much of the training images validates.
    assert len(split.validation) == pytest.approx(0.2 * 480, abs=6)
    assert split.test.tolist() == list(range(120))
    assert table["split"].equals(before)


@pytest.mark.parametrize(
    ("folds", "groups", "sentence"),
    [
        (0, 2, r"A grouped split needs at least 3 patients .* 'virus' has 2\. Choose the stratified split instead\."),
        (2, 3, r"A split into 2 folds needs at least 4 .* 'virus' has 3\. Choose the stratified split instead\."),
        (3, 2, r"A split into 3 folds needs at least 3 .* 'virus' has 2\. Choose the stratified split instead\."),
        (4, 3, r"A split into 4 folds needs at least 4 .* 'virus' has 3\. Choose fewer folds\."),
        (5, 4, r"A split into 5 folds needs at least 5 .* 'virus' has 4\. Choose fewer folds\."),
    ],
)
def test_too_few_groups_are_told_with_what_to_do(folds, groups, sentence):
    table = single_images(60)
    virus = table["class_name"] == "virus"
    table.loc[virus, "patient"] = [f"v{i % groups}" for i in range(int(virus.sum()))]
    with pytest.raises(ValueError, match=sentence):
        make_split(table, "grouped", seed=0, folds=folds, fold=1 if folds else 0)


@pytest.mark.parametrize(("folds", "groups"), [(0, 3), (2, 4), (3, 3), (4, 4)])
def test_as_many_groups_as_are_asked_for_are_enough(folds, groups):
    table = single_images(60)
    virus = table["class_name"] == "virus"
    table.loc[virus, "patient"] = [f"v{i % groups}" for i in range(int(virus.sum()))]
    split = make_split(table, "grouped", seed=0, folds=folds, fold=1 if folds else 0)
    for side in (split.train, split.validation, split.test):
        assert set(table["class_name"].iloc[side]) == {"normal", "covid", "virus"}


def test_images_that_the_start_has_seen_only_train():
    names = pd.Series(["a", "b"] * 6)
    split = Split(np.arange(4), np.arange(4, 8), np.arange(8, 12))
    moved = move_to_training(split, np.isin(np.arange(12), [0, 4, 9]), names)
    assert moved.train.tolist() == [0, 1, 2, 3, 4, 9]
    assert moved.validation.tolist() == [5, 6, 7]
    assert moved.test.tolist() == [8, 10, 11]


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [([5, 7], "none of class 'b' is left for validation"), ([8, 9, 10, 11], "none of class 'a' is left for test")],
)
def test_a_side_that_the_start_has_seen_whole_is_refused(seen, sentence):
    names = pd.Series(["a", "b"] * 6)
    split = Split(np.arange(4), np.arange(4, 8), np.arange(8, 12))
    with pytest.raises(ValueError, match=sentence):
        move_to_training(split, np.isin(np.arange(12), seen), names)
