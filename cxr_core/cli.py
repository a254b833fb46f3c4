"""The command line: results on standard output, progress and errors on standard error.

Each command imports what it needs when it runs, so that `predict` never loads TensorFlow,
nor even pandas.
"""

import argparse
import json
import logging
import os
import signal
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from cxr_core.config import NOTICE, SHIPPED_MODEL_DIR
from cxr_core.system.text import printable_name

WRONG_USAGE = 2
_SPLIT_HELP = "grouped (default), stratified, random, article, or given: as the column split of a CSV says"


def main(arguments=None):
    """Run one command.

    Args:
        arguments: list of str, by default the process's own.

    Returns:
        int, the exit code: 0 done, 1 failed with a sentence on standard error, 2 wrong usage.
    """
    options = _build_parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except (ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _build_parser():
    parser = argparse.ArgumentParser(prog="python -m cxr_core", description=f"CXR Lab. {NOTICE}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    audit = _add_command(commands, "audit", _audit, "Count and measure the pictures of a data set.")
    _add_folders(audit)
    _add_json(audit)

    split = _add_command(commands, "split", _split, "Show which picture would teach, choose and test.")
    _add_folders(split)
    split.add_argument("--kind", default="grouped", help=_SPLIT_HELP)
    split.add_argument("--seed", type=int, default=0)
    _add_json(split)

    exclude = _add_command(commands, "exclude", _exclude, "Leave the pictures with one flag out of every later split.")
    _add_folders(exclude)
    exclude.add_argument("--flag", required=True, help="as `audit` names it, for example other_disease")
    exclude.add_argument("--undo", action="store_true", help="take them in again")

    train = _add_command(commands, "train", _train, "Train a classifier; prints the run folder.")
    _add_training(train)
    train.add_argument("--run", type=Path, help="run folder to write (default: a new one in runs/)")
    train.add_argument("--into-existing", action="store_true", help=argparse.SUPPRESS)

    _add_jobs(commands)

    stop = _add_command(commands, "stop", _stop, "Stop a training, whose best model stays, or all trainings of a job.")
    stop.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)

    pause = _add_command(commands, "pause", _pause, "Let a training, or those of a job, end after the current epoch.")
    pause.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)

    resume = _add_command(
        commands,
        "resume",
        _resume,
        "Go on with a stopped, paused, failed or killed run after its last epoch, or with a job.",
    )
    resume.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)
    resume.add_argument("--into-existing", action="store_true", help=argparse.SUPPRESS)
    resume.add_argument("--log", action="store_true", help=argparse.SUPPRESS)

    queue = commands.add_parser("work-queue")
    queue.set_defaults(command=_work_queue)
    queue.add_argument("runs_dir", type=Path)

    export = _add_command(commands, "export", _export, "Export and evaluate the best model of a stopped run.")
    export.add_argument("run_folder", metavar="RUN", type=Path)

    publish = _add_command(commands, "publish", _publish, "Copy a run's classifier, without paths, to ship it.")
    publish.add_argument("run_folder", metavar="RUN", type=Path)
    publish.add_argument("folder", metavar="FOLDER", type=Path, help="its ABOUT.md becomes the head of its CARD.md")
    publish.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="data sets from elsewhere to score it on"
    )
    publish.add_argument("--shortcuts", type=Path, metavar="FILE", help="what `shortcuts RUN DIR --json FILE` wrote")

    point = _add_command(
        commands, "operating-point", _operating_point, "Choose on a run's validation pictures when it calls a class."
    )
    point.add_argument("run_folder", metavar="RUN", type=Path)
    point.add_argument("--class", dest="class_name", metavar="CLASS", help="class that an alarm is for")
    point.add_argument("--specificity", type=float, default=0.9, help="share of the others without an alarm (0.9)")
    point.add_argument(
        "--abstain-accuracy", type=float, metavar="SHARE", help='say "not sure" until the answers are this accurate'
    )
    point.add_argument("--abstain-below", type=float, metavar="SHARE", help='say "not sure" when less sure than this')
    _add_json(point)

    gate = _add_command(
        commands, "gate", _gate, "Fit what a model refuses to answer, from the images it was trained on."
    )
    gate.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    _add_folders(gate)
    gate.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="data sets from elsewhere to count on"
    )
    gate.add_argument("--seed", type=int, default=0)
    _add_json(gate)

    evaluate = _add_command(commands, "evaluate", _evaluate, "Score a classifier on a data set.")
    evaluate.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    _add_folders(evaluate)
    _add_json(evaluate)

    shortcuts = _add_command(
        commands, "shortcuts", _shortcuts, "Find out whether a classifier needs the lungs, or reads something else."
    )
    shortcuts.add_argument("model", metavar="MODEL_OR_RUN", type=Path)
    _add_folders(shortcuts)
    shortcuts.add_argument(
        "--external",
        nargs="*",
        default=[],
        type=Path,
        metavar="EXTERNAL",
        help="data sets from elsewhere to score it on",
    )
    shortcuts.add_argument("--limit", type=int, help="about how many pictures to use (default: 1,000)")
    _add_json(shortcuts)

    report = _add_command(
        commands, "report", _report, "Write a report that opens anywhere: HTML, Markdown, model card."
    )
    report.add_argument("model", metavar="RUN", type=Path)
    report.add_argument("--folder", type=Path, help="where to (default: report/ in the run's folder)")

    mlflow = _add_command(
        commands, "export-mlflow", _export_mlflow, "Copy a run's settings, curves, scores and files to MLflow."
    )
    mlflow.add_argument("run_folder", metavar="RUN", type=Path)
    mlflow.add_argument("--uri", required=True, help="tracking server, or file:FOLDER (requirements-extra.txt)")
    mlflow.add_argument("--experiment", default="CXR Lab", help="made where it is missing (default: CXR Lab)")

    predict = _add_command(commands, "predict", _predict, f"Classify pictures. {NOTICE}")
    predict.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a picture, a folder or a ZIP of pictures")
    predict.add_argument(
        "--model", type=Path, default=SHIPPED_MODEL_DIR, help="model or run folder (default: the shipped one)"
    )
    predict.add_argument("--cam-dir", type=Path, help="write one Grad-CAM overlay PNG per file here")
    predict.add_argument("--report-dir", type=Path, help="write one HTML page per file here, to print or keep")
    predict.add_argument(
        "--dicom-dir", type=Path, help="write one overlay per answer here as DICOM, with a new header without a patient"
    )
    predict.add_argument("--csv", type=Path, metavar="FILE", help="write a table here, one line per file")
    _add_json(predict)

    _add_serve(commands)

    demo = _add_command(
        commands, "demo", _demo, "Draw the demo data set (drawings, not radiographs); prints its folder."
    )
    demo.add_argument("--folder", type=Path, help="where to (default: data/demo)")

    _add_command(commands, "download", _download, "Fetch the article's data set from Kaggle; prints its folder.")
    return parser


