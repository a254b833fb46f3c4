"""Has this file so many parts that reading it would take minutes, whatever its pixels are?

A file of 40 MB has room for millions of empty parts, which keep busy whatever reads them one by one. Real radiographs
stay far below these limits.
"""

import io
import re
import struct
from collections.abc import Iterator
from itertools import islice

# A progressive JPEG of a scanner or a browser has about ten scans; each is a pass over all pixels.
MAX_SCANS = 40
# libpng writes chunks of 8 kB, so that 40 MB have 5,000.
MAX_CHUNKS = 20_000
MAX_MARKERS = 20_000
# A DICOM element takes two or three reads; a radiograph has a few hundred elements.
MAX_READS = 200_000
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
# Markers without a length and a body: TEM, RST, SOI.
_BARE = {0x01, *range(0xD0, 0xD9)}


class TooManyParts(ValueError):
    """A file of too many parts; the message is one sentence for the user."""


class CountedReads(io.BytesIO):
    """The bytes of a file, which can be read in at most `MAX_READS` pieces."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BytesIO.read` does.

        Raises:
            TooManyParts: it was read too often.
        """
        self._reads += 1
        if self._reads > MAX_READS:
            raise TooManyParts("The DICOM file has far more elements than a radiograph needs.")
        return super().read(size)


def check_parts(data: bytes) -> None:
    """Raise TooManyParts if a JPEG or PNG has more scans, markers or chunks than are read."""
    if data.startswith(_PNG):
        if _chunks(data) > MAX_CHUNKS:
            raise TooManyParts(f"The PNG file has more than {MAX_CHUNKS:,} chunks; save the image again.")
    elif data.startswith(_JPEG):
        # What follows the first scan takes long only where there are many of them.
        may_have_many = data.count(bytes((0xFF, _START_OF_SCAN))) > MAX_SCANS
        scans = 0
        for number, code in enumerate(_markers(data), start=1):
            scans += code == _START_OF_SCAN
            if scans > MAX_SCANS:
                raise TooManyParts(f"The JPEG file has more than {MAX_SCANS} scans; save the image again.")
            if number > MAX_MARKERS:
                raise TooManyParts(f"The JPEG file has more than {MAX_MARKERS:,} markers; save the image again.")
            if scans and not may_have_many:
                return


def jpeg_reaches_its_end(data: bytes) -> bool:
    """Follow a JPEG's markers from its start to the end of its first image, as far as `MAX_MARKERS` of them lead."""
    return any(code == _END_OF_IMAGE for code in islice(_markers(data), MAX_MARKERS))


def _chunks(data: bytes) -> int:
    """Count the chunks of a PNG, up to one more than are read."""
    position, count = len(_PNG), 0
    while position + 8 <= len(data) and count <= MAX_CHUNKS:
        position += 12 + struct.unpack_from(">I", data, position)[0]
        count += 1
    return count


def _markers(data: bytes) -> Iterator[int]:
    """Yield a JPEG's markers up to the end of its first image or a fault; 255 stands for a byte that fills room."""
    position, size = len(_JPEG), len(data)
    while position + 2 <= size and data[position] == 0xFF:
        code = data[position + 1]
        yield code
        if code == 0xFF:  # fill bytes may stand before a marker
            position += 1
            continue
        if code == _END_OF_IMAGE or code in _BARE or position + 4 > size:
            return
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if code == _START_OF_SCAN:
            found = _MARKER.search(data, position)
            if found is None:
                return
            position = found.start()
