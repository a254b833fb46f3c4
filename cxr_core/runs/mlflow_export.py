"""How is a run copied to MLflow? Optional: `pip install -r requirements-extra.txt`."""

import os
from collections.abc import Iterator
from typing import Any

# MLflow reports its usage to its makers unless it is told not to.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Without this MLflow refuses to store into files, the only way that needs neither a server nor a network.
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

from cxr_core.runs.labels import display_name
from cxr_core.runs.looks import record_looks
from cxr_core.runs.run import Run
from cxr_core.runs.settings_diff import flat_settings

_FILES = ("config.json", "environment.json", "split.csv", "epochs.csv", "metrics.json", "predictions.csv", "card.json")
_LONGEST_PARAMETER = 500
_BATCH = 100


def export_to_mlflow(run: Run, uri: str, *, experiment: str = "CXR Lab") -> str:
    """Write one run's settings, curves, scores and files to an MLflow tracking store.

    Args:
        run: must have a configuration; of the rest, what exists is copied.
        uri: address of a server, or `file:FOLDER`, which needs no network.
        experiment: created if missing.

    Returns:
        The id of the new MLflow run.

    Raises:
        ValueError: the store does not accept it.
    """
    status, settings = run.status(), flat_settings(run.config())
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment)
        created = client.create_run(number, run_name=display_name(run), start_time=int(1000 * status.started))
        name: str = created.info.run_id
        record_looks([run], "MLflow")
        _log_values(client, name, run, settings)
        for file in _FILES:
            if (run.path / file).exists():
                client.log_artifact(name, str(run.path / file))
        client.set_terminated(name, "FINISHED" if status.state == "finished" else "KILLED", int(1000 * status.updated))
    except (MlflowException, OSError) as error:
        raise ValueError(f"MLflow at {uri} does not accept the run: {error}") from error
    return name


def _log_values(client: MlflowClient, name: str, run: Run, settings: list[tuple[str, Any]]) -> None:
    """Write settings, curves, scores and tags, in batches as large as a server accepts."""
    status = run.status()
    stamp = int(1000 * status.updated)
    parameters = [Param(key, str(value)[:_LONGEST_PARAMETER]) for key, value in settings]
    curves = [
        Metric(str(column), float(row[column]), stamp, int(row["epoch"]))
        for row in run.epochs().to_dict("records")
        for column in row
        if column != "epoch"
    ]
    scores = curves + [Metric(key, value, stamp, 0) for key, value in _scores(run.metrics())]
    tags = [RunTag("cxr_lab.state", status.state), RunTag("cxr_lab.run", run.name)]
    for start in range(0, max(len(parameters), len(scores)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(name, params=parameters[part], metrics=scores[part], tags=tags)


def _scores(metrics: dict[str, Any] | None) -> Iterator[tuple[str, float]]:
    """Yield (name, value) of accuracy, calibration and each class's metrics on the validation and test images."""
    if metrics is None:
        return
    for side in ("validation", "test"):
        table = metrics[side]
        for key in ("accuracy", "ece", "brier"):
            yield f"{side}/{key}", float(table[key])
        for class_name, row in table["per_class"].items():
            for key in ("precision", "recall", "f1", "auc"):
                if row[key] is not None:
                    yield f"{side}/{class_name}/{key}", float(row[key])
