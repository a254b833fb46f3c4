"""In which part does a group of images stand, so that a further image moves hardly any other?

Every group has a place of its own in (0, 1), a hash of its content and the seed. The groups of a class stand in a row
in the order of their places, and the row is cut where the parts' shares end. An image more or less shifts the cuts by
one image at most; a random permutation would deal anew.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxr_core.system.arrays import FloatArray, IntArray

# So many attempts to find a part for every class are made before a split counts as impossible.
_MOST_ATTEMPTS = 20_000
_UNSETTLED, _NONE_NEEDED = -1, -1


class _Groups(NamedTuple):
    """Groups to be drawn: `counts` int (G, C), images of each class, and `places` float (G,) in [0, 1)."""

    counts: IntArray
    places: FloatArray


def draw_parts(groups: pd.DataFrame, shares: Sequence[float], seed: int, *, purpose: str, fewest: int = 1) -> IntArray:
    """Draw the part of every group: each class in every part, and about in proportion to the shares.

    Args:
        groups: G rows with `digest` (which content makes a group what it is) and one further column per class: int,
            how many images of it a group holds.
        shares: of K parts, above 0; their sum is 1.
        seed: of the drawing.
        purpose: what is drawn; draws of one seed for two purposes are independent.
        fewest: how many groups of every class each part must have.

    Returns:
        int (G,), from 0 to K - 1.

    Raises:
        LookupError: no way was found to have every class in every part.
    """
    places = np.array([_place(digest, seed, purpose) for digest in groups["digest"]])
    counts = groups.drop(columns="digest").to_numpy()
    # A group that holds several classes stands in the row of the most frequent one.
    main = counts.argmax(axis=1)
    parts = np.zeros(len(groups), int)
    for number in np.unique(main):
        rows = np.flatnonzero(main == number)
        rows = rows[np.argsort(places[rows], kind="stable")]
        parts[rows] = _cut_row(counts[rows].sum(axis=1), np.asarray(shares, float))
    return _cover_classes(_Groups(counts, places), parts, len(shares), fewest)


def _place(digest: str, seed: int, purpose: str) -> float:
    """Return a place in [0, 1) that looks drawn at random, always the same for the same arguments."""
    hashed = hashlib.blake2b(f"{purpose}:{seed}:{digest}".encode(), digest_size=8)
    return int.from_bytes(hashed.digest()) / 2**64


def _cut_row(sizes: IntArray, shares: FloatArray) -> IntArray:
    """Cut a row of groups into parts.

    A group larger than twice the smallest share would push that part far over it, wherever it stands in the row. Such
    groups go first, the largest to the part that lacks most; the others are cut by the places of their middles.

    Args:
        sizes: int (G,), images of each group.
        shares: float (K,).

    Returns:
        int (G,), the part of each group.
    """
    lacking = shares * sizes.sum()
    parts = np.zeros(len(sizes), int)
    large = sizes > 2 * lacking.min()
    for row in sorted(np.flatnonzero(large), key=lambda row: -sizes[row]):
        parts[row] = lacking.argmax()
        lacking[parts[row]] -= sizes[row]
    small = sizes[~large]
    lacking = lacking.clip(min=0)
    if len(small):
        middles = (small.cumsum() - small / 2) / small.sum()
        ends = lacking.cumsum() / lacking.sum()
        parts[~large] = np.searchsorted(ends[:-1], middles, side="right")
    return parts


def _cover_classes(groups: _Groups, parts: IntArray, n_parts: int, fewest: int) -> IntArray:
    """Have `fewest` groups of every class in every part, moving a group only where one is lacking.

    Classes of few groups choose first, and a choice that leaves a later class without a group is taken back.

    Args:
        groups: G groups.
        parts: int (G,), as drawn.
        n_parts: K.
        fewest: of every class in every part.

    Returns:
        int (G,).

    Raises:
        LookupError: no way was found.
    """
    holding = groups.counts > 0
    if all((holding[parts == part].sum(axis=0) >= fewest).all() for part in range(n_parts)):
        return parts
    few_first = np.argsort(holding.sum(axis=0), kind="stable")
    needs = list(product(few_first.tolist(), range(n_parts), range(1, fewest + 1)))
    # Groups of one class before groups of several, small ones before large ones: they move the fewest images.
    preferred = np.lexsort((groups.places, groups.counts.sum(axis=1), holding.sum(axis=1)))
    members = [preferred[holding[preferred, number]] for number in range(holding.shape[1])]
    settled = np.full(len(parts), _UNSETTLED)
    choices: list[Iterator[int]] = []
    chosen: list[int] = []
    for _ in range(_MOST_ATTEMPTS + 2 * len(needs)):
        if len(chosen) == len(needs):
            return np.where(settled == _UNSETTLED, parts, settled)
        class_number, part, wanted = needs[len(chosen)]
        if len(choices) == len(chosen):
            choices.append(_candidates(members[class_number], parts, settled, part, wanted))
        group = next(choices[-1], None)
        if group is not None:
            chosen.append(group)
            if group != _NONE_NEEDED:
                settled[group] = part
            continue
        choices.pop()
        if not chosen:
            break
        if (taken_back := chosen.pop()) != _NONE_NEEDED:
            settled[taken_back] = _UNSETTLED
    raise LookupError("No way was found to have every class in every part.")


def _candidates(members: IntArray, drawn: IntArray, settled: IntArray, part: int, wanted: int) -> Iterator[int]:
    """Return the groups of a class that may settle in a part, those that were drawn into it first."""
    if (settled[members] == part).sum() >= wanted:
        return iter([_NONE_NEEDED])
    free = members[settled[members] == _UNSETTLED]
    there = drawn[free] == part
    return iter([*free[there].tolist(), *free[~there].tolist()])
