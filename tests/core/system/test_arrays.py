"""An array on disk is one that the disk has room for."""

import os

import numpy as np
import pytest

from cxr_core.system.arrays import create_array


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot set a file's bytes aside")
def test_the_bytes_of_a_new_array_are_set_aside_before_anything_is_written(tmp_path):
    create_array(tmp_path / "a.npy", np.float32, (1_000, 1_000))
    assert os.stat(tmp_path / "a.npy").st_blocks * 512 >= 4_000_000


def test_what_is_written_into_a_new_array_is_read_back(tmp_path):
    array = create_array(tmp_path / "a.npy", np.float16, (3, 2))
    array[1] = 7
    array.flush()
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 0], [7, 7], [0, 0]]
