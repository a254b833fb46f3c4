"""Commands about a trained model."""

import json
import sys
from pathlib import Path

from cxr_core.cli.arguments import add_command, add_folders, add_json
from cxr_core.cli.io import open_dataset, progress_bar, write_result


def _publish(options):
    from cxr_core.reporting.publishing import publish_run
    from cxr_core.runs.run import Run

    found = json.loads(options.shortcuts.read_text(encoding="utf-8")) if options.shortcuts else None
    run = Run(options.run_folder.resolve())
    publish_run(run, options.folder, options.external, shortcuts=found, progress=progress_bar)
    print(options.folder)


def _operating_point(options):
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


def _gate(options):
    from cxr_core.robustness.gate_fitting import fit_gate

    measured = fit_gate(options.model, options.folders, others=options.external, seed=options.seed, phase=progress_bar)
    rows = [(name, measured[name]) for name in ("test", "strange", "altered")] + [*measured["elsewhere"].items()]
    summary = "\n".join(f"{name}: {row['refused']} of {row['n']} refused" for name, row in rows)
    write_result(measured, options.json, summary)


def _evaluate(options):
    from cxr_core.evaluation.metrics import report_table
    from cxr_core.evaluation.scoring import score_folders
    from cxr_core.inference.classifier import load_classifier

    result, _ = score_folders(load_classifier(options.model), *options.folders, progress=progress_bar)
    ends = result["ci95"]["accuracy"]
    between = f" (95 %: {ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
    summary = f"{result['n']} images, accuracy {result['accuracy']:.4f}{between}\n{report_table(result).to_string()}"
    write_result(result, options.json, summary)


def _shortcuts(options):
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.robustness.held_out_images import held_out_table
    from cxr_core.robustness.shortcut_results import keep_shortcut_result
    from cxr_core.robustness.shortcut_test import MAX_IMAGES, run_shortcut_test, shortcut_summary
    from cxr_core.runs.run import Run
    from cxr_core.splits.groups import group_images

    dataset, curation = open_dataset(options)
    _, table, groups = group_images(dataset.table, curation, phase=progress_bar).taking_part(curation)
    table, groups, sides, note = held_out_table(table, groups, Run(options.model.resolve()))
    result = run_shortcut_test(
        load_classifier(options.model), table, groups, sides,
        external=options.external, limit=options.limit or MAX_IMAGES, phase=progress_bar,
    )  # fmt: skip
    keep_shortcut_result(options.model, result)
    if note:
        print(note, file=sys.stderr)
    write_result(result, options.json, shortcut_summary(result))


def _report(options):
    from cxr_core.reporting.model_report import write_report

    for path in write_report(options.model, options.folder or options.model / "report"):
        print(path)


def _export_mlflow(options):
    from cxr_core.runs.run import Run

    try:
        from cxr_core.runs.mlflow_export import export_to_mlflow
    except ModuleNotFoundError as error:
        raise ValueError("MLflow is not installed; pip install -r requirements-extra.txt.") from error
    print(export_to_mlflow(Run(options.run_folder.resolve()), options.uri, experiment=options.experiment))


def add_commands(commands):
    """Add the commands about a trained model to a parser."""
    _add_publish(commands)
    _add_operating_point(commands)
    _add_gate(commands)
    _add_evaluate(commands)
    _add_shortcuts(commands)
    _add_report(commands)
    _add_export_mlflow(commands)


def _add_publish(commands):
    publish = add_command(commands, "publish", _publish, "Copy a run's classifier, without paths, to ship it.")
    publish.add_argument("run_folder", metavar="RUN", type=Path)
    publish.add_argument("folder", metavar="FOLDER", type=Path, help="its ABOUT.md becomes the head of its CARD.md")
    publish.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="data sets from elsewhere to score it on"
    )
    publish.add_argument("--shortcuts", type=Path, metavar="FILE", help="what `shortcuts RUN DIR --json FILE` wrote")


def _add_operating_point(commands):
    point = add_command(
        commands, "operating-point", _operating_point, "Choose on a run's validation images when it calls a class."
    )
    point.add_argument("run_folder", metavar="RUN", type=Path)
    point.add_argument("--class", dest="class_name", metavar="CLASS", help="class that an alarm is for")
    point.add_argument("--specificity", type=float, default=0.9, help="share of the others without an alarm (0.9)")
    point.add_argument(
        "--abstain-accuracy", type=float, metavar="SHARE", help='say "not sure" until the answers are this accurate'
    )
    point.add_argument("--abstain-below", type=float, metavar="SHARE", help='say "not sure" when less sure than this')
    add_json(point)


def _add_gate(commands):
    gate = add_command(
        commands, "gate", _gate, "Fit what a model refuses to answer, from the images it was trained on."
    )
    gate.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(gate)
    gate.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="data sets from elsewhere to count on"
    )
    gate.add_argument("--seed", type=int, default=0)
    add_json(gate)


def _add_evaluate(commands):
    evaluate = add_command(commands, "evaluate", _evaluate, "Score a classifier on a data set.")
    evaluate.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(evaluate)
    add_json(evaluate)


def _add_shortcuts(commands):
    shortcuts = add_command(
        commands, "shortcuts", _shortcuts, "Find out whether a classifier needs the lungs, or reads something else."
    )
    shortcuts.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    add_folders(shortcuts)
    shortcuts.add_argument(
        "--external",
        nargs="*",
        default=[],
        type=Path,
        metavar="EXTERNAL",
        help="data sets from elsewhere to score it on",
    )
    shortcuts.add_argument("--limit", type=int, help="about how many images to use (default: 1,000)")
    add_json(shortcuts)


def _add_report(commands):
    report = add_command(commands, "report", _report, "Write a report that opens anywhere: HTML, Markdown, model card.")
    report.add_argument("model", metavar="RUN", type=Path)
    report.add_argument("--folder", type=Path, help="where to (default: report/ in the run's folder)")


def _add_export_mlflow(commands):
    mlflow = add_command(
        commands, "export-mlflow", _export_mlflow, "Copy a run's settings, curves, scores and files to MLflow."
    )
    mlflow.add_argument("run_folder", metavar="RUN", type=Path)
    mlflow.add_argument("--uri", required=True, help="tracking server, or file:FOLDER (requirements-extra.txt)")
    mlflow.add_argument("--experiment", default="CXR Lab", help="made where it is missing (default: CXR Lab)")
