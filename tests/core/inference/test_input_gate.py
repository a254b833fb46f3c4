"""What a gate refuses, against scikit-learn and numpy; negative_images.py: what it is fitted on."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import MEASURES, NO_CHEST, UNLIKE, gate_measures, load_gate, save_gate
from cxr_core.inference.model_card import load_card
from cxr_core.reporting.model_card_text import figures_markdown
from cxr_core.robustness import gate_fitting
from cxr_core.robustness.negative_images import altered_radiographs, mild_copy, negative_images


@pytest.fixture(scope="module")
def gated(tiny_run, demo_data, tmp_path_factory):
    """A copy of a run on the drawings, with a gate that was fitted on few images: (folder, measured)."""
    folder = tmp_path_factory.mktemp("gated") / "run"
    shutil.copytree(tiny_run.path, folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_STRANGE", "_ALTERED", "_MILD", "_KEPT"):
            patch.setattr(gate_fitting, name, 60)
        return folder, gate_fitting.fit_gate(folder, [demo_data], others=[demo_data])


@pytest.fixture(scope="module")
def classifier(gated):
    return load_classifier(gated[0])


def assess(classifier, image):
    prepared = classifier.card.preprocessing.image_u8(image)
    return classifier.gate.assess(classifier.features(prepared[None])[0], gate_measures(image))


def test_strange_images_are_refused_as_no_chest(classifier):
    images = list(negative_images("kept", 60, np.random.default_rng(99), drawings=False))
    refused = [NO_CHEST in assess(classifier, strange.pixels).reasons for strange in images]
    assert np.mean(refused) > 0.95


def test_what_it_learned_from_passes(classifier, demo_data):
    passed = [not assess(classifier, cv2.imread(str(path), 0)).reasons for path in sorted(demo_data.rglob("*.png"))]
    assert np.mean(passed) > 0.8


def test_the_nearest_training_image_of_a_training_image_is_itself(classifier, demo_data):
    gate = classifier.gate
    for file in gate.files[::20]:
        nearest = assess(classifier, cv2.imread(str(demo_data / file), cv2.IMREAD_UNCHANGED)).neighbours[0]
        assert (nearest.file, nearest.class_name) == (file, file.split("/")[0])
        assert nearest.similarity == pytest.approx(1, abs=2e-3)


def test_similarity_is_the_cosine_between_principal_components(classifier, demo_data):
    gate = classifier.gate
    paths = [demo_data / file for file in gate.files[:6]]
    images = np.stack([classifier.card.preprocessing.image_u8(cv2.imread(str(p), -1)) for p in paths])
    features = classifier.features(images)
    parts = (np.sqrt(features) - gate.centre) @ gate.components.astype(np.float64)
    np.testing.assert_allclose(gate.similarities(features)[:, :6], cosine_similarity(parts), atol=2e-3)


def test_only_training_images_are_known(gated, tiny_run):
    split = pd.read_csv(tiny_run.path / "split.csv").set_index("file")["split"]
    assert set(split[list(load_gate(gated[0]).files)]) == {"train"}


def test_an_image_far_from_all_training_images_is_unlike_them(classifier):
    gate = classifier.gate
    image = draw_phantom("covid", np.random.default_rng(3))
    measures, features = (
        gate_measures(image),
        classifier.features(classifier.card.preprocessing.image_u8(image)[None])[0],
    )
    known = gate.assess(features, measures)
    strict = replace(gate, chest_limit=-np.inf, distance_limit=known.distance - 1e-6)
    assert strict.assess(features, measures).reasons == (UNLIKE,)
    assert known.distance == pytest.approx(1 - np.sort(gate.similarities(features[None])[0])[-5:].mean(), abs=1e-6)


def test_a_negative_says_that_black_and_white_may_be_swapped(classifier):
    gate = replace(classifier.gate, chest_limit=np.inf)
    measures = np.zeros(len(MEASURES), np.float32)
    measures[MEASURES.index("inverted")] = 0.5
    assert "swapped" in gate.assess(np.zeros(len(gate.centre), np.float32), measures).reasons[1]


def test_what_was_measured_stands_in_the_card_with_counts(gated):
    folder, measured = gated
    assert load_card(folder).metrics["gate"] == json.loads(json.dumps(measured))
    assert measured["strange"]["n"] == sum(kind["n"] for kind in measured["strange"]["kinds"].values())
    assert measured["strange"]["refused"] == sum(kind["refused"] for kind in measured["strange"]["kinds"].values())
    assert measured["elsewhere"]["drawings"]["n"] == 72
    assert "| Images that are not radiographs, rightly refused |" in figures_markdown(_with_external(folder))


def _with_external(folder):
    from dataclasses import replace

    card = load_card(folder)
    return replace(card, metrics=card.metrics | {"external": {}})


def test_no_side_is_judged_by_more_than_its_share(gated):
    _, measured = gated
    assert measured["validation"]["refused"] <= 1


def test_a_gate_is_read_as_it_was_written(gated, tmp_path):
    gate = load_gate(gated[0])
    save_gate(gate, tmp_path)
    again = load_gate(tmp_path)
    for name, value in vars(gate).items():
        np.testing.assert_array_equal(value, getattr(again, name))


def test_a_gate_holds_plain_arrays_only(gated):
    with np.load(gated[0] / "gate.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fi" for name in arrays)


def test_a_model_without_a_gate_is_opened_and_has_none(tiny_run):
    assert load_classifier(tiny_run.path).gate is None


@pytest.mark.parametrize("damage", ["arrays", "numbers"])
def test_a_broken_gate_is_one_sentence(gated, tmp_path, damage):
    shutil.copytree(gated[0], tmp_path / "model")
    if damage == "arrays":
        (tmp_path / "model" / "gate.npz").write_bytes(b"PK no arrays")
    else:
        (tmp_path / "model" / "gate.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be read; fit it again"):
        load_classifier(tmp_path / "model")


def test_folders_of_other_images_than_the_models_own_are_refused(tiny_run, tmp_path):
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "else.png"), draw_phantom("covid", np.random.default_rng(1)))
    with pytest.raises(ValueError, match="do not hold the images"):
        gate_fitting.fit_gate(tiny_run.path, [tmp_path])


@pytest.mark.skipif(not (SHIPPED_MODEL_DIR / "gate.npz").exists(), reason="the shipped classifier has no gate")
def test_the_shipped_gate_meets_its_targets():
    measured = load_card(SHIPPED_MODEL_DIR).metrics["gate"]
    assert measured["strange"]["refused"] >= 0.99 * measured["strange"]["n"]
    assert measured["test"]["refused"] <= 0.03 * measured["test"]["n"]


# What a gate is fitted on


@pytest.mark.parametrize("side", ["tuning", "kept"])
def test_strange_images_are_the_same_for_the_same_seed(side):
    one, two = ([s.pixels for s in negative_images(side, 30, np.random.default_rng(4))] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_strange_images_of_a_classifier_of_drawings_hold_no_drawing():
    kinds = {s.kind for s in negative_images("kept", 60, np.random.default_rng(0), drawings=False)}
    assert "a drawing" not in kinds
    assert {"a photograph", "another examination", "noise", "a page of text", "a screen"} <= kinds


def test_strange_images_know_two_sides_only():
    with pytest.raises(ValueError, match="tuning or kept; received 'test'"):
        next(negative_images("test", 10, np.random.default_rng(0)))


def test_altered_radiographs_are_turned_inverted_or_cut():
    image = draw_phantom("normal", np.random.default_rng(0))
    made = list(altered_radiographs([image] * 6, np.random.default_rng(0)))
    by_kind = {negative.kind: negative.pixels for negative in made}
    assert len(by_kind) == 6
    np.testing.assert_array_equal(by_kind["inverted"], 255 - image)
    np.testing.assert_array_equal(np.sort(by_kind["upside down"], axis=None), np.sort(image, axis=None))
    assert by_kind["on its side"].shape == image.shape[::-1]
    assert by_kind["a part of one"].size < 0.2 * image.size


def test_a_mild_copy_looks_alike_and_is_not_the_same():
    image = draw_phantom("normal", np.random.default_rng(0))
    copy = mild_copy(image, np.random.default_rng(1))
    assert copy.ndim == 2
    small = [cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(float) for image in (image, copy)]
    mirrored = small[1][:, ::-1]
    assert max(np.corrcoef(small[0].ravel(), other.ravel())[0, 1] for other in (small[1], mirrored)) > 0.7


def test_the_limit_is_no_stricter_than_turned_images_of_validation_ask_for():
    rng = np.random.default_rng(3)

    def look(mean, n):
        rows = [(np.abs(rng.normal(mean, 1, 80)), np.zeros(len(MEASURES))) for _ in range(n)]
        return gate_fitting._Looks(rows, [""] * n, [True] * n)

    seen = {"train": look(4, 200), "validation": look(4, 200)}
    table = pd.DataFrame({"file": [f"{i}.png" for i in range(200)], "class_name": "a"})
    turned = look(0, 200)
    gate = gate_fitting._fit(("a",), table, seen, look(4, 50), (look(0, 200), look(0, 200)), turned)
    refused = gate.chest_scores(turned.features, turned.measures) < gate.chest_limit
    assert refused.mean() == pytest.approx(gate_fitting.ALTERED_SHARE, abs=0.005)
    assert not (gate.chest_scores(seen["validation"].features, seen["validation"].measures) < gate.chest_limit).any()
    assert gate.chest_limit < 0
