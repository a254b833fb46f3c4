"""Every kind of upload on Predict in a real Chromium: one clear outcome each, and the page goes on working."""

import contextlib
import os
import re
import threading
import zipfile
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from image_files import dicom, zip_of
from playwright.sync_api import expect

from browser.conftest import go_through, needs_chromium, open_page, rest
from cxr_core.data.phantoms import draw_phantom

pytestmark = needs_chromium
DRAWING = draw_phantom("covid", np.random.default_rng(1))
PNG = cv2.imencode(".png", DRAWING)[1].tobytes()
OUTCOME = re.compile("^(Prediction: |No answer)")


@pytest.fixture
def predict(app, page):
    open_page(page, f"{app[0]}/predict")
    return page


def upload(page, *files):
    """Put (name, bytes) into the upload field in place of what was there; beside an answer it is folded away."""
    rest(page)
    folded = page.get_by_text("Another scan", exact=True)
    if folded.count() and not page.get_by_test_id("stFileUploader").is_visible():
        folded.click()
        expect(page.get_by_test_id("stFileUploader")).to_be_visible()
    for _ in range(page.get_by_test_id("stFileChipDeleteBtn").count()):
        page.get_by_test_id("stFileChipDeleteBtn").first.locator("button").click()
        rest(page)
    payload = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    page.set_input_files('input[type="file"]', payload)


def downloaded(page, name):
    """Click a download button once the page has come to rest; returns bytes."""
    button = page.get_by_role("button", name=name)
    expect(button).to_be_visible()
    rest(page)
    with page.expect_download() as download:
        button.click()
    return download.value.path().read_bytes()


def goes_on_working(page):
    """No traceback, and the next file is answered."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    upload(page, ("next.png", PNG))
    expect(page.get_by_role("heading", name=OUTCOME)).to_be_visible()
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_a_dicom_file_gets_its_answer_and_a_dicom_overlay_and_names_nobody(predict):
    upload(predict, ("IM0001", dicom(DRAWING, PatientName="Zyxwv^Jane", PatientID="QQ4711QQ")))
    expect(predict.get_by_role("heading", name=OUTCOME)).to_be_visible()
    rest(predict)
    predict.get_by_text("Show the numbers anyway").click()
    written = downloaded(predict, "Download the overlay as DICOM")
    assert written[128:132] == b"DICM"
    assert b"Zyxwv" not in written
    expect(predict.get_by_text(re.compile("Zyxwv|QQ4711QQ"))).to_have_count(0)
    goes_on_working(predict)


def test_a_zip_becomes_a_table_whose_row_opens_its_answer_and_whose_overlays_come_as_a_zip(predict):
    files = {"scans/a.png": PNG, "scans/b.png": PNG, "<img src=x onerror=alert(1)>.png": PNG[:500]}
    upload(predict, ("scans.zip", zip_of(files)))
    expect(predict.get_by_role("heading", name=re.compile("^3 images: .*1 unreadable$"))).to_be_visible()
    rest(predict)
    box = predict.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
    predict.mouse.click(box["x"] + 18, box["y"] + 70)
    expect(predict.get_by_role("heading", name=OUTCOME)).to_be_visible()
    expect(predict.get_by_test_id("stText").get_by_text("scans/a.png")).to_be_visible()
    assert len(downloaded(predict, "Download the table").splitlines()) == 4
    goes_on_working(predict)


def test_files_answers_and_choices_are_still_there_after_another_page(predict):
    upload(predict, ("a.png", PNG), ("b.png", PNG[:500]))
    heading = predict.get_by_role("heading", name=re.compile("^2 images: .*1 unreadable$"))
    expect(heading).to_be_visible()
    rest(predict)
    box = predict.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
    predict.mouse.click(box["x"] + 18, box["y"] + 70)
    answer = predict.get_by_role("heading", name=OUTCOME)
    expect(answer).to_be_visible()
    rest(predict)
    predict.get_by_text("inferno", exact=True).click()
    rest(predict)
    go_through(predict, "Evaluation")
    go_through(predict, "Predict")
    expect(heading).to_be_visible()
    # The row is still selected, and its answer shown.
    expect(answer).to_be_visible()
    expect(predict.get_by_test_id("stText").get_by_text("a.png")).to_be_visible()
    chosen = predict.locator("[data-testid=stButtonGroup] [aria-checked=true]").get_by_text("inferno")
    expect(chosen).to_be_visible()
    expect(predict.get_by_text("Kept from before: a.png, b.png.")).to_be_visible()
    predict.get_by_role("button", name="Remove them").click()
    expect(heading).to_have_count(0)
    goes_on_working(predict)


def test_a_cat_gets_no_answer(predict):
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's cat")
    upload(predict, ("cat.png", cv2.imencode(".png", data.cat()[..., ::-1])[1].tobytes()))
    expect(predict.get_by_role("heading", name="No answer")).to_be_visible()
    expect(predict.get_by_text("This does not look like a frontal chest radiograph.")).to_be_visible()
    goes_on_working(predict)


def test_a_file_that_was_cut_short_gets_one_sentence(predict):
    whole = cv2.imencode(".jpg", DRAWING)[1].tobytes()
    upload(predict, ("scan.jpg", whole[: len(whole) // 2]))
    expect(predict.get_by_text("The JPEG file is cut short or broken. Choose another file.")).to_be_visible()
    goes_on_working(predict)


def seen(page):
    """What the viewer shows within its rounded corners, float grey (h, w)."""
    stage = page.locator(".cxr-stage")
    # In the middle, where the page's own header covers nothing of it.
    stage.evaluate("stage => stage.scrollIntoView({block: 'center'})")
    page.wait_for_function("document.querySelector('.cxr-stage img').naturalWidth > 0")
    whole = cv2.imdecode(np.frombuffer(stage.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    return whole[8:-8, 8:-8].astype(float)


def place(page):
    """(scale, pixels from the left) of the viewer's image."""
    matrix = page.evaluate("getComputedStyle(document.querySelector('.cxr-stage img')).transform")
    parts = [float(part) for part in re.findall(r"-?[\d.]+", matrix)]
    return parts[0], parts[4]


