"""What the fused normalisation learns, and that nobody needs it to open a model."""

import zipfile

import numpy as np
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.system.files import write_json

SETTINGS = ("start=shipped", "preprocessing.size=64", "train_from=all", "batch_norm_momentum=0.9")


def built(*settings):
    from cxr_core.training.network import build_model

    return build_model(make_config("article", settings=(*SETTINGS, *settings)), 3)


def learn(layer, values, upstream):
    """Run a layer forward and back as in learning; returns outputs, three gradients and both moving averages."""
    import tensorflow as tf

    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = layer(values, training=True)
        score = tf.reduce_sum(outputs * upstream)
    gradients = tape.gradient(score, [values, layer.gamma.value, layer.beta.value])
    return [np.asarray(x) for x in (outputs, *gradients, layer.moving_mean, layer.moving_variance)]


def test_a_start_from_the_built_in_classifier_has_the_weights_of_its_backbone():
    import keras

    network, shipped = built(), keras.saving.load_model(SHIPPED_MODEL_DIR / "model.keras", compile=False)
    backbone = network.layers[: network.layers.index(network.get_layer("features"))]
    for layer in (layer for layer in backbone if layer.weights):
        for weights, expected in zip(layer.get_weights(), shipped.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(weights, expected)


def test_the_fused_normalisation_learns_what_keras_own_does():
    import keras

    from cxr_core.training.network import _fuse

    rng = np.random.default_rng(0)
    values, upstream = rng.normal(3, 2, (4, 8, 8, 5)).astype(np.float32), rng.normal(size=(4, 8, 8, 5))
    learned = []
    for fuse in (_fuse, lambda layer: None):
        layer = keras.layers.BatchNormalization(momentum=0.9)
        layer.build(values.shape)
        layer.gamma.assign(np.linspace(0.5, 2, 5))
        layer.beta.assign(np.linspace(-1, 1, 5))
        fuse(layer)
        learned.append(learn(layer, values, upstream.astype(np.float32)))
    for ours, theirs in zip(*learned, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_fused_normalisation_is_in_the_graph_that_learns_and_in_no_other():
    import keras
    import tensorflow as tf

    network = built()
    images = tf.zeros((2, 64, 64, 3))
    graph = tf.function(lambda x: network(x, training=True)).get_concrete_function(images).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("FusedBatchNormV3") == sum(
        isinstance(x, keras.layers.BatchNormalization) for x in network.layers
    )
    answers = tf.function(lambda x: network(x, training=False)).get_concrete_function(images).graph
    assert not any(operation.type == "FusedBatchNormV3" for operation in answers.get_operations())


def test_a_frozen_normalisation_stays_as_it_was():
    network = built("freeze_batch_norm=true")
    averages = [weight for weight in network.weights if "moving" in weight.path]
    before = [weight.numpy() for weight in averages]
    network(np.random.default_rng(0).random((2, 64, 64, 3), np.float32), training=True)
    for weight, was in zip(averages, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), was)


def test_a_saved_model_names_no_class_of_ours(tmp_path):
    built().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
    assert '"BatchNormalization"' in config
    assert "cxr_core" not in config


def test_a_network_file_that_holds_code_is_refused_and_runs_nothing(few, tmp_path):
    import keras

    from cxr_core.training.export_run import export_run

    ran = tmp_path / "ran"
    images = keras.Input((8, 8, 3))
    outputs = keras.layers.Lambda(eval(f"lambda x: (open({str(ran)!r}, 'w').close(), x)[1]"))(images)
    ran.unlink()  # building the network runs it once
    run = create_run(make_config("quick", roots=(str(few),)), tmp_path / "run")
    keras.Model(images, outputs).save(run.path / "model.keras")
    write_json(run.path / "environment.json", {"data": {"classes": ["covid", "normal"]}})
    with pytest.raises(ValueError, match="Lambda"):
        export_run(run)
    assert not ran.exists() and not (run.path / "model.onnx").exists()
