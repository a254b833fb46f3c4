"""The command line: results on standard output, progress and errors on standard error.

Each command imports what it needs when it runs, so that `predict` never loads TensorFlow,
nor even pandas.
"""

import argparse
import sys
from pathlib import Path

from cxr_core.cli import app_commands, data_commands, model_commands, predict_commands, training_commands
from cxr_core.config import NOTICE

WRONG_USAGE = 2


def main(arguments=None):
    """Run one command.

    Args:
        arguments: list of str, by default the process's own.

    Returns:
        int, the exit code: 0 done, 1 failed with a sentence on standard error, 2 wrong usage.
    """
    options = build_parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except (ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def build_parser():
    """Return the argparse.ArgumentParser of all commands; what it parses names the function to call as `command`."""
    name = "cxr-lab" if Path(sys.argv[0]).stem == "cxr-lab" else "python -m cxr_core"
    parser = argparse.ArgumentParser(prog=name, description=f"CXR Lab. {NOTICE}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (app_commands, data_commands, training_commands, model_commands, predict_commands):
        module.add_commands(commands)
    return parser
