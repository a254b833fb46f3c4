"""Which pictures of a data set belong together: one patient's, and copies of one picture."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr_core.data.prepared_images import PreparedImages, prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits.curation import excluded_rows, without_distinct
from cxr_core.splits.duplicates import duplicate_groups, find_duplicates
from cxr_core.splits.split import picture_groups


@dataclass(frozen=True)
class Grouping:
    """A data set's pictures and what ties them.

    Attributes:
        prepared: prepared_images.PreparedImages, the N pictures as they were compared.
        pairs: DataFrame, duplicates as `duplicates.find_duplicates` gives them, less those that
            were marked as distinct.
        groups: int (N,), a number per picture; pictures of one number must not be parted.
    """

    prepared: PreparedImages
    pairs: pd.DataFrame
    groups: np.ndarray

    @property
    def table(self):
        """The table of the N pictures."""
        return self.prepared.table

    def duplicates(self):
        """Return the groups of duplicates as a list of int arrays of row positions."""
        return duplicate_groups(self.pairs, len(self.table))

    def taking_part(self, decisions):
        """Leave out what was excluded.

        Args:
            decisions: curation.Decisions.

        Returns:
            (rows, table, groups): int (n,), positions of the pictures that take part, and for these
            their table (index 0…n-1) and their group numbers.
        """
        rows = np.flatnonzero(~excluded_rows(self.table, decisions))
        return rows, self.table.iloc[rows].reset_index(drop=True), self.groups[rows]


def group_pictures(table, decisions, *, phase, find_copies=True):
    """Find out which pictures belong together.

    Args:
        table: DataFrame as `dataset.scan_dataset` makes it; pictures that cannot be decoded are left out.
        decisions: curation.Decisions; pairs marked as distinct are dropped.
        phase: callable(name) that returns a callable(done, total) to report to, or None.
        find_copies: bool, compare the pictures themselves, which takes by far the most time. Without it
            only patients, names and files of equal content tie pictures.

    Returns:
        Grouping.
    """
    prepared = prepare_images(table, Preprocessing(), progress=phase("Preparing the images"))
    if find_copies:
        pairs = find_duplicates(prepared, progress=phase("Looking for duplicates"))
    else:
        pairs = pd.DataFrame({"a": [], "b": [], "kind": [], "score": []})
    pairs = without_distinct(pairs, prepared.table, decisions)
    return Grouping(prepared, pairs, picture_groups(prepared.table, pairs))
