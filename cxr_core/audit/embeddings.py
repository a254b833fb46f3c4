"""Which embedding has each image of a data set: the features of the built-in classifier's backbone?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import CACHE_DIR, SHIPPED_MODEL_DIR
from cxr_core.data.prepared_images import PreparedImages, prepare_images, read_in_parts
from cxr_core.inference.classifier import Classifier, load_classifier
from cxr_core.system.arrays import FloatArray, UInt8Array, create_array
from cxr_core.system.disk_cache import is_cached, new_entry, open_array
from cxr_core.system.progress import Phase, Progress
from cxr_core.system.visit_folders import visit_cache


@dataclass(frozen=True)
class Embeddings:
    """Features of the images that decode.

    Attributes:
        values: float16 (N, F), memory-mapped and read-only.
        prepared: prepared_images.PreparedImages whose N rows the features belong to.
        key: str, digest of content, preprocessing and network.
    """

    values: FloatArray
    prepared: PreparedImages
    key: str


def dataset_embeddings(
    table: pd.DataFrame,
    *,
    phase: Phase,
    model_dir: str | Path = SHIPPED_MODEL_DIR,
    cache_dir: str | Path = CACHE_DIR,
) -> Embeddings:
    """Compute the features of a data set's images, or open what was computed before.

    Two images of one chest have near features, whatever their size and format; so do two
    chests that look alike.

    Args:
        table: DataFrame with `path`, `file` and `digest`.
        phase: called with the name of what begins.
        model_dir: the model folder whose backbone and preprocessing are used.
        cache_dir: where they are kept by content; those of a visit's images in its folder.

    Raises:
        ValueError: not one image could be decoded.
        OSError: the model or an image went away.
    """
    classifier = load_classifier(model_dir)
    preprocessing, report = classifier.card.preprocessing, phase("Preparing the images for the network")
    prepared = prepare_images(table, preprocessing, cache_dir=cache_dir, progress=report)
    key = f"{prepared.key}-{classifier.digest()}"
    path = Path(visit_cache(prepared.table["path"]) or cache_dir) / "features" / f"{key}.npy"
    if not is_cached(path):
        report = phase("Computing features")
        with new_entry(path) as temporary:
            _write_features(classifier, prepared.images_u8, temporary, report)
    return Embeddings(open_array(path), prepared, key)


def _write_features(classifier: Classifier, images_u8: UInt8Array, path: Path, report: Progress | None) -> None:
    width = classifier.features(images_u8[:1]).shape[1]
    values = create_array(path, np.float16, (len(images_u8), width))
    for rows, images in read_in_parts(images_u8):
        values[rows.start : rows.stop] = classifier.features(images)
        if report:
            report(rows.stop, len(values))
    values.flush()