def places(page):
    """Top and bottom of answer, image, bars and the first caveat, in pixels from the top of the page."""
    parts = (
        page.get_by_role("heading", name="Prediction:"),
        page.locator(".cxr-stage"),
        page.locator(".js-plotly-plot").first,
        page.get_by_text("The classifier's own scores"),
    )
    boxes = []
    for part in parts:
        expect(part).to_be_visible()
        boxes.append(part.bounding_box())
    return [(box["y"], box["y"] + box["height"]) for box in boxes]


def test_answer_image_bars_and_caveat_are_seen_without_a_scroll_and_in_this_order_on_a_phone(page, app):
    page.set_viewport_size({"width": 1280, "height": 800})
    open_page(page, f"{app[0]}/predict")
    page.get_by_role("button", name="Clear answer", exact=True).click()
    seen(page)
    answer, image, bars, caveat = places(page)
    assert max(answer[1], bars[1], caveat[1]) < 800
    assert image[0] < 560
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.querySelector('.cxr-stage').clientWidth < 390")
    answer, image, bars, _ = places(page)
    assert answer[1] <= image[0] and image[1] <= bars[0]


def test_the_image_zooms_under_the_wheel_and_moves_under_the_mouse(predict):
    upload(predict, ("scan.png", PNG))
    seen(predict)
    box = predict.locator(".cxr-stage").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert place(predict) == (1, 0)
    predict.mouse.move(*middle)
    predict.mouse.wheel(0, -400)
    predict.wait_for_function("document.querySelector('.cxr-stage img').style.transform.includes('scale(2.7')")
    scale, left = place(predict)
    # What lay under the mouse still does.
    assert (box["width"] / 2 - left) / scale == pytest.approx(box["width"] / 2, abs=1)
    predict.mouse.down()
    predict.mouse.move(middle[0] + 60, middle[1], steps=5)
    predict.mouse.up()
    assert place(predict) == (pytest.approx(scale), pytest.approx(left + 60, abs=1))
    predict.get_by_role("button", name="Reset").click()
    assert place(predict) == (1, 0)


def test_window_level_and_inversion_show_the_greys_they_name(predict):
    upload(predict, ("scan.png", PNG))
    whole = seen(predict)
    predict.get_by_role("slider", name="Level in %").fill("40")
    predict.get_by_role("slider", name="Window in %").fill("50")
    expected = np.clip((whole / 255 - 0.4) / 0.5 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(seen(predict), expected, atol=4)
    predict.get_by_role("checkbox", name="Invert").check()
    np.testing.assert_allclose(seen(predict), 255 - expected, atol=4)


LIMIT = 200_000_000


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """A data set as a ZIP file just below the limit, most of it text, which is passed over; and a file just above."""
    below, above = (tmp_path_factory.mktemp("sizes") / f"{name}.zip" for name in ("below", "above"))
    with zipfile.ZipFile(below, "w") as archive:
        for name in ("normal", "covid"):
            for i in range(3):
                image = cv2.imencode(".png", draw_phantom(name, np.random.default_rng(i)))[1]
                archive.writestr(f"{name}/{i}.png", image.tobytes())
        archive.writestr("notes.txt", b"MARKED-PIXELS" * ((LIMIT - 2_000_000) // 13))
    assert LIMIT - 2_000_000 < below.stat().st_size < LIMIT
    above.write_bytes(bytes(LIMIT + 1))
    return below, above


@pytest.mark.parametrize(("name", "outcome"), [("predict", "^6 images: "), ("dataset", "6 images")])
def test_the_limit_that_a_field_shows_is_the_one_that_holds(app, page, sizes, name, outcome):
    open_page(page, f"{app[0]}/{name}{'?source=zip' if name == 'dataset' else ''}")
    expect(page.get_by_text("200MB per file")).to_be_visible()
    page.set_input_files('input[type="file"]', sizes[1])
    expect(page.get_by_text("File must be 200.0MB or smaller.")).to_be_visible()
    expect(page.get_by_text(re.compile(outcome))).to_have_count(0)
    page.set_input_files('input[type="file"]', sizes[0])
    expect(page.get_by_text(re.compile(outcome)).first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_no_upload_is_written_to_disk_not_even_while_it_arrives(predict, app, sizes):
    """Whatever the server has open is looked through all the while; a file without a name is one, too."""
    port = app[0].rsplit(":", 1)[1]
    server = next(process for process in psutil.process_iter(["cmdline"]) if port in (process.info["cmdline"] or []))
    marked, seen, done = b"MARKED-PIXELS" * 700_000, set(), threading.Event()

    def watch():
        while not done.is_set():
            for link in Path(f"/proc/{server.pid}/fd").glob("*"):
                with contextlib.suppress(OSError):
                    if link.is_file() and link.stat().st_size > 1_000_000 and b"MARKED-PIXELS" in link.read_bytes():
                        seen.add(os.readlink(link))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        archive = zip_of({"c.png": marked}, zipfile.ZIP_STORED)
        for files in ([("one.png", marked)], [("a.png", marked), ("b.png", marked)], [("c.zip", archive)]):
            upload(predict, *files)
            predict.wait_for_timeout(1_500)
            rest(predict)
        predict.set_input_files('input[type="file"]', sizes[0])
        expect(predict.get_by_text(re.compile("images: ")).last).to_be_visible()
    finally:
        done.set()
        watcher.join()
    assert seen == set()
