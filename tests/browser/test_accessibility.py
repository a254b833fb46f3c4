"""axe-core finds nothing serious on any page, in light and in dark, and every page has a name in the browser's tab."""

import pytest
from playwright.sync_api import expect

from browser.conftest import IDLE, choose, needs_chromium, open_from_sidebar

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
pytestmark = needs_chromium
PAGES = (
    "Dataset",
    "Duplicates",
    "Quality",
    "Splits",
    "Map",
    "Preprocessing",
    "Training",
    "Evaluation",
    "Shortcuts",
    "Predict",
)
# Streamlit's menu of pages holds the list items of a section in a list of sections.
OPTIONS = {"resultTypes": ["violations"], "rules": {"list": {"enabled": False}, "listitem": {"enabled": False}}}


def serious_findings(page):
    """Return what axe-core calls serious or critical: rule, element and why."""
    page.wait_for_selector(IDLE)
    found = axe.Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{finding['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(app, page, copied_data, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(app[0])
    expect(page.get_by_role("heading", name="CXR Lab")).to_be_visible()
    assert serious_findings(page) == []
    # The link chooses the folder, so that no demo data set has to be drawn first.
    page.goto(f"{app[0]}/dataset?source=folder")
    page.wait_for_selector(IDLE)
    page.get_by_role("textbox", name="Folders").fill(str(copied_data))
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="What gives the class away")).to_be_visible()
    for name in PAGES:
        open_from_sidebar(page, name)
        expect(page).to_have_title(f"{name} · CXR Lab")
        # Plots and images appear after the page's script has ended.
        page.wait_for_load_state("networkidle")
        assert serious_findings(page) == [], name


def test_axe_finds_nothing_serious_where_a_scan_is_answered(app, page):
    page.goto(f"{app[0]}/predict")
    page.wait_for_selector(IDLE)
    choose(page, "Or choose an example", "Clear answer")
    expect(
        page.get_by_role("heading", name="answer").or_(page.get_by_role("heading", name="Prediction"))
    ).to_be_visible()
    assert serious_findings(page) == []


def test_a_link_in_the_sidebar_shows_where_the_focus_is(app, page):
    page.goto(app[0])
    link = page.get_by_test_id("stSidebarNavLink").get_by_text("Dataset", exact=True).locator("xpath=ancestor::a")
    expect(link).to_be_visible()
    page.wait_for_selector(IDLE)
    page.keyboard.press("Tab")
    link.focus()
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    assert float(link.evaluate("link => parseFloat(getComputedStyle(link).outlineWidth)")) >= 2


@pytest.mark.parametrize("name", ["", "evaluation", "shortcuts"])
def test_no_number_is_cut_off_at_the_width_of_a_tablet(app, page, name):
    page.set_viewport_size({"width": 820, "height": 1000})
    page.goto(f"{app[0]}/{name}")
    expect(page.get_by_test_id("stMetricValue").first).to_be_visible()
    page.wait_for_selector(IDLE)
    cut_off = page.get_by_test_id("stMetricValue").evaluate_all(
        "values => values.flatMap(v => [v, ...v.querySelectorAll('*')])"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    )
    assert cut_off == []
