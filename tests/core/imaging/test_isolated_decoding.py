"""Decoding in a process that has a deadline and a memory limit, and how many images are in memory at once."""

import subprocess
import sys
import threading

import cv2
import numpy as np
import psutil
import pytest
from conftest import PROJECT
from image_files import dicom, undecodable_png
from starlette.testclient import TestClient

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.data.property_table import measure_images
from cxr_core.http_api import build_api
from cxr_core.imaging import isolated_decoding
from cxr_core.imaging.isolated_decoding import IsolatedDecoder
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import UnreadableImage, open_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.system.visit_folders import visit_folder_of

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (60, 40), np.uint8)
FILES = {
    "grey": cv2.imencode(".png", GREY)[1].tobytes(),
    "colour": cv2.imencode(".png", RNG.integers(0, 255, (60, 40, 3), np.uint8))[1].tobytes(),
    "16 bits": cv2.imencode(".png", RNG.integers(0, 65535, (60, 40), np.uint16))[1].tobytes(),
    "DICOM": dicom(GREY, Modality="CT"),
}
# What a decoder does at a hostile file.
DYING = "import os; os._exit(3)"
SLOW = "import time; time.sleep(600)"


@pytest.fixture
def decoder():
    made = IsolatedDecoder(1, 60.0, pixels=1_000_000)
    yield made
    made.close()


def stand_in(monkeypatch, tmp_path, body):
    """Let workers run a module whose decoder begins with a statement, `body`."""
    lines = [
        "from cxr_core.imaging import decode_worker",
        "from cxr_core.imaging.reader import open_image as honest",
        "def open_image(data, header):",
        f"    {body}",
        "    return honest(data, header)",
        "decode_worker.open_image = open_image",
        "decode_worker.main()",
    ]
    (tmp_path / "stand_in_worker.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(isolated_decoding, "_MODULE", "stand_in_worker")


@pytest.mark.parametrize("kind", FILES)
def test_an_image_is_the_one_that_is_decoded_in_this_process(decoder, kind):
    expected = open_image(FILES[kind])
    with decoder.opened(FILES[kind]) as opened:
        assert opened.pixels.dtype == expected.pixels.dtype
        np.testing.assert_array_equal(opened.pixels, expected.pixels)
        assert (opened.notes, opened.doubts) == (expected.notes, expected.doubts)


def test_a_broken_file_gets_the_same_sentence_and_the_worker_stays(decoder):
    with decoder.opened(FILES["grey"]):
        pass
    before = decoder.process_ids()
    for data in (b"", b"no image", undecodable_png(FILES["grey"])):
        with pytest.raises(UnreadableImage) as plain:
            open_image(data)
        with pytest.raises(UnreadableImage) as isolated, decoder.opened(data):
            pass
        assert str(isolated.value) == str(plain.value)
    assert decoder.process_ids() == before != []


def assert_only_it_is_refused(decoder, sentence):
    """The colour image is refused, and the next one decoded; returns the workers that there were in between."""
    with pytest.raises(UnreadableImage, match=sentence), decoder.opened(FILES["colour"]):
        pass
    left = decoder.process_ids()
    with decoder.opened(FILES["grey"]) as opened:
        np.testing.assert_array_equal(opened.pixels, GREY)
    decoder.close()
    return left


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_decoded(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, f"if len(data) == {len(FILES['colour'])}: {SLOW}")
    assert assert_only_it_is_refused(IsolatedDecoder(1, 3.0), "longer than 3 seconds") == []


def test_a_file_that_ends_the_decoder_is_refused_and_the_next_is_decoded(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, f"if len(data) == {len(FILES['colour'])}: {DYING}")
    assert_only_it_is_refused(IsolatedDecoder(1, 60.0), "ended the decoder")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
def test_a_file_that_takes_more_memory_than_an_image_is_refused_and_the_next_is_decoded(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, f"if len(data) == {len(FILES['colour'])}: bytearray(2_000_000_000)")
    assert_only_it_is_refused(IsolatedDecoder(1, 60.0), "more memory than an image")


def test_over_http_a_file_that_ends_the_decoder_is_an_error_row_among_answers(monkeypatch, tmp_path, ungated_model):
    stand_in(monkeypatch, tmp_path, f"if len(data) == {len(FILES['colour'])}: {DYING}")
    decoder = IsolatedDecoder(1, 60.0)
    monkeypatch.setattr(isolated_decoding, "_decoder", lambda: decoder)
    sent = [("files", (name, FILES[name], "image/png")) for name in ("grey", "colour", "16 bits")]
    with TestClient(build_api(load_classifier(ungated_model))) as client:
        rows = client.post("/predict", files=sent).json()
    decoder.close()
    assert [row["status"] == "error" for row in rows] == [False, True, False]
    assert "ended the decoder" in rows[1]["error"]


@pytest.mark.parametrize("whose", ["visitor's", "one's own"])
def test_a_data_set_that_a_visitor_uploaded_is_decoded_by_the_worker_and_ones_own_is_not(whose, monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, f"if len(data) == {len(FILES['colour'])}: {DYING}")
    monkeypatch.setattr(visit_folder_of, "__defaults__", (tmp_path / "visits",))
    decoder = IsolatedDecoder(1, 60.0)
    monkeypatch.setattr(isolated_decoding, "_decoder", lambda: decoder)
    folder = tmp_path / ("visits" if whose == "visitor's" else "mine") / "0123" / "set"
    for name in ("grey", "colour", "16 bits"):
        (folder / name).mkdir(parents=True)
        (folder / name / "image.png").write_bytes(FILES[name])
    table = scan_dataset(folder).table
    prepared = prepare_images(table, Preprocessing(), cache_dir=tmp_path / "cache")
    measured = measure_images(table, cache_dir=tmp_path / "cache")["error"].dropna()
    refused = ["ended the decoder" in reason for reason in [*prepared.errors.values(), *measured]]
    assert refused == [True, True] * (whose == "visitor's")
    # A visitor's set leaves a worker unless the image that ends one came last: images are read in any order.
    assert whose == "visitor's" or decoder.process_ids() == []
    decoder.close()


def test_a_worker_that_was_killed_while_idle_is_replaced(decoder):
    with decoder.opened(FILES["grey"]):
        pass
    (process_id,) = decoder.process_ids()
    psutil.Process(process_id).kill()
    psutil.Process(process_id).wait()
    with decoder.opened(FILES["grey"]) as opened:
        np.testing.assert_array_equal(opened.pixels, GREY)


def test_a_large_image_waits_until_the_others_have_left_memory():
    decoder, second_is_open = IsolatedDecoder(2, 60.0, pixels=3_000), threading.Event()

    def open_second():
        with decoder.opened(FILES["colour"]):
            second_is_open.set()

    with decoder.opened(FILES["grey"]):
        thread = threading.Thread(target=open_second)
        thread.start()
        assert not second_is_open.wait(1.0)
    thread.join()
    assert second_is_open.is_set()
    decoder.close()


def test_a_worker_ends_with_the_process_that_started_it():
    script = (
        "from cxr_core.imaging.isolated_decoding import IsolatedDecoder; import sys, os\n"
        "d = IsolatedDecoder(1, 60.0)\n"
        "with d.opened(sys.stdin.buffer.read()): print(*d.process_ids(), flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=FILES["grey"], stdout=subprocess.PIPE, cwd=PROJECT)
    process_id = int(done.stdout)
    processes = [process for process in psutil.process_iter() if process.pid == process_id]
    _, left = psutil.wait_procs(processes, timeout=20)
    assert left == []
