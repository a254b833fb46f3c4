"""grey_values.py and lookup_tables.py against the standard, written out a second time here, value by value."""

import io
import math
from dataclasses import dataclass, field

import numpy as np
import pydicom
import pytest
from conftest import SHARED_DATA
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from image_files import dicom, stretched
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxr_core.imaging.dicom.grey_values import WINDOW_NOTE
from cxr_core.imaging.reader import decode_image, open_image

CASES = SHARED_DATA.parent / "cases"
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
MANY = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


# The standard, once more


@dataclass(repr=False)
class Image:
    """What a file is made of, in the standard's terms, and how it is written."""

    stored: np.ndarray
    bits: int = 12
    high: int | None = None
    signed: bool = False
    allocated: int = 16
    junk: int = 0
    syntax: str = ExplicitVRLittleEndian
    elements: list[DataElement] = field(default_factory=list)

    def __repr__(self):
        told = f"bits={self.bits} high={self.high} signed={self.signed} allocated={self.allocated} junk={self.junk:#x}"
        return f"Image({told} {self.syntax} {self.stored.ravel().tolist()} {self.elements})"

    def add(self, keyword, representation, value):
        self.elements.append(DataElement(pydicom.datadict.tag_for_keyword(keyword), representation, value))
        return self

    def file(self, photometric="MONOCHROME2"):
        """The file's bytes: each value lies below the high bit, with `junk` in the bits that mean nothing."""
        high = self.bits - 1 if self.high is None else self.high
        mask = (1 << self.bits) - 1
        shift = high + 1 - self.bits
        cells = ((self.stored.astype(np.int64) & mask) << shift) | (self.junk & ~(mask << shift))
        big = self.syntax == ExplicitVRBigEndian
        kind = f"{'>' if big else '<'}u{self.allocated // 8}"
        cells = (cells & ((1 << self.allocated) - 1)).astype(kind)
        data = pydicom.dcmread(
            io.BytesIO(dicom(np.zeros(self.stored.shape, cells.dtype.newbyteorder("=")), photometric))
        )
        data.BitsStored, data.HighBit, data.PixelRepresentation = self.bits, high, int(self.signed)
        data.PixelData = cells.tobytes()
        for element in self.elements:
            data.add(element)
        data.file_meta.TransferSyntaxUID = self.syntax
        stream = io.BytesIO()
        implicit = self.syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(stream, data, implicit_vr=implicit, little_endian=not big, enforce_file_format=True)
        return stream.getvalue()


def windowed(values, center, width, function):
    """PS3.3 C.11.2.1.2.1 and C.11.2.1.3, with an output from 0 to 1."""
    x = values.astype(float)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    y = np.where(x > center, 1.0, 0.0) if width == 0 else (x - center) / width + 0.5
    return np.select([x <= center - width / 2, x > center + width / 2], [0, 1], y)


def looked_up(values, first, entries):
    """PS3.3 C.11.2.1.1: values before the first and after the last entry have that entry."""
    return np.asarray(entries)[np.clip(np.round(values).astype(int) - first, 0, len(entries) - 1)]


