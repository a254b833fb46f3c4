"""How often was a test side looked at? Each look is a line in `test_looks.csv`, beside the split.

A look is whenever the test score of a run is shown or written: on the Evaluation page, in the runs table on request, in
the results of a job, in a report, a published card or MLflow. Runs with the same test images share their looks: who
compares them by their test scores has looked as often.
"""

import errno
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from cxr_core.runs.run import Run
from cxr_core.runs.run_tables import read_run_table
from cxr_core.system.files import write_text

LOOKS_FILE = "test_looks.csv"
_HEADER = "time,where,test_side\n"


def begin_counting(run: Run) -> None:
    """Begin to count the looks at a run's test side, if nobody has; the run has just got its first test score."""
    path = run.path / LOOKS_FILE
    if not path.exists():
        write_text(path, _HEADER)


def record_looks(runs: Iterable[Run], where: str) -> None:
    """Count one look at the test side of each run.

    Runs of earlier versions, whose looks nobody counted from the beginning, are left alone; so are folders that may
    not be written.

    Args:
        runs: those whose test scores are shown or written.
        where: such as "report".
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for run in runs:
        path = run.path / LOOKS_FILE
        if not path.exists():
            continue
        line = f"{now},{where},{_test_side(run)}\n"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise


def count_looks(run: Run, runs: Iterable[Run]) -> int | None:
    """Return how often a run's test side was looked at.

    Args:
        run: the run.
        runs: those that may have the same test side; the run itself may be one of them.

    Returns:
        The number of looks at this test side in all these runs; None where nobody counted.
    """
    if not (run.path / LOOKS_FILE).exists():
        return None
    side, paths = _test_side(run), {run.path.resolve(), *(other.path.resolve() for other in runs)}
    return sum(int((_looks(path)["test_side"] == side).sum()) for path in paths)


def _looks(folder: Path) -> pd.DataFrame:
    path = folder / LOOKS_FILE
    return read_run_table(path).astype(str) if path.exists() else pd.DataFrame({"test_side": []})


def _test_side(run: Run) -> str:
    """Identify a run's test images by their contents, whatever their order."""
    split = run.split()
    digests = split.loc[split["split"] == "test", "digest"].sort_values()
    return "side-" + hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]
