"""gate.py and gate_fit.py: what a gate refuses, against scikit-learn and numpy; negatives.py: what it is fitted on."""

import json
import shutil
from dataclasses import FrozenInstanceError, fields, replace

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from cxr_core import gate_fit
from cxr_core.card import load_card
from cxr_core.classifier import load_classifier
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.gate import (
    MEASURES,
    NO_CHEST,
    UNLIKE,
    Gate,
    gate_inputs,
    gate_measures,
    load_gate,
    save_gate,
    unit_vectors,
)
from cxr_core.negatives import altered_radiographs, mild_copy, strange_pictures
from cxr_core.phantoms import draw_phantom
from cxr_core.picture_measures import COLOUR_SHARE, INVERTED_SCORE, measure_picture
from cxr_core.publish import figures_markdown


@pytest.fixture(scope="module")
def gated(tiny_run, demo_data, tmp_path_factory):
    """A copy of a run on the drawings, with a gate that was fitted on few pictures: (folder, measured)."""
    folder = tmp_path_factory.mktemp("gated") / "run"
    shutil.copytree(tiny_run.path, folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_STRANGE", "_ALTERED", "_MILD", "_KEPT"):
            patch.setattr(gate_fit, name, 60)
        return folder, gate_fit.fit_gate(folder, [demo_data], others=[demo_data])


@pytest.fixture(scope="module")
def classifier(gated):
    return load_classifier(gated[0])


def judge(classifier, picture):
    image = classifier.card.preprocessing.image_u8(picture)
    return classifier.gate.judge(classifier.features(image[None])[0], gate_measures(picture))


def test_strange_pictures_are_refused_as_no_chest(classifier):
    pictures = list(strange_pictures("kept", 60, np.random.default_rng(99), drawings=False))
    refused = [NO_CHEST in judge(classifier, strange.pixels).reasons for strange in pictures]
    assert np.mean(refused) > 0.95


def test_what_it_learned_from_passes(classifier, demo_data):
    passed = [not judge(classifier, cv2.imread(str(path), 0)).reasons for path in sorted(demo_data.rglob("*.png"))]
    assert np.mean(passed) > 0.8


def test_the_nearest_training_picture_of_a_training_picture_is_itself(classifier, demo_data):
    gate = classifier.gate
    for file in gate.files[::20]:
        nearest = judge(classifier, cv2.imread(str(demo_data / file), cv2.IMREAD_UNCHANGED)).neighbours[0]
        assert (nearest.file, nearest.class_name) == (file, file.split("/")[0])
        assert nearest.similarity == pytest.approx(1, abs=2e-3)


def test_similarity_is_the_cosine_between_principal_components(classifier, demo_data):
    gate = classifier.gate
    paths = [demo_data / file for file in gate.files[:6]]
    images = np.stack([classifier.card.preprocessing.image_u8(cv2.imread(str(p), -1)) for p in paths])
    features = classifier.features(images)
    parts = (np.sqrt(features) - gate.centre) @ gate.components.astype(np.float64)
    np.testing.assert_allclose(gate.similarities(features)[:, :6], cosine_similarity(parts), atol=2e-3)


def test_only_training_pictures_are_known(gated, tiny_run):
    split = pd.read_csv(tiny_run.path / "split.csv").set_index("file")["split"]
    assert set(split[list(load_gate(gated[0]).files)]) == {"train"}


def test_a_picture_far_from_all_training_pictures_is_unlike_them(classifier):
    gate = classifier.gate
    picture = draw_phantom("covid", np.random.default_rng(3))
    measures, features = (
        gate_measures(picture),
        classifier.features(classifier.card.preprocessing.image_u8(picture)[None])[0],
    )
    known = gate.judge(features, measures)
    strict = replace(gate, chest_limit=-np.inf, distance_limit=known.distance - 1e-6)
    assert strict.judge(features, measures).reasons == (UNLIKE,)
    assert known.distance == pytest.approx(1 - np.sort(gate.similarities(features[None])[0])[-5:].mean(), abs=1e-6)


def test_a_negative_says_that_black_and_white_may_be_swapped(classifier):
    gate = replace(classifier.gate, chest_limit=np.inf)
    measures = np.zeros(len(MEASURES), np.float32)
    measures[MEASURES.index("inverted")] = 0.5
    assert "swapped" in gate.judge(np.zeros(len(gate.centre), np.float32), measures).reasons[1]


def test_what_was_measured_stands_in_the_card_with_counts(gated):
    folder, measured = gated
    assert load_card(folder).metrics["gate"] == json.loads(json.dumps(measured))
    assert measured["strange"]["n"] == sum(kind["n"] for kind in measured["strange"]["kinds"].values())
    assert measured["strange"]["refused"] == sum(kind["refused"] for kind in measured["strange"]["kinds"].values())
    assert measured["elsewhere"]["drawings"]["n"] == 72
    assert "| Strange pictures kept out of the tuning, rightly refused |" in figures_markdown(_with_external(folder))


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


def test_folders_of_other_pictures_than_the_models_own_are_refused(tiny_run, tmp_path):
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "else.png"), draw_phantom("covid", np.random.default_rng(1)))
    with pytest.raises(ValueError, match="do not hold the images"):
        gate_fit.fit_gate(tiny_run.path, [tmp_path])


