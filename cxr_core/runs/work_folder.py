"""What do the folders of runs and jobs have in common?

A status, requests to stop or pause, and a file that only one run or job can create.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from cxr_core.system.files import read_json, refusal_to_write, write_json
from cxr_core.system.processes import ProcessStatus, process_is_alive
from cxr_core.system.validation import check_kinds

JobState = Literal["starting", "running", "finished", "stopped", "paused", "failed"]
# A run can also wait for its turn on a shared installation.
RunState = JobState | Literal["queued"]
UnfinishedEnd = Literal["stopped", "paused", "failed"]
ACTIVE: tuple[JobState, ...] = ("starting", "running")
RESUMABLE: tuple[JobState, ...] = ("stopped", "paused", "failed")
# No number of a status is as large, be it bytes or seconds.
_MOST = 1e15


class WorkStatus(ProcessStatus, Protocol):
    """What the statuses of runs and jobs have in common."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def is_active(self) -> bool: ...  # noqa: D102


Status = TypeVar("Status", bound=WorkStatus)


@dataclass(frozen=True)
class WorkFolder:
    """A folder that one process works in and others look into; every method reads the disk anew."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def stop_requested(self) -> bool:
        """True once somebody asked it to stop."""
        return (self.path / "stop").exists()

    @property
    def pause_requested(self) -> bool:
        """True once somebody asked it to pause: a run after its current epoch, a job after those of its runs."""
        return (self.path / "pause").exists()

    def forget_requests(self) -> None:
        """Withdraw requests to stop or pause, before the work continues."""
        for request in ("stop", "pause"):
            (self.path / request).unlink(missing_ok=True)

    def write_status(self, status: WorkStatus) -> None:
        """Write a status, a dataclass, with the current time."""
        write_json(self.path / "status.json", vars(status) | {"updated": time.time()})

    def read_status(self, kind: Callable[..., Status], what: Literal["run", "job"]) -> Status:
        """Return what `write_status` wrote; where it cannot be read, a status "failed" that says so.

        Args:
            kind: class of the status; its first field is `state`, and it has `message`.
            what: for the sentence of a status that cannot be read.
        """
        try:
            values = read_json(self.path / "status.json")
            status = kind(**values)
            check_kinds(status)
            if all(0 <= value < _MOST for value in values.values() if isinstance(value, int | float)):
                return status
            raise ValueError(f"A status has numbers from 0 to {_MOST}.")
        except (FileNotFoundError, ValueError, TypeError):
            return kind("failed", message=f"The status of this {what} cannot be read.")

    def unreported_end(self, status: WorkStatus) -> UnfinishedEnd | None:
        """Return how it ended, where the status says active but its process is gone; None otherwise."""
        if not status.is_active or process_is_alive(status):
            return None
        return "stopped" if self.stop_requested else "paused" if self.pause_requested else "failed"


def stamped_name(word: str) -> str:
    """Return a unique folder name that sorts by time: the time, a word, and a few random letters."""
    return f"{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}-{word}-{secrets.token_hex(2)}"


@contextmanager
def new_folder(path: Path, marker: str, what: Literal["run", "job"]) -> Iterator[None]:
    """Create a folder, and in it the empty file that only one run or job can create, to be filled in the block.

    If the block raises, all that was made is removed again: a folder with half of a run would look like one.

    Args:
        path: may exist, without the marker.
        marker: name of that file.
        what: for the sentences of errors.

    Raises:
        ValueError: the folder already holds one, or cannot be written.
    """
    earlier = {entry.name for entry in path.iterdir()} if path.is_dir() else None
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / marker).touch(exist_ok=False)
    except FileExistsError as error:
        raise ValueError(f"{path} already holds a {what}; choose another folder.") from error
    except OSError as error:
        if earlier is None:
            with suppress(OSError):
                path.rmdir()
        raise ValueError(refusal_to_write(f"The {what} folder {path}", error)) from error
    try:
        yield
    except BaseException:
        _remove_new(path, earlier)
        raise


def _remove_new(path: Path, earlier: Collection[str] | None) -> None:
    """Remove the files of a folder that are not among the earlier ones; without any (None) the folder, too."""
    for entry in path.iterdir():
        if entry.name not in (earlier or ()):
            entry.unlink()
    if earlier is None:
        path.rmdir()
