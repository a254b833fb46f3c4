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
import difflib
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path

import toml
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

from benchmarks.reporting import RESULTS_DIR, print_table, write_result
from cxr_core.system.files import read_json

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads(Path(__file__).with_name("mutation.toml").read_text())
MODULES = SETTINGS["modules"]
_PYTEST = "-m pytest -q -x -p no:cacheprovider -o addopts= -m 'not slow and not browser'"
# No plugin is needed, and none is waited for; one core.
_ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run_module(module, folder, last=None):
    """Run Cosmic Ray's session of one module.

    Args:
        module: str, a key of `MODULES`.
        folder: Path of an empty folder, for the copy of the project and the session.
        last: dict as this returns it; None runs all changes, otherwise those alone that survived then.

    Returns:
        dict of `mutants`, `of` (more, where a sample was drawn), `killed`, `equivalent`, `share` (killed of those that
        are not equivalent), `survivors` (dicts of a changed line `before` and `after`, and the reason where it is
        equivalent), `date` and `source` (digest of the module).

    Raises:
        ValueError: the module has changed since the last run.
    """
    source = (PROJECT / module).read_text()
    digest = hashlib.sha256(source.encode()).hexdigest()
    if last and last["source"] != digest:
        raise ValueError(f"{module} has changed since the last run; run all of its changes.")
    project, database = folder / "project", folder / "session.sqlite"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".git", ".venv", "site", "__pycache__"))
    if (PROJECT.parent / "shared").exists():
        (folder / "shared").symlink_to(PROJECT.parent / "shared")
    _write_config(module, folder)
    _call(project, "cosmic-ray", "baseline", folder / "config.toml")
    _call(project, "cosmic-ray", "init", folder / "config.toml", database)
    _call(project, "cr-filter-operators", database, folder / "config.toml")
    with use_db(database, WorkDB.Mode.open) as work:
        changes = _real_changes(work, source)
        drawn = _draw(changes, MODULES[module].get("sample"), last)
        skipped = [item.job_id for item in work.pending_work_items if item.job_id not in drawn]
        work.set_multiple_results(skipped, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    _call(project, "cosmic-ray", "exec", folder / "config.toml", database)
    with use_db(database, WorkDB.Mode.open) as work:
        survived = sorted(changes[job] for job, result in work.results if result.test_outcome == TestOutcome.SURVIVED)
    total = {"mutants": last["mutants"] if last else len(drawn), "of": len(changes)}
    return total | _count(module, total["mutants"], survived) | {"date": date.today().isoformat(), "source": digest}


def _write_config(module, folder):
    config = {
        "module-path": module,
        "timeout": MODULES[module].get("timeout", 60.0),
        "excluded-modules": [],
        "test-command": f"{sys.executable} {_PYTEST} --basetemp {folder}/tmp {MODULES[module]['tests']}",
        "distributor": {"name": "local"},
        "filters": {"operators-filter": {"exclude-operators": SETTINGS["exclude-operators"]}},
    }
    (folder / "config.toml").write_text(toml.dumps({"cosmic-ray": config}))


def _call(project, script, *arguments):
    path = Path(sys.executable).with_name(script)
    subprocess.run([path, *arguments], cwd=project, env=os.environ | _ENVIRONMENT, check=True)


def _real_changes(work, source):
    """Return {job: (line before, line after)} of all changes that are some, in the order of the source."""
    real = {}
    spans = [span for node in ast.walk(ast.parse(source)) for span in _annotations(node)]
    for item in sorted(work.pending_work_items, key=lambda i: (i.mutations[0].start_pos, i.mutations[0].operator_name)):
        (mutation,) = item.mutations
        changed = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
        is_annotation = any(start <= mutation.start_pos <= end for start, end in spans)
        is_star = "BinaryOperator" in mutation.operator_name and _operators(changed) == _operators(source)
        if not is_annotation and not is_star:
            real[item.job_id] = _changed_lines(source, changed)
    return real


def _annotations(node):
    parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    return [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p is not None]


def _operators(source):
    """Count the arithmetic operators of a source; None where it is no Python, as a star in another's place makes it."""
    try:
        return Counter(type(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.operator))
    except SyntaxError:
        return None


def _changed_lines(source, changed):
    """Return (before, after): the lines that differ, without what surrounds them."""
    lines = list(difflib.unified_diff(source.split("\n"), changed.split("\n"), n=0, lineterm=""))[2:]
    return tuple(" ".join(line[1:].strip() for line in lines if line[0] == sign).strip() for sign in "-+")


def _draw(changes, sample, last):
    """Return a set of jobs: all, a sample, or what survived the last time."""
    if last:
        survived = {(s["before"], s["after"]) for s in last["survivors"]}
        return {job for job, change in changes.items() if change in survived}
    return set(random.Random(0).sample(list(changes), min(sample, len(changes))) if sample else changes)


def _count(module, mutants, survived):
    reasons = {(e["before"], e["after"]): e["reason"] for e in MODULES[module].get("equivalent", [])}
    survivors = [
        {"before": change[0], "after": change[1]} | ({"equivalent": reasons[change]} if change in reasons else {})
        for change in survived
    ]
    equivalent, killed = sum("equivalent" in s for s in survivors), mutants - len(survivors)
    share = round(killed / (mutants - equivalent), 4)
    return {"killed": killed, "equivalent": equivalent, "share": share, "survivors": survivors}


def _known(result_file):
    return read_json(result_file)["modules"] if result_file.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[[], *MODULES], metavar="MODULE", help="all by default")
    parser.add_argument("--again", action="store_true", help="only what survived the last time, after tests were added")
    arguments = parser.parse_args()
    result_file = RESULTS_DIR / "mutation.json"
    for module in arguments.modules or MODULES:
        last = _known(result_file)[module] if arguments.again else None
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            figures = run_module(module, Path(folder), last)
        write_result("mutation", {"modules": _known(result_file) | {module: figures}})
        for survivor in figures["survivors"]:
            print(f"survived: {survivor['before']}\n      as: {survivor['after']}")
            print(f" because: {survivor['equivalent']}" if "equivalent" in survivor else "")
        columns = ("mutants", "of", "killed", "equivalent", "share")
        print_table(("module", *columns), [(module, *(figures[c] for c in columns))])


if __name__ == "__main__":
    main()
