"""The shortcut test on drawings in which we decided where the class is written."""

import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.lung_segmentation import lung_region
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.inference.classifier import Classifier, load_classifier
from cxr_core.inference.model_card import Card
from cxr_core.recipes.training_config import make_config
from cxr_core.robustness import saliency_checks, shortcut_test
from cxr_core.robustness.held_out_images import held_out_table
from cxr_core.robustness.image_variants import VARIANTS, hidden_box, preview
from cxr_core.robustness.shortcut_test import external_table, result_path, run_shortcut_test, shortcut_summary
from cxr_core.robustness.shortcut_verdict import LEVELS
from cxr_core.runs.run import Run
from cxr_core.runs.training_images import TRAINING_IMAGES_FILE
from cxr_core.splits.split import make_split
from cxr_core.system.files import write_json
from cxr_core.system.onnx_session import open_session

PER_CLASS = 24


@pytest.fixture(scope="module", autouse=True)
def few_checks():
    """Two images say whether the maps' checks run; their meaning is tested in test_saliency_checks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saliency_checks, "CHECKED_IMAGES", 2)
        yield


@pytest.fixture(scope="module")
def classifier():
    """The shipped one, without what was measured elsewhere: the verdict is about the drawings alone."""
    shipped = load_classifier(SHIPPED_MODEL_DIR)
    return replace(shipped, card=replace(shipped.card, metrics={}))


def square(class_name, seed):
    image = draw_phantom(class_name, np.random.default_rng(seed))
    return cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)


def written_in_the_frame(class_name, seed):
    """Healthy lungs for both classes; COVID-19 has stripes along its left and right edge."""
    image = square("normal", seed)
    if class_name == "covid":
        for x in (*range(2, 26, 6), *range(232, 254, 6)):
            image[:, x : x + 3] = 230
    return image


def drawn_in_the_lungs(class_name, seed):
    """The same body for both classes; COVID-19 has bright patches inside the lungs, far from their edge."""
    image = square("normal", seed)
    if class_name == "covid":
        rng = np.random.default_rng(seed)
        for x in (77, 179):
            for y in rng.uniform(95, 165, 4):
                cv2.circle(image, (int(x + rng.normal(0, 5)), int(y)), 9, 190, -1, cv2.LINE_AA)
    return image


def few_variants(monkeypatch):
    """Ask only what the verdict needs."""
    kept = ("whole", "lungs_hidden", "frame_only", "lungs_only")
    monkeypatch.setattr("cxr_core.robustness.shortcut_test.VARIANTS", {name: VARIANTS[name] for name in kept})


def drawings(folder, draw):
    """The table of PER_CLASS drawings of each class, written into a folder."""
    for k, name in enumerate(("normal", "covid")):
        (folder / name).mkdir(parents=True)
        for i in range(PER_CLASS):
            cv2.imwrite(str(folder / name / f"drawing-{i:03d}.png"), draw(name, 1000 * k + i))
    return scan_dataset(folder).table


def half_tested(table, classifier, cache, **options):
    """The result where every second image is tested."""
    groups = np.arange(len(table))
    sides = np.where(groups % 2 == 0, "test", "learn")
    return run_shortcut_test(classifier, table, groups, sides, cache_dir=cache, **options)


def result_of(folder, draw, classifier, **options):
    return half_tested(drawings(folder, draw), classifier, folder.parent / "cache", **options)


@pytest.fixture(scope="module")
def framed(tmp_path_factory, classifier):
    with pytest.MonkeyPatch.context() as patch:
        few_variants(patch)
        return result_of(tmp_path_factory.mktemp("framed") / "data", written_in_the_frame, classifier)


@pytest.fixture(scope="module")
def in_lungs(tmp_path_factory, classifier):
    with pytest.MonkeyPatch.context() as patch:
        few_variants(patch)
        return result_of(tmp_path_factory.mktemp("lungs") / "data", drawn_in_the_lungs, classifier)


def retrained(result, name):
    return next(v["retrained"] for v in result["variants"] if v["name"] == name)


def test_a_class_written_in_the_frame_is_learnt_with_the_lungs_hidden(framed):
    assert retrained(framed, "lungs_hidden") > 0.95
    assert retrained(framed, "frame_only") > 0.95


def test_data_with_the_class_written_in_the_frame_are_said_to_invite_a_shortcut(framed):
    assert any("a retrained head" in s and s.endswith("invite a shortcut.") for s in framed["verdict"]["sentences"])


def test_a_class_drawn_in_the_lungs_is_lost_when_they_are_hidden(in_lungs):
    assert retrained(in_lungs, "whole") > 0.9
    assert retrained(in_lungs, "lungs_hidden") < 0.7
    assert retrained(in_lungs, "lungs_only") > 0.9


def test_data_with_the_class_drawn_in_the_lungs_are_said_to_need_them(in_lungs):
    assert in_lungs["verdict"]["level"] != "shortcut"
    assert any(s.endswith("these data need the lungs.") for s in in_lungs["verdict"]["sentences"])


SIDE = 64
# Where the constructed classifiers look: the stripes of `written_in_the_frame`, the patches of `drawn_in_the_lungs`.
FRAME, LUNGS = np.zeros((2, SIDE, SIDE), np.float32)
FRAME[:, :4] = FRAME[:, -4:] = 1
LUNGS[22:43, 15:24] = LUNGS[22:43, 40:50] = 1


def written_and_drawn(class_name, seed):
    """COVID-19 has the stripes along the edge, and the patches inside the lungs."""
    image, frame = drawn_in_the_lungs(class_name, seed), written_in_the_frame(class_name, seed)
    for part in (np.s_[:, :27], np.s_[:, 230:]):
        image[part] = frame[part]
    return image


def constructed(weights, bias, looks_at):
    """A classifier of two features, the mean grey of the frame and that of the lungs; its map is where it looks."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    means = np.stack([mask.ravel() / mask.sum() for mask in (FRAME, LUNGS)], axis=1)
    maps = np.broadcast_to(looks_at, (1, 2, SIDE, SIDE))
    initial = {"means": means, "weights": weights, "bias": bias, "looks": maps}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["grey"], axes=[3], keepdims=0),
            helper.make_node("Flatten", ["grey"], ["flat"]),
            helper.make_node("MatMul", ["flat", "means"], ["features"]),
            helper.make_node("MatMul", ["features", "weights"], ["weighed"]),
            helper.make_node("Add", ["weighed", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            helper.make_node("Unsqueeze", ["grey", "one"], ["channel"]),
            helper.make_node("Mul", ["channel", "none"], ["black"]),
            helper.make_node("Add", ["black", "looks"], ["maps_all"]),
        ],
        "constructed",
        [helper.make_tensor_value_info("image", kind, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("probabilities", kind, ["n", 2]),
            helper.make_tensor_value_info("features", kind, ["n", 2]),
            helper.make_tensor_value_info("maps_all", kind, ["n", 2, SIDE, SIDE]),
        ],
        [
            *(onnx.numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in initial.items()),
            onnx.numpy_helper.from_array(np.array([1]), "one"),
            onnx.numpy_helper.from_array(np.zeros(1, np.float32), "none"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    preprocessing = Preprocessing(white_balance_percent=None, size=SIDE, scaling="0..1", interpolation="area")
    card = Card(name="constructed", classes=("normal", "covid"), preprocessing=preprocessing, map_layers=("all",))
    return Classifier(card, open_session(model.SerializeToString()))


def reader(feature):
    """Weights and bias that tell the drawings apart by the mean grey of the frame (0) or of the lungs (1) alone."""
    names = ["normal", "covid"] * 20
    greys = [cv2.resize(written_and_drawn(n, 9000 + i), (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255
             for i, n in enumerate(names)]  # fmt: skip
    values = np.array([[grey[mask > 0].mean() for mask in (FRAME, LUNGS)] for grey in greys])[:, feature]
    ends = [values[np.array(names) == name].mean() for name in ("normal", "covid")]
    slope = 20 / (ends[1] - ends[0])
    weights = np.zeros((2, 2))
    weights[feature, 1] = slope
    return weights, np.array([0, -slope * np.mean(ends)])


@pytest.fixture(scope="module")
def constructed_verdicts(tmp_path_factory):
    """The verdicts on four classifiers, by the same drawings: each class is written in the frame and in the lungs."""
    weights, bias = reader(1)
    classifiers = {
        "frame": constructed(*reader(0), FRAME),
        "lungs": constructed(weights, bias, LUNGS),
        "shuffled": constructed(weights[:, ::-1], bias[::-1], LUNGS),
        "constant": constructed(np.zeros((2, 2)), [1, 0], LUNGS),
    }
    folder = tmp_path_factory.mktemp("both")
    table = drawings(folder / "data", written_and_drawn)
    with pytest.MonkeyPatch.context() as patch:
        few_variants(patch)
        return {
            name: half_tested(table, classifier, folder / "cache")["verdict"]
            for name, classifier in classifiers.items()
        }


@pytest.mark.parametrize(
    ("name", "level"),
    [("frame", "shortcut"), ("lungs", "invitation"), ("shuffled", "chance"), ("constant", "chance")],
)
def test_of_four_classifiers_on_the_same_data_only_the_one_that_reads_the_frame_takes_a_shortcut(
    constructed_verdicts, name, level
):
    assert constructed_verdicts[name]["level"] == level
    takes_it = "does not need the lungs" in constructed_verdicts[name]["sentences"][0]
    assert takes_it is (name == "frame")


def test_what_the_data_give_away_is_said_in_the_same_words_whatever_the_head(constructed_verdicts):
    told = {name: [s for s in v["sentences"] if "a retrained head" in s] for name, v in constructed_verdicts.items()}
    assert told["frame"] and all(sentences == told["frame"] for sentences in told.values())


def test_another_head_on_the_same_features_is_another_classifier_for_the_cache(tmp_path):
    (tmp_path / "data" / "normal").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "data" / "normal" / "a.png"), square("normal", 1))
    table = scan_dataset(tmp_path / "data").table
    weights, bias = reader(1)
    heads = [constructed(w, bias, LUNGS) for w in (weights, weights, weights[:, ::-1])]
    paths = [result_path(head, table, np.arange(1), np.array(["test"]), cache_dir=tmp_path) for head in heads]
    assert paths[0] == paths[1] != paths[2]


def test_every_score_stands_with_its_interval(framed):
    for variant in framed["variants"]:
        for key in ("accuracy", "retrained"):
            low, high = variant[f"{key}_ci95"]
            assert low <= variant[key] <= high


def test_the_classifiers_own_scores_are_evaluates(framed, classifier):
    assert framed["variants"][0]["accuracy"] == pytest.approx(
        np.average([framed["variants"][0]["recall"][c] for c in ("normal", "covid")], weights=[PER_CLASS / 2] * 2)
    )


def test_the_summary_says_the_verdict_first(framed):
    lines = shortcut_summary(framed).splitlines()
    assert lines[0] == LEVELS[framed["verdict"]["level"]].upper()
    assert lines[1] == framed["verdict"]["sentences"][0]
    assert any(line.strip().startswith("Only the frame") for line in lines)


def test_the_lungs_are_counted_per_class(framed):
    assert framed["lungs"]["images"] == 2 * PER_CLASS
    assert set(framed["lungs"]["per_class"]) == {"normal", "covid"}


@pytest.mark.slow
def test_a_sample_says_that_it_is_one_and_its_result_is_plain_json_and_kept(tmp_path, classifier, monkeypatch):
    first = result_of(tmp_path / "data", written_in_the_frame, classifier, limit=12)
    assert first["notes"][0] == "Measured on 12 of 48 images, sampled in proportion to class size."
    assert [v["name"] for v in first["variants"]] == list(VARIANTS)
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    table = scan_dataset(tmp_path / "data").table
    sides = np.where(np.arange(len(table)) % 2 == 0, "test", "learn")
    monkeypatch.setattr("cxr_core.robustness.shortcut_test.lung_region", None)
    again = run_shortcut_test(classifier, table, np.arange(len(table)), sides, cache_dir=tmp_path / "cache", limit=12)
    assert again == first


def test_one_class_is_refused(tmp_path, classifier):
    (tmp_path / "normal").mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / "normal" / f"{i}.png"), square("normal", i))
    table = scan_dataset(tmp_path).table
    with pytest.raises(ValueError, match="at least two classes"):
        run_shortcut_test(
            classifier, table, np.arange(4), np.array(["test", "learn"] * 2), cache_dir=tmp_path / "cache"
        )


def test_a_class_the_classifier_does_not_know_is_refused(tmp_path, classifier):
    for name in ("asthma", "normal"):
        (tmp_path / name).mkdir()
        for i in range(4):
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), square("normal", i))
    table = scan_dataset(tmp_path).table
    with pytest.raises(ValueError, match="also has asthma"):
        run_shortcut_test(
            classifier, table, np.arange(8), np.array(["test", "learn"] * 4), cache_dir=tmp_path / "cache"
        )