def _add_command(commands, name, run, help_text):
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.set_defaults(command=run)
    return command


def _add_serve(commands):
    serve = _add_command(commands, "serve", _serve, f"Answer other programs over HTTP. {NOTICE}")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer alone)")
    serve.add_argument("--port", type=int, default=8600)
    serve.add_argument(
        "--model", type=Path, default=SHIPPED_MODEL_DIR, help="model or run folder (default: the shipped one)"
    )
    serve.add_argument(
        "--token-file", type=Path, metavar="FILE",
        help="holds the token that clients must send (default: what CXR_LAB_TOKEN says, else none)",
    )  # fmt: skip


def _add_folders(command):
    command.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="folder with one sub-folder per class")


def _add_training(command):
    """Add what decides a training, but for its run folder."""
    _add_folders(command)
    command.add_argument("--recipe", default="quick", help="quick (default), finetune or article")
    command.add_argument("--split", default="grouped", help=_SPLIT_HELP)
    command.add_argument("--seed", type=int, default=0, help="seed of split, weights, order and augmentation")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="change one setting: epochs=5, start=shipped, preprocessing.clahe=after, augmentation.zoom=0.1",
    )  # fmt: skip
    command.add_argument(
        "--decisions", type=Path, metavar="FILE", help="a run's decisions.json (default: what was decided about DIR)"
    )
    command.add_argument("--gpus", type=int, metavar="N", help="share each batch between N GPUs of this computer")