def lut(keyword, entries, first, bits, layout="US", representation="US", syntax=ExplicitVRLittleEndian):
    """A LUT sequence; `layout` US, OW or packed (two entries of eight bits to a word)."""
    item = Dataset()
    count = len(entries) % 65536
    wrap = (lambda v: v - 65536 if v >= 32768 else v) if representation == "SS" else (lambda v: v % 65536)
    item.add_new("LUTDescriptor", representation, [wrap(count), wrap(first), bits])
    values = [int(v) for v in entries]
    if layout == "packed":
        values += [0] * (len(values) % 2)
        values = [low | high << 8 for low, high in zip(values[::2], values[1::2], strict=True)]
    if layout == "US":
        item.add_new("LUTData", "US", values)
    else:
        item.add_new("LUTData", "OW", np.array(values, ">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes())
    return DataElement(pydicom.datadict.tag_for_keyword(keyword), "SQ", [item])


def agree(data, expected, atol=1):
    """Whether a file shows these values, up to the stretch to 16 bits."""
    np.testing.assert_allclose(decode_image(data).astype(int), stretched(expected).astype(int), atol=atol)


@st.composite
def images(draw):
    """Images of 6 × 8 pixels of any number of bits, in any place in their cells, with or without a sign."""
    allocated = draw(st.sampled_from([8, 16]))
    bits = draw(st.integers(2, allocated))
    high = draw(st.integers(bits - 1, allocated - 1))
    signed = draw(st.booleans())
    low, top = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    stored = np.array(draw(st.lists(st.integers(low, top), min_size=48, max_size=48))).reshape(6, 8)
    assume(stored.min() < stored.max())
    junk = draw(st.integers(0, (1 << allocated) - 1))
    syntax = draw(st.sampled_from(SYNTAXES if allocated == 16 else SYNTAXES[:2]))
    return Image(stored, bits, high, signed, allocated, junk, syntax)


rescales = st.sampled_from([None, (1, 0), (1, -1024), (2, 100), (-1, 4095), (0.29, 3.5), (0.0002442, 0)])


def rescaled(image, rescale):
    if rescale is None:
        return image.stored.astype(float)
    image.add("RescaleSlope", "DS", str(rescale[0])).add("RescaleIntercept", "DS", str(rescale[1]))
    return image.stored * float(rescale[0]) + rescale[1]


@MANY
@given(images(), rescales)
def test_any_number_of_bits_in_any_place_of_a_cell_is_read_with_its_sign(image, rescale):
    expected = rescaled(image, rescale)
    agree(image.file(), expected)


@MANY
@given(images(), rescales, st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]), st.floats(0, 1), st.floats(0.02, 3))
def test_every_window_shows_what_the_standard_says(image, rescale, function, middle, span):
    values = rescaled(image, rescale)
    extent = float(np.ptp(values))
    center = round(values.min() + middle * extent, 4)
    width = round(span * extent, 4) + (1 if function == "LINEAR" else 0.001)
    image.add("WindowCenter", "DS", str(center)).add("WindowWidth", "DS", str(width))
    image.add("VOILUTFunction", "CS", function)
    expected = windowed(values, center, width, function)
    # A window that shows a single grey is left out, which has its own test.
    assume(np.ptp(np.round(expected * 65535)) > 100)
    agree(image.file(), expected, atol=2)


@MANY
@given(images(), st.sampled_from(["MONOCHROME1", "MONOCHROME2"]), st.sampled_from(["", "IDENTITY", "INVERSE"]))
def test_white_is_zero_in_monochrome1_and_in_an_inverse_presentation(image, photometric, shape):
    image.add("PresentationLUTShape", "CS", shape)
    inverted = photometric == "MONOCHROME1" or shape == "INVERSE"
    agree(image.file(photometric), -image.stored if inverted else image.stored)


@MANY
@given(
    images(), rescales, st.data(),
    st.sampled_from([(8, "US"), (8, "OW"), (8, "packed"), (12, "US"), (16, "US"), (16, "OW")]),
    st.sampled_from(["US", "SS"]),
)  # fmt: skip
def test_every_voi_table_is_read_however_it_is_written(image, rescale, data, kind, representation):
    values = rescaled(image, rescale)
    bits, layout = kind
    n_entries = data.draw(st.integers(2, 300))
    # The table begins so that it reaches the image.
    first = int(np.round(data.draw(st.sampled_from(sorted(values.ravel())))) - data.draw(st.integers(0, n_entries - 1)))
    assume(-32768 <= first < 65536)
    if first >= 32768 or first < 0:
        # Written with either sign, only one reading may reach the image.
        other = first - 65536 if first >= 32768 else first + 65536
        assume(not ((values >= other - 1) & (values < other + n_entries + 1)).any())
    entries = np.random.default_rng(n_entries).integers(0, 1 << bits, n_entries)
    expected = looked_up(values, first, entries)
    assume(np.ptp(expected) > 0)
    image.elements.append(lut("VOILUTSequence", entries, first, bits, layout, representation, image.syntax))
    agree(image.file(), expected, atol=0)