FOUR = pd.DataFrame({"file": list("abcd"), "digest": list("1234"), "class_name": list("xyxy")})


def test_a_runs_split_says_what_is_tested_and_leaves_validation_out(tmp_path):
    split = FOUR.assign(group=[5, 6, 7, 8], split=["train", "test", "validation", "train"])
    split.to_csv(tmp_path / "split.csv", index=False)
    table, groups, sides, note = held_out_table(FOUR.astype({"digest": int}), np.arange(4), Run(tmp_path))
    assert table["file"].tolist() == ["a", "b", "d"]
    assert (groups.tolist(), sides.tolist(), note) == ([5, 6, 8], ["learn", "test", "learn"], "")


def test_images_that_a_run_does_not_know_are_refused(tmp_path):
    FOUR.assign(group=0, split="train", digest=0).to_csv(tmp_path / "split.csv", index=False)
    with pytest.raises(ValueError, match="None of these images"):
        held_out_table(FOUR.astype({"digest": int}), np.arange(4), Run(tmp_path))


def test_the_classifiers_own_test_files_are_tested_with_all_of_their_group(tmp_path):
    pd.DataFrame({"file": ["b"], "split": ["test"]}).to_csv(tmp_path / "predictions.csv", index=False)
    _, _, sides, note = held_out_table(FOUR, np.array([0, 1, 1, 2]), Run(tmp_path))
    assert (sides.tolist(), note) == (["learn", "test", "test", "learn"], "")


