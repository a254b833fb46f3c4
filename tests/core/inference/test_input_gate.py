"""What a gate refuses, against scikit-learn and numpy; negative_images.py: what it is fitted on."""

import hashlib
import json
import shutil
from dataclasses import FrozenInstanceError, fields, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.image_properties import COLOUR_SHARE, INVERTED_SCORE, measure_image
from cxr_core.imaging.lung_segmentation import MASK_SIDE, VIEWS, ChestView, ViewLimits, look_at_chest
from cxr_core.imaging.photo_detection import FILM_SIDES
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.inference import input_gate
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import (
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
from cxr_core.inference.model_card import Card, load_card, write_card
from cxr_core.recipes.training_config import make_config
from cxr_core.reporting.model_card_text import figures_markdown
from cxr_core.robustness import gate_fitting
from cxr_core.robustness.negative_images import (
    ALTERATIONS,
    NegativeImage,
    altered_radiographs,
    mild_copy,
    negative_images,
)
from cxr_core.runs.lifecycle import start_run

PLAIN = Preprocessing(size=32, white_balance_percent=None)
# Two lungs, each a quarter of the width and half the height, in an image of one whole, upright chest.
CELLS = np.zeros((MASK_SIDE, MASK_SIDE, 2), np.float32)
CELLS[24:72, 16:40], CELLS[24:72, 56:80] = 1, 1
WHOLE = ChestView((96, 96), CELLS, "whole", 9.0)


@pytest.fixture(scope="module")
def gated(demo_data, until, tmp_path_factory):
    """A run on the drawings with a gate that was fitted on few images: (folder, measured).

    A third of them validate: the gate's limits are set on these, and nine would leave them to chance.
    """
    settings = ("epochs=2", "start=shipped", "batch_size=16", "validation_share=0.33")
    config = make_config("quick", roots=(str(demo_data),), settings=settings)
    run = start_run(config, tmp_path_factory.mktemp("gated"))
    until(lambda: not run.status().is_active)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_STRANGE", "_ALTERED", "_MILD", "_KEPT"):
            patch.setattr(gate_fitting, name, 60)
        patch.setattr(gate_fitting, "_ELSEWHERE_PER_KIND", 5)
        return run.path, gate_fitting.fit_gate(run.path, [demo_data], others=[demo_data])


@pytest.fixture(scope="module")
def classifier(gated):
    return load_classifier(gated[0])


def assess(classifier, image):
    prepared = classifier.card.preprocessing.image_u8(image)
    return classifier.gate.assess(classifier.features(prepared[None])[0], gate_measures(image), look_at_chest(image))


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


def test_only_training_images_are_known(gated):
    split = pd.read_csv(gated[0] / "split.csv").set_index("file")["split"]
    assert set(split[list(load_gate(gated[0]).files)]) == {"train"}


def test_an_image_far_from_all_training_images_is_unlike_them(classifier):
    gate = classifier.gate
    image = draw_phantom("covid", np.random.default_rng(3))
    measures, features = (
        gate_measures(image),
        classifier.features(classifier.card.preprocessing.image_u8(image)[None])[0],
    )
    known = gate.assess(features, measures, WHOLE)
    strict = replace(gate, chest_limit=-np.inf, distance_limit=known.distance - 1e-6)
    assert strict.assess(features, measures, WHOLE).reasons == (UNLIKE,)
    assert known.distance == pytest.approx(1 - np.sort(gate.similarities(features[None])[0])[-5:].mean(), abs=1e-6)


def test_a_negative_says_that_black_and_white_may_be_swapped(classifier):
    gate = replace(classifier.gate, chest_limit=np.inf)
    measures = np.zeros(len(MEASURES), np.float32)
    measures[MEASURES.index("inverted")] = 0.5
    assert "swapped" in gate.assess(np.zeros(len(gate.centre), np.float32), measures, WHOLE).reasons[1]


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


def test_a_gate_of_an_earlier_version_knows_names_alone(gated, tmp_path):
    save_gate(load_gate(gated[0]), tmp_path)
    numbers = json.loads((tmp_path / "gate.json").read_text())
    del numbers["digests"]
    (tmp_path / "gate.json").write_text(json.dumps(numbers))
    earlier = load_gate(tmp_path)
    assert earlier.digests == ()
    assert earlier._neighbour(0, 1.0).digest == ""


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


@pytest.mark.skipif(not (SHIPPED_MODEL_DIR / "gate.npz").exists(), reason="the built-in classifier has no gate")
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
    made = list(altered_radiographs([image] * 7, np.random.default_rng(0)))
    by_kind = {negative.kind: negative.pixels for negative in made}
    assert len(by_kind) == 7
    np.testing.assert_array_equal(by_kind["inverted"], 255 - image)
    np.testing.assert_array_equal(np.sort(by_kind["upside down"], axis=None), np.sort(image, axis=None))
    assert by_kind["on its side"].shape == image.shape[::-1]
    assert by_kind["a part of one"].size < 0.2 * image.size


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_every_way_of_altering_gives_another_image_of_the_same_kind_of_pixels(kind):
    images = [draw_phantom(name, np.random.default_rng(7)) for name in ("normal", "covid", "virus", "normal")]
    first, again = (list(altered_radiographs(images, np.random.default_rng(3), [kind])) for _ in range(2))
    assert [negative.kind for negative in first] == [kind] * 4
    for before, after, repeated in zip(images, first, again, strict=True):
        assert after.pixels.dtype == np.uint8 and after.pixels.size > 1_000
        assert after.pixels.shape != before.shape or (after.pixels != before).mean() > 0.2
        np.testing.assert_array_equal(after.pixels, repeated.pixels)


def test_a_mild_copy_looks_alike_and_is_not_the_same():
    image = draw_phantom("normal", np.random.default_rng(0))
    copy = mild_copy(image, np.random.default_rng(1))
    assert copy.ndim == 2
    small = [cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(float) for image in (image, copy)]
    mirrored = small[1][:, ::-1]
    assert max(np.corrcoef(small[0].ravel(), other.ravel())[0, 1] for other in (small[1], mirrored)) > 0.7


# A gate whose numbers were made for it, and what fitting makes of made features


@pytest.fixture(scope="module")
def made():
    """A gate over four features and seven known images, and features and measures of five images."""
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


def test_a_verdict_names_the_five_nearest_images_and_their_mean_distance(made):
    gate, features, measures = made
    for image, measured in zip(features, measures, strict=True):
        parts = (np.sqrt(np.maximum(image, 0)) - gate.centre) @ gate.components
        cosines = cosine_similarity(parts[None], gate.known)[0]
        nearest = sorted(range(7), key=lambda i, cosines=cosines: -cosines[i])[:5]
        verdict = gate.assess(image, measured, WHOLE)
        assert [n.file for n in verdict.neighbours] == [f"{i}.png" for i in nearest]
        assert [n.class_name for n in verdict.neighbours] == [("normal", "covid")[i % 2] for i in nearest]
        np.testing.assert_allclose([n.similarity for n in verdict.neighbours], cosines[nearest], atol=1e-3)
        assert verdict.distance == pytest.approx(1 - cosines[nearest].mean(), abs=1e-3)
        assert verdict.chest == pytest.approx(gate.chest_scores(image[None], measured[None])[0])


def test_a_score_at_a_limit_passes_and_one_beyond_it_does_not(made):
    gate, features, measures = made
    seen = gate.assess(features[0], measures[0], WHOLE)

    def reasons(chest_limit, distance_limit):
        strict = replace(gate, chest_limit=chest_limit, distance_limit=distance_limit)
        return strict.assess(features[0], measures[0], WHOLE).reasons

    assert reasons(seen.chest, seen.distance) == ()
    assert reasons(np.nextafter(seen.chest, np.inf), seen.distance) == (NO_CHEST,)
    assert reasons(seen.chest, np.nextafter(seen.distance, -np.inf)) == (UNLIKE,)
    # One question at a time: what is no chest is not also said to be unlike the training images.
    assert reasons(np.inf, -np.inf) == (NO_CHEST,)


@pytest.mark.parametrize("likeliest", VIEWS)
def test_what_is_not_one_whole_chest_is_refused_with_what_is_wrong_with_it(made, monkeypatch, likeliest):
    gate, features, measures = made
    monkeypatch.setattr(input_gate, "view_limits", lambda: ViewLimits(1.5, (0.5, 2.0)))
    asking = replace(gate, asks_view=True)
    at_limit, below = (replace(WHOLE, likeliest=likeliest, whole=odds) for odds in (1.5, 1.49))
    assert asking.assess(features[0], measures[0], at_limit).reasons == ()
    first, why = asking.assess(features[0], measures[0], below).reasons
    assert first == input_gate.NOT_WHOLE and why == input_gate._VIEW_REASONS[likeliest]
    # A gate of an earlier version, or of drawings, does not ask; what is no chest at all is not also said to be turned.
    assert gate.assess(features[0], measures[0], below).reasons == ()
    assert replace(asking, chest_limit=np.inf).assess(features[0], measures[0], below).reasons == (NO_CHEST,)


@pytest.mark.parametrize(("shape", "refused"), [((96, 192), False), ((96, 193), True), ((193, 96), True)])
def test_a_stretched_chest_is_told_by_the_box_around_its_lungs(made, monkeypatch, shape, refused):
    gate, features, measures = made
    # The box of these lungs is 64 cells wide and 48 high, so that an image twice as wide has one of 8:3.
    monkeypatch.setattr(input_gate, "view_limits", lambda: ViewLimits(1.5, (2 / 3, 8 / 3)))
    reasons = replace(gate, asks_view=True).assess(features[0], measures[0], WHOLE.at(shape)).reasons
    assert (reasons == (input_gate.NOT_WHOLE, input_gate._STRETCHED)) == refused == bool(reasons)


@pytest.mark.parametrize(("film_sides", "refused"), [(FILM_SIDES - 1, False), (FILM_SIDES, True), (4, True)])
def test_a_photograph_of_a_film_or_a_screen_is_refused(made, film_sides, refused):
    gate, features, measures = made
    reasons = replace(gate, asks_view=True).assess(features[0], measures[0], WHOLE, film_sides).reasons
    assert (reasons == (input_gate.NOT_WHOLE, input_gate._PHOTOGRAPHED)) == refused == bool(reasons)
    # A gate of an earlier version leaves it at a note beside the answer.
    assert gate.assess(features[0], measures[0], WHOLE, film_sides).reasons == ()


def test_without_lungs_no_image_counts_as_stretched(made, monkeypatch):
    gate, features, measures = made
    monkeypatch.setattr(input_gate, "view_limits", lambda: ViewLimits(1.5, (1.0, 1.1)))
    empty = replace(WHOLE, cells=np.zeros_like(CELLS))
    assert replace(gate, asks_view=True).assess(features[0], measures[0], empty).reasons == ()


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
    first, *more = replace(gate, chest_limit=np.inf).assess(features[0], measures, WHOLE).reasons
    assert first == NO_CHEST
    assert len(more) == (words is not None) and all(words in reason for reason in more)
    assert gate.assess(features[0], measures, WHOLE).reasons == ()


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
def test_the_gates_measures_are_the_images_and_how_far_it_is_from_square(shape):
    image = cv2.resize(draw_phantom("normal", np.random.default_rng(0)), shape[::-1])
    measured, expected = dict(zip(MEASURES, gate_measures(image), strict=True)), measure_image(image)
    assert measured.pop("aspect") == pytest.approx(np.log(max(shape) / min(shape)), abs=1e-6)
    assert measured == pytest.approx({name: expected[name] for name in measured}, rel=1e-6)


def test_text_is_not_looked_for_because_no_measure_of_the_gate_is_of_it(monkeypatch):
    asked = []
    real = input_gate.measure_image
    monkeypatch.setattr(input_gate, "measure_image", lambda image, **how: asked.append(how) or real(image, **how))
    gate_measures(draw_phantom("normal", np.random.default_rng(0)))
    assert asked == [{"with_text": False}]


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
    verdict = gate.assess(features[0], measures[0], WHOLE)
    for fixed, name in ((gate, "chest_limit"), (verdict, "reasons"), (verdict.neighbours[0], "file")):
        with pytest.raises(FrozenInstanceError):
            setattr(fixed, name, None)


def test_the_limit_is_no_stricter_than_turned_images_of_validation_ask_for():
    rng = np.random.default_rng(3)

    def look(mean, n):
        rows = [(np.abs(rng.normal(mean, 1, 80)), np.zeros(len(MEASURES))) for _ in range(n)]
        return gate_fitting._Looks([(*row, False) for row in rows], [""] * n, [True] * n)

    seen = {"train": look(4, 200), "validation": look(4, 200)}
    names = [f"{i}.png" for i in range(200)]
    table = pd.DataFrame({"file": names, "digest": names, "class_name": "a"})
    turned = look(0, 200)
    gate = gate_fitting._fit(("a",), table, seen, look(4, 50), (look(0, 200), look(0, 200)), turned)
    refused = gate.chest_scores(turned.features, turned.measures) < gate.chest_limit
    assert refused.mean() == pytest.approx(gate_fitting.ALTERED_SHARE, abs=0.005)
    assert not (gate.chest_scores(seen["validation"].features, seen["validation"].measures) < gate.chest_limit).any()
    assert gate.chest_limit < 0


def looked_at(mean, n, *, seed=3, kinds=None):
    """What a gate sees of `n` images whose 80 features lie around a mean but for one, and that have no measures."""
    rng = np.random.default_rng(seed)
    rows = [(np.append(rng.normal(mean, 1, 79), -1), np.zeros(len(MEASURES))) for _ in range(n)]
    return gate_fitting._Looks([(*row, False) for row in rows], kinds or [""] * n, [True] * n)


def fitted(train, validation, *, mild, negatives, turned):
    table = pd.DataFrame(
        {
            "file": [f"{i}.png" for i in range(len(train))],
            "digest": [f"{i:064x}" for i in range(len(train))],
            "class_name": ["a", "b"] * (len(train) // 2),
        }
    )
    return gate_fitting._fit(("b", "a"), table, {"train": train, "validation": validation}, mild, negatives, turned)


@pytest.fixture(scope="module")
def overlapping():
    """(train, validation, gate): some turned images of validation look like whole ones, so nearly all must pass."""
    train, validation = looked_at(4, 200), looked_at(4, 200, seed=4)
    negatives = looked_at(0, 150, seed=5), looked_at(1, 200, seed=6)
    gate = fitted(
        train, validation, mild=looked_at(4.5, 50, seed=7), negatives=negatives, turned=looked_at(6, 40, seed=8)
    )
    return train, validation, gate


def test_a_two_hundredth_of_validation_may_be_called_no_chest_and_another_one_unlike(overlapping):
    _, validation, gate = overlapping
    chest = gate.chest_scores(validation.features, validation.measures)
    distance = 1 - np.sort(gate.similarities(validation.features), axis=1)[:, ::-1][:, :5].mean(axis=1)
    assert (chest < gate.chest_limit).sum() == 0.005 * 200
    assert (distance > gate.distance_limit).sum() == 0.005 * 200
    assert gate.chest_limit == pytest.approx(np.percentile(chest, 0.5))
    assert gate.distance_limit == pytest.approx(np.percentile(distance, 99.5))


def test_of_turned_images_98_of_100_must_be_refused_where_validation_leaves_room_for_it():
    train, turned = looked_at(4, 60), looked_at(0, 200, seed=8)
    gate = fitted(train, train, mild=looked_at(4, 10), negatives=(looked_at(0, 60),), turned=turned)
    assert (gate.chest_scores(turned.features, turned.measures) < gate.chest_limit).sum() == 0.98 * 200


def test_fitting_twice_gives_the_same_gate():
    train, others = looked_at(4, 80), looked_at(1, 60, seed=8)
    one, again = (fitted(train, train, mild=train, negatives=(others,), turned=others) for _ in range(2))
    for field in fields(Gate):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(again, field.name))


def test_the_first_question_is_a_balanced_regression_of_training_images_and_copies_against_all_others(overlapping):
    train, _, gate = overlapping
    others = [looked_at(4.5, 50, seed=7), looked_at(0, 150, seed=5), looked_at(1, 200, seed=6)]
    roots = [np.sqrt(np.where(side.features > 0, side.features, 0)) for side in (train, *others)]
    inputs = np.pad(np.vstack(roots).astype(float), ((0, 0), (0, len(MEASURES))))
    # A measure that never varies must not be divided by nothing.
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 0.001
    np.testing.assert_allclose(gate.mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gate.scale, spread, rtol=1e-4)
    regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=2_000)
    regression.fit((inputs - mean) / spread, np.repeat([True, False], (250, 350)))
    expected = regression.decision_function((inputs - mean) / spread)[:200]
    np.testing.assert_allclose(gate.chest_scores(train.features, train.measures), expected, rtol=2e-3)


