"""Whether acting on the alarms is worth it."""

import numpy as np
import pandas as pd

from cxr_core.evaluation.selective_classification import checked


def decision_curve(is_class, scores, *, prevalence=None, points=99):
    """Compute the net benefit of acting on alarms, of acting on everybody and of acting on nobody.

    Args:
        is_class, scores, prevalence: as `operating_point`.
        points: int, thresholds between 0 and 1, both ends left out.

    Returns:
        DataFrame of `threshold`, `classifier`, `everybody`, `nobody`: true alarms per person, less false ones weighed
        by the odds of the threshold.

    Raises:
        ValueError: as `operating_point`; also where one side has no image.

    Source:
        Vickers & Elkin 2006, doi:10.1177/0272989X06295361.
    """
    is_class = checked(is_class, scores)
    if not 0 < is_class.sum() < len(is_class):
        raise ValueError("A decision curve needs images of the class and others; one side has none.")
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
