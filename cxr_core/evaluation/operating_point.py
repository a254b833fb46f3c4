"""At which threshold is a class called, and below which confidence does the classifier abstain?"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr_core.evaluation.selective_classification import abstention_for_accuracy, checked
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.system.text import percent


@dataclass(frozen=True)
class OperatingPoint:
    """One class against the rest at one threshold.

    Attributes:
        class_name: the class that an alarm is for.
        threshold: in [0, 1]; a probability of at least this is an alarm.
        true_positives: number of images.
        false_negatives: number of images.
        false_positives: number of images.
        true_negatives: number of images.
        prevalence: in [0, 1], the proportion of the class among the people it is used on.
    """

    class_name: str
    threshold: float
    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int
    prevalence: float

    @property
    def sensitivity(self) -> float | None:
        """Proportion of the class with an alarm; None without images of it."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float | None:
        """Proportion of the others without an alarm; None without others."""
        return _share(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def ppv(self) -> float | None:
        """Positive predictive value: proportion of alarms that are true, at this prevalence; None where undefined."""
        return self._predictive(self.sensitivity, self.specificity, self.prevalence)

    @property
    def npv(self) -> float | None:
        """Negative predictive value: proportion of right answers among those without an alarm; None where undefined."""
        return self._predictive(self.specificity, self.sensitivity, 1 - self.prevalence)

    @staticmethod
    def _predictive(hits: float | None, rejections: float | None, share: float) -> float | None:
        """Apply Bayes' theorem."""
        if hits is None or rejections is None:
            return None
        return _share(hits * share, hits * share + (1 - rejections) * (1 - share))


class ChosenPoint(TypedDict):
    """What `choose_on_validation` stored in the card: the operating point, and the least confidence of an answer."""

    operating_point: dict[str, Any]
    abstain_below: float


def operating_point(
    class_name: str,
    is_class: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    *,
    prevalence: float | None = None,
) -> OperatingPoint:
    """Count true and false positives and negatives at one threshold.

    Args:
        class_name: the class that an alarm is for.
        is_class: bool (N,), whether each image is of the class.
        scores: float (N,), the probability of the class.
        threshold: in [0, 1].
        prevalence: in [0, 1]; by default that of the images.

    Returns:
        The operating point.

    Raises:
        ValueError: there are no images, the lengths differ, or the threshold or prevalence lies outside [0, 1].
    """
    is_class, alarm = checked(is_class, scores), np.asarray(scores) >= threshold
    prevalence = float(is_class.mean()) if prevalence is None else float(prevalence)
    for name, value in (("threshold", threshold), ("prevalence", prevalence)):
        if not 0 <= value <= 1:
            raise ValueError(f"The {name} must lie in [0, 1]; received {value}.")
    return OperatingPoint(
        class_name,
        float(threshold),
        true_positives=int((is_class & alarm).sum()),
        false_negatives=int((is_class & ~alarm).sum()),
        false_positives=int((~is_class & alarm).sum()),
        true_negatives=int((~is_class & ~alarm).sum()),
        prevalence=prevalence,
    )


def threshold_for_specificity(is_class: npt.ArrayLike, scores: npt.ArrayLike, specificity: float = 0.9) -> float:
    """Return the lowest threshold in [0, 1] with at least this specificity: the most sensitive one.

    It is just above a score of the others, in the scores' own precision. At most 1, even where a score of 1 among the
    others would have to stay without an alarm; 0 where there are no others.
    """
    is_class, scores = checked(is_class, scores), np.asarray(scores)
    others = np.sort(scores[~is_class])
    if not len(others):
        return 0.0
    quiet = int(np.ceil(specificity * len(others) - 1e-9))
    if quiet == 0:
        return 0.0
    # Just above the highest score that must not raise an alarm.
    return float(min(1.0, np.nextafter(others[quiet - 1], others.dtype.type(2))))


def save_operating_point(
    folder: str | Path, point: OperatingPoint | None = None, *, abstain_below: float | None = None
) -> None:
    """Save an operating point, or the confidence below which the classifier abstains, in its card.

    Args:
        folder: of the classifier.
        point: None to keep the card's.
        abstain_below: in [0, 1], or None to keep the card's.

    Raises:
        ValueError: the classifier does not know the class, or the confidence lies outside [0, 1].
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
    folder: str | Path,
    predictions: pd.DataFrame,
    *,
    class_name: str | None = None,
    specificity: float = 0.9,
    abstain_accuracy: float | None = None,
    abstain_below: float | None = None,
) -> ChosenPoint:
    """Choose an operating point and when to abstain on the validation images, and save both in the card.

    Args:
        folder: of the classifier.
        predictions: its predictions table, `predictions.csv`.
        class_name: the class that gets the threshold with this specificity; None keeps the card's operating point.
        specificity: in [0, 1].
        abstain_accuracy: in [0, 1]; abstain until the answers are this accurate.
        abstain_below: in [0, 1]; abstain below this confidence. Does not count where `abstain_accuracy` is given.

    Returns:
        What the card now holds.

    Raises:
        ValueError: there are no predictions on validation images, the class is unknown, or the accuracy is never
            reached.
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
            raise ValueError(
                f"Its answers never reach an accuracy of {percent(abstain_accuracy)}, however few it gives."
            )
    save_operating_point(folder, point, abstain_below=abstain_below)
    card = load_card(folder)
    return {"operating_point": card.operating_point, "abstain_below": card.abstain_below}


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
