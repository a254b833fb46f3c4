"""coded_size.py against Pillow's encoders, and files whose header says less than their stream."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import saved
from PIL import Image

from cxr_core.imaging import reader
from cxr_core.imaging.files.coded_size import largest_coded_area, takes_more_than
from cxr_core.imaging.reader import UnreadableImage, is_image_file, open_image


def frames(n, size):
    images = [Image.new("RGB", size, (k, k, k)) for k in range(n)]
    return saved(images[0], "AVIF", save_all=True, append_images=images[1:], speed=10)


def claiming(data, width, height):
    """An AVIF file whose boxes all say another size than its stream."""
    size = struct.pack(">2I", width, height)
    broken = bytearray(data)
    position = -1
    while (position := data.find(b"ispe", position + 1)) >= 0:
        broken[position + 8 : position + 16] = size
    if (position := data.find(b"tkhd")) >= 0:
        end = position - 4 + int.from_bytes(data[position - 4 : position], "big")
        broken[end - 8 : end] = struct.pack(">2I", width << 16, height << 16)
    return bytes(broken)


@given(
    st.integers(1, 400), st.integers(1, 400), st.sampled_from(["L", "RGB", "RGBA"]),
    st.sampled_from(["4:2:0", "4:4:4", "4:0:0"]),
)  # fmt: skip
@settings(max_examples=25)
def test_the_area_of_an_avif_is_that_of_its_header(width, height, mode, subsampling):
    data = saved(Image.new(mode, (width, height)), "AVIF", subsampling=subsampling, speed=10)
    assert largest_coded_area(data, "AVIF") == width * height
    assert open_image(data).pixels.shape[:2] == (height, width)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_sequence_of_frames_is_followed_and_read(n):
    data = frames(n, (70, 50))
    assert largest_coded_area(data, "AVIF") == 70 * 50
    assert open_image(data).pixels.shape[:2] == (50, 70)


@pytest.mark.parametrize("count", [1, 2])
def test_an_avif_that_claims_to_be_small_is_refused_before_it_is_decoded(monkeypatch, count):
    monkeypatch.setattr(reader, "is_whole", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(UnreadableImage, match="The AVIF stream in this file is larger than its header says"):
        open_image(claiming(frames(count, (3000, 2000)), 64, 64))


def test_a_jpeg_2000_that_claims_to_be_small_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(reader, "is_whole", lambda *_: pytest.fail("it was decoded"))
    data = saved(Image.new("L", (900, 800)), "JPEG2000")
    position = data.index(b"ihdr") + 4
    with pytest.raises(UnreadableImage, match="stream in this file is larger"):
        open_image(data[:position] + struct.pack(">2I", 8, 8) + data[position + 8 :])


def test_a_grid_may_have_tiles_that_stand_over_its_edge():
    data = saved(Image.new("L", (512, 512)), "AVIF")
    assert takes_more_than(data, "AVIF", 400 * 400)
    assert not takes_more_than(data.replace(b"pict", b"grid"), "AVIF", 400 * 400)


@given(st.data())
@settings(max_examples=150)
def test_broken_boxes_and_units_give_a_number(data):
    whole = bytearray(saved(Image.new("L", (40, 30)), "AVIF"))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.sampled_from([0, 1, 4, 127, 128, 255]))
    assert largest_coded_area(bytes(whole[: data.draw(st.integers(0, len(whole)))]), "AVIF") >= 0


def test_an_avif_that_names_its_kind_second_is_an_image(tmp_path):
    data = saved(Image.new("L", (40, 30)), "AVIF")
    start = data.index(b"ftyp") + 4
    (tmp_path / "scan").write_bytes(data[:start] + b"mif1" + data[start + 4 :])
    assert is_image_file(tmp_path / "scan")
    assert open_image((tmp_path / "scan").read_bytes()).pixels.shape == (30, 40)
