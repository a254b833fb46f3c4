"""Names of Markdown, HTML, LaTeX, control and bidirectional characters on every page of a shared installation.

No request leaves for another host, no tag or link is made of a name, and no sentence shows a path of the server.
"""

import csv
import re
import tempfile
from urllib.parse import quote, urlsplit

import cv2
import pytest
from conftest import PROJECT, draw_texture
from image_files import zip_of
from playwright.sync_api import expect

from browser.conftest import SECONDS, free_port, go_through, needs_chromium, open_folder, open_page, rest, running_app

pytestmark = needs_chromium
ELSEWHERE = "stranger.example"
LINK = f"http://{ELSEWHERE}"
# Whatever a name may hold that Streamlit's Markdown, HTML, LaTeX or a terminal gives a meaning to.
SIGNS = (
    f"![a]({LINK}/image.png)",
    f"[b]({LINK}/link) {LINK}/bare www.{ELSEWHERE}",
    f"<img class=injected src={LINK}/tag.png onerror=alert(1)><b class=injected>c</b>",
    f'<a class="injected" href="{LINK}">d</a><style>body{{display:none}}</style>',
    "$e^2$ :red[f] :material/home: :smile: **g** `h` # i",
    "j\x1b[31m\u202ek\u2066l\ttab",
)
PAGES = ("", "dataset", "duplicates", "quality", "labels", "splits", "map", "preprocessing", "training", "evaluation",
         "shortcuts", "hospital", "predict", "reading")  # fmt: skip
PNG = cv2.imencode(".png", draw_texture(1))[1].tobytes()


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory):
    """The running app, shared: (address, home folder)."""
    home = tmp_path_factory.mktemp("home")
    with running_app(home, free_port(), CXR_LAB_SHARED="1", CXR_LAB_ALLOW="training,folders") as address:
        yield address, home


@pytest.fixture
def watched(page):
    """A page, and what it asked of other hosts."""
    asked = []
    page.on("request", lambda request: asked.append(request.url) if _is_elsewhere(request.url) else None)
    page.on("dialog", lambda dialog: asked.append(f"dialog: {dialog.message}"))
    return page, asked


def _is_elsewhere(url):
    return urlsplit(url).hostname not in ("127.0.0.1", None)


def images():
    """24 PNG files; every fourth is a copy, so that there are duplicates."""
    return [cv2.imencode(".png", draw_texture(i - (i % 4 == 3)))[1].tobytes() for i in range(24)]