def test_neighbours_are_looked_for_along_the_principal_components_of_the_training_images(overlapping):
    train, _, gate = overlapping
    roots = np.sqrt(np.maximum(train.features, 0))
    assert gate.components.shape == (80, gate_fitting.COMPONENTS) == (80, 64)
    np.testing.assert_allclose(gate.centre, roots.mean(axis=0), rtol=1e-5)
    kept = ((roots - roots.mean(axis=0)) @ gate.components.astype(float)).var(axis=0).sum()
    assert kept == pytest.approx(PCA(64).fit(roots).explained_variance_.sum() * 199 / 200, rel=0.01)
    np.testing.assert_allclose(gate.similarities(train.features).diagonal(), 1, atol=2e-3)
    assert gate.files == tuple(f"{i}.png" for i in range(200))
    assert [gate.classes[i] for i in gate.known_class] == ["a", "b"] * 100


@pytest.mark.parametrize(("flawed", "asks"), [(3, True), (4, False)])
def test_the_lung_network_is_asked_where_it_knows_the_validation_images_as_chests(flawed, asks):
    train = looked_at(4, 100)
    train.flawed[:flawed] = True
    gate = fitted(train, train, mild=looked_at(4, 10), negatives=(looked_at(0, 60),), turned=looked_at(0, 60))
    assert gate.asks_view == asks
    counted = gate_fitting._refusals(gate, train)
    assert counted["not_whole"] == (flawed if asks else 0)


