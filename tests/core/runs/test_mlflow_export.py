"""A run is copied into an MLflow store of files."""

import sys

import pytest

from cxr_core.cli.main import main
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run


def test_without_mlflow_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "cxr_core.runs.mlflow_export", raising=False)
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "run")
    assert main(["export-mlflow", str(run.path), "--uri", f"file:{tmp_path / 'store'}"]) == 1
    assert "pip install -r requirements-extra.txt" in capsys.readouterr().err


def test_a_run_arrives_with_its_settings_curves_scores_and_files(tiny_run, tmp_path):
    pytest.importorskip("mlflow", reason="needs requirements-extra.txt")
    from cxr_core.runs.mlflow_export import MlflowClient, export_to_mlflow

    uri = (tmp_path / "store").as_uri()
    name = export_to_mlflow(tiny_run, uri)
    client = MlflowClient(tracking_uri=uri)
    found = client.get_run(name)
    assert found.data.params["epochs"] == "2" and found.data.params["preprocessing.size"] == "320"
    assert found.data.metrics["test/accuracy"] == pytest.approx(tiny_run.metrics()["test"]["accuracy"])
    curve = [point.value for point in client.get_metric_history(name, "val_loss")]
    assert curve == pytest.approx(tiny_run.epochs()["val_loss"].tolist())
    assert "config.json" in [file.path for file in client.list_artifacts(name)]
    assert found.info.status == "FINISHED"
