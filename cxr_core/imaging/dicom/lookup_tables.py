"""What is in a lookup table of a DICOM file, and which entry belongs to which value?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from cxr_core.system.arrays import FloatArray, IntArray

_MOST_ENTRIES = 1 << 16


@dataclass(frozen=True)
class LookupTable:
    """A modality or VOI LUT.

    Attributes:
        entries: int64 (N,).
        firsts: the values that the first entry may stand for, the likeliest first: one, or the two readings of 16 bits
            with and without a sign.
    """

    entries: IntArray
    firsts: tuple[int, ...]

    def apply(self, values: FloatArray | IntArray, used: FloatArray | IntArray) -> IntArray:
        """Look values up, each rounded to a whole number; beyond its ends the table goes on with its last entries.

        Args:
            values: of any shape.
            used: those of them that occur in the image. Where the likelier reading of the first value leaves all of
                these beside the table, and the other does not, the other is meant: many writers take the wrong sign.

        Returns:
            int64 of the shape of `values`.

        Source:
            DICOM PS3.3 C.11.1.1.1 and C.11.2.1.1.
        """
        occurring = np.round(used.astype(np.float64))
        reached = [
            first for first in self.firsts if ((occurring >= first) & (occurring < first + len(self.entries))).any()
        ]
        first = (reached or self.firsts)[0]
        # A rescale gives floats such as 100 × 0.29 = 28.999999999999996.
        positions = np.round(values.astype(np.float64)) - first
        return self.entries[np.clip(positions, 0, len(self.entries) - 1).astype(np.int64)]


def read_lookup_table(item: Dataset, *, signed: bool) -> LookupTable | None:
    """Read an item of a modality or VOI LUT sequence.

    Args:
        item: with LUT Descriptor and LUT Data, of any of the value representations in which they are written.
        signed: whether the values that enter the table can be below zero; decides where the file does not.

    Returns:
        None where the table is missing, empty or broken.

    Source:
        DICOM PS3.3 C.11.1.1.1. Entries of eight bits are packed two to a word, or lie in a word each: the length tells.
    """
    descriptor, data = _words(item, "LUTDescriptor"), _words(item, "LUTData")
    if len(descriptor) != 3 or not len(data):
        return None
    n_entries, first, bits = (int(value) for value in descriptor)
    n_entries = n_entries or _MOST_ENTRIES
    if bits <= 8 and len(data) < n_entries and 2 * len(data) >= n_entries:
        # The first of two entries is in the less significant byte.
        data = data.astype("<u2").view(np.uint8)
    entries = data[:n_entries].astype(np.int64)
    other = first - 65536 if first >= 32768 else first
    is_signed = _told_sign(item, default=signed)
    firsts = (other, first) if is_signed else (first, other)
    return LookupTable(entries, tuple(dict.fromkeys(firsts)))


def _told_sign(item: Dataset, *, default: bool) -> bool:
    """Return whether the descriptor is written as signed numbers; `default` where it does not say."""
    element = item.get_item("LUTDescriptor")
    # pydicom turns an implicit representation into US or SS itself, by the sign of the pixels.
    if isinstance(element, RawDataElement) and element.VR in ("US", "SS"):
        return element.VR == "SS"
    return default


def _words(item: Dataset, keyword: str) -> npt.NDArray[np.uint16]:
    """Return the 16-bit words of an element, without sign; none where it is missing."""
    element = item.get_item(keyword)
    if element is None or element.value is None:
        return np.empty(0, np.uint16)
    if isinstance(element, RawDataElement):
        value, little = element.value or b"", element.is_little_endian
        return np.frombuffer(value[: len(value) // 2 * 2], "<u2" if little else ">u2").astype(np.uint16)
    values = element.value if element.VM > 1 else [element.value]
    return (np.array(list(values), np.int64) & 0xFFFF).astype(np.uint16)