@MANY
@given(images(), st.sampled_from([(8, "US"), (8, "packed"), (16, "OW")]), st.sampled_from(["US", "SS"]), st.data())
def test_every_modality_table_is_read_and_comes_before_the_window(image, kind, representation, data):
    bits, layout = kind
    n_entries = data.draw(st.integers(2, 300))
    first = int(data.draw(st.sampled_from(sorted(image.stored.ravel())))) - data.draw(st.integers(0, n_entries - 1))
    assume(0 <= first < 32768 or (image.signed and first >= -32768 and first + n_entries < 32768))
    entries = np.random.default_rng(n_entries).integers(0, 1 << bits, n_entries)
    values = looked_up(image.stored, first, entries)
    assume(np.ptp(values) > 10)
    image.elements.append(lut("ModalityLUTSequence", entries, first, bits, layout, representation, image.syntax))
    # What a rescale beside the table says does not count.
    rescaled(image, (-3, 7))
    center, width = float(values.min() + values.max()) / 2, float(np.ptp(values)) / 2 + 1
    image.add("WindowCenter", "DS", str(center)).add("WindowWidth", "DS", str(width))
    agree(image.file(), windowed(values, center, width, "LINEAR"), atol=1)


@MANY
@given(images(), st.sampled_from(["US", "SS", "UL", "IS", "OW", "DS"]), st.booleans(), st.data())
def test_padding_is_found_however_its_representation_is_written(image, representation, with_limit, data):
    value = int(data.draw(st.sampled_from(sorted(image.stored.ravel()))))
    limit = int(data.draw(st.sampled_from(sorted(image.stored.ravel())))) if with_limit else value
    inside = (image.stored < min(value, limit)) | (image.stored > max(value, limit))
    assume(inside.any() and np.ptp(image.stored[inside]) > 0)

    def written(number):
        if representation in ("US", "UL"):
            return number % 65536
        if representation == "SS":
            return (number + 32768) % 65536 - 32768
        order = "big" if image.syntax == ExplicitVRBigEndian else "little"
        return (number % 65536).to_bytes(2, order) if representation == "OW" else str(number)

    # Implicit files do not say how long a number is; there these two are no two bytes.
    assume(image.syntax != ImplicitVRLittleEndian or representation not in ("UL", "IS", "DS"))
    image.add("PixelPaddingValue", representation, written(value))
    if with_limit:
        image.add("PixelPaddingRangeLimit", representation, written(limit))
    shown = decode_image(image.file()).astype(int)
    np.testing.assert_allclose(shown[inside], stretched(image.stored[inside]).astype(int), atol=1)
    assert not shown[~inside].any()


# Against pydicom, where it is right: a falling rescale under a window comes out of it inverted


@MANY
@given(
    images(),
    rescales.filter(lambda rescale: rescale and rescale[0] > 0),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_pydicom_shows_the_same(image, rescale, function):
    image.high, image.junk = None, 0
    values = rescaled(image, rescale)
    center, width = round(float(np.median(values)), 3), round(float(np.ptp(values)) / 2 + 1, 3)
    image.add("WindowCenter", "DS", str(center)).add("WindowWidth", "DS", str(width)).add(
        "VOILUTFunction", "CS", function
    )
    data = image.file()
    header = pydicom.dcmread(io.BytesIO(data))
    expected = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header)
    assume(np.ptp(windowed(values, center, width, function)) > 0.01)
    agree(data, expected, atol=1)


# What is empty, odd or beside the data

RAMP = Image(np.arange(400, 1000).reshape(20, 30))


def ramp(**elements):
    image = Image(RAMP.stored)
    for keyword, value in elements.items():
        image.add(keyword, pydicom.datadict.dictionary_VR(keyword).replace("US or SS", "US"), value)
    return image.file()


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": "600", "WindowWidth": "0"},
        {"WindowCenter": "600", "WindowWidth": "-50"},
        {"WindowCenter": "600", "WindowWidth": "0.5"},
        {"WindowCenter": "600", "WindowWidth": "0", "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": "600", "WindowWidth": "0", "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": "600"},
        {"WindowWidth": "60"},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "0", "RescaleIntercept": "0"},
        {"RescaleSlope": "0", "RescaleIntercept": "-1024"},
        {"PixelPaddingValue": None},
        {"VOILUTSequence": []},
        {"ModalityLUTSequence": [], "VOILUTSequence": [Dataset()]},
        {"PresentationLUTShape": ""},
    ],
    ids=str,
)
def test_what_is_empty_or_impossible_is_as_if_it_were_absent(elements):
    image = open_image(ramp(**elements))
    np.testing.assert_array_equal(image.pixels, stretched(RAMP.stored))
    assert image.notes == ()


