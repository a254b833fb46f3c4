"""A stranger's way through the app in a real Chromium: upload a scan, train, watch, stop."""

import re

import cv2
import numpy as np
import pytest
from image_files import dicom
from playwright.sync_api import expect

from browser.conftest import (
    SECONDS,
    choose,
    needs_chromium,
    open_folder,
    open_from_sidebar,
    open_page,
    rest,
    wait_until,
)
from cxr_core.config import PROJECT_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.runs.run import list_runs

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def scan(request, tmp_path_factory):
    """A real radiograph where one is at hand, else a drawing."""
    shared = PROJECT_DIR.parent / "shared" / "data" / "external" / "hannover" / "covid"
    if shared.is_dir():
        return sorted(shared.iterdir())[0]
    path = tmp_path_factory.mktemp("scan") / "drawing.png"
    cv2.imwrite(str(path), draw_phantom("covid", np.random.default_rng(1)))
    return path


def test_a_link_to_a_page_opens_the_whole_app_on_the_first_visit(app, page):
    open_page(page, f"{app[0]}/dataset")
    expect(page.get_by_role("heading", name="Dataset")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav").get_by_text("Overview")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav").get_by_text("streamlit app")).to_have_count(0)


def test_the_data_pages_find_copies_leave_images_out_and_take_them_in_again(app, page, copied_data):
    open_page(page, f"{app[0]}/dataset")
    choose(page, "Data set", "A folder or CSV on this computer")
    open_folder(page, copied_data)
    expect(page.get_by_role("heading", name="What gives the class away")).to_be_visible()
    expect(page.get_by_text("predict").first).to_be_visible()

    open_from_sidebar(page, "Duplicates")
    expect(page.get_by_text("2 images, Normal")).to_be_visible()
    page.get_by_role("button", name="Keep the sharpest").click()
    expect(page.get_by_text("1 of 2 images excluded.")).to_be_visible()
    expect(page.get_by_role("button", name="Include")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Include")).to_have_count(0)

    open_from_sidebar(page, "Quality")
    page.get_by_role("button", name=re.compile("^Exclude (all|this image)")).click()
    expect(page.get_by_text("excluded:").first).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)

    open_from_sidebar(page, "Splits")
    expect(page.get_by_text("No duplicate is shared; for")).to_be_visible()

    open_from_sidebar(page, "Map")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    expect(plot).to_be_visible()
    rest(page)
    box = plot.bounding_box()
    hover_over_a_point(page)
    expect(page.get_by_test_id("stImage").locator("img")).to_be_visible()
    corners = ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.1))
    for i, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("heading", name="selected")).to_be_visible()
    expect(page.get_by_role("button", name="Exclude").first).to_be_visible()


