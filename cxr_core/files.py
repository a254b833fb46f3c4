"""Write files so that a reader sees the old one or the new one, never half of one."""

import json
import os
import secrets
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path):
    """Give a temporary path beside `path`; on success it takes the place of `path`.

    Args:
        path: str or Path, the file to write. Its folder is made where missing.

    Yields:
        Path with the same ending, to write to. Removed again if the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
