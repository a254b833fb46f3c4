"""Which command opens the dashboard?"""

import argparse
import os
import subprocess
import sys

from cxr_core.cli.arguments import Commands, add_command
from cxr_core.config import PROJECT_DIR


def add_commands(commands: Commands) -> None:
    """Add the command that opens the dashboard to a parser."""
    app = add_command(commands, "app", _app, "Open the dashboard in a browser.")
    app.add_argument("--port", type=int, default=8501, help="port to listen on (default: 8501)")
    app.add_argument("--address", default="localhost", help="address to listen on (default: this computer only)")
    app.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")


def _app(options: argparse.Namespace) -> int:
    words = [sys.executable, "-m", "streamlit", "run", str(PROJECT_DIR / "streamlit_app.py")]
    words += ["--server.port", str(options.port), "--server.address", options.address]
    words += ["--server.headless", str(options.no_browser).lower()]
    if sys.platform == "win32":
        return subprocess.call(words)
    # In this process's place, so that whoever ends it ends the dashboard.
    os.execv(sys.executable, words)
