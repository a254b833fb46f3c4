"""What the starting weights were trained on neither validates nor tests; how much each image counts."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import PreparedImages
from cxr_core.recipes.image_weights import source_weights
from cxr_core.recipes.training_config import make_config
from cxr_core.runs import training_images
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.training_images import TRAINING_IMAGES_FILE
from cxr_core.splits.split import Split
from cxr_core.system.files import read_json
from cxr_core.training.run_inputs import RunInputs, make_run_split


def no_phase(_name):
    return None


@pytest.fixture
def split_of(demo_data, tmp_path, monkeypatch):
    """A callable(kind, digests) that splits the drawings for a run from weights that were trained on these."""
    dataset = scan_dataset(demo_data)
    monkeypatch.setattr(training_images, "SHIPPED_MODEL_DIR", tmp_path)

    def split(kind, digests, start="shipped"):
        (tmp_path / TRAINING_IMAGES_FILE).write_text("\n".join(digests))
        settings = [f"start={start}", "batch_size=8"]
        config = make_config("quick", roots=(str(demo_data),), split=kind, settings=settings)
        run = create_run(config, tmp_path / f"{kind}-{start}-{len(digests)}")
        make_run_split(run, config, dataset, phase=no_phase)
        return run

    return split


@pytest.mark.parametrize("kind", ["grouped", "stratified", "random"])
def test_images_that_the_starting_weights_have_seen_only_train(split_of, kind):
    before = split_of(kind, []).split()
    seen = before[before["split"] != "train"].groupby(["split", "class_name"])["digest"].first()
    run = split_of(kind, seen.tolist())
    after = run.split()
    assert set(after.loc[after["digest"].isin(seen), "split"]) == {"train"}
    # The others stand where they would without.
    others = ~before["group"].isin(before.loc[before["digest"].isin(seen), "group"])
    assert after.loc[others, "split"].tolist() == before.loc[others, "split"].tolist()
    told = read_json(run.path / "environment.json")["data"]
    moved = {
        side: int(((before["split"] == side) & (after["split"] == "train")).sum()) for side in ("validation", "test")
    }
    assert told["seen_by_start"] == {"images": int(before["digest"].isin(seen).sum()), "moved": moved}
    assert told["images"]["test"] == after[after["split"] == "test"]["class_name"].value_counts().to_dict()


def test_a_start_from_imagenet_moves_nothing(split_of):
    before = split_of("grouped", []).split()
    run = split_of("grouped", before["digest"].tolist(), start="imagenet")
    assert run.split()["split"].tolist() == before["split"].tolist()
    assert "seen_by_start" not in read_json(run.path / "environment.json")["data"]


def test_the_articles_split_stays_as_it_is_and_the_seen_images_are_counted(split_of):
    before = split_of("article", []).split()
    seen = before.loc[before["split"] == "test", "digest"].head(2).tolist()
    run = split_of("article", seen)
    assert run.split()["split"].tolist() == before["split"].tolist()
    told = read_json(run.path / "environment.json")["data"]["seen_by_start"]
    assert told == {"images": len(seen), "moved": {"validation": 0, "test": 0}}


def test_weights_that_have_seen_all_images_of_a_class_are_refused_with_what_to_do(split_of):
    before = split_of("stratified", []).split()
    seen = before.loc[before["class_name"] == "virus", "digest"]
    with pytest.raises(ValueError, match=r"none of class 'virus' is left for validation. Start from ImageNet"):
        split_of("stratified", seen.tolist())
    assert np.all(before["digest"].notna())


@pytest.fixture
def inputs():
    """Eight images of two classes and two sources, of which the first six train."""
    table = pd.DataFrame({"class_name": ["a", "a", "a", "a", "b", "b", "a", "b"], "source": list("nnsnnsns")})
    table = table.assign(file=[f"{i}.png" for i in range(8)], path=[f"/data/{i}.png" for i in range(8)])
    prepared = PreparedImages(np.zeros((8, 2, 2), np.uint8), table, {}, "key")
    return RunInputs(prepared, Split(np.arange(6), np.array([6]), np.array([7])), ("a", "b"))


def test_class_weights_count_each_training_image_by_its_class_and_no_other_image(inputs):
    weights = inputs.weights(make_config("quick", settings=["class_weights=true"]))
    np.testing.assert_allclose(weights, [0.75] * 4 + [1.5] * 2 + [0, 0])
    assert weights.dtype == np.float32


def test_source_weights_count_each_training_image_by_its_source_and_class(inputs):
    config = make_config("quick", settings=["source_weights=true", "class_weights=true"])
    rows = inputs.prepared.table.iloc[:6]
    expected = source_weights(rows["class_name"], rows["source"], balanced_classes=True)
    np.testing.assert_allclose(inputs.weights(config), [*expected, 0, 0])


def test_where_nothing_is_weighted_all_images_count_alike(inputs):
    assert inputs.weights(make_config("quick", settings=["class_weights=false", "source_weights=false"])) is None
