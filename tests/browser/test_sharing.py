"""A shared installation in a real Chromium: sign-in with a local provider, and what its log says of uploads."""

import asyncio
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor

import cv2
import httpx2
import numpy as np
import oidc_provider_mock
import pytest
from image_files import dicom, zip_of
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from benchmarks.streamlit_client import visit
from browser.conftest import (
    SECONDS,
    free_port,
    needs_chromium,
    open_from_sidebar,
    open_page,
    rest,
    running_app,
    wait_until,
)
from cxr_core.data.phantoms import draw_phantom

# The provider's own use of Authlib is deprecated there.
pytestmark = [needs_chromium, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
OWNER, VISITOR, STRANGER = "owner@lab.example", "student@uni.example", "eve@elsewhere.example"
SECRETS = """
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a secret of this test that is long enough"
client_id = "cxr-lab"
client_secret = "known to the provider"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[access]
visitors = ["@uni.example"]
owners = ["{owner}"]
"""


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory):
    """The running app behind a sign-in: (address, home folder)."""
    home, port = tmp_path_factory.mktemp("shared"), free_port()
    with oidc_provider_mock.run_server_in_thread() as server:
        provider = f"http://localhost:{server.server_port}"
        for email in (OWNER, VISITOR, STRANGER):
            httpx2.put(f"{provider}/users/{email}", json={"email": email, "email_verified": True}).raise_for_status()
        secrets = home / "secrets.toml"
        secrets.write_text(SECRETS.format(port=port, provider=provider, owner=OWNER))
        with running_app(home, port, "--secrets.files", str(secrets)) as address:
            yield address, home


async def answer_to_upload(address, megabytes):
    """The status that a file of a visit gets which has not signed in."""
    async with visit(address, "predict") as visitor:
        _, answer = await visitor.send("scan.png", bytes(megabytes * 1_000_000))
        return answer.status_code


def test_without_a_sign_in_no_file_is_taken(shared_app):
    assert asyncio.run(answer_to_upload(shared_app[0], 1)) == 403


def test_where_nobody_signs_in_a_file_is_taken_from_anybody(tmp_path):
    with running_app(tmp_path, free_port(), CXR_LAB_SHARED="1") as address:
        assert asyncio.run(answer_to_upload(address, 1)) == 204


def shown(text):
    """A text as a page shows it: a mark of no width keeps an address from becoming a link."""
    return text.replace("@", "\N{WORD JOINER}@")


def sign_in(page, address, email):
    open_page(page, address)
    page.get_by_role("button", name="Sign in").click()
    page.locator("input[name=sub]").fill(email)
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.wait_for_url(f"{address}/**")
    rest(page)


@pytest.mark.parametrize("path", ["", "predict", "dataset"])
def test_without_a_sign_in_no_page_shows_anything(shared_app, page, path):
    open_page(page, f"{shared_app[0]}/{path}")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(0)
    expect(page.get_by_test_id("stFileUploader")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_who_is_not_on_the_list_is_told_so(shared_app, page):
    sign_in(page, shared_app[0], STRANGER)
    expect(page.get_by_text(shown(f"{STRANGER} is not on the list"))).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(0)


def test_who_is_on_the_list_comes_in_and_an_owner_is_known_as_one(shared_app, page):
    sign_in(page, shared_app[0], VISITOR)
    expect(page.get_by_text(shown(f"Signed in as {VISITOR}"), exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    sign_in(page, shared_app[0], OWNER)
    expect(page.get_by_text(shown(f"Signed in as {OWNER} (owner)"))).to_be_visible()


def test_an_upload_leaves_neither_its_name_nor_its_patient_in_the_log_or_on_the_disk(shared_app, page, tmp_path):
    address, home = shared_app
    name, whole = "Zyxwv^Jane", draw_phantom("normal", np.random.default_rng(0))
    files = {
        "Zyxwv_whole.dcm": dicom(whole, PatientName=name, Modality="CT"),
        "Zyxwv_broken.dcm": dicom(whole, PatientName=name, PatientBirthDate="Zyxwv", BitsStored=99),
        "Zyxwv\u202e<img src=x onerror=alert(1)>.png": b"Zyxwv",
    }
    sign_in(page, address, VISITOR)
    page.on("dialog", lambda dialog: pytest.fail("a file name was run as a script"))
    open_from_sidebar(page, "Predict")
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
        page.set_input_files('input[type="file"]', tmp_path / file)
        expect(page.get_by_text(re.compile("No answer|Choose another file")).first).to_be_visible()
        rest(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.get_by_text("Another scan", exact=True).click()
        page.get_by_role("button", name=re.compile("^Remove")).click()
        expect(page.get_by_text("The answer appears here.")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert home / "streamlit.log" in kept
    assert [path for path in kept if b"Zyxwv" in path.read_bytes() or "Zyxwv" in path.name] == []


def files_of_visits(home):
    return [path for path in (home / "visits").rglob("*") if path.is_file()]


def drawn_data_set():
    return {
        f"{name}/Jane Doe {i}.png": cv2.imencode(".png", draw_phantom(name, np.random.default_rng(i)))[1].tobytes()
        for name in ("normal", "covid")
        for i in range(3)
    }


def test_of_an_uploaded_data_set_nothing_is_left_once_its_visit_has_ended(tmp_path, browser):
    images = drawn_data_set()
    with running_app(tmp_path, free_port(), CXR_LAB_SHARED="1") as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60 * SECONDS)
        open_page(page, f"{address}/duplicates")
        page.get_by_test_id("stSidebar").get_by_role("combobox").first.click()
        page.get_by_role("option", name="A ZIP file of yours").click()
        payload = {"name": "mine.zip", "mimeType": "application/zip", "buffer": zip_of(images)}
        page.set_input_files('[data-testid=stSidebar] input[type="file"]', payload)
        expect(page.get_by_text("No two images show the same radiograph.")).to_be_visible(timeout=60 * SECONDS)
        open_from_sidebar(page, "Quality")
        expect(page.get_by_text("Images in total")).to_be_visible(timeout=60 * SECONDS)
        kept = {path.suffix for path in files_of_visits(tmp_path)}
        assert {".png", ".parquet", ".npy"} <= kept
        page.close()
        wait_until(lambda: not files_of_visits(tmp_path), "the visit's files are gone")
    digests = [hashlib.sha256(data).hexdigest().encode() for data in images.values()]
    left = b"".join(path.read_bytes() + bytes(path) for path in tmp_path.rglob("*") if path.is_file())
    assert b"Jane Doe" not in left
    assert not any(digest in left for digest in digests)


async def data_sets_left(address, home):
    """How many images of a visit are on the disk before and after another one tells Streamlit to empty its caches."""
    async with visit(address, "dataset") as owner, visit(address, "predict") as stranger:
        await owner.choose("Data set", "A ZIP file of yours")
        await owner.upload("mine.zip", zip_of(drawn_data_set()))
        before = len(files_of_visits(home))
        await stranger.tell(BackMsg(clear_cache=True))
        await stranger.rerun()
        return before, len(files_of_visits(home))


def test_no_visitor_can_remove_what_another_has_uploaded(tmp_path):
    # In a thread: the browser of the other tests has a loop of its own in this one.
    with running_app(tmp_path, free_port(), CXR_LAB_SHARED="1") as address, ThreadPoolExecutor(1) as thread:
        before, after = thread.submit(asyncio.run, data_sets_left(address, tmp_path)).result()
    assert before == after > 0
