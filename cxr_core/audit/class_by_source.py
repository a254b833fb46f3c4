"""Do class and source go together, so that a network may tell the hospital instead of the disease?"""

from dataclasses import dataclass

import pandas as pd

from cxr_core.classes import order_classes
from cxr_core.data.sources import image_sources

# From these values of Cramér's V on, class and source go together in part, and largely.
_PARTLY, _LARGELY = 0.2, 0.5


@dataclass(frozen=True)
class ClassBySource:
    """How the classes are spread over the sources.

    Attributes:
        counts: DataFrame of int, one row per source, most images first, one column per class in display order.
        association: Cramér's V, corrected for bias, in [0, 1]: 0 where a source tells nothing of the class, 1 where it
            tells the class. None where there is one source or one class.
    """

    counts: pd.DataFrame
    association: float | None

    @property
    def warning(self) -> str:
        """Say that class and source go together; "" where they hardly do."""
        if self.association is None or self.association < _PARTLY:
            return ""
        words = "largely" if self.association >= _LARGELY else "in part"
        return (
            f"Class and source go together {words} (Cramér's V {self.association:.2f}; 0 is not at all, 1 is "
            "entirely): a classifier may learn to tell the hospital instead of the disease. Leave one source out to "
            "see how far."
        )


def class_by_source(table: pd.DataFrame) -> ClassBySource:
    """Count the classes of every source, and measure how far one tells the other.

    Args:
        table: rows of a data set table.

    Source:
        Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T, doi:10.1016/j.jkss.2012.10.002.
    """
    sources = image_sources(table)
    counts = pd.crosstab(sources, table["class_name"])[list(order_classes(table["class_name"].unique()))]
    counts = counts.loc[sources.value_counts().index].rename_axis(index="source", columns=None)
    rows, columns = counts.shape
    n = int(counts.to_numpy().sum())
    if min(rows, columns) < 2 or n < 2:
        return ClassBySource(counts, None)
    # Late: scipy takes a while to load, and most data sets have one source.
    from scipy.stats import chi2_contingency

    phi = float(chi2_contingency(counts.to_numpy(), correction=False).statistic) / n
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    rows_left, columns_left = rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)
    least = min(rows_left, columns_left) - 1
    return ClassBySource(counts, min(1.0, (phi / least) ** 0.5) if least > 0 else 0.0)