def test_few_training_images_have_fewer_components():
    train = looked_at(4, 10)
    gate = fitted(train, train, mild=looked_at(4, 4), negatives=(looked_at(0, 9),), turned=looked_at(0, 9))
    assert gate.components.shape == (80, 9)


def test_refusals_are_counted_by_the_question_that_refused(overlapping):
    train, _, gate = overlapping
    scores = gate.chest_scores(train.features, train.measures)
    distances = 1 - np.sort(gate.similarities(train.features), axis=1)[:, -5:].mean(axis=1)
    # An image at a limit is not refused.
    strict = replace(gate, chest_limit=np.sort(scores)[100], distance_limit=np.sort(distances)[120])
    no_chest, unlike = scores < strict.chest_limit, distances > strict.distance_limit
    counted = gate_fitting._refusals(strict, train)
    assert counted["n"] == 200 and counted["no_chest"] == 100 and unlike.sum() == 79
    assert counted["unlike"] == (unlike & ~no_chest).sum() > 0
    assert counted["refused"] == 100 + counted["unlike"]


def test_refusals_are_counted_by_kind(overlapping):
    train, _, gate = overlapping
    scores = gate.chest_scores(train.features, train.measures)
    distances = 1 - np.sort(gate.similarities(train.features), axis=1)[:, -5:].mean(axis=1)
    strict = replace(gate, chest_limit=np.median(scores), distance_limit=np.median(distances))
    no_chest, unlike = scores < strict.chest_limit, distances > strict.distance_limit
    kinds = ["left", "right", "right", "right"] * 50
    by_kind = gate_fitting._refusals_by_kind(strict, looked_at(4, 200, kinds=kinds))["kinds"]
    assert list(by_kind) == ["left", "right"]
    for kind, counts in by_kind.items():
        own = np.array(kinds) == kind
        assert counts["n"] == own.sum()
        assert counts["no_chest"] == (no_chest & own).sum()
        assert counts["refused"] == ((no_chest | unlike) & own).sum()