def is_clean(page, asked, home):
    """Nothing was asked of another host, made into a tag or a link, or told of the server."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert asked == []
    assert page.locator(".injected").count() == 0
    assert page.locator(f"a[href*='{ELSEWHERE}'], img[src*='{ELSEWHERE}']").count() == 0
    assert page.locator("[data-testid=stMarkdownContainer] .katex").count() == 0
    expect(page.get_by_test_id("stApp")).to_be_visible()
    # What an upload field shows of a file's name is Streamlit's own, and of the visitor's own file.
    shown = page.locator("[data-testid=stMarkdownContainer], [data-testid=stText], [data-testid=stCode]")
    text = " ".join(shown.all_inner_texts())
    assert [folder for folder in (str(home), str(PROJECT), tempfile.gettempdir()) if folder in text] == []
    assert not re.search("[\x1b\u202e\u2066]", text)


def is_clean_on_all_pages(page, asked, home):
    expect(page.get_by_text("24 images").first).to_be_visible()
    rest(page)
    expect(page.get_by_test_id("stMetricValue").get_by_text("3", exact=True).first).to_be_visible()
    is_clean(page, asked, home)
    for title in ("Duplicates", "Quality", "Splits", "Map", "Preprocessing", "Training", "Evaluation", "Shortcuts"):
        go_through(page, title)
        is_clean(page, asked, home)


def test_folders_and_files_of_such_names_do_nothing_on_any_page(shared_app, watched):
    (address, home), (page, asked) = shared_app, watched
    names = [sign.replace("/", "_") for sign in SIGNS]
    files = {f"{names[i // 8 * 2]}/{i} {names[i % 6]}.png": image for i, image in enumerate(images())}
    open_page(page, f"{address}/dataset?source=zip")
    payload = {"name": f"{names[2]}.zip", "mimeType": "application/zip", "buffer": zip_of(files)}
    page.set_input_files('[data-testid=stSidebar] input[type="file"]', payload)
    is_clean_on_all_pages(page, asked, home)


def test_a_label_table_of_such_names_does_nothing_on_any_page(shared_app, watched, tmp_path):
    (address, home), (page, asked) = shared_app, watched
    (tmp_path / "images").mkdir()
    with (tmp_path / "index.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(["path", "label", "patient", "source"])
        for i, image in enumerate(images()):
            (tmp_path / "images" / f"{i}.png").write_bytes(image)
            writer.writerow([f"{i}.png", SIGNS[i // 4 % 3], f"{SIGNS[i % 6]} {i}", SIGNS[i % 2]])
    open_page(page, f"{address}/dataset?source=folder")
    open_folder(page, tmp_path)
    is_clean_on_all_pages(page, asked, home)


@pytest.mark.parametrize("number", range(len(SIGNS)))
def test_uploads_of_such_names_do_nothing(shared_app, watched, number):
    (address, home), (page, asked) = shared_app, watched
    sign = SIGNS[number]
    open_page(page, f"{address}/predict")
    inside = {f"{sign}.png": PNG, f"x/{sign}": PNG[:300], f"{sign}.txt": b"x", sign: PNG}
    refused = {f"../{sign}": PNG, "a.png": PNG}
    for files in (
        [(f"{sign}.png", PNG)],
        [(f"{sign}.png", PNG[:300])],
        [(f"{sign}.zip", zip_of(inside))],
        [(f"{sign}.zip", zip_of(refused))],
        [(f"{sign}.zip", zip_of(inside)[:200])],
        [(f"{sign}.zip", zip_of(inside)), (f"{sign}.png", PNG), (f"{sign}.zip", zip_of(refused))],
    ):
        payload = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
        page.set_input_files('input[type="file"]', payload)
        outcome = re.compile(r"^No answer|^Prediction|Choose another|images?: ")
        expect(page.locator("h2, [role=alert]").get_by_text(outcome).first).to_be_visible()
        rest(page)
        is_clean(page, asked, home)
        go_through(page, "Overview")
        go_through(page, "Predict")
        is_clean(page, asked, home)
        remove = page.get_by_role("button", name=re.compile("^Remove"))
        remove.first.click()
        # What the page says of the next file must not be what it said of this one.
        expect(remove).to_have_count(0)
        rest(page)


@pytest.mark.parametrize("path", PAGES)
def test_an_address_of_such_choices_does_nothing(shared_app, watched, path):
    (address, home), (page, asked) = shared_app, watched
    names = ("source", "classifier", "show", "run", "view", "split", "seed")
    choices = "&".join(f"{name}={quote(SIGNS[i % len(SIGNS)])}" for i, name in enumerate(names))
    # The first page of data reads all of it.
    page.set_default_timeout(180 * SECONDS)
    open_page(page, f"{address}/{path}?{choices}")
    is_clean(page, asked, home)


def test_the_browser_asks_no_other_host_for_an_image_that_a_page_might_hold(app, page):
    open_page(page, app[0])
    refused = page.evaluate(
        """() => new Promise(tell => {
            document.addEventListener("securitypolicyviolation", event => tell(event.effectiveDirective))
            document.body.append(Object.assign(new Image(), {src: "http://192.0.2.1/a.png"}))
            setTimeout(() => tell("asked"), 5000)
        })"""
    )
    assert refused == "img-src"
