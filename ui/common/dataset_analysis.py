"""What the data pages look at, computed once per data set and kept for the visit."""

import numpy as np
import streamlit as st

from cxr_core.audit.embeddings import dataset_features
from cxr_core.audit.projection import embed_features
from cxr_core.audit.quality_flags import flag_values
from cxr_core.audit.spurious_correlations import giveaway_report
from cxr_core.config import CACHE_DIR
from cxr_core.data.class_averages import grey_histograms, mean_images
from cxr_core.data.prepared_images import read_images
from cxr_core.data.property_table import measure_pictures
from cxr_core.data.sampling import stratified_rows
from cxr_core.splits.groups import group_pictures
from cxr_core.system.memory import release_memory
from ui.common.components import progress_bars
from ui.common.curation import dataset_decisions

# Above this many pictures nothing long starts unasked.
MANY_PICTURES = 5_000
_AVERAGED = 2_000
# `python -m benchmarks.scale`: measuring, preparing and duplicates of 100,000 pictures on two busy cores.
SECONDS_PER_PICTURE = 0.02


def grouping(dataset):
    """Return the Grouping of a data set under its present decisions."""
    decisions = dataset_decisions(dataset)
    step = ("grouping", decisions.distinct)
    return _once(dataset, step, lambda phase: group_pictures(dataset.table, decisions, phase=phase))


def measures(dataset, table):
    """Return the measures of a Grouping's table."""
    return _once(
        dataset, ("measures",), lambda phase: measure_pictures(table, progress=phase("Measuring the pictures"))
    )


def features(dataset, table):
    """Return the Features of a Grouping's table."""
    return _once(dataset, ("features",), lambda phase: dataset_features(table, phase=phase))


def flag_measures(dataset, table):
    """Return what the quality rules compare, for a Grouping's table; see `quality_flags.flag_values`."""
    measured, known = measures(dataset, table), features(dataset, table)
    return _once(dataset, ("flag values",), lambda phase: flag_values(table, measured, known.values))


def giveaway(dataset, group):
    """Return the Giveaway of the pictures that are not left out.

    Args:
        dataset: dataset.Dataset.
        group: its Grouping.
    """
    measured = measures(dataset, group.table)
    decisions = dataset_decisions(dataset)

    def report(phase):
        phase("Asking what gives the class away")
        rows, table, groups = group.taking_part(decisions)
        return giveaway_report(table, measured.iloc[rows].reset_index(drop=True), groups)

    return _once(dataset, ("giveaway", decisions.distinct, tuple(decisions.excluded)), report)


def average_pictures(dataset, group):
    """Return (mean images, grey histograms) per class, of at most 2,000 pictures; see `appearance`."""

    def average(phase):
        phase("Averaging the pictures")
        rows = stratified_rows(group.table["class_name"], _AVERAGED, np.random.default_rng(0))
        images, names = read_images(group.prepared.images_u8, rows), group.table["class_name"].iloc[rows]
        return mean_images(images, names), grey_histograms(images, names)

    return _once(dataset, ("averages",), average)


def picture_map(dataset, table):
    """Return (rows, xy) of the map of a Grouping's table; see `projection.embed_features`."""
    known = features(dataset, table)

    def lay_out(phase):
        phase("Laying out the map")
        path = CACHE_DIR / "maps" / f"{known.key}.npz"
        return embed_features(known.values, class_names=table["class_name"], cache_path=path)

    return _once(dataset, ("map",), lay_out)


def may_examine(dataset):
    """Return True where the pictures may be looked at one by one; a large data set is asked about first."""
    if len(dataset.table) <= MANY_PICTURES or "begun" in _examined():
        return True
    minutes = round(len(dataset.table) * SECONDS_PER_PICTURE / 60)
    st.info(
        f"Duplicates, flags and the give-away need a look at all {len(dataset.table):,} pictures, once: about "
        f"{minutes} minutes on two cores. What is found is kept; `python -m cxr_core audit` does the same."
    )
    begin = st.button("Look at all pictures", type="primary", help="Starts now; leave this page open until it is done.")
    if begin:
        _examined()["begun"] = True
    return begin


def _examined():
    """Return what this visit has found out about the open data set: a dict of step to result."""
    examined = st.session_state.get("examined", {})
    if examined.get("dataset") != st.session_state["dataset_key"]:
        examined = {"dataset": st.session_state["dataset_key"]}
        st.session_state["examined"] = examined
    return examined


def _once(dataset, step, compute):
    """Return what `compute(phase)` returns for a data set, computed once per visit."""
    examined = _examined()
    if step not in examined:
        if not may_examine(dataset):
            st.stop()
        with progress_bars() as phase:
            examined[step] = compute(phase)
        release_memory()
    return examined[step]