def test_of_the_classifiers_own_files_test_images_are_tested_and_validation_images_are_not(tmp_path):
    rows = {"file": ["a", "b", "c"], "split": ["validation", "test", "validation"]}
    pd.DataFrame(rows).to_csv(tmp_path / "predictions.csv", index=False)
    _, _, sides, note = held_out_table(FOUR, np.arange(4), Run(tmp_path))
    assert (sides.tolist(), note) == (["learn", "test", "learn", "learn"], "")


def test_the_classifiers_own_test_images_are_known_by_content_where_it_tells(tmp_path):
    rows = {"file": ["b", "a"], "digest": ["2", "9"], "split": ["test", "validation"]}
    pd.DataFrame(rows).to_csv(tmp_path / "predictions.csv", index=False)
    table = FOUR.assign(file=["b", "renamed", "b", "a"])
    _, _, sides, note = held_out_table(table, np.arange(4), Run(tmp_path))
    assert (sides.tolist(), note) == (["learn", "test", "learn", "learn"], "")


def test_of_names_alone_images_that_cannot_be_told_apart_are_left_out_and_that_is_said(tmp_path):
    pd.DataFrame({"file": ["a", "b"], "split": ["test", "test"]}).to_csv(tmp_path / "predictions.csv", index=False)
    table = FOUR.assign(file=["a", "b", "b", "c"])
    kept, groups, sides, note = held_out_table(table, np.arange(4), Run(tmp_path))
    assert kept["file"].tolist() == ["a", "c"] and groups.tolist() == [0, 3]
    assert sides.tolist() == ["test", "learn"]
    assert note.startswith("2 images are left out")


