"""Names, notes and stars of runs, their differences and their snapshots."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxr_core.plots.training import QUANTITIES, overlay_figure
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.epoch_snapshots import load_snapshot, load_snapshots
from cxr_core.runs.labels import RunLabel, display_name, load_label, save_label
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.overview import runs_table
from cxr_core.runs.run import RunStatus
from cxr_core.runs.settings_diff import setting_differences
from cxr_core.system.files import write_json


@pytest.fixture
def run(tmp_path):
    """A run that has ended."""
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "runs" / "20260101-a")
    run.write_status(RunStatus("finished"))
    return run


def test_a_label_is_kept_with_its_run(run):
    label = RunLabel(name="Größe", note="with CLAHE", star=True)
    save_label(run, label)
    assert load_label(run) == label


def test_a_named_run_shows_its_name_and_its_folder(run):
    assert display_name(run) == "20260101-a"
    save_label(run, RunLabel(name="best so far"))
    assert display_name(run) == "best so far (20260101-a)"
    assert run.path.is_dir()


@pytest.mark.parametrize("text", ["", "[]", '{"name": 3}', '{"colour": "red"}'])
def test_a_label_that_cannot_be_read_is_an_empty_one(run, text):
    (run.path / "label.json").write_text(text)
    assert load_label(run) == RunLabel()


def test_only_settings_that_differ_are_listed():
    one = make_config("quick", seed=1, settings=["augmentation.zoom=0.1"])
    other = make_config("quick", seed=2, settings=["augmentation.zoom=0.1", "preprocessing.clahe=after"])
    table = setting_differences({"one": one, "other": other})
    assert table.loc["seed"].to_dict() == {"one": "1", "other": "2"}
    assert table.loc["preprocessing.clahe"].tolist() == ['"off"', '"after"']
    assert len(table) == 2


def test_equal_settings_do_not_differ():
    config = make_config("finetune")
    assert setting_differences({"one": config, "other": config}).empty


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_run_has_its_curve(quantity):
    rows = {"epoch": [1, 2, 3]} | dict.fromkeys(QUANTITIES, [0.1, 0.2, 0.3])
    histories = {"a": pd.DataFrame(rows), "none yet": pd.DataFrame(), "b": pd.DataFrame(rows)[:2]}
    traces = overlay_figure(histories, quantity).data
    assert {trace.name: list(trace.y) for trace in traces} == {"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2]}


@pytest.mark.parametrize("name", ["epochs.csv", "metrics.json", "status.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"unclosed', b"{"])
def test_a_run_with_a_broken_file_is_still_a_row(run, name, content):
    (run.path / name).write_bytes(content)
    table = runs_table([run])
    assert table["run"].tolist() == [run.name]
    assert run.epochs().empty


# What was watched


def test_a_run_of_an_older_version_was_not_watched(run):
    assert load_snapshots(run) is None


def test_the_watched_images_come_back_as_they_were_written(tiny_run):
    snapshots = load_snapshots(tiny_run)
    split = pd.read_csv(tiny_run.path / "split.csv").set_index("file")
    assert snapshots.epochs == (1, 2)
    size = tiny_run.config().preprocessing.size
    assert snapshots.images_u8.shape == (6, size, size)
    assert (split.loc[list(snapshots.files), "split"] == "validation").all()
    assert split.loc[list(snapshots.files), "class_name"].tolist() == list(snapshots.true)
    assert sorted(snapshots.true) == ["covid", "covid", "normal", "normal", "virus", "virus"]


def test_the_confusion_matrix_of_an_epoch_gives_its_validation_accuracy(tiny_run):
    epochs = tiny_run.epochs().set_index("epoch")["val_accuracy"]
    for epoch in load_snapshots(tiny_run).epochs:
        confusion = load_snapshot(tiny_run, epoch).confusion
        assert np.trace(confusion) / confusion.sum() == pytest.approx(epochs[epoch])
        assert confusion.sum() == (pd.read_csv(tiny_run.path / "split.csv")["split"] == "validation").sum()


def test_the_maps_of_the_best_epoch_are_those_of_the_exported_classifier(tiny_run):
    from cxr_core.inference.classifier import load_classifier

    best = int(tiny_run.epochs().set_index("epoch")["val_loss"].idxmin())
    snapshots, seen = load_snapshots(tiny_run), load_snapshot(tiny_run, best)
    exported = load_classifier(tiny_run.path)
    # The temperature is fitted only after training.
    classifier = replace(exported, card=replace(exported.card, temperature=1.0))
    np.testing.assert_allclose(seen.probabilities, classifier.predict(snapshots.images_u8), atol=2e-3)
    maps = classifier.maps(snapshots.images_u8, "out_relu")
    likeliest = seen.probabilities.argmax(axis=1)
    np.testing.assert_allclose(seen.maps, maps[np.arange(6), likeliest], atol=5e-3)


def test_a_broken_epoch_is_a_value_error(run):
    write_json(run.path / "watch" / "epoch-0001.json", {"maps": []})
    with pytest.raises(ValueError, match="epoch 1 cannot be read"):
        load_snapshot(run, 1)


def test_tensorboard_reads_the_history_from_the_event_files(tiny_run):
    from tensorflow.core.util import event_pb2
    from tensorflow.python.lib.io import tf_record

    losses = {}
    for path in (tiny_run.path / "tensorboard" / "validation").iterdir():
        for record in tf_record.tf_record_iterator(str(path)):
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                if value.tag == "epoch/loss":
                    assert value.metadata.plugin_data.plugin_name == "scalars"
                    losses[event.step] = np.frombuffer(value.tensor.tensor_content, np.float32)[0]
    expected = tiny_run.epochs().set_index("epoch")["val_loss"]
    assert losses == pytest.approx(expected.to_dict(), rel=1e-5)


def test_status_tells_memory_and_survives_a_file_without_it(tiny_run, run):
    assert tiny_run.status().peak_memory_bytes >= tiny_run.status().memory_bytes > 1e8
    (run.path / "status.json").write_text(json.dumps({"state": "finished", "epoch": 3, "epochs": 3}))
    assert run.status().memory_bytes == 0 and run.status().epoch == 3
