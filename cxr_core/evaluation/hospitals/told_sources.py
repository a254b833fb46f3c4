"""How does a classifier learn afterwards from which source each of its test images is?"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.sources import image_sources
from cxr_core.evaluation.hospitals.source_scores import SourceScore, score_sources
from cxr_core.evaluation.hospitals.training_look import measure_look
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.runs.run import Run
from cxr_core.runs.training_images import are_seen, seen_digests
from cxr_core.system.files import write_text
from cxr_core.system.progress import Progress
from cxr_core.system.text import table_csv


def tell_sources(
    folder: str | Path, roots: Sequence[str | Path], *, progress: Progress | None = None
) -> list[SourceScore]:
    """Write the source of each image into a classifier's predictions, and its scores by source into its card.

    What its training images look like goes into the card, too; see `training_look.measure_look`.

    Images are known by their content.

    Args:
        folder: of a run or of a published classifier, with `card.json` and `predictions.csv`.
        roots: the data sets that it was trained and tested on.
        progress: called with (done, total) while the images are listed and measured.

    Returns:
        The scores of its test images, see `source_scores.score_sources`.

    Raises:
        FileNotFoundError: there is no card, or a data set is not there.
        ValueError: none of its images are in the data sets, or all are of one source.
    """
    card, predictions = load_card(folder), Run(Path(folder)).predictions()
    if "digest" not in predictions:
        raise ValueError(f"{folder} has no predictions that name their images by content.")
    table = scan_dataset(*roots, progress=progress).table
    predictions = predictions.assign(source=_sources_of(predictions, table.assign(source=image_sources(table))))
    metrics: dict[str, Any] = {}
    for side in ("validation", "test"):
        rows = predictions[predictions["split"] == side].drop(columns="path", errors="ignore").reset_index(drop=True)
        metrics[side] = card.metrics[side] | {"sources": score_sources(rows, card.classes)}
    if not metrics["test"]["sources"]:
        names = ", ".join(Path(root).name for root in roots)
        raise ValueError(f"In {names} there are not two sources of its test images; name all data sets it was made of.")
    seen = seen_digests(folder)
    trained = table[are_seen(table, seen)].drop_duplicates("digest") if seen else table.iloc[:0]
    if len(trained):
        metrics["look"] = measure_look(trained, progress=progress)
    write_text(Path(folder) / "predictions.csv", table_csv(predictions, float_format="%.6g"))
    write_card(replace(card, metrics=card.metrics | metrics), folder)
    scores: list[SourceScore] = metrics["test"]["sources"]
    return scores


def _sources_of(predictions: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """Return the source of each prediction: of the file of its name and content, else of any with its content."""
    by_file = table.drop_duplicates(["digest", "file"]).set_index(["digest", "file"])["source"]
    by_content = table.drop_duplicates("digest").set_index("digest")["source"]
    keys = pd.MultiIndex.from_frame(predictions[["digest", "file"]])
    exact = pd.Series(by_file.reindex(keys).to_numpy(), index=predictions.index, dtype=object)
    return exact.fillna(predictions["digest"].map(by_content))
