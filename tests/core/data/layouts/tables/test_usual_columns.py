"""Tables as people make them: columns called as such columns are, none at all, lines above them, one table a side."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.data.layouts.test_split_folders import fill
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.tables.label_mapping import parse_mapping, save_mapping
from cxr_core.data.layouts.tables.root_tables import UnknownColumns
from cxr_core.data.layouts.tables.table_file import read_table

PATHS = {
    "image": "{i}.png", "Image Index": "{i}.png", "filename": "images/{i}.png", "file_name": "{i}",
    "img_path": "/data/images/{i}.png", "X_ray_image_name": "{i}.jpeg", "image_id": "{i}", "id": "{i}",
    "Path": "images\\{i}.png",
}  # fmt: skip
LABELS = ["label", "Class", "diagnosis", "target", "Finding Labels", "category", "labels"]
FURTHER = {
    "Patient ID": ("P{i}", "patient", "P{i}"), "dataset_type": ("TRAIN", "split", "train"),
    "View Position": ("PA", "view", "PA"), "Patient Age": ("45Y", "age_group", "40 to 64"),
    "gender": ("F", "sex", "female"), "hospital": ("H", "source", "H"),
}  # fmt: skip


@pytest.fixture
def images(tmp_path):
    return fill(tmp_path / "set", "images", images=4)


def scan(root, tmp_path):
    return scan_dataset(root, index_dir=tmp_path / "index")


def write(root, header, cells, *, name="labels.csv", above="", separator=","):
    lines = [separator.join(row) for row in ([header] if header else []) + cells]
    (root / name).write_text(above + "\n".join(lines) + "\n")


@given(
    path=st.sampled_from(list(PATHS)),
    label=st.sampled_from(LABELS),
    further=st.sets(st.sampled_from(list(FURTHER))),
    numbered=st.booleans(),
    above=st.sampled_from(["", "# made by hand\n", "\n\n", "sep={separator}\n", '"sep={separator}"\r\n']),
    separator=st.sampled_from(",;\t|"),
    data=st.data(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_that_are_called_as_they_usually_are_are_read(
    tmp_path_factory, path, label, further, numbered, above, separator, data
):
    tmp_path = tmp_path_factory.mktemp("usual")
    root = fill(tmp_path / "set", "images", images=4)
    # These are the columns of NIH.
    assume(not {"Image Index", "Finding Labels", "Patient ID", "Patient Age"} <= {path, label, *further})
    cell = {path: PATHS[path], label: "{c}"} | {name: FURTHER[name][0] for name in further}
    order = data.draw(st.permutations(list(cell)))
    rows = [[cell[name].format(i=i, c="ill" if i % 2 else "well") for name in order] for i in range(4)]
    if numbered:
        order, rows = ["", *order], [[str(n), *row] for n, row in enumerate(rows)]
    write(root, order, rows, above=above.format(separator=separator), separator=separator)
    dataset = scan(root, tmp_path)
    table = dataset.table.sort_values("file")
    assert table["file"].tolist() == [f"images/{i}.png" for i in range(4)]
    assert table["class_name"].tolist() == ["well", "ill", "well", "ill"]
    for name in further:
        _, column, value = FURTHER[name]
        assert table[column].tolist() == [value.format(i=i) for i in range(4)]
    if further or (path, label) != ("Path", "label"):
        assert f"path from {path.lower()}, label from {label.lower()}" in dataset.layouts[0]


def test_a_list_as_python_writes_it_is_no_part_of_a_class(images, tmp_path):
    write(images, ["image", "labels"], [[f"{i}.png", "['ill']"] for i in range(4)])
    assert scan(images, tmp_path).classes == ("ill",)


@pytest.mark.parametrize("cells", [["images/{i}.png", "{c}"], ["{c}", "{i}.png"]])
def test_a_table_of_paths_and_labels_without_names_is_read(images, tmp_path, cells):
    rows = [[cell.format(i=i, c="ill" if i else "well") for cell in cells] for i in range(4)]
    write(images, None, rows)
    dataset = scan(images, tmp_path)
    assert dataset.table["class_name"].value_counts().to_dict() == {"ill": 3, "well": 1}
    assert dataset.unreadable.empty


def test_lines_are_counted_from_the_top_of_the_file(images, tmp_path):
    write(images, ["path", "label"], [["images/0.png", "ill"], ["images/1.png", ""]], above="# one\n# two\nsep=,\n")
    assert "Line 6 is passed over: it has no label." in scan(images, tmp_path).unreadable["error"].tolist()


@pytest.mark.parametrize("header", [["path", "label"], ["image", "class"]])
def test_tables_that_are_called_after_the_sides_are_the_split(images, tmp_path, header):
    for side, first in (("train", 0), ("valid", 2), ("test", 3)):
        write(
            images,
            header,
            [[f"images/{i}.png", "ill"] for i in range(first, {0: 2}.get(first, first + 1))],
            name=f"{side}.csv",
        )
    table = scan(images, tmp_path).table.sort_values("file")
    assert table["split"].tolist() == ["train", "train", "validation", "test"]


@given(
    classes=st.lists(st.sampled_from(["Normal", "COVID-19", "Lungen Opazität", "y1", "N"]), min_size=2, unique=True),
    further=st.sets(st.sampled_from(list(FURTHER))),
    path=st.sampled_from(list(PATHS)),
    yes=st.sampled_from(["1", "1.0"]),
    data=st.data(),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_with_one_column_for_each_class_is_read(tmp_path_factory, classes, further, path, yes, data):
    tmp_path = tmp_path_factory.mktemp("hot")
    root = fill(tmp_path / "set", "images", images=6)
    told = [*classes[:2], *data.draw(st.lists(st.sampled_from(classes), min_size=4, max_size=4))]
    no = "0" + yes[1:]
    header = data.draw(st.permutations([path, *classes, *further]))
    cells = [
        {path: PATHS[path].format(i=i)}
        | {name: yes if name == told[i] else no for name in classes}
        | {name: FURTHER[name][0].format(i=i) for name in further}
        for i in range(6)
    ]
    write(root, header, [[row[name] for name in header] for row in cells])
    table = scan(root, tmp_path).table.sort_values("file")
    assert table["class_name"].tolist() == [_spelt(name) for name in told]
    for name in further:
        _, column, value = FURTHER[name]
        assert table[column].tolist() == [value.format(i=i) for i in range(6)]


def _spelt(name):
    """A class as a table's column tells it, in small letters."""
    return name.lower()


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["image", "male", "female"], ["1,0", "0,1", "1,0", "0,1"]),
        (["image", "train", "test"], ["1,0", "0,1", "1,0", "0,1"]),
        (["image", "edema", "mass"], ["1,0", "1,1", "0,1", "0,0"]),
        (["image", "intubated", "visible"], ["0,1", "0,1", "0,1", "0,1"]),
        (["image", "edema", "mass"], ["1,0", "2,1", "0,1", "0,0"]),
        (["image", "covid"], ["1", "0", "1", "0"]),
    ],
)
def test_columns_of_ones_that_are_no_classes_are_asked_for(images, tmp_path, header, rows):
    write(images, header, [[f"images/{i}.png", *row.split(",")] for i, row in enumerate(rows)])
    assert "not read: labels.csv" in scan(images, tmp_path).layouts[0]
    with pytest.raises(ValueError, match="those of no known label table"):
        scan(images / "labels.csv", tmp_path)