def test_an_uploaded_scan_gets_a_prediction_and_an_overlay(app, page, scan):
    open_page(page, f"{app[0]}/predict")
    page.set_input_files('input[type="file"]', scan)
    expect(page.get_by_role("heading", name=ANSWERED_OR_NOT)).to_be_visible()
    numbers, looked = page.get_by_text("Show the numbers anyway"), page.get_by_text("Where the classifier looked")
    expect(numbers.or_(looked).first).to_be_visible()
    rest(page)
    if numbers.count():
        numbers.click()
    expect(page.get_by_text("Where the classifier looked").first).to_be_visible()
    overlay_on_page = page.get_by_test_id("stImage").first.locator("img")
    expect(overlay_on_page).to_be_visible()
    page.wait_for_function("image => image.naturalWidth > 0", arg=overlay_on_page.element_handle())
    rest(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the overlay").click()
    overlay = cv2.imread(str(download.value.path()))
    assert overlay.shape == cv2.imread(str(scan)).shape


def test_a_dicom_file_of_another_examination_gets_no_answer_and_its_numbers_on_request(app, page, tmp_path):
    path = tmp_path / "IM000001"
    path.write_bytes(dicom(draw_phantom("normal", np.random.default_rng(0)), Modality="CT", PatientName="Zyxwv^Jane"))
    open_page(page, f"{app[0]}/predict")
    page.set_input_files('input[type="file"]', path)
    expect(page.get_by_role("heading", name="No answer")).to_be_visible()
    expect(page.get_by_text("this is not a radiograph")).to_be_visible()
    expect(page.get_by_role("button", name="Download the overlay")).to_have_count(0)
    expect(page.get_by_text("Zyxwv")).to_have_count(0)
    rest(page)
    page.get_by_text("Show the numbers anyway").click()
    expect(page.get_by_role("button", name="Download the overlay", exact=True)).to_be_visible()


def test_a_file_that_is_no_image_gets_a_sentence_and_no_traceback(app, page, tmp_path):
    bad = tmp_path / "<b>scan.png"
    bad.write_text("no image")
    open_page(page, f"{app[0]}/predict")
    page.set_input_files('input[type="file"]', bad)
    sentence = "This is not a JPEG, PNG, BMP, TIFF, WebP, GIF, AVIF, JPEG 2000, PGM or DICOM image."
    expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_training_starts_shows_a_growing_curve_and_stops(app, page):
    address, home = app
    open_page(page, f"{address}/training")
    choose(page, "Recipe", "article")
    page.get_by_role("radio", name="The built-in classifier's backbone").click()
    rest(page)
    page.get_by_role("button", name="Start training").click()

    # The thin line has one point per batch: it must grow while the page is only looked at.
    page.wait_for_function(f"{POINTS} > 0", timeout=120 * SECONDS)
    first = page.evaluate(POINTS)
    page.wait_for_function(f"{POINTS} > {first}", timeout=120 * SECONDS)

    run = list_runs(home / "runs")[0]
    wait_until(lambda: run.status().epoch >= 1, "the first epoch is done", 240)
    page.get_by_role("button", name="Stop training").click()
    page.get_by_role("button", name="Stop now").click()
    wait_until(lambda: not run.status().is_active, "the run has stopped", 10)
    assert run.status().state == "stopped"
    expect(page.get_by_text("Stopped by request").first).to_be_visible()
    wait_until(lambda: run.has_model and run.metrics(), "the stopped model is exported", 120)


def test_a_tapped_point_of_the_map_shows_its_image(app, browser):
    phone = browser.new_context(viewport={"width": 390, "height": 900}, has_touch=True)
    page = phone.new_page()
    page.set_default_timeout(60 * SECONDS)
    open_page(page, f"{app[0]}/map")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    # What listens to the figure looks for it a few times a second.
    page.wait_for_timeout(SECONDS)
    rest(page)
    page.touchscreen.tap(*first_point(page))
    expect(page.get_by_test_id("stImage").locator("img")).to_be_visible()
    phone.close()


def hover_over_a_point(page):
    """Move the mouse to the first point of the map."""
    at = first_point(page)
    page.mouse.move(at[0] - 3, at[1] - 3)
    page.mouse.move(*at, steps=4)


def first_point(page):
    """Where plotly drew the first point of the map."""
    return page.evaluate("""(() => {
      const plot = document.querySelector('.js-plotly-plot'), mark = plot.data[0], layout = plot._fullLayout
      const area = plot.querySelector('.nsewdrag').getBoundingClientRect()
      const x = mark.x._inputArray ?? mark.x, y = mark.y._inputArray ?? mark.y
      return [area.x + layout.xaxis.c2p(x[0]), area.y + layout.yaxis.c2p(y[0])]
    })()""")


ANSWERED_OR_NOT = re.compile("^(Prediction: |No answer)")
POINTS = """(() => {
  const plot = document.querySelector('.js-plotly-plot');
  const line = plot && plot.data && plot.data.find(t => t.name === 'Per batch');
  return line ? (line.x.length ?? line.x._inputArray?.length ?? 0) : 0;
})()"""
