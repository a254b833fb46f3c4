"""Pages can be read and used without eyes or mouse: axe-core, headings, names of images and plots, focus, targets."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from browser.conftest import choose, needs_chromium, open_folder, open_from_sidebar, open_page, rest
from cxr_core.config import TEACHING_DIR
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run, stop_run

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
pytestmark = needs_chromium
PAGES = (
    "Dataset",
    "Duplicates",
    "Quality",
    "Labels",
    "Splits",
    "Map",
    "Preprocessing",
    "Training",
    "Evaluation",
    "Shortcuts",
    "Your hospital",
    "Predict",
    "Reading",
)
# Streamlit's menu of pages holds the list items of a section in a list of sections.
OPTIONS = {"resultTypes": ["violations"], "rules": {"list": {"enabled": False}, "listitem": {"enabled": False}}}


def serious_findings(page):
    """Return what axe-core calls serious or critical: rule, element and why."""
    found = axe.Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{finding['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


def serious_findings_in_light_and_dark(page):
    found, grounds = [], set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        rest(page)
        found += [f"{scheme}: {finding}" for finding in serious_findings(page)]
        grounds.add(page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"))
    assert len(grounds) == 2
    return found


def test_axe_finds_nothing_serious_on_any_page(app, page, copied_data):
    open_page(page, app[0])
    expect(page.get_by_role("heading", name="CXR Lab")).to_be_visible()
    assert serious_findings_in_light_and_dark(page) == []
    # The link chooses the folder, so that no demo data set has to be drawn first.
    open_page(page, f"{app[0]}/dataset?source=folder")
    open_folder(page, copied_data)
    expect(page.get_by_role("heading", name="What gives the class away")).to_be_visible()
    for name in PAGES:
        open_from_sidebar(page, name)
        expect(page).to_have_title(f"{name} · CXR Lab")
        assert serious_findings_in_light_and_dark(page) == [], name


def test_axe_finds_nothing_serious_where_a_scan_is_answered(app, page):
    open_page(page, f"{app[0]}/predict")
    choose(page, "Or choose an example", "Clear answer")
    expect(
        page.get_by_role("heading", name="answer").or_(page.get_by_role("heading", name="Prediction"))
    ).to_be_visible()
    assert serious_findings_in_light_and_dark(page) == []


# Each page, and each of its views, by its address.
VIEWS = [
    "",
    # A page is found under the last word of its title.
    *(name.lower().split()[-1] for name in PAGES),
    *(f"training?show={place}" for place in ("New", "Article")),
    *(f"evaluation?view={view}" for view in ("Confidence", "Threshold", "Errors")),
]
SMALLEST = 23.5
# A range is moved by its track; a box that is hidden behind its label, by its label.
TARGETS = """() => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [role=button], [role=radio], [role=switch], [role=tab]'
  )].filter(e => e.checkVisibility() && !e.disabled && !e.closest('[data-testid=stSkipToContent]')).map(e => {
    const inside = {range: '[role=group]', checkbox: 'label', radio: 'label'}[e.type]
    const box = ((inside && e.closest(inside)) || e).getBoundingClientRect()
    return [e.getAttribute('aria-label') || e.textContent, box.width, box.height]
  })"""
NAMELESS = """() => [
    ...[...document.querySelectorAll('[data-testid=stMain] img')]
      .filter(i => i.checkVisibility() && !i.alt && !i.closest('[role=img]')),
    ...[...document.querySelectorAll('[data-testid=stPlotlyChart]')].filter(p => !p.ariaLabel),
  ].map(e => e.outerHTML.slice(0, 200))"""


def skipped(levels):
    """Return the headings that come more than one level below the heading before."""
    return [i for i, (before, level) in enumerate(pairwise(levels), start=1) if level > before + 1]


def check_outline_names_and_targets(page):
    levels = [
        int(name[1]) for name in page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("hs => hs.map(h => h.tagName)")
    ]
    assert levels.count(1) == 1 == levels[0]
    assert skipped(levels) == []
    assert page.evaluate(NAMELESS) == []
    assert [t for t in page.evaluate(TARGETS) if 0 < t[1] < SMALLEST or 0 < t[2] < SMALLEST] == []


def test_the_answer_to_a_scan_has_headings_in_order_named_images_and_targets_of_24_pixels(app, page):
    open_page(page, f"{app[0]}/predict")
    choose(page, "Or choose an example", "Clear answer")
    expect(page.get_by_role("heading", name="How much to trust it")).to_be_visible()
    rest(page)
    check_outline_names_and_targets(page)


def test_a_skipped_level_is_found():
    assert skipped([1, 2, 3, 3, 2]) == []
    assert skipped([1, 3, 2, 4]) == [1, 3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_in_the_sidebar_shows_where_the_focus_is(app, page, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    open_page(page, f"{app[0]}/predict?source=folder")
    choose(page, "Or choose an example", "Clear answer")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Opacity of the map")).to_be_visible()
    rest(page)
    page.keyboard.press("Tab")
    controls = sidebar.locator("a[href], button, input, textarea").all()
    assert len(controls) > 14
    for control in controls:
        if not control.is_visible():
            continue
        page.evaluate("document.activeElement.blur()")
        control.scroll_into_view_if_needed()
        place = sidebar.bounding_box()
        before = page.screenshot(clip=place)
        control.focus()
        assert page.screenshot(clip=place) != before, control.evaluate("e => e.outerHTML.slice(0, 200)")


def test_a_link_in_the_sidebar_shows_where_the_focus_is(app, page):
    open_page(page, app[0])
    link = page.get_by_test_id("stSidebarNavLink").get_by_text("Dataset", exact=True).locator("xpath=ancestor::a")
    expect(link).to_be_visible()
    page.keyboard.press("Tab")
    link.focus()
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    assert float(link.evaluate("link => parseFloat(getComputedStyle(link).outlineWidth)")) >= 2


# A grid of Streamlit scrolls within itself; a table that is too wide stands out of its frame. A slider's own input is
# hidden behind its track, and what the sidebar slides away lies beside the page.
TOO_WIDE = """() => {
    const end = document.documentElement.clientWidth + 1, of = (e) => e.getBoundingClientRect(), found = []
    for (const grid of document.querySelectorAll('.dvn-scroller'))
      if (grid.scrollWidth > grid.clientWidth + 1)
        found.push(['columns', ...[...grid.querySelectorAll('th')].map(e => e.textContent)])
    for (const table of document.querySelectorAll('[data-testid=stMain] table:not([role=grid])'))
      if (of(table).width > of(table.parentElement).width + 1) found.push(['columns', table.textContent.slice(0, 100)])
    for (const e of document.querySelectorAll('[data-testid=stMain] *'))
      if (e.checkVisibility() && of(e).width && of(e).right > end && !e.closest('input, table, .dvn-scroller'))
        found.push(['element', e.tagName, e.textContent.slice(0, 100)])
    for (const plot of document.querySelectorAll('.js-plotly-plot'))
      for (const text of plot.querySelectorAll('text'))
        if (of(text).right > of(plot).right + 1 || of(text).left < of(plot).left - 1)
          found.push(['text of a plot', text.textContent])
    return found
  }"""


# Numbers that are cut off.
CUT_OFF = """() => [...document.querySelectorAll('[data-testid=stMetricValue]')]
    .flatMap(v => [v, ...v.querySelectorAll('*')])
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"""


@pytest.fixture(scope="module")
def stopped_run(app):
    """One run in the app's home, which the training page compares."""
    run = create_run(make_config("quick", roots=(str(TEACHING_DIR),)), app[1] / "runs/quick", queued=True)
    stop_run(run)


@pytest.mark.usefixtures("stopped_run")
@pytest.mark.parametrize("view", [*VIEWS, "training?show=Compare"])
def test_a_page_reads_in_order_names_what_it_shows_and_fits_a_screen_a_tablet_and_a_phone(app, page, view):
    page.set_viewport_size({"width": 1280, "height": 800})
    open_page(page, f"{app[0]}/{view}")
    check_outline_names_and_targets(page)
    for closed in page.locator("[data-testid=stMain] summary").all():
        closed.click()
    for width in (820, 390):
        page.set_viewport_size({"width": width, "height": 1000})
        rest(page)
        assert page.evaluate(TOO_WIDE) == [], width
        assert width < 820 or page.evaluate(CUT_OFF) == []


def test_an_image_of_a_gallery_is_enlarged_by_a_click_on_it_and_by_the_keyboard(app, page):
    open_page(page, f"{app[0]}/dataset")
    place = page.locator("[class*=st-key-tile_sample] img").first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 20)
    enlarged = page.get_by_role("dialog")
    expect(enlarged.get_by_role("img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(enlarged).to_have_count(0)
    page.get_by_role("button", name="Enlarge").first.press("Enter")
    expect(enlarged.get_by_role("img")).to_be_visible()
