"""Grad-CAM++ and Score-CAM from the exported graph, against Keras, TensorFlow and the papers' own formulas."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import Late

from core.training.test_onnx_export import in_float64, small  # noqa: F401
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.explain.grad_cam_plus_plus import plus_plus_maps, weigh_plus_plus
from cxr_core.explain.intermediate_tensors import open_intermediate_tensors
from cxr_core.explain.overlay import MapUnavailable, scale_maps
from cxr_core.explain.score_cam import score_maps
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.inference.classifier import Classifier, load_classifier
from cxr_core.inference.model_card import Card
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.system.files import file_stamp
from cxr_core.system.onnx_session import open_session

keras, tf, onnx_export = Late("keras"), Late("tensorflow"), Late("cxr_core.training.onnx_export")
PREPROCESSING = Preprocessing(size=32, scaling="-1..1")
IMAGES_U8 = np.random.default_rng(5).integers(0, 256, (3, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(small, tmp_path_factory):  # noqa: F811
    """(Keras model, path of its graph): two hidden layers between the last convolution and the logits."""
    path = tmp_path_factory.mktemp("cams") / "model.onnx"
    onnx_export.export_classifier(small[0], path)
    return small[0], path


@pytest.fixture(scope="module")
def tensors(network):
    return open_intermediate_tensors(network[1], "out_relu", (0,))


@pytest.fixture(scope="module")
def shipped():
    return load_classifier(SHIPPED_MODEL_DIR)


def activations_and_slopes(model, images):
    """Activations of out_relu, (N, h, w, K), the logits' gradients by TensorFlow, (N, C, h, w, K), and the head."""
    model = in_float64(model)
    activations = keras.Model(model.input, model.get_layer("out_relu").output)(images.astype(np.float64))
    head = keras.Model(model.get_layer("out_relu").output, model.get_layer("logits").output)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(activations)
        scores = tf.unstack(head(activations, training=False), axis=1)
    return activations.numpy(), np.stack([tape.gradient(score, activations) for score in scores], axis=1), head


def plus_plus_by_the_paper(activations, slopes):
    """Equations 10 and 13 of arXiv:1710.11063, one channel and position after the other; (C, h, w)."""
    n_classes, height, width, channels = slopes.shape
    maps = np.zeros((n_classes, height, width))
    for c in range(n_classes):
        for k in range(channels):
            weight, total = 0.0, activations[..., k].sum()
            for i in range(height):
                for j in range(width):
                    g = slopes[c, i, j, k]
                    if g != 0:
                        weight += g**2 / (2 * g**2 + total * g**3) * max(g, 0.0)
            maps[c] += weight * activations[..., k]
    return np.maximum(maps, 0)


def test_grad_cam_plus_plus_is_the_papers(network, tensors):
    activations, slopes, _ = activations_and_slopes(network[0], PREPROCESSING.scaled(IMAGES_U8))
    expected = np.stack([plus_plus_by_the_paper(a, s) for a, s in zip(activations, slopes, strict=True)])
    assert expected.max(axis=(2, 3)).min() > 0
    maps = plus_plus_maps(tensors, IMAGES_U8, PREPROCESSING)
    np.testing.assert_allclose(maps, scale_maps(expected), atol=1e-4)


def test_powers_of_the_slope_are_the_higher_derivatives_of_the_exponential_score(network):
    """What the closed form rests on: TensorFlow's own second and third derivative of exp(S) by one activation."""
    activations, slopes, head = activations_and_slopes(network[0], PREPROCESSING.scaled(IMAGES_U8[:1]))
    i, j, k = np.unravel_index(np.abs(slopes[0, 1]).argmax(), slopes.shape[2:])
    place = np.zeros_like(activations)
    place[0, i, j, k] = 1
    step = tf.Variable(0.0, dtype=tf.float64)
    with tf.GradientTape() as third, tf.GradientTape() as second:
        with tf.GradientTape() as first:
            score = tf.exp(head(activations + step * place)[0, 1])
        slope = first.gradient(score, step)
        curve = second.gradient(slope, step)
    g, s = slopes[0, 1, i, j, k], float(score)
    assert float(curve) == pytest.approx(s * g**2)
    assert float(third.gradient(curve, step)) == pytest.approx(s * g**3)


def test_a_class_without_positive_gradients_has_an_empty_map():
    slopes = np.full((1, 2, 1, 1, 3), -0.5, np.float32)
    slopes[:, 1] = 0
    assert not weigh_plus_plus(np.ones((1, 4, 4, 3), np.float32), slopes).any()


