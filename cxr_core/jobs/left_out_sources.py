"""How does a classifier do at a hospital that it has not trained on, beside one that it has?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxr_core.data.sources import image_sources
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.predictions import prediction_groups
from cxr_core.jobs.job import ALL_SOURCES, Member
from cxr_core.system.text import percent


def left_out_table(members: Sequence[Member]) -> pd.DataFrame:
    """Score each source with the network that saw none of it, and with the one that saw all.

    Args:
        members: of a job that leaves sources out; those that are not finished yet are passed over.

    Returns:
        One row per source that was tested, lowest first: `source`, `images` and `accuracy` where it was left out, `low`
        and `high` (the 95 % interval, missing where all images are one patient's), `known_images` and
        `known_accuracy` of its test images where all sources trained, patients kept together (missing where that run
        is not finished, or tested none of it).
    """
    done = {m.label: m for m in members if m.state == "finished" and m.run.metrics()}
    known = _tested(done[ALL_SOURCES]) if ALL_SOURCES in done else None
    rows = []
    for member in done.values():
        source = member.config.test_source
        if not source:
            continue
        tested = _tested(member)
        tested = tested[tested["source"] == source]
        low, high = share_interval(tested["right"], prediction_groups(tested)) or (np.nan, np.nan)
        before = known[known["source"] == source] if known is not None else tested.iloc[:0]
        known_accuracy = before["right"].mean() if len(before) else np.nan
        rows.append((source, len(tested), tested["right"].mean(), low, high, len(before), known_accuracy))
    names = ["source", "images", "accuracy", "low", "high", "known_images", "known_accuracy"]
    return pd.DataFrame(rows, columns=names).sort_values("accuracy", kind="stable", ignore_index=True)


def left_out_sentence(table: pd.DataFrame) -> str:
    """Sum up a table of `left_out_table` in a sentence; "" where it is empty.

    Both means are over the same sources, each counting once, so that a large one does not speak for all.
    """
    if table.empty:
        return ""
    worst, both = table.iloc[0], table.dropna(subset="known_accuracy")
    compared = both if len(both) else table
    begin = f"At sources that it has trained on, {percent(both['known_accuracy'].mean())}; " if len(both) else ""
    only = f" over the {len(compared)} of {len(table)} sources that both tested" if len(compared) < len(table) else ""
    text = f"{begin}at one that it has not, {percent(compared['accuracy'].mean())} on average{only} (worst: "
    return f"{text}{worst['source']}, {percent(worst['accuracy'])} of {worst['images']:,} images)."


def _tested(member: Member) -> pd.DataFrame:
    """Return the test predictions of a run with `source` and `right`."""
    split = member.run.split()
    # By their paths: a copy of an image may lie in another source.
    source_of = dict(zip(split["path"], image_sources(split), strict=True))
    tested = member.run.predictions().query("split == 'test'")
    return tested.assign(source=tested["path"].map(source_of), right=tested["predicted"] == tested["true"])
