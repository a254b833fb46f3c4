"""Give memory back to the system between the steps of a training."""

import ctypes
import gc
import sys


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
