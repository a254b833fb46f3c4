"""What a classifier answers when an image wears the greys and the sharpness of another class.

Neither is a disease: a classifier that changes its answer has been reading file history. Validation images are
used, so that the figure may choose a recipe; the images lent from are training images.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.reporting import four_digits, print_table, write_result
from cxr_core.data.prepared_images import prepare_images
from cxr_core.imaging.augmentation import match_histogram, match_spectrum
from cxr_core.inference.classifier import load_classifier

_LENT = {
    "nothing": lambda image, other: image,
    "greys": match_histogram,
    "sharpness": match_spectrum,
    "both": lambda image, other: match_histogram(match_spectrum(image, other), other),
}


def swapped_answers(run, *, seed=0):
    """Ask a run's classifier about its validation images, as they are and with what another class lends.

    Args:
        run: Path of a run folder with `split.csv`; its images must be at hand.
        seed: int, of who lends to whom.

    Returns:
        list of dict of `lent` (a key of `_LENT`), `accuracy` and `recall` {class: share}.
    """
    classifier, split = load_classifier(run), pd.read_csv(run / "split.csv")
    prepared = prepare_images(split, classifier.card.preprocessing)
    sides, names = prepared.table["split"].to_numpy(object), prepared.table["class_name"].to_numpy(object)
    asked, train = np.flatnonzero(sides == "validation"), np.flatnonzero(sides == "train")
    lenders = {name: train[names[train] != name] for name in classifier.classes}
    rows = []
    for lent, lend in _LENT.items():
        rng = np.random.default_rng(seed)
        others = [rng.choice(lenders[names[row]]) for row in asked]
        images = [
            lend(prepared.images_u8[row], prepared.images_u8[other]) for row, other in zip(asked, others, strict=True)
        ]
        answers = np.array(classifier.classes, object)[classifier.predict(np.stack(images)).argmax(axis=1)]
        right = answers == names[asked]
        recall = {name: four_digits(right[names[asked] == name].mean()) for name in classifier.classes}
        rows.append({"lent": lent, "accuracy": four_digits(right.mean()), "recall": recall})
    return rows


def main():
    """Ask, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.appearance_swap", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders with a classifier")
    options = parser.parse_args()
    results = {run.name: swapped_answers(run) for run in options.runs}
    for name, rows in results.items():
        print(name)
        print_table(
            ("lent", "accuracy", *rows[0]["recall"]), [(r["lent"], r["accuracy"], *r["recall"].values()) for r in rows]
        )
    write_result("appearance_swap", {"runs": results})


if __name__ == "__main__":
    main()
