"""The rows of a batch equal the single answers, whatever other files are in it."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_files import dicom, zip_of

from cxr_core.cli.main import main
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.display import shrink
from cxr_core.imaging.zip_archive import RefusedArchive
from cxr_core.inference.batch_prediction import (
    iter_predictions,
    numbered_name,
    predict_batch,
    sort_items,
    write_overlays,
)
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.image_sources import Source, bytes_sources, path_sources
from cxr_core.inference.prediction_rows import answer_row, error_row, flat_row, rows_csv
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.system.text import guarded


@pytest.fixture(scope="module")
def classifier(ungated_model):
    return load_classifier(ungated_model)


def png(seed, name="covid"):
    return cv2.imencode(".png", draw_phantom(name, np.random.default_rng(seed)))[1].tobytes()


FILES = {f"{name}-{seed}.png": png(seed, name) for seed in range(3) for name in ("normal", "covid", "virus")}
BROKEN = {"text.png": b"this is text", "half.png": FILES["normal-0.png"][:400], "empty.jpg": b""}


def sources(files):
    return [Source(name, lambda data=data: data) for name, data in files.items()]


def rows_of(classifier, some_sources):
    return [item.row for item in predict_batch(classifier, some_sources)]


def test_every_row_is_the_single_answers_row(classifier):
    files = FILES | {"ct": dicom(draw_phantom("normal", np.random.default_rng(0)), Modality="CT")}
    expected = [answer_row(name, answer_upload(classifier, data)) for name, data in files.items()]
    assert rows_of(classifier, sources(files)) == expected


def test_the_gate_stands_before_many_as_before_one():
    from cxr_core.config import SHIPPED_MODEL_DIR

    gated = load_classifier(SHIPPED_MODEL_DIR)
    noise = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (300, 300), dtype=np.uint8))[1].tobytes()
    (row,) = rows_of(gated, sources({"noise.png": noise}))
    assert row == answer_row("noise.png", answer_upload(gated, noise))
    assert row["status"] == "abstain"


def test_bad_files_are_rows_in_their_place_and_stop_nothing(classifier):
    mixed = {"a.png": png(1), **BROKEN, "b.png": png(2)}
    rows = rows_of(classifier, sources(mixed))
    assert [row["file"] for row in rows] == list(mixed)
    assert [row["status"] == "error" for row in rows] == [False, True, True, True, False]
    assert all(row["error"].endswith(".") for row in rows[1:4])


def test_a_file_that_cannot_be_opened_is_a_row(classifier, tmp_path):
    (row,) = rows_of(classifier, path_sources(tmp_path / "gone.png"))
    assert (row["status"], row["error"]) == ("error", "The file cannot be opened: No such file or directory.")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without an end")
def test_of_a_file_without_an_end_no_more_is_read_than_an_image_may_have(classifier):
    (item,) = predict_batch(classifier, path_sources(Path("/dev/zero")))
    assert item.row["error"] == "The file has 40 MB; at most 40 MB are read."


@pytest.mark.parametrize("by", ["covid", "doubt"])
def test_abstentions_whose_numbers_are_hidden_stand_behind_the_answers_in_the_order_given(classifier, by):
    refused = dicom(draw_phantom("covid", np.random.default_rng(0)), Modality="CT")
    mixed = {"text.png": b"no image", "ct-2": refused, "ct-1": refused, "a.png": png(1), "b.png": png(2)}
    items = sort_items(predict_batch(classifier, sources(mixed)), by, only_answered=True)
    assert [item.row["file"] for item in items][2:] == ["ct-2", "ct-1", "text.png"]
    flat = [flat_row(item.row, classifier.classes, only_answered=True) for item in items]
    assert [row["margin"] is None for row in flat] == [False, False, True, True, True]


def test_progress_counts_every_file_once(classifier):
    seen = []
    predict_batch(classifier, sources(FILES | BROKEN), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 12) for i in range(1, 13)]


def test_what_is_kept_belongs_to_its_answer_and_nothing_is_kept_of_a_broken_file(classifier):
    items = predict_batch(classifier, sources(FILES | BROKEN), keep=lambda number, answer: (number, answer.label))
    kept = [item.kept for item in items]
    assert kept == [(i, item.row["label"]) for i, item in enumerate(items[:9], start=1)] + [None] * 3


def test_only_a_few_files_are_read_ahead_of_what_is_asked_for(classifier):
    read = []

    def reading(number):
        return Source(str(number), lambda: read.append(number) or FILES["covid-0.png"])

    answers = iter_predictions(classifier, (reading(number) for number in range(1000)))
    next(answers)
    answers.close()
    assert len(read) < 20


# Folders and ZIPs


def test_a_folder_gives_all_its_images_and_leaves_out_hidden_and_other_files(tmp_path):
    for name in ("b.png", "sub/a.JPG", ".hidden.png", ".cache/c.png", "notes.txt", "table.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "IM0001").write_bytes(dicom(np.zeros((4, 4), np.uint8)))
    names = [source.name for source in path_sources(tmp_path)]
    assert names == [str(tmp_path / name) for name in ("IM0001", "b.png", "sub/a.JPG")]


def test_a_zip_gives_the_rows_of_its_files(classifier):
    files = {"x/a.png": png(1), "x/deep/er/b.png": png(2), "c.png": BROKEN["half.png"], "readme.txt": b"hello"}
    rows = rows_of(classifier, bytes_sources("scans.zip", zip_of(files)))
    assert rows == rows_of(classifier, sources({name: files[name] for name in list(files)[:3]}))


@pytest.mark.parametrize("packed", [True, False], ids=["ZIP", "folder"])
def test_what_is_left_out_of_a_folder_or_a_zip_is_a_row_with_a_sentence(classifier, tmp_path, packed):
    files = {"a.png": png(1), "b.heic": b"\0\0\0\x18ftypheic" + bytes(40), "c.zip": zip_of({"a.png": png(1)}),
             "d.txt": png(2), "e.txt": b"a note"}  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = bytes_sources("scans.zip", zip_of(files)) if packed else path_sources(tmp_path)
    errors = {row["file"].rpartition("/")[2]: row["error"] for row in rows_of(classifier, found)}
    assert errors.keys() == {"a.png", "b.heic", "c.zip", "d.txt"}
    assert errors["a.png"] is errors["d.txt"] is None
    assert "HEIC" in errors["b.heic"] and "archive" in errors["c.zip"]


def test_a_zip_at_a_path_is_named_before_its_files(classifier, tmp_path):
    (tmp_path / "scans").write_bytes(zip_of({"a.png": png(1)}))
    (row,) = rows_of(classifier, path_sources(tmp_path / "scans"))
    assert (row["file"], row["status"]) == (f"{tmp_path / 'scans'}/a.png", "ok")


def test_a_broken_file_in_a_zip_is_one_row(classifier):
    data = bytearray(zip_of({"a.png": png(1), "b.png": png(2)}))
    data[200] ^= 0xFF
    rows = rows_of(classifier, bytes_sources("scans.zip", bytes(data)))
    assert [row["error"] for row in rows] == ["The ZIP archive is broken at this file.", None]


def test_a_file_in_a_zip_that_claims_too_much_is_refused_before_it_is_unpacked(classifier, monkeypatch):
    monkeypatch.setattr("cxr_core.imaging.reader.MAX_FILE_BYTES", 1000)
    monkeypatch.setattr("cxr_core.imaging.zip_archive._blocks", lambda *_: pytest.fail("was unpacked"))
    (row,) = rows_of(classifier, bytes_sources("scans.zip", zip_of({"a.png": b"0" * 2000})))
    assert "at most" in row["error"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"inner.zip": zip_of({"a.png": b"x"})}, "another archive"),
        ({"../a.png": b"x"}, "leads out"),
        ({"notes.txt": b"x"}, "holds no images"),
    ],
)
def test_a_zip_that_is_not_to_be_trusted_is_refused_in_one_sentence(files, words):
    with pytest.raises(RefusedArchive, match=words):
        bytes_sources("scans.zip", zip_of(files))


def test_a_bomb_is_refused_by_what_its_table_of_contents_says():
    with pytest.raises(RefusedArchive, match="bomb"):
        bytes_sources("scans.zip", zip_of({"a.png": bytes(30_000_000)}))


def test_names_are_shown_on_one_line():
    (source,) = bytes_sources("scans.zip", zip_of({"a\n<b>\x1b[31m.png": b"x"}))
    assert source.name == "a?<b>?[31m.png"


# What comes out


def test_a_line_of_the_table_has_the_two_highest_probabilities_apart(classifier):
    row = answer_row("a.png", answer_upload(classifier, FILES["covid-1.png"]))
    flat = flat_row(row, classifier.classes)
    highest, second, *_ = sorted(row["probabilities"].values(), reverse=True)
    assert flat["margin"] == pytest.approx(highest - second)
    assert (flat["confidence"], flat["p_virus"]) == (highest, row["probabilities"]["virus"])


def test_the_csv_says_what_the_rows_say(classifier):
    rows = rows_of(classifier, sources({"a, b.png": png(1), **BROKEN}))
    lines = list(csv.DictReader(io.StringIO(rows_csv(rows, classifier.classes))))
    assert [line["file"] for line in lines] == [row["file"] for row in rows]
    assert [line["error"] for line in lines] == [row["error"] or "" for row in rows]
    assert float(lines[0]["p_covid"]) == rows[0]["probabilities"]["covid"]
    assert lines[1]["p_covid"] == lines[1]["margin"] == ""


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "\n=", "a;="])
def test_no_text_of_a_row_is_a_formula_in_a_spreadsheet(begin):
    text = f"{begin}HYPERLINK(1)"
    row = error_row(text, text) | {"label": text, "reasons": [text], "notes": [text], "probabilities": {"a": 1, "b": 0}}
    written = next(csv.DictReader(io.StringIO(rows_csv([row], ["a", "b"]), newline="")))
    cells = [written[name] for name in ("file", "label", "reasons", "notes", "error")]
    assert cells == [guarded(text)] * 5
    assert guarded(text) != text


def test_the_zip_of_overlays_holds_one_per_answered_file_as_the_single_answer_draws_it(classifier):
    stream = io.BytesIO()
    files = {"../../etc/<b>.png": png(1), "half.png": BROKEN["half.png"], "last.png": png(2)}
    assert write_overlays(stream, classifier, sources(files), side=300) == 2
    with zipfile.ZipFile(stream) as archive:
        assert archive.namelist() == ["0001-_b_.jpg", "0003-last.jpg"]
        drawn = cv2.imdecode(np.frombuffer(archive.read("0003-last.jpg"), np.uint8), cv2.IMREAD_COLOR)
    answer = answer_upload(classifier, png(2))
    expected = shrink(answer.overlay(classifier, answer.prediction.label), 300)[..., ::-1]
    assert drawn.shape == expected.shape
    assert np.abs(drawn.astype(int) - expected).mean() < 3  # JPEG


def test_names_in_a_batch_are_harmless_and_never_the_same():
    names = [numbered_name(i, name, ".jpg") for i, name in enumerate(["a.png", "b/a.png", "..", "\0.png", "x" * 300])]
    assert len(set(names)) == 5
    assert all("/" not in name and "\0" not in name and len(name) < 100 for name in names)


def test_the_command_line_takes_a_folder_a_zip_and_a_file_and_writes_a_table(ungated_model, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(1))
    (tmp_path / "b.zip").write_bytes(zip_of({"b.png": png(2)}))
    shutil.copy(tmp_path / "in" / "a.png", tmp_path / "c.png")
    words = ["predict", tmp_path / "in", tmp_path / "b.zip", tmp_path / "c.png", "--model", ungated_model]
    assert main([*map(str, words), "--json", "-", "--csv", str(tmp_path / "out.csv")]) == 0
    rows = json.loads(capsys.readouterr().out)
    names = [str(tmp_path / name) for name in ("in/a.png", "b.zip/b.png", "c.png")]
    assert [row["file"] for row in rows] == names
    assert rows[0] | {"file": names[2]} == rows[2]
    with (tmp_path / "out.csv").open() as file:
        assert [line["file"] for line in csv.DictReader(file)] == names
