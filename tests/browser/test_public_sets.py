"""From the folder of each public data set to a sensible Dataset page, through the page's own controls."""

from playwright.sync_api import expect
from public_sets import SETS, build

from browser.conftest import choose, needs_chromium, open_folder, open_page
from cxr_core.classes import class_label

pytestmark = needs_chromium


def test_each_public_set_opens_on_the_dataset_page_as_it_was_unpacked(app, page, tmp_path):
    open_page(page, f"{app[0]}/dataset")
    choose(page, "Data set", "A folder or CSV on this computer")
    for name, mini in SETS.items():
        root = build(tmp_path / name, mini)
        open_folder(page, root)
        sentence = page.get_by_test_id("stCaptionContainer").filter(has_text=f"{name}: {mini.said}")
        images = sum(mini.classes.values())
        expect(sentence).to_contain_text(f"{images} images in {len(mini.classes)} classes.")
        if mini.passed_over:
            expect(sentence).to_contain_text("Passed over or taken as unknown: ")
        for label, count in (
            ("Images", images),
            ("Classes", len(mini.classes)),
            ("Passed over", len(mini.passed_over)),
        ):
            expect(page.get_by_test_id("stMetric").filter(has_text=label)).to_contain_text(str(count))
        for class_name in mini.classes:
            expect(page.get_by_test_id("stMarkdown").get_by_text(class_label(class_name), exact=True)).to_be_visible()
        expect(page.get_by_role("heading", name="All files")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