@pytest.fixture
def three_by_three(tmp_path):
    """A folder with three images in each of three classes."""
    for k, name in enumerate(CLASSES):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            grey = np.full((40, 40), 25 * (3 * k + i), np.uint8)
            cv2.imwrite(str(tmp_path / "data" / name / f"{i}.png"), grey)
    return tmp_path / "data"


CLASSES = ("normal", "covid", "virus")
FILES = [f"{name}/{i}.png" for name in CLASSES for i in range(3)]
SIDES = ["train", "train", "validation", "test", "train", "train", "validation", "test", "train"]


def files_of(sides):
    return {side: table["file"].tolist() for side, table in sides.items()}


EXPECTED = {
    side: [f for f, s in zip(FILES, SIDES, strict=True) if s == side] for side in ("train", "validation", "test")
}


def test_a_run_says_itself_what_its_sides_were(three_by_three, tmp_path):
    # The first of these lies in no folder any more, and the last was left out of the split.
    split = pd.DataFrame({"file": ["gone.png", *FILES[:-1]], "split": ["test", *SIDES[:-1]]})
    split.to_csv(tmp_path / "split.csv", index=False)
    sides = files_of(gate_fitting._sides(tmp_path, [three_by_three], None))
    assert sides == EXPECTED | {"train": EXPECTED["train"][:-1]}


