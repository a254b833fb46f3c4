"""What did people decide about this data set: images excluded, labels, and look-alikes that are not the same?

A decision belongs to an image, known by its content: it holds in every data set that the image is part of, in whatever
order the folders are named. Kept beside the data set's index, copied into every run, and respected by every split.
"""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import INDEX_DIR
from cxr_core.data.file_index import index_folder
from cxr_core.system.arrays import BoolArray
from cxr_core.system.files import read_json, write_json

CURATION_FILE = "decisions.json"
# The reason of an image that was excluded because another one shows the same radiograph.
DUPLICATE = "duplicate"


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
        whole: digests of those of the excluded that stay excluded under whatever name their content comes.
        one_stays: digests of those of the excluded that have copies of equal content, of which one takes part.
            A content in neither of the two is excluded under the names that were excluded alone.
        labels: {digest: class} of the images whose label was looked at; the class may be the one that they had.
    """

    excluded: dict[ImageKey, str] = field(default_factory=dict)
    distinct: tuple[tuple[ImageKey, ...], ...] = ()
    whole: frozenset[str] = frozenset()
    one_stays: frozenset[str] = frozenset()
    labels: dict[str, str] = field(default_factory=dict)

    def reasons(self) -> dict[str, int]:
        """Return a dict of reason to number of excluded images, the most frequent first."""
        return dict(Counter(self.excluded.values()).most_common())


def curation_path(roots: Sequence[str | Path], index_dir: str | Path = INDEX_DIR) -> Path:
    """Return where the decisions about some roots are kept."""
    return index_folder(roots, index_dir) / CURATION_FILE


def load_curation(path: str | Path) -> Curation:
    """Read decisions; there are none where the file is missing.

    Those of earlier versions do not say what holds for the copies of an image: what was excluded for its looks is
    excluded with its whole content, a duplicate under its name alone.

    Raises:
        ValueError: the file holds something else; it is named.
    """
    try:
        values = read_json(path)
        excluded = {ImageKey(e["file"], e["digest"]): e["reason"] for e in values["excluded"]}
        distinct = tuple(tuple(ImageKey(**p) for p in group) for group in values["distinct"])
        earlier = {image.digest for image, reason in excluded.items() if reason != DUPLICATE}
        whole = frozenset(values.get("whole", earlier))
        one_stays = frozenset(values.get("one_stays", ()))
        labels = {str(digest): str(name) for digest, name in values.get("labels", {}).items()}
    except FileNotFoundError:
        return Curation()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no decisions about a data set; move it away to start anew.") from error
    return Curation(excluded, distinct, whole, one_stays, labels)


def save_curation(curation: Curation, path: str | Path) -> None:
    """Write decisions as JSON, atomically."""
    excluded = [asdict(p) | {"reason": reason} for p, reason in sorted(curation.excluded.items())]
    distinct = [[asdict(p) for p in group] for group in curation.distinct]
    digests = {"whole": sorted(curation.whole), "one_stays": sorted(curation.one_stays)}
    labels = dict(sorted(curation.labels.items()))
    write_json(Path(path), {"excluded": excluded, "distinct": distinct, **digests, "labels": labels})


def dataset_decisions(table: pd.DataFrame, roots: Sequence[str | Path], index_dir: str | Path = INDEX_DIR) -> Curation:
    """Gather what was decided about the images of a data set, in this data set or in any other that holds them.

    Args:
        table: DataFrame with `file` and `digest`.
        roots: of the data set.
        index_dir: the folder of all indexes.

    Returns:
        What concerns these images; `excluded` names exactly the rows that are excluded.

    Raises:
        ValueError: the decisions kept for these very roots cannot be read; those of other data sets are passed over.
    """
    return decisions_about(stored_decisions(roots, index_dir), table)


def stored_decisions(roots: Sequence[str | Path], index_dir: str | Path = INDEX_DIR) -> Curation:
    """Gather what was ever decided about images; where it is contradictory, what is kept for these roots counts.

    Raises:
        ValueError: the decisions kept for these very roots cannot be read; those of other data sets are passed over.
    """
    own = curation_path(roots, index_dir)
    return _joined([load_curation(own), *_others(own, index_dir).values()])


def decisions_about(curation: Curation, table: pd.DataFrame) -> Curation:
    """Return what concerns the images of a table, the excluded under the names that they have there."""
    # Pages ask several times at every rerun.
    if curation == Curation():
        return curation
    concerned = _digests(curation.excluded).union(curation.labels, *map(_digests, curation.distinct))
    table = table[table["digest"].isin(concerned)]
    reasons = {image.digest: reason for image, reason in curation.excluded.items()}
    rows = images_of(table[excluded_rows(table, curation)])
    out, here = _digests(rows), frozenset(table["digest"])
    return Curation(
        {image: curation.excluded.get(image, reasons.get(image.digest, "")) for image in rows},
        tuple(group for group in curation.distinct if _digests(group) <= here),
        curation.whole & out,
        curation.one_stays & out,
        {digest: name for digest, name in curation.labels.items() if digest in here},
    )


def changed_decisions(stored: Curation, before: Curation, after: Curation) -> Curation:
    """Carry a change of what `decisions_about` gave over to all that is stored; nothing else is touched."""
    changed = _joined([after, _without(stored, _changed_digests(before, after))])
    return replace(changed, labels=_without_labels(stored, before.labels).labels | after.labels)


def taken_back(current: Curation, before: Curation, after: Curation) -> Curation:
    """Take back one change, and nothing else: what was decided since, about other images or the same ones, stands.

    Args:
        current: what holds now.
        before: what held before the change.
        after: what it made of that.
    """
    added = (after.excluded.items() - before.excluded.items()) & current.excluded.items()
    removed = {image: reason for image, reason in before.excluded.items() if image not in after.excluded}
    excluded = removed | {image: reason for image, reason in current.excluded.items() if (image, reason) not in added}
    as_left = _changed_digests(before, after) - _changed_digests(_unmarked(after), _unmarked(current))
    # What somebody else excluded of the same content stays excluded under its name, and the one taken back takes part.
    opened, restored = _digests(image for image, _ in added) - as_left, as_left | _digests(removed)
    left = frozenset(_digests(excluded))
    whole = ((current.whole - as_left) | (before.whole & restored)) & left - opened
    one_stays = (current.one_stays - as_left) | (before.one_stays & restored) | (current.whole & opened)
    marked = set(after.distinct) - set(before.distinct)
    unmarked = [group for group in before.distinct if group not in after.distinct]
    distinct = [*(group for group in current.distinct if group not in marked), *unmarked]
    relabelled = {digest for digest, _ in before.labels.items() ^ after.labels.items()}
    back = {digest for digest in relabelled if current.labels.get(digest) == after.labels.get(digest)}
    labels = _without_labels(current, back).labels | {d: name for d, name in before.labels.items() if d in back}
    return Curation(excluded, tuple(dict.fromkeys(distinct)), whole, one_stays & left - whole, labels)


def save_decisions(
    curation: Curation, table: pd.DataFrame, roots: Sequence[str | Path], index_dir: str | Path = INDEX_DIR
) -> None:
    """Keep what was decided about the images of a data set, and take it back elsewhere where it has changed.

    Args:
        curation: made from what `dataset_decisions` returned for the same data set.
        table: DataFrame with `file` and `digest`.
        roots: of the data set.
        index_dir: the folder of all indexes.
    """
    before = dataset_decisions(table, roots, index_dir)
    changed = _changed_digests(before, curation)
    relabelled = {digest for digest, _ in before.labels.items() ^ curation.labels.items()}
    own = curation_path(roots, index_dir)
    for path, stored in _others(own, index_dir).items():
        kept = _without_labels(_without(stored, changed), relabelled)
        if kept != stored:
            save_curation(kept, path)
    save_curation(changed_decisions(load_curation(own), before, curation), own)


def images_of(rows: pd.DataFrame) -> list[ImageKey]:
    """Return a list of ImageKey, one per row of a table with `file` and `digest`."""
    return [ImageKey(file, digest) for file, digest in zip(rows["file"], rows["digest"], strict=True)]


def exclude(curation: Curation, rows: pd.DataFrame, reason: str, *, among: pd.DataFrame | None = None) -> Curation:
    """Exclude the images of some table rows; one that is excluded already keeps its reason.

    Args:
        curation: what was decided before.
        rows: rows of a table with `file` and `digest`.
        reason: in a word.
        among: the table that the rows are of, with the same index. Where none of an image's copies of equal content
            stays in it, the whole content is excluded; where one stays, one always will. Without the table, files are
            excluded under their names alone.
    """
    keys = dict.fromkeys(images_of(rows), reason) | curation.excluded
    if among is None:
        return replace(curation, excluded=keys)
    digests = frozenset(rows["digest"])
    stay = digests & frozenset(among["digest"][~excluded_rows(among, curation) & ~among.index.isin(rows.index)])
    return replace(
        curation,
        excluded=keys,
        whole=(curation.whole | digests) - stay,
        one_stays=(curation.one_stays - digests) | stay,
    )


def include(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Include the images of some table rows again; what was excluded as a whole, under all of its names."""
    back, digests = set(images_of(rows)), frozenset(rows["digest"])
    opened = digests & curation.whole
    excluded = {p: r for p, r in curation.excluded.items() if p not in back and p.digest not in opened}
    left = {image.digest for image in excluded}
    return replace(curation, excluded=excluded, whole=curation.whole & left, one_stays=curation.one_stays & left)


