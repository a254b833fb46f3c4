"""metrics.py against scikit-learn."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.evaluation.confidence_intervals import curve_bands
from cxr_core.evaluation.metrics import (
    class_curves,
    evaluate_predictions,
    figure_text,
    lowest_recall,
    report_table,
    report_with_intervals,
    roc_curves,
)
from cxr_core.evaluation.predictions import (
    compare_predictions,
    known_by_name,
    most_confident_mistakes,
    prediction_groups,
    predictions_table,
    rescale_predictions,
    sample_predictions,
    table_probabilities,
)
from cxr_core.evaluation.scoring import answers_of, classify_table, score_folders, score_predictions
from cxr_core.inference.classifier import load_classifier

CLASSES = ("normal", "covid", "virus")


def random_case(seed, n=120):
    """True names and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    scores = rng.normal(0, 1, (n, 3)) + 1.5 * np.eye(3)[truth]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return np.array(CLASSES)[truth], probabilities


@pytest.fixture(params=range(4))
def case(request):
    return random_case(request.param)


def predicted(probabilities):
    return np.array(CLASSES)[probabilities.argmax(axis=1)]


def test_accuracy_is_scikit_learns(case):
    assert evaluate_predictions(*case, CLASSES)["accuracy"] == sk.accuracy_score(case[0], predicted(case[1]))


def test_the_confusion_matrix_is_scikit_learns_rows_true_columns_predicted(case):
    expected = sk.confusion_matrix(case[0], predicted(case[1]), labels=list(CLASSES)).tolist()
    assert evaluate_predictions(*case, CLASSES)["confusion_matrix"] == expected


def test_precision_recall_f1_and_support_are_scikit_learns(case):
    per_class = evaluate_predictions(*case, CLASSES)["per_class"]
    report = sk.classification_report(case[0], predicted(case[1]), output_dict=True, zero_division=0)
    for name in CLASSES:
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("support",) * 2):
            assert per_class[name][ours] == pytest.approx(report[name][theirs], abs=1e-12)


def test_the_auc_of_a_class_is_scikit_learns(case):
    per_class = evaluate_predictions(*case, CLASSES)["per_class"]
    for i, name in enumerate(CLASSES):
        assert per_class[name]["auc"] == pytest.approx(sk.roc_auc_score(case[0] == name, case[1][:, i]), abs=1e-12)


def test_the_result_names_its_images_and_classes(case):
    result = evaluate_predictions(*case, CLASSES)
    assert (result["n"], result["classes"]) == (120, list(CLASSES))


@pytest.mark.filterwarnings("error")
def test_a_class_without_images_is_none_and_not_an_error():
    truth, probabilities = random_case(0)
    here = truth != "virus"
    result = evaluate_predictions(truth[here], probabilities[here], CLASSES)["per_class"]["virus"]
    assert (result["recall"], result["auc"], result["support"]) == (None, None, 0)


def test_a_class_never_predicted_has_no_precision():
    probabilities = np.tile([0.9, 0.06, 0.04], (6, 1))
    result = evaluate_predictions(["normal", "covid", "virus"] * 2, probabilities, CLASSES)["per_class"]
    assert result["virus"]["precision"] is None
    assert result["virus"]["recall"] == 0


@pytest.mark.filterwarnings("error")
def test_a_data_set_of_one_class_is_scored():
    result = evaluate_predictions(["covid"] * 4, np.tile([0.2, 0.7, 0.1], (4, 1)), CLASSES)
    assert result["accuracy"] == 1
    assert result["per_class"]["covid"]["auc"] is None
    assert roc_curves(["covid"] * 4, np.tile([0.2, 0.7, 0.1], (4, 1)), CLASSES) == {}


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [([], 0, "no image"), (["normal", "asthma"], 2, "also has asthma"), (["normal"], 2, "received 2 for 1")],
)
def test_what_cannot_be_scored_is_refused(names, rows, message):
    with pytest.raises(ValueError, match=message):
        evaluate_predictions(names, np.full((rows, 3), 1 / 3), CLASSES)