@pytest.mark.parametrize("header", [["Datei", "Befund"], ["study_id", "findings"], ["image", "pneumonia"]])
def test_columns_that_nobody_knows_are_asked_for_where_the_images_lie_in_no_folder(tmp_path, header):
    root = fill(tmp_path / "set", "", images=4)
    write(root, header, [[f"{i}.png", "yes"] for i in range(4)], separator=";")
    with pytest.raises(UnknownColumns, match=rf"columns {', '.join(header).lower()}, which .* --map path=COLUMN"):
        scan(root, tmp_path)
    save_mapping(parse_mapping([f"path={header[0]},label={header[1]}"], []), root)
    assert scan(root, tmp_path).classes == ("yes",)


def test_a_note_is_no_table_to_ask_for(tmp_path):
    root = fill(tmp_path / "set", "", images=1)
    (root / "README.txt").write_text("Radiographs of our clinic, made by us\n")
    with pytest.raises(ValueError, match="This image lies in no class folder"):
        scan(root, tmp_path)


def test_a_table_of_notes_beside_the_images_of_the_only_class_is_no_reason_to_ask(tmp_path):
    root = fill(tmp_path / "set", "covid", images=4)
    write(root / "covid", ["Datei", "Befund"], [["0.png", "yes"]])
    assert scan(root, tmp_path).classes == ("covid",)


