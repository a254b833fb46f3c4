"""Which embedding has each image of a data set: the features of the built-in classifier's backbone?"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import CACHE_DIR, SHIPPED_MODEL_DIR
from cxr_core.data.prepared_images import PreparedImages, prepare_images, read_in_parts
from cxr_core.inference.classifier import Classifier, load_classifier
from cxr_core.system.arrays import FloatArray, UInt8Array, create_array
from cxr_core.system.disk_cache import is_cached, new_entry, open_array
from cxr_core.system.progress import Phase, Progress, ShareWork, in_threads
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
    share: ShareWork | None = None,
) -> Embeddings:
    """Compute the features of a data set's images, or open what was computed before.

    Two images of one chest have near features, whatever their size and format; so do two
    chests that look alike.

    Args:
        table: DataFrame with `path`, `file` and `digest`.
        phase: called with the name of what begins.
        model_dir: the model folder whose backbone and preprocessing are used.
        cache_dir: where they are kept by content; those of a visit's images in its folder.
        share: who prepares the images and asks the network, which by default works on one chunk after the other: on
            this computer it takes all cores itself. Other computers must see the model's folder, too.

    Raises:
        ValueError: not one image could be decoded.
        OSError: the model or an image went away.
    """
    classifier = load_classifier(model_dir, for_many=True)
    preprocessing, report = classifier.card.preprocessing, phase("Preparing the images for the network")
    prepared = prepare_images(table, preprocessing, cache_dir=cache_dir, progress=report, share=share or in_threads)
    digest = classifier.digest()
    key = f"{prepared.key}-{digest}"
    path = Path(visit_cache(prepared.table["path"]) or cache_dir) / "features" / f"{key}.npy"
    if not is_cached(path):
        report = phase("Computing features")
        with new_entry(path) as temporary:
            parts = (images for _, images in read_in_parts(prepared.images_u8))
            elsewhere = partial(_features, str(model_dir), digest)
            features = share(elsewhere, parts) if share else map(classifier.features, parts)
            _write_features(features, len(prepared.images_u8), temporary, report)
    return Embeddings(open_array(path), prepared, key)


def _write_features(chunks: Iterable[FloatArray], n: int, path: Path, report: Progress | None) -> None:
    """Write the features of `n` images, chunk by chunk, so that memory does not grow with the data set."""
    done, values = 0, None
    for features in chunks:
        if values is None:
            values = create_array(path, np.float16, (n, features.shape[1]))
        values[done : done + len(features)] = features
        done += len(features)
        if report:
            report(done, n)
    if values is not None:
        values.flush()


def _features(model_dir: str, digest: str, images_u8: UInt8Array) -> FloatArray:
    """Return float16 (N, F) of uint8 (N, size, size), prepared as the network wants them; on another computer."""
    return _classifier(model_dir, digest).features(images_u8).astype(np.float16)


@lru_cache(maxsize=1)
def _classifier(model_dir: str, digest: str) -> Classifier:
    """Return the classifier of a folder, loaded once in a process."""
    classifier = load_classifier(model_dir, for_many=True)
    if classifier.digest() != digest:
        raise ValueError(f"The classifier in {model_dir} is another one on this computer; give both the same project.")
    return classifier
