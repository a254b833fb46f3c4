"""Which commands train, and control trainings?"""

import argparse
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_core.cli.arguments import (
    Commands,
    add_command,
    add_folders,
    add_json,
    add_ray,
    add_target_folder,
    add_training,
)
from cxr_core.cli.io import progress_bar, read_curation, write_result
from cxr_core.config import is_shared

if TYPE_CHECKING:
    from cxr_core.jobs.job import Job
    from cxr_core.recipes.training_config import TrainingConfig
    from cxr_core.runs.run import Run


def _train(options: argparse.Namespace) -> None:
    from cxr_core.runs.lifecycle import create_run
    from cxr_core.runs.run import Run, new_run_path

    if options.into_existing:
        run = Run(options.run.resolve())
    else:
        config = _training_config(options)
        run = create_run(config, options.run or new_run_path(config.recipe), read_curation(options.curation))
    _carry_out(run, logs_already=options.into_existing)


def _training_config(options: argparse.Namespace) -> "TrainingConfig":
    from cxr_core.recipes.training_config import make_config

    return make_config(
        options.recipe,
        roots=tuple(str(f.resolve()) for f in options.folders),
        split=options.split,
        seed=options.seed,
        settings=options.set + ([] if options.gpus is None else [f"gpus={options.gpus}"]),
    )


def _cross_validate(options: argparse.Namespace) -> None:
    _start_and_carry_out(options, kind="folds", count=options.folds)


def _repeat(options: argparse.Namespace) -> None:
    _start_and_carry_out(options, kind="seeds", seeds=tuple(options.seeds))


def _leave_out(options: argparse.Namespace) -> None:
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.data.sources import source_names

    table = scan_dataset(*options.folders, progress=progress_bar("Listing the images")).table
    _start_and_carry_out(options, kind="sources", sources=tuple(options.sources or source_names(table)))


def _search(options: argparse.Namespace) -> None:
    from cxr_core.recipes.hyperparameter_search import tunable

    tune = tuple(options.tune or tunable(_training_config(options)))
    _start_and_carry_out(options, kind="search", count=options.trials, tune=tune)


def _start_and_carry_out(options: argparse.Namespace, **what: Any) -> None:
    from cxr_core.jobs.lifecycle import create_job
    from cxr_core.jobs.plan import JobPlan
    from cxr_core.jobs.ray_address import check_cluster

    if options.ray:
        # Before the job is made: it would keep a wrong address.
        check_cluster(options.ray)
    plan = JobPlan(config=_training_config(options), at_once=options.at_once, ray=options.ray, **what)
    job = create_job(plan, options.job, read_curation(options.curation))
    _carry_out_job(job, options.json)


def _carry_out_job(job: "Job", json_target: str | None = None) -> None:
    """Work on a job in this process, and print what it found."""
    from cxr_core.jobs.results import job_results, job_summary
    from cxr_core.jobs.scheduler import carry_out_job
    from cxr_core.runs.looks import record_looks
    from cxr_core.system.processes import on_owner_exit

    stop = (job.path / "stop").touch
    on_owner_exit(stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    print(job.path, file=sys.stderr)
    state = carry_out_job(job)
    record_looks([member.run for member in job.members() if member.run.metrics()], "job results")
    write_result(job_results(job), json_target, f"{job.path}\n{job_summary(job)}")
    if state == "failed":
        raise ValueError(job.status().message)


def _resume(options: argparse.Namespace) -> None:
    from cxr_core.jobs.job import Job, is_job
    from cxr_core.jobs.lifecycle import acquire_job
    from cxr_core.runs.lifecycle import acquire_run
    from cxr_core.runs.run import Run

    folder = options.run_folder.resolve()
    if is_job(folder):
        job = Job(folder)
        if not options.into_existing:
            acquire_job(job)
        _carry_out_job(job)
        return
    run = Run(folder)
    if not options.into_existing:
        acquire_run(run)
    _carry_out(run, logs_already=options.into_existing and not options.log)


def _carry_out(run: "Run", *, logs_already: bool) -> None:
    """Train in this process. The standard error of a run that the app started is log.txt already."""
    log = logging.getLogger("cxr_core")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler())
    if not logs_already:
        log.addHandler(logging.FileHandler(run.path / "log.txt"))
    # A log that the disk has no room for is no reason to print a traceback.
    logging.raiseExceptions = False
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cxr_core.runs.lifecycle import abandon_run
    from cxr_core.system.processes import on_owner_exit

    # Before TensorFlow, which takes seconds to import: its owner may be gone by then.
    on_owner_exit(partial(abandon_run, run))
    from cxr_core.training.train_run import train_run

    if train_run(run, export_here=_exports_here(run.config())) == "trained":
        words = [sys.executable, "-m", "cxr_core", "resume", str(run.path), "--into-existing"]
        os.execv(sys.executable, words if logs_already else [*words, "--log"])
    print(run.path)


