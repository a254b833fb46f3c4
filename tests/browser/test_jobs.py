"""A job of several runs in a real Chromium: begun from the form, stopped, resumed, and summed up."""

import re

from playwright.sync_api import expect

from browser.conftest import needs_chromium, open_page, rest, wait_until
from cxr_core.jobs.job import list_jobs

pytestmark = needs_chromium


def test_several_seeds_are_begun_stopped_resumed_and_summed_up(app, page):
    address, home = app
    open_page(page, f"{address}/training")
    page.get_by_role("radio", name="The built-in classifier's backbone").click()
    rest(page)
    page.get_by_role("radio", name="Several seeds").click()
    rest(page)
    seeds = page.get_by_role("spinbutton", name="Seeds")
    seeds.fill("2")
    seeds.press("Enter")
    expect(page.get_by_text("From 0 to 1")).to_be_visible()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("Several seeds: 0 of 2 runs done")).to_be_visible()
    (job,) = list_jobs(home / "jobs")
    first, second = job.members()
    wait_until(lambda: first.run.status().epoch >= 1, "the first seed trains")
    page.get_by_role("button", name="Stop the job").click()
    page.get_by_role("button", name="Stop it now").click()
    expect(page.get_by_text("Stopped by request").first).to_be_visible()
    assert first.state == "paused" or first.state == "finished"

    page.get_by_role("button", name="Resume the job").click()
    wait_until(lambda: job.status().state == "finished", "both seeds are done", 240)
    expect(page.get_by_text(re.compile(r"test accuracy .*% on average"))).to_be_visible()
    expect(page.get_by_text("Several seeds: 2 of 2 runs done")).to_be_visible()
    assert [member.state for member in (first, second)] == ["finished", "finished"]
    assert first.run.epochs()["epoch"].tolist() == list(range(1, len(first.run.epochs()) + 1))
