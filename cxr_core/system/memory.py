"""How much memory there is, how much a training takes, and how to give it back between its steps."""

import ctypes
import gc
import os
import sys
from functools import cache
from pathlib import Path

import psutil
import pyarrow

# Where Linux tells a container's limit: cgroups of version 2, then of version 1.
_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# What <malloc.h> calls M_ARENA_MAX and M_MMAP_THRESHOLD.
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
MEGABYTE = 1_000_000


def memory_limit():
    """Return how many bytes of memory all processes here may take together, int.

    The least of the container's limit (cgroup), the computer's memory, and the setting `CXR_LAB_MEMORY_MB`.
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


def peak_memory(pid="self"):
    """Return the most memory that a process had at any time, resident bytes, int; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM:")), 0)


def release_memory():
    """Collect what nobody refers to any more, and hand what the C library keeps for later back to the system.

    After a network was trained or converted, glibc holds on to about a gigabyte of freed blocks;
    other C libraries have no such call and are left alone.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def keep_memory_small():
    """Let freed memory go back to the system at once instead of waiting for a later use; for an app that runs on.

    An app answers each visit in a thread of its own, and glibc keeps up to eight heaps per core for them, each with
    its own freed blocks: now all threads share two. glibc also learns from the first large arrays to put the next ones
    into a heap, where whatever lies behind them holds them: now an array of 64 kB or more has pages of its own. Arrow
    has heaps beside glibc's: now it uses those. Together they save a tenth of what an app takes after every page
    was opened and 50 images were answered. Without glibc only the last is done.
    """
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_ARENA_MAX, 2)
            mallopt(_MMAP_THRESHOLD, 65_536)


def set_imports_aside():
    """Let collections of garbage pass over all that is loaded now; for the start of an app's every run.

    Streamlit collects all garbage after every run of a page. Looking through the modules of an app, which never become
    garbage, takes it a tenth of a second in which no other visitor is served. Costs next to nothing as long as no
    module is new.
    """
    _freeze(len(sys.modules))


@cache
def _freeze(_modules):
    gc.collect()
    gc.freeze()
