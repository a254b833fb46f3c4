"""A folder that claims to be a classifier and is not costs a sentence, and reads nothing outside itself."""

import io
import json
import shutil
import zipfile

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import set_external_data

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import GATE_FILES

WRONG_CARDS = {
    "no name": {"name": None},
    "classes are a number": {"classes": 3},
    "no classes": {"classes": []},
    "one class twice": {"classes": ["a", "a", "b", "c"]},
    "another number of classes": {"classes": ["a", "b"]},
    "no map layers": {"map_layers": []},
    "a map layer that the graph lacks": {"map_layers": ["nowhere"]},
    "a temperature of nothing": {"temperature": 0},
    "a temperature that is no number": {"temperature": float("nan")},
    "a temperature in words": {"temperature": "warm"},
    "a confidence above 1": {"abstain_below": 2},
    "metrics in a list": {"metrics": []},
    "preprocessing in a list": {"preprocessing": [1]},
    "images of another size": {"preprocessing": {"size": 10**9}},
    "an offset in one direction": {"map_offsets": {"out_relu": [0.1]}},
}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(SHIPPED_MODEL_DIR, tmp_path / "model", ignore=shutil.ignore_patterns(*GATE_FILES))


@pytest.mark.parametrize("changed", WRONG_CARDS.values(), ids=WRONG_CARDS)
def test_a_card_of_wrong_values_is_refused_in_a_sentence(folder, changed):
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "card.json").write_text(json.dumps(card | changed), encoding="utf-8")
    with pytest.raises(ValueError, match=r"(card\.json|model\.onnx) of model is not") as caught:
        load_classifier(folder)
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"NaN", b"[]", b"[" * 100_000, b"\xff\xfe\x00"], ids=("empty", "NaN", "list", "nested", "binary")
)
def test_a_card_that_is_no_card_is_refused_in_a_sentence(folder, content):
    (folder / "card.json").write_bytes(content)
    with pytest.raises(ValueError, match="card.json of model is not a card of this version"):
        load_classifier(folder)


def external(folder, location):
    """Move a graph's largest tensor out into a file."""
    graph = onnx.load(folder / "model.onnx")
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    length = len(largest.raw_data)
    set_external_data(largest, location=location, offset=0, length=length)
    largest.ClearField("raw_data")
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return length


@pytest.mark.parametrize("way", ["above", "absolute", "link"])
def test_a_graph_reads_no_file_outside_its_folder(folder, tmp_path, way):
    secret = tmp_path / "secret"
    if way == "link":
        (folder / "weights").symlink_to(secret)
    length = external(folder, {"above": "../secret", "absolute": str(secret), "link": "weights"}[way])
    secret.write_bytes(bytes(length))
    with pytest.raises(ValueError, match=r"model\.onnx is no ONNX graph that can be opened"):
        load_classifier(folder)


def test_a_gate_is_never_unpickled(folder):
    shutil.copy(SHIPPED_MODEL_DIR / "gate.json", folder)
    np.savez(folder / "gate.npz", mean=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="cannot be read; fit it again"):
        load_classifier(folder)


def huge_array():
    """A gate whose first array claims more numbers than any memory holds."""
    stream, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 45,)})
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mean.npy", header.getvalue())
    return stream.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", bytes(100), huge_array()], ids=["empty", "cut", "zeros", "huge"])
def test_a_gate_that_is_none_is_refused_in_a_sentence(folder, data):
    shutil.copy(SHIPPED_MODEL_DIR / "gate.json", folder)
    (folder / "gate.npz").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read; fit it again"):
        load_classifier(folder)


@pytest.mark.parametrize("data", [b"", b"\0", b"PK\x03\x04"])
def test_a_graph_that_is_none_is_refused_in_a_sentence(folder, data):
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.onnx is no ONNX graph that can be opened"):
        load_classifier(folder)
