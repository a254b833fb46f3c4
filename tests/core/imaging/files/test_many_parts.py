"""A file of too many parts is refused before anything reads them one by one."""

import io
import struct
import zlib
from itertools import pairwise

import imagecodecs
import numpy as np
import pytest
from image_files import dicom, png_chunk, saved
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from cxr_core.imaging.files.many_parts import MAX_CHUNKS, MAX_MARKERS, MAX_READS, MAX_SCANS
from cxr_core.imaging.reader import UnreadableImage, open_image

GREY = np.random.default_rng(0).integers(0, 256, (64, 48), np.uint8)
SCAN, COMMENT, END = b"\xff\xda", b"\xff\xfe\x00\x02", b"\xff\xd9"
ELEMENT = b"\x08\x00\x18\x00UI\x00\x00"
ITEM, SEQUENCE = b"\xfe\xff\x00\xe0\x00\x00\x00\x00", b"\x08\x00\x40\x11SQ\x00\x00"


def jpeg(**options):
    return saved(Image.fromarray(GREY), "JPEG", **options)


def with_scans(n):
    """A progressive JPEG whose last scan is there as often as it takes to have `n`."""
    data = jpeg(progressive=True)
    last = data.rindex(SCAN)
    return data[:last] + data[last:-2] * (n - data.count(SCAN) + 1) + END


def with_chunks(n, kind=b"tEXt"):
    """A PNG of `n` chunks, most of them empty."""
    data = saved(Image.fromarray(GREY), "PNG")
    starts = [8]
    while starts[-1] < len(data):
        starts.append(starts[-1] + 12 + struct.unpack_from(">I", data, starts[-1])[0])
    head, *others = [data[a:b] for a, b in pairwise(starts)]
    return data[:8] + head + png_chunk(kind, b"a\x00") * (n - 1 - len(others)) + b"".join(others)


def with_header(body):
    """A DICOM file with more elements before its first one."""
    data = dicom(GREY)
    first = data.index(b"\x08\x00\x16\x00UI")
    return data[:first] + body + data[first:]


def frames(kind, n):
    stream = io.BytesIO()
    first, *others = [Image.new("L", (8, 8), 80 * i) for i in range(n)]
    first.save(stream, kind, save_all=True, append_images=others)
    return stream.getvalue()


@pytest.mark.parametrize("data", [with_scans(MAX_SCANS), with_chunks(MAX_CHUNKS)], ids=("scans", "chunks"))
def test_a_file_of_as_many_parts_as_are_read_is_read(data):
    assert open_image(data).pixels.shape == GREY.shape


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (with_scans(MAX_SCANS + 1), f"more than {MAX_SCANS} scans"),
        (with_chunks(MAX_CHUNKS + 1), f"more than {MAX_CHUNKS:,} chunks"),
        (b"\xff\xd8" + COMMENT * MAX_MARKERS + jpeg()[2:], f"more than {MAX_MARKERS:,} markers"),
        (b"\xff\xd8" + b"\xff" * MAX_MARKERS + jpeg()[2:], f"more than {MAX_MARKERS:,} markers"),
    ],
    ids=("scans", "chunks", "comments", "fill"),
)
def test_a_file_of_more_parts_is_refused_in_a_sentence(data, sentence):
    with pytest.raises(UnreadableImage, match=sentence):
        open_image(data)


def test_what_follows_a_jpegs_end_is_not_counted():
    assert open_image(jpeg() + (SCAN + COMMENT) * MAX_MARKERS).pixels.shape == GREY.shape


@pytest.mark.parametrize(
    "body",
    [
        ELEMENT * MAX_READS,
        SEQUENCE + b"\xff\xff\xff\xff" + ITEM * MAX_READS + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00",
    ],
    ids=("elements", "items of a sequence"),
)
def test_a_dicom_header_of_far_more_elements_is_refused_in_a_sentence(body):
    with pytest.raises(UnreadableImage, match="far more elements than a radiograph needs"):
        open_image(with_header(body))


def test_a_deflated_header_is_counted_like_any_other():
    data = dicom(GREY, syntax=DeflatedExplicitVRLittleEndian)
    assert (open_image(data).pixels == open_image(dicom(GREY)).pixels).all()
    # The length of the meta information stands behind the preamble, the mark and the element's own head.
    head = data[: 144 + struct.unpack_from("<I", data, 140)[0]]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    body = packer.compress(ELEMENT * MAX_READS) + packer.flush()
    with pytest.raises(UnreadableImage, match="far more elements than a radiograph needs"):
        open_image(head + body)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG"])
def test_several_images_are_noted_and_not_counted(kind):
    assert open_image(frames(kind, 3)).notes == ("The file holds more than one image; this is the first.",)
    assert open_image(frames(kind, 1)).notes == ()


def test_a_jpeg_2000_stream_larger_than_its_box_says_is_refused_before_it_is_decoded():
    frame = imagecodecs.jpeg2k_encode(np.zeros((640, 480), np.uint8), codecformat="jp2")
    size = frame.index(b"ihdr") + 4
    lying = frame[:size] + struct.pack(">II", *GREY.shape) + frame[size + 8 :]
    data = dicom(GREY, syntax=JPEG2000Lossless, PixelData=encapsulate([lying]))
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        open_image(data)
