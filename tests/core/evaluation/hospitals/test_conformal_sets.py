"""conformal_sets.py: coverage holds on exchangeable images of every class, and its failure at a source is said."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.evaluation.hospitals.conformal_sets import (
    coverage_sentences,
    fit_sets,
    set_coverage,
)
from cxr_core.inference.prediction_rows import prediction_set, set_words

CLASSES = ("normal", "covid", "other")


def predictions(n, rng, *, blur=1.0, source="home"):
    truth = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 2 * blur * np.eye(3)[truth]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame({f"p_{name}": shares[:, i] for i, name in enumerate(CLASSES)})
    files = [f"{source}-{i}.png" for i in range(n)]
    return table.assign(true=np.asarray(CLASSES, object)[truth], file=files, source=source)


def test_coverage_holds_for_every_class_on_exchangeable_images():
    rng = np.random.default_rng(0)
    held = {name: [] for name in CLASSES}
    for _ in range(60):
        limits = fit_sets(predictions(300, rng), CLASSES)
        test = predictions(300, rng)
        for name in CLASSES:
            held[name].append((test.loc[test["true"] == name, f"p_{name}"] >= limits[name]).mean())
    for name in CLASSES:
        assert 0.88 < np.mean(held[name]) < 0.93


def test_a_source_where_the_promise_fails_is_named_and_one_where_it_holds_is_not():
    rng = np.random.default_rng(1)
    limits = fit_sets(predictions(600, rng), CLASSES)
    test = pd.concat(
        [
            predictions(300, rng),
            predictions(200, rng, blur=0, source="far"),
            predictions(5, rng, blur=0, source="tiny"),
        ],
        ignore_index=True,
    )
    told = coverage_sentences(set_coverage(test.assign(group=range(len(test))), limits))
    assert told[1].startswith("The promise fails at far (")
    assert "home" not in told[1]
    assert "tiny" not in told[1]


def test_a_class_of_too_few_images_is_in_every_set():
    validation = predictions(300, np.random.default_rng(2))
    few = pd.concat([validation[validation["true"] != "other"], validation[validation["true"] == "other"][:5]])
    limits = fit_sets(few, CLASSES)
    assert limits["other"] == 0
    assert prediction_set({"normal": 1.0, "covid": 0.0, "other": 0.0}, limits) == ("normal", "other")


@pytest.mark.parametrize(("names", "words"), [(("covid", "other"), "COVID-19 or Other finding"), ((), "no class fits")])
def test_a_set_in_words(names, words):
    assert set_words(names) == words
