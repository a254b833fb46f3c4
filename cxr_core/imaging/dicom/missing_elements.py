"""Which elements does a DICOM header lack whose value can only be one?"""

import math
import re

from pydicom.datadict import dictionary_description, dictionary_VR
from pydicom.dataset import FileDataset

from cxr_core.imaging.dicom.header import UnreadableDicom, numbers_of, text_of

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_CELL_BITS = (8, 16, 32)


def complete_header(dataset: FileDataset) -> tuple[str, ...]:
    """Fill in what old or anonymised files lack, and what contradicts the rest of the header.

    One sample per pixel of a grey image, MONOCHROME2 (also for "MONOCHROME", and for a word of no meaning), unsigned
    pixels, bits that agree with each other, and colours by pixel; what a file can mean in two ways is not guessed.
    Numbers that were written as text become numbers.

    Args:
        dataset: with the elements of the image pixel module; completed in place.

    Returns:
        Notes for the user, naming elements and never values of the header: one sentence, or none.

    Raises:
        UnreadableDicom: an element is missing whose value could be any; it is named.

    Source:
        DICOM PS3.3 C.7.6.3 (image pixel module), PS3.5 8.1.1 (bits).
    """
    if "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = n_frames(dataset)
    before = {keyword: _known(dataset, keyword) for keyword in _TAKEN}
    for keyword, taken in _TAKEN.items():
        value = taken(dataset)
        if value is not None:
            # Not by the name alone, which would keep a false value representation.
            dataset.add_new(keyword, dictionary_VR(keyword), value)
    changed = [
        dictionary_description(keyword) for keyword in _TAKEN if _known(dataset, keyword) not in (before[keyword], None)
    ]
    if not changed:
        return ()
    return (f"The DICOM header lacks a valid value of {', '.join(changed)}; the only possible one is taken.",)


def n_frames(dataset: FileDataset) -> int:
    """Return the number of frames; 1 where the header tells none, or what can be none."""
    return max(1, _integer(dataset, "NumberOfFrames") or 1)


def _known(dataset: FileDataset, keyword: str) -> int | str | None:
    """Return an element's value, None where it is missing, empty or no number."""
    if keyword == "PhotometricInterpretation":
        return text_of(dataset, keyword) or None
    return _integer(dataset, keyword)


def _integer(dataset: FileDataset, keyword: str) -> int | None:
    numbers = numbers_of(dataset, keyword)
    return int(numbers[0]) if numbers and math.isfinite(numbers[0]) else None


def _samples(dataset: FileDataset) -> int:
    known, photometric = _integer(dataset, "SamplesPerPixel"), text_of(dataset, "PhotometricInterpretation")
    if known:
        other = 1 if photometric in _GREY else 3 if photometric.startswith(("RGB", "YBR")) else known
        bits = _integer(dataset, "BitsAllocated")
        # Two that agree, the colours and the length of the pixel data, outvote the third.
        return other if bits and _stored_bits(dataset, other) == bits != _stored_bits(dataset, known) else known
    if not photometric:
        # What fills the pixel data with one sample cannot be three.
        return 3 if _stored_bits(dataset, 3) == 8 else 1
    return 1 if photometric.startswith("MONOCHROME") or photometric in _GREY else 3


def _photometric(dataset: FileDataset) -> str:
    known = text_of(dataset, "PhotometricInterpretation")
    if _samples(dataset) == 1:
        spelt = {re.sub(r"\W", "", name): name for name in _GREY}
        return spelt.get(re.sub(r"[\W_]", "", known), "MONOCHROME2")
    if known and known != "MONOCHROME":
        return known
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        raise _lacking("PhotometricInterpretation")
    return "RGB"


def _bits_allocated(dataset: FileDataset) -> int:
    known = _integer(dataset, "BitsAllocated")
    if known:
        return known
    stored = _integer(dataset, "BitsStored") or (_integer(dataset, "HighBit") or -1) + 1
    if dataset.file_meta.TransferSyntaxUID.is_compressed and stored:
        return 8 if stored <= 8 else 16
    bits = _stored_bits(dataset, _samples(dataset))
    if bits not in _CELL_BITS:
        raise _lacking("BitsAllocated")
    return bits


def _stored_bits(dataset: FileDataset, samples: int) -> int:
    """Return how many bits of the pixel data each sample takes, 0 where that is no whole number of bytes."""
    rows, columns = _integer(dataset, "Rows") or 0, _integer(dataset, "Columns") or 0
    n_samples = rows * columns * samples * n_frames(dataset)
    n_bytes = len(dataset.get("PixelData") or b"")
    # Pixel data of an odd length end with a byte that means nothing.
    fitting = [8 * size for size in (1, 2, 4) if n_samples * size in (n_bytes, n_bytes - 1)]
    return fitting[0] if fitting and not dataset.file_meta.TransferSyntaxUID.is_compressed else 0


def _bits_stored(dataset: FileDataset) -> int:
    known, allocated = _integer(dataset, "BitsStored"), _bits_allocated(dataset)
    if known and 1 <= known <= allocated:
        return known
    high = _integer(dataset, "HighBit")
    return high + 1 if high is not None and 0 < high < allocated else allocated


def _high_bit(dataset: FileDataset) -> int:
    known, stored = _integer(dataset, "HighBit"), _bits_stored(dataset)
    return known if known is not None and stored - 1 <= known < _bits_allocated(dataset) else stored - 1


def _pixel_representation(dataset: FileDataset) -> int:
    known = _integer(dataset, "PixelRepresentation")
    return known if known in (0, 1) else 0


def _planar(dataset: FileDataset) -> int | None:
    known = _integer(dataset, "PlanarConfiguration")
    return known if known in (0, 1) or _samples(dataset) == 1 else 0


def _lacking(keyword: str) -> UnreadableDicom:
    return UnreadableDicom(f"The DICOM header lacks {dictionary_description(keyword)}, and nothing else tells it.")


def _rows(dataset: FileDataset) -> int | None:
    return _integer(dataset, "Rows")


def _columns(dataset: FileDataset) -> int | None:
    return _integer(dataset, "Columns")


# In this order, since each may look at those before it.
_TAKEN = {
    "Rows": _rows,
    "Columns": _columns,
    "SamplesPerPixel": _samples,
    "PhotometricInterpretation": _photometric,
    "BitsAllocated": _bits_allocated,
    "BitsStored": _bits_stored,
    "HighBit": _high_bit,
    "PixelRepresentation": _pixel_representation,
    "PlanarConfiguration": _planar,
}
