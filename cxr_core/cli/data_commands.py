"""Commands about data sets."""

from pathlib import Path

from cxr_core.cli.arguments import SPLIT_HELP, add_command, add_folders, add_json
from cxr_core.cli.io import open_dataset, progress_bar, write_result


def _audit(options):
    from cxr_core.audit.data_audit import audit_report, audit_summary

    report = audit_report(*open_dataset(options), phase=progress_bar)
    write_result(report, options.json, audit_summary(report))


def _split(options):
    from cxr_core.splits.groups import group_images
    from cxr_core.splits.split import make_split, split_table

    dataset, curation = open_dataset(options)
    _, table, groups = group_images(dataset.table, curation, phase=progress_bar).taking_part(curation)
    rows = split_table(table, groups, make_split(table, options.kind, seed=options.seed, groups=groups))
    summary = rows.groupby(["class_name", "split"]).size().unstack().to_string()
    columns = rows[["file", "class_name", "group", "split"]].rename(columns={"class_name": "class"})
    result = {"split": options.kind, "seed": options.seed, "files": columns.to_dict("records")}
    write_result(result, options.json, summary)


def _exclude(options):
    from cxr_core.audit.data_audit import flag_dataset
    from cxr_core.audit.quality_flags import FLAGS
    from cxr_core.splits.curation import curation_path, exclude, include, save_curation

    if options.flag not in FLAGS:
        raise ValueError(f"--flag must be one of {', '.join(FLAGS)}; received {options.flag!r}.")
    dataset, curation = open_dataset(options)
    table, flags = flag_dataset(dataset, phase=progress_bar)
    rows = table.iloc[flags.loc[flags["flag"] == options.flag, "row"]]
    changed = include(curation, rows) if options.undo else exclude(curation, rows, options.flag)
    save_curation(changed, curation_path(dataset.roots))
    print(f"{len(rows)} images are flagged {options.flag}; {len(changed.excluded)} of {len(table)} are left out now.")


def _demo(options):
    from cxr_core.config import DATA_DIR
    from cxr_core.data.phantoms import draw_demo_data

    print(draw_demo_data(options.folder or DATA_DIR / "demo", progress=progress_bar("Drawing")))


def _download(_options):
    from cxr_core.data.kaggle import download_kaggle

    print(download_kaggle())


def add_commands(commands):
    """Add the commands about data sets to a parser."""
    _add_audit(commands)
    _add_split(commands)
    _add_exclude(commands)
    _add_demo(commands)
    _add_download(commands)


def _add_audit(commands):
    audit = add_command(commands, "audit", _audit, "Count and measure the images of a data set.")
    add_folders(audit)
    add_json(audit)


def _add_split(commands):
    split = add_command(commands, "split", _split, "Show which image would teach, choose and test.")
    add_folders(split)
    split.add_argument("--kind", default="grouped", help=SPLIT_HELP)
    split.add_argument("--seed", type=int, default=0)
    add_json(split)


def _add_exclude(commands):
    exclude = add_command(commands, "exclude", _exclude, "Leave the images with one flag out of every later split.")
    add_folders(exclude)
    exclude.add_argument("--flag", required=True, help="as `audit` names it, for example other_disease")
    exclude.add_argument("--undo", action="store_true", help="take them in again")


def _add_demo(commands):
    demo = add_command(
        commands, "demo", _demo, "Draw the demo data set (drawings, not radiographs); prints its folder."
    )
    demo.add_argument("--folder", type=Path, help="where to (default: data/demo)")


def _add_download(commands):
    add_command(commands, "download", _download, "Fetch the article's data set from Kaggle; prints its folder.")
