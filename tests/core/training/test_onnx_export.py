"""The ONNX graph against Keras and TensorFlow's own gradients."""

import functools
import gc
import hashlib
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import Late

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.imaging.reader import read_image
from cxr_core.inference.model_card import load_card
from cxr_core.recipes.backbones import BACKBONES

keras, tf, onnx_export = Late("keras"), Late("tensorflow"), Late("cxr_core.training.onnx_export")
MAP_LAYERS = BACKBONES["mobilenetv2"].map_layers


@functools.cache
def in_float64(model):
    """The same network in double precision: in single, one rounding can flip a ReLU6 and move a whole map."""
    config = json.loads(json.dumps(model.get_config()).replace("float32", "float64"))
    twin = keras.Model.from_config(config)
    twin.set_weights([weights.astype(np.float64) for weights in model.get_weights()])
    return twin


def grad_cams(model, layers, images):
    """Grad-CAM by TensorFlow's own gradients of the logits.

    Returns:
        dict of layer to float64 (N, C, h, w), before scaling.
    """
    model = in_float64(model)
    trunk = keras.Model(model.input, {name: model.get_layer(name).output for name in layers})
    maps = {}
    for name, activations in trunk(images.astype(np.float64), training=False).items():
        head = keras.Model(model.get_layer(name).output, model.get_layer("logits").output)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(activations)
            scores = tf.unstack(head(activations, training=False), axis=1)
        weights = [tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2)) for score in scores]
        maps[name] = tf.nn.relu(tf.einsum("nhwk,cnk->nchw", activations, tf.stack(weights))).numpy()
    return maps


def distances_from_edges(model, layers, images):
    """How far from 0 and 6 each image keeps every ReLU6 after each layer: {layer: float64 (N,)}.

    Infinite where none follows.

    At an edge the gradient jumps, so that single and double precision may rightly differ. These inputs
    differ by 3e-5 to 2e-4 between the two in the shipped network.
    """
    model = in_float64(model)
    place = {layer: model.layers.index(model.get_layer(layer)) for layer in layers}
    relus = [
        n for n, layer in enumerate(model.layers) if n > min(place.values()) and isinstance(layer, keras.layers.ReLU)
    ]
    seen = tf.function(keras.Model(model.input, [model.layers[n].input for n in relus]))
    parts = np.array_split(images.astype(np.float64), 6)
    nearest = np.concatenate([_nearest_edges(seen(part, training=False)) for part in parts])
    return {layer: nearest[:, [n > first for n in relus]].min(axis=1, initial=np.inf) for layer, first in place.items()}


def _nearest_edges(values):
    """Distances (N, number of layers) of what ReLU6 layers are given from 0 and 6."""
    return np.stack([np.minimum(np.abs(x), np.abs(x - 6)).min(axis=(1, 2, 3)) for x in map(np.asarray, values)], axis=1)


