"""zip_archive.py against archives that zipfile writes, honest ones and such as an attacker would send."""

import io
import shutil
import stat
import struct
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from image_files import zip_of
from PIL import Image

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.tables import listing
from cxr_core.imaging import zip_archive
from cxr_core.imaging.files.file_kinds import AN_ARCHIVE, IN_NO_CLASS_FOLDER
from cxr_core.imaging.zip_archive import RefusedArchive, list_images, unpack_zip
from cxr_core.system.visit_folders import visit_folder_of


def png(value=0):
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def unpacked(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def place(tmp_path):
    """A folder that does not exist, in an empty one."""
    return tmp_path / "home" / "uploaded"


def assert_refused(data, place, match):
    with pytest.raises(RefusedArchive, match=match) as caught:
        unpack_zip(data, place)
    assert str(caught.value).count("\n") == 0
    assert not place.exists()
    assert not place.parent.exists() or list(place.parent.iterdir()) == []


def test_images_are_unpacked_byte_for_byte_into_their_class_folders(place):
    files = {"normal/a.png": png(1), "normal/sub/b.jpg": png(2), "covid/a.png": png(3)}
    assert unpack_zip(zip_of(files), place) == place
    assert {name: (place / name).read_bytes() for name in unpacked(place)} == files


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
def test_bytes_a_path_and_an_open_file_are_all_accepted(place, tmp_path, kind):
    data = zip_of({"normal/a.png": png()})
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    unpack_zip({"bytes": data, "path": path, "file": io.BytesIO(data)}[kind], place)
    assert unpacked(place) == ["normal/a.png"]


def test_what_was_unpacked_can_be_scanned(place):
    files = {f"data/{c}/person{i}_virus_1.png": png(i) for c in ("normal", "virus") for i in range(3)}
    table = scan_dataset(unpack_zip(zip_of(files), place)).table
    assert table["class_name"].value_counts().to_dict() == {"normal": 3, "virus": 3}


def test_a_single_folder_around_the_classes_is_dropped(place):
    files = {"x/normal/a.png": png(), "x/covid/b.png": png(), "x/readme.txt": b"hello", "__MACOSX/x/._a.png": b"m"}
    unpack_zip(zip_of(files), place)
    assert unpacked(place) == ["covid/b.png", "normal/a.png"]


def test_only_one_folder_around_is_dropped(place):
    unpack_zip(zip_of({"x/train/normal/a.png": png(), "x/test/normal/b.png": png()}), place)
    assert unpacked(place) == ["test/normal/b.png", "train/normal/a.png"]


def test_the_only_class_folder_is_kept(place):
    unpack_zip(zip_of({"covid/a.png": png(), "covid/sub/b.png": png()}), place)
    assert unpacked(place) == ["covid/a.png", "covid/sub/b.png"]


def test_what_is_no_image_is_left_out(place):
    junk = ["normal/.DS_Store", "normal/Thumbs.db", "normal/list.csv", "normal/x.exe", "normal/README",
            "__MACOSX/normal/._a.png", ".git/normal/a.png", "top.png"]  # fmt: skip
    unpack_zip(zip_of({"normal/a.PNG": png()} | dict.fromkeys(junk, b"junk")), place)
    assert unpacked(place) == ["normal/a.PNG"]


TABLE = b"path,label\nimages/a.png,ill\nimages/b.png,well\n"


@pytest.mark.parametrize("above", ["", "x/"])
@pytest.mark.parametrize(
    ("name", "data", "is_kept"),
    [
        ("list.csv", TABLE, True),
        ("list.TSV", TABLE.replace(b",", b"\t"), True),
        ("train.txt", b"1 a.png positive ricord\n", True),
        ("readme.txt", b"hello", False),
        ("images/notes.csv", TABLE, False),
        (".list.csv", TABLE, False),
        ("list.csv", b"x" * 5_000_001, False),
    ],
)
def test_a_label_table_is_unpacked_where_it_lies_above_the_images(place, above, name, data, is_kept):
    files = {
        f"{above}{file}": content
        for file, content in {"images/a.png": png(1), "images/b.png": png(2), name: data}.items()
    }
    unpack_zip(zip_of(files), place)
    assert unpacked(place) == sorted(["images/a.png", "images/b.png", *([name] if is_kept else [])])


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_tables_of_too_many_lines_together_are_left_out(place, monkeypatch, end):
    monkeypatch.setattr(zip_archive, "_MOST_LINES", 5)
    table = f"path,label{end}images/a.png,ill{end}images/b.png,well{end}".encode()
    images, left_out = {"images/a.png": png(1), "images/b.png": png(2)}, []
    files = images | {"a.csv": table, "b.csv": table, "c.csv": table[:25]}
    unpack_zip(zip_of(files), place, left_out=left_out)
    assert unpacked(place) == ["a.csv", "c.csv", "images/a.png", "images/b.png"]
    assert [file for file, _ in left_out] == ["b.csv"]
    assert left_out[0][1].startswith("With this table, all tables have more than ")


def test_a_line_of_utf_16_is_one_line(place, monkeypatch):
    monkeypatch.setattr(zip_archive, "_MOST_LINES", 3)
    table = "path,label\r\nimages/a.png,ill\r\nimages/b.png,well\r\n".encode("utf-16")
    unpack_zip(zip_of({"images/a.png": png(1), "images/b.png": png(2), "list.csv": table}), place)
    assert unpacked(place) == ["images/a.png", "images/b.png", "list.csv"]


def test_tables_of_too_many_bytes_together_are_left_out(place, monkeypatch):
    monkeypatch.setattr(zip_archive, "_MOST_TABLES_BYTES", 2 * len(TABLE))
    left_out = []
    unpack_zip(
        zip_of({"images/a.png": png(1)} | dict.fromkeys(("a.csv", "b.csv", "c.csv"), TABLE)), place, left_out=left_out
    )
    assert unpacked(place) == ["a.csv", "b.csv", "images/a.png"]
    assert [file for file, _ in left_out] == ["c.csv"]


def test_where_the_only_table_is_too_large_the_refusal_says_so(place):
    files = {"a.png": png(1), "list.csv": b"path,label\n" + b"\n" * 200_000}
    with pytest.raises(RefusedArchive, match=r"beside the images. list.csv: With this table, all .* 200,000 lines"):
        unpack_zip(zip_of(files), place)


def test_images_on_top_beside_a_table_are_unpacked_and_have_its_classes(place, tmp_path):
    unpack_zip(zip_of({"a.png": png(1), "b.png": png(2), "list.csv": TABLE.replace(b"images/", b"")}), place)
    assert scan_dataset(place, index_dir=tmp_path / "index").classes == ("ill", "well")


def test_each_source_keeps_its_table(place, tmp_path):
    files = {f"{h}/images/{name}.png": png(number) for number, (h, name) in enumerate(("Aa", "Ab", "Ba", "Bb"))}
    unpack_zip(zip_of(files | {"A/list.csv": TABLE, "B/list.csv": TABLE}), place)
    table = scan_dataset(place, index_dir=tmp_path / "index").table
    assert sorted(zip(table["source"], table["class_name"], strict=True)) == [
        ("A", "ill"), ("A", "well"), ("B", "ill"), ("B", "well"),
    ]  # fmt: skip


def test_a_visitors_table_that_tells_of_too_many_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(visit_folder_of, "__defaults__", (tmp_path / "visits",))
    monkeypatch.setattr(listing, "_MOST_TOLD", 5)
    table = b"subject_id,study_id,no finding,pneumonia\n" + b"1,1,1,0\n" * 3
    files = {"s1/a.png": png(1), "s1/b.png": png(2), "mimic.csv": table}
    for home in ("visits/0123", "mine"):
        (tmp_path / home).mkdir(parents=True)
        unpack_zip(zip_of(files), tmp_path / home / "set")
    with pytest.raises(ValueError, match=r"mimic.csv tells of more than 5 images; shorten it."):
        scan_dataset(tmp_path / "visits/0123/set")
    assert len(scan_dataset(tmp_path / "mine/set", index_dir=tmp_path / "index").table) == 2


@pytest.mark.parametrize("way", ["absolute", "upwards"])
def test_a_visitors_table_names_no_file_outside_of_what_was_uploaded(tmp_path, monkeypatch, way):
    monkeypatch.setattr(visit_folder_of, "__defaults__", (tmp_path / "visits",))
    outside = tmp_path / "mine" / "private.png"
    outside.parent.mkdir()
    outside.write_bytes(png(3))
    place = tmp_path / "visits" / "0123" / "set"
    named = str(outside) if way == "absolute" else "../../../mine/private.png"
    rows = f"path,label,mask\nimages/a.png,ill,{named}\nimages/b.png,well,\n{named},ill,\n"
    unpack_zip(zip_of({"images/a.png": png(1), "images/b.png": png(2), "list.csv": rows.encode()}), place)
    dataset = scan_dataset(place, index_dir=tmp_path / "index")
    assert dataset.table["file"].tolist() == ["images/a.png", "images/b.png"]
    assert "mask" not in dataset.table
    assert dataset.unreadable["error"].str.contains("leads out of the data set").sum() == 2


def test_a_dicom_file_without_ending_is_an_image(place):
    dicom = Path(pydicom.data.get_testdata_file("CT_small.dcm", download=False)).read_bytes()
    unpack_zip(zip_of({"virus/IM0001": dicom, "virus/LICENSE": b"no image"}), place)
    assert unpacked(place) == ["virus/IM0001"]


def test_long_names_and_emoji_are_stored_and_scanned(place):
    names = {"🫁" * 200 + ".png", "a" * 200 + ".jpeg.jpg", "a" * 199 + "b.jpeg.jpg", "person7_virus_1 🫁.png"}
    files = {f"Größe 🩻/{name}": png(i) for i, name in enumerate(sorted(names))}
    unpack_zip(zip_of(files), place)
    table = scan_dataset(place).table
    assert sorted((place / name).read_bytes() for name in unpacked(place)) == sorted(files.values())
    assert set(table["class_name"]) == {"Größe 🩻"}
    assert len(table) == 4
    assert all(len(name.encode()) <= 255 for name in (p.name for p in place.rglob("*")))
    assert "person7" in set(table["patient"].dropna())


@pytest.mark.parametrize("name", ["CON.png", "aux.x.png", 'a?b"c.png', "a\nb.png", "trailing. /a.png"])
def test_a_name_that_some_file_system_does_not_allow_is_replaced(place, name):
    unpack_zip(zip_of({f"normal/{name}": png(), "virus/a.png": png()}), place)
    stored, _ = unpacked(place)
    assert stored.startswith("normal/") and stored.endswith(".png")
    assert stored != f"normal/{name}"
    assert not set(stored) & set('?"\n')


@pytest.mark.parametrize(
    "name",
    ["../a.png", "normal/../../a.png", "/etc/a.png", "//server/a.png", "C:/a.png", "c:a.png", "C:\\a.png",
     "..\\a.png", "normal\\..\\..\\a.png", "normal/..\\../a.png", "\\a.png", "\\\\server\\a.png", "normal/..",
     "normal\\..", "normal/a.png\0.txt"],
)  # fmt: skip
def test_a_name_that_leads_out_is_refused(place, name):
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    assert_refused(zip_of([("normal/ok.png", png()), (info, png())]), place, "leads out")


@pytest.mark.parametrize(
    ("mode", "match"),
    [
        (stat.S_IFLNK | 0o777, "a link"),
        (stat.S_IFIFO | 0o644, "neither a file nor a folder"),
        (stat.S_IFCHR, "neither a file nor a folder"),
    ],
)
def test_a_link_or_a_device_is_refused(place, mode, match):
    info = zipfile.ZipInfo("normal/a.png")
    info.external_attr = mode << 16
    assert_refused(zip_of([(info, b"/etc/passwd")]), place, match)


@pytest.mark.parametrize("name", ["more.zip", "normal/more.tar.gz", "normal/a.7z", "a.RAR", "normal\\x.tgz"])
def test_a_nested_archive_is_passed_over_by_its_ending(place, name):
    unpack_zip(zip_of([("normal/a.png", png()), (windows_entry(name), b"whatever")]), place)
    assert unpacked(place) == ["normal/a.png"]


def test_what_is_left_out_of_a_zip_is_listed_with_a_sentence(place):
    left_out = []
    files = {"normal/a.png": png(), "normal/more.zip": zip_of({"a.png": png()}), "top.png": png(), "set": zip_of({}),
             "normal/c.heic": b"\0\0\0\x18ftypheic" + bytes(40), "normal/d.jxl": b"\xff\x0a" + bytes(40),
             "normal/note.txt": b"a note", "normal/._a.png": b"junk", "normal/scan.txt": png(1)}  # fmt: skip
    unpack_zip(zip_of(files), place, left_out=left_out)
    assert unpacked(place) == ["normal/a.png", "normal/scan.txt"]
    reasons = dict(left_out)
    assert set(reasons) == {"normal/more.zip", "top.png", "set", "normal/c.heic", "normal/d.jxl"}
    assert reasons["normal/more.zip"] == reasons["set"] == AN_ARCHIVE
    assert reasons["top.png"] == IN_NO_CLASS_FOLDER
    assert "HEIC" in reasons["normal/c.heic"] and "JPEG XL" in reasons["normal/d.jxl"]


def test_a_refused_archive_lists_nothing(place):
    left_out = []
    with pytest.raises(RefusedArchive):
        unpack_zip(zip_of({"top.png": png()}), place, left_out=left_out)
    assert left_out == []


def test_an_archive_of_nothing_but_an_archive_is_refused(place):
    assert_refused(zip_of({"inner.zip": b"x"}), place, "nothing but another archive: inner.zip")


def windows_entry(name):
    """An entry as Windows PowerShell 5 writes it: with backslashes, which ZipInfo would replace."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    return info


def test_backslashes_part_folders(place):
    entries = [(windows_entry(f"set\\{c}\\deep\\{i}.png"), png()) for c in ("normal", "covid") for i in range(2)]
    unpack_zip(zip_of([(windows_entry("set\\normal\\"), b""), *entries]), place)
    assert unpacked(place) == [f"{c}/deep/{i}.png" for c in ("covid", "normal") for i in range(2)]


@pytest.mark.parametrize(
    ("form", "encoding"), [("NFD", "utf-8"), ("NFC", "utf-8"), ("NFC", "cp437")], ids=["macOS", "unix", "DOS"]
)
def test_names_are_read_as_they_were_packed_though_nothing_tells_their_encoding(place, form, encoding):
    names = [unicodedata.normalize(form, name) for name in ("Neumonía/ñ.png", "Grün/é.png")]
    # zipfile says UTF-8 of every name that is not ASCII, so others of the same length are written first.
    written = {
        name.encode(encoding): b"%d" % i + b"x" * (len(name.encode(encoding)) - 1) for i, name in enumerate(names)
    }
    data = zip_of([(stand_in.decode(), png()) for stand_in in written.values()])
    for name, stand_in in written.items():
        data = data.replace(stand_in, name)
    unpack_zip(data, place)
    assert unpacked(place) == ["Grün/é.png", "Neumonía/ñ.png"]
    assert [name for name, _ in list_images(io.BytesIO(data))] == names


def test_names_that_clash_once_backslashes_part_folders_are_refused(place):
    entries = [(windows_entry(name), png()) for name in ("normal/a.png", "normal\\a.png")]
    with pytest.raises(RefusedArchive):
        unpack_zip(zip_of(entries), place)
    assert not place.exists()


CASE = Path(__file__).resolve().parents[4] / "shared" / "cases" / "17-windows-zip"


@pytest.mark.skipif(not CASE.is_dir(), reason="needs ../shared/cases/17-windows-zip")
@pytest.mark.parametrize("name", ["backslash.zip", "with_annotations_zip.zip"])
def test_archives_that_people_have_open(place, name):
    unpack_zip(CASE / name, place)
    assert {path.split("/")[0].lower() for path in unpacked(place)} == {"covid", "normal"}


@pytest.mark.parametrize("data", [zip_of({"a": b"x"}), b"7z\xbc\xaf\x27\x1c...", b"Rar!\x1a\x07", b"\x1f\x8b\x08..."])
def test_a_nested_archive_named_like_an_image_is_refused(place, data):
    assert_refused(zip_of({"normal/a.png": png(), "normal/b.png": data}), place, "another archive")


@pytest.mark.parametrize("data", [b"", b"hello", b"Rar!\x1a\x07", png(), zip_of({"normal/a.png": png()})[:-30]])
def test_what_is_no_zip_is_refused(place, data):
    assert_refused(data, place, "not a ZIP")


def test_an_encrypted_archive_is_refused(place):
    data = bytearray(zip_of({"normal/a.png": png()}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert_refused(bytes(data), place, "password")


def test_an_unsupported_compression_is_refused(place):
    assert_refused(zip_of({"normal/a.png": png()}, zipfile.ZIP_LZMA), place, "plain ZIP")


def test_a_broken_image_within_is_refused_and_leaves_nothing(place):
    data = bytearray(zip_of({"normal/a.png": png(1), "normal/b.png": png(2)}, zipfile.ZIP_STORED))
    data[data.index(b"IEND")] ^= 255
    assert_refused(bytes(data), place, "broken at normal/a.png")


def test_too_many_files_are_refused(place, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_FILES", 5)
    assert_refused(zip_of({f"normal/{i}.png": png() for i in range(6)}), place, "more than 5 files")


def test_as_many_files_as_allowed_are_accepted(place, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_FILES", 5)
    assert len(unpacked(unpack_zip(zip_of({f"normal/{i}.png": png() for i in range(5)}), place))) == 5


def test_too_many_files_are_noticed_before_their_table_is_read(place, monkeypatch):
    data = zip_of({f"normal/{i}.png": png() for i in range(6)})
    monkeypatch.setattr(zip_archive, "MAX_FILES", 5)
    monkeypatch.setattr(zip_archive.zipfile, "ZipFile", lambda *a: pytest.fail("the table was read"))
    assert_refused(data, place, "more than 5 files")


def test_an_archive_that_unpacks_to_too_much_is_refused(place, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_TOTAL_BYTES", 3 * len(png()) - 1)
    assert_refused(zip_of({f"normal/{i}.png": png() for i in range(3)}), place, "would take")


def test_an_image_that_is_too_large_is_refused(place, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_FILE_BYTES", 50)
    assert_refused(zip_of({"normal/a.png": png()}), place, "a.png")


def test_a_bomb_of_one_file_is_refused(place):
    assert_refused(zip_of({"normal/a.png": png(), "normal/b.bmp": bytes(20_000_000)}), place, "bomb")


def test_a_bomb_of_many_small_files_is_refused(place):
    assert_refused(zip_of({f"normal/{i}.bmp": bytes(2_000_000) for i in range(20)}), place, "bomb")


def test_a_large_two_valued_image_is_no_bomb(place):
    y, x = np.mgrid[:3000, :4000]
    noise = np.random.default_rng(0).normal(0, 60, (3000, 4000))
    stream = io.BytesIO()
    Image.fromarray(np.where(np.hypot(y - 1500, x - 2000) + noise < 1000, 255, 0).astype(np.uint8)).save(stream, "BMP")
    unpack_zip(zip_of({"normal/a.bmp": stream.getvalue()}), place)
    assert unpacked(place) == ["normal/a.bmp"]


def test_entries_that_share_their_data_are_refused(place):
    """A table of contents whose entries all point at one large file: Fifield's bomb."""
    data = zip_of({"normal/a.png": np.random.default_rng(0).bytes(5000)}, zipfile.ZIP_STORED)
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 9 * len(entry), start, 0)
    assert_refused(data[:start] + 9 * entry + tail, place, "bomb")