def _exports_here(config: "TrainingConfig") -> bool:
    """Return True if the process that trains is to export, too, and False if a fresh one is to take its place.

    Training a head leaves little memory behind, and a fresh process costs seconds; where visitors share the memory, the
    little counts more. Windows cannot replace a process by another program.
    """
    return (config.train_from == "head" and not is_shared()) or sys.platform == "win32"


def _stop(options: argparse.Namespace) -> None:
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


def _pause(options: argparse.Namespace) -> None:
    from cxr_core.jobs.job import Job, is_job
    from cxr_core.jobs.lifecycle import pause_job
    from cxr_core.runs.lifecycle import pause_run
    from cxr_core.runs.run import Run

    if is_job(options.run_folder):
        pause_job(Job(options.run_folder.resolve()))
        print("Its trainings end after their current epochs; `resume` continues the job.")
        return
    run = Run(options.run_folder.resolve())
    run.config()
    pause_run(run)
    print("It ends after its current epoch; `resume` continues it.")


def _work_queue(options: argparse.Namespace) -> None:
    from cxr_core.jobs.training_queue import work_queue
    from cxr_core.system.processes import make_way, on_owner_exit

    # The training ends with this process, and those that wait keep their places.
    on_owner_exit(lambda: os._exit(0))
    # A page is waited for; a training is looked at.
    make_way()
    work_queue(options.runs_dir)


def _export(options: argparse.Namespace) -> None:
    from cxr_core.runs.lifecycle import run_lock
    from cxr_core.runs.run import Run

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cxr_core.system.processes import on_owner_exit

    on_owner_exit(lambda: None)
    from cxr_core.training.export_run import export_run, report_copies

    run = Run(options.run_folder.resolve())
    # A run that stops starts its export shortly before it ends itself.
    with run_lock(run, patience_seconds=30.0):
        export_run(run)
    report_copies(run, phase=progress_bar, writing=run_lock(run, patience_seconds=30.0))
    print(run.path)


def _segment_train(options: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cxr_core.training.lungs.lung_card import lung_summary
    from cxr_core.training.lungs.train_lungs import train_lungs

    left_out: list[tuple[str, str]] = []
    card = train_lungs(
        options.folders, options.into, mask_folders=options.masks, behind_heart=options.behind_heart,
        like=options.like, external=options.external, epochs=options.epochs, seed=options.seed, left_out=left_out,
        phase=progress_bar,
    )  # fmt: skip
    for file, sentence in left_out:
        print(f"{file}: {sentence}", file=sys.stderr)
    write_result(card, options.json, lung_summary(card))


def add_commands(commands: Commands) -> None:
    """Add the commands that train and that control trainings to a parser."""
    _add_train(commands)
    _add_cross_validate(commands)
    _add_repeat(commands)
    _add_leave_out(commands)
    _add_search(commands)
    _add_stop(commands)
    _add_pause(commands)
    _add_resume(commands)
    _add_work_queue(commands)
    _add_export(commands)
    _add_segment_train(commands)


def _add_train(commands: Commands) -> None:
    train = add_command(commands, "train", _train, "Train a classifier; prints the run folder.")
    add_training(train)
    train.add_argument("--run", type=Path, help="run folder to create (default: a new one in runs/)")
    train.add_argument("--into-existing", action="store_true", help=argparse.SUPPRESS)


def _add_cross_validate(commands: Commands) -> None:
    folds = add_command(
        commands, "cross-validate", _cross_validate,
        "Train once per fold, each patient in one fold only, so that every image is tested once.",
    )  # fmt: skip
    add_training(folds)
    folds.add_argument(
        "--folds", type=int, default=5, metavar="K", help="number of folds, one training each (default: 5)"
    )
    _add_job_options(folds)


def _add_repeat(commands: Commands) -> None:
    repeat = add_command(
        commands, "repeat", _repeat, "Train with several seeds, to see how much of a score is due to chance."
    )
    add_training(repeat)
    repeat.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="SEED",
        help="one training each (default: 0 1 2 3 4)",
    )  # fmt: skip
    _add_job_options(repeat)


