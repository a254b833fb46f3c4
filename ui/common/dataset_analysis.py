"""What has been computed about a data set? Each step is computed once and kept for the visit.

What is computed of the teaching set, as it comes, is the same in every visit: it is computed once for all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from cxr_core.audit.class_by_source import ClassBySource, class_by_source
from cxr_core.audit.embeddings import Embeddings, dataset_embeddings
from cxr_core.audit.label_review import review_labels
from cxr_core.audit.projection import project_embeddings
from cxr_core.audit.quality_flags import flag_values
from cxr_core.audit.spurious_correlations import SpuriousCorrelations, find_spurious_correlations
from cxr_core.config import CACHE_DIR
from cxr_core.data.class_averages import grey_histograms, mean_images
from cxr_core.data.dataset import Dataset, size_statistics
from cxr_core.data.patient_ids import patients_sentence
from cxr_core.data.prepared_images import read_images
from cxr_core.data.property_table import measure_images
from cxr_core.data.sampling import most_changed_row, stratified_rows
from cxr_core.imaging.preprocessing import balance_change
from cxr_core.splits.groups import ImageGroups, group_images
from cxr_core.splits.label_decisions import with_decided_groups
from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array
from cxr_core.system.memory import release_memory
from cxr_core.system.progress import Progress, SharedResults
from cxr_core.system.visit_folders import visit_cache
from ui.common.components import progress_bars
from ui.common.curation import dataset_curation, is_as_it_comes
from ui.common.markdown import Markdown

Result = TypeVar("Result")
# A dozen steps of the teaching set, and as many again while it is being replaced by another version.
_OF_TEACHING_SET = SharedResults(24)
# What `_once` hands to a computation; see `components.progress_bars`.
ShownPhase = Callable[[str], Progress]
# Above this many images no long computation starts unasked.
MANY_IMAGES = 5_000
_AVERAGED = 2_000
_MARKS = 5_000
# All that the Dataset page computes, in the order in which it does.
EXPLORING = (
    "Preparing the images",
    "Looking for duplicates",
    "Measuring the images",
    "Testing what gives the class away",
    "Averaging the images",
)
# From `python -m benchmarks.scale`: preparing 100,000 images, measuring them and finding copies, on two busy cores.
SECONDS_PER_IMAGE = 0.02


@dataclass(frozen=True)
class FirstFacts:
    """What the table of a data set tells before any image is read.

    Attributes:
        statistics: see `dataset.size_statistics`.
        by_source: see `class_by_source.class_by_source`.
        patients: how many are known.
        patients_sentence: see `patient_ids.patients_sentence`.
        marks: rows of the table, at most 5,000 or so, in proportion to class size.
    """

    statistics: pd.DataFrame
    by_source: ClassBySource
    patients: int
    patients_sentence: str
    marks: pd.DataFrame


def first_facts(dataset: Dataset) -> FirstFacts:
    """Return what the table of the open data set tells; asked once, since a table may have a million rows."""
    known, step = _analysed(), ("first facts", tuple(dataset_curation(dataset).labels.items()))
    if step not in known:
        table = dataset.table
        marks = table.iloc[stratified_rows(table["class_name"], _MARKS, np.random.default_rng(0))]
        known[step] = FirstFacts(
            size_statistics(table), class_by_source(table), table["patient"].nunique(), patients_sentence(table), marks
        )
    facts: FirstFacts = known[step]
    return facts


def grouping(dataset: Dataset, steps: Sequence[str] = ()) -> ImageGroups:
    """Return which images of a data set belong together under the present decisions.

    Args:
        dataset: the open one.
        steps: as for `components.progress_bars`.
    """
    curation = dataset_curation(dataset)
    step = ("grouping", curation.distinct)
    group = _once(dataset, step, lambda phase: group_images(dataset.table, curation, phase=phase), steps)
    # The labels alone may have changed since.
    return with_decided_groups(group, dataset, curation)


def measures(dataset: Dataset, table: pd.DataFrame, steps: Sequence[str] = ()) -> pd.DataFrame:
    """Return the image properties of the table of `grouping`; see `property_table.measure_images`."""

    def measure(phase: ShownPhase) -> pd.DataFrame:
        return measure_images(table, progress=phase("Measuring the images"))

    return _once(dataset, ("measures",), measure, steps)


def features(dataset: Dataset, table: pd.DataFrame) -> Embeddings:
    """Return the embeddings of the table of `grouping`."""
    return _once(dataset, ("features",), lambda phase: dataset_embeddings(table, phase=phase))


def flag_measures(dataset: Dataset, table: pd.DataFrame) -> pd.DataFrame:
    """Return what the quality rules compare, for the table of `grouping`; see `quality_flags.flag_values`."""
    measured, known = measures(dataset, table), features(dataset, table)
    labels = tuple(dataset_curation(dataset).labels.items())
    return _once(dataset, ("flag values", labels), lambda phase: flag_values(table, measured, known.values))


def correlations(dataset: Dataset, group: ImageGroups) -> SpuriousCorrelations:
    """Return how well file facts alone predict the class, over the images that are not excluded."""
    measured = measures(dataset, group.table, EXPLORING)
    curation = dataset_curation(dataset)

    def find(phase: ShownPhase) -> SpuriousCorrelations:
        report = phase("Testing what gives the class away")
        rows, table, groups = group.taking_part(curation)
        kept = measured.iloc[rows].reset_index(drop=True)
        return find_spurious_correlations(table, kept, groups, progress=report, cache_dir=CACHE_DIR)

    labels = tuple(curation.labels.items())
    return _once(dataset, ("giveaway", curation.distinct, tuple(curation.excluded), labels), find, EXPLORING)


def label_doubts(dataset: Dataset, group: ImageGroups) -> pd.DataFrame:
    """Return which labels the images contradict, of all images; see `label_review.review_labels`.

    Asked once per visit: what is decided meanwhile does not change the order.
    """
    known = features(dataset, group.table)

    def find(phase: ShownPhase) -> pd.DataFrame:
        phase("Asking for every image a classifier that has not seen its patient")
        return review_labels(known, group.table["class_name"], group.groups)

    return _once(dataset, ("label doubts",), find)


def forget_doubts() -> None:
    """Let `label_doubts` be found again, with what has been decided since."""
    _analysed().pop(("label doubts",), None)


def average_images(dataset: Dataset, group: ImageGroups) -> tuple[dict[str, UInt8Array], pd.DataFrame]:
    """Return mean image and grey-value histogram per class, of at most 2,000 images; see `class_averages`."""

    def average(phase: ShownPhase) -> tuple[dict[str, UInt8Array], pd.DataFrame]:
        report = phase("Averaging the images")
        rows = stratified_rows(group.table["class_name"], _AVERAGED, np.random.default_rng(0))
        images, names = read_images(group.prepared.images_u8, rows), group.table["class_name"].iloc[rows]
        report(1, 3)
        means = mean_images(images, names)
        report(2, 3)
        return means, grey_histograms(images, names)

    return _once(dataset, ("averages", tuple(dataset_curation(dataset).labels.items())), average, EXPLORING)


def telling_image(dataset: Dataset) -> pd.Series:
    """Return the row of the image on which the white balance shows best, among a few; see `sampling.most_changed_row`.

    A few images are read whatever the size of the data set, so nobody is asked first.
    """
    known, step = _analysed(), ("telling image",)
    if step not in known:
        known[step] = _shared(dataset, step, lambda: most_changed_row(dataset.table, balance_change))
    return dataset.table.iloc[known[step]]


def image_map(dataset: Dataset, table: pd.DataFrame) -> tuple[IntArray, FloatArray]:
    """Return (rows, xy) of the map of the table of `grouping`; see `projection.project_embeddings`."""
    known = features(dataset, table)

    def lay_out(phase: ShownPhase) -> tuple[IntArray, FloatArray]:
        phase("Computing the map")
        path = (visit_cache(table["path"]) or CACHE_DIR) / "maps" / f"{known.key}.npz"
        return project_embeddings(known.values, class_names=table["class_name"], cache_path=path)

    return _once(dataset, ("map",), lay_out)


def may_analyse(dataset: Dataset) -> bool:
    """Return True where every image may be read; for a large data set the user is asked first."""
    if len(dataset.table) <= MANY_IMAGES or "begun" in _analysed():
        return True
    minutes = round(len(dataset.table) * SECONDS_PER_IMAGE / 60)
    st.info(
        f"To find duplicates, quality flags and what gives the class away, all {len(dataset.table):,} images must be "
        f"read once: about {minutes} minutes on two cores. The results are saved; `python -m cxr_core audit` does the "
        "same."
    )
    begin = st.button("Analyse all images", type="primary", help="Starts now; keep this page open until it is done.")
    if begin:
        _analysed()["begun"] = True
    return begin


def _analysed() -> dict[Any, Any]:
    """Return {step: result} of what this visit has computed about the open data set."""
    examined, key = st.session_state.get("examined", {}), st.session_state["dataset_key"]
    if examined.get("dataset") != key:
        # The same folders with another stamp: their files are others now.
        is_same = examined.get("dataset", ())[:1] == key[:1]
        examined = {
            "dataset": key,
            "outdated_since": examined.get("since", examined.get("outdated_since")) if is_same else None,
        }
        st.session_state["examined"] = examined
    return examined


def changed_note() -> Markdown:
    """Say since when the files of the open data set have changed, where this visit had analysed them before."""
    since = _analysed().get("outdated_since")
    return f"The files have changed since {since}; analysed again." if since else ""


def _clock() -> Markdown:
    """Return what the visitor's clock shows, such as "14:05"."""
    behind = timedelta(minutes=st.context.timezone_offset or 0)
    return f"{datetime.now(UTC) - behind:%H:%M}"


def _once(
    dataset: Dataset, step: tuple[object, ...], compute: Callable[[ShownPhase], Result], steps: Sequence[str] = ()
) -> Result:
    """Return what `compute` returns for a data set, computed once per visit; `steps` as for `progress_bars`."""
    examined = _analysed()
    if step not in examined:
        if not may_analyse(dataset):
            st.stop()

        def find() -> Result:
            with progress_bars(steps) as phase:
                result = compute(phase)
            release_memory()
            return result

        examined[step] = _shared(dataset, step, find)
        examined["since"] = _clock()
    return examined[step]


def _shared(dataset: Dataset, step: tuple[object, ...], compute: Callable[[], Result]) -> Result:
    """Return what `compute` returns; of the teaching set as it comes, once for all visits."""
    if not is_as_it_comes(dataset):
        return compute()
    # The stamp tells of changed files, the fingerprint of changed contents; a step is named after all else.
    return _OF_TEACHING_SET.get((dataset.stamp, dataset.fingerprint, step), compute)
