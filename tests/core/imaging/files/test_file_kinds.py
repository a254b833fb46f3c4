"""Which files lie beside images as a matter of course, and which are named with what helps?"""

import pytest

from cxr_core.imaging.files.file_kinds import HEAD_BYTES
from cxr_core.imaging.reader import left_out_reason

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


@pytest.mark.parametrize("text", [b"", b"path,label\na.png,normal\n", "Größe\n".encode("utf-16"), b"%comment\n"])
def test_text_goes_without_saying(tmp_path, text):
    (tmp_path / "notes").write_bytes(text.ljust(HEAD_BYTES) if text else text)
    assert left_out_reason(tmp_path / "notes") == ""