def _add_jobs(commands):
    folds = _add_command(
        commands, "cross-validate", _cross_validate, "Train once per fold, by patient; test every picture once."
    )
    _add_training(folds)
    folds.add_argument("--folds", type=int, default=5, metavar="K", help="how many (default: 5); one training each")

    repeat = _add_command(commands, "repeat", _repeat, "Train under several seeds: how much of a score is luck.")
    _add_training(repeat)
    repeat.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="SEED", help="one training each (0 1 2 3 4)"
    )

    search = _add_command(
        commands, "search", _search, "Try settings; validation chooses, and only the chosen trial is tested."
    )
    _add_training(search)
    search.add_argument("--trials", type=int, default=20, metavar="N", help="how many (default: 20); one training each")
    search.add_argument(
        "--tune", nargs="+", metavar="WHAT",
        help="learning_rate, dropout, augmentation (default: all that change anything for the recipe)",
    )  # fmt: skip
    for command in (folds, repeat, search):
        command.add_argument("--job", type=Path, help="job folder to write (default: a new one in jobs/)")
        command.add_argument(
            "--at-once", type=int, default=1, metavar="N", help="trainings at the same time (1); each needs about 1 GB"
        )
        command.add_argument(
            "--ray", default="", metavar="ADDRESS",
            help="train on the workers of a Ray cluster, which must see the same folders (requirements-extra.txt)",
        )  # fmt: skip
        _add_json(command)


def _add_json(command):
    command.add_argument(
        "--json", metavar="FILE|-", help="write the result as JSON to a file, or - for standard output"
    )


def _write_result(result, target, summary):
    """Print the summary, or the JSON where it was asked for."""
    if target is None:
        print(summary)
    elif target == "-":
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        from cxr_core.system.files import write_json

        write_json(target, result)


def _progress(description):
    bar = tqdm(desc=description, disable=None, leave=False)

    def report(done, total):
        bar.total, bar.n = total, done
        bar.refresh()

    return report


