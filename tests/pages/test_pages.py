"""Every page runs on the teaching set, and says one clear sentence where something is wrong."""

import json
import re
import shutil
import time
import tomllib
import zlib
from functools import cache

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import draw_texture
from image_files import dicom
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from cxr_core.config import NOTICE, PROJECT_DIR, TEACHING_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.data.teaching_set import check_teaching_set
from cxr_core.imaging import isolated_decoding
from cxr_core.imaging.preprocessing_steps import PREPROCESSING_STEPS, PreprocessingStep
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import RunStatus
from cxr_core.splits.split import SPLIT_KINDS
from cxr_core.system.files import atomic_path
from cxr_core.system.progress import SharedResults
from ui.common.dataset_analysis import EXPLORING

DATA_PAGES = ("dataset", "duplicates", "quality", "labels", "splits", "map")
PAGES = (
    "overview",
    *DATA_PAGES,
    "preprocessing",
    "training",
    "evaluation",
    "shortcuts",
    "hospital",
    "predict",
    "reading",
)
TIMEOUT_SECONDS = 60


def open_page(name, **session):
    app = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=TIMEOUT_SECONDS)
    for key, value in session.items():
        app.session_state[key] = value
    app.run()
    if name != "overview":
        app.switch_page(f"pages/{name}.py").run()
    return app


@cache
def shown_page(name):
    """A page as it opens on the teaching set, for tests that read it and change nothing."""
    return open_page(name)


def said(elements):
    """What a browser shows of elements, without the marks that escape a text; their markup itself stays."""
    return letters(" ".join(element.value for element in elements))


def letters(text):
    """What a browser shows of an escaped text."""
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", str(text))
    return plain.replace("\N{WORD JOINER}", "").replace("\N{NO-BREAK SPACE}", " ")


def tables(app):
    """The short tables of a page as a browser shows their texts; numbers as they were before they were written."""
    return [
        table.value.map(lambda cell: letters(cell) if isinstance(cell, str) else cell).rename(letters)
        for table in app.table
    ]


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


# The Shortcuts page begins with its verdict, in red; see test_shortcuts.py.
@pytest.mark.parametrize("name", [name for name in PAGES if name != "shortcuts"])
def test_a_page_opens_on_a_clean_machine_without_an_error(name):
    app = shown_page(name)
    assert not app.exception
    assert not app.error
    assert len(app.title) == 1


@pytest.mark.parametrize("name", PAGES)
def test_nothing_that_a_page_sends_tells_where_the_server_keeps_its_files(name):
    sent = [str(getattr(node, "proto", "")) for node in shown_page(name)._tree]
    assert [message for message in sent if str(PROJECT_DIR) in message] == []


@pytest.mark.parametrize("name", [*DATA_PAGES, "preprocessing", "training"])
def test_a_page_on_the_teaching_set_names_its_sources_and_licences_below_all_else(name):
    first, *_, last = (said([caption]) for caption in shown_page(name).main.caption)
    assert "eight planted copies and two planted wrong labels" in first
    assert all(words in last for words in ("NIH Clinical Center", "CC BY 3.0", "CC BY 4.0"))


@pytest.mark.parametrize("name", ["overview", "predict"])
def test_the_page_says_that_it_is_no_medical_device(name):
    assert NOTICE in said(shown_page(name).warning)


@pytest.mark.parametrize("name", PAGES)
def test_every_control_explains_itself(name):
    app = shown_page(name)
    controls = [
        *app.button, *app.selectbox, *app.slider, *app.toggle, *app.number_input, *app.text_area, *app.file_uploader,
    ]  # fmt: skip
    assert [control.label for control in controls if not control.help] == []


