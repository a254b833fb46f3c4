"""Runs side by side: what people call them, where their settings differ, and how to part with one."""

import shutil
from dataclasses import asdict, dataclass

from cxr_core.runs.lifecycle import run_lock
from cxr_core.system.files import read_json, write_json
from cxr_core.system.validation import check_kinds, settings_from_dict

LABEL_FILE = "label.json"


@dataclass(frozen=True, kw_only=True)
class RunLabel:
    """What people wrote on a run. Its folder keeps its name, whatever the run is called.

    Attributes:
        name: str, what it is called; "" for the folder's name.
        note: str.
        star: bool.

    Raises:
        ValueError: a value of another kind.
    """

    name: str = ""
    note: str = ""
    star: bool = False

    def __post_init__(self):
        check_kinds(self)


def load_label(run):
    """Return a run's RunLabel; an empty one where there is none, or none that can be read."""
    try:
        return settings_from_dict(RunLabel, read_json(run.path / LABEL_FILE))
    except (FileNotFoundError, ValueError):
        return RunLabel()


def save_label(run, label):
    """Keep a RunLabel with its run."""
    write_json(run.path / LABEL_FILE, asdict(label))


def display_name(run):
    """Return what a run is called, str; two runs of one name are told apart by their folders."""
    name = load_label(run).name
    return f"{name} ({run.name})" if name else run.name


def delete_run(run):
    """Delete a run's folder for good.

    Raises:
        lifecycle.RunTaken: a process is training or exporting it.
        ValueError: the run is active, or its folder cannot be changed.
    """
    if run.status().is_active:
        raise ValueError(f"{run.name} is {run.status().state}; stop it before you delete it.")
    with run_lock(run):
        gone = run.path.with_name(f".deleted-{run.name}")
        try:
            # At once for every reader; removing the files takes longer.
            run.path.rename(gone)
        except OSError as error:
            raise ValueError(f"{run.path} cannot be deleted: {error.strerror}.") from error
    shutil.rmtree(gone)
