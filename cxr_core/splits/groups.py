"""Which images must not be separated: one patient's, and copies of one image?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr_core.data.prepared_images import PreparedImages, prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits.curation import Curation, excluded_rows, without_distinct
from cxr_core.splits.duplicates import duplicate_groups, find_duplicates
from cxr_core.splits.split import image_groups
from cxr_core.system.arrays import IntArray
from cxr_core.system.progress import Phase, ShareWork, in_threads


@dataclass(frozen=True)
class ImageGroups:
    """A data set's images and what ties them.

    Attributes:
        prepared: prepared_images.PreparedImages, the N images as they were compared.
        pairs: DataFrame, duplicates as `duplicates.find_duplicates` gives them, less those that
            were marked as distinct.
        groups: int (N,), a number per image; images of one number must not be parted.
    """

    prepared: PreparedImages
    pairs: pd.DataFrame
    groups: IntArray

    @property
    def table(self) -> pd.DataFrame:
        """The table of the N images."""
        return self.prepared.table

    def duplicates(self) -> list[IntArray]:
        """Return the groups of duplicates as row positions."""
        return duplicate_groups(self.pairs, len(self.table))

    def taking_part(self, curation: Curation) -> tuple[IntArray, pd.DataFrame, IntArray]:
        """Leave out what was excluded.

        Args:
            curation: what was decided.

        Returns:
            (rows, table, groups): int (n,), positions of the images that take part, and for these
            their table (index 0…n-1) and their group numbers.
        """
        rows = np.flatnonzero(~excluded_rows(self.table, curation))
        return rows, self.table.iloc[rows].reset_index(drop=True), self.groups[rows]


def group_images(
    table: pd.DataFrame,
    curation: Curation,
    *,
    phase: Phase,
    find_copies: bool = True,
    share: ShareWork = in_threads,
) -> ImageGroups:
    """Find out which images belong together.

    Args:
        table: DataFrame as `dataset.scan_dataset` makes it; images that cannot be decoded are left out.
        curation: what was decided; pairs marked as distinct are dropped.
        phase: called with the name of what begins.
        find_copies: compare the images themselves, which takes by far the most time. Without it
            only patients, names and files of equal content tie images.
        share: who prepares and describes the images.
    """
    prepared = prepare_images(table, Preprocessing(), progress=phase("Preparing the images"), share=share)
    if find_copies:
        pairs = find_duplicates(prepared, progress=phase("Looking for duplicates"), share=share)
    else:
        pairs = pd.DataFrame({"a": [], "b": [], "kind": [], "score": []})
    pairs = without_distinct(pairs, prepared.table, curation)
    return ImageGroups(prepared, pairs, image_groups(prepared.table, pairs))
