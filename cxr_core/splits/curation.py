"""What a person decided about a data set: pictures left out, and look-alikes that are not the same.

Kept beside the data set's index, copied into every run, and respected by every split.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from cxr_core.config import INDEX_DIR
from cxr_core.data.file_index import index_folder
from cxr_core.system.files import read_json, write_json

DECISIONS_FILE = "decisions.json"


@dataclass(frozen=True, order=True)
class Picture:
    """One file with one content: a decision no longer holds for a file that has changed."""

    file: str
    digest: str


@dataclass(frozen=True)
class Decisions:
    """Immutable; each function below returns a new one.

    Attributes:
        excluded: dict of Picture to reason (str); these take no part in any split.
        distinct: tuple of tuples of Picture, groups that look alike but are not the same.
    """

    excluded: dict = field(default_factory=dict)
    distinct: tuple = ()

    def reasons(self):
        """Return a dict of reason to number of excluded pictures, the most frequent first."""
        return dict(Counter(self.excluded.values()).most_common())


def decisions_path(roots, index_dir=INDEX_DIR):
    """Return where the decisions about some roots are kept."""
    return index_folder(roots, index_dir) / DECISIONS_FILE


def load_decisions(path):
    """Read decisions; there are none where the file is missing.

    Raises:
        ValueError: the file holds something else; it is named.
    """
    try:
        values = read_json(path)
        excluded = {Picture(e["file"], e["digest"]): e["reason"] for e in values["excluded"]}
        distinct = tuple(tuple(Picture(**p) for p in group) for group in values["distinct"])
    except FileNotFoundError:
        return Decisions()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no decisions about a data set; move it away to start anew.") from error
    return Decisions(excluded, distinct)


def save_decisions(decisions, path):
    """Write decisions as JSON, atomically."""
    excluded = [asdict(p) | {"reason": reason} for p, reason in sorted(decisions.excluded.items())]
    distinct = [[asdict(p) for p in group] for group in decisions.distinct]
    write_json(Path(path), {"excluded": excluded, "distinct": distinct})


def pictures_of(rows):
    """Return a list of Picture, one per row of a table with `file` and `digest`."""
    return [Picture(file, digest) for file, digest in zip(rows["file"], rows["digest"], strict=True)]


def exclude(decisions, rows, reason):
    """Leave out the pictures of some table rows; one that is left out already keeps its reason."""
    return replace(decisions, excluded=dict.fromkeys(pictures_of(rows), reason) | decisions.excluded)


def include(decisions, rows):
    """Take the pictures of some table rows in again."""
    back = set(pictures_of(rows))
    return replace(decisions, excluded={p: r for p, r in decisions.excluded.items() if p not in back})


def mark_distinct(decisions, rows):
    """Note that the pictures of some table rows look alike but are not the same."""
    return replace(decisions, distinct=(*decisions.distinct, tuple(sorted(pictures_of(rows)))))


def unmark_distinct(decisions, rows):
    """Forget every such note about any of the pictures of some table rows."""
    named = set(pictures_of(rows))
    return replace(decisions, distinct=tuple(g for g in decisions.distinct if not named & set(g)))


def excluded_rows(table, decisions):
    """Return bool (N,), True for the rows that are left out."""
    return np.array([picture in decisions.excluded for picture in pictures_of(table)], bool)


def without_distinct(pairs, table, decisions):
    """Drop the pairs whose two pictures were marked as distinct.

    Args:
        pairs: DataFrame with `a` and `b`, row positions of `table`.
        table: DataFrame with `file` and `digest`.
        decisions: Decisions.

    Returns:
        DataFrame like `pairs`.
    """
    if not decisions.distinct:
        return pairs
    marked = {}
    for number, group in enumerate(decisions.distinct):
        for picture in group:
            marked.setdefault(picture, set()).add(number)
    numbers = [marked.get(picture, set()) for picture in pictures_of(table)]
    kept = [not numbers[a] & numbers[b] for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    return pairs[kept].reset_index(drop=True)
