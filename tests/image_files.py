"""Image files made of known pixels, for the tests of all who read them."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 64)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def undecodable_png(data):
    """A PNG's bytes with pixels that cannot be decoded; header, checksums and end are whole."""
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    chunk = png_chunk(b"IDAT", b"\xff" * length)
    return data[: start - 4] + chunk + data[start + 8 + length :]


def zip_of(files, compression=zipfile.ZIP_DEFLATED):
    """Bytes of a ZIP of a dict (or list of pairs) of names, or ZipInfos, to bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as target:
        for name, data in files.items() if isinstance(files, dict) else files:
            target.writestr(name, data)
    return stream.getvalue()


def dicom(pixels, photometric="MONOCHROME2", syntax=ExplicitVRLittleEndian, **tags):
    """A DICOM file's bytes; `pixels` uint8 or uint16, (H, W) or (H, W, 3)."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3.4"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = photometric
    data.BitsAllocated = data.BitsStored = 8 * pixels.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, 0
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in tags.items():
        setattr(data, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def stretched(values):
    """Values as a 16-bit image over its whole range."""
    values = np.asarray(values, float)
    return np.round((values - values.min()) / np.ptp(values) * 65535).astype(np.uint16)
