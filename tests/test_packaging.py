"""What is shipped: requirements and extras that agree, a wheel that holds all and nothing else, terms that travel."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from conftest import PROJECT
from packaging.requirements import Requirement

import cxr_core
from cxr_core.training.lungs.lung_card import card_figures

SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = SETTINGS["optional-dependencies"]
# Which extras each file of pins stands for; none names the dependencies themselves.
FILES = {
    "requirements.txt": [],
    "requirements-extra.txt": ["serve", "auth", "ray", "mlflow"],
    "requirements-dev.txt": ["dev"],
}


def pins(name):
    """Requirements of a file and of those that only it includes: {(package, marker): Requirement}."""
    found = {}
    for line in (PROJECT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r requirements-docs"):
            found |= pins(line.removeprefix("-r "))
        elif line and not line.startswith(("#", "-r")):
            requirement = Requirement(line.split("  #")[0])
            found[requirement.name.lower(), str(requirement.marker)] = requirement
    return found


def ranges(extras):
    lines = SETTINGS["dependencies"] if not extras else [line for extra in extras for line in EXTRAS[extra]]
    found = [Requirement(line) for line in lines]
    return {(r.name.lower(), str(r.marker)): r for r in found if r.name != "cxr-lab"}


@pytest.mark.parametrize(("name", "extras"), FILES.items())
def test_every_pin_lies_in_the_range_that_the_package_asks_for(name, extras):
    pinned, asked = pins(name), ranges(extras)
    assert set(pinned) == set(asked)
    for key, requirement in pinned.items():
        (version,) = [specifier.version for specifier in requirement.specifier]
        assert asked[key].specifier.contains(version, prereleases=True), key


def test_the_lock_holds_every_pin_with_the_hash_of_its_content():
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all("--hash=sha256:" in line for line in lines)
    locked = [Requirement(line.split(" --hash")[0]) for line in lines]
    assert all(re.fullmatch("==[^*,]+", str(requirement.specifier)) for requirement in locked)
    versions = {(requirement.name.lower(), str(requirement.specifier)) for requirement in locked}
    assert {
        (name, str(requirement.specifier)) for (name, _), requirement in pins("requirements.txt").items()
    } <= versions


def test_the_version_stands_in_one_place():
    assert "version" in SETTINGS["dynamic"]
    assert re.search(r"^__version__ = \"(.+)\"$", (PROJECT / "cxr_core/__init__.py").read_text(), re.M)[1]
    assert f'"{cxr_core.__version__}"' not in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert "\nversion:" not in (PROJECT / "CITATION.cff").read_text(encoding="utf-8")


def test_a_wheel_holds_the_package_the_app_the_built_in_classifier_and_the_teaching_set_and_nothing_else(tmp_path):
    options = ["--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "."], cwd=PROJECT, check=True, capture_output=True, timeout=300
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        terms = [name for name in archive.namelist() if "/licenses/" in name]
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split()
    app = (
        "streamlit_app.py", "pages/", "ui/", "models/cxr-mobilenetv2/", "models/lungs/", "teaching_set/",
        "docs/reproduction/", ".streamlit/config.toml",
    )  # fmt: skip
    expected = {name for name in listed if name.startswith("cxr_core/")}
    expected |= {f"cxr_core/_app/{name}" for name in listed if name.startswith(app)}
    assert held == expected
    assert {"py.typed", "report.html.j2"} <= {name.rsplit("/", 1)[-1] for name in held}
    assert {name.rsplit("/", 1)[-1] for name in terms} == {"LICENSE", "NOTICE", "LICENSE.md", "LICENSES.md"}


def test_the_classifier_brings_its_own_terms():
    folder = PROJECT / "models" / "cxr-mobilenetv2"
    card, about = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("CARD.md", "ABOUT.md"))
    assert card.startswith(about.rstrip())
    assert "CC BY-NC 4.0" in card
    assert "must not be used to diagnose" in (folder / "LICENSE.md").read_text(encoding="utf-8")


def test_the_lung_network_brings_its_own_terms_and_the_figures_of_its_card():
    folder = PROJECT / "models" / "lungs"
    card, about = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("CARD.md", "ABOUT.md"))
    assert card == about + card_figures(json.loads((folder / "card.json").read_text(encoding="utf-8")))
    assert "CC BY-NC 4.0" in (folder / "LICENSE.md").read_text(encoding="utf-8")
    assert (folder / "model.onnx").stat().st_size < 3_000_000


@pytest.mark.parametrize("path", sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.stem)
def test_every_issue_form_warns_of_patient_data_and_asks_for_consent(path):
    text = path.read_text(encoding="utf-8")
    assert "Never attach patient data" in text
    assert "no-patient-data" in text and "required: true" in text.split("no-patient-data")[1]


def test_every_test_that_a_promise_names_is_there():
    text, file = (PROJECT / "SECURITY.md").read_text(encoding="utf-8"), ""
    named = re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`", text)
    for path, test in named:
        file = path or file
        if path or test:
            assert (f"def {test}(" if test else "def test_") in (PROJECT / file).read_text(encoding="utf-8")
    assert sum(bool(path) for path, _ in named) > 10


def test_every_test_that_the_promises_name_is_there():
    file, missing = "", []
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", (PROJECT / "SECURITY.md").read_text("utf-8")):
        file = path or file
        if path or name:
            text = (PROJECT / file).read_text("utf-8") if (PROJECT / file).exists() else ""
            if f"def {name or 'test_'}" not in text:
                missing.append(f"{file}::{name}")
    assert file and missing == []
