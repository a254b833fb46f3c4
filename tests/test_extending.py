"""docs/extending.md: its examples, pasted as they stand, do what the page says."""

import json
import re
import sys
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from conftest import PROJECT
from PIL import Image

from cxr_core.audit.quality_flags import FLAGS, flag_images
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.registry import LAYOUTS
from cxr_core.data.phantoms import draw_phantom
from cxr_core.data.property_table import measure_images
from cxr_core.explain.cam_methods import CAM_METHODS
from cxr_core.explain.intermediate_tensors import open_intermediate_tensors
from cxr_core.imaging.preprocessing import Preprocessing, preprocessing_from_dict
from cxr_core.imaging.preprocessing_steps import PREPROCESSING_STEPS
from cxr_core.inference.classifier import load_classifier
from cxr_core.recipes.backbones import BACKBONES
from cxr_core.recipes.memory_estimate import estimated_memory
from cxr_core.recipes.training_config import make_config
from cxr_core.system.files import file_stamp
from cxr_core.system.onnx_session import open_session, run_graph

PAGE = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r'^```python title="(in )?([\w/]+)\.py"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
REGISTRIES = (CAM_METHODS, BACKBONES, PREPROCESSING_STEPS, FLAGS, LAYOUTS)


@pytest.fixture
def paste(monkeypatch):
    """A callable(heading) that makes a section's files and entries part of the program until the test ends."""

    def paste_section(heading):
        section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        blocks = BLOCK.findall(section)
        assert blocks, heading
        for into_registry, path, code in blocks:
            name = path.replace("/", ".")
            if into_registry:
                space = dict(vars(import_module(name)))
            else:
                module = ModuleType(name)
                monkeypatch.setitem(sys.modules, name, module)
                space = vars(module)
            exec(compile(code, f"{path}.py", "exec"), space)

    with ExitStack() as stack:
        for registry in REGISTRIES:
            stack.enter_context(patch.dict(registry))
        yield paste_section


def test_every_example_on_the_page_is_run_here():
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert headings == [
        "A CAM method", "A backbone", "A preprocessing step", "A quality flag", "A data set layout",
    ]  # fmt: skip
    assert PAGE.count("```python") == len(BLOCK.findall(PAGE))


def test_the_cam_method_makes_maps_for_the_built_in_classifier(paste):
    paste("A CAM method")
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    drawing = draw_phantom("covid", np.random.default_rng(0))
    data = cv2.imencode(".png", drawing)[1].tobytes()
    prediction = classifier.predict_image(data, method="LayerCAM")
    assert prediction.map_method == "LayerCAM"
    # Before the pooling the gradient is the same everywhere: the sum of the channels that speak for a class.
    layer = classifier.card.map_layers[0]
    tensors = open_intermediate_tensors(classifier.path, layer, file_stamp(classifier.path))
    scaled = classifier.card.preprocessing.scaled(prediction.image_u8[None])
    (activations,) = tensors.session.run([tensors.activations], {"image": scaled})
    for map_, weights in zip(prediction.maps, tensors.fixed_gradients[0, :, 0, 0], strict=True):
        expected = sum(weights[k] * activations[0, :, :, k] for k in np.flatnonzero(weights > 0))
        np.testing.assert_allclose(map_, expected / expected.max(), atol=1e-5)
    earlier = classifier.predict_image(data, layer="block_16_depthwise", method="LayerCAM").maps
    assert earlier.shape == prediction.maps.shape
    assert np.ptp(earlier) == 1