def test_more_bytes_than_promised_are_never_written(place):
    """A header that promises 10 bytes for a stream of 5 MB."""
    data = bytearray(zip_of({"normal/a.png": np.random.default_rng(0).bytes(5_000_000)}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        position = data.index(mark) + offset
        data[position : position + 4] = (10).to_bytes(4, "little")
    assert_refused(bytes(data), place, "broken|bomb")


def test_bytes_are_counted_while_unpacking(place, monkeypatch):
    blocks = [bytes(30)] * 4
    monkeypatch.setattr(zip_archive, "_blocks", lambda *a: iter(blocks))
    monkeypatch.setattr(zip_archive, "MAX_FILE_BYTES", 100)
    assert_refused(zip_of({"normal/a.png": png()[:60]}), place, "larger than it claims")


@pytest.mark.parametrize(
    "names",
    [("normal/a.png", "normal/A.PNG"), ("normal/a.png", "Normal/b.png"), ("normal/\u00e9.png", "normal/e\u0301.png"),
     ("normal/a.png", "normal/a.png/b.png"), ("normal/x?.png", "normal/x*.png")],
)  # fmt: skip
def test_names_that_clash_on_some_file_system_are_refused(place, names):
    assert_refused(zip_of([(name, png()) for name in names]), place, "Two names")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(place):
    assert_refused(zip_of([("normal/a.png", png(1)), ("normal/a.png", png(2))]), place, "Two names")


@pytest.mark.parametrize("files", [{}, {"normal/a.txt": b"x"}, {"a.png": png()}, {"normal/": b""}])
def test_an_archive_without_class_folders_of_images_is_refused(place, files):
    assert_refused(zip_of(files), place, "no images")


def test_folders_nested_without_end_are_refused(place):
    assert_refused(zip_of({"normal/" + "x/" * 50 + "a.png": png()}), place, "deep")


def test_an_existing_folder_is_not_touched(place):
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        unpack_zip(zip_of({"normal/a.png": png()}), place)
    assert unpacked(place) == ["mine.txt"]


def test_a_full_disk_leaves_nothing(place, monkeypatch):
    def fill(archive_, info):
        yield png()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zip_archive, "_blocks", fill)
    with pytest.raises(OSError, match="No space left"):
        unpack_zip(zip_of({"normal/a.png": png()}), place)
    assert list(place.parent.iterdir()) == []


def test_progress_ends_with_all_files(place):
    seen = []
    unpack_zip(zip_of({f"normal/{i}.png": png(i) for i in range(60)}), place, progress=lambda *v: seen.append(v))
    assert seen == [(50, 60), (60, 60)]


def test_real_radiographs_survive_an_archive(place, real_radiographs, tmp_path):
    for path in real_radiographs:
        (tmp_path / "data" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "data" / path.parent.name)
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "data")
    unpack_zip(tmp_path / "all.zip", place)
    assert scan_dataset(place).fingerprint == scan_dataset(tmp_path / "data").fingerprint


def test_an_end_that_tells_of_several_disks_is_a_broken_archive(tmp_path):
    # Found by a fuzzer: the check whether it is a ZIP raises.
    data = bytes.fromhex("504b0607504b050601ff4c4c4cff4c4c4c01000000000000004c4c4c4c4cff0100ff")
    with pytest.raises(RefusedArchive, match="broken"):
        unpack_zip(data, tmp_path / "set")
    with pytest.raises(RefusedArchive, match="broken"):
        list_images(io.BytesIO(data))
