"""How many files one visit may upload within a minute."""

import pytest
from streamlit.testing.v1 import AppTest

from cxr_core.config import PROJECT_DIR
from ui.predict import upload_pace
from ui.predict.upload_pace import UploadPace

NAMES = [str(number) for number in range(10)]


@pytest.fixture(autouse=True)
def three_files(monkeypatch):
    monkeypatch.setattr(upload_pace, "FILES_PER_MINUTE", 3)


def test_the_next_file_waits_until_the_first_of_a_full_minute_is_a_minute_old():
    pace = UploadPace()
    assert [pace.seconds_to_wait(NAMES[: n + 1], now) for n, now in enumerate((0, 10, 20))] == [0, 0, 0]
    assert pace.seconds_to_wait(NAMES[:4], 30) == 30
    assert pace.seconds_to_wait(NAMES[:4], 60) == 0
    assert pace.seconds_to_wait(NAMES[:5], 61) == 9


def test_many_files_at_once_are_taken_and_the_next_one_waits():
    pace = UploadPace()
    assert pace.seconds_to_wait(NAMES[:9], 0) == 0
    assert pace.seconds_to_wait(NAMES, 1) == 59


def test_files_that_were_taken_before_never_wait():
    pace = UploadPace()
    assert pace.seconds_to_wait(NAMES[:3], 0) == 0
    assert pace.seconds_to_wait(NAMES[1:3], 1) == 0


def test_removing_files_does_not_make_room_for_others():
    pace = UploadPace()
    pace.seconds_to_wait(NAMES[:3], 0)
    pace.seconds_to_wait([], 1)
    assert pace.seconds_to_wait(NAMES[3:4], 2) == 58


@pytest.mark.parametrize(("shared", "waits"), [("1", True), ("0", False)])
def test_a_visitor_who_uploads_too_fast_is_told_when_to_go_on_and_the_owner_alone_is_not(shared, waits, monkeypatch):
    monkeypatch.setenv("CXR_LAB_SHARED", shared)
    app = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=120).run()
    app.switch_page("pages/predict.py").run()
    files = [(f"{name}.png", b"no image", "image/png") for name in NAMES]
    app.file_uploader[0].set_value(files[:3]).run()
    app.file_uploader[0].set_value(files[:4]).run()
    assert not app.exception
    assert any("files within a minute" in info.value for info in app.info) == waits