@pytest.mark.parametrize("alone", [True, False], ids=["one image of the class", "one image of another"])
def test_one_image_on_a_side_is_enough_for_a_curve_and_its_area(alone):
    truth = ["covid"] + ["normal"] * 3 if alone else ["normal"] + ["covid"] * 3
    scores = np.array([0.6, 0.7, 0.2, 0.1])
    probabilities = np.column_stack([1 - scores, scores, np.zeros(4)])
    expected = sk.roc_auc_score(np.array(truth) == "covid", scores)
    assert evaluate_predictions(truth, probabilities, CLASSES)["per_class"]["covid"]["auc"] == pytest.approx(expected)
    assert roc_curves(truth, probabilities, CLASSES)["covid"]["auc"] == pytest.approx(expected)


def test_the_roc_curve_of_a_class_is_scikit_learns(case):
    curves = roc_curves(*case, CLASSES)
    for i, name in enumerate(CLASSES):
        fpr, tpr, _ = sk.roc_curve(case[0] == name, case[1][:, i])
        np.testing.assert_array_equal(curves[name]["fpr"], fpr)
        np.testing.assert_array_equal(curves[name]["tpr"], tpr)
        assert curves[name]["auc"] == sk.auc(fpr, tpr)


def test_the_micro_average_is_scikit_learns(case):
    hot = np.array([case[0] == name for name in CLASSES]).T
    micro = roc_curves(*case, CLASSES)["micro"]
    fpr, tpr, _ = sk.roc_curve(hot.ravel(), case[1].ravel())
    np.testing.assert_array_equal(micro["fpr"], fpr)
    np.testing.assert_array_equal(micro["tpr"], tpr)
    assert micro["auc"] == pytest.approx(sk.roc_auc_score(hot, case[1], average="micro"), abs=1e-12)


def test_the_macro_average_interpolates_every_class_at_all_false_positive_rates(case):
    macro = roc_curves(*case, CLASSES)["macro"]
    curves = [sk.roc_curve(case[0] == name, case[1][:, i])[:2] for i, name in enumerate(CLASSES)]
    grid = np.unique(np.concatenate([fpr for fpr, _ in curves]))
    mean = np.mean([np.interp(grid, fpr, tpr) for fpr, tpr in curves], axis=0)
    np.testing.assert_allclose(np.interp(grid, macro["fpr"], macro["tpr"]), mean)
    assert (macro["fpr"][0], macro["tpr"][0]) == (0, 0)


def test_the_macro_auc_is_scikit_learns_mean_of_the_classes(case):
    hot = np.array([case[0] == name for name in CLASSES]).T
    expected = sk.roc_auc_score(hot, case[1], average="macro")
    assert roc_curves(*case, CLASSES)["macro"]["auc"] == pytest.approx(expected, abs=1e-12)


def test_the_macro_auc_of_few_images_does_not_flatter():
    """Read off the interpolated curve it would be larger than the mean of the classes by 0.03 on average."""
    flattery = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = np.repeat(CLASSES, 5)
        probabilities = rng.dirichlet(np.ones(3), 15)
        curves = roc_curves(truth, probabilities, CLASSES)
        macro = curves["macro"]
        assert macro["auc"] == pytest.approx(np.mean([curves[name]["auc"] for name in CLASSES]), abs=1e-12)
        flattery.append(sk.auc(macro["fpr"], macro["tpr"]) - macro["auc"])
    assert np.mean(flattery) > 0.01


def test_a_class_without_positives_has_no_curve():
    truth, probabilities = random_case(0)
    here = truth != "virus"
    assert set(roc_curves(truth[here], probabilities[here], CLASSES)) == {"normal", "covid", "micro", "macro"}


