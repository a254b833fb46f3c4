"""What is written comes back, and nothing but that."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxr_core.data import file_index
from cxr_core.data.file_index import INDEX_SCHEMA, index_folder, load_index, save_index


@pytest.fixture
def facts():
    """Three files: an image, an unreadable one and one that is passed over."""
    rows = [
        (0, "normal/a.dcm", 10, 2**62, 512, 400, "DICOM", "k", "i", None, "b", "ab" * 32, None),
        (0, "normal/🫁.png", 0, 5, 0, 0, *[None] * 6, "The file is empty."),
        (1, "virus/README", 3, -1, 0, 0, *[None] * 6, ""),
    ]
    return pd.DataFrame(rows, columns=INDEX_SCHEMA.names)


def values(frame):
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame.itertuples(index=False)]


def test_what_is_saved_is_loaded_with_its_types(facts, tmp_path):
    save_index(facts, tmp_path / "deep" / "down")
    loaded = load_index(tmp_path / "deep" / "down")
    assert values(loaded) == values(facts)
    assert loaded.dtypes.map(str).to_dict() == {
        "root": "int16", "file": "str", "bytes": "int64", "mtime_ns": "int64", "width": "int32", "height": "int32",
        "format": "str", "dicom_key": "str", "dicom_id": "str", "dicom_issuer": "str", "dicom_birth": "str",
        "digest": "str", "error": "str",
    }  # fmt: skip


def test_the_index_is_a_parquet_file_that_others_read(facts, tmp_path):
    save_index(facts, tmp_path)
    assert values(pd.read_parquet(tmp_path / "files.parquet")) == values(facts)


def test_where_there_is_no_index_nothing_is_known(tmp_path):
    loaded = load_index(tmp_path / "nowhere")
    assert len(loaded) == 0
    assert list(loaded) == INDEX_SCHEMA.names


def test_a_broken_index_says_nothing_or_the_truth(facts, tmp_path):
    facts = pd.concat([facts.assign(file=f"{i}.png", bytes=i) for i in range(200)], ignore_index=True)
    save_index(facts, tmp_path)
    path, truth, rng = tmp_path / "files.parquet", values(facts), np.random.default_rng(0)
    whole = path.read_bytes()
    for i in range(120):
        broken = bytearray(whole[: rng.integers(len(whole))] if i % 3 == 0 else whole)
        if i % 3:
            # The last bytes of a Parquet file describe the rest: half of the hits go there.
            position = rng.integers(len(whole)) if i % 3 == 1 else len(whole) - rng.integers(1, 1500)
            broken[position] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(broken))
        assert values(load_index(tmp_path)) in ([], truth)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_index_is_ignored(tmp_path, content):
    (tmp_path / "files.parquet").write_bytes(content)
    assert len(load_index(tmp_path)) == 0


def test_an_index_of_another_version_is_ignored(facts, tmp_path, monkeypatch):
    save_index(facts, tmp_path)
    monkeypatch.setattr(file_index, "INDEX_SCHEMA", INDEX_SCHEMA.with_metadata({"cxr_lab_index": "0"}))
    assert len(load_index(tmp_path)) == 0


def test_an_index_with_other_columns_is_ignored(facts, tmp_path):
    table = pa.Table.from_pandas(facts.drop(columns="digest"), preserve_index=False)
    pq.write_table(table.replace_schema_metadata(INDEX_SCHEMA.metadata), tmp_path / "files.parquet")
    assert len(load_index(tmp_path)) == 0


def test_a_failed_writing_leaves_the_old_index(facts, tmp_path, monkeypatch):
    save_index(facts, tmp_path)
    monkeypatch.setattr(pq, "write_table", lambda *a, **k: (_ for _ in ()).throw(OSError("No space left")))
    with pytest.raises(OSError, match="No space"):
        save_index(facts[:1], tmp_path)
    assert values(load_index(tmp_path)) == values(facts)
    assert [p.name for p in tmp_path.iterdir()] == ["files.parquet"]


def test_a_folder_is_named_after_the_first_root_and_all_of_them(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    folders = {index_folder(roots, tmp_path) for roots in ([one], [two], [one, two], [two, one])}
    assert len(folders) == 4
    assert index_folder([one, two], tmp_path).parent == tmp_path
    assert index_folder([one, two], tmp_path).name.startswith("one-")


def test_two_spellings_of_a_root_have_one_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert index_folder(["data"], tmp_path) == index_folder([tmp_path / "x" / ".." / "data"], tmp_path)


@pytest.mark.parametrize("name", ["🫁" * 60, "x" * 250, ""])
def test_any_roots_name_gives_a_folder_that_can_be_made(name, tmp_path, facts):
    root = tmp_path / name if name else tmp_path.anchor
    save_index(facts, index_folder([root], tmp_path / "index"))
    assert values(load_index(index_folder([root], tmp_path / "index"))) == values(facts)


def test_no_roots_have_a_folder_too(tmp_path):
    assert index_folder([], tmp_path).parent == tmp_path