@pytest.mark.skipif(not (SHIPPED_MODEL_DIR / "gate.npz").exists(), reason="the shipped classifier has no gate")
def test_the_shipped_gate_meets_its_targets():
    measured = load_card(SHIPPED_MODEL_DIR).metrics["gate"]
    assert measured["strange"]["refused"] >= 0.99 * measured["strange"]["n"]
    assert measured["test"]["refused"] <= 0.03 * measured["test"]["n"]


# What a gate is fitted on


@pytest.mark.parametrize("side", ["tuning", "kept"])
def test_strange_pictures_are_the_same_for_the_same_seed(side):
    one, two = ([s.pixels for s in strange_pictures(side, 30, np.random.default_rng(4))] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_strange_pictures_of_a_classifier_of_drawings_hold_no_drawing():
    kinds = {s.kind for s in strange_pictures("kept", 60, np.random.default_rng(0), drawings=False)}
    assert "a drawing" not in kinds
    assert {"a photograph", "another examination", "noise", "a page of text", "a screen"} <= kinds


def test_strange_pictures_know_two_sides_only():
    with pytest.raises(ValueError, match="tuning or kept; received 'test'"):
        next(strange_pictures("test", 10, np.random.default_rng(0)))


def test_altered_radiographs_are_turned_inverted_or_cut():
    picture = draw_phantom("normal", np.random.default_rng(0))
    made = list(altered_radiographs([picture] * 6, np.random.default_rng(0)))
    by_kind = {negative.kind: negative.pixels for negative in made}
    assert len(by_kind) == 6
    np.testing.assert_array_equal(by_kind["inverted"], 255 - picture)
    np.testing.assert_array_equal(np.sort(by_kind["upside down"], axis=None), np.sort(picture, axis=None))
    assert by_kind["on its side"].shape == picture.shape[::-1]
    assert by_kind["a part of one"].size < 0.2 * picture.size


def test_a_mild_copy_looks_alike_and_is_not_the_same():
    picture = draw_phantom("normal", np.random.default_rng(0))
    copy = mild_copy(picture, np.random.default_rng(1))
    assert copy.ndim == 2
    small = [cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(float) for image in (picture, copy)]
    mirrored = small[1][:, ::-1]
    assert max(np.corrcoef(small[0].ravel(), other.ravel())[0, 1] for other in (small[1], mirrored)) > 0.7


# A gate whose numbers were made for it, and what fitting makes of made features


@pytest.fixture(scope="module")
def made():
    """A gate over four features and seven known pictures, and features and measures of five pictures."""
    rng = np.random.default_rng(5)
    n, parts = 4, 3
    size = n + len(MEASURES)
    gate = Gate(
        mean=rng.normal(size=size).astype(np.float32),
        scale=rng.uniform(0.5, 2, size).astype(np.float32),
        weights=rng.normal(size=size).astype(np.float32),
        intercept=0.7,
        chest_limit=-np.inf,
        centre=rng.uniform(0, 1, n).astype(np.float32),
        components=rng.normal(size=(n, parts)).astype(np.float16),
        known=unit_vectors(rng.uniform(0, 3, (7, n)), np.zeros(n), rng.normal(size=(n, parts))).astype(np.float16),
        known_class=np.array([0, 1, 0, 1, 0, 1, 0], np.int8),
        files=tuple(f"{i}.png" for i in range(7)),
        classes=("normal", "covid"),
        distance_limit=np.inf,
    )
    features = rng.uniform(-0.5, 4, (5, n)).astype(np.float32)
    return gate, features, rng.uniform(0, 0.001, (5, len(MEASURES))).astype(np.float32)


def test_a_chest_score_is_the_logit_of_a_regression_on_standardised_roots_and_measures(made):
    gate, features, measures = made
    model = LogisticRegression()
    model.classes_, model.coef_, model.intercept_ = np.array([0, 1]), gate.weights[None], np.array([gate.intercept])
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = gate.mean, gate.scale
    roots = np.sqrt(np.where(features > 0, features, 0))
    expected = model.decision_function(scaler.transform(np.hstack([roots, measures])))
    np.testing.assert_allclose(gate.chest_scores(features, measures), expected, rtol=1e-5)
    assert gate_inputs(features.astype(np.float64), measures.astype(np.float64)).dtype == np.float32


def test_a_verdict_names_the_five_nearest_pictures_and_their_mean_distance(made):
    gate, features, measures = made
    for picture, measured in zip(features, measures, strict=True):
        parts = (np.sqrt(np.maximum(picture, 0)) - gate.centre) @ gate.components
        cosines = cosine_similarity(parts[None], gate.known)[0]
        nearest = sorted(range(7), key=lambda i, cosines=cosines: -cosines[i])[:5]
        verdict = gate.judge(picture, measured)
        assert [n.file for n in verdict.neighbours] == [f"{i}.png" for i in nearest]
        assert [n.class_name for n in verdict.neighbours] == [("normal", "covid")[i % 2] for i in nearest]
        np.testing.assert_allclose([n.similarity for n in verdict.neighbours], cosines[nearest], atol=1e-3)
        assert verdict.distance == pytest.approx(1 - cosines[nearest].mean(), abs=1e-3)
        assert verdict.chest == pytest.approx(gate.chest_scores(picture[None], measured[None])[0])


def test_a_score_at_a_limit_passes_and_one_beyond_it_does_not(made):
    gate, features, measures = made
    seen = gate.judge(features[0], measures[0])

    def reasons(chest_limit, distance_limit):
        strict = replace(gate, chest_limit=chest_limit, distance_limit=distance_limit)
        return strict.judge(features[0], measures[0]).reasons

    assert reasons(seen.chest, seen.distance) == ()
    assert reasons(np.nextafter(seen.chest, np.inf), seen.distance) == (NO_CHEST,)
    assert reasons(seen.chest, np.nextafter(seen.distance, -np.inf)) == (UNLIKE,)
    # One question at a time: what is no chest is not also said to be unlike the training images.
    assert reasons(np.inf, -np.inf) == (NO_CHEST,)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({"colour": COLOUR_SHARE}, "in colour"),
        ({"inverted": INVERTED_SCORE}, "swapped"),
        ({"colour": 0.5, "inverted": 0.5}, "in colour"),
        ({"colour": COLOUR_SHARE * 0.99, "inverted": INVERTED_SCORE * 0.99}, None),
    ],
)
def test_no_chest_may_have_one_reason_more(made, measured, words):
    gate, features, _ = made
    measures = np.array([measured.get(name, 0.0) for name in MEASURES])
    first, *more = replace(gate, chest_limit=np.inf).judge(features[0], measures).reasons
    assert first == NO_CHEST
    assert len(more) == (words is not None) and all(words in reason for reason in more)
    assert gate.judge(features[0], measures).reasons == ()