def _add_leave_out(commands: Commands) -> None:
    sources = add_command(
        commands, "leave-out", _leave_out,
        "Train once without each source, a hospital or a collection, and test on it; and once on all of them.",
    )  # fmt: skip
    add_training(sources)
    sources.add_argument(
        "--sources", nargs="+", metavar="NAME", help="sources to leave out, one training each (default: all)"
    )
    _add_job_options(sources)


def _add_search(commands: Commands) -> None:
    search = add_command(
        commands, "search", _search,
        "Search hyperparameters; the validation loss decides, and only the chosen trial is tested.",
    )  # fmt: skip
    add_training(search)
    search.add_argument(
        "--trials", type=int, default=20, metavar="N", help="number of trials, one training each (default: 20)"
    )
    search.add_argument(
        "--tune", nargs="+", metavar="WHAT",
        help="learning_rate, dropout, augmentation (default: those that have an effect on the recipe)",
    )  # fmt: skip
    _add_job_options(search)


def _add_job_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--job", type=Path, help="job folder to create (default: a new one in jobs/)")
    command.add_argument(
        "--at-once", type=int, default=1, metavar="N",
        help="trainings at the same time (default: 1); each needs about 1 GB of memory",
    )  # fmt: skip
    add_ray(command, "train")
    add_json(command)


def _add_stop(commands: Commands) -> None:
    stop = add_command(commands, "stop", _stop, "Stop a training, keeping its best model, or all trainings of a job.")
    stop.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)


def _add_pause(commands: Commands) -> None:
    pause = add_command(commands, "pause", _pause, "Pause a training, or those of a job, after the current epoch.")
    pause.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)


def _add_resume(commands: Commands) -> None:
    resume = add_command(
        commands, "resume", _resume,
        "Continue a stopped, paused, failed or killed run after its last finished epoch, or a job.",
    )  # fmt: skip
    resume.add_argument("run_folder", metavar="RUN_OR_JOB", type=Path)
    resume.add_argument("--into-existing", action="store_true", help=argparse.SUPPRESS)
    resume.add_argument("--log", action="store_true", help=argparse.SUPPRESS)


def _add_work_queue(commands: Commands) -> None:
    # For the app alone, so without a line in the list of commands.
    queue = commands.add_parser("work-queue")
    queue.set_defaults(command=_work_queue)
    queue.add_argument("runs_dir", type=Path)


def _add_export(commands: Commands) -> None:
    export = add_command(commands, "export", _export, "Export and evaluate the best model of a stopped run.")
    export.add_argument("run_folder", metavar="RUN", type=Path)


def _add_segment_train(commands: Commands) -> None:
    lungs = add_command(
        commands, "segment-train", _segment_train,
        "Train the network that finds the lungs and tells whether a whole, upright chest is in an image.",
    )  # fmt: skip
    add_folders(lungs)
    add_target_folder(lungs, "--into", required=True, type=Path, metavar="FOLDER", help="where the network is written")
    lungs.add_argument(
        "--masks", nargs="*", default=[], type=Path, metavar="DIR", help="folders of masks named <image file>.png"
    )
    lungs.add_argument(
        "--behind-heart", nargs="*", default=[], metavar="NAME",
        help="sources and mask folders whose masks hold the parts of the lungs behind the heart",
    )  # fmt: skip
    lungs.add_argument(
        "--like", type=Path, metavar="MODEL", help="hold out the images that this classifier was not trained on"
    )
    lungs.add_argument(
        "--external", nargs="*", default=[], type=Path, metavar="DIR", help="data sets with masks to measure it on"
    )
    lungs.add_argument("--epochs", type=int, default=40, help="of 60 batches each (default: 40)")
    lungs.add_argument("--seed", type=int, default=0, help="of all that is random")
    add_json(lungs)
