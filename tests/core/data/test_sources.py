"""sources.py: a source is what a table says, or the folder of a data set, and two folders of one name are two."""

import cv2
import pandas as pd
import pytest
from conftest import draw_texture

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.sources import image_sources, source_label, source_names


@pytest.fixture
def hospitals(tmp_path):
    """Two data sets whose folders have one name, in places of their own."""
    roots = [tmp_path / place / "images" for place in ("north", "south")]
    for k, root in enumerate(roots):
        for i, name in enumerate(("normal", "virus")):
            (root / name).mkdir(parents=True)
            cv2.imwrite(str(root / name / "0.png"), draw_texture(2 * k + i))
    return roots


def test_two_data_sets_of_one_name_are_two_sources(hospitals):
    table = scan_dataset(*hospitals).table
    assert source_names(table) == ["north/images", "south/images"]
    for path, source in zip(table["path"], image_sources(table), strict=True):
        assert f"/{source}/" in path


def test_one_data_set_is_named_by_its_folder_alone(hospitals):
    assert source_names(scan_dataset(*hospitals[:1]).table) == ["images"]


def test_what_a_table_says_counts_first_and_a_file_outside_any_data_set_is_of_its_own_folder():
    rows = [("/a/b/x.png", "x.png", "told"), ("/a/b/x.png", "x.png", None), ("/c/d/y.png", "/c/d/y.png", None)]
    assert image_sources(pd.DataFrame(rows, columns=["path", "file", "source"])).tolist() == ["told", "b", "d"]


def test_a_known_short_name_is_read_as_the_hospital_and_any_other_name_stays():
    assert source_label("hannover") == source_label("Hannover") == "Hannover Medical School"
    assert source_label("North Hospital") == "North Hospital"
    assert source_label("") == ""


def test_no_two_short_names_of_the_built_in_classifier_are_read_as_one():
    sources = pd.read_csv(SHIPPED_MODEL_DIR / "predictions.csv")["source"].unique()
    labels = {source_label(name) for name in sources}
    assert len(labels) == len(sources) and not labels & set(sources)


def test_what_is_stored_keeps_the_short_name(tmp_path):
    folder = tmp_path / "hannover" / "covid"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "0.png"), draw_texture(0))
    assert source_names(scan_dataset(tmp_path / "hannover").table) == ["hannover"]