def test_features_at_the_centre_are_like_nothing(made):
    assert not unit_vectors(np.zeros((1, 4)), np.zeros(4), made[0].components).any()


def test_what_is_compared_is_of_length_one_however_long_it_was(made):
    gate, features, _ = made
    np.testing.assert_allclose(np.linalg.norm(gate.vectors(features), axis=1), 1, rtol=1e-5)
    components = 1e-6 * gate.components.astype(np.float64)
    np.testing.assert_allclose(unit_vectors(features, gate.centre, components), gate.vectors(features), rtol=1e-4)


def test_halves_are_reckoned_with_in_single_precision(made):
    gate, features, _ = made
    assert gate.known_vectors.dtype == gate.vectors(features).dtype == gate.similarities(features).dtype == np.float32
    np.testing.assert_array_equal(gate.known_vectors, gate.known)


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (70, 70)], ids=str)
def test_the_gates_measures_are_the_pictures_and_how_far_it_is_from_square(shape):
    picture = cv2.resize(draw_phantom("normal", np.random.default_rng(0)), shape[::-1])
    measured, expected = dict(zip(MEASURES, gate_measures(picture), strict=True)), measure_picture(picture)
    assert measured.pop("aspect") == pytest.approx(np.log(max(shape) / min(shape)), abs=1e-6)
    assert measured == pytest.approx({name: expected[name] for name in measured}, rel=1e-6)


