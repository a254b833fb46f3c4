"""image_weights.py and sources.py: how much each training image counts, and where it comes from."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.data.sources import image_sources
from cxr_core.recipes.image_weights import source_weights

CLASSES = pd.Series(["ill"] * 4 + ["ill"] * 1 + ["well"] * 9)
SOURCES = pd.Series(["a"] * 4 + ["b"] * 1 + ["a"] * 9)


@pytest.mark.parametrize(("balanced", "ratio"), [(True, 1), (False, np.sqrt(5 / 9))])
def test_a_class_counts_like_any_other_or_like_the_root_of_its_images(balanced, ratio):
    weights = source_weights(CLASSES, SOURCES, balanced_classes=balanced)
    assert weights[:5].sum() / weights[5:].sum() == pytest.approx(ratio)
    assert weights.mean() == pytest.approx(1)


def test_within_a_class_a_source_counts_like_the_root_of_its_images():
    weights = source_weights(CLASSES, SOURCES, balanced_classes=True)
    assert weights[:4].sum() / weights[4] == pytest.approx(np.sqrt(4 / 1))


def test_one_source_of_each_class_weighs_as_classes_do():
    weights = source_weights(CLASSES, pd.Series(["a"] * 14), balanced_classes=True)
    np.testing.assert_allclose(weights, [7 / 5] * 5 + [7 / 9] * 9, rtol=1e-6)


def test_a_source_is_what_a_table_says_or_else_the_folder_of_the_data_set():
    table = pd.DataFrame(
        {
            "path": ["/d/one/ill/1.png", "/d/two/ill/1.png", "/d/two/ill/2.png"],
            "file": ["ill/1.png"] * 2 + ["ill/2.png"],
        }
    )
    assert image_sources(table).tolist() == ["one", "two", "two"]
    assert image_sources(table.assign(source=["A", None, "B"])).tolist() == ["A", "two", "B"]
