"""Give memory back to the system after work that took much of it."""

import ctypes
import gc
import sys

# What <malloc.h> calls M_ARENA_MAX.
_ARENA_MAX = -8


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


def share_heaps():
    """Let all threads share two heaps; without glibc, nothing happens.

    An app answers each visit in a thread of its own, and glibc keeps up to eight heaps per core for them, each with
    its own freed blocks: some 50 MB after every page was opened.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_ARENA_MAX, 2)