def test_a_published_model_names_validation_and_test_and_all_others_taught(three_by_three, tmp_path):
    rows = [(f, s) for f, s in zip(FILES, SIDES, strict=True) if s != "train"]
    pd.DataFrame(rows, columns=["file", "split"]).to_csv(tmp_path / "predictions.csv", index=False)
    sides = gate_fitting._sides(tmp_path, [three_by_three], None)
    assert files_of(sides) == EXPECTED
    assert sides["test"]["class_name"].tolist() == ["covid", "virus"]


def test_what_a_published_model_was_not_trained_on_is_none_of_its_training_images(three_by_three, tmp_path):
    table = scan_dataset(three_by_three).table
    sides = table["file"].map(dict(zip(FILES, SIDES, strict=True)))
    table.assign(split=sides)[sides != "train"].to_csv(tmp_path / "predictions.csv", index=False)
    trained = table[sides == "train"]
    # All but one: that one was left out of the training.
    (tmp_path / "training_images.txt").write_text("\n".join(trained["digest"].iloc[1:]))
    found = files_of(gate_fitting._sides(tmp_path, [three_by_three], None))
    assert found["train"] == trained["file"].iloc[1:].tolist()


@pytest.fixture
def two_hospitals(three_by_three, tmp_path):
    """A second folder with the same nine file names and other images."""
    for number, file in enumerate(FILES):
        (tmp_path / "other" / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "other" / file), np.full((50, 50), 25 * number + 7, np.uint8))
    return [three_by_three, tmp_path / "other"]


