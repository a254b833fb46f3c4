"""Which files lie beside images as a matter of course, and which are named with what helps?"""

import pytest

from cxr_core.imaging.files.file_kinds import HEAD_BYTES
from cxr_core.imaging.reader import UnreadableImage, left_out_reason, read_header

LONG_TEXT = b"/Producer (a scanner) /Title (films of a week) " * 20


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"%PDF-1.4\n" + LONG_TEXT, "a PDF document"),
        (b"%!PS-Adobe-3.0\n" + LONG_TEXT, "This kind of image is not read"),
        (b"ObjectType = Image\nNDims = 3\n", "a volume of slices"),
    ],
)
def test_a_document_that_begins_with_text_alone_is_named_with_what_helps(tmp_path, head, what):
    for name in ("film.pdf", "scan", "notes.txt"):
        (tmp_path / name).write_bytes(head)
        assert what in left_out_reason(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html><body>404", "a web page or an answer of a server"),
        (b"\xef\xbb\xbf\n<HTML>", "a web page or an answer of a server"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page or an answer of a server"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s123--abc.png\n", "git annex get"),
        (b"../../.git/annex/objects/aa/bb/SHA256E-s123--abc.png", "git annex get"),
    ],
)
def test_what_was_never_loaded_is_named_where_an_image_should_be_and_text_elsewhere(tmp_path, content, what):
    with pytest.raises(UnreadableImage, match=what):
        read_header(content)
    (tmp_path / "notes.html").write_bytes(content)
    assert left_out_reason(tmp_path / "notes.html") == ""


@pytest.mark.parametrize(
    "content", [b"<?xml version='1.0'?>\n<svg xmlns=''/>", b"<!DOCTYPE svg><svg/>", b"<?xml?><annotation>"]
)
def test_a_drawing_or_an_annotation_is_no_web_page(content):
    with pytest.raises(UnreadableImage, match="This is not a JPEG, PNG"):
        read_header(content)


@pytest.mark.parametrize("text", [b"", b"path,label\na.png,normal\n", "Größe\n".encode("utf-16"), b"%comment\n"])
def test_text_goes_without_saying(tmp_path, text):
    (tmp_path / "notes").write_bytes(text.ljust(HEAD_BYTES) if text else text)
    assert left_out_reason(tmp_path / "notes") == ""