def _open_dataset(options):
    """Return a data set and what was decided about it."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.splits.curation import decisions_path, load_decisions

    dataset = scan_dataset(*options.folders, progress=_progress("Looking through the images"))
    return dataset, load_decisions(decisions_path(dataset.roots))


def _audit(options):
    from cxr_core.audit.data_audit import audit_report, audit_summary

    report = audit_report(*_open_dataset(options), phase=_progress)
    _write_result(report, options.json, audit_summary(report))


def _split(options):
    from cxr_core.splits.groups import group_pictures
    from cxr_core.splits.split import make_split, split_table

    dataset, decisions = _open_dataset(options)
    _, table, groups = group_pictures(dataset.table, decisions, phase=_progress).taking_part(decisions)
    rows = split_table(table, groups, make_split(table, options.kind, seed=options.seed, groups=groups))
    summary = rows.groupby(["class_name", "split"]).size().unstack().to_string()
    columns = rows[["file", "class_name", "group", "split"]].rename(columns={"class_name": "class"})
    result = {"split": options.kind, "seed": options.seed, "files": columns.to_dict("records")}
    _write_result(result, options.json, summary)


def _exclude(options):
    from cxr_core.audit.data_audit import flag_dataset
    from cxr_core.audit.quality_flags import FLAGS
    from cxr_core.splits.curation import decisions_path, exclude, include, save_decisions

    if options.flag not in FLAGS:
        raise ValueError(f"--flag must be one of {', '.join(FLAGS)}; received {options.flag!r}.")
    dataset, decisions = _open_dataset(options)
    table, flags = flag_dataset(dataset, phase=_progress)
    rows = table.iloc[flags.loc[flags["flag"] == options.flag, "row"]]
    changed = include(decisions, rows) if options.undo else exclude(decisions, rows, options.flag)
    save_decisions(changed, decisions_path(dataset.roots))
    print(f"{len(rows)} pictures are flagged {options.flag}; {len(changed.excluded)} of {len(table)} are left out now.")


def _train(options):
    from cxr_core.runs.lifecycle import create_run
    from cxr_core.runs.run import Run, new_run_path

    if options.into_existing:
        run = Run(options.run.resolve())
    else:
        config = _training_config(options)
        run = create_run(config, options.run or new_run_path(config.recipe), _read_decisions(options.decisions))
    _carry_out(run, logs_already=options.into_existing)


def _training_config(options):
    from cxr_core.recipes.training_config import make_config

    return make_config(
        options.recipe,
        roots=tuple(str(f.resolve()) for f in options.folders),
        split=options.split,
        seed=options.seed,
        settings=options.set + ([] if options.gpus is None else [f"gpus={options.gpus}"]),
    )


def _cross_validate(options):
    return _start_and_carry_out(options, kind="folds", count=options.folds)


def _repeat(options):
    return _start_and_carry_out(options, kind="seeds", seeds=tuple(options.seeds))


def _search(options):
    from cxr_core.recipes.hyperparameter_search import tunable

    tune = tuple(options.tune or tunable(_training_config(options)))
    return _start_and_carry_out(options, kind="search", count=options.trials, tune=tune)


def _start_and_carry_out(options, **what):
    from cxr_core.jobs.lifecycle import create_job
    from cxr_core.jobs.plan import JobPlan

    plan = JobPlan(config=_training_config(options), at_once=options.at_once, ray=options.ray, **what)
    job = create_job(plan, options.job, _read_decisions(options.decisions))
    return _carry_out_job(job, options.json)


def _carry_out_job(job, json_target=None):
    """Work on a job in this process, and tell what it found; returns the exit code."""
    from cxr_core.jobs.results import job_results, job_summary
    from cxr_core.jobs.scheduler import carry_out_job
    from cxr_core.system.processes import follow_owner

    follow_owner((job.path / "stop").touch)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (job.path / "stop").touch())
    print(job.path, file=sys.stderr)
    state = carry_out_job(job)
    _write_result(job_results(job), json_target, f"{job.path}\n{job_summary(job)}")
    if state == "failed":
        raise ValueError(job.status().message)


def _resume(options):
    from cxr_core.jobs.job import Job, is_job
    from cxr_core.jobs.lifecycle import claim_job
    from cxr_core.runs.lifecycle import claim_run
    from cxr_core.runs.run import Run

    folder = options.run_folder.resolve()
    if is_job(folder):
        job = Job(folder)
        if not options.into_existing:
            claim_job(job)
        return _carry_out_job(job)
    run = Run(folder)
    if not options.into_existing:
        claim_run(run)
    _carry_out(run, logs_already=options.into_existing and not options.log)


def _carry_out(run, *, logs_already):
    """Train in this process. A run that the app started has its standard error in log.txt already."""
    files = [] if logs_already else [logging.FileHandler(run.path / "log.txt")]
    log = logging.getLogger("cxr_core")
    log.setLevel(logging.INFO)
    for handler in (logging.StreamHandler(), *files):
        log.addHandler(handler)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cxr_core.runs.lifecycle import abandon_run
    from cxr_core.system.processes import follow_owner

    # Before TensorFlow, which takes seconds to import: its owner may be gone by then.
    follow_owner(partial(abandon_run, run))
    from cxr_core.training.train_run import train_run

    # Windows cannot put another program in a process's place.
    export_here = run.config().train_from == "head" or sys.platform == "win32"
    if train_run(run, export_here=export_here) == "trained":
        words = [sys.executable, "-m", "cxr_core", "resume", str(run.path), "--into-existing"]
        os.execv(sys.executable, words if logs_already else [*words, "--log"])
    print(run.path)


def _read_decisions(path):
    """Return a file's decisions, or None where none was named."""
    from cxr_core.splits.curation import load_decisions

    if path is None:
        return None
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    return load_decisions(path)


