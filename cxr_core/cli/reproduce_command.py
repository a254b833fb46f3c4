"""How is the article reproduced in one command?"""

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_core.cli.arguments import (
    SPLIT_HELP,
    Commands,
    add_command,
    add_folders,
    add_json,
    add_settings,
    add_target_folder,
)
from cxr_core.cli.io import progress_bar, write_result

if TYPE_CHECKING:
    from cxr_core.runs.run import Run

_INTERRUPTED = 130
_ENDS = {"failed": "failed", "stopped": "was stopped", "paused": "was paused"}
_INTERRUPTION = "Interrupted; it can be resumed after its last finished epoch."


def _reproduce(options: argparse.Namespace) -> int | None:
    if options.compare:
        _compare(options)
        return None
    if not options.folders:
        raise ValueError("Name the data set that is to be trained on, or runs to compare (--compare RUN...).")
    run = _run_of(options)
    if run is None:
        return _INTERRUPTED
    from cxr_core.reporting.reproduction.reproduction_page import write_reproduction
    from cxr_core.runs.run import Run

    stand_ins = dict(_stand_in(text) for text in options.stand_in)
    written = write_reproduction(
        run, options.folders, options.out, stand_ins=stand_ins, credits=options.credits, phase=progress_bar,
        beside=[Run(path.resolve()) for path in options.beside],
    )  # fmt: skip
    print("\n".join(map(str, written)))
    return None


def _run_of(options: argparse.Namespace) -> "Run | None":
    """Return the finished run that the page is made of, training it where need be; None where that was interrupted."""
    from cxr_core.jobs.reproduction import begin_or_continue, find_reproduction, follow_run
    from cxr_core.recipes.reproduction import reproduction_config
    from cxr_core.runs.lifecycle import halt_run
    from cxr_core.runs.run import Run, list_runs
    from cxr_core.system.processes import tie_to_parent

    variant = "quick" if options.quick else "sound" if options.sound else "article"
    roots = [str(folder.resolve()) for folder in options.folders]
    config = reproduction_config(variant, roots, seed=options.seed, split=options.split, settings=options.set)
    path = options.run.resolve() if options.run else None
    if path is None:
        run = find_reproduction(config, list_runs())
    else:
        run = Run(path) if (path / "config.json").exists() else None
        if run is not None and run.has_model and not run.status().is_active:
            return run
    # Nobody could see or stop the training if this process were killed.
    tie_to_parent()
    run, is_ours = begin_or_continue(config, run, path=path)
    _say(f"{run.path}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = follow_run(run, _say)
    except KeyboardInterrupt:
        if is_ours:
            halt_run(run, _INTERRUPTION)
        _say(f"{_INTERRUPTION} The same command goes on.")
        return None
    if status.state != "finished":
        further = "" if status.state == "failed" and not status.lost else " The same command goes on."
        raise ValueError(f"The training {_ENDS.get(status.state, status.state)}: {status.message}{further}")
    return run


def _compare(options: argparse.Namespace) -> None:
    from cxr_core.reporting.reproduction.comparison import compare_runs, comparison_text
    from cxr_core.runs.run import Run

    found = compare_runs([Run(path.resolve()) for path in options.compare])
    write_result(found, options.json, comparison_text(found))


def _stand_in(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise ValueError(f"What stands in for a class is written CLASS=DIR; received {text!r}.")
    return name, folder


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def add_commands(commands: Commands) -> None:
    """Add the command that reproduces the article to a parser."""
    reproduce = add_command(
        commands, "reproduce", _reproduce,
        "Train as the article does, going on where it was interrupted, and write its ten sections with our figures "
        "beside its claims; prints the HTML and the Markdown file.",
    )  # fmt: skip
    add_folders(reproduce, nargs="*")
    variant = reproduce.add_mutually_exclusive_group()
    variant.add_argument(
        "--quick", action="store_true", help="with the quick recipe: minutes, but not the article's training"
    )
    variant.add_argument("--sound", action="store_true", help="with the recipe article-sound and the grouped split")
    reproduce.add_argument("--split", help=f"by default the article's, and grouped with --sound; {SPLIT_HELP}")
    add_settings(reproduce, "change one setting, as for train; the page says so")
    reproduce.add_argument(
        "--run", type=Path,
        help="make the page of this run; a missing folder is created and trained in, an interrupted run goes on "
        "(default: the run in runs/ that has these settings, or a new one)",
    )  # fmt: skip
    add_target_folder(
        reproduce,
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the page is written (default: article/ in the run's)",
    )
    reproduce.add_argument(
        "--stand-in", action="append", default=[], metavar="CLASS=DIR",
        help="images shown in place of a class's own, which may not be passed on",
    )  # fmt: skip
    reproduce.add_argument(
        "--credits", default="", metavar="TEXT", help="whose images are shown, at the foot of the page"
    )
    reproduce.add_argument(
        "--beside", nargs="+", type=Path, default=[], metavar="RUN",
        help="further finished runs, such as other seeds, whose figures stand in a table of the page",
    )  # fmt: skip
    reproduce.add_argument(
        "--compare", nargs="+", type=Path, metavar="RUN",
        help="no training: print the table of claimed and reproduced figures of finished runs, seeds put together",
    )  # fmt: skip
    add_json(reproduce)
