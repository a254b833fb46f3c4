"""memory.py: the peak of a process, and that memory goes back to the system."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from cxr_core.system.memory import peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's highest memory")
def test_the_peak_of_a_process_lies_between_its_present_memory_and_the_systems_count():
    import resource

    counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 0.95 * psutil.Process().memory_info().rss < peak_memory() < 1.05 * counted
    assert peak_memory(os.getpid()) == pytest.approx(peak_memory(), rel=0.01)


def test_a_process_that_has_ended_has_no_peak():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert peak_memory(gone.pid) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory after freeing is Linux's")
def test_a_batch_through_the_network_leaves_little_memory_behind(output_of):
    code = (
        "import json, numpy, psutil\n"
        "from cxr_core.inference.classifier import load_classifier\n"
        "from cxr_core.config import SHIPPED_MODEL_DIR\n"
        "from cxr_core.system.memory import release_memory\n"
        "classifier, memory = load_classifier(SHIPPED_MODEL_DIR), psutil.Process().memory_info\n"
        "images = numpy.zeros((40, 224, 224), numpy.uint8)\n"
        "classifier.features(images[:1]); before = memory().rss\n"
        "classifier.features(images); release_memory(); print(json.dumps((memory().rss - before) / 1e6))"
    )
    answer = output_of("-c", code)
    # ONNX Runtime would keep 100 MB.
    assert json.loads(answer) < 50


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc counts its heaps")
def test_many_threads_share_two_heaps(output_of, tmp_path):
    code = (
        "import ctypes, sys, threading\n"
        "from cxr_core.system.memory import keep_memory_small\n"
        "keep_memory_small()\n"
        "barrier = threading.Barrier(8)\n"
        "def work():\n"
        "    kept = [bytes(600) for _ in range(5000)]; barrier.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "libc = ctypes.CDLL(None); libc.fopen.restype = ctypes.c_void_p\n"
        "file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b'w'))\n"
        "libc.malloc_info(0, file); libc.fclose(file)\n"
    )
    output_of("-c", code, tmp_path / "heaps.xml")
    assert 1 <= (tmp_path / "heaps.xml").read_text().count("<heap ") <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory after freeing is Linux's")
def test_a_freed_array_goes_back_even_if_something_lies_behind_it(output_of):
    code = (
        "import json, numpy, psutil\n"
        "from cxr_core.system.memory import keep_memory_small\n"
        "keep_memory_small()\n"
        "numpy.ones(30_000_000, numpy.uint8)\n"  # from here on glibc would put arrays of up to 30 MB into a heap
        "before, kept = psutil.Process().memory_info().rss, []\n"
        "for _ in range(30):\n"
        "    array = numpy.ones(2_000_000, numpy.uint8)\n"
        "    kept.append((array, bytes(50_000)))\n"
        "kept = [small for _, small in kept]; del array\n"
        "print(json.dumps((psutil.Process().memory_info().rss - before) / 1e6))"
    )
    answer = output_of("-c", code)
    assert json.loads(answer) < 10, answer


def test_arrow_has_no_heaps_of_its_own(output_of):
    code = (
        "import pyarrow\n"
        "from cxr_core.system.memory import keep_memory_small\n"
        "keep_memory_small(); print(pyarrow.default_memory_pool().backend_name)"
    )
    answer = output_of("-c", code)
    assert answer.strip() == "system"


def test_garbage_collections_skip_what_is_loaded_now_and_later(output_of):
    code = (
        "import gc\n"
        "from cxr_core.system.memory import set_imports_aside\n"
        "counts = []\n"
        "for step in (lambda: None, lambda: None, lambda: __import__('wave')):\n"
        "    step(); set_imports_aside(); counts.append(gc.get_freeze_count())\n"
        "print(*counts, len(gc.get_objects()))"
    )
    answer = output_of("-c", code)
    first, again, later, snapshots = map(int, answer.split())
    assert first == again < later
    assert snapshots < first / 100
