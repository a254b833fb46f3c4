"""Do doubted labels find images whose own names tell another disease, and the wrong labels of the teaching set?

    python -m benchmarks.label_review COVID_CXR

The images that `audit` flags `other_disease` should rank high among those of their class: an area under the ROC curve
of 0.5 is chance.
"""

import argparse
from pathlib import Path

from sklearn.metrics import roc_auc_score

from benchmarks.reporting import print_table, write_result
from cxr_core.audit.data_audit import flag_dataset
from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.audit.label_review import review_labels
from cxr_core.config import TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.teaching_set import load_teaching_index
from cxr_core.splits.curation import Curation
from cxr_core.splits.groups import group_images


def silent(name):
    return None


def doubts_of(folder):
    """Return the table and the doubts of a data set, both by row position."""
    group = group_images(scan_dataset(folder).table, Curation(), phase=silent)
    known = dataset_embeddings(group.table, phase=silent)
    return group.table, review_labels(known, group.table["class_name"], group.groups)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    table, doubts = doubts_of(folder)
    flagged_table, flags = flag_dataset(scan_dataset(folder), phase=silent)
    other = set(flagged_table["digest"].iloc[flags.loc[flags["flag"] == "other_disease", "row"]])
    is_other = table["digest"].iloc[doubts["row"]].isin(other).to_numpy()
    of_class = doubts["given"].isin(doubts["given"][is_other]).to_numpy()
    planted_table, planted_doubts = doubts_of(TEACHING_DIR)
    files = planted_table["file"].to_numpy()[planted_doubts["row"]].tolist()
    index = load_teaching_index()
    wrong = index["path"][index["planted"].str.startswith("wrong label")]
    result = {
        "images": len(table),
        "other disease by name": int(is_other.sum()),
        "AUC among all": float(roc_auc_score(is_other, -doubts["margin"])),
        "AUC within the class": float(roc_auc_score(is_other[of_class], -doubts["margin"][of_class])),
        "labels doubted": int(doubts["is_doubted"].sum()),
        "ranks of the planted wrong labels": sorted(files.index(path) + 1 for path in wrong),
    }
    write_result("label_review", result)
    print_table(("what", "figure"), result.items())


if __name__ == "__main__":
    main()
