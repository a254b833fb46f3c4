"""How are compressed DICOM pixels decoded without crashing?

By a pydicom plugin around imagecodecs (BSD-3), which wraps libjpeg-turbo, CharLS and OpenJPEG; their makers fuzz them.
pydicom's own plugins need GDCM, which ends the whole process on some broken JPEG data, or pylibjpeg-libjpeg, which is
under the GPL. imagecodecs is imported when the first compressed file arrives.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydicom import uid
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner

from cxr_core.imaging.dicom.header import UnreadableDicom
from cxr_core.imaging.files.coded_size import takes_more_than
from cxr_core.system.arrays import IntArray

_LABEL = "imagecodecs"
# How a JPEG 2000 file begins whose stream lies in a box, the bytes of a box's length and name, and boxes before it.
_JP2_BEGIN, _BOX_HEAD, _MOST_BOXES = b"\0\0\0\x0cjP  ", 8, 1_000
_UNCOMPRESSED = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
}
_JPEG = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1}
_JPEG_LS = {uid.JPEGLSLossless, uid.JPEGLSNearLossless}
# OpenJPEG decodes the high-throughput kinds, too.
_JPEG_2000 = {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}

# The two names that pydicom asks a plugin for.
DECODER_DEPENDENCIES = dict.fromkeys(_JPEG | _JPEG_LS | _JPEG_2000, ("numpy", "imagecodecs"))


def is_available(_uid: str) -> bool:
    """Return True, as pydicom asks of a plugin: imagecodecs is always installed."""
    return True


def check_syntax(syntax: uid.UID) -> None:
    """Raise UnreadableDicom, naming the compression, if there is no decoder for a transfer syntax."""
    if syntax in _UNCOMPRESSED or syntax == uid.RLELossless or syntax in DECODER_DEPENDENCIES:
        return
    # A private syntax has a number, which says nothing to anybody.
    name = f"as {syntax.name}" if not syntax.is_private else "in a way of its maker's own"
    raise UnreadableDicom(
        f"The pixels of this DICOM file are compressed {name}, which cannot be decoded; "
        "export it uncompressed or as JPEG 2000."
    )


def choose_plugins(syntax: uid.UID, several_samples: bool) -> list[str]:
    """Return the plugins to decode with, at least one, in the order to try them.

    Args:
        syntax: a compressed transfer syntax that `check_syntax` lets pass, other than RLE.
        several_samples: whether the image is in colour. Pillow comes first for 8-bit colour, since it knows the many
            ways in which colour is stored; check the frame's size before.
    """
    decoder = get_decoder(syntax)
    if _LABEL not in decoder.available_plugins:
        decoder.add_plugin(_LABEL, (__name__, "decode_frame"))
    wanted = ("pillow", _LABEL) if several_samples else (_LABEL,)
    return [name for name in wanted if name in decoder.available_plugins]


def decode_frame(source: bytes, runner: DecodeRunner) -> bytearray:
    """Decode one frame for pydicom.

    Args:
        source: the compressed frame.
        runner: pydicom's description of the frame; it is told the layout of the decoded pixels.

    Raises:
        ValueError: the data are broken, or of another size than the header says.
    """
    import imagecodecs

    syntax, samples = runner.transfer_syntax, runner.samples_per_pixel
    options: dict[str, str] = {}
    decode: Callable[..., IntArray]
    if syntax in _JPEG:
        decode = imagecodecs.jpeg8_decode
        # The same colour space in and out: pydicom converts it.
        options = {} if samples == 1 else {"colorspace": "RGB", "outcolorspace": "RGB"}
    elif syntax in _JPEG_LS:
        decode = imagecodecs.jpegls_decode
    else:
        decode = imagecodecs.jpeg2k_decode
    shape = (runner.rows, runner.columns) + ((samples,) if samples > 1 else ())
    pixels = _decode_into(decode, source, shape, options, several_bytes=runner.bits_stored > 8)
    runner.set_option("bits_allocated", 8 * pixels.itemsize)
    if samples > 1:
        runner.set_option("planar_configuration", 0)
    return bytearray(pixels.tobytes())


def check_frame_size(frame: bytes, rows: int, columns: int) -> None:
    """Raise ValueError if a compressed frame claims, in its box or its stream, to be larger than the header says.

    So does a JPEG 2000 frame in whose boxes pydicom would look for the stream for ever, or for long.
    """
    if frame.startswith(_JP2_BEGIN) and not _leads_to_its_stream(frame):
        raise ValueError("The boxes of the compressed image are broken.")
    if takes_more_than(frame, "JPEG2000", rows * columns):
        raise ValueError("The compressed image is larger than the header says.")
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
            if image.width * image.height > rows * columns:
                raise ValueError("The compressed image is larger than the header says.")
    except UnidentifiedImageError:
        return  # not a format that Pillow decodes
    except Image.DecompressionBombError as error:
        raise ValueError("The compressed image is larger than any that is read.") from error


def _leads_to_its_stream(frame: bytes) -> bool:
    """Return True if the boxes of a JP2 file lead from one to the next up to its stream (ISO/IEC 15444-1, I.4)."""
    offset = len(_JP2_BEGIN) + 4
    for _ in range(_MOST_BOXES):
        length, name = int.from_bytes(frame[offset : offset + 4], "big"), frame[offset + 4 : offset + 8]
        if name == b"jp2c":
            return True
        if length < _BOX_HEAD or offset >= len(frame):
            return False
        offset += length
    return False


def _decode_into(
    decode: Callable[..., IntArray],
    source: bytes,
    shape: tuple[int, ...],
    options: dict[str, str],
    *,
    several_bytes: bool,
) -> IntArray:
    """Decode into an array of the header's size: a frame that claims a larger one is refused before it takes memory.

    Decoders look at the type last, and a wrong guess costs a whole decoding: that of the header is tried first.
    """
    dtypes = (np.uint16, np.int16, np.uint8, np.int8) if several_bytes else (np.uint8, np.uint16, np.int16, np.int8)
    for dtype in dtypes:
        try:
            return decode(source, out=np.empty(shape, dtype), **options)
        except ValueError:  # another shape or dtype; the next one may fit
            continue
        except RuntimeError as error:  # the base of imagecodecs' own errors
            raise ValueError("The compressed pixels are broken.") from error
    raise ValueError("The compressed image is of another size or kind than the header says.")