def split_of_hospitals(roots):
    """The second hospital's images stand on other sides than the first one's of the same name."""
    table = scan_dataset(*roots).table
    side = dict(zip(FILES, SIDES, strict=True))
    turned = {"train": "test", "test": "validation", "validation": "train"}
    is_first = table["path"].str.startswith(str(roots[0].resolve())).to_numpy()
    named = table["file"].map(side)
    return table, named.where(is_first, named.map(turned))


@pytest.mark.parametrize("in_order", [True, False], ids=["in the order of the run", "in another order"])
def test_two_hospitals_with_equal_file_names_are_told_apart_by_content(two_hospitals, tmp_path, in_order):
    table, sides = split_of_hospitals(two_hospitals)
    table.assign(split=sides).to_csv(tmp_path / "split.csv", index=False)
    found = gate_fitting._sides(tmp_path, two_hospitals if in_order else two_hospitals[::-1], None)
    assert {side: set(rows["path"]) for side, rows in found.items()} == {
        side: set(table.loc[sides == side, "path"]) for side in ("train", "validation", "test")
    }


def test_a_published_model_that_knows_contents_tells_two_hospitals_apart(two_hospitals, tmp_path):
    table, sides = split_of_hospitals(two_hospitals)
    table.assign(split=sides)[sides != "train"].to_csv(tmp_path / "predictions.csv", index=False)
    found = gate_fitting._sides(tmp_path, two_hospitals, None)
    assert set(found["train"]["path"]) == set(table.loc[sides == "train", "path"])


