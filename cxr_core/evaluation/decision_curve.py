"""Is acting on the classifier's alarms worth it?"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr_core.evaluation.selective_classification import checked


def decision_curve(
    is_class: npt.ArrayLike, scores: npt.ArrayLike, *, prevalence: float | None = None, points: int = 99
) -> pd.DataFrame:
    """Compute the net benefit of treating those with an alarm, of treating all and of treating none.

    Args:
        is_class: bool (N,), whether each image is of the class.
        scores: float (N,), the probability of the class.
        prevalence: in [0, 1], of the class among the people it is used on; by default that of the images.
        points: number of thresholds between 0 and 1, both ends left out.

    Returns:
        One row per threshold: `threshold`, and the net benefit `classifier`, `everybody` and `nobody`: true positives
        per person, minus false positives per person weighted by the odds of the threshold.

    Raises:
        ValueError: there are no images, the lengths differ, or all or none of the images are of the class.

    Source:
        Vickers & Elkin 2006, doi:10.1177/0272989X06295361.
    """
    is_class = checked(is_class, scores)
    if not 0 < is_class.sum() < len(is_class):
        raise ValueError("A decision curve needs images of the class and of the others; one side has none.")
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
