"""How is a file written so that no reader sees half of it?"""

import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_FULL = "The disk is full, or has no room for further files. Make room, then try again."
_READ_ONLY = "The folder that this program writes to is closed to it. Allow writing there, or set CXR_LAB_HOME."
_WHY_NOT_WRITTEN = {
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.EIO: "The disk reports an error; nothing can be read from it or written to it reliably.",
}
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), " Make room, then try again."),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), " Allow writing there, or choose another folder."),
}
_HALF_WRITTEN = re.compile(r"\d+ requested and \d+ written")
# What is kept of a run or a data set has fewer; a larger file would fill the memory.
_MOST_JSON_BYTES = 100_000_000
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}-.")


@contextmanager
def atomic_path(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Write a file atomically: give a temporary path beside it, which replaces it on success.

    Args:
        path: the file to write. Its folder is created if missing.
        durable: wait until the disk has it, so that a power cut, too, leaves either the old file or the new one.

    Yields:
        A path with the same ending, to write to. It is removed if the block raises.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def written_together(folder: str | Path, *, instead_of: Collection[str] = ()) -> Iterator[Path]:
    """Write several files of a folder so that either all are new or none is: give a temporary folder inside it.

    Args:
        folder: made if missing, and removed again if the block raises.
        instead_of: names of files that are removed where they are not written anew.

    Yields:
        A folder to write files to. They replace those of the same names on success.
    """
    folder = Path(folder)
    existed = folder.exists()
    part = temporary_path(folder / "part")
    try:
        part.mkdir()
        yield part
        for name in instead_of:
            if not (part / name).exists():
                (folder / name).unlink(missing_ok=True)
        for path in part.iterdir():
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if not existed:
            # One that holds the new files stays.
            with suppress(OSError):
                folder.rmdir()


def temporary_path(path: str | Path) -> Path:
    """Return a free path beside a file, with the same ending, which `remove_leftovers` knows; makes its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{secrets.token_hex(4)}-{path.name}")


def is_temporary(name: str) -> bool:
    """Return whether a file or folder is called as `temporary_path` calls one: its writer has not finished it."""
    return _TEMPORARY.match(name) is not None


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed writers left anywhere under a folder; nobody else may be writing to it."""
    for path in list(Path(folder).rglob(".*")):
        if is_temporary(path.name):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) atomically; its line ends stay as they are."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | Path, value: object) -> None:
    """Write a value as indented JSON, atomically; ValueError for NaN, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Return what a JSON file holds; FileNotFoundError or ValueError say what is wrong."""
    path = Path(path)
    facts = path.stat()
    # A named pipe would be waited for, and a device may have no end.
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"{path.name} is no file.")
    if facts.st_size > _MOST_JSON_BYTES:
        raise ValueError(
            f"{path.name} has {facts.st_size / 1e6:.0f} MB; at most {_MOST_JSON_BYTES / 1e6:.0f} MB are read."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply.") from error


def why_not_written(error: OSError) -> str | None:
    """Return a sentence on a disk that is full, read-only or broken, without a file name; None for any other error."""
    return _FULL if is_disk_full(error) else _WHY_NOT_WRITTEN.get(error.errno or 0)


def is_disk_full(error: OSError) -> bool:
    """Return True for a disk without room, of which NumPy tells the bytes in place of the system's number."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or bool(_HALF_WRITTEN.fullmatch(str(error)))


def refusal_to_write(what: str, error: OSError) -> str:
    """Return why a file or folder that somebody has chosen cannot be written, and what helps where that is known."""
    return f"{what} cannot be written: {error.strerror}.{_REMEDIES.get(error.errno or 0, '')}"


def why_it_failed(error: Exception) -> str:
    """Return what an error says; of a full, read-only or broken disk without a file name.

    A file that may not be opened is named: whoever types a command must know which one.
    """
    if not isinstance(error, OSError):
        return str(error)
    told = None if isinstance(error, PermissionError) else why_not_written(error)
    # Python's own words begin with the number of the error.
    named = f"{error.filename}: {error.strerror}." if error.filename is not None else error.strerror or str(error)
    return told or named


def file_stamp(path: str | Path) -> tuple[int, int, int]:
    """Return what changes when a file is written or replaced, even by one of the same time: time, number and size.

    Whatever is kept of a file's content belongs to one such stamp. FileNotFoundError where there is no file.
    """
    facts = Path(path).stat()
    return facts.st_mtime_ns, facts.st_ino, facts.st_size


def folder_names(folders: Sequence[str | Path]) -> list[str]:
    """Return the names of folders, with as many of those above them as tell them apart; a folder named twice is one.

    Example:
        >>> folder_names(["/data/hannover", "/data/a/normal", "/data/b/normal"])
        ['hannover', 'a/normal', 'b/normal']
    """
    parts = [Path(folder).resolve().parts for folder in folders]
    return ["/".join(own[-_needed(own, parts) :]) for own in parts]


def _needed(own: tuple[str, ...], all_parts: Sequence[tuple[str, ...]]) -> int:
    """Return how many of the last parts of a path no other path ends with."""
    others = [parts for parts in all_parts if parts != own]
    return next((n for n in range(1, len(own)) if all(parts[-n:] != own[-n:] for parts in others)), len(own))
