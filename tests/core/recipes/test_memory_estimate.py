"""memory_estimate.py: what a training is estimated to take, and when it is refused."""

from types import SimpleNamespace

import pytest

from cxr_core.recipes import memory_estimate
from cxr_core.recipes.memory_estimate import check_memory, estimated_memory
from cxr_core.recipes.training_config import make_config

# What was measured, in GB: see the docstring of `estimated_memory`. MobileNetV2's weights, their gradients and what
# the optimizer keeps of each take 54 MB.
WEIGHTS = 6 * 4 * 2_257_984 / 1e9


def gigabytes(recipe, *settings):
    return estimated_memory(make_config(recipe, settings=settings)) / 1e9


@pytest.mark.parametrize(
    ("recipe", "low", "high"), [("quick", 1.21, 1.3), ("finetune", 2.1, 2.15), ("article", 2.65, 2.7)]
)
def test_a_recipe_is_estimated_at_the_upper_end_of_what_was_measured(recipe, low, high):
    assert low < gigabytes(recipe) < high


@pytest.mark.parametrize(("recipe", "per_image"), [("article", 0.115), ("finetune", 0.04)])
def test_the_estimate_grows_by_the_same_for_every_image_of_a_batch(recipe, per_image):
    batches = [gigabytes(recipe, f"batch_size={n}") for n in (64, 128, 256)]
    assert batches[0] == pytest.approx(0.8 + 64 * per_image + WEIGHTS, rel=1e-6)
    assert batches[1] - batches[0] == pytest.approx(64 * per_image, rel=1e-6)
    assert batches[2] - batches[1] == pytest.approx(128 * per_image, rel=1e-6)


def test_the_activations_grow_with_the_number_of_pixels():
    small, large = (gigabytes("article", "batch_size=64", f"preprocessing.size={size}") for size in (224, 448))
    assert large - small == pytest.approx(3 * 64 * 0.115, rel=1e-6)


def test_a_frozen_backbone_keeps_no_activations():
    for n in (16, 512):
        for size in (224, 640):
            settings = (f"batch_size={n}", f"preprocessing.size={size}")
            assert gigabytes("quick", *settings) == pytest.approx(1.07 + 80 * 2_257_984 / 1e9, rel=1e-6)


@pytest.mark.parametrize(
    ("backbone", "measured"),
    [("mobilenetv2", 1.21), ("efficientnetv2b0", 1.43), ("densenet121", 1.61), ("resnet50v2", 2.95)],
)
def test_where_the_backbone_is_frozen_converting_it_decides(backbone, measured):
    assert measured < gigabytes("quick", f"backbone={backbone}") < measured + 0.12


@pytest.mark.parametrize(
    ("backbone", "weights", "activations"),
    [("efficientnetv2b0", 5_919_312, 0.73), ("densenet121", 7_037_504, 2.29), ("resnet50v2", 23_564_800, 1.44)],
)
def test_another_backbone_is_estimated_by_its_weights_and_its_layers_outputs(backbone, weights, activations):
    settings = ("batch_size=64", f"backbone={backbone}")
    assert gigabytes("article", *settings) == pytest.approx(
        0.8 + 64 * 0.115 * activations + 24 * weights / 1e9, rel=1e-6
    )


@pytest.mark.parametrize("missing", [-1_000_000, 1_000_000])
def test_a_training_is_refused_where_it_does_not_fit_beside_this_process_and_a_reserve(monkeypatch, missing):
    own, config = 300_000_000, make_config("article")
    monkeypatch.setattr(
        memory_estimate.psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=own))
    )
    room = estimated_memory(config) - missing
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: room + own + 100_000_000)
    if missing < 0:
        assert check_memory(config) is None
    else:
        with pytest.raises(ValueError, match=r"needs about 2\.7 GB of memory, and 2\.7 GB are left here"):
            check_memory(config)


def test_the_memory_left_is_never_said_to_be_negative(monkeypatch):
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: 0)
    with pytest.raises(ValueError, match=r"and 0\.0 GB are left"):
        check_memory(make_config("article"))