def test_content_that_was_trained_on_under_another_name_is_not_tested(tmp_path):
    split = pd.DataFrame({"file": ["t", "a", "d"], "digest": ["1", "1", "4"], "split": ["test", "train", "test"]})
    split.assign(group=[0, 0, 1]).to_csv(tmp_path / "split.csv", index=False)
    _, _, sides, _ = held_out_table(FOUR, np.arange(4), Run(tmp_path))
    assert sides.tolist() == ["learn", "test"]


@pytest.mark.parametrize(("here", "is_known"), [(2, True), (1, False)])
def test_the_classifiers_own_test_files_count_where_at_least_half_of_them_are_here(here, is_known, demo_data, tmp_path):
    table = scan_dataset(demo_data).table
    files = table["file"].iloc[:here].tolist() + [f"gone/{i}.png" for i in range(4 - here)]
    pd.DataFrame({"file": files, "split": "test"}).to_csv(tmp_path / "predictions.csv", index=False)
    kept, _, sides, note = held_out_table(table, np.arange(len(table)), Run(tmp_path))
    assert kept is table
    assert (note == "") is is_known
    assert (np.flatnonzero(sides == "test").tolist() == list(range(here))) is is_known


def test_unknown_images_are_split_by_group_and_that_is_said(demo_data, tmp_path):
    table = scan_dataset(demo_data).table
    # By threes, as of patients with three images each.
    groups = np.arange(len(table)) // 3
    kept, kept_groups, sides, note = held_out_table(table, groups, Run(tmp_path), seed=4)
    assert kept is table and (kept_groups == groups).all()
    split = make_split(table, "grouped", seed=4, groups=groups)
    np.testing.assert_array_equal(np.flatnonzero(sides == "test"), split.test)
    np.testing.assert_array_equal(np.flatnonzero(sides == "learn"), np.sort([*split.train, *split.validation]))
    assert 0.1 < (sides == "test").mean() < 0.3
    assert not set(groups[sides == "test"]) & set(groups[sides == "learn"])
    assert "flatter" in note


