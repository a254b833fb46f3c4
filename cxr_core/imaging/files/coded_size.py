"""How many pixels will a decoder take memory for? What the coded stream says, not the header around it.

An AVIF or JPEG 2000 file tells its size twice: in a box, which is shown before anything is decoded, and in the stream,
which the decoder follows.
"""

import re
import struct
import sys
from collections.abc import Iterator
from itertools import chain, islice, pairwise

# A JPEG 2000 stream: a marker, a length, two bytes, then width, height and their offsets.
_CODESTREAM_SIZE = re.compile(rb"(?s)\xff\x4f\xff\x51.{4}(.{16})")
# AVIF's boxes that hold boxes, and how many bytes stand before those.
_PARENTS = {
    b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8,
    b"av01": 78,
}  # fmt: skip
_DEPTH = 8
_LARGEST_TILE, _GRID_WITHIN = 1 << 20, 4096
_SEQUENCE_HEADER, _LONGEST_HEADER = 1, 1024
# An image has a few, and a sequence a few for each frame.
_MOST_UNITS = 100_000
_Box = tuple[bytes, int, int]


def takes_more_than(data: bytes, image_format: str, area: int) -> bool:
    """Return whether a coded stream in a file has more pixels than its header says, which are `area`."""
    # The tiles of a grid may stand over its edges.
    limit = max(area, _LARGEST_TILE) if image_format == "AVIF" and b"grid" in data[:_GRID_WITHIN] else area
    return largest_coded_area(data, image_format) > limit


def largest_coded_area(data: bytes, image_format: str) -> int:
    """Return the most pixels that any coded stream in a file says it has.

    Args:
        data: the whole file.
        image_format: "AVIF" or "JPEG2000"; of any other format nothing is known, which gives 0. A number
            beyond any limit where the stream has more parts than an image has.

    Source:
        AV1 Bitstream and Decoding Process Specification, 5.3 and 5.5; ISO/IEC 14496-12, 8.11.3 (`iloc`); ISO/IEC
        23008-12, 6.5.3 (`ispe`); ISO/IEC 15444-1, A.5.1 (size).
    """
    if image_format == "JPEG2000":
        sizes = (struct.unpack(">4I", found[1]) for found in _CODESTREAM_SIZE.finditer(data))
        return max(((right - left) * (bottom - top) for right, bottom, left, top in sizes), default=0)
    if image_format != "AVIF":
        return 0
    boxes = list(_boxes(data, 0, len(data)))
    inside = next((start for kind, start, _ in boxes if kind == b"idat"), 0)
    areas, streams = [0], []
    for kind, start, end in boxes:
        if kind == b"ispe":
            size = _Reader(data[start + 4 : start + 12])
            areas.append(size.take(32) * size.take(32))
        elif kind == b"av1C":
            streams.append((start + 4, end))
        elif kind == b"iloc":
            streams += _item_extents(data[start:end], inside, len(data))
        elif kind in (b"stco", b"co64"):
            streams += _chunks(data, start, 8 if kind == b"co64" else 4)
    units = chain.from_iterable(_units(data, start, min(end, len(data))) for start, end in streams)
    areas += [_sequence_area(_Reader(unit)) for kind, unit in islice(units, _MOST_UNITS) if kind == _SEQUENCE_HEADER]
    return max(areas) if next(units, None) is None else sys.maxsize


def _boxes(data: bytes, start: int, end: int, depth: int = 0) -> Iterator[_Box]:
    """Yield every box between two positions, and those within: its name, and where what it holds begins and ends."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = end if size == 0 else min(start + size, end)
        if stop < body:
            return
        yield kind, body, stop
        if kind in _PARENTS and depth < _DEPTH:
            yield from _boxes(data, body + _PARENTS[kind], stop, depth + 1)
        start = stop


def _item_extents(iloc: bytes, inside: int, n_bytes: int) -> list[tuple[int, int]]:
    """Return where the parts of all items lie, by an `iloc` box; `inside` is where the items of an `idat` box begin."""
    extents: list[tuple[int, int]] = []
    fields = _Reader(iloc)
    version = fields.take(32) >> 24
    offset_size, length_size, base_size, index_size = (8 * fields.take(4) for _ in range(4))
    number_size = 16 if version < 2 else 32
    for _ in range(min(fields.take(number_size), len(iloc))):
        fields.take(number_size)
        start = inside if version > 0 and fields.take(16) & 0xF == 1 else 0
        fields.take(16)
        start += fields.take(base_size)
        for _ in range(min(fields.take(16), len(iloc))):
            fields.take(index_size if version > 0 else 0)
            offset, length = start + fields.take(offset_size), fields.take(length_size)
            # Without a length the item is the rest of the file.
            extents.append((offset, offset + length if length else n_bytes))
        if len(extents) > len(iloc):
            break
    return extents


def _chunks(data: bytes, start: int, size: int) -> list[tuple[int, int]]:
    """Return where the frames of a sequence lie, by a table of numbers of `size` bytes; each ends where one begins."""
    count = int.from_bytes(data[start + 4 : start + 8], "big")
    table = data[start + 8 : start + 8 + count * size]
    starts = sorted({int.from_bytes(table[i : i + size], "big") for i in range(0, len(table), size)})
    return list(pairwise([*starts, len(data)]))


def _units(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield kind and beginning of each unit (OBU) of an AV1 stream, as far as it makes sense."""
    while start < end:
        header = data[start]
        if header & 0x81:  # bits that are zero in every unit
            return
        start += 2 if header & 4 else 1
        length, shift = end - start, 0
        if header & 2:
            length, more = 0, True
            while more and start < end and shift < 56:
                more = data[start] > 0x7F
                length |= (data[start] & 0x7F) << shift
                shift, start = shift + 7, start + 1
        yield header >> 3, data[start : min(start + length, end, start + _LONGEST_HEADER)]
        start += length


def _sequence_area(bits: "_Reader") -> int:
    """Return the pixels that an AV1 sequence header allows, by the fields of the specification, 5.5.1."""
    bits.take(4)
    if bits.take(1):  # a still image with a reduced header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)


def _skip_operating_points(bits: "_Reader") -> None:
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.skip_uvlc()
        if bits.take(1):  # decoder model
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.take(4)


class _Reader:
    """Takes numbers of so many bits from bytes; beyond their end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def take(self, n_bits: int) -> int:
        """Return the next `n_bits` as a number."""
        first, last = self._position // 8, (self._position + n_bits + 7) // 8
        self._position += n_bits
        part = self._data[first:last].ljust(last - first, b"\0")
        return int.from_bytes(part, "big") >> (8 * last - self._position) & ((1 << n_bits) - 1)

    def skip_uvlc(self) -> None:
        """Pass over a number of variable length."""
        zeros = 0
        while zeros < 32 and not self.take(1):
            zeros += 1
        self.take(zeros if zeros < 32 else 0)
