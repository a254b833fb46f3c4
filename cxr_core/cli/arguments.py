"""Which arguments do several commands share?"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

SPLIT_HELP = (
    "grouped (default), stratified, random, article, source (one hospital is the test side), or given: the column "
    "split of a CSV file"
)
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
# Does a command's work; returns the exit code, None for 0.
CommandFunction = Callable[[argparse.Namespace], int | None]


def add_command(commands: Commands, name: str, run: CommandFunction, help_text: str) -> argparse.ArgumentParser:
    """Add a command to the parser of all commands.

    Args:
        commands: of the parser.
        name: what is typed.
        run: does the work.
        help_text: one sentence.
    """
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.set_defaults(command=run)
    return command


def add_folders(command: argparse.ArgumentParser, *, nargs: str = "+") -> None:
    """Add the data set folders that a command reads; `nargs` as for `ArgumentParser.add_argument`."""
    command.add_argument(
        "folders", metavar="DIR", nargs=nargs, type=Path,
        help="folder with one subfolder per class, a public data set as it was unpacked, or a label table",
    )  # fmt: skip
    command.add_argument(
        "--map", dest="columns", action="append", default=[], metavar="FIELD=COLUMN,...",
        help="which columns of DIR's label table tell path, label, patient, split, view, age, sex, source or mask; "
        "kept with the data set, and forgotten with --map none",
    )  # fmt: skip
    command.add_argument(
        "--classes", action="append", default=[], metavar="FINDING=CLASS,...",
        help="which findings of DIR's label table form which class; FINDING= leaves one out; kept with the data set",
    )  # fmt: skip


def add_ray(command: argparse.ArgumentParser, what: str) -> None:
    """Add the address of a Ray cluster.

    Args:
        command: gets `--ray`.
        what: its workers do, as a verb and its object.
    """
    command.add_argument(
        "--ray", default="", metavar="ADDRESS",
        help=f"{what} on the workers of a Ray cluster, which must see the same folders (requirements-extra.txt)",
    )  # fmt: skip


def add_training(command: argparse.ArgumentParser) -> None:
    """Add what decides a training, except its run folder."""
    add_folders(command)
    command.add_argument("--recipe", default="quick", help="quick (default), finetune, article or article-sound")
    command.add_argument("--split", default="grouped", help=SPLIT_HELP)
    add_settings(
        command, "change one setting: epochs=5, start=shipped, preprocessing.clahe=after, augmentation.zoom=0.1"
    )
    command.add_argument(
        "--decisions", dest="curation", type=Path, metavar="FILE",
        help="a run's decisions.json (default: the curation that is stored for DIR)",
    )  # fmt: skip
    command.add_argument("--gpus", type=int, metavar="N", help="number of this computer's GPUs that share each batch")


def add_settings(command: argparse.ArgumentParser, help_text: str) -> None:
    """Add the seed of a training, and its settings one by one."""
    command.add_argument("--seed", type=int, default=0, help="seed of split, initial weights, order and augmentation")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=help_text)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the file that a command's result is written to as JSON."""
    add_target_file(
        command, "--json", metavar="FILE|-", help="write the result as JSON to a file, or - for standard output"
    )


def add_target_file(command: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """Add an argument that names a file to write; one that cannot be written is refused before the work.

    Args:
        command: that writes the file.
        name: of the argument.
        **options: as for `ArgumentParser.add_argument`.
    """
    _add_target(command, "target_files", name, options)


def add_target_folder(command: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """Add an argument that names a folder to write into; see `add_target_file`."""
    _add_target(command, "target_folders", name, options)


def _add_target(command: argparse.ArgumentParser, kind: str, name: str, options: dict[str, Any]) -> None:
    argument = command.add_argument(name, **options)
    known = command.get_default(kind) or ()
    command.set_defaults(**{kind: (*known, argument.dest)})