def test_the_table_has_one_row_per_image_with_its_probabilities(case):
    files = [f"{i}.png" for i in range(len(case[0]))]
    table = predictions_table(files, *case, CLASSES)
    assert table["file"].tolist() == files
    assert table["predicted"].tolist() == predicted(case[1]).tolist()
    assert table["right"].tolist() == (case[0] == predicted(case[1])).tolist()
    np.testing.assert_array_equal(table["confidence"], case[1].max(axis=1))
    np.testing.assert_array_equal(table_probabilities(table, CLASSES), case[1])


def test_probabilities_come_in_the_order_of_the_classes_asked_for(case):
    table = predictions_table(range(120), *case, CLASSES)
    np.testing.assert_array_equal(table_probabilities(table, CLASSES[::-1]), case[1][:, ::-1])


def test_the_report_is_a_table_by_class(case):
    result = evaluate_predictions(*case, CLASSES)
    report = report_table(result)
    assert list(report.index) == list(CLASSES)
    assert pd.api.types.is_integer_dtype(report["support"])
    assert report.loc["covid", "recall"] == result["per_class"]["covid"]["recall"]


def test_the_report_of_undefined_figures_is_a_table_too():
    result = evaluate_predictions(["normal"], np.array([[0.9, 0.06, 0.04]]), CLASSES)
    assert report_table(result).loc["virus", "support"] == 0


def test_the_brier_score_is_the_mean_of_summed_squares(case):
    truth = np.array([[name == c for c in CLASSES] for name in case[0]], float)
    expected = ((case[1] - truth) ** 2).sum(axis=1).mean()
    assert evaluate_predictions(*case, CLASSES)["brier"] == pytest.approx(expected, abs=1e-9)


def test_the_calibration_error_is_that_of_the_likeliest_class_in_15_bins(case):
    right, confidence = case[0] == predicted(case[1]), case[1].max(axis=1)
    edges = np.linspace(0, 1, 16)
    gaps = [
        here.sum() * abs(right[here].mean() - confidence[here].mean())
        for here in ((low < confidence) & (confidence <= high) for low, high in zip(edges[:-1], edges[1:], strict=True))
        if here.any()
    ]
    assert evaluate_predictions(*case, CLASSES)["ece"] == pytest.approx(sum(gaps) / len(right), abs=1e-12)


def test_every_interval_holds_its_figure(case):
    result = evaluate_predictions(*case, CLASSES)
    low, high = result["ci95"]["accuracy"]
    assert low <= result["accuracy"] <= high
    for name in CLASSES:
        for figure, (low, high) in result["ci95"]["per_class"][name].items():
            assert low <= result["per_class"][name][figure] <= high


