"""Leaving one source out tells a class that is written in the source from one that is drawn in the lungs."""

import cv2
import numpy as np
import pandas as pd

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.inference.classifier import load_classifier
from cxr_core.robustness.shortcut_test import retrained_answers
from cxr_core.splits.split import make_split

PER_CLASS = {"north": {"normal": 6, "covid": 30}, "south": {"normal": 30, "covid": 6}}
FRAMES = {"north": 235, "south": 40}


def drawn(source, class_name, seed, *, in_the_lungs):
    """A drawing in the frame of its source; where the class is not in the lungs, only the source goes with it."""
    image = draw_phantom("normal", np.random.default_rng(seed))
    image = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)
    if in_the_lungs and class_name == "covid":
        for middle in (68, 156):
            cv2.circle(image, (middle, 130), 22, 210, -1)
    elif not in_the_lungs:
        image[:24], image[-24:], image[:, :24], image[:, -24:] = (FRAMES[source],) * 4
    return image


def accuracies(in_the_lungs):
    """Accuracy with patients kept together, and at each source where it was left out; both of a linear head."""
    rows = [(source, name) for source, counts in PER_CLASS.items() for name, n in counts.items() for _ in range(n)]
    table = pd.DataFrame(rows, columns=["source", "class_name"])
    files = [f"{i}.png" for i in table.index]
    table = table.assign(file=files, path=[f"/data/{f}" for f in files], digest=files, patient=files)
    images = [drawn(s, c, i, in_the_lungs=in_the_lungs) for i, (s, c) in enumerate(rows)]
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    features = classifier.features(np.stack([classifier.card.preprocessing.image_u8(image) for image in images]))
    names = table["class_name"].to_numpy()

    def score(split):
        return float(np.mean(retrained_answers(features[split.train], names[split.train], features[split.test])
                             == names[split.test]))  # fmt: skip

    together = np.mean([score(make_split(table, "grouped", seed=seed, test_share=0.3)) for seed in range(3)])
    return together, {s: score(make_split(table, "source", seed=0, test_source=s)) for s in PER_CLASS}


def test_a_class_that_is_written_in_the_source_collapses_where_the_source_is_new():
    together, left_out = accuracies(in_the_lungs=False)
    # The source tells the class of five images in six.
    assert together > 0.75
    assert max(left_out.values()) < 0.35


def test_a_class_that_is_drawn_in_the_lungs_is_told_at_a_new_source_too():
    together, left_out = accuracies(in_the_lungs=True)
    assert together > 0.8
    assert min(left_out.values()) > together - 0.15
