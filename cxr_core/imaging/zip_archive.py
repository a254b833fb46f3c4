"""May this ZIP be opened, and which images does it hold? Every entry is checked, and no name is trusted."""

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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

from cxr_core.config import MAX_FILE_BYTES
from cxr_core.imaging.files.file_kinds import (
    AN_ARCHIVE,
    HEAD_BYTES,
    IN_NO_CLASS_FOLDER,
    begins_like_an_image,
    is_companion,
    why_not_read,
)
from cxr_core.imaging.reader import IMAGE_ENDINGS, UnreadableImage, check_file_size
from cxr_core.system.progress import Progress

# A file of an archive, and the parts of its path.
Entry = tuple[zipfile.ZipInfo, list[str]]
# The path of a file inside the archive, as one printable line, and one sentence: why it is left out.
LeftOut = tuple[str, str]

MAX_FILES = 20_000
MAX_TOTAL_BYTES = 2_000_000_000
# Deflate compresses a radiograph to a half, a two-valued copy to a hundredth, and zeros alone to a thousandth.
MAX_RATIO = 200
MAX_DEPTH = 12

# Up to here a file may be compressed by any factor.
_HARMLESS_BYTES = 10_000_000
_ARCHIVE_ENDINGS = (
    ".zip", ".zipx", ".jar", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".lzma", ".zst",
    ".tzst", ".lz4", ".7z", ".rar", ".cab", ".arj", ".lzh", ".iso", ".dmg",
)  # fmt: skip
_TABLE_ENDINGS, _MOST_TABLE_BYTES = (".csv", ".tsv"), 5_000_000
_TABLE_TOO_LARGE = f"This table has more than {_MOST_TABLE_BYTES / 1e6:g} MB and is not read."
# Of all tables together: every line is looked up among the images, and blank ones take memory, too.
_MOST_LINES, _MOST_TABLES_BYTES = 200_000, 20_000_000
_TABLES_TOO_LARGE = (
    f"With this table, all tables have more than {_MOST_LINES:,} lines or {_MOST_TABLES_BYTES / 1e6:g} MB; "
    "it is not read."
)
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_ARCHIVE_MARKS = (*_ZIP_MARKS, b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_CENTRAL_MARK = b"PK\x01\x02"
_SAYS_UTF_8 = 0x800
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on a broken archive; nothing is written where these are caught.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
_BROKEN_HERE = "The ZIP archive is broken at this file."
_BLOCK = 1 << 20
_NAME_BYTES = 200
# Names that Windows reserves for devices, and characters that some file system does not allow.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')


class RefusedArchive(ValueError):
    """An archive that is not opened; the message is one sentence for the user."""


def unpack_zip(
    file_or_bytes: bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO,
    folder: str | Path,
    *,
    left_out: list[LeftOut] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Unpack the images of a ZIP and its label tables into a folder with one sub-folder per class, or a table on top.

    A single folder around all class folders is dropped. A file is an image by its ending, or by its content whatever it
    is called. Hidden files, archives, images that lie on top without a table, and whatever else is neither image nor
    table are left out. A name that some file system does not allow is replaced by a safe one with the same beginning
    and ending.

    Args:
        file_or_bytes: the archive's bytes, its path, or a seekable binary file.
        folder: the folder to create, which must not exist. It appears once everything is unpacked, or never.
        left_out: takes each file that is left out, with the reason, unless that goes without saying, as for text.
        progress: called after every 50 files.

    Returns:
        Path of the folder.

    Raises:
        RefusedArchive: not a ZIP, broken, encrypted, too large, compressed too tightly to be honest, with links,
            archives that are named like images, or names that lead elsewhere or clash, or without images.
        FileExistsError: the folder exists.
        OSError: the disk is full, say.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"The folder {folder} exists already.")
    if isinstance(file_or_bytes, str | os.PathLike):
        with open(file_or_bytes, "rb") as opened:
            return unpack_zip(opened, folder, left_out=left_out, progress=progress)
    file = io.BytesIO(file_or_bytes) if isinstance(file_or_bytes, bytes | bytearray | memoryview) else file_or_bytes
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{secrets.token_hex(8)}-part")
    try:
        with _open_archive(file) as archive:
            entries = _check_entries(archive, file.seek(0, os.SEEK_END))
            targets, others = _choose_targets(archive, entries)
            _unpack(archive, targets, part, progress)
        os.replace(part, folder)
        if left_out is not None:
            left_out += others
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def is_zip(data: bytes) -> bool:
    """Return True if bytes begin like a ZIP archive, an empty one included."""
    return data.startswith(_ZIP_MARKS)


def list_images(file: BinaryIO) -> list[tuple[str, Callable[[], bytes]]]:
    """List the images of a ZIP in any folders, and what is left out for a reason worth telling; nothing is unpacked.

    Args:
        file: a seekable binary file, which must stay open while images are read.

    Returns:
        For each its path inside the archive, as one printable line for display only; and a function that returns the
        file's bytes, or raises `reader.UnreadableImage` if they are broken, too many or left out. Do not call these
        functions from several threads at once.

    Raises:
        RefusedArchive: as `unpack_zip`, except that names may clash: here no name becomes a path.
    """
    archive = _open_archive(file)
    entries = _check_entries(archive, file.seek(0, os.SEEK_END))
    reasons = [(info, _why_left_out(archive, info, parts)) for info, parts in entries]
    return [
        (_one_line(_name_of(info)), partial(_refuse, reason) if reason else partial(_read_image, archive, info))
        for info, reason in reasons
        if reason != ""
    ]


def _refuse(reason: str) -> NoReturn:
    raise UnreadableImage(reason)


def _read_image(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    check_file_size(info.file_size)
    try:
        return b"".join(_blocks(archive, info))
    except RefusedArchive as error:
        raise UnreadableImage(_BROKEN_HERE) from error


def _open_archive(file: BinaryIO) -> zipfile.ZipFile:
    if _count_marks(file) > MAX_FILES:
        raise RefusedArchive(f"The archive holds more than {MAX_FILES:,} files.")
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file) if zipfile.is_zipfile(file) else None
    except _BROKEN as error:
        raise RefusedArchive("The ZIP archive is broken.") from error
    if archive is None:
        raise RefusedArchive("This is not a ZIP archive, or it is cut short.")
    return archive


def _count_marks(file: BinaryIO) -> int:
    """Count the entries of a ZIP's table of contents before that table is read into memory."""
    file.seek(0)
    count, tail = 0, b""
    while block := file.read(_BLOCK):
        block = tail + block
        count += block.count(_CENTRAL_MARK)
        # Shorter than a mark, so that none is counted twice.
        tail = block[-len(_CENTRAL_MARK) + 1 :]
    return count


def _check_entries(archive: zipfile.ZipFile, archive_bytes: int) -> list[Entry]:
    """Check every entry by what the table of contents says of it, and return the files."""
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise RefusedArchive(f"The archive holds {len(infos):,} files; at most {MAX_FILES:,} are accepted.")
    if sum(info.compress_size for info in infos) > archive_bytes:
        raise RefusedArchive("The archive claims to hold more data than it does; it may be a ZIP bomb.")
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL_BYTES:
        raise RefusedArchive(
            f"Unpacked, the archive would take {total / 1e9:.1f} GB; at most {MAX_TOTAL_BYTES / 1e9:g} GB are accepted."
        )
    if total > _HARMLESS_BYTES and total > MAX_RATIO * archive_bytes:
        raise RefusedArchive("The archive is compressed far more than images can be; it may be a ZIP bomb.")
    entries = []
    for info in infos:
        parts = _check_name(info)
        _check_kind(info)
        if parts and not _path_of(info).endswith("/"):
            entries.append((info, parts))
    if entries and all(_is_inner_archive(parts) for _, parts in entries):
        name = _shown(_name_of(entries[0][0]))
        raise RefusedArchive(
            f"The archive holds nothing but another archive: {name}. Unpack that, and pack its images."
        )
    return entries


def _path_of(info: zipfile.ZipInfo) -> str:
    """Return the path of an entry with "/", which some Windows programs write as a backslash."""
    return _name_of(info).replace("\\", "/")


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return the name of an entry as whoever packed it sees it.

    zipfile cuts a name at its first NUL; the original is taken, so that it is checked whole. macOS writes UTF-8 without
    saying so, which is then read as the letters of DOS.
    """
    name = info.orig_filename
    if info.flag_bits & _SAYS_UTF_8 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        return name


def _check_name(info: zipfile.ZipInfo) -> list[str]:
    """Refuse a path that leads out of the archive; return its parts."""
    name = _path_of(info)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise RefusedArchive(f"The archive holds a file whose name leads out of it: {_shown(name)}.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RefusedArchive(f"The archive holds a file whose name leads out of it: {_shown(name)}.")
    if len(parts) > MAX_DEPTH:
        raise RefusedArchive(f"The archive's folders are nested more than {MAX_DEPTH} deep: {_shown(name)}.")
    return parts


def _check_kind(info: zipfile.ZipInfo) -> None:
    """Refuse links, encrypted files, and compression that is unknown or too tight."""
    name = _shown(_name_of(info))
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode == stat.S_IFLNK:
        raise RefusedArchive(f"The archive holds a link: {name}.")
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedArchive(f"The archive holds something that is neither a file nor a folder: {name}.")
    if info.flag_bits & _ENCRYPTED:
        raise RefusedArchive(f"The archive is protected by a password: {name}.")
    if info.compress_type not in _METHODS:
        raise RefusedArchive(f"The archive is compressed in an unsupported way; save it as a plain ZIP: {name}.")
    if info.file_size > max(_HARMLESS_BYTES, MAX_RATIO * info.compress_size):
        raise RefusedArchive(f"A file is compressed far more than an image can be; it may be a ZIP bomb: {name}.")


def _choose_targets(archive: zipfile.ZipFile, entries: list[Entry]) -> tuple[list[Entry], list[LeftOut]]:
    """Select images and label tables, and choose the path of each below the new folder; say why others are left out."""
    reasons = [(info, parts, _why_left_out(archive, info, parts)) for info, parts in entries]
    left_out = [(_one_line(_name_of(info)), reason) for info, _, reason in reasons if reason]
    images = [(info, parts) for info, parts, reason in reasons if reason is None]
    for info, _ in images:
        if info.file_size > MAX_FILE_BYTES:
            raise RefusedArchive(
                f"An image has {info.file_size / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are accepted: "
                f"{_shown(_name_of(info))}."
            )
    above_images = {()} | {tuple(parts[:depth]) for _, parts in images for depth in range(len(parts) - 1)}
    tables = [
        (info, parts)
        for info, parts, reason in reasons
        if reason == "" and tuple(parts[:-1]) in above_images and _is_table(archive, info, parts)
    ]
    tables, too_large = _small_tables(archive, tables)
    left_out += too_large
    is_wrapped = len({parts[0] for _, parts in images}) == 1 and all(len(parts) > 2 for _, parts in images)
    above = images[0][1][0] if is_wrapped else None

    def below(parts: list[str]) -> list[str]:
        inside = parts[1:] if len(parts) > 1 and parts[0] == above else parts
        return [_safe_name(part) for part in inside]

    targets = [(info, below(parts)) for info, parts in images]
    tables = [(info, below(parts)) for info, parts in tables]
    if not any(len(parts) == 1 for _, parts in tables):
        left_out += [(_one_line(_name_of(info)), IN_NO_CLASS_FOLDER) for info, parts in targets if len(parts) == 1]
        targets = [(info, parts) for info, parts in targets if len(parts) > 1]
    if not targets:
        raise RefusedArchive(
            f"The archive holds no images ({' '.join(IMAGE_ENDINGS)}) in folders; put one folder per class into it, or "
            "a label table beside the images." + "".join(f" {_shown(file)}: {reason}" for file, reason in too_large[:1])
        )
    targets += tables
    _check_clashes(targets)
    return targets, left_out


def _why_left_out(archive: zipfile.ZipFile, info: zipfile.ZipInfo, parts: list[str]) -> str | None:
    """Return None for an image, and one sentence for any other file; "" where it goes without saying."""
    if _is_hidden(parts):
        return ""
    if os.path.splitext(parts[-1])[1].lower() in IMAGE_ENDINGS:
        return None
    if _is_inner_archive(parts):
        return AN_ARCHIVE
    try:
        with archive.open(info) as stream:
            head = stream.read(HEAD_BYTES)
    except _BROKEN:
        return _BROKEN_HERE
    if begins_like_an_image(head):
        return None
    return "" if is_companion(parts[-1], head) else why_not_read(head)


def _is_table(archive: zipfile.ZipFile, info: zipfile.ZipInfo, parts: list[str]) -> bool:
    """Return whether a file is called like a label table, or is text whose first lines name images."""
    name = parts[-1].lower()
    if _is_hidden(parts) or not name.endswith((*_TABLE_ENDINGS, ".txt")):
        return False
    if name.endswith(_TABLE_ENDINGS):
        return True
    with archive.open(info) as stream:
        head = stream.read(HEAD_BYTES).lower()
    return any(ending.encode() in head for ending in IMAGE_ENDINGS)


def _small_tables(archive: zipfile.ZipFile, tables: list[Entry]) -> tuple[list[Entry], list[LeftOut]]:
    """Return the label tables that are small enough one by one and together, and why the others are left out."""
    small: list[Entry] = []
    left_out: list[LeftOut] = []
    lines_left, bytes_left = _MOST_LINES, _MOST_TABLES_BYTES
    for info, parts in tables:
        name = _one_line(_name_of(info))
        if info.file_size > _MOST_TABLE_BYTES:
            left_out.append((name, _TABLE_TOO_LARGE))
        elif info.file_size > bytes_left or (lines := _count_lines(archive, info)) > lines_left:
            left_out.append((name, _TABLES_TOO_LARGE))
        else:
            small.append((info, parts))
            lines_left, bytes_left = lines_left - lines, bytes_left - info.file_size
    return small, left_out


def _count_lines(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Return how many lines a table has, whether they end in a line feed, a carriage return or both."""
    # Of UTF-16 one byte of each is zero.
    data = b"".join(_blocks(archive, info)).replace(b"\0", b"")
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _is_hidden(parts: list[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _is_inner_archive(parts: list[str]) -> bool:
    return parts[-1].lower().endswith(_ARCHIVE_ENDINGS)


def _check_clashes(targets: list[Entry]) -> None:
    """Refuse two paths that are the same on a file system that ignores case."""
    taken: dict[str, tuple[str, bool]] = {}
    for info, parts in targets:
        for depth in range(1, len(parts) + 1):
            path, is_file = "/".join(parts[:depth]), depth == len(parts)
            known = taken.get(path.casefold())
            # A folder may occur again, spelled the same; nothing else may.
            if known and (is_file or known != (path, False)):
                raise RefusedArchive(f"Two names in the archive clash: {_shown(_name_of(info))}.")
            taken[path.casefold()] = (path, is_file)


def _safe_name(name: str) -> str:
    """Return a name that every file system allows; the name itself if all of them do."""
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


def _unpack(archive: zipfile.ZipFile, targets: list[Entry], part: Path, progress: Progress | None) -> None:
    part.mkdir()
    total = 0
    for done, (info, parts) in enumerate(targets, start=1):
        path = part.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            for block in _blocks(archive, info):
                total += len(block)
                if target.tell() + len(block) > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
                    raise RefusedArchive("Unpacked, the archive is larger than it claims; it may be a ZIP bomb.")
                if not target.tell() and block.startswith(_ARCHIVE_MARKS):
                    raise RefusedArchive(f"The archive holds another archive: {_shown(_name_of(info))}.")
                target.write(block)
        if progress and (done % 50 == 0 or done == len(targets)):
            progress(done, len(targets))


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except _BROKEN as error:
        raise RefusedArchive(f"The archive is broken at {_shown(_name_of(info))}.") from error


def _shown(name: str) -> str:
    """Return a name for use in a sentence: one line, not too long."""
    text = _one_line(name)
    return text if len(text) <= 80 else f"{text[:60]}…{text[-15:]}"


def _one_line(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name.encode(errors="replace").decode())