def test_a_made_gate_is_read_as_it_was_written(made, tmp_path):
    gate = replace(made[0], chest_limit=-1.25, distance_limit=0.5)
    save_gate(gate, tmp_path)
    again = load_gate(tmp_path)
    for field in fields(Gate):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(gate, field.name))
    assert {type(number) for number in (again.intercept, again.chest_limit, again.distance_limit)} == {float}
    assert (again.files, again.classes) == (gate.files, gate.classes)


def test_arrays_that_would_run_code_when_they_are_read_are_refused(made, tmp_path):
    save_gate(replace(made[0], chest_limit=0.0, distance_limit=1.0), tmp_path)
    with np.load(tmp_path / "gate.npz") as arrays:
        values = dict(arrays)
    np.savez(tmp_path / "gate.npz", **values | {"known_class": np.array([0] * 7, object)})
    with pytest.raises(ValueError, match="cannot be read; fit it again"):
        load_gate(tmp_path)


def test_a_gate_and_what_it_says_cannot_be_changed(made):
    gate, features, measures = made
    verdict = gate.judge(features[0], measures[0])
    for fixed, name in ((gate, "chest_limit"), (verdict, "reasons"), (verdict.neighbours[0], "file")):
        with pytest.raises(FrozenInstanceError):
            setattr(fixed, name, None)


def test_the_limit_is_no_stricter_than_turned_pictures_of_validation_ask_for():
    rng = np.random.default_rng(3)

    def look(mean, n):
        rows = [(np.abs(rng.normal(mean, 1, 80)), np.zeros(len(MEASURES))) for _ in range(n)]
        return gate_fit._Looks(rows, [""] * n, [True] * n)

    seen = {"train": look(4, 200), "validation": look(4, 200)}
    table = pd.DataFrame({"file": [f"{i}.png" for i in range(200)], "class_name": "a"})
    turned = look(0, 200)
    gate = gate_fit._fit(("a",), table, seen, look(4, 50), (look(0, 200), look(0, 200)), turned)
    refused = gate.chest_scores(turned.features, turned.measures) < gate.chest_limit
    assert refused.mean() == pytest.approx(gate_fit.ALTERED_SHARE, abs=0.005)
    assert not (gate.chest_scores(seen["validation"].features, seen["validation"].measures) < gate.chest_limit).any()
    assert gate.chest_limit < 0