def test_the_backbone_is_built_and_exported(paste, tmp_path, monkeypatch):
    keras = pytest.importorskip("keras", reason="training needs TensorFlow, which is not installed")
    from cxr_core.training import network
    from cxr_core.training.onnx_export import export_classifier

    paste("A backbone")
    backbone = BACKBONES["mobilenet025"]
    # Random weights: the real ones need a network, and their values do not matter here.
    monkeypatch.setattr(network, "_starting_weights", lambda config: None)
    settings = ["backbone=mobilenet025", "preprocessing.size=64", f"train_from={backbone.later_half}"]
    config = make_config("finetune", settings=settings)
    model = network.build_model(config, 3)
    names = [layer.name for layer in model.layers]
    assert names[names.index("features") - 1] == backbone.map_layers[0]
    pooled = keras.Model(model.input, model.get_layer("features").output)
    assert pooled.count_params() == backbone.weights
    assert 0 < names.index(backbone.later_half) < len(names)
    assert estimated_memory(config) < estimated_memory(make_config("finetune", settings=["preprocessing.size=64"]))

    images_u8 = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    assert export_classifier(model, tmp_path / "model.onnx", backbone.map_layers) == backbone.map_layers
    outputs = ["probabilities", f"maps_{backbone.map_layers[0]}"]
    session = open_session(tmp_path / "model.onnx")
    probabilities, maps = run_graph(session, outputs, images_u8, config.preprocessing.scaled)
    expected = model.predict(config.preprocessing.scaled(images_u8), verbose=0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert maps.shape == (2, 3, 2, 2)


def test_the_preprocessing_step_changes_pixels_and_is_stored(paste):
    paste("A preprocessing step")
    drawing = draw_phantom("normal", np.random.default_rng(0))
    plain = Preprocessing(size=64)
    brighter = Preprocessing(size=64, further_steps=(("gamma", 0.5),))
    before = plain.image_u8(drawing)
    np.testing.assert_array_equal(brighter.image_u8(drawing), np.round(255 * np.sqrt(before / 255)).astype(np.uint8))
    off = Preprocessing(size=64, further_steps=(("gamma", PREPROCESSING_STEPS["gamma"].off),))
    np.testing.assert_array_equal(off.image_u8(drawing), before)
    assert preprocessing_from_dict(json.loads(json.dumps(brighter.to_dict()))) == brighter
    assert preprocessing_from_dict(plain.to_dict()) == plain
    setting = re.search(r"--set '(preprocessing\.[^']*)'", PAGE)[1]
    assert make_config("quick", settings=[setting]).preprocessing.further_steps == (("gamma", 0.8),)


def test_the_flag_flags_a_small_image_and_not_its_near_miss(paste, tmp_path):
    paste("A quality flag")
    for name, size in (("small", (300, 223)), ("near-miss", (224, 300))):
        path = tmp_path / "data" / "normal" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing = draw_phantom("normal", np.random.default_rng(0))
        Image.fromarray(drawing).resize(size).save(path)
    table = scan_dataset(tmp_path / "data", index_dir=tmp_path / "index").table
    found = flag_images(table, measure_images(table, cache_dir=tmp_path / "cache"))
    flagged = found.loc[found["flag"] == "too_small", ["file", "value"]]
    assert flagged.to_numpy().tolist() == [["normal/small.png", 223.0]]
    assert FLAGS["too_small"].describe(223.0) == "223 pixels"


def test_the_layout_reads_a_small_folder(paste, tmp_path):
    folder = tmp_path / "ChinaSet_AllFiles"
    (folder / "CXR_png").mkdir(parents=True)
    for i, name in enumerate(("CHNCXR_0001_0.png", "CHNCXR_0327_1.png", "CHNCXR_0328_1.png")):
        Image.new("L", (9, 8), i).save(folder / "CXR_png" / name)
    (folder / "CXR_png" / "notes.txt").write_text("no image")
    assert scan_dataset(folder, index_dir=tmp_path / "before").classes == ("CXR_png",)
    paste("A data set layout")
    dataset = scan_dataset(folder, index_dir=tmp_path / "after")
    assert dataset.classes == ("normal", "tuberculosis")
    assert dataset.table[["file", "class_name", "patient", "view"]].to_numpy().tolist() == [
        ["CXR_png/CHNCXR_0001_0.png", "normal", "CHNCXR_0001", "PA"],
        ["CXR_png/CHNCXR_0327_1.png", "tuberculosis", "CHNCXR_0327", "PA"],
        ["CXR_png/CHNCXR_0328_1.png", "tuberculosis", "CHNCXR_0328", "PA"],
    ]
    assert dataset.unreadable.to_numpy().tolist() == [["CXR_png/notes.txt", "This name does not tell the class."]]
