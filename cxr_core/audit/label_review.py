"""Which given labels do the images contradict most?"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cxr_core.audit.embeddings import Embeddings
from cxr_core.classes import order_classes
from cxr_core.config import CACHE_DIR
from cxr_core.system.arrays import FloatArray, IntArray
from cxr_core.system.disk_cache import is_cached, new_entry
from cxr_core.system.visit_folders import visit_cache

# Changes with the method, so that nothing of an earlier one is found in a cache.
_METHOD = 1
_FOLDS = 5
# Of few images the order depends on the folds; so many foldings are averaged, up to so many images.
_FOLDINGS, _FEW_IMAGES = 5, 1_000


def review_labels(
    known: Embeddings, names: pd.Series, groups: IntArray, *, cache_dir: str | Path = CACHE_DIR
) -> pd.DataFrame:
    """Rank the images of a data set by how much a classifier that has not seen them contradicts their given label.

    Args:
        known: features of the N images.
        names: str (N,), the given classes.
        groups: int (N,), as for `out_of_fold_probabilities`.
        cache_dir: where the probabilities are kept by content; those of a visit's images in its folder.

    Returns:
        As `doubted_labels`.

    Raises:
        ValueError: as `out_of_fold_probabilities`.
    """
    told = "\n".join(f"{group} {name}" for group, name in zip(groups.tolist(), names, strict=True))
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    folder = Path(visit_cache(known.prepared.table["path"]) or cache_dir) / "doubts"
    path = folder / f"{known.key}-{digest}-{_METHOD}.npz"
    if is_cached(path):
        with np.load(path) as saved:
            return doubted_labels(names, saved["probabilities"], saved["classes"].tolist())
    probabilities, classes = out_of_fold_probabilities(known.values, names, groups)
    with new_entry(path) as temporary:
        np.savez(temporary, probabilities=probabilities, classes=np.array(classes))
    return doubted_labels(names, probabilities, classes)


def out_of_fold_probabilities(
    features: FloatArray, names: npt.ArrayLike, groups: IntArray, *, seed: int = 0
) -> tuple[FloatArray, tuple[str, ...]]:
    """Ask for the class of each image a linear head that has seen no image of its patient, nor a copy of it.

    Args:
        features: float (N, F), such as `embeddings.Embeddings.values`.
        names: str (N,), the given classes.
        groups: int (N,), images of one number are never on two sides.
        seed: of the folds.

    Returns:
        (probabilities, classes): float64 (N, C) and the C classes in display order.

    Raises:
        ValueError: fewer than two classes, or a class whose images are all of one group.
    """
    labels = np.asarray(names, dtype=str)
    classes = order_classes(labels.tolist())
    apart = pd.Series(groups).groupby(labels).nunique()
    if len(classes) < 2 or apart.min() < 2:
        raise ValueError(
            "Labels can be reviewed where there are two classes or more, each with images of two patients or more."
        )
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300, random_state=seed))
    values, found = np.asarray(features, np.float32), []
    for folding in range(_FOLDINGS if len(labels) <= _FEW_IMAGES else 1):
        folds = StratifiedGroupKFold(min(_FOLDS, int(apart.min())), shuffle=True, random_state=seed + folding)
        # The steps of the solver are so small that threads inside one only wait for each other.
        with threadpool_limits(1):
            found.append(cross_val_predict(head, values, labels, groups=groups, cv=folds, method="predict_proba"))
    return np.mean(found, axis=0)[:, [sorted(classes).index(name) for name in classes]], classes


def doubted_labels(names: npt.ArrayLike, probabilities: FloatArray, classes: Sequence[str]) -> pd.DataFrame:
    """Rank images by how much predictions contradict their given label.

    Args:
        names: str (N,), the given classes.
        probabilities: float (N, C), of models that were not trained on the image.
        classes: the C classes, in the order of the probabilities.

    Returns:
        One row per image, the most doubted first: `row` (its position), `given`, `suggested` (the likeliest other
        class), `p_given`, `p_suggested`, `margin` (`p_given` less `p_suggested`, in [-1, 1]) and `is_doubted`: the
        image is one that confident learning counts as mislabelled.

    Raises:
        ValueError: a given class is none of `classes`.

    Source:
        Northcutt, Jiang and Chuang 2021, Confident Learning, JAIR 70: the normalised margin ranks; a label is doubted
        where the likeliest class among those whose probability reaches the mean that their own images have is another.
    """
    given = pd.Index(classes).get_indexer(pd.Index(np.asarray(names, dtype=str)))
    if (given < 0).any():
        raise ValueError("Every given label must be a class of the predictions.")
    rows = np.arange(len(given))
    own = probabilities[rows, given]
    others = probabilities.copy()
    others[rows, given] = -1
    suggested = others.argmax(axis=1)
    usual = np.array([own[given == c].mean() if (given == c).any() else np.inf for c in range(len(classes))])
    confident = np.where(probabilities >= usual, probabilities, -1)
    is_doubted = (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != given)
    table = pd.DataFrame({
        "row": rows,
        "given": np.asarray(classes)[given],
        "suggested": np.asarray(classes)[suggested],
        "p_given": own,
        "p_suggested": probabilities[rows, suggested],
        "margin": own - probabilities[rows, suggested],
        "is_doubted": is_doubted,
    })  # fmt: skip
    return table.sort_values("margin", kind="stable", ignore_index=True)


def nearest_images(features: FloatArray, groups: IntArray, row: int, count: int = 4) -> IntArray:
    """Return the images that look most like one to the network, none of its own patient or copies.

    Args:
        features: float (N, F).
        groups: int (N,).
        row: of the image.
        count: how many, at most.

    Returns:
        int64 (n,), positions, the nearest first by cosine similarity.
    """
    values = np.asarray(features, np.float32)
    lengths = np.linalg.norm(values, axis=1)
    similarity = values @ values[row] / np.maximum(lengths * lengths[row], np.finfo(np.float32).tiny)
    similarity[groups == groups[row]] = -np.inf
    nearest = np.argsort(-similarity, kind="stable")[:count]
    return nearest[np.isfinite(similarity[nearest])]
