"""What the data pages look at, computed once per data set and kept for the visit."""

import numpy as np
import streamlit as st

from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.audit.projection import project_embeddings
from cxr_core.audit.quality_flags import flag_values
from cxr_core.audit.spurious_correlations import find_spurious_correlations
from cxr_core.config import CACHE_DIR
from cxr_core.data.class_averages import grey_histograms, mean_images
from cxr_core.data.prepared_images import read_images
from cxr_core.data.property_table import measure_images
from cxr_core.data.sampling import stratified_rows
from cxr_core.splits.groups import group_images
from cxr_core.system.memory import release_memory
from ui.common.components import progress_bars
from ui.common.curation import dataset_curation

# Above this many images nothing long starts unasked.
MANY_IMAGES = 5_000
_AVERAGED = 2_000
# `python -m benchmarks.scale`: measuring, preparing and duplicates of 100,000 images on two busy cores.
SECONDS_PER_IMAGE = 0.02


def grouping(dataset):
    """Return the Grouping of a data set under its present decisions."""
    curation = dataset_curation(dataset)
    step = ("grouping", curation.distinct)
    return _once(dataset, step, lambda phase: group_images(dataset.table, curation, phase=phase))


def measures(dataset, table):
    """Return the measures of a Grouping's table."""
    return _once(dataset, ("measures",), lambda phase: measure_images(table, progress=phase("Measuring the images")))


def features(dataset, table):
    """Return the Features of a Grouping's table."""
    return _once(dataset, ("features",), lambda phase: dataset_embeddings(table, phase=phase))


def flag_measures(dataset, table):
    """Return what the quality rules compare, for a Grouping's table; see `quality_flags.flag_values`."""
    measured, known = measures(dataset, table), features(dataset, table)
    return _once(dataset, ("flag values",), lambda phase: flag_values(table, measured, known.values))


def correlations(dataset, group):
    """Return the Giveaway of the images that are not left out.

    Args:
        dataset: dataset.Dataset.
        group: its ImageGroups.
    """
    measured = measures(dataset, group.table)
    curation = dataset_curation(dataset)

    def report(phase):
        phase("Asking what gives the class away")
        rows, table, groups = group.taking_part(curation)
        return find_spurious_correlations(table, measured.iloc[rows].reset_index(drop=True), groups)

    return _once(dataset, ("giveaway", curation.distinct, tuple(curation.excluded)), report)


def average_images(dataset, group):
    """Return (mean images, grey histograms) per class, of at most 2,000 images; see `appearance`."""

    def average(phase):
        phase("Averaging the images")
        rows = stratified_rows(group.table["class_name"], _AVERAGED, np.random.default_rng(0))
        images, names = read_images(group.prepared.images_u8, rows), group.table["class_name"].iloc[rows]
        return mean_images(images, names), grey_histograms(images, names)

    return _once(dataset, ("averages",), average)


def image_map(dataset, table):
    """Return (rows, xy) of the map of a Grouping's table; see `projection.project_embeddings`."""
    known = features(dataset, table)

    def lay_out(phase):
        phase("Laying out the map")
        path = CACHE_DIR / "maps" / f"{known.key}.npz"
        return project_embeddings(known.values, class_names=table["class_name"], cache_path=path)

    return _once(dataset, ("map",), lay_out)


def may_analyse(dataset):
    """Return True where the images may be looked at one by one; a large data set is asked about first."""
    if len(dataset.table) <= MANY_IMAGES or "begun" in _analysed():
        return True
    minutes = round(len(dataset.table) * SECONDS_PER_IMAGE / 60)
    st.info(
        f"Duplicates, flags and the give-away need a look at all {len(dataset.table):,} images, once: about "
        f"{minutes} minutes on two cores. What is found is kept; `python -m cxr_core audit` does the same."
    )
    begin = st.button("Look at all images", type="primary", help="Starts now; leave this page open until it is done.")
    if begin:
        _analysed()["begun"] = True
    return begin


def _analysed():
    """Return what this visit has found out about the open data set: a dict of step to result."""
    examined = st.session_state.get("examined", {})
    if examined.get("dataset") != st.session_state["dataset_key"]:
        examined = {"dataset": st.session_state["dataset_key"]}
        st.session_state["examined"] = examined
    return examined


def _once(dataset, step, compute):
    """Return what `compute(phase)` returns for a data set, computed once per visit."""
    examined = _analysed()
    if step not in examined:
        if not may_analyse(dataset):
            st.stop()
        with progress_bars() as phase:
            examined[step] = compute(phase)
        release_memory()
    return examined[step]
