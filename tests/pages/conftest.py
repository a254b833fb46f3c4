"""What several pages' tests need."""

from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(autouse=True, scope="session")
def installed_components():
    """Streamlit looks through all installed packages for components whenever an AppTest begins: once is enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True, scope="module")
def quick_analyses(small_forests):
    """Each data set that a test brings is analysed."""


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """An empty folder of runs that the pages look into."""
    folder = tmp_path / "runs"
    monkeypatch.setattr("cxr_core.runs.lifecycle.RUNS_DIR", folder)
    monkeypatch.setattr("cxr_core.runs.run.list_runs.__defaults__", (folder,))
    return folder


@pytest.fixture
def ungated(ungated_model, monkeypatch):
    """The pages' built-in classifier has no gate, so that it answers drawings."""
    monkeypatch.setattr("ui.common.model_picker.SHIPPED_MODEL_DIR", ungated_model)


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Empty folders of runs and of jobs that the pages look into; no process is started."""
    runs, jobs = tmp_path / "runs", tmp_path / "jobs"
    monkeypatch.setattr("cxr_core.runs.run.list_runs.__defaults__", (runs,))
    monkeypatch.setattr("cxr_core.jobs.job.JOBS_DIR", jobs)
    monkeypatch.setattr("cxr_core.jobs.lifecycle.JOBS_DIR", jobs)
    monkeypatch.setattr("cxr_core.jobs.training_queue.RUNS_DIR", runs)
    monkeypatch.setattr("cxr_core.jobs.training_queue.spawn_detached", lambda words, folder: None)
    return runs, jobs