def test_of_names_alone_no_image_that_may_be_a_test_image_counts_as_training(two_hospitals, tmp_path):
    rows = [(f, s) for f, s in zip(FILES, SIDES, strict=True) if s != "train"]
    pd.DataFrame(rows, columns=["file", "split"]).to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(ValueError, match="named by their files alone, and 8 of them"):
        gate_fitting._sides(tmp_path, two_hospitals, None)
    # The second hospital has no images of these names, so the first one's are those that were named.
    for file in ("covid/0.png", "normal/2.png"):
        (two_hospitals[1] / file).unlink()
    found = gate_fitting._sides(tmp_path, two_hospitals, None)
    assert not {f for f, _ in rows} & set(found["train"]["file"])
    assert found["test"]["file"].tolist() == ["covid/0.png"]
    assert found["validation"]["file"].tolist() == ["normal/2.png"]
    assert sorted(found["unclear"]["file"]) == ["virus/0.png"] * 2 + ["virus/1.png"] * 2


def test_a_copy_of_a_training_image_is_no_test_image(three_by_three, tmp_path):
    shutil.copy(three_by_three / "normal" / "0.png", three_by_three / "covid" / "0.png")
    table = scan_dataset(three_by_three).table
    table.assign(split=table["file"].map(dict(zip(FILES, SIDES, strict=True)))).to_csv(tmp_path / "split.csv")
    found = files_of(gate_fitting._sides(tmp_path, [three_by_three], None))
    assert found["test"] == ["virus/1.png"]
    assert {"normal/0.png", "covid/0.png"} <= set(found["train"])


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_every_side_must_be_at_hand(three_by_three, tmp_path, side):
    pd.DataFrame({"file": FILES, "split": SIDES}).to_csv(tmp_path / "split.csv", index=False)
    for file in EXPECTED[side]:
        (three_by_three / file).unlink()
    with pytest.raises(ValueError, match="do not hold the images"):
        gate_fitting._sides(tmp_path, [three_by_three], None)


