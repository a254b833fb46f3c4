"""Every kind of upload on Predict in a real Chromium: one clear outcome each, and the page goes on working."""

import io
import re
import zipfile

import cv2
import numpy as np
import pytest
from picture_files import dicom
from playwright.sync_api import expect

from browser.conftest import IDLE, needs_chromium
from cxr_core.phantoms import draw_phantom

pytestmark = needs_chromium
DRAWING = draw_phantom("covid", np.random.default_rng(1))
PNG = cv2.imencode(".png", DRAWING)[1].tobytes()
OUTCOME = re.compile("The classifier answers|No answer")


@pytest.fixture
def predict(app, page):
    page.goto(f"{app[0]}/predict")
    page.wait_for_selector(IDLE)
    return page


def upload(page, *files):
    """Put (name, bytes) into the upload field in place of what was there."""
    for _ in range(page.get_by_test_id("stFileChipDeleteBtn").count()):
        page.get_by_test_id("stFileChipDeleteBtn").first.locator("button").click()
        page.wait_for_selector(IDLE)
    payload = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    page.set_input_files('input[type="file"]', payload)


def goes_on_working(page):
    """No traceback, and the next file is answered."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    upload(page, ("next.png", PNG))
    expect(page.get_by_role("heading", name=OUTCOME)).to_be_visible()
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def test_a_dicom_file_gets_its_answer_and_a_dicom_overlay_and_names_nobody(predict):
    upload(predict, ("IM0001", dicom(DRAWING, PatientName="Zyxwv^Jane", PatientID="QQ4711QQ")))
    expect(predict.get_by_role("heading", name=OUTCOME)).to_be_visible()
    predict.get_by_text("Show the numbers all the same").click()
    with predict.expect_download() as download:
        predict.get_by_role("button", name="Download the overlay as DICOM").click()
    written = download.value.path().read_bytes()
    assert written[128:132] == b"DICM"
    assert b"Zyxwv" not in written
    expect(predict.get_by_text(re.compile("Zyxwv|QQ4711QQ"))).to_have_count(0)
    goes_on_working(predict)


def test_a_zip_becomes_a_table_whose_row_opens_its_answer_and_whose_overlays_come_as_a_zip(predict):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("a.png", "b.png"):
            archive.writestr(f"scans/{name}", PNG)
        archive.writestr("<img src=x onerror=alert(1)>.png", PNG[:500])
    upload(predict, ("scans.zip", stream.getvalue()))
    expect(predict.get_by_role("heading", name=re.compile("^3 pictures: .*1 unreadable$"))).to_be_visible()
    predict.wait_for_selector(IDLE)
    box = predict.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
    predict.mouse.click(box["x"] + 18, box["y"] + 70)
    expect(predict.get_by_role("heading", name=OUTCOME)).to_be_visible()
    expect(predict.get_by_test_id("stText").get_by_text("scans/a.png")).to_be_visible()
    with predict.expect_download() as download:
        predict.get_by_role("button", name="Download the table").click()
    assert len(download.value.path().read_text().splitlines()) == 4
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


def test_the_picture_zooms_under_the_wheel_and_moves_under_the_mouse(predict):
    upload(predict, ("scan.png", PNG))
    plot = predict.locator(".st-key-original .js-plotly-plot .nsewdrag")
    plot.scroll_into_view_if_needed()
    predict.wait_for_selector(IDLE)

    # plotly takes a moment over a zoom, and no drag until then.
    predict.evaluate(f"window.moves = 0; {PLOT}.on('plotly_relayout', () => window.moves++)")
    whole, box = predict.evaluate(RANGE), plot.bounding_box()
    predict.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    predict.mouse.wheel(0, -400)
    predict.wait_for_function("window.moves > 0")
    near = predict.evaluate(RANGE)
    assert near[1] - near[0] < whole[1] - whole[0]
    predict.mouse.down()
    predict.mouse.move(box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2, steps=5)
    predict.mouse.up()
    predict.wait_for_function("window.moves > 1")
    moved = predict.evaluate(RANGE)
    assert moved[0] < near[0]
    assert moved[1] - moved[0] == pytest.approx(near[1] - near[0])


PLOT = "document.querySelector('.st-key-original .js-plotly-plot')"
RANGE = f"{PLOT}._fullLayout.xaxis.range"