@pytest.mark.parametrize("name", [*DATA_PAGES, "preprocessing", "training", "evaluation", "shortcuts", "predict"])
def test_every_upload_field_shows_the_limit_that_the_server_keeps(name):
    configured = tomllib.loads((PROJECT_DIR / ".streamlit" / "config.toml").read_text())["server"]["maxUploadSize"]
    app = open_page(name, source_choice="zip", images_choice="dataset")
    limits = [field.proto.max_upload_size_mb for field in app.file_uploader]
    assert set(limits) == ({configured} if limits else set())
    assert limits or name in ("evaluation", "shortcuts")


def test_the_dataset_page_counts_what_is_there():
    app = shown_page("dataset")
    assert [metric.value for metric in app.metric[:2]] == ["188", "3"]


def test_the_table_of_files_calls_classes_by_their_labels():
    table = shown_page("dataset").dataframe[-1].value
    assert set(table["class"]) == {"Normal", "COVID-19", "Viral"}


def test_of_many_rows_that_were_passed_over_the_browser_gets_the_first(demo_data, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(demo_data, folder)
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*.*"))]
    rows = [f"{file},{file.parent.name}" for file in files] + [f"gone{n}.png,normal" for n in range(2_345)]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]))
    app = open_page("dataset", source_choice="folder", folders_choice=str(folder / "list.csv"))
    assert not app.exception
    assert max(len(frame.value) for frame in app.dataframe) == 1_000
    assert "The first 1,000 of 2,345 rows; the download contains all of them." in said(app.caption)


def test_no_second_click_empties_a_choice_of_one():
    """`required` keeps the last choice; the browser itself does, so only the page's word for it can be read here."""
    for name in PAGES:
        assert [c.label for c in shown_page(name).segmented_control if not c.proto.required] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_percentage_on_a_page_has_a_space_before_its_sign(name):
    app = shown_page(name)
    texts = [metric.value + metric.delta for metric in app.metric] + [table.to_csv() for table in tables(app)]
    for kind in (app.markdown, app.caption, app.warning, app.info, app.success, app.error):
        texts.append(said(kind))
    texts += [chart.proto.spec for chart in app.get("plotly_chart")]
    assert [text for text in texts if re.search(r"\d%", text)] == []


@pytest.mark.parametrize("name", ["evaluation", "shortcuts"])
def test_proportions_have_equal_decimals_down_a_column(name):
    for frame in shown_page(name).dataframe:
        columns = json.loads(frame.proto.columns or "{}")
        formats = [c["type_config"].get("format") for c in columns.values() if "type_config" in c]
        assert "percent" not in formats


@pytest.mark.parametrize("name", [*DATA_PAGES, "evaluation", "shortcuts"])
def test_an_empty_cell_of_a_table_never_reads_none(name):
    assert [frame for frame in shown_page(name).dataframe if not frame.proto.placeholder] == []


def test_all_kinds_of_split_stand_side_by_side():
    table = next(table for table in tables(shown_page("splits")) if "grouped" in table)
    assert table.loc["leaked into training", "grouped"] == 0 < table.loc["leaked into training", "random"]
    assert table.shape == (5, 4)


@pytest.mark.parametrize("name", PAGES)
def test_every_plot_and_every_image_has_a_text_alternative(name):
    app = shown_page(name)
    images = [image for shown in app.image for image in shown.proto.imgs]
    plots = [plot.proto for plot in app.get("plotly_chart")]
    assert [shown for shown in (*images, *plots) if not shown.alt] == []


def test_what_needs_no_image_read_is_shown_before_the_analysis(monkeypatch):
    def stop(*_, **__):
        raise RuntimeError("The analysis has begun.")

    monkeypatch.setattr("ui.common.dataset_analysis._OF_TEACHING_SET", SharedResults(24))
    monkeypatch.setattr("ui.common.dataset_analysis.group_images", stop)
    app = open_page("dataset")
    assert len(app.exception) == 1
    assert next(m for m in app.metric if m.label == "Images").value == "188"
    assert {"Image sizes in pixels", "Samples", "All files"} <= {heading.value for heading in app.header}
    assert any((button.key or "").startswith("enlarge_sample") for button in app.button)


