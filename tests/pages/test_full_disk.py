"""A disk that is full, read-only or broken is one sentence on a page, and names no file in the log."""

import errno
import io
import shutil
import zipfile
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from conftest import draw_texture
from PIL import Image
from streamlit.testing.v1 import AppTest

from cxr_core.config import PROJECT_DIR
from cxr_core.system import visit_folders

NAME = "Zyxwv_Jane.png"


def open_through_the_edge(page, **session):
    """Open a page as `streamlit_app.py` does, whose `navigate` an AppTest passes over for a single page."""
    script = f"""
import runpy
from ui.common.navigation import tell_of_disk
with tell_of_disk():
    runpy.run_path({str(PROJECT_DIR / "pages" / page)!r})
"""
    app = AppTest.from_string(script, default_timeout=60)
    for key, value in {"navigated": True, **session}.items():
        app.session_state[key] = value
    return app.run()


@pytest.fixture
def unread(few, tmp_path):
    """What chooses a folder that was never opened: the page writes what it finds there.

    The images are known by their contents, which other tests may have opened: these are upside down.
    """
    folder = str(shutil.copytree(few, tmp_path / "set"))
    for path in Path(folder).rglob("*.*"):
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)
    return {"source_choice": "folder", "source_kept": "folder", "folders_choice": folder, "folders_kept": folder}


def refuse_files(monkeypatch, folder, number):
    """Let every new file fail, but those of an archive."""

    def refuse(length):
        raise OSError(number, "Sorry", f"{folder}/{NAME}")

    monkeypatch.setattr("ui.common.dataset_picker.DATA_DIR", folder)
    # What names each temporary file; modules that are imported meanwhile keep nothing of it.
    monkeypatch.setattr("cxr_core.system.files.secrets", SimpleNamespace(token_hex=refuse))


def assert_one_sentence(app, beginning, log):
    assert not app.exception
    assert len(app.error) == 1
    assert app.error[0].value.startswith(beginning)
    assert NAME not in app.error[0].value
    assert NAME not in log


@pytest.mark.parametrize(
    ("number", "beginning"),
    [(errno.ENOSPC, "The disk is full"), (errno.EROFS, "The folder that this program writes to")],
)
def test_a_page_that_cannot_write_says_so_in_one_sentence(
    number, beginning, monkeypatch, capfd, caplog, tmp_path, unread
):
    refuse_files(monkeypatch, tmp_path, number)
    assert_one_sentence(
        open_through_the_edge("dataset.py", **unread), beginning, caplog.text + "".join(capfd.readouterr())
    )


def test_a_decision_in_a_gallery_that_cannot_be_written_is_one_sentence(monkeypatch, capfd, caplog, tmp_path):
    for name, seed in (("covid", 1), ("normal", 0), ("normal_copy", 0)):
        path = tmp_path / name.partition("_")[0] / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), draw_texture(seed))
    app = open_through_the_edge("duplicates.py", source_kept="folder", folders_kept=str(tmp_path))
    refuse_files(monkeypatch, tmp_path, errno.ENOSPC)
    next(button for button in app.button if button.label == "Exclude").click().run()
    assert_one_sentence(app, "The disk is full", caplog.text + "".join(capfd.readouterr()))


def test_every_fragment_and_dialog_tells_of_the_disk_itself():
    parts = [
        (path.name, line.strip(), following.strip())
        for folder in ("ui", "pages")
        for path in (PROJECT_DIR / folder).rglob("*.py")
        for line, following in pairwise(path.read_text(encoding="utf-8").splitlines())
        if line.strip().startswith(("@st.fragment", "@st.dialog"))
    ]
    assert len(parts) >= 7
    assert [part for part in parts if part[2] != "@tell_of_disk()"] == []


def test_nothing_is_left_of_an_archive_that_a_full_disk_has_no_room_for(monkeypatch, capfd, caplog, tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"normal/{NAME}", b"\x89PNG\r\n\x1a\n" + bytes(1_000))

    def refuse(archive, info):
        yield b"\x89PNG"
        raise OSError(errno.ENOSPC, "No space left on device", NAME)

    visits = tmp_path / "visits"
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    monkeypatch.setattr(visit_folders.VisitFolder.__init__, "__defaults__", (visits,))
    monkeypatch.setattr("cxr_core.imaging.zip_archive._blocks", refuse)
    app = open_through_the_edge("dataset.py", source_choice="zip", source_kept="zip")
    app.file_uploader[0].set_value(("set.zip", stream.getvalue(), "application/zip")).run()
    assert_one_sentence(app, "The disk is full", caplog.text + "".join(capfd.readouterr()))
    assert list(visits.iterdir()) == []


def test_an_error_of_another_kind_is_not_hidden(monkeypatch, tmp_path, unread):
    refuse_files(monkeypatch, tmp_path, errno.ENOEXEC)
    assert open_through_the_edge("dataset.py", **unread).exception
