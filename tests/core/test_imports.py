"""What a fresh interpreter loads: predicting stays light, and only training brings TensorFlow."""

import json

from conftest import PROJECT

# What training, and what requirements-extra.txt names for a single file, bring.
HEAVY_ROOMS = {"training"}
OPTIONAL = {"cxr_core.jobs.ray_workers", "cxr_core.runs.mlflow_export"}
TRAINS = {"tensorflow", "keras", "tf2onnx"}


def loaded_after(output_of, code):
    return set(json.loads(output_of("-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")))


def test_all_of_the_core_but_training_works_without_tensorflow(output_of):
    paths = [path.relative_to(PROJECT).with_suffix("") for path in (PROJECT / "cxr_core").rglob("*.py")]
    names = {".".join(path.parts) for path in paths if path.stem != "__main__" and path.parts[1] not in HEAVY_ROOMS}
    assert len(names) > 90
    imports = "\n".join(f"import {name.removesuffix('.__init__')}" for name in sorted(names - OPTIONAL))
    assert not loaded_after(output_of, imports) & {*TRAINS, "streamlit"}


def test_predicting_loads_neither_tensorflow_nor_pandas(output_of):
    code = "import cxr_core.cli.main, cxr_core.inference.classifier, cxr_core.explain.overlay"
    assert not loaded_after(output_of, code) & {*TRAINS, "pandas", "sklearn", "streamlit"}


def test_a_whole_prediction_loads_neither_tensorflow_nor_pandas(output_of, demo_data):
    image = next((demo_data / "normal").glob("*.png"))
    code = (
        "import sys\nfrom cxr_core.cli.main import main\nsys.stdout = sys.stderr\n"
        f"assert main(['predict', {str(image)!r}]) == 0\nsys.stdout = sys.__stdout__"
    )
    assert not loaded_after(output_of, code) & {*TRAINS, "pandas", "sklearn", "streamlit"}
