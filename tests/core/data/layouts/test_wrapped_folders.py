"""wrapped_folders.py, layout_sentence.py and masks: data sets as archives unpack them, and what is said of them."""

import pytest
from PIL import Image

from cxr_core.cli.main import main
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.tables import label_mapping


def draw(folder, *names):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 8), number).save(path)


def scan(root, tmp_path):
    return scan_dataset(root, index_dir=tmp_path / "index")


@pytest.mark.parametrize("above", ["archive", "archive/COVID-19_Radiography_Dataset"])
def test_class_folders_below_folders_of_their_own_are_the_classes(tmp_path, above):
    draw(tmp_path / "set", f"{above}/COVID/images/a.png", f"{above}/Normal/images/b.png", f"{above}/Lung_Opacity/c.png")
    dataset = scan(tmp_path / "set", tmp_path)
    assert dataset.classes == ("Normal", "COVID", "Lung_Opacity")
    assert f"{above}/COVID/images/a.png" in set(dataset.table["file"])
    assert dataset.layouts == (f"set: One folder per class, below {above}. 3 images in 3 classes.",)


def test_sides_and_tables_are_found_below_a_folder_too(tmp_path):
    draw(tmp_path / "sides", "chest_xray/train/NORMAL/a.png", "chest_xray/test/NORMAL/b.png")
    assert sorted(scan(tmp_path / "sides", tmp_path).table["split"]) == ["test", "train"]
    draw(tmp_path / "table", "set/images/a.png", "set/images/b.png")
    (tmp_path / "table" / "set" / "list.csv").write_text("path,label\nimages/a.png,sick\nimages/b.png,well\n")
    dataset = scan(tmp_path / "table", tmp_path)
    assert dataset.classes == ("sick", "well")
    assert "below set" in dataset.layouts[0] and "list.csv" in dataset.layouts[0]


@pytest.mark.parametrize("names", [("covid/1/a.png", "covid/2/b.png"), ("covid/a.png", "covid/b.png")])
def test_a_single_class_stays_a_class_whatever_folders_it_holds(tmp_path, names):
    draw(tmp_path / "set", *names)
    assert scan(tmp_path / "set", tmp_path).classes == ("covid",)


def test_each_image_has_the_mask_of_its_name_from_the_nearest_folder_of_masks(tmp_path):
    draw(tmp_path / "set", "COVID/images/a.png", "COVID/images/b.png", "COVID/masks/a.png", "Normal/images/a.png")
    table = scan(tmp_path / "set", tmp_path).table.set_index("file")
    assert table["mask"].dropna().to_dict() == {
        "COVID/images/a.png": str(tmp_path / "set" / "COVID" / "masks" / "a.png")
    }


def test_a_table_may_name_masks(tmp_path):
    draw(tmp_path / "set", "a.png", "m/a.png", "b.png")
    (tmp_path / "set" / "list.csv").write_text("path,label,mask\na.png,sick,m/a.png\nb.png,well,\n")
    table = scan(tmp_path / "set", tmp_path).table.set_index("file")
    assert table["mask"].dropna().to_dict() == {"a.png": str(tmp_path / "set" / "m" / "a.png")}


def test_what_was_passed_over_is_counted_by_its_reason(tmp_path):
    names = [f"{n}.png" for n in range(6)]
    draw(tmp_path / "set", *names)
    rows = "".join(f"{name},{'' if n < 2 else 'well'}\n" for n, name in enumerate(names))
    (tmp_path / "set" / "list.csv").write_text(f"path,label\n{rows}gone1.png,well\ngone2.png,well\ngone3.png,sick\n")
    (sentence,) = scan(tmp_path / "set", tmp_path).layouts
    assert "4 images in 1 class." in sentence
    assert "3 × this file is listed in list.csv, but it is not there" in sentence
    assert "2 × it has no label" in sentence


def test_a_reason_that_tells_of_several_images_counts_them(tmp_path):
    draw(tmp_path / "set", *(f"images/{n}.png" for n in range(11)))
    (tmp_path / "set" / "list.csv").write_text("path,label\nimages/0.png,sick\nimages/1.png,well\n")
    (sentence,) = scan(tmp_path / "set", tmp_path).layouts
    assert sentence.endswith("9 × images here to which the label table gives no class.")


def test_one_reason_on_several_lines_is_one_reason(tmp_path):
    draw(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    rows = "".join(f"{n}.png,{'well' if n % 2 else 'sick'}\n" for n in range(4))
    (tmp_path / "set" / "list.csv").write_text(f"path,label\n{rows}{rows}0.png,well,too\n1.png,well,much\n")
    (sentence,) = scan(tmp_path / "set", tmp_path).layouts
    assert "4 × it repeats … of line …" in sentence
    assert "2 × line … has more values than there are columns" in sentence


def test_it_is_said_what_a_table_tells_besides_the_class_and_of_how_many(tmp_path):
    draw(tmp_path / "set", "a.png", "b.png", "c.png")
    rows = "a.png,sick,p1,PA,45,M\nb.png,well,p2,AP,,\nc.png,well,,PA,61,\n"
    (tmp_path / "set" / "list.csv").write_text(f"path,label,patient,view,age,sex\n{rows}")
    (sentence,) = scan(tmp_path / "set", tmp_path).layouts
    assert "in 2 classes. Also told: patient (of 2), view, age group (of 2) and sex (of 1)." in sentence


def test_what_folders_tell_besides_the_class_is_said_too(tmp_path):
    draw(tmp_path / "set", *(f"{side}/{name}/{side}.png" for side in ("train", "test") for name in ("sick", "well")))
    assert scan(tmp_path / "set", tmp_path).layouts[0].endswith("4 images in 2 classes. Also told: split.")


def test_what_is_said_of_a_table_counts_below_a_folder_of_its_own_too(tmp_path, monkeypatch):
    monkeypatch.setattr(label_mapping, "INDEX_DIR", tmp_path / "index")
    draw(tmp_path / "set", *(f"unpacked/data/images/{n}.png" for n in range(10)))
    rows = "".join(f"{n}.png,{'Mass' if n % 2 else 'Clear'}\n" for n in range(10))
    (tmp_path / "set" / "unpacked" / "data" / "list.csv").write_text(f"picture,outcome\n{rows}")
    options = ["--map", "path=picture,label=outcome", "--classes", "Clear=normal"]
    assert main(["split", str(tmp_path / "set"), "--kind", "random", *options]) == 0
    assert scan(tmp_path / "set", tmp_path).table["class_name"].value_counts().to_dict() == {"Mass": 5, "normal": 5}
