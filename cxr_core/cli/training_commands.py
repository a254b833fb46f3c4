"""Commands that train, and that steer trainings."""

import argparse
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from cxr_core.cli.arguments import add_command, add_json, add_training
from cxr_core.cli.io import progress_bar, read_curation, write_result


def _train(options):
    from cxr_core.runs.lifecycle import create_run
    from cxr_core.runs.run import Run, new_run_path

    if options.into_existing:
        run = Run(options.run.resolve())
    else:
        config = _training_config(options)
        run = create_run(config, options.run or new_run_path(config.recipe), read_curation(options.curation))
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
    job = create_job(plan, options.job, read_curation(options.curation))
    return _carry_out_job(job, options.json)


def _carry_out_job(job, json_target=None):
    """Work on a job in this process, and tell what it found; returns the exit code."""
    from cxr_core.jobs.results import job_results, job_summary
    from cxr_core.jobs.scheduler import carry_out_job
    from cxr_core.system.processes import on_owner_exit

    on_owner_exit((job.path / "stop").touch)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (job.path / "stop").touch())
    print(job.path, file=sys.stderr)
    state = carry_out_job(job)
    write_result(job_results(job), json_target, f"{job.path}\n{job_summary(job)}")
    if state == "failed":
        raise ValueError(job.status().message)


def _resume(options):
    from cxr_core.jobs.job import Job, is_job
    from cxr_core.jobs.lifecycle import acquire_job
    from cxr_core.runs.lifecycle import acquire_run
    from cxr_core.runs.run import Run

    folder = options.run_folder.resolve()
    if is_job(folder):
        job = Job(folder)
        if not options.into_existing:
            acquire_job(job)
        return _carry_out_job(job)
    run = Run(folder)
    if not options.into_existing:
        acquire_run(run)
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
    from cxr_core.system.processes import on_owner_exit

    # Before TensorFlow, which takes seconds to import: its owner may be gone by then.
    on_owner_exit(partial(abandon_run, run))
    from cxr_core.training.train_run import train_run

    # Windows cannot put another program in a process's place.
    export_here = run.config().train_from == "head" or sys.platform == "win32"
    if train_run(run, export_here=export_here) == "trained":
        words = [sys.executable, "-m", "cxr_core", "resume", str(run.path), "--into-existing"]
        os.execv(sys.executable, words if logs_already else [*words, "--log"])
    print(run.path)


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
    from cxr_core.system.processes import on_owner_exit

    # Its training follows this process, and what waits keeps its place.
    on_owner_exit(lambda: os._exit(0))
    work_queue(options.runs_dir)


def _export(options):
    from cxr_core.runs.lifecycle import run_lock
    from cxr_core.runs.run import Run

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cxr_core.system.processes import on_owner_exit

    on_owner_exit(lambda: None)
    from cxr_core.training.export_run import export_run, report_copies

    run = Run(options.run_folder.resolve())
    # A run that stops starts its export before it has quite ended itself.
    with run_lock(run, patience_seconds=30.0):
        export_run(run)
    report_copies(run, phase=progress_bar, writing=run_lock(run, patience_seconds=30.0))
    print(run.path)


def add_commands(commands):
    """Add the commands that train and that steer trainings to a parser."""
    _add_train(commands)
    _add_jobs(commands)
    _add_stop(commands)
    _add_pause(commands)
    _add_resume(commands)
    _add_work_queue(commands)
    _add_export(commands)


def _add_train(commands):
    train = add_command(commands, "train", _train, "Train a classifier; prints the run folder.")
    add_training(train)
    train.add_argument("--run", type=Path, help="run folder to write (default: a new one in runs/)")
    train.add_argument("--into-existing", action="store_true", help=argparse.SUPPRESS)


def _add_jobs(commands):
    folds = add_command(
        commands, "cross-validate", _cross_validate, "Train once per fold, by patient; test every image once."
    )
    add_training(folds)
    folds.add_argument("--folds", type=int, default=5, metavar="K", help="how many (default: 5); one training each")

    repeat = add_command(commands, "repeat", _repeat, "Train under several seeds: how much of a score is luck.")
    add_training(repeat)
    repeat.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="SEED", help="one training each (0 1 2 3 4)"
    )

    search = add_command(
        commands, "search", _search, "Try settings; validation chooses, and only the chosen trial is tested."
    )
    add_training(search)
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
        add_json(command)


def _add_stop(commands):
    stop = add_command(commands, "stop", _stop, "Stop a training, whose best model stays, or all trainings of a job.")
    stop.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)


def _add_pause(commands):
    pause = add_command(commands, "pause", _pause, "Let a training, or those of a job, end after the current epoch.")
    pause.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)


def _add_resume(commands):
    resume = add_command(
        commands,
        "resume",
        _resume,
        "Go on with a stopped, paused, failed or killed run after its last epoch, or with a job.",
    )
    resume.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)
    resume.add_argument("--into-existing", action="store_true", help=argparse.SUPPRESS)
    resume.add_argument("--log", action="store_true", help=argparse.SUPPRESS)


def _add_work_queue(commands):
    queue = commands.add_parser("work-queue")
    queue.set_defaults(command=_work_queue)
    queue.add_argument("runs_dir", type=Path)


def _add_export(commands):
    export = add_command(commands, "export", _export, "Export and evaluate the best model of a stopped run.")
    export.add_argument("run_folder", metavar="RUN", type=Path)
