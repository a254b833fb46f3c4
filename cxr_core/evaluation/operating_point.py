"""Where a classifier draws the lines between its classes, and when it had better say "not sure"."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.inference.model_card import load_card, write_card

NOT_SURE = "not sure"

# How far from a line, in logits, a picture still counts as partly right: smooths a small validation set.
_SOFTNESS = 0.5


def balancing_shifts(probabilities, targets):
    """Find what to add to the logits so that all classes are found equally well.

    The mean of the classes' recalls (balanced accuracy) is made as high as it gets, with every
    picture counted by how clearly it is right or wrong.

    Args:
        probabilities: float (N, C), of pictures that training did not see.
        targets: int (N,), true classes; every class must be there.

    Returns:
        float64 (C,), the first one 0.

    Raises:
        ValueError: a class has no picture.

    Source:
        Collell et al. 2018, doi:10.1016/j.neucom.2017.08.035 (moving the threshold to balance recalls).
    """
    targets = np.asarray(targets)
    n_classes = probabilities.shape[1]
    missing = sorted(set(range(n_classes)) - set(targets.tolist()))
    if missing:
        raise ValueError(f"Every class needs a picture to balance on; class {missing[0]} has none.")
    logits = np.log(np.maximum(np.asarray(probabilities, float), 1e-12))
    best = minimize(
        lambda free: -_soft_recall(logits + [0, *free], targets), np.zeros(n_classes - 1), method="Nelder-Mead"
    )
    return np.concatenate([[0.0], best.x])


@dataclass(frozen=True)
class OperatingPoint:
    """One class against the rest at one threshold.

    Attributes:
        class_name: str, the class that an alarm is for.
        threshold: float in [0, 1]; a probability of at least this is an alarm.
        found, missed, false_alarms, rightly_none: int, counts of true and false positives and negatives.
        prevalence: float in [0, 1], the share of the class among the people it is used on.
    """

    class_name: str
    threshold: float
    found: int
    missed: int
    false_alarms: int
    rightly_none: int
    prevalence: float

    @property
    def sensitivity(self):
        """Share of the class that raises an alarm; None without pictures of it."""
        return _share(self.found, self.found + self.missed)

    @property
    def specificity(self):
        """Share of the others without an alarm; None without others."""
        return _share(self.rightly_none, self.rightly_none + self.false_alarms)

    @property
    def ppv(self):
        """Share of alarms that are true at this prevalence (Bayes); None where it is undefined."""
        return self._predictive(self.sensitivity, self.specificity, self.prevalence)

    @property
    def npv(self):
        """Share of answers without an alarm that are right at this prevalence; None where it is undefined."""
        return self._predictive(self.specificity, self.sensitivity, 1 - self.prevalence)

    @staticmethod
    def _predictive(hits, rejections, share):
        if hits is None or rejections is None:
            return None
        return _share(hits * share, hits * share + (1 - rejections) * (1 - share))


def operating_point(class_name, is_class, scores, threshold, *, prevalence=None):
    """Count what one threshold gives.

    Args:
        class_name: str.
        is_class: bool (N,).
        scores: float (N,), the probability of the class.
        threshold: float in [0, 1].
        prevalence: float in [0, 1], or None for the pictures' own.

    Returns:
        OperatingPoint.

    Raises:
        ValueError: no pictures, lengths that differ, or a threshold or prevalence outside [0, 1].
    """
    is_class, alarm = _checked(is_class, scores), np.asarray(scores) >= threshold
    prevalence = float(is_class.mean()) if prevalence is None else float(prevalence)
    for name, value in (("threshold", threshold), ("prevalence", prevalence)):
        if not 0 <= value <= 1:
            raise ValueError(f"The {name} must lie in [0, 1]; received {value}.")
    counts = [int((a & b).sum()) for a, b in ((is_class, alarm), (is_class, ~alarm), (~is_class, alarm))]
    return OperatingPoint(class_name, float(threshold), *counts, int((~is_class & ~alarm).sum()), prevalence)


def threshold_for_specificity(is_class, scores, specificity=0.9):
    """Return the lowest threshold with at least this specificity, float in [0, 1]: the most sensitive such one.

    1 where even the surest of the others must stay without an alarm; 0 where there are no others.
    """
    is_class = _checked(is_class, scores)
    others = np.sort(np.asarray(scores, float)[~is_class])
    if not len(others):
        return 0.0
    quiet = int(np.ceil(specificity * len(others) - 1e-9))
    if quiet == 0:
        return 0.0
    # Just above the highest score that must stay quiet.
    return float(min(1.0, np.nextafter(others[quiet - 1], 2)))


def decision_curve(is_class, scores, *, prevalence=None, points=99):
    """Compute the net benefit of acting on alarms, of acting on everybody and of acting on nobody.

    Args:
        is_class, scores, prevalence: as `operating_point`.
        points: int, thresholds between 0 and 1, both ends left out.

    Returns:
        DataFrame of `threshold`, `classifier`, `everybody`, `nobody`: true alarms per person, less false ones weighed
        by the odds of the threshold.

    Raises:
        ValueError: as `operating_point`; also where one side has no picture.

    Source:
        Vickers & Elkin 2006, doi:10.1177/0272989X06295361.
    """
    is_class = _checked(is_class, scores)
    if not 0 < is_class.sum() < len(is_class):
        raise ValueError("A decision curve needs pictures of the class and others; one side has none.")
    prevalence = float(is_class.mean()) if prevalence is None else float(prevalence)
    thresholds = np.linspace(0, 1, points + 2)[1:-1]
    alarm = np.asarray(scores, float)[None] >= thresholds[:, None]
    sensitivity, false_rate = alarm[:, is_class].mean(axis=1), alarm[:, ~is_class].mean(axis=1)
    odds = thresholds / (1 - thresholds)
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "classifier": sensitivity * prevalence - false_rate * (1 - prevalence) * odds,
            "everybody": prevalence - (1 - prevalence) * odds,
            "nobody": 0.0,
        }
    )


def coverage_curve(right, confidence):
    """Say how accurate the answers are if only the surest are given.

    Args:
        right: bool (N,).
        confidence: float (N,), the highest probability.

    Returns:
        DataFrame, one row per distinct confidence, highest first: `abstain_below` (it answers from here on),
        `coverage` (share of pictures answered) and `accuracy` (of those answers).

    Raises:
        ValueError: no pictures, or lengths that differ.
    """
    right = _checked(right, confidence)
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
    """Say what a classifier that may be "not sure" answers to the pictures of each class.

    Args:
        true_names: str (N,).
        probabilities: float (N, C).
        classes: sequence of str (C,).
        groups: int (N,), as for `metrics.evaluate_predictions`.
        abstain_below: float in [0, 1]; a picture whose highest probability is lower gets no answer.

    Returns:
        dict of `abstain_below`; `coverage` (share answered); `accuracy` (of the answers, None without any);
        `found` (share of all pictures answered right: an abstention counts as a miss); and `per_class`, {true
        class: {answer: {`share`, `ci95`}}} for the classes that have pictures, answers being the classes and
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