@pytest.mark.parametrize("function", ["", "LOG", "linear", "LINEAR "])
def test_an_empty_or_unknown_function_is_linear(function):
    data = ramp(WindowCenter="700", WindowWidth="200", VOILUTFunction=function)
    agree(data, windowed(RAMP.stored, 700, 200, "LINEAR"))


@pytest.mark.parametrize(("center", "width"), [(b"700,5 ", b"0200,0"), (b"700.5 ", b"0200,0")])
def test_a_decimal_comma_is_a_point(center, width):
    data = ramp(WindowCenter="700.5 ", WindowWidth="0200.0")
    data = data.replace(b"700.5 ", center).replace(b"0200.0", width)
    agree(data, windowed(RAMP.stored, 700.5, 200, "LINEAR"))


def test_a_width_of_one_is_a_threshold():
    shown = decode_image(ramp(WindowCenter="700", WindowWidth="1"))
    np.testing.assert_array_equal(shown, np.where(RAMP.stored > 699.5, 65535, 0))


@pytest.mark.parametrize(
    ("centers", "widths", "counts"),
    [
        (["700", "500"], ["200", "50"], (700, 200)),
        (["700", "500"], ["0", "50"], (500, 50)),
        (["30000", "500"], ["400", "50"], (500, 50)),
        (["700", "500"], ["200"], (700, 200)),
    ],
)
def test_the_first_of_several_windows_that_shows_anything_counts(centers, widths, counts):
    image = open_image(ramp(WindowCenter=centers, WindowWidth=widths))
    expected = stretched(windowed(RAMP.stored, *counts, "LINEAR"))
    np.testing.assert_allclose(image.pixels.astype(int), expected, atol=1)
    assert image.notes == ()


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("center", [30000, 40, -5000])
def test_a_window_beside_the_data_shows_the_full_range_with_a_note(center, function):
    image = open_image(ramp(WindowCenter=str(center), WindowWidth="80", VOILUTFunction=function))
    np.testing.assert_array_equal(image.pixels, stretched(RAMP.stored))
    assert image.notes == (WINDOW_NOTE,)


def test_a_window_that_one_pixel_of_thousands_reaches_is_beside_the_data():
    stored = np.arange(1000, 1000 + 64 * 64).reshape(64, 64) % 4096
    stored[stored < 900] = 2000
    stored[0, 0] = 46
    data = Image(stored).add("WindowCenter", "DS", "40").add("WindowWidth", "DS", "80").file()
    assert open_image(data).notes == (WINDOW_NOTE,)
    agree(data, stored)


def test_a_flat_image_is_not_told_that_its_window_shows_nothing():
    data = Image(np.full((8, 8), 700)).add("WindowCenter", "DS", "40").add("WindowWidth", "DS", "80").file()
    assert open_image(data).notes == ()


def test_a_voi_table_without_data_gives_way_to_the_window():
    item = lut("VOILUTSequence", [1, 2, 3], 0, 16).value[0]
    del item.LUTData
    data = ramp(VOILUTSequence=[item], WindowCenter="700", WindowWidth="200")
    agree(data, windowed(RAMP.stored, 700, 200, "LINEAR"))


def test_a_voi_table_that_is_shorter_than_it_says_ends_with_its_last_entry():
    sequence = lut("VOILUTSequence", [9, 5, 7, 30], 500, 16).value
    sequence[0].LUTDescriptor[0] = 4096
    agree(ramp(VOILUTSequence=sequence), looked_up(RAMP.stored, 500, [9, 5, 7, 30]), atol=0)


def test_a_table_of_65536_entries_has_a_count_of_zero():
    entries = (np.arange(65536) * 7) % 65536
    image = Image(RAMP.stored)
    image.elements.append(lut("VOILUTSequence", entries, 0, 16, "OW"))
    agree(image.file(), entries[RAMP.stored], atol=0)


