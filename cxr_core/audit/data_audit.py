"""What can be said about a data set before training? Everything, as plain values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cxr_core.audit.class_by_source import class_by_source
from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.audit.quality_flags import FLAGS, flag_images
from cxr_core.audit.spurious_correlations import find_spurious_correlations
from cxr_core.config import CACHE_DIR
from cxr_core.data.dataset import Dataset, size_statistics
from cxr_core.data.patient_ids import patients_sentence
from cxr_core.data.prepared_images import prepare_images
from cxr_core.data.property_table import measure_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits.curation import Curation
from cxr_core.splits.groups import group_images
from cxr_core.splits.leakage import compare_splits
from cxr_core.system.progress import Phase, ShareWork, in_threads


def audit_report(
    dataset: Dataset, curation: Curation, *, phase: Phase, share: ShareWork | None = None
) -> dict[str, Any]:
    """Count, measure and question a data set.

    Args:
        dataset: as `scan_dataset` gives it.
        curation: excluded images are counted and flagged, but take no part
            in `leakage` and `giveaway`.
        phase: called with the name of what begins.
        share: who prepares, measures and describes the images; this computer by default. The report is the same.

    Returns:
        dict as `audit --json` prints it: `layouts` (as what each root was read), `images`,
        `classes` (counts and sizes per class),
        `unreadable`, `excluded` (files), `duplicate_groups` (files), `flags` (files per flag, worst first),
        `patients` (for how many images they are known, and from what),
        `leakage` (per kind of split, what test shares with training), `giveaway`
        (spurious correlations) and `sources` (the classes of each, and whether one tells the other).
        Files are relative to their root.
    """
    grouping = group_images(dataset.table, curation, phase=phase, share=share or in_threads)
    table = grouping.table
    files = table["file"].to_numpy()
    measures, flags = _measure_and_flag(table, phase, share)
    rows, kept, kept_groups = grouping.taking_part(curation)
    by_source = class_by_source(kept)
    kept_measures = measures.iloc[rows].reset_index(drop=True)
    correlations = find_spurious_correlations(kept, kept_measures, kept_groups, cache_dir=CACHE_DIR)
    return {
        "layouts": list(dataset.layouts),
        "images": len(dataset.table),
        "classes": _class_sizes(dataset.table),
        "unreadable": dataset.unreadable.to_dict("records"),
        "excluded": np.delete(files, rows).tolist(),
        "duplicate_groups": [files[rows].tolist() for rows in grouping.duplicates()],
        "flags": {name: flags.loc[flags["flag"] == name, "file"].tolist() for name in FLAGS},
        "patients": patients_sentence(dataset.table),
        "leakage": _split_leaks(compare_splits(kept, kept_groups)),
        "giveaway": correlations.to_dict(),
        "sources": {
            "classes": by_source.counts.to_dict("index"),
            "cramers_v": by_source.association,
            "warning": by_source.warning,
        },
    }


def audit_summary(report: Mapping[str, Any]) -> str:
    """Return what `audit` prints: the report in words and small tables."""
    duplicated = sum(map(len, report["duplicate_groups"]))
    lines = [
        *report["layouts"],
        "",
        pd.DataFrame(report["classes"]).T.to_string(),
        "",
        *report["giveaway"]["sentences"],
        *([report["sources"]["warning"]] if report["sources"]["warning"] else []),
        "",
        f"Duplicates: {duplicated} images in {len(report['duplicate_groups'])} groups.",
        f"Left out: {len(report['excluded'])} images.",
        "",
        *(f"{FLAGS[name].title}: {len(files)}" for name, files in report["flags"].items() if files),
        "",
        report["patients"],
        *(
            f"Split {kind}: would test {row['test_images']} images; {row['share_with_train']} share a patient "
            "or a duplicate with training."
            for kind, row in report["leakage"].items()
            if row["test_images"] is not None
        ),
        *(f"Unreadable: {row['file']}: {row['error']}" for row in report["unreadable"]),
    ]
    return "\n".join(lines)


def flag_dataset(dataset: Dataset, *, phase: Phase) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Flag the images of a data set that a person should look at.

    Args:
        dataset: as `scan_dataset` gives it.
        phase: as for `audit_report`.

    Returns:
        tuple of the table of images that decode and, for its rows, what `quality_flags.flag_images` returns.
    """
    table = prepare_images(dataset.table, Preprocessing(), progress=phase("Preparing the images")).table
    return table, _measure_and_flag(table, phase)[1]


def _measure_and_flag(
    table: pd.DataFrame, phase: Phase, share: ShareWork | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    measures = measure_images(table, progress=phase("Measuring the images"), share=share or in_threads)
    features = dataset_embeddings(table, phase=phase, share=share)
    return measures, flag_images(table, measures, features.values)


def _class_sizes(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {
        str(name): {str(key): (float(v) if str(key).startswith("median") else int(v)) for key, v in row.items()}
        for name, row in size_statistics(table).to_dict("index").items()
    }


def _split_leaks(splits: pd.DataFrame) -> dict[str, dict[str, Any]]:
    rows = splits.astype(object).where(splits.notna(), None).to_dict("records")
    return {str(row["kind"]): {str(key): value for key, value in row.items() if key != "kind"} for row in rows}
