"""Ordinary colour JPEG 2000 files are decoded with less memory, to the pixels that Pillow gives; others by Pillow."""

import io
import subprocess
import sys

import cv2
import numpy as np
import psutil
import pytest
from conftest import PROJECT, draw_texture
from image_files import saved
from PIL import Image

from cxr_core.imaging import reader
from cxr_core.imaging.files.plain_jpeg_2000 import is_plain_colour
from cxr_core.imaging.isolated_decoding import IsolatedDecoder
from cxr_core.imaging.reader import UnreadableImage, decode_image

COLOUR = Image.fromarray(np.stack([draw_texture(seed) for seed in range(3)], axis=-1))
SIDE = 2500
PLAIN = {
    "lossless": {},
    "lossy": {"irreversible": True, "quality_mode": "rates", "quality_layers": [20]},
    "tiles": {"tile_size": (128, 128)},
    "bare stream": {"no_jp2": True},
}
OTHERS = {
    "grey": COLOUR.convert("L"),
    "transparent": COLOUR.convert("RGBA"),
    "16 bits": Image.fromarray(draw_texture(0).astype(np.uint16) * 257),
}
# Read in a process of its own: how much memory a decoding took can only be told at its end.
PEAK = """
import sys
from cxr_core.imaging.reader import open_image
from cxr_core.system.memory import peak_memory
import imagecodecs
data, small = sys.stdin.buffer.read(), open(sys.argv[1], "rb").read()
open_image(small)
before = peak_memory()
open_image(data)
print(peak_memory() - before)
"""


@pytest.fixture(scope="module")
def large():
    """A file of more pixels than a worker decodes without asking for room."""
    return saved(COLOUR.resize((SIDE, SIDE)), "JPEG2000", quality_mode="rates", quality_layers=[60])


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_an_ordinary_file_has_the_pixels_that_pillow_gives(options):
    data = saved(COLOUR, "JPEG2000", **options)
    assert is_plain_colour(data)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode_image(data), cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR))


@pytest.mark.parametrize("image", OTHERS.values(), ids=OTHERS)
def test_a_file_of_other_components_is_left_to_pillow(image, monkeypatch):
    monkeypatch.setattr(reader, "decode_plain_colour", lambda _: pytest.fail("it is not for imagecodecs"))
    data = saved(image, "JPEG2000")
    assert not is_plain_colour(data)
    assert decode_image(data).shape[:2] == (image.height, image.width)


@pytest.mark.parametrize("box", [b"pclr", b"cdef"])
def test_a_file_whose_components_are_no_colours_in_order_is_left_to_pillow(box):
    data = saved(COLOUR, "JPEG2000")
    assert not is_plain_colour(data.replace(b"jp2c", box, 1))
    assert not is_plain_colour(data.replace(b"\0\0\0\x10\0", b"\0\0\0\x12\0", 1))  # luminance and differences of colour


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_a_file_that_was_cut_short_or_filled_is_refused_wherever_that_was(options):
    data = saved(COLOUR, "JPEG2000", **options)
    for length in (len(data) - 1, len(data) - 100, len(data) // 2, 300):
        for rest in (b"", bytes(len(data) - length)):
            if len(rest) != 1:
                with pytest.raises(UnreadableImage):
                    decode_image(data[:length] + rest)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
def test_decoding_takes_at_most_16_bytes_a_pixel(large, tmp_path):
    (tmp_path / "small.jp2").write_bytes(saved(COLOUR, "JPEG2000"))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "small.jp2")],
        input=large,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        check=True,
    )
    assert int(done.stdout) <= 16 * SIDE**2


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries give their memory back by rules of their own")
def test_an_idle_worker_keeps_no_memory_of_a_large_image(large):
    decoder = IsolatedDecoder(1, 60.0)
    with decoder.opened(saved(COLOUR, "JPEG2000")):
        pass
    (process_id,) = decoder.process_ids()
    before = psutil.Process(process_id).memory_info().rss
    with decoder.opened(large):
        pass
    # The worker answers once more when it has given back what it had.
    with decoder.opened(saved(COLOUR, "JPEG2000")):
        pass
    assert psutil.Process(process_id).memory_info().rss < before + 10_000_000
    decoder.close()
