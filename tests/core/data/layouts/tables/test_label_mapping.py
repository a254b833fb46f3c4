"""label_mapping.py: what a person says of a table's columns and findings, on the command line and kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cxr_core.cli.main import main
from cxr_core.data.dataset import folder_stamp, scan_dataset
from cxr_core.data.layouts.tables import label_mapping
from cxr_core.data.layouts.tables.label_mapping import (
    COLUMN_FIELDS,
    LabelMapping,
    guess_columns,
    load_mapping,
    mapping_words,
    parse_mapping,
    save_mapping,
)
from cxr_core.data.layouts.tables.root_tables import UnknownColumns, finding_counts, unknown_tables

TABLE = "Image File;Finding, coded;Who\na.png;Effusion|Mass;1\nb.png;Clear;2\nc.png;Mass;3\nd.png;Clear;1\n"


@pytest.fixture
def unknown(tmp_path, monkeypatch):
    """A folder with four images and a table of columns that nobody knows."""
    monkeypatch.setattr(label_mapping, "INDEX_DIR", tmp_path / "index")
    folder = tmp_path / "set"
    folder.mkdir()
    for number, name in enumerate("abcd"):
        Image.new("L", (9, 8), number).save(folder / f"{name}.png")
    (folder / "labels.csv").write_text(TABLE)
    return folder


def classes_of(root, tmp_path):
    table = scan_dataset(root, index_dir=tmp_path / "scans").table
    return dict(zip(table["file"], table["class_name"], strict=True))


def test_a_table_that_nobody_knows_says_its_columns_and_how_to_explain_them(unknown, tmp_path):
    with pytest.raises(UnknownColumns, match="--map path=COLUMN,label=COLUMN") as error:
        scan_dataset(unknown / "labels.csv", index_dir=tmp_path / "scans")
    assert error.value.columns == ("image file", "finding, coded", "who")
    assert error.value.root == unknown / "labels.csv"


def test_values_are_not_shown_as_column_names(unknown, tmp_path):
    (unknown / "labels.csv").write_text("1234567,Jane Doe 1950-01-02\na.png,x\n")
    with pytest.raises(UnknownColumns) as error:
        scan_dataset(unknown / "labels.csv", index_dir=tmp_path / "scans")
    assert "1234567" not in str(error.value) and "1950" not in str(error.value)


@pytest.mark.parametrize("name", ["", "labels.csv"])
def test_explained_columns_are_read_and_kept(unknown, tmp_path, name):
    root = unknown / name
    save_mapping(parse_mapping(["path=Image File,label=Finding, coded,patient=Who"], []), root)
    assert classes_of(root, tmp_path) == {"a.png": "other", "b.png": "Clear", "c.png": "Mass", "d.png": "Clear"}
    table = scan_dataset(root, index_dir=tmp_path / "scans").table.set_index("file")
    assert table["patient"].to_dict() == {"a.png": "1", "b.png": "2", "c.png": "3", "d.png": "1"}


def test_findings_form_the_classes_that_a_person_says(unknown, tmp_path):
    columns = ["path=image file,label=finding, coded"]
    save_mapping(parse_mapping(columns, ["effusion=ill,clear=normal", "mass="]), unknown)
    assert classes_of(unknown, tmp_path) == {"a.png": "ill", "b.png": "normal", "d.png": "normal"}
    dataset = scan_dataset(unknown, index_dir=tmp_path / "scans")
    assert dataset.unreadable["error"].str.contains("their findings form no class: 1").any()
    assert finding_counts(unknown) == {"Mass": (2, None), "Clear": (2, "normal"), "Effusion": (1, "ill")}


def test_another_mapping_changes_the_stamp_so_that_an_open_page_reads_anew(unknown):
    save_mapping(parse_mapping(["path=image file,label=finding, coded"], []), unknown)
    before = folder_stamp(unknown)
    save_mapping(parse_mapping(["path=image file,label=finding, coded"], ["clear=normal"]), unknown)
    assert folder_stamp(unknown) != before


def test_the_command_line_explains_a_table_for_all_later_commands_and_forgets_it(unknown, capsys):
    names = [f"{number}.png" for number in range(12)]
    for number, name in enumerate(names):
        Image.new("L", (9, 8), number).save(unknown / name)
    rows = [f"{name};{'Clear' if number % 2 else 'Mass'};{number}" for number, name in enumerate(names)]
    (unknown / "labels.csv").write_text("\n".join(["Image File;Finding, coded;Who", *rows]))
    explain = ["--map", "path=Image File,label=Finding, coded", "--classes", "Clear=normal"]
    assert main(["split", str(unknown), "--kind", "random", *explain, "--json", "-"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {f["file"]: f["class"] for f in files}["1.png"] == "normal"
    assert load_mapping(unknown).classes == {"clear": "normal"}
    main(["split", str(unknown), "--kind", "random", "--classes", "Mass=lump"])
    assert load_mapping(unknown).classes == {"clear": "normal", "mass": "lump"}
    assert main(["split", str(unknown), "--map", "none"]) == 1  # a folder of loose images is no data set
    assert load_mapping(unknown) == LabelMapping()


def test_columns_that_no_table_has_are_refused_and_nothing_is_kept(unknown, capsys):
    assert main(["split", str(unknown), "--map", "path=Fil,label=Finding, coded"]) == 1
    assert "There is no label table with the columns fil, finding, coded" in capsys.readouterr().err
    assert load_mapping(unknown) == LabelMapping()


def test_an_unread_table_beside_class_folders_is_named(unknown):
    assert unknown_tables(unknown) == {"labels.csv": ("image file", "finding, coded", "who")}
    save_mapping(parse_mapping(["path=image file,label=finding, coded"], []), unknown)
    assert unknown_tables(unknown) == {}


@pytest.mark.parametrize(
    ("columns", "classes", "sentence"),
    [
        (["path"], [], "--map takes NAME=VALUE"),
        (["path=a"], [], "must name the columns of path and label"),
        (["path=a,label=b,path=c"], [], "names 'path' twice"),
        (["path=a,label=b", "hair=c"], [], "A column tells one of path, label"),
        ([], ["=x"], "--classes takes NAME=VALUE"),
    ],
)
def test_a_mapping_that_is_not_written_as_it_must_be_is_a_sentence(columns, classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_mapping(columns, classes)


def test_a_broken_file_of_a_mapping_is_named(unknown):
    save_mapping(LabelMapping({"path": "a", "label": "b"}), unknown)
    label_mapping._path(unknown).write_text("[]")
    with pytest.raises(ValueError, match="holds no mapping of a label table"):
        load_mapping(unknown)


words = st.text("abcdefgh ,-", min_size=1).map(str.strip).filter(lambda w: w and not w.startswith(","))


@given(st.dictionaries(st.sampled_from(COLUMN_FIELDS[2:]), words), words, words)
def test_the_words_of_a_mapping_say_the_same_again(further, path, label):
    mapping = parse_mapping(["path=x,label=y"], [])
    mapping = LabelMapping({"path": path, "label": label, **further}, mapping.classes)
    option, text = mapping_words(mapping)
    assert option == "--map"
    again = parse_mapping([text], [])
    assert {k: v.strip(" ,") for k, v in again.columns.items()} == {
        k: v.strip(" ,") for k, v in mapping.columns.items()
    }


def test_what_columns_tell_is_guessed_by_whole_words():
    assert guess_columns(("image width", "image file", "finding", "age_years")) == {
        "path": "image file", "label": "finding", "age": "age_years",
    }  # fmt: skip
