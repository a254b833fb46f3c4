"""What do people call a run?"""

from dataclasses import asdict, dataclass

from cxr_core.runs.run import Run
from cxr_core.system.files import read_json, write_json
from cxr_core.system.validation import check_kinds, settings_from_dict

LABEL_FILE = "label.json"


@dataclass(frozen=True, kw_only=True)
class RunLabel:
    """A person's name, note and star for a run. The name of its folder never changes.

    Attributes:
        name: what the run is called; "" for the folder's name.
        note: free text.
        star: marked as a favourite.

    Raises:
        ValueError: a value is of the wrong kind.
    """

    name: str = ""
    note: str = ""
    star: bool = False

    def __post_init__(self) -> None:
        check_kinds(self)


def load_label(run: Run) -> RunLabel:
    """Return a run's label; an empty one if it has none, or none that can be read."""
    try:
        return settings_from_dict(RunLabel, read_json(run.path / LABEL_FILE))
    except (FileNotFoundError, ValueError):
        return RunLabel()


def save_label(run: Run, label: RunLabel) -> None:
    """Write a label into the run's folder."""
    write_json(run.path / LABEL_FILE, asdict(label))


def display_name(run: Run) -> str:
    """Return what a run is called, followed by its folder, since two runs may have the same name."""
    name = load_label(run).name
    return f"{name} ({run.name})" if name else run.name
