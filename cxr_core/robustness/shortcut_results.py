"""Where the result of the shortcut test is kept."""

import json
from pathlib import Path

from cxr_core.system.files import read_json, write_text

SHORTCUTS_FILE = "shortcuts.json"


def save_shortcut_result(folder, result):
    """Write the shortcut lab's result, as `shortcut_test.run_shortcut_test` returns it, into a model's folder."""
    write_text(Path(folder) / SHORTCUTS_FILE, json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def keep_shortcut_result(folder, result):
    """Save the shortcut lab's result if the folder is a run's; a published model keeps the one it came with."""
    if (Path(folder) / "config.json").exists():
        save_shortcut_result(folder, result)


def load_shortcut_result(folder):
    """Return the shortcut lab's result that a run's or a model's folder keeps, or None."""
    path = Path(folder) / SHORTCUTS_FILE
    return read_json(path) if path.exists() else None