def test_each_step_of_the_analysis_says_which_of_how_many_it_is(few, monkeypatch):
    shown = []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda self, done, text: shown.append(text))
    app = open_page("dataset", source_choice="folder", folders_choice=str(few))
    assert not app.exception
    steps = list(dict.fromkeys(re.sub(r"[:,].*", "", text) for text in shown if text.startswith("Step ")))
    assert steps == [f"Step {number} of 5. {name}" for number, name in enumerate(EXPLORING, start=1)]


def test_files_that_changed_since_the_last_analysis_are_told_of(tmp_path, few):
    folder = tmp_path / "few"
    shutil.copytree(few, folder)
    app = open_page("dataset", source_choice="folder", folders_choice=str(folder))
    assert not said(app.info)
    next((folder / "normal").iterdir()).unlink()
    app.run()
    assert not app.exception
    assert re.search(r"The files have changed since \d\d:\d\d; analysed again\.", said(app.info))


def test_reshuffling_shows_other_samples():
    app = open_page("dataset")
    before = app.session_state["sample_seed"]
    next(b for b in app.button if b.label == "Show others").click().run()
    assert not app.exception
    assert app.session_state["sample_seed"] == before + 1


@pytest.mark.parametrize("kind", [kind for kind in SPLIT_KINDS if kind not in ("given", "source")])
def test_the_splits_page_shows_every_kind_of_split(kind):
    app = open_page("splits")
    app.segmented_control[0].set_value(kind).run()
    assert not app.exception
    assert list(tables(app)[0]) == ["train", "validation", "test"]


@pytest.fixture
def two_hospitals(tmp_path):
    """A folder whose table tells two hospitals, of which one has nearly all of one class."""
    spread = {("north", "normal"): 9, ("north", "covid"): 3, ("hannover", "covid"): 9, ("hannover", "normal"): 3}
    rows = []
    for (source, class_name), n in spread.items():
        for i in range(n):
            name = f"{source}-{class_name}-{i}.png"
            image = draw_phantom(class_name, np.random.default_rng(zlib.crc32(name.encode())))
            (tmp_path / name).write_bytes(png(image))
            rows.append({"path": name, "label": class_name, "source": source, "patient": name})
    pd.DataFrame(rows).to_csv(tmp_path / "index.csv", index=False)
    return tmp_path


def test_class_and_source_that_go_together_are_warned_of_and_one_source_can_be_tested_on(two_hospitals):
    app = open_page("dataset", source_choice="folder", folders_choice=str(two_hospitals))
    assert not app.exception
    assert "Class and source go together" in said(app.warning)
    assert {"north", "Hannover Medical School"} == set(app.table[0].value.index)
    app.switch_page("pages/splits.py").run()
    assert "Leave one source out" in said(app.warning)
    app.segmented_control[0].set_value("source").run()
    tested_on = next(s for s in app.selectbox if s.label == "Source to test on")
    assert sorted(tested_on.options) == ["Hannover Medical School", "north"]
    tested_on.set_value("hannover").run()
    assert not app.exception
    assert tables(app)[0]["test"].tolist() == [3, 9]
    assert "Class and source" not in said(app.warning)


def test_of_one_source_none_can_be_tested_on(few):
    app = open_page("splits", source_choice="folder", folders_choice=str(few))
    assert "source" not in app.segmented_control[0].options


def test_a_folder_that_is_not_there_gets_one_sentence(tmp_path):
    missing = tmp_path / "nowhere"
    app = open_page("dataset", source_choice="folder", folders_choice=str(missing))
    assert not app.exception
    assert said(app.error) == f"There is no folder {missing}."


