"""Is a file or folder in use by any process, and how is it removed only if it is not?

A shared lock of the operating system stands for a use: it ends with its process, however that ends. On Windows, where
no open file can be removed, having it open is enough.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl


def hold(path: str | Path) -> BinaryIO:
    """Keep a file from being removed by `remove_unless_held` until what is returned is closed.

    Raises:
        FileNotFoundError: the file is missing, or was removed at this moment.
    """
    file = open(path, "rb")  # noqa: SIM115 (open for as long as the caller holds it)
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
        except OSError:
            # A file system without locks, where `remove_unless_held` removes nothing.
            return file
        if not os.fstat(file.fileno()).st_nlink:
            file.close()
            raise FileNotFoundError(f"{path} was removed at this moment.")
    return file


def remove_unless_held(path: str | Path, remove: Callable[[], object]) -> bool:
    """Remove something unless a process holds a file that stands for it.

    Args:
        path: the file that `hold` was called with.
        remove: removes it, and on Windows fails with an OSError where the file is open.

    Returns:
        True if it was removed.
    """
    try:
        with open(path, "rb") as file:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove()
                return True
        remove()
    except OSError:
        return False
    return True
