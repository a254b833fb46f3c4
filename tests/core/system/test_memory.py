"""memory.py: what a training is estimated to take, and that memory which a batch took is given back."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from cxr_core.recipes import memory_estimate
from cxr_core.recipes.memory_estimate import check_memory, estimated_memory
from cxr_core.recipes.training_config import make_config
from cxr_core.system.memory import peak_memory

# What was measured, in GB: see the docstring of `estimated_memory`. MobileNetV2's weights, their gradients and what
# the optimizer keeps of each take 54 MB.
WEIGHTS = 6 * 4 * 2_257_984 / 1e9


def gigabytes(recipe, *settings):
    return estimated_memory(make_config(recipe, settings=settings)) / 1e9


@pytest.mark.parametrize(
    ("recipe", "low", "high"), [("quick", 1.95, 2.05), ("finetune", 2.1, 2.15), ("article", 2.65, 2.7)]
)
def test_a_recipe_is_estimated_at_the_upper_end_of_what_was_measured(recipe, low, high):
    assert low < gigabytes(recipe) < high


@pytest.mark.parametrize(("recipe", "per_image"), [("article", 0.115), ("finetune", 0.04)])
def test_the_estimate_grows_by_the_same_for_every_image_of_a_batch(recipe, per_image):
    batches = [gigabytes(recipe, f"batch_size={n}") for n in (64, 128, 256)]
    assert batches[0] == pytest.approx(0.8 + 64 * per_image + WEIGHTS, rel=1e-6)
    assert batches[1] - batches[0] == pytest.approx(64 * per_image, rel=1e-6)
    assert batches[2] - batches[1] == pytest.approx(128 * per_image, rel=1e-6)


def test_the_activations_grow_with_the_number_of_pixels():
    small, large = (gigabytes("article", "batch_size=64", f"preprocessing.size={size}") for size in (224, 448))
    assert large - small == pytest.approx(3 * 64 * 0.115, rel=1e-6)


def test_a_frozen_backbone_keeps_no_activations():
    for n in (16, 512):
        for size in (224, 640):
            settings = (f"batch_size={n}", f"preprocessing.size={size}")
            assert gigabytes("quick", *settings) == pytest.approx(1.95 + WEIGHTS, rel=1e-6)


@pytest.mark.parametrize(
    ("backbone", "weights", "activations"),
    [("efficientnetv2b0", 5_919_312, 0.73), ("densenet121", 7_037_504, 2.29), ("resnet50v2", 23_564_800, 1.44)],
)
def test_another_backbone_is_estimated_by_its_weights_and_its_layers_outputs(backbone, weights, activations):
    settings = ("batch_size=64", f"backbone={backbone}")
    assert gigabytes("article", *settings) == pytest.approx(
        0.8 + 64 * 0.115 * activations + 24 * weights / 1e9, rel=1e-6
    )


@pytest.mark.parametrize("missing", [-1_000_000, 1_000_000])
def test_a_training_is_refused_where_it_does_not_fit_beside_this_process_and_a_reserve(monkeypatch, missing):
    own, config = 300_000_000, make_config("article")
    monkeypatch.setattr(
        memory_estimate.psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=own))
    )
    room = estimated_memory(config) - missing
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: room + own + 100_000_000)
    if missing < 0:
        assert check_memory(config) is None
    else:
        with pytest.raises(ValueError, match=r"needs about 2\.7 GB of memory, and 2\.7 GB are left here"):
            check_memory(config)


def test_room_is_never_said_to_be_less_than_none(monkeypatch):
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: 0)
    with pytest.raises(ValueError, match=r"and 0\.0 GB are left"):
        check_memory(make_config("article"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's highest memory")
def test_the_peak_of_a_process_lies_between_what_it_takes_now_and_what_the_system_counted():
    import resource

    counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 0.95 * psutil.Process().memory_info().rss < peak_memory() < 1.05 * counted
    assert peak_memory(os.getpid()) == pytest.approx(peak_memory(), rel=0.01)


def test_a_process_that_is_gone_has_no_peak():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert peak_memory(gone.pid) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory after freeing is Linux's")
def test_a_batch_through_the_network_leaves_little_memory_behind(run_python):
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
    answer = run_python("-c", code)
    assert answer.returncode == 0, answer.stderr
    # ONNX Runtime would keep 100 MB.
    assert json.loads(answer.stdout) < 50


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc counts its heaps")
def test_many_threads_share_two_heaps(run_python, tmp_path):
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
    answer = run_python("-c", code, tmp_path / "heaps.xml")
    assert answer.returncode == 0, answer.stderr
    assert 1 <= (tmp_path / "heaps.xml").read_text().count("<heap ") <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory after freeing is Linux's")
def test_a_freed_array_goes_back_whatever_lies_behind_it(run_python):
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
    answer = run_python("-c", code)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) < 10, answer.stdout


def test_arrow_has_no_heaps_of_its_own(run_python):
    code = (
        "import pyarrow\n"
        "from cxr_core.system.memory import keep_memory_small\n"
        "keep_memory_small(); print(pyarrow.default_memory_pool().backend_name)"
    )
    answer = run_python("-c", code)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "system"


def test_collections_pass_over_what_is_loaded_and_over_what_is_loaded_later(run_python):
    code = (
        "import gc\n"
        "from cxr_core.system.memory import set_imports_aside\n"
        "counts = []\n"
        "for step in (lambda: None, lambda: None, lambda: __import__('wave')):\n"
        "    step(); set_imports_aside(); counts.append(gc.get_freeze_count())\n"
        "print(*counts, len(gc.get_objects()))"
    )
    answer = run_python("-c", code)
    assert answer.returncode == 0, answer.stderr
    first, again, later, snapshots = map(int, answer.stdout.split())
    assert first == again < later
    assert snapshots < first / 100