def test_a_table_with_one_column_for_each_class_is_one_in_all_its_rows(images, tmp_path):
    rows = [[f"{i}.png", str(i % 2), str(1 - i % 2)] for i in range(9_000)]
    write(images, ["image", "edema", "mass"], rows)
    assert scan(images, tmp_path).classes == ("edema", "mass")
    write(images, ["image", "edema", "mass"], [*rows, ["x.png", "1", "1"]])
    assert "not read: labels.csv" in scan(images, tmp_path).layouts[0]


def test_a_table_beside_folders_of_known_classes_does_not_take_their_place(tmp_path):
    root = fill(tmp_path / "set", "covid", "normal")
    write(root, ["image", "class"], [["0.png", "ill"]])
    dataset = scan(root, tmp_path)
    assert dataset.classes == ("normal", "covid")
    assert "not read: labels.csv (columns image, class)" in dataset.layouts[0]


def test_a_table_of_a_public_set_goes_before_one_of_boxes_beside_it(images, tmp_path):
    header = ["Image Index", "Finding Labels", "Patient ID", "Patient Age"]
    write(images, header, [[f"{i}.png", "Mass", str(i), "40"] for i in range(4)])
    boxes = ["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"]
    write(images, boxes, [["0.png", "Nodule", *"1234"]], name="BBox_List.csv")
    dataset = scan(images, tmp_path)
    assert dataset.classes == ("mass",)
    assert "not read: BBox_List.csv (columns image index, finding label, bbox [x, y, w, h])" in dataset.layouts[0]


def test_an_image_that_was_saved_in_another_format_is_the_one_that_is_listed(images, tmp_path):
    write(images, ["path", "label"], [[f"{i}.jpg", "ill"] for i in range(4)])
    assert len(scan(images, tmp_path).table) == 4


def test_a_spreadsheet_beside_images_of_no_class_is_named(images, tmp_path):
    (images / "labels.xlsx").write_bytes(b"PK")
    (sentence,) = scan(images, tmp_path).layouts
    assert "not read: labels.xlsx (saved as CSV it can be the label table)" in sentence


def test_a_label_is_the_class_itself_whatever_else_is_told(images, tmp_path):
    cells = [[f"images/{i}.png", "effusion|mass"] for i in range(4)]
    write(images, ["path", "label"], cells)
    alone = scan(images, tmp_path).classes
    write(images, ["path", "label", "gender"], [[*row, "F"] for row in cells])
    assert scan(images, tmp_path).classes == alone == ("effusion|mass",)


def test_blank_lines_above_a_table_cost_no_more_than_lines():
    # Copied once for each of them, the text would take minutes.
    table = read_table(b"\n" * 2_000_000 + b"path,label\na.png,ill\n", "labels.csv")
    assert table.rows == [(2_000_002, {"path": "a.png", "label": "ill"})]
