"""Where a classifier draws the lines between its classes, and when it had better say "not sure"."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from cxr_core.evaluation.selective_classification import abstention_for_accuracy, checked
from cxr_core.inference.model_card import load_card, write_card


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
    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int
    prevalence: float

    @property
    def sensitivity(self):
        """Share of the class that raises an alarm; None without images of it."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self):
        """Share of the others without an alarm; None without others."""
        return _share(self.true_negatives, self.true_negatives + self.false_positives)

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
        prevalence: float in [0, 1], or None for the images' own.

    Returns:
        OperatingPoint.

    Raises:
        ValueError: no images, lengths that differ, or a threshold or prevalence outside [0, 1].
    """
    is_class, alarm = checked(is_class, scores), np.asarray(scores) >= threshold
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
    is_class = checked(is_class, scores)
    others = np.sort(np.asarray(scores, float)[~is_class])
    if not len(others):
        return 0.0
    quiet = int(np.ceil(specificity * len(others) - 1e-9))
    if quiet == 0:
        return 0.0
    # Just above the highest score that must stay quiet.
    return float(min(1.0, np.nextafter(others[quiet - 1], 2)))


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
    """Choose when a model calls a class and when it abstains, on its validation images, and keep that in its card.

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
        raise ValueError(f"{folder} has no predictions on validation images to choose on.")
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


def _share(part, whole):
    return float(part / whole) if whole else None