def test_an_intercept_alone_moves_the_values_under_the_window():
    data = ramp(RescaleIntercept="-400", WindowCenter="300", WindowWidth="200")
    agree(data, windowed(RAMP.stored - 400, 300, 200, "LINEAR"))


def test_a_window_in_hounsfield_units_over_a_table_written_without_sign():
    # CT: unsigned pixels, values from -1024, and a first value of -1024 that is written as 64512.
    stored = np.arange(0, 4000, 7)[:560].reshape(20, 28)
    entries = np.random.default_rng(0).integers(0, 4096, 4096)
    for syntax in SYNTAXES:
        image = Image(stored, syntax=syntax)
        image.add("RescaleSlope", "DS", "1").add("RescaleIntercept", "DS", "-1024")
        image.elements.append(lut("VOILUTSequence", entries, -1024, 16, "US", "US"))
        agree(image.file(), entries[stored], atol=0)


# Padding


def test_padding_beyond_the_stored_bits_stands_in_the_whole_cell():
    stored = np.arange(100, 196).reshape(8, 12)
    cells = stored.astype(np.uint16)
    cells[:, :3] = 0xFFFF
    data = dicom(cells, BitsStored=12, HighBit=11, PixelPaddingValue=0xFFFF)
    shown = decode_image(data)
    np.testing.assert_array_equal(shown[:, 3:], stretched(stored[:, 3:]))
    assert not shown[:, :3].any()


def test_a_padding_value_that_no_pixel_can_have_hides_no_white_pixel():
    stored = np.array([[0, 2000], [4095, 4095]])
    np.testing.assert_array_equal(
        decode_image(Image(stored).add("PixelPaddingValue", "US", 65535).file()), stretched(stored)
    )


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_padding_and_what_is_no_number_are_black_in_an_image_of_floats(keyword):
    kind = np.float32 if keyword == "FloatPixelData" else np.float64
    values = np.linspace(-1, 1, 48).reshape(6, 8).astype(kind)
    values[0, :2], values[0, 2], values[0, 3] = -9, math.nan, math.inf
    data = pydicom.dcmread(io.BytesIO(dicom(np.zeros((6, 8), np.uint16))))
    del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
    data.BitsAllocated = 8 * values.itemsize
    setattr(data, keyword, values.tobytes())
    setattr(data, keyword.replace("PixelData", "PixelPaddingValue"), -9.0)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    shown = decode_image(stream.getvalue())
    assert not shown[0, :4].any()
    rest = np.ones((6, 8), bool)
    rest[0, :4] = False
    np.testing.assert_allclose(shown[rest].astype(int), stretched(values[rest]).astype(int), atol=1)


# The cases of public users


def case(name):
    path = CASES / name
    if not path.exists():
        pytest.skip(f"needs ../shared/cases/{name}")
    return open_image(path.read_bytes())


@pytest.mark.parametrize(
    "name",
    ["decimal_comma", "function_empty", "function_unknown", "rescale_empty", "slope0", "width0", "width_below_1"],
)
def test_odd_display_tags_show_the_full_range(name):
    shown, plain = (case(f"07-window-and-rescale-tags/{file}.dcm").pixels for file in (name, "plain"))
    np.testing.assert_allclose(shown.astype(int), plain.astype(int), atol=1)


@pytest.mark.parametrize("name", ["above", "below"])
def test_a_window_that_misses_all_values_is_left_out(name):
    shown, control = (case(f"22-window-beside-the-data/{file}.dcm") for file in (name, "control"))
    np.testing.assert_array_equal(shown.pixels, control.pixels)
    assert shown.notes == (WINDOW_NOTE,)


def test_padding_written_without_sign_is_padding():
    shown, control = (case(f"23-padding-as-US/{file}.dcm").pixels for file in ("US", "control_SS"))
    np.testing.assert_array_equal(shown, control)
    header = pydicom.dcmread(CASES / "23-padding-as-US" / "US.dcm")
    inside = header.pixel_array != -2000
    assert not inside.all()
    assert not shown[~inside].any()
    np.testing.assert_allclose(shown[inside].astype(int), stretched(header.pixel_array[inside]).astype(int), atol=1)
