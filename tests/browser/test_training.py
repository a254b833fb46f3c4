"""A training in a real Chromium: watched by two, stopped, resumed and compared."""

import re

import pytest
from playwright.sync_api import expect

from browser.conftest import SECONDS, choose, needs_chromium, rest, wait_until
from cxr_core.data.phantoms import draw_demo_data
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import start_run, stop_run

pytestmark = needs_chromium
SETTINGS = ("start=shipped", "batch_size=4", "preprocessing.size=96", "train_from=block_16_expand", "epochs=4000")


@pytest.fixture(scope="module")
def runs(app, tmp_path_factory):
    """Two runs of a few drawings in the app's home: one that has ended, and one that goes on for long."""
    folder = draw_demo_data(tmp_path_factory.mktemp("drawn") / "drawings", images_per_class=9)
    ended, running = (
        start_run(
            make_config("article", roots=(str(folder),), split="stratified", settings=(*SETTINGS, *more)),
            app[1] / "runs",
        )
        for more in (("epochs=1",), ())
    )
    yield ended, running
    stop_run(running)


def test_two_watch_a_run_that_is_stopped_resumed_and_compared(app, page, browser, runs):
    ended, running = runs
    wait_until(lambda: running.status().epoch >= 2 and ended.status().state == "finished", "both have trained", 240)
    other = browser.new_page()
    for watcher in (page, other):
        watcher.set_default_timeout(60 * SECONDS)
        watcher.goto(f"{app[0]}/training")
        choose(watcher, "Run", running.name, rests=False)
        expect(watcher.get_by_text("Grad-CAM after epoch")).to_be_visible()
    page.get_by_role("button", name="Stop training").click()
    page.get_by_role("button", name="Stop now").click()
    for watcher in (page, other):
        expect(watcher.get_by_text("Stopped by request").first).to_be_visible()
    finished = running.status().epoch
    pending = "The search for near copies is still to come."
    wait_until(lambda: running.metrics() and pending not in str(running.metrics()), "the model is exported", 120)

    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text(re.compile("Epoch .*, batch .* of")).first).to_be_visible()
    wait_until(lambda: running.status().epoch > finished, "it goes on after its last epoch", 120)
    assert running.epochs()["epoch"].tolist()[: finished + 1] == list(range(1, finished + 2))
    page.get_by_role("button", name="Pause").click()
    wait_until(lambda: running.status().state == "paused", "it pauses after its epoch", 60)
    expect(page.get_by_role("button", name="End here and export")).to_be_visible()
    other.close()

    page.get_by_role("radio", name="Compare").click()
    rest(page)
    table = page.get_by_test_id("stDataFrame").locator("canvas").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    # The table is drawn, not made of elements: its first column holds the ticks.
    page.mouse.click(box["x"] + 40, box["y"] + 35 + 17)
    expect(page.get_by_role("button", name="Clone settings")).to_be_visible()
    expect(page.get_by_role("button", name="Delete this run")).to_be_visible()