def test_an_unreadable_file_is_listed_and_the_page_goes_on(tmp_path):
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.png").write_bytes(png(draw_phantom(name, np.random.default_rng(i))))
    (tmp_path / "covid" / "broken.jpg").write_bytes(b"no image")
    app = open_page("dataset", source_choice="folder", folders_choice=str(tmp_path))
    assert not app.exception
    assert "covid/broken.jpg" in app.dataframe[-1].value["file"].tolist()


@pytest.fixture
def explained_set(demo_data, tmp_path, monkeypatch):
    """A folder of drawings with a table of columns that nobody knows."""
    monkeypatch.setattr("cxr_core.data.layouts.tables.label_mapping.INDEX_DIR", tmp_path / "index")
    folder = tmp_path / "set"
    folder.mkdir()
    rows = ["picture file,outcome,remark"]
    for path in sorted(demo_data.rglob("*.*"))[:30]:
        name = f"{path.parent.name}-{path.name}"
        (folder / name).write_bytes(path.read_bytes())
        rows.append(f"{name},{path.parent.name} finding,x")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder


def columns_of(app, table):
    """The fields that ask for the columns of a table: {label: field}."""
    return {field.label: field for field in app.selectbox if f"{table} {field.label}" in (field.key or "")}


def explain_and_ask_for_classes(app, table, read_as):
    """Tell which column has the labels, and ask which findings form which class."""
    columns_of(app, table)["label"].select("outcome")
    next(b for b in app.button if b.label == "Read the table").click().run()
    assert not app.exception and not app.error
    assert read_as in said(app.caption)
    next(t for t in app.toggle if t.label == "Choose which findings form which class").set_value(True).run()
    assert not app.exception and not app.error


def test_the_columns_of_a_strange_table_are_asked_for_and_the_classes_can_be_changed(explained_set):
    table = explained_set / "list.csv"
    app = open_page("dataset", source_choice="folder", folders_choice=str(table))
    assert "has the columns picture file, outcome, remark" in said(app.error)
    assert columns_of(app, "")["path"].value == "picture file"
    explain_and_ask_for_classes(app, "", "30 images in 2 classes")


def test_tables_below_a_folder_of_their_own_are_asked_for_each_and_their_classes_can_be_changed(explained_set):
    outer = explained_set.parent / "outer"
    inner = outer / "unpacked"
    outer.mkdir()
    explained_set.rename(inner)
    (inner / "notes.csv").write_text("when,what\n2020,x\n")
    (inner / "normal").mkdir()
    next(inner.glob("normal-*")).rename(inner / "normal" / "a.png")
    app = open_page("dataset", source_choice="folder", folders_choice=str(outer))
    assert not app.exception
    assert columns_of(app, "notes.csv")["path"].value == "–"
    explain_and_ask_for_classes(app, "list.csv", "in 2 classes")


def test_other_pages_lead_to_the_one_that_asks_for_columns(explained_set):
    app = open_page("duplicates", source_choice="folder", folders_choice=str(explained_set / "list.csv"))
    assert "has the columns picture file, outcome, remark" in said(app.error)
    assert not app.exception


def test_every_preprocessing_option_can_be_changed():
    app = open_page("preprocessing")
    next(t for t in app.toggle if t.label == "White balance").set_value(False)
    next(s for s in app.slider if s.label == "CLAHE tiles").set_value(4)
    next(s for s in app.slider if s.label == "Blur in pixels").set_value(2.0)
    app.run()
    assert not app.exception
    assert not app.error


def test_a_registered_preprocessing_step_has_a_slider_that_works(monkeypatch):
    shown = PreprocessingStep(
        label="Darken",
        help="Subtracts this.",
        apply=lambda square, value: cv2.subtract(square, value),
        low=0,
        high=255,
        off=0,
    )
    monkeypatch.setitem(PREPROCESSING_STEPS, "darken", shown)
    app = open_page("preprocessing")
    next(s for s in app.slider if s.label == "Darken").set_value(255.0).run()
    assert not app.exception
    assert json.loads(app.json[-1].value)["further_steps"] == [["darken", 255.0]]


