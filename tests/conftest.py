"""Shared fixtures: a drawn data set, real radiographs where they are at hand, and a home for what runs write."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import pytest
from filelock import FileLock
from xdist.scheduler import LoadFileScheduling

PROJECT = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Nothing a test makes may land in the project: set before cxr_core is imported.
_HOME = tempfile.TemporaryDirectory(prefix="cxr-lab-tests-", ignore_cleanup_errors=True)
os.environ["CXR_LAB_HOME"] = _HOME.name
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
# Workers share the cores: OpenMP's threads, of which t-SNE has one per core, spin while they wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Rewriting what tests assert takes a worker ten seconds: kept beside them, even where an environment says otherwise.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

# How long an example takes tells of the machine and of what else it does, not of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Fixtures that compute for over five seconds: a test that asks for one is slow, and nobody has to remember to say so.
TRAINING_FIXTURES = {
    "tiny_run", "article_run", "train_here", "decided_run", "gated", "framed", "in_lungs", "constructed_verdicts"
}  # fmt: skip


# These parts of the training read and change images, and leave TensorFlow alone.
_WITHOUT_TENSORFLOW = r"(run_inputs|lungs\.(chest_alterations|chest_images|lung_card))\b"
_LOADS_TENSORFLOW = re.compile(
    rf"^ *(import|from) (keras|tensorflow|cxr_core\.training(?!\.{_WITHOUT_TENSORFLOW}))\b|importorskip\(.keras|Late\(",
    re.MULTILINE,
)


class Late:
    """A module that is imported when something of it is first used.

    Every worker collects all tests: what a file of tests needs of TensorFlow it names so, and one worker loads it.
    """

    __slots__ = ("_name",)

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    @property
    def __dict__(self):
        """The module's own: monkeypatch looks here for what it will put back."""
        return vars(import_module(self._name))

    def __getattr__(self, attribute):
        # pytest asks everything in a file whether it is a test, a fixture or a mock.
        if attribute.startswith("__") or attribute == "_mock_name":
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)

    def __setattr__(self, attribute, value):
        setattr(import_module(self._name), attribute, value)


def pytest_collection_modifyitems(items):
    """Mark what needs a browser by its folder, and what needs a training by its fixtures."""
    for item in items:
        if "browser" in item.path.relative_to(PROJECT).parts:
            item.add_marker(pytest.mark.browser)
        if TRAINING_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


class TensorFlowInOneWorker(LoadFileScheduling):
    """A file's tests share a worker, and so do all that load TensorFlow: once loaded it keeps a gigabyte."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return "tensorflow" if _LOADS_TENSORFLOW.search((PROJECT / file).read_text()) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep TensorFlow in one worker where not all tests are about it; None leaves the choice to `--dist`."""
    return TensorFlowInOneWorker(config, log) if "not slow" in config.option.markexpr else None


TEXTURE_SIDE = 320


def draw_texture(seed):
    """Draw clouds of every size, uint8 (TEXTURE_SIDE, TEXTURE_SIDE): images of two seeds share no detail."""
    shape, rng = (TEXTURE_SIDE, TEXTURE_SIDE), np.random.default_rng(seed)
    image = np.full(shape, 128, np.float32)
    for cells, strength in ((3, 50), (6, 35), (12, 27), (24, 22), (48, 16), (80, 9)):
        cloud = rng.normal(0, strength, (cells, cells)).astype(np.float32)
        image += cv2.resize(cloud, shape, interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def silent(name):
    """A phase that nobody follows."""
    return None


@pytest.fixture(autouse=True)
def no_decisions():
    """Forget what a test decided about images: a decision belongs to an image, and would hold in the next test, too."""
    yield
    for path in Path(_HOME.name, "index").glob("*/decisions.json"):
        path.unlink()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A callable(name, make) that returns a folder which one worker made for all of them; nobody may change it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name, make):
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                assert not folder.exists(), f"another worker failed to make {name}"
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def demo_data(made_once):
    """A folder with 72 drawings, 24 per class."""
    from cxr_core.data.phantoms import draw_demo_data

    return made_once("drawings", lambda folder: draw_demo_data(folder, images_per_class=24))


