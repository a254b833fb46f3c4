"""How accurate a classifier is on what it answers, and how much that is."""

import numpy as np
import pandas as pd

from cxr_core.evaluation.confidence_intervals import share_interval

NOT_SURE = "not sure"


def coverage_curve(right, confidence):
    """Say how accurate the answers are if only the surest are given.

    Args:
        right: bool (N,).
        confidence: float (N,), the highest probability.

    Returns:
        DataFrame, one row per distinct confidence, highest first: `abstain_below` (it answers from here on),
        `coverage` (share of images answered) and `accuracy` (of those answers).

    Raises:
        ValueError: no images, or lengths that differ.
    """
    right = checked(right, confidence)
    confidence = np.asarray(confidence, float)
    order = np.argsort(-confidence, kind="stable")
    ordered, hits = confidence[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.r_[np.diff(ordered) != 0, True])
    return pd.DataFrame(
        {"abstain_below": ordered[ends], "coverage": (ends + 1) / len(right), "accuracy": hits[ends] / (ends + 1)}
    )


def abstention_for_accuracy(right, confidence, accuracy):
    """Return the lowest confidence from which answers are at least this accurate, or None where it is never reached."""
    curve = coverage_curve(right, confidence)
    enough = curve[curve["accuracy"] >= accuracy]
    return float(enough["abstain_below"].iloc[-1]) if len(enough) else None


def answer_shares(true_names, probabilities, classes, groups, *, abstain_below):
    """Say what a classifier that may be "not sure" answers to the images of each class.

    Args:
        true_names: str (N,).
        probabilities: float (N, C).
        classes: sequence of str (C,).
        groups: int (N,), as for `metrics.evaluate_predictions`.
        abstain_below: float in [0, 1]; an image whose highest probability is lower gets no answer.

    Returns:
        dict of `abstain_below`; `coverage` (share answered); `accuracy` (of the answers, None without any);
        `found` (share of all images answered right: an abstention counts as a miss); and `per_class`, {true
        class: {answer: {`share`, `ci95`}}} for the classes that have images, answers being the classes and
        "not sure".
    """
    true_names, groups = np.asarray(true_names, object), np.asarray(groups)
    answers = np.asarray(classes, object)[np.argmax(probabilities, axis=1)]
    answers = np.where(np.max(probabilities, axis=1) < abstain_below, NOT_SURE, answers)
    answered, right = answers != NOT_SURE, answers == true_names
    per_class = {}
    for name in classes:
        rows = true_names == name
        if rows.any():
            per_class[name] = {
                answer: {
                    "share": float((answers[rows] == answer).mean()),
                    "ci95": share_interval(answers[rows] == answer, groups[rows]),
                }
                for answer in (*classes, NOT_SURE)
            }
    return {
        "abstain_below": float(abstain_below),
        "coverage": float(answered.mean()),
        "accuracy": float(right[answered].mean()) if answered.any() else None,
        "found": float(right.mean()),
        "per_class": per_class,
    }


def checked(flags, values):
    flags = np.asarray(flags, bool)
    if not len(flags) or len(flags) != len(values):
        raise ValueError(f"One value per image is needed, and an image; received {len(values)} for {len(flags)}.")
    return flags
