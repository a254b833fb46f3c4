"""Copy a run to MLflow: its settings, curves, scores and files. Optional: `pip install -r requirements-extra.txt`."""

import os

# MLflow would tell its makers who uses it; nothing here tells anybody anything.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A store of files is refused otherwise; it is the one that needs neither a server nor a network.
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

from cxr_core.runs.labels import display_name
from cxr_core.runs.settings_diff import flat_settings

_FILES = ("config.json", "environment.json", "split.csv", "epochs.csv", "metrics.json", "predictions.csv", "card.json")
_LONGEST_PARAMETER = 500


def export_to_mlflow(run, uri, *, experiment="CXR Lab"):
    """Write one run to an MLflow tracking store.

    Args:
        run: run.Run with a configuration; what else it has by now is copied.
        uri: str, a server's address, or `file:FOLDER`, which needs no network.
        experiment: str, made where it is missing.

    Returns:
        str, the id of the new MLflow run.

    Raises:
        ValueError: the store does not take it.
    """
    config, status, epochs, metrics = run.config(), run.status(), run.epochs(), run.metrics()
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment)
        made = client.create_run(number, run_name=display_name(run), start_time=int(1000 * status.started))
        name = made.info.run_id
        values = [(key, str(value)[:_LONGEST_PARAMETER]) for key, value in flat_settings(config)]
        curves = [
            Metric(column, float(row[column]), int(1000 * status.updated), int(row["epoch"]))
            for row in epochs.to_dict("records")
            for column in row
            if column != "epoch"
        ]
        scores = [Metric(key, value, int(1000 * status.updated), 0) for key, value in _scores(metrics)]
        tags = [RunTag("cxr_lab.state", status.state), RunTag("cxr_lab.run", run.name)]
        for start in range(0, max(len(values), len(curves) + len(scores)), 100):
            part = slice(start, start + 100)
            client.log_batch(
                name, params=[Param(*pair) for pair in values[part]], metrics=(curves + scores)[part], tags=tags
            )
        for file in _FILES:
            if (run.path / file).exists():
                client.log_artifact(name, str(run.path / file))
        client.set_terminated(name, "FINISHED" if status.state == "finished" else "KILLED", int(1000 * status.updated))
    except (MlflowException, OSError) as error:
        raise ValueError(f"MLflow at {uri} does not take the run: {error}") from error
    return name


def _scores(metrics):
    """Yield (name, value) of the accuracy, calibration and per-class figures of validation and test."""
    for side in ("validation", "test") if metrics else ():
        table = metrics[side]
        for key in ("accuracy", "ece", "brier"):
            yield f"{side}/{key}", float(table[key])
        for class_name, row in table["per_class"].items():
            for key in ("precision", "recall", "f1", "auc"):
                if row[key] is not None:
                    yield f"{side}/{class_name}/{key}", float(row[key])