def assert_maps_agree(maps, expected):
    """Compare maps (N, C, h, w) scaled to [0, 1]; one below a tenth of its image's strongest is scaled by that tenth.

    Where nearly all of a sum cancels out, dividing by what is left would blow up float32's rounding.
    """
    highest = expected.max(axis=(-2, -1), keepdims=True)
    scale = np.maximum(highest, 0.1 * expected.max(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(maps / scale, expected / scale, atol=1e-4, rtol=1e-4)


def run_graph(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


@pytest.fixture(scope="module")
def keras_model():
    return keras.saving.load_model(SHIPPED_MODEL_DIR / "model.keras", compile=False)


@pytest.fixture(scope="module")
def chosen_images(request, keras_model):
    """Twenty images as the built-in classifier sees them, and by layer how far each stays from an activation's edge.

    Real radiographs where they are at hand, else drawings.
    """
    from conftest import SHARED_DATA

    if (SHARED_DATA / "covid_cxr").is_dir():
        paths = request.getfixturevalue("real_radiographs")
    else:
        paths = sorted(request.getfixturevalue("demo_data").rglob("*.png"))
    preprocessing = load_card(SHIPPED_MODEL_DIR).preprocessing
    images = preprocessing.scaled(np.stack([preprocessing.image_u8(read_image(p)) for p in paths]))
    images = np.concatenate([images, images[:, :, ::-1]])
    # Many come near an edge of an activation: the twenty furthest from one are taken.
    distances = distances_from_edges(keras_model, MAP_LAYERS, images)
    furthest = np.argsort(-np.min(list(distances.values()), axis=0))[:20]
    assert len(furthest) == 20
    return images[furthest], {layer: values[furthest] for layer, values in distances.items()}


@pytest.fixture(scope="module")
def twenty_images(chosen_images):
    return chosen_images[0]


@pytest.fixture(scope="module")
def shipped(keras_model, twenty_images):
    """(Keras model, outputs of the graph for the twenty images)."""
    return keras_model, run_graph(SHIPPED_MODEL_DIR / "model.onnx", twenty_images)


@pytest.fixture(scope="module")
def shipped_maps(shipped, twenty_images):
    """Grad-CAM of the Keras model for the twenty images, by layer; two at a time, for a tape keeps all it saw."""
    parts = [grad_cams(shipped[0], MAP_LAYERS, twenty_images[i : i + 2]) for i in range(0, 20, 2)]
    return {layer: np.concatenate([part[layer] for part in parts]) for layer in MAP_LAYERS}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small network with every kind of layer that maps pass through, its graph and some images."""
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="block_16_depthwise")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0)(x)
    x = keras.layers.Conv2D(12, 1, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0, name="out_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(10, activation="relu")(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(7, activation="relu")(x)
    x = keras.layers.Dense(4, name="logits")(x)
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([w + rng.uniform(0.05, 0.6, w.shape) - 0.2 * (w.ndim > 1) for w in layer.get_weights()])
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    layers = onnx_export.export_classifier(model, path)
    images = rng.uniform(-1, 1, (6, 32, 32, 3)).astype(np.float32)
    return model, layers, run_graph(path, images), images


@pytest.mark.slow
def test_the_shipped_graphs_probabilities_are_keras(shipped, twenty_images):
    model, outputs = shipped
    np.testing.assert_allclose(outputs["probabilities"], model.predict(twenty_images, verbose=0), atol=1e-4)


def test_the_shipped_graphs_features_are_keras(shipped, twenty_images):
    model, outputs = shipped
    features = keras.Model(model.input, model.get_layer("features").output).predict(twenty_images, verbose=0)
    np.testing.assert_allclose(outputs["features"], features, atol=1e-3)


@pytest.mark.parametrize("layer", MAP_LAYERS)
def test_the_shipped_graphs_maps_of_every_class_are_grad_cams(shipped, shipped_maps, chosen_images, layer):
    _, outputs = shipped
    chosen = chosen_images[1][layer] > 1e-5
    assert chosen.sum() >= 16
    assert_maps_agree(outputs[f"maps_{layer}"][chosen], shipped_maps[layer][chosen])


def test_the_shipped_card_names_the_layers_of_its_graph(shipped):
    card = load_card(SHIPPED_MODEL_DIR)
    assert {f"maps_{layer}" for layer in card.map_layers} <= set(shipped[1])
    assert shipped[1]["probabilities"].shape[1] == len(card.classes)


def test_an_exported_graphs_probabilities_are_keras(small):
    model, _, outputs, images = small
    np.testing.assert_allclose(outputs["probabilities"], model.predict(images, verbose=0), atol=1e-5)


@pytest.mark.parametrize("layer", MAP_LAYERS)
def test_maps_through_dense_and_dropout_layers_are_grad_cams(small, layer):
    model, _, outputs, images = small
    expected = grad_cams(model, [layer], images)[layer]
    assert expected.any()
    assert_maps_agree(outputs[f"maps_{layer}"], expected)


def test_the_export_names_the_layers_that_maps_can_be_made_from(small):
    assert small[1] == MAP_LAYERS


def test_a_layer_that_the_model_lacks_is_left_out(small, tmp_path):
    assert onnx_export.export_classifier(small[0], tmp_path / "m.onnx", ("out_relu", "top_activation")) == ("out_relu",)


def test_a_backbone_is_exported_as_keras_computes_it(small, tmp_path):
    model, _, _, images = small
    backbone = keras.Model(model.input, model.get_layer("features").output)
    onnx_export.export_features(backbone, tmp_path / "b.onnx")
    features = run_graph(tmp_path / "b.onnx", images)["features"]
    np.testing.assert_allclose(features, backbone.predict(images, verbose=0), atol=1e-5)


def test_a_graph_is_of_opset_17_and_its_head_makes_probabilities_of_features(small, tmp_path):
    path, (_, _, outputs, _) = tmp_path / "m.onnx", small
    onnx_export.export_classifier(small[0], path, ())
    assert {entry.domain: entry.version for entry in onnx.load(path).opset_import}[""] == 17
    many, expected = (np.tile(outputs[name], (40, 1)) for name in ("features", "probabilities"))
    np.testing.assert_allclose(onnx_export.head_probabilities(path, many), expected, atol=1e-6)


def test_a_frozen_network_is_exported_once_for_its_weights_and_size(small, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "CACHE_DIR", tmp_path)
    model = small[0]
    backbone = keras.Model(model.input, model.get_layer("out_relu").output)
    path, digest = onnx_export.kept_features_graph(backbone, 32)
    weights = b"".join(values.tobytes() for values in backbone.get_weights())
    assert digest == hashlib.sha256(weights).hexdigest()[:32]
    assert path == tmp_path / "backbones" / f"{digest}-32.onnx"
    np.testing.assert_allclose(
        run_graph(path, small[3])["features"], backbone.predict(small[3], verbose=0), rtol=1e-4, atol=1e-5
    )
    path.write_bytes(b"kept")
    assert onnx_export.kept_features_graph(backbone, 32) == (path, digest)
    assert path.read_bytes() == b"kept"


def test_an_export_looks_through_all_garbage_more_often_and_leaves_python_as_it_was(small, tmp_path, monkeypatch):
    before, seen = gc.get_threshold(), []

    def convert(*args, **kwargs):
        seen.append((gc.get_threshold(), gc.get_freeze_count() > 0))
        raise OSError("no space left")

    monkeypatch.setattr(onnx_export.tf2onnx.convert, "from_function", convert)
    with pytest.raises(OSError, match="no space left"):
        onnx_export.export_features(small[0], tmp_path / "m.onnx")
    [(during, is_frozen)] = seen
    # All generations are looked through once in the product of the three numbers of new objects.
    assert is_frozen and np.prod(during) < np.prod(before) / 3
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory after freeing is Linux's")
def test_a_conversion_takes_little_memory_and_gives_it_back(output_of, tmp_path):
    code = (
        "import json, sys, keras, psutil\n"
        "from cxr_core.config import SHIPPED_MODEL_DIR\n"
        "from cxr_core.system.memory import peak_memory, release_memory\n"
        "from cxr_core.training.onnx_export import export_classifier\n"
        "model = keras.saving.load_model(SHIPPED_MODEL_DIR / 'model.keras', compile=False)\n"
        "release_memory(); memory = psutil.Process().memory_info; before = memory().rss\n"
        "export_classifier(model, sys.argv[1])\n"
        "print(json.dumps([(bytes - before) / 1e6 for bytes in (peak_memory(), memory().rss)]))"
    )
    most, left = json.loads(output_of("-c", code, tmp_path / "m.onnx"))
    # Where Python collects as rarely as it does by itself, both are above 1,000 MB.
    assert most < 340 and left < 100


def test_layers_that_are_no_chain_are_refused(tmp_path):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, name="out_relu")(image)
    x = keras.layers.Add()([keras.layers.ReLU()(x), x])
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dense(2, name="logits")(x)
    model = keras.Model(image, keras.layers.Softmax()(x))
    with pytest.raises(ValueError, match="^Maps need a chain of layers; .* does not follow"):
        onnx_export.export_classifier(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def export_with(tmp_path, *between):
    """Export a network with these layers between the one that maps are made from and the pooling; return its graph.

    Its images are wider than high, so that neither takes the other's place.
    """
    image = keras.Input((2, 3, 2))
    x = keras.layers.DepthwiseConv2D(1, depthwise_initializer="ones", name="out_relu")(image)
    for layer in (*between, keras.layers.GlobalAveragePooling2D(name="features"), keras.layers.Dense(2, name="logits")):
        x = layer(x)
    model = keras.Model(image, keras.layers.Softmax()(x))
    # The first class is the first channel, the second the first minus the second.
    model.get_layer("logits").set_weights([np.float32([[1, 1], [0, -1]]), np.zeros(2, np.float32)])
    onnx_export.export_classifier(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(("highest", "passing"), [(None, (3, 2)), (6.0, (1, 1))])
def test_a_relu_passes_no_gradient_at_its_edges(tmp_path, highest, passing):
    first = np.float32([[-1, 0, 0.5], [6, 7, 0]])
    second = np.float32([[-2, 0, 0], [0.5, 6, -1]])
    graph = export_with(tmp_path, keras.layers.ReLU(highest))
    maps = run_graph(graph, np.stack([first, second], axis=-1)[None])["maps_out_relu"][0]
    # Grad-CAM's weights: of six positions those that pass, each a sixth of the pooling's mean.
    a, b = np.array(passing) / 36
    expected = np.maximum([a * first, a * first - b * second], 0)
    np.testing.assert_allclose(maps, expected, rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, 3])
def test_a_normalisation_without_a_scale_of_its_own_passes_the_gradient_divided_by_its_deviation(tmp_path, axis):
    layer = keras.layers.BatchNormalization(
        axis, scale=False, center=False, epsilon=0.25, moving_variance_initializer=keras.initializers.Constant(3.75)
    )
    image = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    maps = run_graph(export_with(tmp_path, layer), image)["maps_out_relu"]
    np.testing.assert_allclose(maps[0, 0], image[0, ..., 0] / 6 / np.sqrt(4), rtol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.Conv2D(2, 3, padding="same", name="odd"),
        lambda: keras.layers.Conv2D(2, 1, strides=2, name="odd"),
        lambda: keras.layers.Conv2D(2, 1, groups=2, name="odd"),
        lambda: keras.layers.Conv2D(2, 1, activation="relu", name="odd"),
        lambda: keras.layers.Dense(2, activation="tanh", name="odd"),
        lambda: keras.layers.ReLU(negative_slope=0.1, name="odd"),
        lambda: keras.layers.ReLU(threshold=0.5, name="odd"),
        lambda: keras.layers.BatchNormalization(axis=1, name="odd"),
        lambda: keras.layers.Activation("gelu", name="odd"),
    ],
    ids=["3 x 3", "stride", "groups", "convolution with activation", "tanh", "leaky", "threshold", "rows", "gelu"],
)
def test_a_layer_without_a_known_gradient_is_refused(tmp_path, layer):
    with pytest.raises(ValueError, match="No gradient is known for layer odd"):
        export_with(tmp_path, layer())
    assert not list(tmp_path.iterdir())
