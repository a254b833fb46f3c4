"""Which commands are there about data sets?"""

import argparse
import shutil
from pathlib import Path

from cxr_core.cli.arguments import SPLIT_HELP, Commands, add_command, add_folders, add_json, add_ray, add_target_folder
from cxr_core.cli.io import open_dataset, progress_bar, write_result

_SHOWN_DOUBTS = 20


def _audit(options: argparse.Namespace) -> None:
    from cxr_core.audit.data_audit import audit_report, audit_summary

    share = None
    if options.ray:
        from cxr_core.jobs.scheduler import ray_workers

        # Before the images are listed: a wrong address costs no wait.
        share = ray_workers(options.ray).share
    dataset, curation = open_dataset(options)
    report = audit_report(dataset, curation, phase=progress_bar, share=share)
    write_result(report, options.json, audit_summary(report))


def _split(options: argparse.Namespace) -> None:
    from cxr_core.data.patient_ids import patients_sentence
    from cxr_core.splits.groups import group_images
    from cxr_core.splits.leakage import leakage_of
    from cxr_core.splits.split import make_split, split_counts, split_table

    dataset, curation = open_dataset(options)
    _, table, groups = group_images(dataset.table, curation, phase=progress_bar).taking_part(curation)
    split = make_split(table, options.kind, seed=options.seed, groups=groups, test_source=options.source)
    rows = split_table(table, groups, split)
    leaks = leakage_of(rows["split"], rows, groups)
    summary = f"{split_counts(table, split).to_string()}\n\n{leaks.sentence}\n{patients_sentence(table)}"
    columns = rows[["file", "class_name", "group", "split"]].rename(columns={"class_name": "class"})
    result = {
        "split": options.kind,
        "seed": options.seed,
        "leakage": leaks.sentence,
        "files": columns.to_dict("records"),
    }
    write_result(result, options.json, summary)


def _exclude(options: argparse.Namespace) -> None:
    from cxr_core.audit.data_audit import flag_dataset
    from cxr_core.audit.quality_flags import FLAGS
    from cxr_core.splits.curation import exclude, include, save_decisions

    if options.flag not in FLAGS:
        raise ValueError(f"--flag must be one of {', '.join(FLAGS)}; received {options.flag!r}.")
    dataset, curation = open_dataset(options)
    table, flags = flag_dataset(dataset, phase=progress_bar)
    rows = table.iloc[flags.loc[flags["flag"] == options.flag, "row"]]
    changed = include(curation, rows) if options.undo else exclude(curation, rows, options.flag, among=table)
    save_decisions(changed, dataset.table, dataset.roots)
    print(f"{len(rows)} images are flagged {options.flag}; {len(changed.excluded)} of {len(table)} are now excluded.")


def _review(options: argparse.Namespace) -> None:
    from cxr_core.audit.embeddings import dataset_embeddings
    from cxr_core.audit.label_review import review_labels
    from cxr_core.splits.groups import group_images

    dataset, curation = open_dataset(options)
    _, table, groups = group_images(dataset.table, curation, phase=progress_bar).taking_part(curation)
    doubts = review_labels(dataset_embeddings(table, phase=progress_bar), table["class_name"], groups)
    files = doubts.assign(file=table["file"].to_numpy()[doubts["row"]])
    columns = ["file", "given", "suggested", "p_given", "p_suggested", "is_doubted"]
    shown = files.loc[files["is_doubted"], columns[:-1]].head(_SHOWN_DOUBTS)
    doubted = int(doubts["is_doubted"].sum())
    summary = f"{shown.round(3).to_string(index=False)}\n\n" if doubted else ""
    summary += f"{doubted} of {len(doubts)} labels are doubted. A doubt is no proof: look at the images (page Labels)."
    write_result(
        {"images": len(doubts), "doubted": doubted, "files": files[columns].to_dict("records")}, options.json, summary
    )


def _demo(options: argparse.Namespace) -> None:
    from cxr_core.config import TEACHING_DIR
    from cxr_core.data.teaching_set import check_teaching_set
    from cxr_core.system.files import atomic_path

    check_teaching_set()
    # File by file: `copytree` goes on where the disk is full, and then names every file.
    for path in sorted(TEACHING_DIR.rglob("*")) if options.folder else ():
        if path.is_file():
            with atomic_path(options.folder / path.relative_to(TEACHING_DIR)) as copy:
                shutil.copyfile(path, copy)
    print(options.folder or TEACHING_DIR)


def _download(_options: argparse.Namespace) -> None:
    from cxr_core.data.kaggle import download_kaggle

    print(download_kaggle())


def add_commands(commands: Commands) -> None:
    """Add the commands about data sets to a parser."""
    _add_audit(commands)
    _add_split(commands)
    _add_exclude(commands)
    _add_review(commands)
    _add_demo(commands)
    _add_download(commands)


def _add_audit(commands: Commands) -> None:
    audit = add_command(
        commands, "audit", _audit,
        "Audit a data set: image sizes, duplicates, quality flags, leakage and spurious correlations.",
    )  # fmt: skip
    add_folders(audit)
    add_ray(audit, "prepare, measure and describe the images")
    add_json(audit)


def _add_split(commands: Commands) -> None:
    split = add_command(commands, "split", _split, "Show which images train, validate and test.")
    add_folders(split)
    split.add_argument("--kind", default="grouped", help=SPLIT_HELP)
    split.add_argument(
        "--source", default="", metavar="NAME", help="of --kind source: the source that is the test side"
    )
    split.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    add_json(split)


def _add_exclude(commands: Commands) -> None:
    exclude = add_command(
        commands, "exclude", _exclude, "Exclude the images with one quality flag from every later split."
    )
    add_folders(exclude)
    exclude.add_argument("--flag", required=True, help="as `audit` names it, such as other_disease")
    exclude.add_argument("--undo", action="store_true", help="include these images again")


def _add_review(commands: Commands) -> None:
    review = add_command(
        commands, "review", _review, "List the images whose label looks wrong, the most doubtful first."
    )
    add_folders(review)
    add_json(review)


def _add_demo(commands: Commands) -> None:
    demo = add_command(
        commands, "demo", _demo, "Check the teaching set (real radiographs, open licences); prints its folder."
    )
    add_target_folder(demo, "--folder", type=Path, help="copy it to this folder")


def _add_download(commands: Commands) -> None:
    add_command(commands, "download", _download, "Download the article's data set from Kaggle; prints its folder.")