def test_groups_change_the_interval_and_not_the_figure(case):
    alone, grouped = (evaluate_predictions(*case, CLASSES, groups) for groups in (None, np.arange(120) // 10))
    assert alone["accuracy"] == grouped["accuracy"]
    assert alone["ci95"] != grouped["ci95"]


def test_the_brier_score_of_rows_written_with_few_digits_is_that_of_rows_that_sum_to_one():
    rows = np.array([[0.3331, 0.3331, 0.3331], [0.6004, 0.2, 0.2004]])
    whole = rows / rows.sum(axis=1, keepdims=True)
    expected = ((whole - np.eye(3)[[0, 1]]) ** 2).sum(axis=1).mean()
    assert evaluate_predictions(["normal", "covid"], rows, CLASSES)["brier"] == pytest.approx(expected, abs=1e-12)


def test_of_rows_that_are_no_probabilities_the_first_is_named():
    rows = np.array([[1, 0, 0], [0.123456, 0.5, 0.5], [0.9, 0.9, 0.9]])
    with pytest.raises(ValueError, match=r"received \[0\.1235, 0\.5, 0\.5\]\."):
        evaluate_predictions(["normal"] * 3, rows, CLASSES)


@pytest.mark.parametrize(
    "row", [[0.5, 0.5, 0.5], [1.2, -0.1, -0.1], [np.nan, 0.5, 0.5]], ids=["too much", "negative", "not a number"]
)
def test_what_is_no_probability_is_refused(row):
    with pytest.raises(ValueError, match="must lie in \\[0, 1\\] and sum to one"):
        evaluate_predictions(["normal"], np.array([row]), CLASSES)


def test_a_column_too_few_is_refused():
    with pytest.raises(ValueError, match="one column per class"):
        evaluate_predictions(["normal"], np.array([[0.5, 0.5]]), CLASSES)


def test_one_image_is_scored_without_intervals():
    result = evaluate_predictions(["normal"], np.array([[0.9, 0.06, 0.04]]), CLASSES)
    assert result["ci95"]["accuracy"] is None
    assert result["ece"] == pytest.approx(0.1)


def test_groups_come_from_the_table_or_from_the_patients_in_file_names():
    files = ["virus/person3_virus_1.jpeg", "virus/person3_virus_2.jpeg", "covid/a.png"]
    table = pd.DataFrame({"file": files})
    assert prediction_groups(table).tolist() == [0, 0, 1]
    assert prediction_groups(table.assign(group=[4, 5, 6])).tolist() == [4, 5, 6]


def test_the_patient_is_told_by_the_last_part_of_a_path():
    files = ["a/virus/person3_virus_1.jpeg", "b/virus/person3_virus_2.jpeg", "person3/a.png", "person3/b.png"]
    assert prediction_groups(pd.DataFrame({"file": files})).tolist() == [0, 0, 1, 2]


# Curves, samples and words


@pytest.mark.filterwarnings("error")
def test_a_classs_precision_recall_curve_is_scikit_learns_and_its_bands_are_the_groups(case):
    table = predictions_table([f"{i}.png" for i in range(120)], *case, CLASSES).assign(group=np.arange(120) // 2)
    curves = class_curves(table, CLASSES)
    assert list(curves) == list(CLASSES)
    for i, name in enumerate(CLASSES):
        is_class, scores = case[0] == name, case[1][:, i]
        precision, recall, _ = sk.precision_recall_curve(is_class, scores)
        np.testing.assert_array_equal(curves[name]["precision"], precision)
        np.testing.assert_array_equal(curves[name]["recall"], recall)
        assert curves[name]["average_precision"] == sk.average_precision_score(is_class, scores)
        bands = curve_bands(is_class, scores, np.arange(120) // 2)
        np.testing.assert_array_equal(curves[name]["bands"]["roc"]["low"], bands["roc"]["low"])


@pytest.mark.parametrize(
    ("truth", "has_curve"), [(["covid"] * 4, []), (["covid", *["normal"] * 3], ["normal", "covid"])]
)
def test_classes_that_have_both_sides_have_precision_recall_curves(truth, has_curve):
    table = predictions_table(list("abcd"), truth, np.tile([0.2, 0.7, 0.1], (4, 1)), CLASSES)
    assert list(class_curves(table, CLASSES)) == has_curve


def test_a_sample_has_each_row_once_at_most(case):
    table = predictions_table([f"{i}.png" for i in range(120)], *case, CLASSES)
    drawn = sample_predictions(table, 100, np.random.default_rng(0))
    assert len(drawn) == drawn["file"].nunique() == 100
    assert sorted(sample_predictions(table, 500, np.random.default_rng(0)).index) == list(range(120))


def test_the_surest_mistakes_are_wrong_and_come_in_order(case):
    table = predictions_table([f"{i}.png" for i in range(120)], *case, CLASSES)
    wrong = table[table["true"] != table["predicted"]]
    expected = sorted(wrong["confidence"], reverse=True)[:5]
    mistakes = most_confident_mistakes(table, 5)
    assert mistakes["confidence"].tolist() == expected
    assert (mistakes["true"] != mistakes["predicted"]).all()


@pytest.mark.parametrize(
    ("value", "ends", "text"),
    [
        (None, None, "–"),
        (0.5, None, "0.500"),
        (0.12345, [0.1, 0.98765], "0.123 (0.100 to 0.988)"),
        (0.0, None, "0.000"),
    ],
)
def test_a_figure_is_written_with_its_interval(value, ends, text):
    assert figure_text(value, ends) == text


def test_the_report_in_words_has_every_figure_of_every_class(case):
    result = evaluate_predictions(*case, CLASSES)
    report = report_with_intervals(result)
    assert list(report.index) == list(CLASSES)
    assert list(report) == ["precision", "recall", "f1", "auc", "support"]
    for name in CLASSES:
        low, high = result["ci95"]["per_class"][name]["f1"]
        assert report.loc[name, "f1"] == f"{result['per_class'][name]['f1']:.3f} ({low:.3f} to {high:.3f})"
        assert report.loc[name, "support"] == result["per_class"][name]["support"]
    without = report_with_intervals({key: value for key, value in result.items() if key != "ci95"})
    assert without.loc["covid", "recall"] == f"{result['per_class']['covid']['recall']:.3f}"


# With a card


def test_predictions_are_scored_with_the_cards_temperature_and_what_it_answers(case):
    card = replace(load_classifier(SHIPPED_MODEL_DIR).card, classes=CLASSES, temperature=1.7, abstain_below=0.6)
    table = predictions_table([f"{i}.png" for i in range(120)], *case, CLASSES).assign(group=np.arange(120) // 2)
    scores = score_predictions(table, card)
    assert scores["temperature"] == 1.7
    assert scores["answers"] == answers_of(table, card)
    assert scores["answers"]["coverage"] == (case[1].max(axis=1) >= 0.6).mean()
    plain = evaluate_predictions(*case, CLASSES, np.arange(120) // 2)
    assert {key: scores[key] for key in plain} == plain
    assert "answers" not in score_predictions(table, replace(card, abstain_below=0.0))


def test_folders_are_scored_with_their_groups_and_paths_and_progress_is_told_by_phase(demo_data, tmp_path):
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
        for source in sorted((demo_data / name).iterdir())[:3]:
            (tmp_path / name / source.name).write_bytes(source.read_bytes())
    phases = []
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    metrics, predictions = score_folders(classifier, tmp_path, progress=phases.append)
    assert phases == ["Listing the images", "Preparing the images", "Classifying"]
    assert (metrics["n"], len(predictions)) == (6, 6)
    assert {"group", "path"} <= set(predictions)
    again, _ = score_folders(classifier, tmp_path)
    assert again == metrics


# Two classifiers on the same images


def answers_to(files, truth, right):
    return pd.DataFrame({"file": files, "true": truth, "right": right})


def test_two_classifiers_are_compared_on_the_images_that_both_were_asked():
    ours = answers_to(list("abcd"), ["normal"] * 4, [True, True, False, True])
    theirs = answers_to(list("edcb"), ["normal"] * 4, [False, False, False, True])
    difference, shared = compare_predictions(ours, theirs)
    assert shared == 3
    # Both were asked b, c and d: two of three against one of three.
    assert difference.value == pytest.approx(1 / 3)


def test_a_file_name_of_another_class_is_another_image():
    ours = answers_to(["1.png", "1.png", "2.png"], ["normal", "covid", "normal"], [True, True, True])
    theirs = answers_to(["1.png", "2.png", "2.png"], ["normal", "normal", "covid"], [True, True, False])
    difference, shared = compare_predictions(ours, theirs)
    assert (shared, difference.value) == (2, 0)
    with pytest.raises(ValueError, match="no test images in common"):
        compare_predictions(ours[1:2], theirs)


def test_an_image_that_the_other_was_asked_twice_counts_once():
    ours = answers_to(["a", "b"], "normal", [True, True])
    theirs = answers_to(["a", "a", "b"], "normal", [True, True, False])
    difference, shared = compare_predictions(ours, theirs)
    assert (shared, difference.value) == (2, 0.5)


def test_images_are_the_same_by_content_and_not_by_name():
    files = [f"normal/{i}.png" for i in range(40)]
    first = answers_to(files, "normal", [True] * 40).assign(digest=[f"first {i}" for i in range(40)])
    second = answers_to(files, "normal", [False] * 40).assign(digest=[f"second {i}" for i in range(40)])
    with pytest.raises(ValueError, match="no test images in common"):
        compare_predictions(first, second)
    renamed = first[:10].assign(file=[f"{i}.jpg" for i in range(10)], right=False)
    difference, shared = compare_predictions(first, pd.concat([renamed, second]))
    assert (shared, difference.value) == (10, 1)


def test_a_table_of_an_earlier_version_is_compared_by_names_and_that_is_known():
    ours = answers_to(["a", "b"], "normal", [True, True]).assign(digest=["1", "2"])
    earlier = answers_to(["a", "b"], "normal", [True, False])
    assert compare_predictions(ours, earlier)[1] == 2
    assert known_by_name(ours, earlier) and not known_by_name(ours, ours)


def test_the_comparison_draws_whole_groups():
    files, rng = [str(i) for i in range(60)], np.random.default_rng(0)
    ours = answers_to(files, "normal", np.repeat(rng.random(20) < 0.8, 3))
    theirs = answers_to(files, "normal", np.repeat(rng.random(20) < 0.6, 3))
    alone, _ = compare_predictions(ours, theirs)
    grouped, _ = compare_predictions(ours.assign(group=np.repeat(np.arange(20), 3)), theirs)
    assert alone.value == grouped.value
    assert grouped.high - grouped.low > 1.4 * (alone.high - alone.low)


def test_predictions_softened_afterwards_are_those_of_a_classifier_with_the_temperature(demo_data):
    shipped = load_classifier(SHIPPED_MODEL_DIR)
    table = scan_dataset(demo_data).table[::12]
    at_one, at_two = (replace(shipped, card=replace(shipped.card, temperature=t)) for t in (1.0, 2.0))
    softened = rescale_predictions(classify_table(at_one, table), shipped.classes, 2.0)
    pd.testing.assert_frame_equal(softened, classify_table(at_two, table))
    assert not np.allclose(softened["confidence"], classify_table(at_one, table)["confidence"])


def test_a_class_that_the_classifier_does_not_know_is_refused_before_anything_is_classified(demo_data):
    card = load_classifier(SHIPPED_MODEL_DIR).card
    classifier = SimpleNamespace(card=card, classes=card.classes, predict=lambda *_, **__: pytest.fail("classified"))
    table = scan_dataset(demo_data).table.iloc[:3].assign(class_name="asthma")
    with pytest.raises(ValueError, match="also has asthma"):
        classify_table(classifier, table)


def test_the_lowest_recall_is_that_of_the_class_missed_most_among_those_with_images():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.9, 0.1, 0], [0.6, 0.4, 0]])
    metrics = evaluate_predictions(["normal", "covid", "covid", "normal"], probabilities, CLASSES)
    assert lowest_recall(metrics) == ("covid", 0.5)


CLASS_CASE = Path(__file__).resolve().parents[4] / "shared" / "cases" / "13-class-case" / "one"


@pytest.mark.skipif(not CLASS_CASE.is_dir(), reason="needs ../shared/cases/13-class-case")
def test_folders_in_capitals_are_scored_as_the_classifiers_classes():
    metrics, predictions = score_folders(load_classifier(SHIPPED_MODEL_DIR), CLASS_CASE)
    assert metrics["n"] == 12
    assert set(predictions["true"]) == {"normal", "covid"}
