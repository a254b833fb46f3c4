"""Everything that can be said about a data set, as plain values with relative paths."""

import json
from itertools import combinations

import cv2
import numpy as np
import pytest
from conftest import draw_texture, silent
from PIL import Image

from cxr_core.audit.data_audit import audit_report, audit_summary, flag_dataset
from cxr_core.audit.quality_flags import FLAGS
from cxr_core.data.dataset import scan_dataset
from cxr_core.splits.curation import Curation, exclude, mark_distinct
from cxr_core.splits.split import SPLIT_KINDS

pytestmark = [
    pytest.mark.filterwarnings("ignore:The least populated class:UserWarning"),
    pytest.mark.usefixtures("small_forests"),
]
COPIES = [("normal/n0.png", "normal/n0-small.png"), ("normal/n1.png", "virus/n1-elsewhere.png")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 textures in two classes, five patients of four; two copies, a black, a colour and an unreadable image."""
    root = tmp_path_factory.mktemp("textures")
    for name in ("normal", "virus"):
        (root / name).mkdir()
    for i in range(20):
        cv2.imwrite(str(root / "normal" / f"n{i}.png"), draw_texture(i))
        cv2.imwrite(str(root / "virus" / f"person{i // 4}_virus_{i}.png"), draw_texture(100 + i))
    cv2.imwrite(str(root / COPIES[0][1]), cv2.resize(draw_texture(0), (200, 200), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(root / COPIES[1][1]), cv2.convertScaleAbs(draw_texture(1), alpha=0.8))
    Image.new("L", (300, 300), 3).save(root / "normal" / "black.png")
    red = cv2.merge([draw_texture(50) // 3, draw_texture(50) // 3, draw_texture(50)])
    cv2.imwrite(str(root / "virus" / "red.png"), red)
    (root / "virus" / "broken.png").write_text("no image")
    return root


@pytest.fixture(scope="module")
def dataset(folder):
    return scan_dataset(folder)


@pytest.fixture(scope="module")
def report(dataset, small_forests):
    return audit_report(dataset, Curation(), phase=silent)


def rows_of(dataset, *files):
    return dataset.table[dataset.table["file"].isin(files)]


def test_the_report_is_plain_json_with_no_undefined_number(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_it_has_the_keys_it_promises(report):
    keys = {
        "sources",
        "layouts",
        "images",
        "classes",
        "unreadable",
        "excluded",
        "duplicate_groups",
        "flags",
        "patients",
        "leakage",
        "giveaway",
    }
    assert set(report) == keys
    assert set(report["flags"]) == set(FLAGS)
    assert set(report["giveaway"]) >= {"accuracy", "chance", "top"}


def test_images_are_counted_per_class(report):
    assert report["images"] == 44
    assert {name: values["images"] for name, values in report["classes"].items()} == {"normal": 22, "virus": 22}


def test_duplicate_groups_are_lists_of_files(report):
    assert sorted(map(sorted, report["duplicate_groups"])) == sorted(map(sorted, COPIES))


def test_every_path_is_relative_to_the_folder_and_leads_to_a_file(report, folder):
    flagged = [file for files in report["flags"].values() for file in files]
    unreadable = [row["file"] for row in report["unreadable"]]
    paths = [*sum(report["duplicate_groups"], []), *flagged, *unreadable]
    assert unreadable == ["virus/broken.png"]
    assert all((folder / path).is_file() and not path.startswith("/") for path in paths)
    assert str(folder) not in json.dumps(report)


def test_a_black_and_a_red_image_are_flagged_and_a_texture_is_not(report):
    assert "normal/black.png" in report["flags"]["too_dark"]
    assert report["flags"]["colour"] == ["virus/red.png"]
    assert "normal/n5.png" not in report["flags"]["too_dark"]


def test_the_grouped_split_shares_nothing_and_the_others_say_how_much(report):
    assert set(report["leakage"]) == set(SPLIT_KINDS) - {"given", "source"}
    assert report["leakage"]["grouped"]["share_with_train"] == 0
    assert report["leakage"]["grouped"]["test_images"] > 0
    assert report["leakage"]["stratified"]["share_with_train"] > 0
    assert report["leakage"]["article"]["chose_the_epoch"] == report["leakage"]["article"]["test_images"]


def test_what_gives_the_class_away_is_a_share_beside_chance(report):
    correlations = report["giveaway"]
    assert correlations["chance"] == 0.5
    assert 0 <= correlations["accuracy"] <= 1
    assert correlations["top"][0]["accuracy"] == max(fact["accuracy"] for fact in correlations["top"])


def test_the_same_data_give_the_same_report(report, dataset):
    assert audit_report(dataset, Curation(), phase=silent) == report


def test_excluded_images_are_listed_and_take_no_part_in_splits(report, dataset):
    out = [f"virus/person{i // 4}_virus_{i}.png" for i in range(4, 20)]
    audited = audit_report(dataset, exclude(Curation(), rows_of(dataset, *out), "by hand"), phase=silent)
    assert sorted(audited["excluded"]) == sorted(out)
    assert audited["images"] == report["images"]
    assert audited["leakage"]["article"]["test_images"] == np.ceil(0.2 * (44 - 16))
    assert audited["giveaway"]["chance"] == 22 / 28


def test_a_group_marked_as_distinct_is_no_duplicate_group(dataset):
    curation = mark_distinct(Curation(), rows_of(dataset, *COPIES[0]))
    (group,) = audit_report(dataset, curation, phase=silent)["duplicate_groups"]
    assert sorted(group) == sorted(COPIES[1])


def test_leaving_all_images_of_one_class_out_still_gives_a_report(dataset):
    virus = dataset.table[dataset.table["class_name"] == "virus"]
    audited = audit_report(dataset, exclude(Curation(), virus, "by hand"), phase=silent)
    assert audited["giveaway"]["accuracy"] is None
    assert "at least two classes" in audited["leakage"]["grouped"]["note"]
    assert audit_summary(audited)


def test_leaving_everything_out_still_gives_a_report(dataset):
    audited = audit_report(dataset, exclude(Curation(), dataset.table, "by hand"), phase=silent)
    assert len(audited["excluded"]) == 44
    assert audit_summary(audited)


def test_the_summary_says_the_counts_in_words(report):
    summary = audit_summary(report)
    assert "Duplicates: 4 images in 2 groups." in summary
    assert "Left out: 0 images." in summary
    assert "Colour in the image: 1" in summary
    assert "Unreadable: virus/broken.png: " in summary
    assert "Split grouped: would test" in summary


def test_flags_stand_beside_the_table_they_were_made_from(dataset, report):
    table, flags = flag_dataset(dataset, phase=silent)
    for row, file in zip(flags["row"], flags["file"], strict=True):
        assert table["file"].iloc[row] == file
    listed = {name: sorted(files) for name, files in report["flags"].items() if files}
    assert listed == {name: sorted(rows["file"]) for name, rows in flags.groupby("flag")}


def test_no_two_groups_of_duplicates_share_an_image(report):
    for one, other in combinations(report["duplicate_groups"], 2):
        assert not set(one) & set(other)
