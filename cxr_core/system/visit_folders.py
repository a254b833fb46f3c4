"""Where does a data set lie that a visitor uploaded, and when does it go?

Each lies in a folder of its own, together with everything that is made of it: its index, which holds file names, and
its caches, which hold pixels. The folder goes when the visit ends; while a training uses it, when that has ended. What
a server that was killed has left behind goes with the next upload or the next start.
"""

import atexit
import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cxr_core.config import VISITS_DIR, VISITS_LIMIT_BYTES
from cxr_core.system.holds import hold, remove_unless_held

_HELD = ".held"
# Until this process ends.
_of_this_process: dict[Path, BinaryIO] = {}


class VisitFolder:
    """A new folder for one uploaded data set, until it is closed.

    Attributes:
        path: the folder.

    Args:
        visits_dir: the folder of all of them.

    Raises:
        ValueError: those of all visits take as much as is allowed; one sentence for the visitor.
        OSError: the disk is full, say; nothing is left of the folder.
    """

    def __init__(self, visits_dir: str | Path = VISITS_DIR) -> None:
        remove_abandoned(visits_dir)
        _check_room(visits_dir)
        self.path, self._held = _new_folder(Path(visits_dir))

    def close(self) -> None:
        """Remove the folder with all that is in it; where a training still uses it, once that has ended."""
        self._held.close()
        _remove(self.path)


class Visit:
    """What a visitor has uploaded: one data set at a time, until the visit ends."""

    def __init__(self) -> None:
        self._folder: VisitFolder | None = None
        self._has_ended = False

    def take(self, folder: VisitFolder) -> None:
        """Keep a data set's folder in place of the one before."""
        if self._folder:
            self._folder.close()
        self._folder = folder
        if self._has_ended:
            folder.close()

    def end(self) -> None:
        """Remove what was uploaded."""
        self._has_ended = True
        if self._folder:
            self._folder.close()


def remove_abandoned(visits_dir: str | Path = VISITS_DIR) -> None:
    """Remove the folders that no running process uses any more."""
    for folder in Path(visits_dir).glob("*"):
        if not folder.name.startswith("."):
            _remove(folder)


def visit_folder_of(paths: Iterable[str | Path], visits_dir: str | Path = VISITS_DIR) -> Path | None:
    """Return the visit's folder that files or folders lie in; None where none of them lies in one."""
    prefix = os.path.join(visits_dir, "")
    for path in paths:
        if str(path).startswith(prefix):
            return Path(visits_dir) / Path(path).relative_to(visits_dir).parts[0]
    return None


def visit_cache(paths: Iterable[str | Path]) -> Path | None:
    """Return where everything is cached that is made of some images of a visit; None where they belong to no visit."""
    folder = visit_folder_of(paths)
    return folder and folder / "cache"


def visit_index(roots: Iterable[str | Path]) -> Path | None:
    """Return where the index of some roots of a visit is kept; None where they belong to no visit."""
    folder = visit_folder_of(roots)
    return folder and folder / "index"


def keep_until_exit(paths: Iterable[str | Path]) -> None:
    """Keep the visits' folders that some paths lie in until this process has ended, whatever the visitor does.

    Paths that lie in none, or in one that is gone already, are passed over.
    """
    for path in paths:
        folder = visit_folder_of([path])
        if folder and folder not in _of_this_process:
            with suppress(FileNotFoundError):
                _of_this_process[folder] = hold(folder / _HELD)


@atexit.register
def _let_go() -> None:
    while _of_this_process:
        folder, held = _of_this_process.popitem()
        held.close()
        _remove(folder)


def _new_folder(visits_dir: Path) -> tuple[Path, BinaryIO]:
    """Make a folder and hold it; another process that removes abandoned ones finds it with its file to hold."""
    while True:
        path = visits_dir / secrets.token_hex(8)
        new = path.with_name(f".{path.name}-new")
        new.mkdir(parents=True, mode=0o700)
        try:
            (new / _HELD).touch()
            os.replace(new, path)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        # It may have been taken for abandoned in between.
        with suppress(FileNotFoundError):
            return path, hold(path / _HELD)


def _check_room(visits_dir: str | Path) -> None:
    """Refuse a further data set where those of all visits have reached their limit together."""
    taken = 0
    for parent, _, names in os.walk(visits_dir):
        for name in names:
            # Another visit may end at this moment.
            with suppress(OSError):
                taken += os.stat(os.path.join(parent, name)).st_size
    if taken >= VISITS_LIMIT_BYTES:
        raise ValueError(
            f"The data sets that visitors have uploaded take {taken / 1e9:.1f} GB, as much as is allowed here; try "
            "again once other visits have ended."
        )


def _remove(folder: Path) -> None:
    """Remove a folder that nobody uses, or what is left of one."""
    if (folder / _HELD).exists():
        remove_unless_held(folder / _HELD, lambda: _remove_all(folder))
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_all(folder: Path) -> None:
    # First of all, since this fails on Windows where somebody uses the folder.
    (folder / _HELD).unlink()
    shutil.rmtree(folder, ignore_errors=True)
