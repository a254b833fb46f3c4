"""What the folders of runs and jobs have in common: a status, requests to stop or pause, one claim to the place."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cxr_core.system.files import read_json, write_json
from cxr_core.system.processes import process_is_alive

ACTIVE = ("starting", "running")
RESUMABLE = ("stopped", "paused", "failed")


@dataclass(frozen=True)
class WorkFolder:
    """A folder that one process works in and others look into; every method reads the disk anew."""

    path: Path

    @property
    def name(self):
        """The folder's name."""
        return self.path.name

    @property
    def stop_requested(self):
        """True once somebody asked it to stop."""
        return (self.path / "stop").exists()

    @property
    def pause_requested(self):
        """True once somebody asked it to pause: a run after its epoch, a job after those that its runs are in."""
        return (self.path / "pause").exists()

    def forget_requests(self):
        """Take back what was asked for, before the work goes on."""
        for request in ("stop", "pause"):
            (self.path / request).unlink(missing_ok=True)

    def write_status(self, status):
        """Write a status, a dataclass, stamped with the time."""
        write_json(self.path / "status.json", vars(status) | {"updated": time.time()})

    def read_status(self, kind, what):
        """Return what `write_status` wrote.

        Args:
            kind: class of the status; its first two fields are `state` and a text, and it has `message`.
            what: str, "run" or "job", for the sentence of a status that cannot be read.
        """
        try:
            return kind(**read_json(self.path / "status.json"))
        except (FileNotFoundError, ValueError, TypeError):
            return kind("failed", message=f"The status of this {what} cannot be read.")

    def end_without_a_word(self, status):
        """Return how an active status ended whose process is gone: "stopped", "paused" or "failed"; None otherwise."""
        if not status.is_active or process_is_alive(status):
            return None
        return "stopped" if self.stop_requested else "paused" if self.pause_requested else "failed"


def stamped_name(word):
    """Return a folder's name that sorts by time and is not taken: the time, a word, and a few random letters."""
    return f"{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}-{word}-{secrets.token_hex(2)}"


def acquire_folder(path, marker, what):
    """Make a folder, and in it the empty file that no other run or job there can have.

    Args:
        path: Path; it may exist, without the marker.
        marker: str, a file's name.
        what: str, "run" or "job", for the sentence.

    Raises:
        ValueError: the folder already holds one, or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / marker).touch(exist_ok=False)
    except FileExistsError as error:
        raise ValueError(f"{path} already holds a {what}; name another folder.") from error
    except OSError as error:
        raise ValueError(f"The {what} folder {path} cannot be written: {error.strerror}.") from error
