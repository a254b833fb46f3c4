"""Which kind of file is this, by its first bytes? No name is believed.

Also what is said of a file that is no image of a kind that is read.
"""

import re

# Enough to tell every kind below.
HEAD_BYTES = 512
READ_KINDS = "JPEG, PNG, BMP, TIFF, WebP, GIF, AVIF, JPEG 2000, PGM or DICOM"
IN_NO_CLASS_FOLDER = "This image lies in no class folder and is left out; move it into the folder of its class."
AN_ARCHIVE = "This is an archive, not an image, and passed over; if it holds images, unpack it beside the others."
# Whatever begins like one of these is read, or refused with a sentence of its own.
_IMAGES = re.compile(
    rb"(?s)\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|BM.{4}\0\0\0\0"  # BMP, whose reserved bytes are zero
    rb"|II\*\0|MM\0\*|II\+\0|MM\0\+"  # TIFF and BigTIFF
    rb"|RIFF.{4}WEBP"
    rb"|GIF8[79]a"
    rb"|\0\0\0.ftyp(avi[fs]|m[is]f1.{4}(....){0,15}avi[fs])"  # AVIF is one of the kinds, if not the first that is named
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"  # JPEG 2000, as a file and as a bare stream
    rb"|P[1-6]\s"  # PBM, PGM, PPM
)
# How a DICOM file without preamble begins: group 0002 or 0008, in either byte order.
_HEADERLESS_DICOM = re.compile(rb"(?s)(\x02\0|\x08\0)[\0-\x20]\0([A-Z]{2}|.{2}\0\0)|\0(\x02|\x08)\0[\0-\x20][A-Z]{2}")
_CONVERT = "save it as JPEG or PNG"
# What people have in place of an image, and what they can do.
_UNREAD = (
    (
        re.compile(rb"(?s)....ftyp(hei|hev|mif1|msf1)"),
        f"HEIC photographs are not read; {_CONVERT} (on an iPhone: Settings, Camera, Formats, Most Compatible).",
    ),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), f"JPEG XL is not read; {_CONVERT}."),
    (re.compile(rb"%PDF"), "This is a PDF document, not an image; save each of its images as JPEG or PNG."),
    (
        re.compile(rb"PK[\x03\x05]|7z\xbc\xaf|Rar!|\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|(?s:.{257}ustar)"),
        AN_ARCHIVE,
    ),
    (
        re.compile(rb"(?s)\x5c\x01\0\0|\0\0\x01\x5c|\x1c\x02\0\0|NRRD|.{344}(n\+1|ni1)\0|ObjectType ="),
        "This is a volume of slices, not a radiograph; export it as DICOM, PNG or TIFF.",
    ),
    (
        re.compile(rb"(?s)\x93NUMPY|\x89HDF|MATLAB"),
        "This is a file of numbers, not an image; save it as PNG or TIFF with 8 or 16 bits.",
    ),
    (
        re.compile(rb"(?s)....ftyp|RIFF....AVI |\x1aE\xdf\xa3"),
        "This is a video, not an image; save the frame that counts as JPEG or PNG.",
    ),
    (re.compile(rb"8BPS|%!PS|\0\0\x01\0|\xd7\xcd\xc6\x9a"), f"This kind of image is not read; {_CONVERT}."),
)
# What lies in place of an image that was never loaded; beside images it is text as any other.
_NEVER_LOADED = (
    (
        re.compile(rb"(?i)[\s\xef\xbb\xbf]*(<\?xml[^>]*>\s*)?<(!doctype html|html|error)"),
        "This is not an image but a web page or an answer of a server, saved in its place; load the image again.",
    ),
    (
        re.compile(rb"version https://git-lfs|(?:\.\./)*\.?(?:git/)?/?annex/objects/"),
        "This is not an image but stands for one that was not loaded; run `git lfs pull` or `git annex get`.",
    ),
)
# Documents and tables of office programs, many of which are ZIP archives.
_OFFICE_ENDINGS = (".xls", ".xlsx", ".ods", ".doc", ".docx", ".odt", ".ppt", ".pptx", ".odp")
# What a system leaves in folders.
_SYSTEM_FILES = ("thumbs.db", "desktop.ini", "ehthumbs.db", "dicomdir", "picasa.ini")


def is_dicom(data: bytes) -> bool:
    """Return True if a file carries DICOM's mark after its 128-byte preamble, or begins like one without preamble."""
    return data[128:132] == b"DICM" or _HEADERLESS_DICOM.match(data[:8]) is not None


def begins_like_an_image(head: bytes) -> bool:
    """Return True if a file's first `HEAD_BYTES` are those of an image of a kind that is read."""
    return is_dicom(head) or _IMAGES.match(head) is not None


def why_not_read(head: bytes) -> str:
    """Return one sentence: what a file is that is no image of a kind that is read, and what to do."""
    for mark, sentence in (*_UNREAD, *_NEVER_LOADED):
        if mark.match(head):
            return sentence
    return f"This is not a {READ_KINDS} image."


def is_companion(name: str, head: bytes) -> bool:
    """Return True if a file lies beside images as a matter of course: text, tables, documents, what systems leave.

    Args:
        name: of the file, without its folder.
        head: its first `HEAD_BYTES`.
    """
    if name.startswith(".") or name.lower() in _SYSTEM_FILES or name.lower().endswith(_OFFICE_ENDINGS):
        return True
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return True
    # A PDF or PostScript file may begin with much text.
    return not any(mark.match(head) for mark, _ in _UNREAD) and not re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]", head)