def test_score_cam_is_the_papers(network, tensors):
    """Algorithm 1 of arXiv:1910.01279 with Keras's logits and TensorFlow's own resizing."""
    model = network[0]
    scaled = PREPROCESSING.scaled(IMAGES_U8[:1])
    outputs = [model.get_layer(name).output for name in ("out_relu", "logits")]
    parts = keras.Model(model.input, outputs)
    activations = parts(scaled)[0].numpy()
    masks = tf.image.resize(activations, scaled.shape[1:3]).numpy()[0].transpose(2, 0, 1)
    spread = np.ptp(masks, axis=(1, 2))
    live = np.flatnonzero(spread)
    masks = (masks - masks.min(axis=(1, 2), keepdims=True))[live] / spread[live, None, None]
    scores = parts(scaled * masks[..., None])[1].numpy() - parts(np.zeros_like(scaled))[1].numpy()
    weights = np.exp(scores) / np.exp(scores).sum(axis=0)
    expected = np.maximum(np.einsum("kc,hwk->chw", weights, activations[0][..., live]), 0)
    maps = score_maps(tensors, IMAGES_U8[0], PREPROCESSING)
    np.testing.assert_allclose(maps, scale_maps(expected.astype(np.float32)), atol=2e-4)


def test_score_cam_reports_every_channel_once(tensors):
    seen = []
    score_maps(tensors, IMAGES_U8[0], PREPROCESSING, progress=lambda done, total: seen.append((done, total)))
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(set(done))
    assert (done[-1], set(totals)) == (totals[0], {totals[0]})


@pytest.mark.parametrize("layer", ["out_relu", "block_16_depthwise"])
def test_the_tensors_of_the_built_in_graph_give_its_own_grad_cam(shipped, layer):
    tensors = open_intermediate_tensors(shipped.path, layer, (0,))
    image = draw_phantom("covid", np.random.default_rng(0))
    images = shipped.card.preprocessing.image_u8(image)[None]
    names = [name for name in (tensors.activations, tensors.gradients) if name]
    activations, *slopes = tensors.session.run(names, {"image": shipped.card.preprocessing.scaled(images)})
    slopes = slopes[0] if slopes else tensors.fixed_gradients
    weights = np.broadcast_to(slopes, (1, len(shipped.classes), *activations.shape[1:])).mean(axis=(2, 3))
    expected = np.maximum(np.einsum("nck,nhwk->nchw", weights, activations), 0)
    np.testing.assert_allclose(shipped.maps(images, layer), scale_maps(expected), atol=1e-4)


def test_an_answer_carries_the_maps_of_the_method_and_all_else_stays(network):
    model, path = network
    card = Card(name="x", classes=tuple("abcd"), preprocessing=PREPROCESSING, map_layers=("out_relu",))
    classifier = Classifier(card, open_session(path), path)
    data = png(IMAGES_U8[0])
    plain, plus, score = (answer_upload(classifier, data, None, m) for m in ("Grad-CAM", "Grad-CAM++", "Score-CAM"))
    seen = plain.prediction.image_u8
    tensors = open_intermediate_tensors(path, "out_relu", file_stamp(path))
    np.testing.assert_array_equal(plus.prediction.maps, plus_plus_maps(tensors, seen[None], PREPROCESSING)[0])
    np.testing.assert_array_equal(score.prediction.maps, score_maps(tensors, seen, PREPROCESSING))
    assert [a.prediction.map_method for a in (plain, plus, score)] == ["Grad-CAM", "Grad-CAM++", "Score-CAM"]
    for other in (plus, score):
        np.testing.assert_array_equal(other.prediction.probabilities, plain.prediction.probabilities)
        assert replace(other, prediction=plain.prediction) == plain


def test_grad_cam_plus_plus_refuses_a_layer_with_negative_activations(shipped):
    data = png(draw_phantom("covid", np.random.default_rng(0)))
    with pytest.raises(MapUnavailable, match="never negative"):
        shipped.predict_image(data, "block_16_depthwise", "Grad-CAM++")


def test_a_graph_of_another_program_is_refused_in_a_sentence(tmp_path, network):
    import onnx

    graph = onnx.load(network[1])
    next(node for node in graph.graph.node if node.op_type == "Softmax").op_type = "Identity"
    onnx.save(graph, tmp_path / "m.onnx")
    with pytest.raises(MapUnavailable, match="supports Grad-CAM only"):
        open_intermediate_tensors(tmp_path / "m.onnx", "out_relu", (0,))


def test_an_unknown_method_is_refused_with_the_rule_and_the_value(shipped):
    with pytest.raises(ValueError, match="received 'Guess'"):
        shipped.predict_image(png(IMAGES_U8[0]), None, "Guess")


def png(image):
    import cv2

    return cv2.imencode(".png", image)[1].tobytes()
