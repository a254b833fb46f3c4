"""What did people decide about this data set: images excluded, and look-alikes that are not the same?

Kept beside the data set's index, copied into every run, and respected by every split.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import INDEX_DIR
from cxr_core.data.file_index import index_folder
from cxr_core.system.arrays import BoolArray
from cxr_core.system.files import read_json, write_json

CURATION_FILE = "decisions.json"


@dataclass(frozen=True, order=True)
class ImageKey:
    """One file with one content: a decision no longer holds for a file that has changed."""

    file: str
    digest: str


@dataclass(frozen=True)
class Curation:
    """Immutable; each function below returns a new one.

    Attributes:
        excluded: each excluded image with its reason; these take no part in any split.
        distinct: groups that look alike but are not the same.
    """

    excluded: dict[ImageKey, str] = field(default_factory=dict)
    distinct: tuple[tuple[ImageKey, ...], ...] = ()

    def reasons(self) -> dict[str, int]:
        """Return a dict of reason to number of excluded images, the most frequent first."""
        return dict(Counter(self.excluded.values()).most_common())


def curation_path(roots: Sequence[str | Path], index_dir: str | Path = INDEX_DIR) -> Path:
    """Return where the decisions about some roots are kept."""
    return index_folder(roots, index_dir) / CURATION_FILE


def load_curation(path: str | Path) -> Curation:
    """Read decisions; there are none where the file is missing.

    Raises:
        ValueError: the file holds something else; it is named.
    """
    try:
        values = read_json(path)
        excluded = {ImageKey(e["file"], e["digest"]): e["reason"] for e in values["excluded"]}
        distinct = tuple(tuple(ImageKey(**p) for p in group) for group in values["distinct"])
    except FileNotFoundError:
        return Curation()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no decisions about a data set; move it away to start anew.") from error
    return Curation(excluded, distinct)


def save_curation(curation: Curation, path: str | Path) -> None:
    """Write decisions as JSON, atomically."""
    excluded = [asdict(p) | {"reason": reason} for p, reason in sorted(curation.excluded.items())]
    distinct = [[asdict(p) for p in group] for group in curation.distinct]
    write_json(Path(path), {"excluded": excluded, "distinct": distinct})


def images_of(rows: pd.DataFrame) -> list[ImageKey]:
    """Return a list of ImageKey, one per row of a table with `file` and `digest`."""
    return [ImageKey(file, digest) for file, digest in zip(rows["file"], rows["digest"], strict=True)]


def exclude(curation: Curation, rows: pd.DataFrame, reason: str) -> Curation:
    """Exclude the images of some table rows; one that is excluded already keeps its reason."""
    return replace(curation, excluded=dict.fromkeys(images_of(rows), reason) | curation.excluded)


def include(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Include the images of some table rows again."""
    back = set(images_of(rows))
    return replace(curation, excluded={p: r for p, r in curation.excluded.items() if p not in back})


def mark_distinct(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Note that the images of some table rows look alike but are not the same."""
    return replace(curation, distinct=(*curation.distinct, tuple(sorted(images_of(rows)))))


def unmark_distinct(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Forget every such note about any of the images of some table rows."""
    named = set(images_of(rows))
    return replace(curation, distinct=tuple(g for g in curation.distinct if not named & set(g)))


def excluded_rows(table: pd.DataFrame, curation: Curation) -> BoolArray:
    """Return bool (N,), True for the rows that are excluded."""
    return np.array([image in curation.excluded for image in images_of(table)], bool)


def without_distinct(pairs: pd.DataFrame, table: pd.DataFrame, curation: Curation) -> pd.DataFrame:
    """Drop the pairs whose two images were marked as distinct.

    Args:
        pairs: DataFrame with `a` and `b`, row positions of `table`.
        table: DataFrame with `file` and `digest`.
        curation: what was decided.

    Returns:
        DataFrame like `pairs`.
    """
    if not curation.distinct:
        return pairs
    marked: dict[ImageKey, set[int]] = {}
    for number, group in enumerate(curation.distinct):
        for image in group:
            marked.setdefault(image, set()).add(number)
    numbers = [marked.get(image, set()) for image in images_of(table)]
    kept = [not numbers[a] & numbers[b] for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    return pairs[kept].reset_index(drop=True)
