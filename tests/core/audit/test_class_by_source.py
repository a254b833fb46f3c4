"""class_by_source.py against tables whose association is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from cxr_core.audit.class_by_source import class_by_source


def table_of(counts):
    """A data set table with so many images of each (source, class)."""
    rows = [(s, c) for (s, c), n in counts.items() for _ in range(n)]
    table = pd.DataFrame(rows, columns=["source", "class_name"])
    return table.assign(file=[f"{i}.png" for i in table.index], path=[f"/data/{i}.png" for i in table.index])


def test_a_source_that_tells_the_class_is_warned_of_and_counted():
    found = class_by_source(table_of({("north", "normal"): 30, ("south", "covid"): 50}))
    assert found.association == pytest.approx(1, abs=0.02)
    assert "go together largely (Cramér's V" in found.warning
    assert found.counts.index.tolist() == ["south", "north"] and found.counts.columns.tolist() == ["normal", "covid"]
    assert found.counts.loc["south"].tolist() == [0, 50]


def test_sources_with_the_same_classes_raise_no_warning():
    found = class_by_source(table_of({(s, c): 40 for s in "xyz" for c in ("normal", "covid")}))
    assert found.association == 0 and found.warning == ""


def test_chance_alone_is_no_association():
    rng, values = np.random.default_rng(0), []
    for _ in range(40):
        counts = {(s, c): int(rng.poisson(6)) + 1 for s in "abcdefgh" for c in ("normal", "covid", "virus")}
        values.append(class_by_source(table_of(counts)).association)
    # Without the correction, tables of few images would average about 0.3.
    assert np.mean(values) < 0.12


def test_of_many_images_it_is_the_value_of_scipy():
    counts = {("a", "normal"): 4000, ("a", "covid"): 1000, ("b", "normal"): 2000, ("b", "covid"): 3000}
    expected = association(np.array([[4000, 1000], [2000, 3000]]), method="cramer")
    found = class_by_source(table_of(counts))
    assert found.association == pytest.approx(expected, abs=1e-3)
    assert "in part" in found.warning


@pytest.mark.parametrize("counts", [{("a", "normal"): 9, ("a", "covid"): 9}, {("a", "normal"): 9, ("b", "normal"): 9}])
def test_one_source_or_one_class_cannot_go_together(counts):
    found = class_by_source(table_of(counts))
    assert found.association is None and found.warning == ""