def test_groups_with_an_image_that_the_classifier_was_trained_on_are_not_tested(demo_data, tmp_path):
    table = scan_dataset(demo_data).table
    groups = np.arange(len(table)) // 3
    test = make_split(table, "grouped", seed=4, groups=groups).test
    (tmp_path / TRAINING_IMAGES_FILE).write_text(table["digest"].iloc[test[0]])
    _, _, sides, note = held_out_table(table, groups, Run(tmp_path), seed=4)
    np.testing.assert_array_equal(np.flatnonzero(sides == "test"), test[groups[test] != groups[test[0]]])
    assert note == ""


def test_a_runs_test_image_that_its_starting_weights_have_seen_is_not_tested(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.runs.training_images.SHIPPED_MODEL_DIR", tmp_path)
    (tmp_path / TRAINING_IMAGES_FILE).write_text("2")
    split = FOUR.assign(group=[5, 6, 7, 8], split=["train", "test", "test", "train"])
    split.to_csv(tmp_path / "split.csv", index=False)
    write_json(tmp_path / "config.json", make_config("quick", roots=("/data",), settings=["start=shipped"]).to_dict())
    _, _, sides, _ = held_out_table(FOUR, np.arange(4), Run(tmp_path))
    assert sides.tolist() == ["learn", "learn", "test", "learn"]


@pytest.fixture(scope="module")
def variants():
    image = cv2.resize(square("normal", 3), (224, 224))
    return image, *preview(image)


def test_every_variant_keeps_shape_and_kind_and_leaves_the_image_alone(variants):
    image, _, made = variants
    again = cv2.resize(square("normal", 3), (224, 224))
    np.testing.assert_array_equal(image, again)
    assert all(v.shape == image.shape and v.dtype == np.uint8 for v in made.values())


def test_hidden_lungs_are_black_and_all_around_stays(variants):
    image, _, made = variants
    hidden = made["lungs_hidden"]
    # Where `draw_phantom` puts the lungs.
    y, x = (np.mgrid[0:224, 0:224] + 0.5) / 224
    lungs = np.minimum(*(np.hypot((x - c) / 0.155, (y - 0.5) / 0.31) for c in (0.3, 0.7))) <= 1
    assert lungs.any() and not hidden[lungs].any()
    np.testing.assert_array_equal(hidden[:, :8], image[:, :8])


def test_an_images_own_lungs_are_hidden_with_a_margin_and_hardly_more(variants):
    image, region, made = variants
    hidden = made["own_lungs_hidden"]
    assert not hidden[region.whole | region.mask].any()
    changed = hidden != image
    reach = cv2.dilate(region.whole.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    assert changed.any() and not (changed & ~reach).any()


def test_what_hides_the_lungs_is_the_same_in_every_image():
    made = [preview(cv2.resize(square(name, 5), (224, 224)))[1]["lungs_hidden"] for name in ("normal", "covid")]
    left, top, right, bottom = hidden_box((224, 224))
    assert all(not image[top:bottom, left:right].any() for image in made)
    assert all(image[top - 1].any() for image in made)


def test_the_result_says_how_much_of_the_lungs_was_hidden(framed):
    assert 0.95 < framed["lungs"]["hidden"] <= 1


def test_the_frame_and_the_lungs_share_nothing_here(variants):
    _, region, made = variants
    assert not made["frame_only"][28:196, 28:196].any()
    assert not made["lungs_only"][~region.whole].any()
    assert made["lungs_only"][region.mask].any()


def test_mirroring_twice_gives_the_image_back(variants):
    image, region, made = variants
    np.testing.assert_array_equal(VARIANTS["mirrored"].make(made["mirrored"], region), image)


@pytest.mark.parametrize("name", ["blurred", "downsampled"])
def test_fine_texture_is_gone(variants, name):
    image, _, made = variants
    sharpness = [cv2.Laplacian(v.astype(np.float32), cv2.CV_32F).std() for v in (image, made[name])]
    assert sharpness[1] < 0.5 * sharpness[0]


def test_a_burned_in_letter_is_painted_over():
    image = cv2.resize(square("normal", 3), (224, 224))
    lettered = image.copy()
    cv2.putText(lettered, "R", (6, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    masked = VARIANTS["marks_masked"].make(lettered, lung_region(lettered))
    assert np.abs(lettered[5:25, 4:24].astype(int) - image[5:25, 4:24]).max() > 150
    assert np.abs(masked[5:25, 4:24].astype(int) - image[5:25, 4:24]).mean() < 20


def test_the_table_of_external_data_tells_false_alarms_only_where_all_people_are_healthy():
    healthy = {"normal": {"support": 100}, "covid": {"support": 0}}
    mixed = {"normal": {"support": 5}, "covid": {"support": 4}}
    external = {
        "healthy": {"n": 100, "accuracy": 0.4, "per_class": healthy},
        "mixed": {"n": 9, "accuracy": 0.4, "per_class": mixed},
    }
    table = external_table({"external": external}).set_index("data set")
    assert table["images"].tolist() == [100, 9]
    assert table.loc["healthy", "healthy classified as ill"] == pytest.approx(0.6)
    assert np.isnan(table.loc["mixed", "healthy classified as ill"])


def test_external_folders_of_one_name_are_scored_apart(classifier, monkeypatch, tmp_path):
    folders = [tmp_path / place / "normal" for place in ("north", "south")]

    def score(_classifier, folder, **_options):
        return {"from": str(folder)}, None

    monkeypatch.setattr(shortcut_test, "score_folders", score)
    found = shortcut_test._external_metrics(classifier, folders, lambda _: None)
    assert [row["from"] for row in found.values()] == [str(folder) for folder in folders]
    assert len(found) == 2
