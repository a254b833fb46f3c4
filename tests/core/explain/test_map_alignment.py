"""map_alignment.py: where in the image the cells of a map look, for every backbone, and against patches."""

from dataclasses import replace

import numpy as np
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.explain.map_alignment import map_offsets
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.recipes.backbones import BACKBONES


def test_the_built_in_classifiers_maps_lie_15_5_pixels_up_and_left_of_where_they_look():
    offsets = map_offsets(SHIPPED_MODEL_DIR / "model.onnx", load_card(SHIPPED_MODEL_DIR).map_layers)
    assert set(offsets) == {"out_relu", "block_16_depthwise"}
    for offset in offsets.values():
        assert offset == pytest.approx((15.5 / 224, 15.5 / 224))


def test_the_built_in_card_knows_them():
    card = load_card(SHIPPED_MODEL_DIR)
    assert card.map_offsets == map_offsets(SHIPPED_MODEL_DIR / "model.onnx", card.map_layers)


def test_a_card_of_an_earlier_version_has_none_and_its_maps_lie_on_the_grid(tmp_path):
    card = replace(load_card(SHIPPED_MODEL_DIR), map_offsets={})
    write_card(card, tmp_path)
    classifier = replace(load_classifier(SHIPPED_MODEL_DIR), card=load_card(tmp_path))
    map_ = np.random.default_rng(0).random((7, 7), np.float32)
    np.testing.assert_array_equal(
        classifier.map_on_image(map_, (224, 224)), card.preprocessing.map_on_image(map_, (224, 224))
    )


@pytest.mark.parametrize("aspect", ["stretch", "pad"])
@pytest.mark.parametrize("shape", [(224, 224), (300, 200), (200, 300)])
def test_a_map_is_moved_by_its_offset_of_the_prepared_square(aspect, shape):
    preprocessing = Preprocessing(aspect=aspect)
    map_ = np.zeros((7, 7), np.float32)
    map_[3, 3] = 1
    still = preprocessing.map_on_image(map_, shape)
    moved = preprocessing.map_on_image(map_, shape, (0.1, -0.05))
    side = (max(shape), max(shape)) if aspect == "pad" else shape
    assert middle(moved) == pytest.approx(np.add(middle(still), (0.1 * side[0], -0.05 * side[1])), abs=0.6)


def middle(map_):
    rows, columns = np.indices(map_.shape)
    return (map_ * rows).sum() / map_.sum(), (map_ * columns).sum() / map_.sum()


def test_no_value_is_lost_at_the_border_that_no_cell_looked_at():
    moved = Preprocessing().map_on_image(np.ones((7, 7), np.float32), (224, 224), (0.1, 0.1))
    np.testing.assert_allclose(moved, 1)


def test_a_backbones_shift_holds_where_every_stride_divides_the_side():
    backbone = BACKBONES["mobilenetv2"]
    assert backbone.map_offset(320) == pytest.approx((15.5 / 320, 15.5 / 320))
    assert backbone.map_offset(225) == (0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_patch_changes_the_cells_that_look_at_its_place(backbone, tmp_path):
    """Every weight counts alike here, so that what a patch changes is where a cell can look, and nothing else."""
    import keras

    from cxr_core.training.onnx_export import export_classifier

    model, layer = even_network(backbone)
    path = tmp_path / "model.onnx"
    export_classifier(model, path, [layer])
    # Before the export the maps of a training are moved by what stands with the backbone.
    assert map_offsets(path, [layer])[layer] == pytest.approx(BACKBONES[backbone].map_offset(224), abs=1e-6)
    last = keras.Model(model.input, model.get_layer(layer).output)
    # Residual blocks add up, and a ReLU6 that is full tells nothing of a patch.
    grey = 1e-3 if backbone == "mobilenetv2" else 0.1
    places = range(0, 224, 16)
    images = np.full((len(places) + 1, 224, 224, 3), grey, np.float32)
    for number, top in enumerate(places):
        images[number, top : top + 16] += grey / 10
    *patched, plain = last.predict(images, verbose=0).sum(axis=-1)
    height, width = plain.shape
    change = np.abs(np.array(patched) - plain)[:, height // 2, width // 2]
    looked = (change * (np.array(places) + 8)).sum() / change.sum()
    drawn = (height // 2 + 0.5) * 224 / height
    assert looked - drawn == pytest.approx(BACKBONES[backbone].cell_shift, abs=4)


def even_network(backbone):
    """A network of a backbone whose kernels are even and positive; returns it and its first map layer."""
    from pkgutil import resolve_name

    import keras

    chosen = BACKBONES[backbone]
    image = keras.Input((224, 224, 3))
    network = resolve_name(chosen.builder)(include_top=False, input_tensor=image, weights=None, **chosen.options)
    for part in network.layers:
        for weight in part.weights:
            if weight.name in ("gamma", "moving_variance"):
                weight.assign(np.ones(weight.shape))
            elif "kernel" in weight.name:
                depthwise = isinstance(part, keras.layers.DepthwiseConv2D)
                weight.assign(np.full(weight.shape, 1 / np.prod(weight.shape[: 2 if depthwise else 3])))
            elif weight.name in ("bias", "beta", "moving_mean"):
                weight.assign(np.zeros(weight.shape))
    pooled = keras.layers.GlobalAveragePooling2D(name="features")(network.output)
    logits = keras.layers.Dense(2, name="logits")(pooled)
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(logits)), chosen.map_layers[0]
