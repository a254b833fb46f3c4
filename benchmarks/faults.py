"""How many interrupted trainings end as if nothing had happened: kills, full disks, second starts.

Every round trains on drawings, breaks something at a random moment, lets the run go on, and compares its
history with that of an uninterrupted run. Linux: the full disk is a tmpfs, mounted by its super-user.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import judge_target, print_table, write_result
from cxr_core.phantoms import draw_demo_data
from cxr_core.recipes import make_config
from cxr_core.runs import Run, create_run, resume_run, start_run

CURVES = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
SETTINGS = {
    "quick": ("start=shipped", "batch_size=8", "epochs=30", "stop_after=30"),
    "finetune": ("start=shipped", "batch_size=8", "epochs=8", "preprocessing.size=96", "train_from=block_16_expand"),
}
_PATIENCE_SECONDS = 600
_DISK_MEGABYTES = 40


def config_for(recipe, folder):
    """Return the configuration of one short training on a folder of drawings."""
    return make_config(recipe, roots=(str(folder),), split="stratified", settings=SETTINGS[recipe])


def wait_for_end(run):
    """Wait until no process works on a run; returns its RunStatus."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while run.status().is_active:
        if time.monotonic() > end:
            raise TimeoutError(f"{run.name} has not ended within {_PATIENCE_SECONDS} s: {run.log_tail()}")
        time.sleep(0.05)
    return run.status()


def is_same_history(run, whole):
    """Return True if two runs agree in every epoch, to rounding."""
    epochs, expected = run.epochs(), whole.epochs()
    return len(epochs) == len(expected) and np.allclose(epochs[CURVES], expected[CURVES], rtol=1e-3, atol=1e-5)


def kill_at_random(config, runs_dir, whole, rng, kills):
    """Kill a training several times at random moments of its way, resume it each time.

    Returns:
        dict of kills (int), readable (bool, after every kill) and same (bool).
    """
    run, readable, killed = start_run(config, runs_dir), True, 0
    seconds = whole.status().seconds_spent + 8
    for _ in range(kills):
        end = time.monotonic() + rng.uniform(1, seconds)
        while run.status().is_active and time.monotonic() < end:
            time.sleep(0.01)
        if not run.status().is_active:
            break
        os.kill(run.status().pid, signal.SIGKILL)
        killed += 1
        status = wait_for_end(run)
        readable &= status.state == "failed" and run.config() == config
        readable &= _readable(run)
        resume_run(run)
    wait_for_end(run)
    return {"kills": killed, "readable": bool(readable), "same": is_same_history(run, whole)}


def _readable(run):
    """Every table opens whole: as many epochs as the file tells, in order, without a gap."""
    epochs = run.epochs()
    run.batches(), run.predictions(), run.metrics()
    return not len(epochs) or epochs["epoch"].tolist() == list(range(1, len(epochs) + 1))


def fill_the_disk(config, folder, whole, rng):
    """Train on a small disk that fills up at a random moment, make room, resume.

    Returns:
        dict of failed (bool: the run says so), readable and same (bool), or None where no disk can be mounted.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        return None
    try:
        run = start_run(config, folder)
        wanted = int(rng.integers(1, config.epochs))
        while run.status().is_active and run.status().epoch < wanted:
            time.sleep(0.01)
        ballast = folder / "ballast"
        with ballast.open("wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65_536)
                    file.flush()
            except OSError:
                pass
        status = wait_for_end(run)
        answer = {"failed": status.state == "failed" and "full" in status.message, "readable": _readable(run)}
        ballast.unlink()
        if status.state != "finished":
            resume_run(run)
            wait_for_end(run)
        return answer | {"same": is_same_history(run, whole)}
    finally:
        # A process that has just ended may hold its log a moment longer.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def start_twice(config, folder):
    """Start two processes on one run folder at once; returns True if exactly one of them trained."""
    run = create_run(config, folder)
    words = [sys.executable, "-m", "cxr_core", "train", *config.roots, "--run", str(run.path), "--into-existing"]
    processes = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    return sorted(process.wait(_PATIENCE_SECONDS) for process in processes) == [0, 1] and _finished(run)


def _finished(run):
    return run.status().state == "finished" and len(run.epochs()) == run.config().epochs


def main():
    """Break, resume, compare, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each fault and recipe (default: 10)")
    parser.add_argument("--kills", type=int, default=3, help="per round (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    options = parser.parse_args()
    rng, rows = np.random.default_rng(options.seed), []
    with tempfile.TemporaryDirectory(prefix="cxr-lab-faults-") as home:
        data = draw_demo_data(Path(home) / "drawings", images_per_class=16)
        for recipe in SETTINGS:
            config = config_for(recipe, data)
            whole = start_run(config, Path(home) / "whole")
            if wait_for_end(whole).state != "finished":
                raise RuntimeError(f"The uninterrupted run must finish: {whole.log_tail()}")
            for number in range(options.rounds):
                killed = kill_at_random(config, Path(home) / "killed", whole, rng, options.kills)
                rows.append({"recipe": recipe, "fault": "SIGKILL"} | killed)
                full = fill_the_disk(config, Path(home) / f"disk-{recipe}-{number}", whole, rng)
                if full is not None:
                    rows.append({"recipe": recipe, "fault": "full disk"} | full)
                one = start_twice(config, Path(home) / f"twice-{recipe}-{number}")
                same = is_same_history(Run(Path(home) / f"twice-{recipe}-{number}"), whole)
                rows.append({"recipe": recipe, "fault": "two starts", "readable": one, "same": same})
    table = pd.DataFrame(rows)
    counts = table.groupby(["recipe", "fault"]).agg(
        rounds=("same", "size"), readable=("readable", "sum"), same=("same", "sum"), kills=("kills", "sum")
    )
    print_table(
        ("recipe, fault", "rounds", "readable", "same history", "kills"),
        [(", ".join(key), *map(int, row)) for key, row in zip(counts.index, counts.to_numpy(), strict=True)],
    )
    share = float((table["readable"].astype(bool) & table["same"].astype(bool)).mean())
    target = judge_target(
        "share of rounds whose run stayed readable and ended with the same history", share, at_least=1
    )
    print(f"{target['what']}: {target['value']} (target {target['target']}), {'met' if target['met'] else 'missed'}")
    written = counts.reset_index().astype({"readable": int, "same": int, "kills": int}).to_dict("records")
    write_result("faults", {"seed": options.seed, "counts": written, "targets": [target]})


if __name__ == "__main__":
    main()
