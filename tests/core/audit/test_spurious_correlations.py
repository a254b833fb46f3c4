"""spurious_correlations.py on constructed file facts whose answer is known."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from cxr_core.audit import spurious_correlations
from cxr_core.audit.spurious_correlations import FACT_TITLES, find_spurious_correlations
from cxr_core.data.dataset import scan_dataset
from cxr_core.splits.split import image_groups

pytestmark = pytest.mark.usefixtures("small_forests")


def facts_of(class_names, seed=0, **columns):
    """A table and measures in which nothing but what `columns` say tells the class."""
    rng, n = np.random.default_rng(seed), len(class_names)
    table = pd.DataFrame({"class_name": class_names, "width": 512, "height": 512, "format": "JPEG"})
    shares = rng.dirichlet(np.ones(32), n)
    measures = pd.DataFrame(shares, columns=[f"hist_{i:02d}" for i in range(32)]).assign(
        aspect=1.0, bytes_per_pixel=rng.uniform(0.1, 0.3, n), black_frame=0.0, white_frame=0.0, error=None
    )
    for name, values in columns.items():
        (table if name in table else measures)[name] = values
    return table, measures


def three_classes(n=90):
    return np.array(["normal", "covid", "virus"])[np.arange(n) % 3]


def report(table, measures, groups=None, **options):
    return find_spurious_correlations(table, measures, np.arange(len(table)) if groups is None else groups, **options)


def test_every_forest_that_was_scored_is_told_of():
    told = []
    answer = report(*facts_of(three_classes()), progress=lambda *counts: told.append(counts))
    models = 1 + len(FACT_TITLES)
    assert told == [(done, models * answer.folds) for done in range(1, models * answer.folds + 1)]


def test_what_was_scored_once_is_kept_and_other_facts_labels_groups_or_seeds_are_scored_anew(tmp_path):
    told = []

    def scored(table, measures, groups=None, **options):
        told.clear()
        paths = table.assign(path=[f"{i}.png" for i in range(len(table))])
        answer = report(paths, measures, groups, progress=lambda *counts: told.append(counts), **options)
        return answer, bool(told)

    table, measures = facts_of(three_classes(30))
    first, again = (scored(table, measures, cache_dir=tmp_path) for _ in range(2))
    assert first == (report(table, measures), True) and again == (first[0], False)
    for other in (
        (table.assign(width=range(30)), measures),
        (table.assign(class_name=three_classes(30)[::-1]), measures),
        (table, measures, np.arange(30) // 2),
    ):
        assert scored(*other, cache_dir=tmp_path)[1]
    assert scored(table, measures, seed=1, cache_dir=tmp_path)[1]
    # Where nobody names a cache, nothing is kept.
    assert scored(table, measures)[1]


def score(answer, fact):
    return next(s for s in answer.top if s.fact == fact)


@pytest.fixture
def unscored(monkeypatch):
    """No forest grows: every fact is right nine times in ten, for tests of what else is said."""
    monkeypatch.setattr(spurious_correlations, "_accuracy", lambda *_: 0.9)


@pytest.fixture(scope="module")
def size_tells(small_forests):
    """Each class has a size of its own; everything else is noise."""
    names = three_classes()
    widths = pd.Series(names).map({"normal": 100, "covid": 200, "virus": 300}).to_numpy()
    return report(*facts_of(names, width=widths))


@pytest.fixture(scope="module")
def nothing_tells(small_forests):
    return report(*facts_of(three_classes(240)))


def test_a_size_that_determines_the_class_predicts_it_always(size_tells):
    assert score(size_tells, "size").accuracy == 1
    assert size_tells.accuracy > 0.75


def test_the_most_telling_fact_comes_first(size_tells):
    assert size_tells.top[0].fact == "size"
    shares = [s.accuracy for s in size_tells.top]
    assert shares == sorted(shares, reverse=True)


def test_every_fact_is_tried_alone(size_tells):
    assert {s.fact for s in size_tells.top} == set(FACT_TITLES)


def test_a_fact_that_is_the_same_for_all_does_not_beat_chance(size_tells):
    assert not score(size_tells, "format").beats_chance


def test_noise_predicts_no_better_than_chance(nothing_tells):
    assert nothing_tells.accuracy == pytest.approx(1 / 3, abs=0.1)
    assert "do not give the class away" in nothing_tells.sentences[0]


def test_noise_is_said_in_one_sentence(nothing_tells):
    assert len(nothing_tells.sentences) == 1


def test_shuffled_labels_take_a_telling_size_back_to_chance():
    names = np.random.default_rng(1).permutation(three_classes(240))
    answer = report(*facts_of(names, width=100 + 100 * (np.arange(240) % 3)))
    assert score(answer, "size").accuracy == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize(
    ("fact", "columns"),
    [
        ("format", {"format": ["JPEG", "PNG", "BMP"]}),
        ("aspect", {"aspect": [0.8, 1.0, 1.2]}),
        ("bytes_per_pixel", {"bytes_per_pixel": [0.1, 0.2, 0.3]}),
        ("frame", {"black_frame": [0.0, 0.1, 0.2]}),
        ("frame", {"white_frame": [0.0, 0.1, 0.2]}),
        ("histogram", {"hist_07": [0.0, 0.5, 0.9]}),
    ],
)
def test_the_fact_that_differs_is_the_one_found(fact, columns, monkeypatch):
    # One telling bin among 32 is not seen by every tree.
    monkeypatch.setattr(spurious_correlations, "_TREES", 10)
    values = {name: np.array(v)[np.arange(60) % 3] for name, v in columns.items()}
    answer = report(*facts_of(three_classes(60), **values))
    assert answer.top[0].fact == fact
    assert answer.top[0].accuracy > 0.75


@pytest.mark.parametrize(
    ("accuracy", "beats"), [(0.6875, False), (np.nextafter(0.6875, 1), True), (np.nextafter(0.6875, 0), False)]
)
def test_a_fact_beats_chance_by_more_than_three_standard_errors_of_the_groups(accuracy, beats, monkeypatch):
    # 64 groups of two images in two equal classes: the standard error is sqrt(0.5 * 0.5 / 64) = 0.0625.
    n_groups, chance = 64, 0.5
    assert chance + 3 * binom(n_groups, chance).std() / n_groups == 0.6875
    names, groups = np.repeat(["normal", "covid"], 64), np.arange(128) // 2
    monkeypatch.setattr(spurious_correlations, "_accuracy", lambda *_: accuracy)
    answer = report(*facts_of(names), groups=groups)
    assert answer.chance == chance
    assert [s.beats_chance for s in answer.top] == [beats] * len(FACT_TITLES)
    assert ("without any shape in the image" in answer.sentences[0]) is beats


@pytest.mark.parametrize(
    ("n_groups", "said"),
    [
        # The bound is 0.5 + 3 * sqrt(0.25 / groups).
        (8, "is open: .* not even 100 % would be"),
        (64, "is open: .* only more than 69 % would be"),
        (224, "is open"),
        (226, "do not give the class away"),
    ],
)
def test_few_images_never_clear_the_file_facts(n_groups, said, monkeypatch):
    monkeypatch.setattr(spurious_correlations, "_accuracy", lambda *_: 0.5)
    answer = report(*facts_of(np.repeat(["normal", "covid"], n_groups // 2)))
    assert re.search(said, answer.sentences[0])


def test_a_fact_that_tells_alone_is_not_denied_by_all_together(monkeypatch):
    # The 32 bins of the histogram are a fact of their own.
    monkeypatch.setattr(spurious_correlations, "_accuracy", lambda values, *_: 0.9 if values.shape[1] == 32 else 0.5)
    answer = report(*facts_of(np.repeat(["normal", "covid"], 200)))
    assert [s.fact for s in answer.top if s.beats_chance] == ["histogram"]
    assert answer.sentences[0].startswith(
        "At least one property of the files gives the class away by itself; all together"
    )
    assert answer.sentences[1].startswith("The mix of grey values alone predicts the class correctly 90 %")


def test_the_standard_error_is_that_of_an_unequal_chance_too(monkeypatch):
    # Always naming the larger class is right in 3 of 4.
    names = ["normal"] * 75 + ["covid"] * 25
    limit = 0.75 + 3 * binom(100, 0.75).std() / 100
    for accuracy, beats in ((limit - 1e-9, False), (limit + 1e-9, True)):
        monkeypatch.setattr(spurious_correlations, "_accuracy", lambda *_, accuracy=accuracy: accuracy)
        assert all(s.beats_chance is beats for s in report(*facts_of(names)).top)


def test_chance_is_the_share_of_the_largest_class(unscored):
    answer = report(*facts_of(["normal"] * 30 + ["covid"] * 10))
    assert (answer.chance, answer.majority) == (0.75, "normal")


def test_what_only_a_patient_has_in_common_is_not_learnt():
    # Every patient has sizes of its own, and nothing of them carries over to another patient.
    patients = np.arange(80) // 8
    names = np.where(patients % 2 == 0, "normal", "covid")
    widths = 100 + np.random.default_rng(0).permutation(10)[patients] * 10
    table, measures = facts_of(names, width=widths)
    by_image = score(report(table, measures), "size").accuracy
    by_patient = score(report(table, measures, groups=patients), "size").accuracy
    assert by_image == 1
    assert by_patient < 0.8


def test_the_same_seed_gives_the_same_answer():
    table, measures = facts_of(three_classes(60))
    assert report(table, measures, seed=3) == report(table, measures, seed=3)


def test_the_answer_does_not_depend_on_the_tables_index():
    table, measures = facts_of(three_classes(60))
    table.index = np.arange(60)[::-1] + 7
    assert report(table, measures) == report(table.reset_index(drop=True), measures)


def test_the_sentence_says_what_is_typical_of_a_class_and_what_it_gives_away(unscored):
    names = ["virus"] * 50 + ["covid"] * 50
    widths = [512] * 48 + [300, 301] + [512] * 10 + list(range(600, 640))
    answer = report(*facts_of(names, width=widths, height=widths))
    size = score(answer, "size").accuracy
    said = f"image size alone predicts the class correctly {100 * size:.0f} % of the time (chance 50 %)."
    assert f"96 % of Viral images are 512 × 512 pixels, but 20 % of COVID-19; {said}" in answer.sentences


def test_all_and_none_are_said_in_words(unscored):
    names = three_classes()
    formats = np.where(names == "covid", "PNG", "JPEG")
    sentences = report(*facts_of(names, format=formats)).sentences
    expected = "All Normal and Viral images are JPEG files, but none of the COVID-19 images; the file format alone"
    assert any(s.startswith(expected) for s in sentences)


def test_almost_all_is_never_rounded_to_all(unscored):
    names = ["virus"] * 500 + ["covid"] * 500
    widths = [512] * 499 + [300] + list(range(600, 1099)) + [512]
    sentences = " ".join(report(*facts_of(names, width=widths)).sentences)
    assert "over 99 % of Viral images are 512 × 512 pixels, but under 1 % of COVID-19" in sentences


def test_the_sizes_of_one_class_alone_make_no_sentence_when_the_others_share_them(unscored):
    assert not any("512" in s for s in report(*facts_of(three_classes(60))).sentences)


def test_one_class_gives_no_accuracy_and_a_sentence():
    answer = report(*facts_of(["normal"] * 20))
    assert (answer.accuracy, answer.top, answer.folds) == (None, (), 0)
    assert answer.sentences == ("There is only one class, Normal, so nothing can give it away.",)


def test_no_images_give_a_sentence():
    answer = report(*facts_of([]))
    assert (answer.accuracy, answer.chance, answer.images) == (None, None, 0)
    assert answer.sentences[0].startswith("There are no images")


def test_classes_of_one_image_each_give_no_accuracy_and_a_sentence():
    answer = report(*facts_of(["normal", "covid"]))
    assert answer.accuracy is None
    assert answer.sentences[0].startswith("Whether facts about the files")


def test_a_class_of_one_image_is_left_out_and_named(unscored):
    answer = report(*facts_of(["normal", "covid"] * 15 + ["virus"]))
    assert answer.images == 30
    assert answer.notes == ("Viral was left out: a class needs at least two patients or images.",)


def test_a_class_of_few_groups_gets_fewer_folds(unscored):
    answer = report(*facts_of(["normal"] * 30 + ["covid"] * 3))
    assert answer.folds == 3


def test_facts_that_are_equal_for_all_give_nothing_away():
    table, measures = facts_of(three_classes(60))
    measures = measures.assign(**{name: 0.5 for name in measures.columns if name != "error"})
    answer = report(table, measures)
    assert answer.accuracy <= answer.chance + 0.1
    assert not any(s.beats_chance for s in answer.top)


def test_images_without_measures_are_left_out_and_counted(unscored):
    table, measures = facts_of(three_classes(60))
    measures.loc[[3, 4], [c for c in measures.columns if c != "error"]] = np.nan
    answer = report(table, measures)
    assert answer.images == 58
    assert answer.notes == ("2 images could not be measured and were left out.",)


def test_one_image_without_measures_is_told_of_in_the_singular(unscored):
    table, measures = facts_of(three_classes(60))
    measures.loc[3, "aspect"] = np.nan
    assert report(table, measures).notes == ("1 image could not be measured and was left out.",)


def test_a_large_data_set_is_sampled_and_says_so(unscored, monkeypatch):
    monkeypatch.setattr(spurious_correlations, "MAX_IMAGES", 30)
    answer = report(*facts_of(three_classes()))
    assert answer.images == 30
    assert answer.notes == ("Measured on about 30 of 90 images, drawn by class.",)


@pytest.mark.parametrize("seed", range(12))
def test_odd_groups_never_break_the_folds(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 25))
    table, measures = facts_of(rng.choice(["normal", "covid", "virus"], n), seed)
    answer = report(table, measures, groups=rng.integers(0, rng.integers(1, 8), n))
    assert answer.accuracy is None or 0 <= answer.accuracy <= 1


def test_lengths_that_differ_are_refused():
    table, measures = facts_of(three_classes())
    with pytest.raises(ValueError, match="90, 90 and 3"):
        find_spurious_correlations(table, measures, np.arange(3))


def test_the_dictionary_is_plain_json(size_tells):
    values = json.loads(json.dumps(size_tells.to_dict(), allow_nan=False))
    assert {"accuracy", "chance", "top"} <= set(values)
    assert values["top"][0] == {"fact": "size", "title": "Image size", "accuracy": 1.0}


def test_the_dictionary_of_an_undefined_answer_is_plain_json():
    values = json.loads(json.dumps(report(*facts_of(["normal"] * 20)).to_dict(), allow_nan=False))
    assert values["accuracy"] is None


def test_size_gives_real_public_radiographs_away(real_radiographs):
    # 512 × 512 are all Normal and Viral images of this copy, and next to none of COVID-19.
    table = scan_dataset(real_radiographs[0].parents[1]).table
    _, measures = facts_of(table["class_name"])
    answer = find_spurious_correlations(table, measures, image_groups(table))
    assert score(answer, "size").accuracy > 0.6
    assert any(s.startswith("All Normal and Viral images are 512 × 512 pixels") for s in answer.sentences)


def test_a_class_whose_histograms_were_equalised_is_named(unscored):
    names = three_classes()
    table, measures = facts_of(names)
    bins = [f"hist_{i:02d}" for i in range(32)]
    rng = np.random.default_rng(0)
    for row in np.flatnonzero(names != "covid"):
        # A black frame fills the first bin; the rest is as even as an equalised image.
        even = np.array([5.0, *np.ones(31)]) * rng.uniform(0.98, 1.02, 32)
        measures.loc[row, bins] = even / even.sum()
    answer = report(table, measures)
    expected = (
        "All Normal and Viral images are histogram-equalised (all grey values equally frequent), but none of the "
        "COVID-19 images; the mix of grey values alone predicts the class correctly"
    )
    assert any(sentence.startswith(expected) for sentence in answer.sentences)


@pytest.mark.parametrize("equalised", [False, True], ids=["none", "all"])
def test_where_no_class_differs_nothing_is_said_of_equalising(unscored, equalised):
    table, measures = facts_of(three_classes())
    if equalised:
        measures[[f"hist_{i:02d}" for i in range(32)]] = 1 / 32
    assert not any("equalised" in sentence for sentence in report(table, measures).sentences)
