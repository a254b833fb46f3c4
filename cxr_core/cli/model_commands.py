"""Which commands are there about a trained classifier?"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_core.cli.arguments import Commands, add_command, add_folders, add_json, add_target_folder
from cxr_core.cli.io import check_target_folder, open_dataset, progress_bar, write_result

if TYPE_CHECKING:
    from cxr_core.evaluation.hospitals.source_scores import SourceScore


def _publish(options: argparse.Namespace) -> None:
    from cxr_core.reporting.publishing import publish_run
    from cxr_core.runs.run import Run

    found = json.loads(options.shortcuts.read_text(encoding="utf-8")) if options.shortcuts else None
    run = Run(options.run_folder.resolve())
    publish_run(run, options.folder, options.external, shortcuts=found, progress=progress_bar)
    print(options.folder)


def _operating_point(options: argparse.Namespace) -> None:
    from cxr_core.evaluation.operating_point import choose_on_validation
    from cxr_core.runs.run import Run

    run = Run(options.run_folder.resolve())
    chosen = choose_on_validation(
        run.path,
        run.predictions(),
        class_name=options.class_name,
        specificity=options.specificity,
        abstain_accuracy=options.abstain_accuracy,
        abstain_below=options.abstain_below,
    )
    write_result(chosen, options.json, "\n".join(f"{key}: {value}" for key, value in chosen.items()))


def _gate(options: argparse.Namespace) -> None:
    from cxr_core.reporting.publishing import write_card_text
    from cxr_core.robustness.gate_fitting import fit_gate

    measured = fit_gate(options.model, options.folders, others=options.external, seed=options.seed, phase=progress_bar)
    if (options.model / "CARD.md").exists():
        write_card_text(options.model)
    rows = [
        ("Test images", measured["test"]),
        ("Negative images", measured["strange"]),
        ("Altered radiographs", measured["altered"]),
        *measured["elsewhere"].items(),
        *([("Altered external radiographs", measured["altered_elsewhere"])] if measured["elsewhere"] else []),
    ]
    lines = [f"{name}: {row['refused']} of {row['n']} refused" for name, row in rows]
    if "left_out" in measured:
        lines.append(
            f"{measured['left_out']} images were left out: the classifier names its images by their files alone, and "
            "these files share their names. Train it again to know images by their content."
        )
    summary = "\n".join(lines)
    write_result(measured, options.json, summary)


def _sources(options: argparse.Namespace) -> None:
    from cxr_core.evaluation.hospitals.source_scores import worst_source_sentences
    from cxr_core.evaluation.hospitals.told_sources import tell_sources
    from cxr_core.reporting.publishing import write_card_text

    scores = tell_sources(options.model, options.folders, progress=progress_bar("Listing the images"))
    if (options.model / "CARD.md").exists():
        write_card_text(options.model)
    write_result(scores, options.json, "\n".join(_source_lines(scores) + worst_source_sentences(scores)))


def _source_lines(scores: "Sequence[SourceScore]") -> list[str]:
    """Return a table of the sources, where there are several."""
    from cxr_core.evaluation.hospitals.source_scores import source_table

    return [source_table(scores).to_string(index=False)] if scores else []


def _evaluate(options: argparse.Namespace) -> None:
    from cxr_core.evaluation.hospitals.source_scores import worst_source_sentences
    from cxr_core.evaluation.metrics import report_table
    from cxr_core.evaluation.scoring import score_folders, trained_on_sentence
    from cxr_core.inference.classifier import load_classifier

    result, _ = score_folders(load_classifier(options.model, for_many=True), *options.folders, progress=progress_bar)
    ends = result["ci95"]["accuracy"]
    between = f" (95 % CI {ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
    lines = [f"{result['n']} images, accuracy {result['accuracy']:.4f}{between}", report_table(result).to_string()]
    scores = result.get("sources", [])
    lines += [*_source_lines(scores), *worst_source_sentences(scores), trained_on_sentence(result)]
    if result["trained_on"] and result["trained_on"]["without"]:
        lines += ["Without them:", report_table(result["trained_on"]["without"]).to_string()]
    summary = "\n".join(lines)
    write_result(result, options.json, summary)


def _shortcuts(options: argparse.Namespace) -> None:
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.robustness.held_out_images import held_out_table
    from cxr_core.robustness.shortcut_results import keep_shortcut_result
    from cxr_core.robustness.shortcut_test import MAX_IMAGES, run_shortcut_test, shortcut_summary
    from cxr_core.runs.run import Run
    from cxr_core.splits.groups import group_images

    run = Run(options.model.resolve())
    if (run.path / "config.json").exists():
        # The result is kept in a run's folder.
        check_target_folder(run.path)
    dataset, curation = open_dataset(options)
    _, table, groups = group_images(dataset.table, curation, phase=progress_bar).taking_part(curation)
    table, groups, sides, note = held_out_table(table, groups, run)
    result = run_shortcut_test(
        load_classifier(options.model, for_many=True), table, groups, sides,
        external=options.external, limit=options.limit or MAX_IMAGES, phase=progress_bar,
    )  # fmt: skip
    keep_shortcut_result(options.model, result)
    if note:
        print(note, file=sys.stderr)
    write_result(result, options.json, shortcut_summary(result))


def _report(options: argparse.Namespace) -> None:
    from cxr_core.reporting.model_report import write_report

    folder = options.folder or options.model / "report"
    check_target_folder(folder)
    for path in write_report(options.model, folder):
        print(path)


def _export_mlflow(options: argparse.Namespace) -> None:
    from cxr_core.runs.run import Run

    try:
        from cxr_core.runs.mlflow_export import export_to_mlflow
    except ModuleNotFoundError as error:
        raise ValueError("MLflow is not installed; pip install -r requirements-extra.txt.") from error
    print(export_to_mlflow(Run(options.run_folder.resolve()), options.uri, experiment=options.experiment))


def add_commands(commands: Commands) -> None:
    """Add the commands about a trained classifier to a parser."""
    _add_publish(commands)
    _add_operating_point(commands)
    _add_gate(commands)
    _add_evaluate(commands)
    _add_sources(commands)
    _add_shortcuts(commands)
    _add_report(commands)
    _add_export_mlflow(commands)


def _add_publish(commands: Commands) -> None:
    publish = add_command(
        commands, "publish", _publish, "Copy a run's classifier, without paths, into a folder to be shared."
    )
    publish.add_argument("run_folder", metavar="RUN", type=Path)
    add_target_folder(
        publish, "folder", metavar="FOLDER", type=Path, help="its ABOUT.md becomes the beginning of its CARD.md"
    )
    publish.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="external data sets to evaluate it on"
    )
    publish.add_argument("--shortcuts", type=Path, metavar="FILE", help="result of `shortcuts RUN DIR --json FILE`")


def _add_operating_point(commands: Commands) -> None:
    point = add_command(
        commands, "operating-point", _operating_point,
        "Choose a classifier's threshold for a class, or when it abstains, on the run's validation images.",
    )  # fmt: skip
    add_target_folder(point, "run_folder", metavar="RUN", type=Path)
    point.add_argument("--class", dest="class_name", metavar="CLASS", help="class that raises an alarm")
    point.add_argument("--specificity", type=float, default=0.9, help="least specificity of the alarm (default: 0.9)")
    point.add_argument(
        "--abstain-accuracy", type=float, metavar="SHARE", help="abstain so that the answers are this accurate"
    )
    point.add_argument("--abstain-below", type=float, metavar="SHARE", help="abstain below this confidence")
    add_json(point)


def _add_gate(commands: Commands) -> None:
    gate = add_command(
        commands, "gate", _gate,
        "Fit the input gate, which refuses what is not like the training images, on the data set of a model.",
    )  # fmt: skip
    add_target_folder(gate, "model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(gate)
    gate.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="external data sets to count refusals on"
    )
    gate.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: 0)")
    add_json(gate)


def _add_evaluate(commands: Commands) -> None:
    evaluate = add_command(commands, "evaluate", _evaluate, "Evaluate a classifier on a data set.")
    evaluate.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(evaluate)
    add_json(evaluate)


def _add_sources(commands: Commands) -> None:
    sources = add_command(
        commands, "sources", _sources,
        "Score a classifier's own test images at each source; the data sets it was made of tell the sources.",
    )  # fmt: skip
    add_target_folder(sources, "model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(sources)
    add_json(sources)


def _add_shortcuts(commands: Commands) -> None:
    shortcuts = add_command(
        commands, "shortcuts", _shortcuts, "Test whether a classifier needs the lungs, or relies on something else."
    )
    shortcuts.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(shortcuts)
    shortcuts.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="EXTERNAL", help="external data sets to evaluate it on"
    )
    shortcuts.add_argument("--limit", type=int, help="approximate number of images to use (default: 1,000)")
    add_json(shortcuts)


def _add_report(commands: Commands) -> None:
    report = add_command(
        commands, "report", _report, "Write a report of a classifier as HTML and Markdown, and its model card."
    )
    report.add_argument("model", metavar="RUN", type=Path)
    add_target_folder(report, "--folder", type=Path, help="where to write it (default: report/ in the run's folder)")


def _add_export_mlflow(commands: Commands) -> None:
    mlflow = add_command(
        commands, "export-mlflow", _export_mlflow, "Copy a run's settings, curves, scores and files to MLflow."
    )
    mlflow.add_argument("run_folder", metavar="RUN", type=Path)
    mlflow.add_argument("--uri", required=True, help="tracking server, or file:FOLDER (requirements-extra.txt)")
    mlflow.add_argument("--experiment", default="CXR Lab", help="created if missing (default: CXR Lab)")