def save_operating_point(folder, point=None, *, abstain_below=None):
    """Keep an operating point, or the confidence below which it abstains, in a model folder's card.

    Args:
        folder: str or Path of the model.
        point: OperatingPoint or None to leave the card's.
        abstain_below: float in [0, 1], or None to leave the card's.

    Raises:
        ValueError: the class is none of the model's, or the confidence lies outside [0, 1].
        FileNotFoundError: there is no card.
    """
    card = load_card(folder)
    if point is not None:
        if point.class_name not in card.classes:
            raise ValueError(f"The class must be one of {', '.join(card.classes)}; received {point.class_name!r}.")
        measured = {name: getattr(point, name) for name in ("sensitivity", "specificity", "ppv", "npv")}
        card = replace(card, operating_point=asdict(point) | measured)
    if abstain_below is not None:
        if not 0 <= abstain_below <= 1:
            raise ValueError(f"abstain_below must lie in [0, 1]; received {abstain_below}.")
        card = replace(card, abstain_below=float(abstain_below))
    write_card(card, folder)


def choose_on_validation(
    folder, predictions, *, class_name=None, specificity=0.9, abstain_accuracy=None, abstain_below=None
):
    """Choose when a model calls a class and when it abstains, on its validation pictures, and keep that in its card.

    Args:
        folder: str or Path of the model.
        predictions: DataFrame of its `predictions.csv`.
        class_name: str, gets the threshold of `specificity`, or None for no alarm.
        specificity: float in [0, 1].
        abstain_accuracy: float in [0, 1], abstain until the answers are this accurate; or
        abstain_below: float in [0, 1], abstain when less sure than this; or both None.

    Returns:
        dict of `operating_point` and `abstain_below` as the card now has them.

    Raises:
        ValueError: no validation predictions, an unknown class, or an accuracy that is never reached.
    """
    rows = predictions[predictions["split"] == "validation"] if len(predictions) else predictions
    if not len(rows):
        raise ValueError(f"{folder} has no predictions on validation pictures to choose on.")
    point = None
    if class_name is not None:
        if f"p_{class_name}" not in rows:
            raise ValueError(f"The class must be one of the model's; received {class_name!r}.")
        is_class, scores = rows["true"] == class_name, rows[f"p_{class_name}"].to_numpy()
        threshold = threshold_for_specificity(is_class, scores, specificity)
        point = operating_point(class_name, is_class, scores, threshold)
    if abstain_accuracy is not None:
        abstain_below = abstention_for_accuracy(rows["right"], rows["confidence"], abstain_accuracy)
        if abstain_below is None:
            raise ValueError(f"However little it answers, its answers are never {abstain_accuracy:.1%} accurate.")
    save_operating_point(folder, point, abstain_below=abstain_below)
    card = load_card(folder)
    return {"operating_point": card.operating_point, "abstain_below": card.abstain_below}


def _checked(flags, values):
    flags = np.asarray(flags, bool)
    if not len(flags) or len(flags) != len(values):
        raise ValueError(f"One value per picture is needed, and a picture; received {len(values)} for {len(flags)}.")
    return flags


def _share(part, whole):
    return float(part / whole) if whole else None


def _soft_recall(logits, targets):
    rows = np.arange(len(targets))
    own, others = logits[rows, targets], logits.copy()
    others[rows, targets] = -np.inf
    right = 1 / (1 + np.exp((others.max(axis=1) - own) / _SOFTNESS))
    return np.mean([right[targets == k].mean() for k in range(logits.shape[1])])
