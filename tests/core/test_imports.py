"""Which module may import what; asked of fresh interpreters and of the sources."""

import ast
import json

import pytest
from conftest import PROJECT

USES_TENSORFLOW = {"activations", "model", "batches", "checkpoint", "events", "export", "recorder", "strip", "train"}
CORE = sorted(p.stem for p in (PROJECT / "cxr_core").glob("*.py") if p.stem != "__main__")
# Imports what requirements-extra.txt names, and is imported by nothing else.
OPTIONAL = {"ray_workers", "mlflow_export"}
LIGHT = [name for name in CORE if name not in USES_TENSORFLOW | OPTIONAL]


def imported_by(path):
    """Top-level packages that a source file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def sources(*folders):
    return sorted(p for folder in folders for p in (PROJECT / folder).rglob("*.py"))


def loaded_after(run_python, code):
    answer = run_python("-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout))


def test_all_of_the_core_but_training_and_export_works_without_tensorflow(run_python):
    imports = "\n".join(f"import cxr_core.{name}" for name in LIGHT if name != "__init__")
    assert not loaded_after(run_python, imports) & {"tensorflow", "keras", "tf2onnx", "streamlit"}


def test_predicting_loads_neither_tensorflow_nor_pandas(run_python):
    code = "import cxr_core.cli.main, cxr_core.inference.classifier, cxr_core.explain.overlay"
    assert not loaded_after(run_python, code) & {"tensorflow", "keras", "pandas", "sklearn", "streamlit"}


def test_a_whole_prediction_loads_neither_tensorflow_nor_pandas(run_python, demo_data):
    picture = next((demo_data / "normal").glob("*.png"))
    code = (
        "import sys\nfrom cxr_core import cli\nsys.stdout = sys.stderr\n"
        f"assert main.main(['predict', {str(picture)!r}]) == 0\nsys.stdout = sys.__stdout__"
    )
    assert not loaded_after(run_python, code) & {"tensorflow", "keras", "pandas", "sklearn", "streamlit"}


@pytest.mark.parametrize("path", sources("cxr_core"), ids=lambda p: p.name)
def test_the_core_never_names_streamlit(path):
    assert not imported_by(path) & {"streamlit", "ui", "pages"}


@pytest.mark.parametrize("path", sources("cxr_core"), ids=lambda p: p.name)
def test_only_training_and_export_name_tensorflow(path):
    if path.stem not in USES_TENSORFLOW:
        assert not imported_by(path) & {"tensorflow", "keras", "tf2onnx"}


def test_only_pages_and_what_they_share_name_streamlit():
    own = [p for p in PROJECT.rglob("*.py") if not any(part.startswith(".") for part in p.relative_to(PROJECT).parts)]
    users = {p.relative_to(PROJECT).parts[0] for p in own if "streamlit" in imported_by(p)} - {"tests", "benchmarks"}
    assert users <= {"pages", "ui", "streamlit_app.py"}


@pytest.mark.parametrize("path", sources("ui"), ids=lambda p: p.name)
def test_what_pages_share_imports_no_page(path):
    assert "pages" not in imported_by(path)
