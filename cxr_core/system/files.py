"""Write files so that a reader sees the old one or the new one, never half of one."""

import json
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = re.compile(r"\.[0-9a-f]{8}-.")


@contextmanager
def atomic_path(path, *, durable=False):
    """Give a temporary path beside `path`; on success it takes the place of `path`.

    Args:
        path: str or Path, the file to write. Its folder is made where missing.
        durable: bool, wait until the disk has it: a loss of power then leaves the old one or the new one, too.

    Yields:
        Path with the same ending, to write to. Removed again if the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder):
    """Remove the temporary files that killed writers left behind anywhere under a folder that nobody else writes to."""
    for path in Path(folder).rglob(".*"):
        if _TEMPORARY.match(path.name):
            path.unlink(missing_ok=True)


def write_text(path, text):
    """Write `text` (str, UTF-8) to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Write `value` to `path` as indented JSON, atomically; NaN is refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path):
    """Return what `path` holds; FileNotFoundError or ValueError name what is wrong."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
