"""Training on several devices, where two logical CPUs stand for GPUs in a process of their own; and kept features."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import Late

from cxr_core.config import PROJECT_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.data.teaching_set import ANALYSIS_DIR
from cxr_core.jobs.visit_training import VisitChoices, visit_config
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run

keras = Late("keras")

_TRAIN = """
import sys
import tensorflow as tf
from pathlib import Path
from cxr_core.runs.run import Run
from cxr_core.training import fit, train_run

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
fit._SHARING_DEVICES = "CPU"
print(train_run.train_run(Run(Path(sys.argv[1]))))
"""
SETTINGS = {
    "quick": (
        "epochs=3",
        "batch_size=16",
        "start=shipped",
        "head_dropouts=[0.0]",
        "preprocessing.size=64",
    ),
    "finetune": (
        "epochs=2",
        "batch_size=8",
        "start=shipped",
        "cached_augmentations=2",
        "preprocessing.size=64",
        "train_from=block_16_expand",
    ),
}


def trained(recipe, folder, images, gpus, *further):
    config = make_config(recipe, roots=(str(images),), settings=(*SETTINGS[recipe], *further), gpus=gpus)
    run = create_run(config, folder / f"{recipe}-{gpus}")
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(run.path)], cwd=PROJECT_DIR, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("finished\n"), done.stderr[-3000:]
    return run


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(demo_data, tmp_path):
    runs = (trained("quick", tmp_path, demo_data, n, "export=false") for n in (1, 2))
    one, two = (pd.read_csv(run.path / "epochs.csv") for run in runs)
    columns = ["loss", "val_loss", "val_accuracy", "learning_rate"]
    np.testing.assert_allclose(two[columns], one[columns], rtol=2e-3, atol=1e-6)


@pytest.mark.slow
def test_layers_of_the_backbone_train_on_two_devices_to_an_evaluated_classifier(demo_data, tmp_path):
    run = trained("finetune", tmp_path, demo_data, 2)
    assert run.has_model
    assert set(run.predictions()["split"]) == {"validation", "test"}


def test_the_features_that_travel_with_the_teaching_set_are_those_of_a_visitors_training(tmp_path):
    from cxr_core.training.fit import features_file
    from cxr_core.training.network import build_model

    config = visit_config(VisitChoices())
    table = scan_dataset(TEACHING_DIR, index_dir=tmp_path / "index").table
    prepared = prepare_images(table, config.preprocessing, cache_dir=tmp_path / "cache")
    model = build_model(config, 3)
    kept = features_file(model, config, prepared, TEACHING_DIR / ANALYSIS_DIR)
    assert kept.exists(), "computed anew: run python -m benchmarks.teaching_set"
    rows = [0, 90, 187]
    backbone = keras.Model(model.input, model.get_layer("features").output)
    images = config.preprocessing.scaled(prepared.images_u8[rows])
    np.testing.assert_allclose(np.load(kept)[rows], backbone.predict(images, verbose=0), atol=0.02, rtol=0.01)