def mark_distinct(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Note that the images of some table rows look alike but are not the same."""
    return replace(curation, distinct=(*curation.distinct, tuple(sorted(images_of(rows)))))


def unmark_distinct(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Forget every such note about any of the images of some table rows."""
    named = set(rows["digest"])
    return replace(curation, distinct=tuple(g for g in curation.distinct if not named & _digests(g)))


def excluded_rows(table: pd.DataFrame, curation: Curation) -> BoolArray:
    """Return bool (N,), True for the rows that are excluded."""
    out = np.zeros(len(table), bool)
    named = np.flatnonzero(table["digest"].isin(_digests(curation.excluded)))
    rows = table.iloc[named].reset_index(drop=True)
    is_named = np.array([image in curation.excluded for image in images_of(rows)], bool)
    is_out = pd.Series(is_named | rows["digest"].isin(curation.whole))
    # The last copy of a content takes part, whatever it is called here.
    has_lost_all = rows["digest"].isin(curation.one_stays) & is_out.groupby(rows["digest"]).transform("all")
    out[named] = is_out & ~(has_lost_all & ~rows["digest"].duplicated())
    return out


def without_distinct(pairs: pd.DataFrame, table: pd.DataFrame, curation: Curation) -> pd.DataFrame:
    """Drop the pairs whose two images were marked as distinct.

    Args:
        pairs: DataFrame with `a` and `b`, row positions of `table`.
        table: DataFrame with `digest`.
        curation: what was decided.

    Returns:
        DataFrame like `pairs`.
    """
    if not curation.distinct:
        return pairs
    marked: dict[str, set[int]] = {}
    copies: dict[str, set[int]] = {}
    for number, group in enumerate(curation.distinct):
        for digest, count in Counter(image.digest for image in group).items():
            marked.setdefault(digest, set()).add(number)
            if count > 1:
                copies.setdefault(digest, set()).add(number)
    digests = table["digest"].tolist()

    def is_parted(a: str, b: str) -> bool:
        return bool(copies.get(a) if a == b else marked.get(a, set()) & marked.get(b, set()))

    kept = [not is_parted(digests[a], digests[b]) for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    return pairs[kept].reset_index(drop=True)


def _digests(images: Iterable[ImageKey]) -> set[str]:
    return {image.digest for image in images}


def _others(own: Path, index_dir: str | Path) -> dict[Path, Curation]:
    """Return the decisions kept for all other data sets, by file; a file that holds something else is passed over."""
    found = {}
    for path in sorted(Path(index_dir).glob(f"*/{CURATION_FILE}")):
        if path != own:
            with suppress(ValueError):
                found[path] = load_curation(path)
    return found


def _joined(curations: Iterable[Curation]) -> Curation:
    """Join decisions; of two about one content the earlier in the sequence counts."""
    joined = Curation()
    for curation in curations:
        new = _without(curation, frozenset(_digests(joined.excluded)), keep_distinct=True)
        joined = Curation(
            joined.excluded | new.excluded,
            tuple(dict.fromkeys((*joined.distinct, *new.distinct))),
            joined.whole | new.whole,
            joined.one_stays | new.one_stays,
            curation.labels | joined.labels,
        )
    return joined


def _changed_digests(before: Curation, after: Curation) -> frozenset[str]:
    """Return the contents about which two curations differ."""
    excluded = set(before.excluded.items()) ^ set(after.excluded.items())
    groups = set(before.distinct) ^ set(after.distinct)
    return frozenset(
        {image.digest for image, _ in excluded}
        | {image.digest for group in groups for image in group}
        | (before.whole ^ after.whole)
        | (before.one_stays ^ after.one_stays)
    )


def _unmarked(curation: Curation) -> Curation:
    """Forget which groups are not the same."""
    return replace(curation, distinct=())


def _without(curation: Curation, digests: frozenset[str], *, keep_distinct: bool = False) -> Curation:
    """Forget what was decided about some contents, but for their labels."""
    return Curation(
        {image: reason for image, reason in curation.excluded.items() if image.digest not in digests},
        tuple(g for g in curation.distinct if keep_distinct or not digests >= _digests(g)),
        curation.whole - digests,
        curation.one_stays - digests,
        curation.labels,
    )


def _without_labels(curation: Curation, digests: Container[str]) -> Curation:
    return replace(curation, labels={d: name for d, name in curation.labels.items() if d not in digests})
