"""Groups are drawn whole, every class into every part, and the same however many other groups there are."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cxr_core.splits.split import make_split
from cxr_core.splits.stable_draw import draw_parts

few = settings(max_examples=25)
# The images of each group: mostly of one class, sometimes of several.
sizes = st.integers(1, 9)
groups_of_images = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), sizes).map(lambda told: {told[0]: told[1]}),
        st.dictionaries(st.integers(0, 3), sizes, min_size=2, max_size=3),
    ),
    min_size=6,
    max_size=30,
)
seeds = st.integers(0, 2**31)


def table_of(groups):
    """A table of the images of groups, each a dict of class to count, and the group of every row."""
    rows = [(g, f"class{c}") for g, held in enumerate(groups) for c, count in held.items() for _ in range(count)]
    table = pd.DataFrame(rows, columns=["group", "class_name"])
    table["file"] = [f"{row.class_name}/{i}.png" for i, row in enumerate(table.itertuples())]
    names = [f"{row.group}-{i}" for i, row in enumerate(table.itertuples())]
    return table.assign(patient=None, digest=names), table["group"].to_numpy()


def counts_of(groups, n_classes):
    counts = np.array([[held.get(c, 0) for c in range(n_classes)] for held in groups])
    return pd.DataFrame(counts).assign(digest=[f"d{g}" for g in range(len(groups))])


def possible(groups, n_parts):
    """Whether some way has every class in every part; all are tried."""
    held = [set(group) for group in groups]
    states = {frozenset()}
    for classes in held:
        states = {state | {(c, part) for c in classes} for state in states for part in range(n_parts)}
    return any(len(state) == n_parts * len(set().union(*held)) for state in states)


@few
@given(groups_of_images, seeds)
def test_no_group_is_on_two_sides_and_every_class_is_on_every_side(groups, seed):
    table, numbers = table_of(groups)
    classes = table["class_name"]
    per_class = table.groupby("class_name")["group"].nunique()
    assume(len(per_class) > 1 and classes.value_counts().min() >= 5)
    try:
        split = make_split(table, "grouped", seed=seed, groups=numbers)
    except ValueError as error:
        assert "Choose the stratified split instead" in str(error)
        # A class with three groups of its own can always stand on every side.
        own = [sum(set(group) == {int(name[-1])} for group in groups) for name in per_class.index]
        assert per_class.min() < 3 or min(own) < 3
        return
    names = pd.Series(split.names(len(table)))
    assert names.ne("").all()
    assert names.groupby(numbers).nunique().max() == 1
    assert (pd.crosstab(classes.to_numpy(), names.to_numpy()) > 0).to_numpy().all()
    assert pd.crosstab(classes.to_numpy(), names.to_numpy()).shape[1] == 3


@few
@given(st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=4, max_size=7), seeds)
def test_a_way_is_found_exactly_where_there_is_one(held, seed):
    groups = [dict.fromkeys(classes, 1) for classes in held]
    counts = counts_of(groups, 3)
    counts = counts.loc[:, [name for name in counts if name == "digest" or counts[name].sum()]]
    try:
        parts = draw_parts(counts, [0.65, 0.15, 0.2], seed, purpose="sides")
    except LookupError:
        assert not possible(groups, 3)
        return
    holding = counts.drop(columns="digest").to_numpy() > 0
    assert all(holding[parts == part].any(axis=0).all() for part in range(3))


def test_a_search_without_end_is_given_up():
    # Nine groups, and every three of them are the groups of a class: some class always has two on one side.
    triples = list(combinations(range(9), 3))
    groups = [{c: 1 for c, triple in enumerate(triples) if g in triple} for g in range(9)]
    with pytest.raises(LookupError):
        draw_parts(counts_of(groups, len(triples)), [0.65, 0.15, 0.2], 0, purpose="sides")


@few
@given(groups_of_images, seeds)
def test_the_same_seed_draws_the_same_in_whatever_order_the_groups_come(groups, seed):
    table, numbers = table_of(groups)
    turned = table[::-1].reset_index(drop=True)
    assume(table["class_name"].nunique() > 1 and table["class_name"].value_counts().min() >= 5)
    try:
        names = make_split(table, "grouped", seed=seed, groups=numbers).names(len(table))
    except ValueError:
        return
    again = make_split(turned, "grouped", seed=seed, groups=-numbers[::-1]).names(len(table))
    assert (names == again[::-1]).all()


def many_groups(n, seed=0):
    """Groups of one to four images in three classes; some hold two classes."""
    rng = np.random.default_rng(seed)
    return [
        dict.fromkeys(rng.choice(3, 2 if i % 20 == 0 else 1, replace=False).tolist(), int(rng.integers(1, 5)))
        for i in range(n)
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("folds", [0, 4])
def test_one_image_less_moves_next_to_no_other(seed, folds):
    table, numbers = table_of(many_groups(300))
    options = {"folds": folds, "fold": 2} if folds else {}
    before = pd.Series(make_split(table, "grouped", seed=seed, groups=numbers, **options).names(len(table)))
    for row in np.random.default_rng(seed).integers(0, len(table), 12):
        kept = table.drop(index=row)
        split = make_split(kept.reset_index(drop=True), "grouped", seed=seed, groups=numbers[kept.index], **options)
        after = pd.Series(split.names(len(kept)), index=kept.index)
        others = numbers[kept.index] != numbers[row]
        moved = after != before[kept.index]
        # At each cut of a row, one group or two: two cuts for three sides, and further ones between folds.
        assert moved[others].sum() <= (24 if folds else 12)
        assert moved.mean() < 0.03


def test_one_image_more_moves_next_to_no_other():
    table, numbers = table_of(many_groups(300))
    fewer, some = table_of(many_groups(299))
    before = make_split(fewer, "grouped", seed=0, groups=some).names(len(fewer))
    after = make_split(table, "grouped", seed=0, groups=numbers).names(len(table))[: len(fewer)]
    assert (before != after).mean() < 0.02


@pytest.mark.parametrize("shares", [(0.15, 0.2), (0.1, 0.3), (0.3, 0.28), (0.1, 0.76)])
@pytest.mark.parametrize("seed", range(3))
def test_every_class_comes_within_a_group_of_the_shares_asked_for(shares, seed):
    table, numbers = table_of(many_groups(400, seed))
    split = make_split(table, "grouped", seed=seed, groups=numbers, validation_share=shares[0], test_share=shares[1])
    counts = pd.crosstab(table["class_name"].to_numpy(), split.names(len(table)))
    wanted = np.outer(counts.sum(axis=1), shares)
    np.testing.assert_allclose(counts[["validation", "test"]], wanted, atol=20)
    np.testing.assert_allclose(counts[["validation", "test"]].sum() / len(table), shares, atol=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_a_patient_with_most_of_a_class_trains_and_leaves_the_others_for_the_test(seed):
    groups = [{0: 60}] + [{0: 1}] * 40 + [{1: 1}] * 60
    table, numbers = table_of(groups)
    split = make_split(table, "grouped", seed=seed, groups=numbers)
    assert (numbers[split.train] == 0).sum() == 60
    assert 15 <= (table["class_name"].iloc[split.test] == "class0").sum() <= 25


def test_which_images_test_is_drawn_anew_by_every_seed():
    table, numbers = table_of(many_groups(200))
    tested = sum(
        np.isin(np.arange(len(table)), make_split(table, "grouped", seed=seed, groups=numbers).test)
        for seed in range(40)
    )
    # Each image is tested in about a fifth of the draws; the chance of none or of more than 22 of 40 is below 2e-4.
    assert (tested == 0).mean() < 0.01 and (tested > 22).mean() < 0.01


@few
@given(st.integers(2, 6), seeds, st.integers(0, 4))
def test_every_fold_tests_every_class(folds, seed, more):
    fewest = max(3, folds) if folds != 2 else 4
    table, numbers = table_of([{c: 2} for c in range(3) for _ in range(fewest + more)])
    tested = []
    for fold in range(1, folds + 1):
        split = make_split(table, "grouped", seed=seed, groups=numbers, folds=folds, fold=fold)
        counts = pd.crosstab(table["class_name"].to_numpy(), split.names(len(table)))
        assert counts.shape == (3, 3) and (counts > 0).to_numpy().all()
        tested += split.test.tolist()
    assert sorted(tested) == list(range(len(table)))


def test_more_folds_than_patients_are_refused_with_the_number_it_takes():
    table, numbers = table_of([{0: 2}] * 4 + [{1: 2}] * 9)
    with pytest.raises(ValueError, match="5 folds needs at least 5 patients.*'class0' has 4. Choose fewer folds"):
        make_split(table, "grouped", seed=0, groups=numbers, folds=5, fold=1)


def test_patients_of_several_classes_that_allow_no_split_are_one_sentence():
    # A and B share two patients each: a third of A, of B and of C would have to be on two sides.
    held = [{0, 1}, {0, 1}, {0, 2}, {1, 2}, {2}]
    table, numbers = table_of([dict.fromkeys(classes, 3) for classes in held])
    assert not possible([dict.fromkeys(c, 1) for c in held], 3)
    with pytest.raises(ValueError, match="Too many patients have images of several classes"):
        make_split(table, "grouped", seed=0, groups=numbers)