def _stop(options):
    from cxr_core.jobs.job import Job, is_job
    from cxr_core.jobs.lifecycle import stop_job
    from cxr_core.runs.lifecycle import stop_run
    from cxr_core.runs.run import Run

    if is_job(options.run_folder):
        job = Job(options.run_folder.resolve())
        stop_job(job)
        print(job.status().state)
        return
    run = Run(options.run_folder.resolve())
    run.config()
    stop_run(run)
    print(run.status().state)


def _pause(options):
    from cxr_core.jobs.job import Job, is_job
    from cxr_core.jobs.lifecycle import pause_job
    from cxr_core.runs.lifecycle import pause_run
    from cxr_core.runs.run import Run

    if is_job(options.run_folder):
        pause_job(Job(options.run_folder.resolve()))
        print("Its trainings end after their current epochs; `resume` lets it go on.")
        return
    run = Run(options.run_folder.resolve())
    run.config()
    pause_run(run)
    print("It ends after its current epoch; `resume` lets it go on.")


def _work_queue(options):
    from cxr_core.jobs.training_queue import work_queue
    from cxr_core.system.processes import follow_owner

    # Its training follows this process, and what waits keeps its place.
    follow_owner(lambda: os._exit(0))
    work_queue(options.runs_dir)


def _export(options):
    from cxr_core.runs.lifecycle import hold_run
    from cxr_core.runs.run import Run

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cxr_core.system.processes import follow_owner

    follow_owner(lambda: None)
    from cxr_core.training.export_run import export_run, report_copies

    run = Run(options.run_folder.resolve())
    # A run that stops starts its export before it has quite ended itself.
    with hold_run(run, patience_seconds=30.0):
        export_run(run)
    report_copies(run, phase=_progress, writing=hold_run(run, patience_seconds=30.0))
    print(run.path)


def _publish(options):
    from cxr_core.reporting.publishing import publish_run
    from cxr_core.runs.run import Run

    found = json.loads(options.shortcuts.read_text(encoding="utf-8")) if options.shortcuts else None
    run = Run(options.run_folder.resolve())
    publish_run(run, options.folder, options.external, shortcuts=found, progress=_progress)
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
    _write_result(chosen, options.json, "\n".join(f"{key}: {value}" for key, value in chosen.items()))


def _gate(options):
    from cxr_core.robustness.gate_fitting import fit_gate

    measured = fit_gate(options.model, options.folders, others=options.external, seed=options.seed, phase=_progress)
    rows = [(name, measured[name]) for name in ("test", "strange", "altered")] + [*measured["elsewhere"].items()]
    summary = "\n".join(f"{name}: {row['refused']} of {row['n']} refused" for name, row in rows)
    _write_result(measured, options.json, summary)


def _evaluate(options):
    from cxr_core.evaluation.metrics import report_table
    from cxr_core.evaluation.scoring import score_folders
    from cxr_core.inference.classifier import load_classifier

    result, _ = score_folders(load_classifier(options.model), *options.folders, progress=_progress)
    ends = result["ci95"]["accuracy"]
    between = f" (95 %: {ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
    summary = f"{result['n']} images, accuracy {result['accuracy']:.4f}{between}\n{report_table(result).to_string()}"
    _write_result(result, options.json, summary)


def _shortcuts(options):
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.robustness.held_out_images import lab_table
    from cxr_core.robustness.shortcut_results import keep_lab_result
    from cxr_core.robustness.shortcut_test import MAX_IMAGES, examine_shortcuts, lab_summary
    from cxr_core.runs.run import Run
    from cxr_core.splits.groups import group_pictures

    dataset, decisions = _open_dataset(options)
    _, table, groups = group_pictures(dataset.table, decisions, phase=_progress).taking_part(decisions)
    table, groups, sides, note = lab_table(table, groups, Run(options.model.resolve()))
    result = examine_shortcuts(
        load_classifier(options.model), table, groups, sides,
        external=options.external, limit=options.limit or MAX_IMAGES, phase=_progress,
    )  # fmt: skip
    keep_lab_result(options.model, result)
    if note:
        print(note, file=sys.stderr)
    _write_result(result, options.json, lab_summary(result))


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


