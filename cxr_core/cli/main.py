"""What can be typed? Results go to standard output, progress and errors to standard error.

Each command imports what it needs when it runs, so that `predict` never loads TensorFlow, nor even pandas.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cxr_core.cli import (
    app_commands,
    data_commands,
    model_commands,
    predict_commands,
    reproduce_command,
    training_commands,
)
from cxr_core.cli.io import check_targets, keep_label_mapping
from cxr_core.config import NOTICE
from cxr_core.system.files import why_it_failed

WRONG_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: by default the process's own.

    Returns:
        The exit code: 0 for success, 1 for a failure with one sentence on standard error, 2 for wrong usage.
    """
    options = build_parser().parse_args(arguments)
    try:
        check_targets(options)
        keep_label_mapping(options)
        return options.command(options) or 0
    except (ValueError, OSError) as error:
        print(f"Error: {why_it_failed(error)}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; what it parses holds the function to call as `command`."""
    name = "cxr-lab" if Path(sys.argv[0]).stem == "cxr-lab" else "python -m cxr_core"
    parser = argparse.ArgumentParser(prog=name, description=f"CXR Lab. {NOTICE}")
    parser.set_defaults(target_files=(), target_folders=())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (
        app_commands,
        data_commands,
        training_commands,
        reproduce_command,
        model_commands,
        predict_commands,
    ):
        module.add_commands(commands)
    return parser