def test_a_bad_upload_gets_one_sentence_and_the_next_one_works(ungated):
    app = open_page("predict")
    app.file_uploader[0].set_value(("scan.png", b"this is text", "image/png")).run()
    assert not app.exception
    sentence = "This is not a JPEG, PNG, BMP, TIFF, WebP, GIF, AVIF, JPEG 2000, PGM or DICOM image."
    assert said(app.error).startswith(sentence)
    scan = png(draw_phantom("covid", np.random.default_rng(1)))
    app.file_uploader[0].set_value(("scan.png", scan, "image/png")).run()
    assert not app.exception
    assert not app.error
    assert said(app.header).startswith("Prediction: ")


def test_a_truncated_upload_gets_one_sentence():
    scan = cv2.imencode(".jpg", draw_phantom("covid", np.random.default_rng(1)))[1].tobytes()
    app = open_page("predict")
    app.file_uploader[0].set_value(("scan.jpg", scan[: len(scan) // 2], "image/jpeg")).run()
    assert not app.exception
    assert said(app.error).startswith("The JPEG file is cut short or broken.")


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded():
    whole = png(np.zeros((8, 8), np.uint8))
    header = b"IHDR" + 2 * (50_000).to_bytes(4, "big") + whole[24:29]
    huge = whole[:12] + header + zlib.crc32(header).to_bytes(4, "big") + whole[33:]
    app = open_page("predict")
    app.file_uploader[0].set_value(("scan.png", huge, "image/png")).run()
    assert not app.exception
    assert "million" in said(app.error)


@pytest.mark.parametrize(
    ("example", "header", "reason", "truth"),
    [
        ("Clear answer", "Prediction: COVID-19 (very high confidence", "", "COVID-19"),
        ("Not sure", "No answer", "The classifier is not sure.", "COVID-19"),
        ("Another finding", "No answer", "it looks like another finding", "COVID-19"),
        ("Refused: not a whole chest", "No answer", "not one whole, upright frontal chest radiograph", "Normal"),
        ("Wrong answer", "Prediction: COVID-19", "", "Normal"),
    ],
)
def test_an_example_gets_the_answer_that_it_is_named_after_with_the_truth_and_its_source(
    example, header, reason, truth
):
    app = open_page("predict")
    next(s for s in app.selectbox if s.label == "Or choose an example").select(example).run()
    assert not app.exception
    assert said(app.header).startswith(header)
    assert reason in said(app.warning)
    assert f"The truth is **{truth}**" in said(app.markdown)
    assert re.search(r"(Hannover Medical School|NIH Clinical Center)", said(app.caption))


def test_an_example_is_opened_by_its_button_and_makes_room_for_its_answer():
    app = open_page("predict")
    assert not app.exception
    assert app.expander[0].label == "Scans" and app.expander[0].proto.expanded
    assert re.search("Hannover.*NIH", said(app.caption))
    next(button for button in app.button if button.label == "Clear answer").click().run()
    assert app.selectbox(key="example_choice").value == "Clear answer"
    assert said(app.header).startswith("Prediction: COVID-19")
    assert app.expander[0].label == "Another scan" and not app.expander[0].proto.expanded


def test_a_large_image_of_the_teaching_set_names_its_source_below():
    def page():
        from cxr_core.config import TEACHING_DIR
        from cxr_core.data.dataset import scan_dataset
        from ui.common.thumbnails import show_large

        table = scan_dataset(TEACHING_DIR).table
        show_large(table[table["file"] == "nih/00002482_001.jpg"].iloc[0])

    app = AppTest.from_function(page, default_timeout=TIMEOUT_SECONDS).run()
    assert not app.exception
    assert said(app.caption).startswith("NIH Clinical Center") and "free with attribution" in said(app.caption)


@pytest.mark.parametrize("name", ["dataset", "splits"])
def test_a_damaged_teaching_set_is_told_in_one_sentence(name, tmp_path, monkeypatch):
    folder = shutil.copytree(TEACHING_DIR, tmp_path / "teaching_set")
    shutil.rmtree(folder / "hannover")
    monkeypatch.setattr("ui.common.dataset_picker.TEACHING_DIR", folder)
    monkeypatch.setattr("ui.common.dataset_picker.check_teaching_set", lambda: check_teaching_set(folder))
    app = open_page(name)
    assert not app.exception
    told = said(app.error)
    assert told.startswith("The teaching set is not complete: of its images, 63 missing. ")
    assert told.endswith(("restores what is missing or changed.", "to restore it."))


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_owner_can_restore_a_damaged_teaching_set_in_a_checkout(is_shared, tmp_path, monkeypatch):
    folder = shutil.copytree(TEACHING_DIR, tmp_path / "teaching_set")
    shutil.rmtree(folder / "hannover")
    monkeypatch.setattr("ui.common.dataset_picker.check_teaching_set", lambda: check_teaching_set(folder))
    monkeypatch.setattr("ui.common.dataset_picker.can_restore", lambda: True)
    monkeypatch.setattr(
        "ui.common.dataset_picker.restore_teaching_set",
        lambda: shutil.copytree(TEACHING_DIR, folder, dirs_exist_ok=True),
    )
    if is_shared:
        monkeypatch.setenv("CXR_LAB_SHARED", "1")
    app = open_page("splits")
    restore = [button for button in app.button if button.label == "Restore the teaching set"]
    assert len(restore) == (0 if is_shared else 1)
    if restore:
        restore[0].click().run()
        assert not app.error and not app.exception


def test_an_image_without_an_answer_shows_the_reason_and_the_numbers_on_request(ungated):
    app = open_page("predict")
    scan = dicom(draw_phantom("covid", np.random.default_rng(1)), Modality="CT")
    app.file_uploader[0].set_value(("scan", scan, "application/dicom")).run()
    assert not app.exception
    assert said(app.header).startswith("No answer")
    assert "this is not a radiograph" in said(app.warning)
    assert "Download the overlay" not in [button.proto.label for button in app.get("download_button")]
    next(t for t in app.toggle if t.label == "Show the numbers anyway").set_value(True).run()
    assert not app.exception
    assert "Download the overlay" in [button.proto.label for button in app.get("download_button")]


def test_evaluation_scores_another_data_set():
    app = open_page("evaluation")
    app.segmented_control[0].select("dataset").run()
    assert not app.metric
    next(button for button in app.button if button.label.startswith("Classify")).click().run()
    assert not app.exception
    assert not app.error
    assert app.metric[0].value == "188"


def test_a_run_whose_process_is_gone_shows_as_failed_with_its_log(run_folder):
    run = create_run(make_config("quick", roots=("/data",)), run_folder / "20260101-000000-quick-dead")
    run.write_status(RunStatus("running", pid=2**22 + 1, pid_started=time.time(), epochs=40))
    (run.path / "log.txt").write_text("Killed by the test")
    app = open_page("training")
    assert not app.exception
    assert "Failed" in said(app.markdown)
    assert "Killed by the test" in said(app.code)


def test_training_and_validation_that_part_are_pointed_out(run_folder):
    run = create_run(make_config("article", roots=("/data",)), run_folder / "20260101-000000-article-part")
    run.write_status(RunStatus("stopped", epoch=3, epochs=50))
    rows = {"epoch": [1, 2, 3], "accuracy": [0.7, 0.8, 0.95], "val_accuracy": [0.3, 0.28, 0.46]}
    rest = {"loss": [1, 0.9, 0.8], "val_loss": [2, 3, 7.7], "learning_rate": [1e-3] * 3, "epoch_seconds": [1] * 3}
    with atomic_path(run.path / "epochs.csv") as path:
        pd.DataFrame(rows | rest | {"images_per_second": [7] * 3}).to_csv(path, index=False)
    app = open_page("training")
    assert not app.exception
    assert "have diverged: 95 % vs 46 %" in said(app.warning)


def test_of_two_hospitals_with_equal_file_names_each_image_can_be_chosen(tmp_path, monkeypatch):
    for number, hospital in enumerate(("north", "south")):
        for name in ("normal", "covid"):
            (tmp_path / hospital / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / hospital / name / "1.png"), np.full((50, 50), 60 + number, np.uint8))
    opened, read = [], isolated_decoding.read_image
    monkeypatch.setattr(isolated_decoding, "read_image", lambda path: opened.append(path) or read(path))
    app = open_page("preprocessing", source_kept="folder", folders_kept=f"{tmp_path}/north\n{tmp_path}/south")
    for hospital in ("south", "north"):
        path = str((tmp_path / hospital).resolve() / "normal" / "1.png")
        next(s for s in app.selectbox if s.label == "Image").select(path).run()
        assert not app.exception
        # The second is the one for comparison.
        assert opened[-2] == path


def test_the_chosen_data_set_is_still_chosen_after_a_page_that_needs_none():
    app = open_page("dataset")
    app.selectbox(key="source_choice").select("zip").run()
    app.switch_page("pages/overview.py").run()
    app.switch_page("pages/dataset.py").run()
    assert not app.exception
    assert app.selectbox(key="source_choice").value == "zip"


@pytest.mark.parametrize("order", [("north",), ("north", "south"), ("south", "north")], ids=" ".join)
def test_what_is_excluded_in_one_folder_is_excluded_wherever_that_folder_is_added(tmp_path, order):
    for hospital in ("north", "south"):
        for name in ("normal", "covid"):
            (tmp_path / hospital / name).mkdir(parents=True)
            for i in range(2):
                image = draw_texture(i + 10 * len(name) + 100 * len(order) + 1_000 * (hospital == "south"))
                cv2.imwrite(str(tmp_path / hospital / name / f"{i}.png"), image)
    shutil.copy(tmp_path / "north" / "normal" / "0.png", tmp_path / "north" / "normal" / "copy.png")
    app = open_page("duplicates", source_kept="folder", folders_kept=str(tmp_path / "north"))
    next(b for b in app.button if b.label == "Keep the sharpest").click().run()
    assert not app.exception
    roots = "\n".join(str(tmp_path / hospital) for hospital in order)
    again = open_page("quality", source_kept="folder", folders_kept=roots)
    assert not again.exception
    excluded = next(metric for metric in again.metric if metric.label == "Excluded")
    assert excluded.value == "1"


@pytest.fixture
def flagged(tmp_path):
    """Drawings, one of them under another disease's name, one dull and one dark."""
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f"{i}.png").write_bytes(png(draw_phantom(name, np.random.default_rng(i))))
    drawing = draw_phantom("covid", np.random.default_rng(9))
    (tmp_path / "covid" / "tuberculosis-7.png").write_bytes(png(drawing))
    (tmp_path / "covid" / "dull.png").write_bytes(png(drawing // 3 + 100))
    (tmp_path / "normal" / "dark.png").write_bytes(png(drawing // 8))
    return tmp_path


def test_quality_opens_on_the_flag_that_matters_most(flagged):
    app = open_page("quality", source_kept="folder", folders_kept=str(flagged))
    flag = next(s for s in app.selectbox if s.label == "Flag")
    assert flag.value == "other_disease"
    assert len(flag.options) > 1


def test_preprocessing_starts_on_an_image_where_something_changes(flagged):
    app = open_page("preprocessing", source_kept="folder", folders_kept=str(flagged))
    chosen = {s.label: s.value for s in app.selectbox}
    assert (chosen["Class"], chosen["Image"]) == ("normal", "normal/dark.png")