def _predict(options):
    from cxr_core.inference.batch_prediction import answer_many
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.inference.image_sources import path_sources
    from cxr_core.inference.prediction_rows import rows_csv
    from cxr_core.system.files import write_text

    classifier = load_classifier(options.model)
    sources = [source for path in options.files for source in path_sources(path)]
    writers = _answer_writers(options, classifier, sources)

    def keep(number, answer):
        for write in writers:
            write(number, answer)

    items = answer_many(classifier, sources, keep=keep, progress=_progress("Predicting"))
    rows = [item.row for item in items]
    lines = [f"{printable_name(row['file'])}: {_row_summary(row)}" for row in rows]
    _write_result(rows, options.json, "\n".join(lines))
    if options.csv:
        write_text(options.csv, rows_csv(rows, classifier.classes))
    print(NOTICE, file=sys.stderr)
    return int(any(row["status"] == "error" for row in rows))


def _row_summary(row):
    if row["status"] == "ok":
        return f"{row['label']} {row['probabilities'][row['label']]:.3f}"
    return row["error"] or f"no answer. {' '.join(row['reasons'])}"


def _answer_writers(options, classifier, sources):
    """Return what writes the files that were asked for of every answer: callables (number, answer)."""
    makers = (
        (options.cam_dir, ".png", _overlay_maker),
        (options.report_dir, ".html", _report_maker),
        (options.dicom_dir, ".dcm", _dicom_maker),
    )
    return [_writer(folder, ending, maker(classifier, sources), sources) for folder, ending, maker in makers if folder]


def _writer(folder, ending, make, sources):
    from cxr_core.inference.batch_prediction import numbered_name

    folder.mkdir(parents=True, exist_ok=True)

    def write(number, answer):
        if (content := make(number, answer)) is not None:
            (folder / numbered_name(number, sources[number - 1].name, ending)).write_bytes(content)

    return write


def _overlay_maker(classifier, _sources):
    from cxr_core.imaging.display import png_bytes

    return lambda _number, answer: png_bytes(answer.overlay(classifier, answer.prediction.label))


def _report_maker(classifier, sources):
    from datetime import datetime

    from cxr_core.reporting.scan_report import model_facts, scan_report

    facts, made = model_facts(classifier), datetime.now().astimezone()
    return lambda number, answer: scan_report(sources[number - 1].name, answer, classifier, facts, made=made).encode()


def _dicom_maker(classifier, _sources):
    from datetime import datetime

    from cxr_core.reporting.dicom_secondary_capture import overlay_dicom

    made = datetime.now().astimezone()
    return lambda _number, answer: answer.label and overlay_dicom(answer, classifier, answer.label, made=made)


def _serve(options):
    if any(find_spec(name) is None for name in ("fastapi", "fastapi_offline", "uvicorn")):
        raise ValueError("`serve` needs further packages: pip install -r requirements-extra.txt")
    from cxr_core.api import build_api, read_token, serve_api
    from cxr_core.inference.classifier import load_classifier

    token = read_token(options.token_file)
    if token is None and options.host not in ("127.0.0.1", "::1", "localhost"):
        print("No token is set: whoever can reach this computer can ask. See CXR_LAB_TOKEN.", file=sys.stderr)
    serve_api(build_api(load_classifier(options.model), token=token), options.host, options.port)


def _demo(options):
    from cxr_core.config import DATA_DIR
    from cxr_core.data.phantoms import draw_demo_data

    print(draw_demo_data(options.folder or DATA_DIR / "demo", progress=_progress("Drawing")))


def _download(_options):
    from cxr_core.data.kaggle import download_kaggle

    print(download_kaggle())
