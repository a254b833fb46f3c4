"""A cache stays below its limit, and loses what was used longest ago and nobody has open."""

import os

import numpy as np
import pytest

from cxr_core import config
from cxr_core.system.disk_cache import KINDS, is_cached, new_entry, open_array, shrink_cache


@pytest.fixture
def cache(tmp_path):
    """A cache of four arrays of 128 + 1,000 bytes, "old" used first and "new" last, each with its list of errors."""
    for age, name in enumerate(("new", "younger", "older", "old")):
        path = tmp_path / "cache" / "prepared" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.zeros(1_000, np.uint8))
        path.with_suffix(".json").write_text("{}")
        for file in (path, path.with_suffix(".json")):
            os.utime(file, (1_000_000 - age, 1_000_000 - age))
    return tmp_path / "cache"


def left(cache):
    return sorted({path.stem for path in cache.rglob("*.*")})


def test_the_entries_used_longest_ago_go_with_all_of_their_files(cache):
    shrink_cache(cache, 3_000)
    assert left(cache) == ["new", "younger"]
    assert len(list(cache.rglob("*.*"))) == 4


def test_a_cache_below_its_limit_stays_as_it_is(cache):
    shrink_cache(cache, 4 * 1_130)
    assert left(cache) == ["new", "old", "older", "younger"]


def test_the_newest_entry_stays_even_where_it_is_larger_than_the_limit(cache):
    shrink_cache(cache, 1)
    assert left(cache) == ["new"]


def test_what_was_just_used_is_not_the_first_to_go(cache):
    prepared = cache / "prepared"
    assert is_cached(prepared / "old.npy", prepared / "old.json")
    shrink_cache(cache, 3_000)
    assert left(cache) == ["new", "old"]


def test_what_is_open_stays_as_long_as_a_part_of_it_is_used(cache):
    part = open_array(cache / "prepared" / "old.npy")[10:20]
    shrink_cache(cache, 3_000)
    assert left(cache) == ["new", "old"]
    assert not part.any()
    del part
    shrink_cache(cache, 2_000)
    assert left(cache) == ["new"]


def test_what_another_process_has_open_stays(cache, run_python):
    """A training reads its images from the cache for hours, and opens the file anew for each batch."""
    held = open_array(cache / "prepared" / "old.npy")
    shrink = "import sys; from cxr_core.system.disk_cache import shrink_cache; shrink_cache(sys.argv[1], 1)"
    assert run_python("-c", shrink, cache).returncode == 0
    assert left(cache) == ["new", "old"]
    del held
    shrink_cache(cache, 1)
    assert left(cache) == ["new"]


def test_nothing_but_caches_is_evicted(cache):
    (cache / "mine").mkdir()
    (cache / "mine" / "file.npy").write_bytes(bytes(10_000))
    os.utime(cache / "mine" / "file.npy", (1, 1))
    shrink_cache(cache, 1)
    assert left(cache) == ["file", "new"]


def test_the_file_of_a_writer_goes_only_once_nobody_can_be_writing_to_it(cache):
    begun, dead = cache / "prepared" / ".0badc0de-x.npy", cache / "prepared" / ".0badc0df-x.npy"
    for path in (begun, dead):
        path.write_bytes(bytes(10_000))
    os.utime(dead, (1, 1))
    shrink_cache(cache, 10_000)
    assert begun.exists() and not dead.exists()


def test_a_new_entry_makes_room_for_itself(cache, monkeypatch):
    monkeypatch.setenv("CXR_LAB_CACHE_GB", "3e-6")
    with new_entry(cache / "features" / "made.npy") as path:
        np.save(path, np.ones(1_000, np.uint8))
    assert left(cache) == ["made", "new"]


def test_a_kind_that_would_never_be_evicted_cannot_be_cached(cache):
    with pytest.raises(ValueError, match="received 'thumbnails'"), new_entry(cache / "thumbnails" / "a.npy"):
        pass
    assert "prepared" in KINDS


@pytest.mark.parametrize("text", ["many", "0", "-3", "nan", "inf"])
def test_a_limit_that_is_no_size_is_one_sentence(text, monkeypatch):
    monkeypatch.setenv("CXR_LAB_CACHE_GB", text)
    with pytest.raises(ValueError, match="CXR_LAB_CACHE_GB must be a number of gigabytes above 0"):
        config.cache_limit_bytes()


def test_the_limit_is_20_gigabytes_unless_it_is_set(monkeypatch):
    monkeypatch.delenv("CXR_LAB_CACHE_GB", raising=False)
    assert config.cache_limit_bytes() == 20_000_000_000
    monkeypatch.setenv("CXR_LAB_CACHE_GB", "0.5")
    assert config.cache_limit_bytes() == 500_000_000
