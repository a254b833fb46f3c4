"""Read or unpack a ZIP that a stranger may have made: everything in it is checked, no name is trusted."""

import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import unicodedata
import zipfile
import zlib
from functools import partial
from pathlib import Path

from cxr_core.config import MAX_FILE_BYTES
from cxr_core.imaging.reader import IMAGE_ENDINGS, UnreadableImage, check_file_size, is_dicom

MAX_FILES = 20_000
MAX_TOTAL_BYTES = 2_000_000_000
# Deflate packs a radiograph to a half, a two-valued copy to a hundredth, and nothing but zeros to a thousandth.
MAX_RATIO = 200
MAX_DEPTH = 12

# What is small enough to be packed as tightly as it likes.
_HARMLESS_BYTES = 10_000_000
_ARCHIVE_ENDINGS = (
    ".zip", ".zipx", ".jar", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".lzma", ".zst",
    ".tzst", ".lz4", ".7z", ".rar", ".cab", ".arj", ".lzh", ".iso", ".dmg",
)  # fmt: skip
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_ARCHIVE_MARKS = (*_ZIP_MARKS, b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_CENTRAL_MARK = b"PK\x01\x02"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on a broken archive; writing stands outside of where these are caught.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
_BLOCK = 1 << 20
_NAME_BYTES = 200
# Names that Windows keeps for devices, and signs that some file system does not hold.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')


class RefusedArchive(ValueError):
    """An archive that is not unpacked; the message is one sentence for a person."""


def unpack_zip(file_or_bytes, folder, *, progress=None):
    """Unpack the images of a ZIP into a folder with one sub-folder per class.

    A single folder around all class folders is dropped. Files that are no images by their
    ending (or, without one, no DICOM) and hidden ones are left out. Names that some file system
    cannot hold are stored under safe ones, whose beginning and ending stay the same.

    Args:
        file_or_bytes: bytes, a str or Path, or a binary file that can seek.
        folder: str or Path to make; it must not exist. It appears when all is unpacked, or never.
        progress: callable(done, total) over files, or None.

    Returns:
        Path of the folder.

    Raises:
        RefusedArchive: no ZIP, broken, encrypted, too large or packed too tightly to be honest,
            with links, nested archives or names that lead elsewhere or clash, or without images.
        FileExistsError: the folder exists.
        OSError: the disk does not take it.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"The folder {folder} exists already.")
    if isinstance(file_or_bytes, str | os.PathLike):
        with open(file_or_bytes, "rb") as file:
            return unpack_zip(file, folder, progress=progress)
    file = io.BytesIO(file_or_bytes) if isinstance(file_or_bytes, bytes | bytearray | memoryview) else file_or_bytes
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{secrets.token_hex(8)}-part")
    try:
        with _open_archive(file) as archive:
            entries = _check_entries(archive, file.seek(0, os.SEEK_END))
            targets = _choose_targets(archive, entries)
            _unpack(archive, targets, part, progress)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def is_zip(data):
    """Return True if bytes begin as a ZIP archive does, an empty one included."""
    return data.startswith(_ZIP_MARKS)


def list_images(file):
    """List the images of a ZIP, whatever its folders; nothing is unpacked yet.

    Hidden files, and those whose ending is none of an image's, are left out.

    Args:
        file: a binary file that can seek; it must stay open as long as images are read.

    Returns:
        list of (name, read): the path inside the archive as one printable line, only ever to be shown; and a
        callable that returns the file's bytes, or raises `reader.UnreadableImage` where they are broken or
        too many. Not to be called from several threads at once.

    Raises:
        RefusedArchive: as `unpack_zip`, but for names that clash: here no name becomes a path.
    """
    archive = _open_archive(file)
    entries = _check_entries(archive, file.seek(0, os.SEEK_END))
    return [
        (_one_line(info.filename), partial(_read_image, archive, info))
        for info, parts in entries
        if _may_be_image(archive, info, parts)
    ]


def _may_be_image(archive, info, parts):
    try:
        return _is_image(archive, info, parts)
    except RefusedArchive:
        return True  # one broken file gets its own sentence when it is read


def _read_image(archive, info):
    check_file_size(info.file_size)
    try:
        return b"".join(_blocks(archive, info))
    except RefusedArchive as error:
        raise UnreadableImage("The ZIP archive is broken at this file.") from error


def _open_archive(file):
    if _count_marks(file) > MAX_FILES:
        raise RefusedArchive(f"The archive holds more than {MAX_FILES:,} files.")
    file.seek(0)
    if not zipfile.is_zipfile(file):
        raise RefusedArchive("This is not a ZIP archive, or it is cut short.")
    try:
        return zipfile.ZipFile(file)
    except _BROKEN as error:
        raise RefusedArchive("The ZIP archive is broken.") from error


def _count_marks(file):
    """Count what begins an entry in a ZIP's table of contents, before that table is read into memory."""
    file.seek(0)
    count, tail = 0, b""
    while block := file.read(_BLOCK):
        block = tail + block
        count += block.count(_CENTRAL_MARK)
        # Too short to hold a whole mark, so that none is counted twice.
        tail = block[-len(_CENTRAL_MARK) + 1 :]
    return count


def _check_entries(archive, archive_bytes):
    """Check every entry by what the archive says of it.

    Returns:
        list of (ZipInfo, parts of its path) of all files.
    """
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise RefusedArchive(f"The archive holds {len(infos):,} files; at most {MAX_FILES:,} are taken.")
    if sum(info.compress_size for info in infos) > archive_bytes:
        raise RefusedArchive("The archive says that it is larger than it is; it may be a bomb.")
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL_BYTES:
        raise RefusedArchive(
            f"Unpacked, the archive would take {total / 1e9:.1f} GB; at most {MAX_TOTAL_BYTES / 1e9:g} GB are taken."
        )
    if total > _HARMLESS_BYTES and total > MAX_RATIO * archive_bytes:
        raise RefusedArchive("The archive is packed far more tightly than images can be; it may be a bomb.")
    entries = []
    for info in infos:
        parts = _check_name(info)
        _check_kind(info)
        if parts and not info.is_dir():
            entries.append((info, parts))
    return entries


def _check_name(info):
    # zipfile cuts a name at its first NUL; the one that was written counts.
    name = info.orig_filename
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or "\\" in name or "\0" in name:
        raise RefusedArchive(f"The archive holds a file whose name leads out of it: {_shown(name)}.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RefusedArchive(f"The archive holds a file whose name leads out of it: {_shown(name)}.")
    if len(parts) > MAX_DEPTH:
        raise RefusedArchive(f"The archive's folders are nested more than {MAX_DEPTH} deep: {_shown(name)}.")
    return parts


def _check_kind(info):
    name = _shown(info.filename)
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode == stat.S_IFLNK:
        raise RefusedArchive(f"The archive holds a link: {name}.")
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedArchive(f"The archive holds something that is no file: {name}.")
    if info.flag_bits & _ENCRYPTED:
        raise RefusedArchive(f"The archive is protected by a password: {name}.")
    if info.filename.lower().endswith(_ARCHIVE_ENDINGS) and not info.is_dir():
        raise RefusedArchive(f"The archive holds another archive: {name}.")
    if info.compress_type not in _METHODS:
        raise RefusedArchive(f"The archive is packed in a way that is not read here; pack it as a plain ZIP: {name}.")
    if info.file_size > max(_HARMLESS_BYTES, MAX_RATIO * info.compress_size):
        raise RefusedArchive(f"A file is packed far more tightly than an image can be; it may be a bomb: {name}.")


def _choose_targets(archive, entries):
    """Pick the images and say where each goes.

    Returns:
        list of (ZipInfo, parts of the path below the new folder).
    """
    images = [(info, parts) for info, parts in entries if _is_image(archive, info, parts)]
    for info, _ in images:
        if info.file_size > MAX_FILE_BYTES:
            raise RefusedArchive(
                f"An image has {info.file_size / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are taken: "
                f"{_shown(info.filename)}."
            )
    is_wrapped = len({parts[0] for _, parts in images}) == 1 and all(len(parts) > 2 for _, parts in images)
    targets = [(info, [_safe_name(part) for part in parts[is_wrapped:]]) for info, parts in images]
    targets = [(info, parts) for info, parts in targets if len(parts) > 1]
    if not targets:
        raise RefusedArchive(
            f"The archive holds no images ({' '.join(IMAGE_ENDINGS)}) in folders; put one folder per class in it."
        )
    _check_clashes(targets)
    return targets


def _is_image(archive, info, parts):
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return False
    ending = os.path.splitext(parts[-1])[1].lower()
    if ending:
        return ending in IMAGE_ENDINGS
    try:
        with archive.open(info) as stream:
            return is_dicom(stream.read(132))
    except _BROKEN as error:
        raise RefusedArchive(f"The archive is broken at {_shown(info.filename)}.") from error


def _check_clashes(targets):
    """Refuse two paths that are one where a file system does not tell small and capital letters apart."""
    taken = {}
    for info, parts in targets:
        for depth in range(1, len(parts) + 1):
            path, is_file = "/".join(parts[:depth]), depth == len(parts)
            known = taken.get(path.casefold())
            # A folder may come again, spelled the same; anything else may not.
            if known and (is_file or known != (path, False)):
                raise RefusedArchive(f"Two names in the archive are the same or nearly so: {_shown(info.filename)}.")
            taken[path.casefold()] = (path, is_file)


def _safe_name(name):
    """Return a name that every file system holds: the same one wherever it is held."""
    safe = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).rstrip(". ")
    safe = safe.encode(errors="replace").decode()
    if _DEVICES.match(safe):
        safe = f"_{safe}"
    if safe and len(safe.encode()) <= _NAME_BYTES:
        return safe
    stem, ending = os.path.splitext(safe)
    if ending.lower() not in IMAGE_ENDINGS:
        stem, ending = safe, ""
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:12]
    return stem.encode()[: _NAME_BYTES - 20].decode(errors="ignore") + f"~{digest}{ending}"


def _unpack(archive, targets, part, progress):
    part.mkdir()
    total = 0
    for done, (info, parts) in enumerate(targets, start=1):
        path = part.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            for block in _blocks(archive, info):
                total += len(block)
                if target.tell() + len(block) > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
                    raise RefusedArchive("Unpacked, the archive is larger than it says; it may be a bomb.")
                if not target.tell() and block.startswith(_ARCHIVE_MARKS):
                    raise RefusedArchive(f"The archive holds another archive: {_shown(info.filename)}.")
                target.write(block)
        if progress and (done % 50 == 0 or done == len(targets)):
            progress(done, len(targets))


def _blocks(archive, info):
    try:
        with archive.open(info) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except _BROKEN as error:
        raise RefusedArchive(f"The archive is broken at {_shown(info.filename)}.") from error


def _shown(name):
    """Return a name to be shown in a sentence: one line, not too long."""
    text = _one_line(name)
    return text if len(text) <= 80 else f"{text[:60]}…{text[-15:]}"


def _one_line(name):
    return "".join(c if c.isprintable() else "?" for c in name.encode(errors="replace").decode())
