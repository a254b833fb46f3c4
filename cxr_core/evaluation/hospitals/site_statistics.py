"""Are two sets of images alike to the network, and which threshold and how many labels does a site need?"""

import math
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from cxr_core.system.arrays import FloatArray

_PERMUTATIONS = 999
_FOLDS = 5
_HALF_WIDTH = 0.05


class TwoSampleTest(TypedDict):
    """How far two sets of images are apart.

    Attributes:
        p_value: of the permutation test that both are from one distribution, in (0, 1].
        auc: how well a linear classifier tells them apart on images that it has not seen: 0.5 not at all, 1 entirely.
    """

    p_value: float
    auc: float


def compare_features(site: FloatArray, training: FloatArray, *, rng: np.random.Generator) -> TwoSampleTest:
    """Test whether two sets of feature vectors are from one distribution.

    Args:
        site: float (N, D), N at least 5.
        training: float (M, D), M at least 5.
        rng: draws the permutations and the folds.

    Source:
        Maximum mean discrepancy with a Gaussian kernel of the median distance: Gretton et al. 2012, JMLR 13, with 999
        permutations (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585). Classifier two-sample test: Lopez-Paz &
        Oquab 2017, arXiv:1610.06545.
    """
    both = np.concatenate([site, training]).astype(np.float64)
    squared = cdist(both, both, "sqeuclidean")
    kernel = np.exp(-squared / max(float(np.median(squared[squared > 0], axis=None)) if squared.any() else 1.0, 1e-12))
    weights = np.r_[np.full(len(site), 1 / len(site)), np.full(len(training), -1 / len(training))]
    drawn = rng.permuted(np.tile(weights, (_PERMUTATIONS, 1)), axis=1)
    observed = float(weights @ kernel @ weights)
    permuted = ((drawn @ kernel) * drawn).sum(axis=1)
    p_value = (1 + int((permuted >= observed - 1e-12).sum())) / (1 + _PERMUTATIONS)
    is_site = np.r_[np.ones(len(site), bool), np.zeros(len(training), bool)]
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    model = LogisticRegression(max_iter=1_000, class_weight="balanced")
    # The steps of the solver are so small that threads inside one only wait for each other.
    with threadpool_limits(1):
        scores = cross_val_predict(model, both, is_site, cv=folds, method="predict_proba")[:, 1]
    return {"p_value": p_value, "auc": float(roc_auc_score(is_site, scores))}


def threshold_for_misses(scores: npt.ArrayLike, miss_rate: float) -> float | None:
    """Return the highest threshold that misses at most a proportion of a class, on average over new images.

    Args:
        scores: float (N,), the class's probabilities for N labelled images of it.
        miss_rate: in (0, 1), the proportion that may be missed.

    Returns:
        An alarm is a probability of at least this. None where there are too few images for this rate: it takes
        1 / rate - 1 of them at least.

    Source:
        Conformal risk control with the loss "missed": Angelopoulos et al. 2022, arXiv:2208.02814. It holds on average
        over images that are exchangeable with these, of this site and as they were chosen here.
    """
    ordered = np.sort(np.asarray(scores))
    may_miss = math.floor(miss_rate * (len(ordered) + 1) + 1e-9) - 1
    return float(ordered[may_miss]) if 0 <= may_miss < len(ordered) else None


def images_for_interval(share: float, half_width: float = _HALF_WIDTH) -> int:
    """Return how many images a 95 % interval of at most this half width takes, if the proportion stays as it is.

    Args:
        share: in [0, 1].
        half_width: in (0, 0.5); by default 5 percentage points.

    Source:
        Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    counts = np.arange(5, math.ceil(1 / half_width**2) + 100)
    hits = np.round(share * counts)
    low = np.where(hits > 0, beta.ppf(0.025, np.maximum(hits, 1), counts - hits + 1), 0.0)
    high = np.where(hits < counts, beta.ppf(0.975, hits + 1, np.maximum(counts - hits, 1)), 1.0)
    too_wide = np.flatnonzero((high - low) / 2 > half_width)
    return int(counts[too_wide[-1] + 1]) if len(too_wide) else int(counts[0])
