"""Clicking into the Evaluation page's figures brings the images behind them, in a real Chromium."""

import re

from playwright.sync_api import expect

from browser.conftest import needs_chromium, open_page, rest

pytestmark = needs_chromium


def open_errors(page, address):
    open_page(page, f"{address}/evaluation")
    page.get_by_role("radio", name="Another data set").click()
    rest(page)
    page.get_by_role("button", name="Classify 188 images").click()
    expect(page.get_by_text("188", exact=True)).to_be_visible()
    rest(page)
    page.get_by_role("radio", name="Errors").click()
    expect(page.get_by_role("heading", name=re.compile("^Misclassified"))).to_be_visible()
    rest(page)


def test_a_confusion_cell_shows_its_images(app, page):
    open_errors(page, app[0])
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    # The second of four columns in the first of four rows.
    page.mouse.click(box["x"] + 3 / 8 * box["width"], box["y"] + box["height"] / 8)
    expect(
        page.get_by_role("heading", name=re.compile(r"^True Normal, predicted COVID-19: \d+ images?"))
    ).to_be_visible()
    expect(page.get_by_text("predicted COVID-19").nth(1)).to_be_visible()


def test_a_point_of_the_curve_and_a_bin_show_their_images(app, page):
    open_errors(page, app[0])
    page.get_by_role("radio", name="ROC").click()
    point = page.locator(".js-plotly-plot .scatterlayer .points path").nth(20)
    point.wait_for(state="attached")
    rest(page)
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name=re.compile("^Missed .* and false alarms"))).to_be_visible()
    page.get_by_role("radio", name="Reliability").click()
    bar = page.locator(".js-plotly-plot .barlayer .point path").nth(1)
    bar.wait_for(state="attached")
    rest(page)
    box = bar.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name=re.compile("^Confidence between"))).to_be_visible()


def test_the_keyboard_reaches_the_images_behind_a_cell(app, page):
    open_errors(page, app[0])
    page.get_by_role("combobox", name="Or choose a cell").focus()
    page.keyboard.type("True Normal, predicted COVID-19")
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("heading", name=re.compile(r"^True Normal, predicted COVID-19: \d+ images?"))
    ).to_be_visible()
    expect(page.get_by_text("predicted COVID-19").nth(1)).to_be_visible()