@pytest.mark.parametrize("prefix", ["", "drawing-"])
def test_a_classifier_of_drawings_is_not_taught_to_refuse_them(three_by_three, tmp_path, monkeypatch, prefix):
    """The whole of fitting, on few images and a network that has hardly any features."""
    files = []
    for file in FILES:
        path = three_by_three / file
        files.append(path.rename(path.with_name(prefix + path.name)).relative_to(three_by_three).as_posix())
    pd.DataFrame({"file": files, "split": SIDES}).to_csv(tmp_path / "split.csv", index=False)
    card = Card(name="tiny", classes=CLASSES, preprocessing=PLAIN, map_layers=("last",), metrics={"test": {"n": 2}})
    write_card(card, tmp_path)

    def features(images):
        return images.reshape(len(images), 8, 4, 8, 4).mean(axis=(2, 4)).reshape(len(images), 64).astype(np.float32)

    classifier = SimpleNamespace(card=card, classes=CLASSES, features=features)
    monkeypatch.setattr(gate_fitting, "load_classifier", lambda folder, **options: classifier)
    for name, n in (("_STRANGE", 11), ("_KEPT", 12), ("_ALTERED", 3), ("_ELSEWHERE_PER_KIND", 2)):
        monkeypatch.setattr(gate_fitting, name, n)
    asked, told = [], {}

    def negative_images(side, n, rng, *, drawings):
        asked.append((side, n, drawings))
        return (NegativeImage("noise", rng.integers(0, 255, (40, 40), np.uint8)) for _ in range(n))

    def phase(name):
        return lambda done, total: told.update({name: (done, total)})

    monkeypatch.setattr(gate_fitting, "negative_images", negative_images)
    measured = gate_fitting.fit_gate(tmp_path, [three_by_three], others=[three_by_three], phase=phase)
    assert asked == [("tuning", 11, not prefix), ("kept", 12, not prefix)]
    metrics = load_card(tmp_path).metrics
    assert metrics == {"test": {"n": 2}, "gate": json.loads(json.dumps(measured))}
    counts = {name: measured[name]["n"] for name in ("test", "validation", "strange", "altered")}
    assert counts == {"test": 2, "validation": 2, "strange": 12, "altered": 2}
    assert {name: kind["n"] for name, kind in measured["strange"]["kinds"].items()} == {"noise": 12}
    assert sum(kind["n"] for kind in measured["altered"]["kinds"].values()) == 2
    assert measured["elsewhere"]["data"]["n"] == 9
    gate = load_gate(tmp_path)
    assert gate.files == tuple(f for f, s in zip(files, SIDES, strict=True) if s == "train")
    contents = [hashlib.sha256((three_by_three / file).read_bytes()).hexdigest() for file in gate.files]
    assert gate.digests == tuple(contents)
    # Each step ended with all of its images.
    assert told == {
        "Listing the images": (9, 9),
        "Reading the train images": (5, 5),
        "Reading the validation images": (2, 2),
        "Reading the test images": (2, 2),
        "Altering training images": (5, 5),
        "Making images that are not radiographs": (11, 11),
        "Rotating and cropping training images": (3, 3),
        "Rotating and cropping validation images": (2, 2),
        "Making other images that are not radiographs": (12, 12),
        "Rotating and cropping test images": (2, 2),
        "Reading data": (9, 9),
        "Rotating and cropping external images": (2 * len(ALTERATIONS),) * 2,
    }
    of_kinds = {name: kind["n"] for name, kind in measured["altered_elsewhere"]["kinds"].items()}
    assert of_kinds == dict.fromkeys(ALTERATIONS, 2)


def test_an_image_that_cannot_be_read_is_passed_over_and_counted(three_by_three):
    def features(images):
        return images.reshape(len(images), -1)[:, :2].astype(np.float32)

    classifier = SimpleNamespace(card=SimpleNamespace(preprocessing=PLAIN), features=features)
    paths = [three_by_three / file for file in FILES]
    paths[4].write_bytes(b"no image")
    paths[6].unlink()
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_fitting, "_CHUNK", 4)
        looked = gate_fitting._look_at_files(classifier, paths, lambda done, total: told.append((done, total)))
    assert looked.readable.tolist() == [i not in (4, 6) for i in range(9)]
    assert looked.features.tolist() == [[25 * i] * 2 for i in range(9) if i not in (4, 6)]
    assert len(looked) == 7 and looked.kinds == [""] * 7
    np.testing.assert_array_equal(looked.measures[1], gate_measures(cv2.imread(str(paths[1]), 0)))
    assert told == [(4, 9), (8, 9), (9, 9)]


def test_images_are_drawn_once_each_and_those_that_cannot_be_read_left_out(three_by_three):
    paths = pd.Series([three_by_three / file for file in FILES])
    greys = [int(p.mean()) for p in gate_fitting._some_images(paths, 20, np.random.default_rng(0))]
    assert sorted(greys) == [25 * i for i in range(9)] != greys
    few = [int(p.mean()) for p in gate_fitting._some_images(paths, 4, np.random.default_rng(0))]
    assert len(set(few)) == 4
    paths[0].unlink()
    paths[1].write_bytes(b"no image")
    left = gate_fitting._some_images(paths, 20, np.random.default_rng(0))
    assert sorted(int(p.mean()) for p in left) == [25 * i for i in range(2, 9)]
