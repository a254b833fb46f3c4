"""What does a classifier answer on the images of the teaching set?

They are kept by content. No other site's are: its files may be named after patients.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import CACHE_DIR, LUNG_MODEL_DIR
from cxr_core.evaluation.hospitals.site import SiteAnswers, SiteImage, answer_site, table_images
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.input_gate import GATE_FILES
from cxr_core.system.disk_cache import is_cached, new_entry
from cxr_core.system.progress import Progress

# Raise it when the same classifier answers otherwise.
_METHOD = 1
_MEASURE = "measure "


def teaching_answers(
    classifier: Classifier, table: pd.DataFrame, *, cache_dir: str | Path = CACHE_DIR, progress: Progress | None = None
) -> SiteAnswers:
    """Answer the images of the teaching set, or open what was answered before; see `answer_site`.

    Args:
        classifier: opened from a folder.
        table: of the teaching set, as `scan_dataset` lists it.
        cache_dir: where the answers are kept.
        progress: as for `answer_site`.
    """
    path = Path(cache_dir) / "answers" / f"{_key(classifier, table)}.parquet"
    if is_cached(path):
        return _read(path)
    answers = answer_site(classifier, *table_images(classifier, table), progress=progress)
    # A file that cannot be read may be there again the next time.
    if not answers.unreadable:
        with suppress(OSError), new_entry(path) as temporary:
            _write(answers, temporary)
    return answers


def _key(classifier: Classifier, table: pd.DataFrame) -> str:
    """Digest what the answers depend on: the images, and how they are answered."""
    card, folder = classifier.card, Path(classifier.path or "").parent
    rows = table[["file", "digest", "class_name", "patient"]].fillna("").to_numpy().tolist()
    told = [_METHOD, rows, card.classes, card.preprocessing.to_dict(), card.temperature, card.abstain_below]
    parts = [json.dumps(told).encode(), classifier.digest().encode()]
    models = [*(folder / name for name in GATE_FILES), *(LUNG_MODEL_DIR / name for name in ("card.json", "model.onnx"))]
    parts += [path.read_bytes() for path in models if path.exists()]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def _write(answers: SiteAnswers, path: Path) -> None:
    measures = pd.DataFrame([image.measures for image in answers.kept]).add_prefix(_MEASURE)
    vectors = pd.Series(list(np.stack([image.vector for image in answers.kept])), name="vector")
    pd.concat([answers.rows, measures, vectors], axis=1).to_parquet(path, compression="zstd")


def _read(path: Path) -> SiteAnswers:
    table = pd.read_parquet(path)
    measures = [name for name in map(str, table) if name.startswith(_MEASURE)]
    rows = table.drop(columns=[*measures, "vector"]).astype({"true": object, "answer": object, "reason": object})
    kept = []
    for told in table.to_dict("records"):
        measured = {name.removeprefix(_MEASURE): float(told[name]) for name in measures}
        kept.append(SiteImage(told["vector"], measured, told["refused"]))
    return SiteAnswers(rows, kept, 0)
