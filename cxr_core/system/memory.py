"""How much memory is there, and how is it given back?"""

import ctypes
import gc
import os
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import psutil

# A container's memory limit under Linux: cgroup version 2, then version 1.
_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# What <malloc.h> calls M_ARENA_MAX and M_MMAP_THRESHOLD.
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
MEGABYTE = 1_000_000


def memory_limit() -> int:
    """Return the memory limit of all processes together, in bytes.

    It is the smallest of the container's limit (cgroup), the computer's memory and the environment variable
    `CXR_LAB_MEMORY_MB`.
    """
    limits = [psutil.virtual_memory().total]
    for path in _LIMIT_FILES:
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            # No such file, or "max" for no limit.
            continue
    setting = os.environ.get("CXR_LAB_MEMORY_MB")
    return min([*limits, int(setting) * MEGABYTE] if setting else limits)


def peak_memory(pid: int | Literal["self"] = "self") -> int:
    """Return the peak resident memory of a process in bytes; 0 where the system does not report it."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM:")), 0)


def release_memory() -> None:
    """Collect garbage, and return the free blocks that the C library keeps to the operating system.

    After a network has been trained or converted, glibc holds about a gigabyte of freed blocks; other C libraries
    have no such call.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def keep_memory_small() -> None:
    """Configure the allocators to return freed memory at once instead of keeping it; for a long-running app.

    Three settings, of which only the last applies without glibc:

    - All threads share two heaps. An app answers each visit in a thread of its own, and glibc would keep up to eight
      heaps per core, each with its own free blocks.
    - An array of 64 kB or more gets pages of its own. glibc would learn from the first large arrays to put later ones
      into a heap, which cannot shrink while anything behind them is in use.
    - Arrow uses glibc's heaps instead of its own beside them.

    Together they save a tenth of the memory of an app after every page has been opened and 50 images classified.
    """
    # It takes 40 MB, which a process that decodes images has no use for.
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_ARENA_MAX, 2)
            mallopt(_MMAP_THRESHOLD, 65_536)


def set_imports_aside() -> None:
    """Exempt everything loaded so far from garbage collection; called at the start of every run of a page.

    Streamlit collects garbage after every run of a page. Scanning an app's modules, which never become garbage, takes
    a tenth of a second during which no other visitor is served. Costs next to nothing while no module is new.
    """
    _freeze(len(sys.modules))


@cache
def _freeze(_modules: int) -> None:
    gc.collect()
    gc.freeze()
