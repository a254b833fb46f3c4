"""Which arguments several commands share."""

from pathlib import Path

SPLIT_HELP = "grouped (default), stratified, random, article, or given: as the column split of a CSV says"


def add_command(commands, name, run, help_text):
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.set_defaults(command=run)
    return command


def add_folders(command):
    command.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="folder with one sub-folder per class")


def add_training(command):
    """Add what decides a training, but for its run folder."""
    add_folders(command)
    command.add_argument("--recipe", default="quick", help="quick (default), finetune or article")
    command.add_argument("--split", default="grouped", help=SPLIT_HELP)
    command.add_argument("--seed", type=int, default=0, help="seed of split, weights, order and augmentation")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="change one setting: epochs=5, start=shipped, preprocessing.clahe=after, augmentation.zoom=0.1",
    )  # fmt: skip
    command.add_argument(
        "--decisions",
        dest="curation",
        type=Path,
        metavar="FILE",
        help="a run's decisions.json (default: what was decided about DIR)",
    )
    command.add_argument("--gpus", type=int, metavar="N", help="share each batch between N GPUs of this computer")


def add_json(command):
    command.add_argument(
        "--json", metavar="FILE|-", help="write the result as JSON to a file, or - for standard output"
    )