@pytest.fixture(scope="session")
def few(demo_data, tmp_path_factory):
    """27 drawings, nine per class: an epoch of whole images takes a moment."""
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(demo_data.rglob("*.*")):
        if int(path.stem[-3:]) < 9:
            (folder / path.parent.name).mkdir(exist_ok=True)
            shutil.copy(path, folder / path.parent.name)
    return folder


@pytest.fixture(scope="session")
def real_radiographs():
    """Paths of 21 real radiographs, seven per class."""
    folder = SHARED_DATA / "covid_cxr"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    chosen = []
    for name in ("normal", "covid", "virus"):
        files = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        chosen += files[:: max(1, len(files) // 7)][:7]
    return chosen


@pytest.fixture(scope="session")
def real_folders():
    """Two folders of real radiographs: the three classes, and normal ones from elsewhere."""
    folders = [SHARED_DATA / "covid_cxr", SHARED_DATA / "adult_normal"]
    if not all(folder.is_dir() for folder in folders):
        pytest.skip("needs ../shared/data")
    return folders


@pytest.fixture(scope="module")
def small_forests():
    """What gives the class away is asked of fewer trees, which say the same of drawn data in less time."""
    from cxr_core.audit import spurious_correlations

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spurious_correlations, "_TREES", 4)
        yield


@pytest.fixture(scope="session")
def run_python():
    """A callable(*arguments, **environment) that runs this interpreter in the project's folder."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=PROJECT, env=os.environ | environment, capture_output=True, text=True, timeout=180,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def output_of(run_python):
    """A callable as `run_python` that returns what a program prints, which must end well."""

    def run(*arguments, **environment):
        answer = run_python(*arguments, **environment)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    return run


@pytest.fixture(scope="session")
def until():
    """A callable(condition) that returns once `condition()` holds, and fails after two minutes."""

    def wait(condition, seconds=120):
        end, pause = time.monotonic() + seconds, threading.Event()
        while not condition():
            assert time.monotonic() < end, "what was waited for did not happen"
            pause.wait(0.05)

    return wait


@pytest.fixture(scope="session")
def tiny_run(demo_data, made_once, until):
    """A finished two-epoch run of the quick recipe on the drawings, started as the app starts one."""
    from cxr_core.config import CACHE_DIR
    from cxr_core.recipes.training_config import make_config
    from cxr_core.runs.lifecycle import start_run
    from cxr_core.runs.run import Run

    def train(folder):
        settings = ("epochs=2", "start=shipped", "batch_size=16")
        run = start_run(make_config("quick", roots=(str(demo_data),), settings=settings), path=folder / "run")
        until(lambda: not run.status().is_active, seconds=600)
        assert run.status().state == "finished", run.log_tail()
        shutil.copytree(CACHE_DIR / "features", folder / "features")

    folder = made_once("tiny", train)
    # The features that it learned from, as if it had been trained here.
    shutil.copytree(folder / "features", CACHE_DIR / "features", dirs_exist_ok=True)
    return Run(folder / "run")


@pytest.fixture(scope="session")
def ungated_model(tmp_path_factory):
    """The built-in classifier without its gate, which would refuse drawings, and sure of whatever it answers."""
    from cxr_core.config import SHIPPED_MODEL_DIR
    from cxr_core.evaluation.operating_point import save_operating_point
    from cxr_core.inference.input_gate import GATE_FILES

    folder = tmp_path_factory.mktemp("ungated") / "model"
    shutil.copytree(SHIPPED_MODEL_DIR, folder, ignore=shutil.ignore_patterns(*GATE_FILES))
    save_operating_point(folder, abstain_below=0.01)
    return folder
