"""What is kept in memory for all visitors is of the own files of the installation; the rest is of one visit."""

import ast

import cv2
from conftest import draw_texture
from starlette.testclient import TestClient

from cxr_core import http_api
from cxr_core.audit.spurious_correlations import find_spurious_correlations
from cxr_core.config import PROJECT_DIR
from cxr_core.imaging import isolated_decoding
from cxr_core.inference.classifier import load_classifier
from cxr_core.system.progress import SharedResults
from pages.test_pages import open_page

# Kept for all visitors, though they are given tables: those of the runs of the installation, which all may see.
OF_RUNS = {"_scores_of", "_pooled", "_shipped_curves"}
# What tells a folder or a file of the installation, and its state.
OF_FILES = {"folder", "stamp", "mtime_ns", "changed", "teaching_file"}
# What anybody may choose of it, none of it a text of their own.
CHOICES = {"side", "class_name", "miss_rate"}


def kept_for_all():
    """Return {name: names of the parameters} of all that a page keeps beyond the visit."""
    found = {}
    for path in [*(PROJECT_DIR / "ui").rglob("*.py"), *(PROJECT_DIR / "pages").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in getattr(node, "decorator_list", ()):
                text = ast.unparse(decorator)
                if text.startswith("st.cache_") and "scope='session'" not in text:
                    found[node.name] = {argument.arg for argument in node.args.args}
    return found


def test_what_pages_keep_for_all_visitors_is_asked_for_by_folders_of_the_installation_alone():
    kept = kept_for_all()
    assert kept.keys() >= OF_RUNS and "_open_cached" in kept
    unknown = {name: given - OF_FILES - CHOICES for name, given in kept.items() if name not in OF_RUNS}
    assert not any(unknown.values()), unknown


def test_results_are_shared_of_the_teaching_set_alone_and_only_while_nothing_is_decided_about_it(
    demo_data, monkeypatch
):
    asked = []

    def find(table, *others, **options):
        asked.append(len(table))
        return find_spurious_correlations(table, *others, **options)

    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    monkeypatch.setattr("ui.common.dataset_analysis._OF_TEACHING_SET", SharedResults(24))
    monkeypatch.setattr("ui.common.dataset_analysis.find_spurious_correlations", find)
    for _ in range(2):
        open_page("dataset")
    assert asked == [188]
    app = open_page("quality")
    next(button for button in app.button if button.label == "Exclude").click().run()
    app.switch_page("pages/dataset.py").run()
    assert asked == [188, 187]
    monkeypatch.delenv("CXR_LAB_SHARED")
    for _ in range(2):
        open_page("dataset", source_kept="folder", folders_kept=str(demo_data))
    assert len(asked) == 4


def test_the_http_interface_computes_every_answer_anew(ungated_model, monkeypatch):
    decoded, decoder = [], isolated_decoding.IsolatedDecoder(1, 60.0)
    monkeypatch.setattr(isolated_decoding, "_decoder", lambda: decoder)
    opened = decoder.opened
    monkeypatch.setattr(decoder, "opened", lambda data: decoded.append(data) or opened(data))
    data = cv2.imencode(".png", draw_texture(0))[1].tobytes()
    with TestClient(http_api.build_api(load_classifier(ungated_model))) as client:
        rows = [client.post("/predict", files=[("files", (name, data))]).json()[0] for name in ("mine", "theirs")]
    decoder.close()
    assert decoded == [data, data]
    assert rows[0].pop("file") == "mine" and rows[1].pop("file") == "theirs"
    assert rows[0] == rows[1]
