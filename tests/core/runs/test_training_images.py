"""A classifier's training images are known by content, those of the weights it started from included."""

import pandas as pd
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.inference.model_card import load_card
from cxr_core.recipes.training_config import make_config
from cxr_core.runs import training_images
from cxr_core.runs.run import Run
from cxr_core.runs.training_images import (
    TRAINING_IMAGES_FILE,
    are_seen,
    save_training_images,
    seen_digests,
    start_digests,
)
from cxr_core.system.files import write_json

SPLIT = pd.DataFrame({"digest": ["1", "2", "3"], "split": ["train", "validation", "test"]})


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A built-in classifier that was trained on the images 3 and 9."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / TRAINING_IMAGES_FILE).write_text("3\n9\n")
    monkeypatch.setattr(training_images, "SHIPPED_MODEL_DIR", folder)
    return folder


def run_of(folder, split, **settings):
    folder.mkdir()
    split.to_csv(folder / "split.csv", index=False)
    config = make_config("quick", roots=("/data",), settings=[f"{k}={v}" for k, v in settings.items()])
    write_json(folder / "config.json", config.to_dict())
    return Run(folder)


def test_the_built_in_classifier_knows_its_training_images_by_content():
    digests = seen_digests(SHIPPED_MODEL_DIR)
    # 5,088 files by its card, two contents of which came twice.
    assert len(digests) == 5086
    assert sum(load_card(SHIPPED_MODEL_DIR).training["data"]["images"]["train"].values()) == 5088
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)


def test_a_run_has_seen_what_it_was_trained_on_alone(tmp_path, shipped):
    assert seen_digests(run_of(tmp_path / "run", SPLIT).path) == {"1"}


def test_a_run_from_the_built_in_classifier_has_also_seen_what_that_was_trained_on(tmp_path, shipped):
    run = run_of(tmp_path / "run", SPLIT, start="shipped")
    assert start_digests(run.config()) == {"3", "9"}
    assert seen_digests(run.path) == {"1", "3", "9"}


def test_a_published_classifier_brings_the_images_of_all_its_ancestors(tmp_path, shipped):
    save_training_images(run_of(tmp_path / "run", SPLIT, start="shipped"), tmp_path / "published")
    assert (tmp_path / "published" / TRAINING_IMAGES_FILE).read_text() == "1\n3\n9\n"
    assert seen_digests(tmp_path / "published") == {"1", "3", "9"}


def test_a_run_that_cannot_tell_its_images_writes_no_list(tmp_path, shipped):
    earlier = run_of(tmp_path / "run", SPLIT.drop(columns="digest").assign(file=list("abc")))
    save_training_images(earlier, tmp_path)
    assert not (tmp_path / TRAINING_IMAGES_FILE).exists()
    assert seen_digests(earlier.path) is None


def test_a_folder_that_tells_nothing_is_not_taken_for_one_that_has_seen_nothing(tmp_path):
    assert seen_digests(tmp_path) is None


def test_images_are_known_by_content_whatever_their_names():
    table = pd.DataFrame({"file": ["a", "renamed"], "digest": ["7", "3"]}, index=[4, 2])
    assert are_seen(table, frozenset({"3"})).to_dict() == {4: False, 2: True}
