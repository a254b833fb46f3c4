"""run.py: whatever lies in the place of a stranger's run's files, the run is a row with a state, or a sentence."""

import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxr_core.cli.main import main
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.repeated_runs import repeated_runs, seeds_table
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.labels import LABEL_FILE, display_name
from cxr_core.runs.overview import epoch_sentence, kept_accuracy, kept_epoch, runs_table
from cxr_core.runs.run import Run, list_runs
from cxr_core.system import files
from cxr_core.system.files import read_json

HEAD = "epoch,loss,accuracy,val_loss,val_accuracy"
GOOD = {
    "config.json": json.dumps(make_config("quick", roots=("/data",), settings=("epochs=3",)).to_dict()),
    "status.json": '{"state": "finished", "epoch": 2, "epochs": 3}',
    "metrics.json": '{"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.5, "n": 3}}',
    "epochs.csv": f"{HEAD}\n1,1,0.5,1,0.5\n",
    LABEL_FILE: "{}",
}
ANY_NUMBER = st.integers() | st.floats() | st.sampled_from([10**4_000, -1, 1e308])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
STATUS = st.fixed_dictionaries(
    {"state": st.sampled_from(["running", "finished", "failed", "nowhere"]) | ANY_JSON},
    optional=dict.fromkeys(
        ("epoch", "epochs", "batch", "batches", "updated", "pid", "pid_started", "message"), ANY_JSON
    ),
)
METRICS = st.dictionaries(
    st.sampled_from(["validation", "test"]), st.fixed_dictionaries({"accuracy": ANY_JSON}) | ANY_JSON
)
CELLS = st.sampled_from(["", "x", "nan", "inf", "1e999", "-1", "0.5", "1", '"', "True"])
EPOCHS = st.lists(st.lists(CELLS, min_size=5, max_size=5).map(",".join), max_size=3).map(
    lambda rows: "\n".join((HEAD, *rows))
)
TEXT = st.sampled_from(["", "{", "[" * 100_000, '{"a":' * 100_000, "1" * 5_000, "\0", "\ud800"]) | ANY_JSON.map(
    json.dumps
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "stranger"
    folder.mkdir(parents=True)
    for name, text in GOOD.items():
        (folder / name).write_text(text)
    shutil.copytree(folder, folder.with_name("own"))
    return Run(folder)


def look_at(run):
    """Do what every page that lists runs does."""
    assert "own" in {found.name for found in list_runs(run.path.parent)}
    table = runs_table([run], with_test=True)
    assert table["run"].tolist() == [run.name]
    status, epochs = run.status(), run.epochs()
    assert 0 <= status.share_done <= 1 and status.seconds_spent >= 0
    assert isinstance(display_name(run), str)
    assert (kept_epoch(epochs) is None) is (kept_accuracy(epochs) is None)
    assert epochs.empty or epoch_sentence(epochs)
    seeds_table(repeated_runs(Run(run.path.with_name("own")), [run]))


@pytest.mark.parametrize(
    ("name", "content"),
    [("status.json", STATUS.map(json.dumps)), ("metrics.json", METRICS.map(json.dumps)), ("epochs.csv", EPOCHS)]
    + [(name, TEXT) for name in GOOD],
)
def test_whatever_a_file_of_a_run_says_the_run_can_be_listed(run, name, content):
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(content)
    def whatever_it_says(text):
        (run.path / name).write_bytes(text.encode(errors="surrogatepass"))
        look_at(run)

    whatever_it_says()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("way", ["folder", "link to nothing", "link to a device", "pipe"])
def test_what_is_no_file_is_passed_over(run, name, way):
    path = run.path / name
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way == "link to nothing":
        path.symlink_to(run.path / "nothing")
    elif way == "link to a device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path)
    look_at(run)


def test_the_metrics_of_a_training_are_read_with_all_that_stands_beside_them(run):
    metrics = read_json(SHIPPED_MODEL_DIR / "card.json")["metrics"]
    assert {"validation", "test", "leakage"} <= set(metrics)
    (run.path / "metrics.json").write_text(json.dumps(metrics))
    assert run.metrics() == metrics
    assert runs_table([run], with_test=True)["test accuracy"].tolist() == [metrics["test"]["accuracy"]]


def test_a_json_file_that_would_fill_the_memory_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("[1, 2]")
    monkeypatch.setattr(files, "_MOST_JSON_BYTES", 6)
    assert read_json(tmp_path / "a.json") == [1, 2]
    monkeypatch.setattr(files, "_MOST_JSON_BYTES", 5)
    with pytest.raises(ValueError, match=r"a.json has 0 MB; at most 0 MB are read."):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("command", ["resume", "stop", "report", "export"])
@pytest.mark.parametrize("content", ["[]", '{"state": []}', "[" * 100_000, '{"state": "running", "pid": -1}'])
def test_a_command_on_such_a_run_is_one_sentence(run, command, content, capsys):
    for name in ("config.json", "status.json", "metrics.json"):
        (run.path / name).write_text(content)
    assert main([command, str(run.path)]) == 1
    errors = capsys.readouterr().err.strip()
    assert errors.startswith("Error: ") and errors.count("\n") == 0


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "epoch,batch,loss,accuracy,seconds\n1,1,x,0.5,1\n", "", '"'])
def test_broken_batches_are_passed_over(run, text):
    (run.path / "batches").mkdir()
    (run.path / "batches" / "epoch-0001.csv").write_text("epoch,batch,loss,accuracy,seconds\n1,1,0.9,0.5,1\n")
    (run.path / "batches" / "epoch-0002.csv").write_text(text)
    assert run.batches()["loss"].tolist() == [0.9]
