"""How many changed operators and constants do the tests of a module notice?

Cosmic Ray changes one place of a module at a time, in a copy of the project, and runs the tests that `mutation.toml`
names for it. The same file lists the survivors that no test can tell from the original, each with its reason.

Changes inside annotations are skipped: they are for mypy. So are those where Cosmic Ray takes a star that unpacks, or
one that begins keyword-only arguments, for a product.

    pip install cosmic-ray==8.7.0
    python -m benchmarks.mutation [MODULE ...]
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path

import toml
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkResult

from benchmarks.reporting import RESULTS_DIR, print_table, write_result
from cxr_core.system.files import read_json

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads(Path(__file__).with_name("mutation.toml").read_text())
MODULES = SETTINGS["modules"]
_PYTEST = "-m pytest -q -x -p no:cacheprovider -o addopts= -m 'not slow and not browser'"
# No plugin is needed, and none is waited for; one core.
_ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run_module(module, folder):
    """Run Cosmic Ray's session of one module.

    Args:
        module: str, a key of `MODULES`.
        folder: Path of an empty folder, for the copy of the project and the session.

    Returns:
        dict of `mutants`, `of` (more, where a sample was drawn), `killed`, `equivalent`, `share` (killed of those that
        are not equivalent), `date`, `minutes` and `survivors` (dicts of a changed line `before` and `after`).
    """
    project, database = folder / "project", folder / "session.sqlite"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".git", ".venv", "site", "__pycache__"))
    if (PROJECT.parent / "shared").exists():
        (folder / "shared").symlink_to(PROJECT.parent / "shared")
    config = {
        "module-path": module,
        "timeout": MODULES[module].get("timeout", 60.0),
        "excluded-modules": [],
        "test-command": f"{sys.executable} {_PYTEST} --basetemp {folder}/tmp {MODULES[module]['tests']}",
        "distributor": {"name": "local"},
        "filters": {"operators-filter": {"exclude-operators": SETTINGS["exclude-operators"]}},
    }
    (folder / "config.toml").write_text(toml.dumps({"cosmic-ray": config}))
    _call(project, "baseline", folder / "config.toml")
    _call(project, "init", folder / "config.toml", database)
    subprocess.run([_script("cr-filter-operators"), database, folder / "config.toml"], cwd=project, check=True)
    with use_db(database, WorkDB.Mode.open) as work:
        all_of_them = _skip_what_is_none(work, (PROJECT / module).read_text(), MODULES[module].get("sample"))
    start = time.monotonic()
    _call(project, "exec", folder / "config.toml", database)
    with use_db(database, WorkDB.Mode.open) as work:
        results = [result for _, result in work.completed_work_items if result.worker_outcome != WorkerOutcome.SKIPPED]
    return _count(module, results) | {"of": all_of_them, "minutes": round((time.monotonic() - start) / 60, 1)}


def _call(project, command, *arguments):
    subprocess.run([_script("cosmic-ray"), command, *arguments], cwd=project, env=os.environ | _ENVIRONMENT, check=True)


def _script(name):
    return str(Path(sys.executable).with_name(name))


def _skip_what_is_none(work, source, sample):
    """Skip work items that change nothing, and those outside the sample; return how many were left to draw from."""
    real, none = [], []
    tree = ast.parse(source)
    spans = [span for node in ast.walk(tree) for span in _annotations(node)]
    for item in sorted(work.pending_work_items, key=lambda i: (i.mutations[0].start_pos, i.mutations[0].operator_name)):
        (mutation,) = item.mutations
        changed = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
        annotated = any(start <= mutation.start_pos <= end for start, end in spans)
        is_star = "BinaryOperator" in mutation.operator_name and _operators(changed) == _operators(source)
        (none if annotated or is_star else real).append(item.job_id)
    drawn = random.Random(0).sample(real, min(sample, len(real))) if sample else real
    skipped = none + sorted(set(real) - set(drawn))
    work.set_multiple_results(skipped, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    return len(real)


def _annotations(node):
    parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    return [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p is not None]


def _operators(source):
    """Count the arithmetic operators of a source; None where it is no Python."""
    try:
        return Counter(type(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.operator))
    except SyntaxError:
        return None


def _count(module, results):
    known = Counter((e["before"], e["after"]) for e in MODULES[module].get("equivalent", []))
    survivors = [_changed_lines(result.diff) for result in results if not result.is_killed]
    told = [pair for pair in survivors if pair not in known]
    equivalent = len(survivors) - len(told)
    return {
        "mutants": len(results),
        "killed": len(results) - len(survivors),
        "equivalent": equivalent,
        "share": round((len(results) - len(survivors)) / (len(results) - equivalent), 4),
        "date": date.today().isoformat(),
        "survivors": [{"before": before, "after": after} for before, after in sorted(told)],
    }


def _changed_lines(diff):
    """Return (before, after), the changed lines of a unified diff without what surrounds them."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return tuple(" ".join(line[1:].strip() for line in lines if line[0] == sign).strip() for sign in "-+")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[[], *MODULES], metavar="MODULE", help="all by default")
    result_file = RESULTS_DIR / "mutation.json"
    for module in parser.parse_args().modules or MODULES:
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            figures = run_module(module, Path(folder))
        before = read_json(result_file)["modules"] if result_file.exists() else {}
        write_result("mutation", {"modules": before | {module: figures}})
        for survivor in figures["survivors"]:
            print(f"survived: {survivor['before']}\n      as: {survivor['after']}")
        columns = ("mutants", "of", "killed", "equivalent", "share", "minutes")
        print_table(("module", *columns), [(module, *(figures[c] for c in columns))])


if __name__ == "__main__":
    main()
