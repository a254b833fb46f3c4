"""network.py with every backbone: own scaling, one flat graph, maps that can be exported."""

from functools import cache

import numpy as np
import pytest

from cxr_core.recipes.backbones import BACKBONES
from cxr_core.recipes.training_config import make_config
from cxr_core.system.onnx_session import open_session, run_graph

OTHERS = [name for name in BACKBONES if name != "mobilenetv2"]
IMAGES_U8 = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)


def build(config):
    """A network with random weights: the real ones need a network connection, and their values do not matter here."""
    from cxr_core.training import network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_starting_weights", lambda config: None)
        return network.build_model(config, 3)


@cache
def half_trained(backbone):
    """A network whose later half learns, of images in -1..1; built once, for building takes seconds."""
    import keras

    keras.backend.clear_session()
    return build(config_of(backbone, trained_half(backbone)))


def config_of(backbone, *settings):
    return make_config("finetune", settings=[f"backbone={backbone}", "preprocessing.size=64", *settings])


def trained_half(backbone):
    return f"train_from={BACKBONES[backbone].later_half}"


@cache
def expected_range(backbone):
    """What Keras itself makes of the images before the backbone's first convolution."""
    import keras

    pixels = np.repeat(IMAGES_U8[..., None], 3, axis=-1).astype(np.float32)
    keras.backend.clear_session()
    if backbone == "efficientnetv2b0":
        whole = keras.applications.EfficientNetV2B0(include_top=False, weights=None, input_shape=(64, 64, 3))
        return np.asarray(keras.Model(whole.input, whole.get_layer("normalization").output)(pixels))
    module = {"densenet121": keras.applications.densenet, "resnet50v2": keras.applications.resnet_v2}[backbone]
    return module.preprocess_input(pixels.copy())


@pytest.mark.parametrize("backbone", OTHERS)
def test_a_backbone_sees_what_its_own_preprocessing_would_give_it(backbone):
    import keras

    preprocessing = config_of(backbone).preprocessing
    assert preprocessing.scaling == "-1..1"
    network = half_trained(backbone)
    seen = keras.Model(network.input, network.get_layer("backbone_range").output)(preprocessing.scaled(IMAGES_U8))
    np.testing.assert_allclose(np.asarray(seen), expected_range(backbone), atol=2e-5)


@pytest.mark.parametrize("backbone", OTHERS)
def test_a_backbone_sees_the_same_of_images_in_0_to_1(backbone):
    from cxr_core.training.network import _scaled_input

    config = config_of(backbone, "preprocessing.scaling=0..1")
    seen = _scaled_input(config.preprocessing.scaled(IMAGES_U8), config)
    np.testing.assert_allclose(np.asarray(seen), expected_range(backbone), atol=2e-5)


@pytest.mark.parametrize("backbone", OTHERS)
def test_the_later_half_of_a_backbone_learns_and_its_earlier_half_does_not(backbone):
    network = half_trained(backbone)
    names = [layer.name for layer in network.layers]
    first = names.index(BACKBONES[backbone].later_half)
    assert not any(layer.trainable_weights for layer in network.layers[:first])
    assert any(layer.trainable_weights for layer in network.layers[first:])
    assert 0.2 < first / len(names) < 0.8


@pytest.mark.parametrize("backbone", BACKBONES)
def test_maps_can_be_made_from_the_last_layer_before_the_pooling(backbone):
    network = half_trained(backbone)
    names = [layer.name for layer in network.layers]
    last = names[names.index("features") - 1]
    assert last == BACKBONES[backbone].map_layers[0]
    assert network.get_layer(last).output is network.get_layer("features").input


@pytest.mark.slow
def test_an_exported_backbone_gives_the_same_probabilities_and_features_and_a_map_per_class(tmp_path):
    import keras

    from cxr_core.training.onnx_export import export_classifier, head_probabilities

    backbone = "efficientnetv2b0"
    config = config_of(backbone, trained_half(backbone))
    network = build(config)
    expected = network.predict(config.preprocessing.scaled(IMAGES_U8), verbose=0)
    (layer,) = export_classifier(network, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    probabilities, maps = run_graph(session, ["probabilities", f"maps_{layer}"], IMAGES_U8, config.preprocessing.scaled)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert maps.shape == (2, 3, 2, 2)
    # It pools within its blocks, too: what enters the head is not its first pooling.
    pooled = keras.Model(network.input, network.get_layer("features").output)
    (features,) = run_graph(session, ["features"], IMAGES_U8, config.preprocessing.scaled)
    expected_features = pooled.predict(config.preprocessing.scaled(IMAGES_U8), verbose=0)
    np.testing.assert_allclose(features, expected_features, atol=1e-4)
    np.testing.assert_allclose(head_probabilities(tmp_path / "model.onnx", features), probabilities, atol=1e-5)


@pytest.mark.parametrize("backbone", OTHERS)
def test_missing_weights_are_named_with_what_to_do(backbone, monkeypatch, tmp_path):
    from cxr_core.training import network

    def unreachable(*_, **__):
        raise TimeoutError("timed out")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(network.urllib.request, "urlopen", unreachable)
    with pytest.raises(network.MissingWeights, match=f"{BACKBONES[backbone].label}.*{BACKBONES[backbone].file}"):
        network.build_model(config_of(backbone, "train_from=all", "cached_augmentations=0"), 3)


def test_the_shipped_start_is_refused_for_another_backbone():
    with pytest.raises(ValueError, match="start=shipped has a MobileNetV2"):
        make_config("quick", settings=["backbone=densenet121", "start=shipped"])
