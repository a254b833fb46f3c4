"""What the shipped classifier's backbone makes of every image of a data set, without TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxr_core.config import CACHE_DIR, SHIPPED_MODEL_DIR
from cxr_core.data.prepared_images import PreparedImages, prepare_images, read_in_parts
from cxr_core.inference.classifier import load_classifier
from cxr_core.system.files import atomic_path


@dataclass(frozen=True)
class Embeddings:
    """Features of the images that decode.

    Attributes:
        values: float16 (N, F), memory-mapped and read-only.
        prepared: prepared_images.PreparedImages whose N rows the features belong to.
        key: str, digest of content, preprocessing and network.
    """

    values: np.ndarray
    prepared: PreparedImages
    key: str


def dataset_embeddings(table, *, phase, model_dir=SHIPPED_MODEL_DIR, cache_dir=CACHE_DIR):
    """Compute the features of a data set's images, or open what was computed before.

    Two images of one chest have near features, whatever their size and format; so do two
    chests that look alike.

    Args:
        table: DataFrame with `path`, `file` and `digest`.
        phase: callable(name) that returns a callable(done, total) to report to, or None.
        model_dir: str or Path, the model folder whose backbone and preprocessing are used.
        cache_dir: str or Path.

    Returns:
        Features.

    Raises:
        ValueError: not one image could be decoded.
        OSError: the model or an image went away.
    """
    classifier = load_classifier(model_dir)
    preprocessing, report = classifier.card.preprocessing, phase("Preparing the images for the network")
    prepared = prepare_images(table, preprocessing, cache_dir=cache_dir, progress=report)
    key = f"{prepared.key}-{classifier.digest()}"
    path = Path(cache_dir) / "features" / f"{key}.npy"
    if not path.exists():
        report = phase("Computing features")
        with atomic_path(path) as temporary:
            _write_features(classifier, prepared.images_u8, temporary, report)
    return Embeddings(np.load(path, mmap_mode="r"), prepared, key)


def _write_features(classifier, images_u8, path, report):
    width = classifier.features(images_u8[:1]).shape[1]
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(len(images_u8), width))
    for rows, images in read_in_parts(images_u8):
        values[rows.start : rows.stop] = classifier.features(images)
        if report:
            report(rows.stop, len(values))
    values.flush()
