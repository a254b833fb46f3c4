"""How many interrupted trainings end as if nothing had happened: kills, full disks, second starts.

Every round trains on drawings, breaks something at a random moment, lets the run go on, and compares its
history with that of an uninterrupted run. Linux: the full disk is a tmpfs, mounted by its super-user. With `--ray`
a job of several runs trains on a cluster of two nodes on this computer (needs requirements-extra.txt), one of which is
killed while both train; then a data set is audited on such a cluster, a node of which is killed midway, and the report
compared with that of this computer alone.
"""

import argparse
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.reporting import judge_target, print_table, write_result
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.phantoms import draw_demo_data, draw_phantom
from cxr_core.imaging.display import png_bytes
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.zip_archive import unpack_zip
from cxr_core.inference.classifier import load_classifier
from cxr_core.jobs.lifecycle import create_job
from cxr_core.jobs.plan import JobPlan
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run, resume_run, start_run
from cxr_core.runs.run import Run
from cxr_core.system.files import read_json

CURVES = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
SETTINGS = {
    "quick": ("start=shipped", "batch_size=8", "epochs=30", "early_stopping_patience=30"),
    "finetune": ("start=shipped", "batch_size=8", "epochs=8", "preprocessing.size=96", "train_from=block_16_expand"),
}
_PATIENCE_SECONDS = 600
# Enough that a node can be killed before all of them are prepared.
_AUDITED = 1_200
# A checkpoint of `finetune` is written beside the one that it replaces.
_DISK_MEGABYTES = 120


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
        readable &= is_readable(run)
        resume_run(run)
    wait_for_end(run)
    return {"kills": killed, "readable": bool(readable), "same": is_same_history(run, whole)}


def is_readable(run):
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
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65_536)
            except OSError:
                pass
        status = wait_for_end(run)
        answer = {"failed": status.state == "failed" and "full" in status.message, "readable": is_readable(run)}
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


def kill_a_node(config, folder, seeds):
    """Repeat a training on a Ray cluster of two nodes, and kill one node while it trains.

    Args:
        config: training_config.TrainingConfig.
        folder: Path of an empty folder for the job and its runs.
        seeds: tuple of int, at least two; each node trains one at a time.

    Returns:
        (Job, dict of in_the_middle (label of each run that was training then, to its finished epochs) and went_on (int,
        how many runs went on after an epoch that an earlier process had finished)).
    """
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    plan = JobPlan(
        kind="seeds", config=config, seeds=seeds, at_once=2, ray=cluster.address, runs_dir=str(folder / "runs")
    )
    job = create_job(plan, folder / "job")
    process = subprocess.Popen([sys.executable, "-m", "cxr_core", "resume", str(job.path), "--into-existing"])
    try:
        while sum(m.state == "running" and len(m.run.epochs()) >= 2 for m in job.members()) < 2:
            if process.poll() is not None:
                raise RuntimeError(f"Both nodes must train; the job has ended before: {job.status().message}")
            time.sleep(0.05)
        running = [m for m in job.members() if m.state == "running"]
        before = {m.label: len(m.run.epochs()) for m in running}
        cluster.remove_node(nodes[0], allow_graceful=False)
        process.wait(_PATIENCE_SECONDS)
        return job, {"in_the_middle": before, "went_on": sum(m.run.status().first_epoch > 0 for m in job.members())}
    finally:
        if process.poll() is None:
            process.kill()
        cluster.shutdown()


def kill_a_node_that_audits(data, folder):
    """Audit a data set on a Ray cluster of two nodes, and kill one node while the images are prepared.

    Args:
        data: Path of the data set.
        folder: Path of an empty folder for caches and reports.

    Returns:
        dict of audited_images (int), prepared_before (int, how many were prepared when the node was killed) and
        same_audit (bool: the report is that of this computer alone).
    """
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    homes = {name: folder / name for name in ("cluster", "alone")}
    image_bytes = Preprocessing().size ** 2
    try:
        process = _start_audit(data, homes["cluster"], "--ray", cluster.address)
        while not (written := _bytes_in(homes["cluster"] / "cache" / "prepared")):
            if process.poll() is not None:
                raise RuntimeError(f"The audit must last until images are prepared: {process.stderr.read()}")
            time.sleep(0.05)
        cluster.remove_node(nodes[0], allow_graceful=False)
        process.communicate(timeout=_PATIENCE_SECONDS)
    finally:
        cluster.shutdown()
    _start_audit(data, homes["alone"]).communicate(timeout=_PATIENCE_SECONDS)
    there, here = (read_json(home / "audit.json") for home in homes.values())
    return {
        "audited_images": here["images"], "prepared_before": written // image_bytes, "same_audit": there == here
    }  # fmt: skip


def _start_audit(data, home, *options):
    home.mkdir(parents=True)
    words = ["-m", "cxr_core", "audit", str(data), "--json", str(home / "audit.json"), *options]
    environment = os.environ | {"CXR_LAB_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _bytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".json") if folder.is_dir() else 0


def try_hostile(folder):
    """Open what a stranger could send or leave: archives, links, classifiers and runs.

    Args:
        folder: Path of an empty folder.

    Returns:
        DataFrame of kind, name and refused (bool: by one sentence; a link: it was not followed).
    """
    secret = folder / "secret.png"
    secret.write_bytes(png_bytes(draw_phantom("covid", np.random.default_rng(0))))
    rows = [("archive", *_outcome(name, partial(_unpack, data, folder))) for name, data in _archives(secret).items()]
    rows += [("link", *_outcome(name, partial(_scan_link, folder / name, name, secret))) for name in ("class", "deep")]
    graphs = {"above": "../secret.png", "absolute": str(secret), "link": "weights"}
    rows += [("graph", *_outcome(n, partial(_open_graph, folder / f"graph-{n}", w, secret))) for n, w in graphs.items()]
    texts = {"empty": b"", "list": b"[]", "deep": b"[" * 100_000, "binary": b"\xff\xfe\0", "no number": b"NaN"}
    for name, text in texts.items():
        rows.append(("card", *_outcome(name, partial(_open_card, folder / f"card-{name}", text))))
        rows.append(("run", *_outcome(name, partial(_open_run, folder / f"run-{name}", text))))
    return pd.DataFrame(rows, columns=["kind", "name", "refused"])


def _outcome(name, attack):
    """Return (name, whether it was refused by one sentence); any other end of an attack ends the benchmark."""
    try:
        return name, bool(attack())
    except (ValueError, FileNotFoundError) as error:
        return name, bool(str(error)) and "\n" not in str(error).strip()


def _archives(secret):
    def zipped(files):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return stream.getvalue()

    link = zipfile.ZipInfo("normal/a.png")
    link.external_attr = 0o120777 << 16
    image = secret.read_bytes()
    inner = zipped({"normal/a.png": image})
    return {
        "nested": zipped({"normal/a.zip": inner}),
        "nested, named like an image": zipped({"normal/a.png": inner}),
        "leads out": zipped({"../normal/a.png": image}),
        "absolute": zipped({"/normal/a.png": image}),
        "link": zipped({link: str(secret)}),
        "bomb": zipped({"normal/a.png": image + bytes(100_000_000)}),
    }


def _unpack(data, folder):
    unpack_zip(data, folder / "unpacked")


def _scan_link(root, name, secret):
    """Scan a data set with a link that leads out; returns whether nothing behind it was listed."""
    (root / "normal").mkdir(parents=True)
    shutil.copy(secret, root / "normal" / "own.png")
    outside = root.with_name(f"{root.name}-outside")
    outside.mkdir()
    shutil.copy(secret, outside / "a.png")
    (root / "covid" if name == "class" else root / "normal" / "deep").symlink_to(outside)
    return scan_dataset(root).table["file"].tolist() == ["normal/own.png"]


def _open_graph(folder, location, secret):
    import onnx
    from onnx.external_data_helper import set_external_data

    shutil.copytree(SHIPPED_MODEL_DIR, folder)
    graph = onnx.load(folder / "model.onnx")
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    if location == "weights":
        (folder / location).symlink_to(secret)
    set_external_data(largest, location=location, offset=0, length=len(largest.raw_data))
    largest.ClearField("raw_data")
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    load_classifier(folder)


def _open_card(folder, text):
    shutil.copytree(SHIPPED_MODEL_DIR, folder)
    (folder / "card.json").write_bytes(text)
    load_classifier(folder)


def _open_run(folder, text):
    folder.mkdir()
    (folder / "config.json").write_bytes(text)
    Run(folder).config()


def _measure_hostile():
    with tempfile.TemporaryDirectory(prefix="cxr-lab-hostile-") as home:
        table = try_hostile(Path(home))
    counts = table.groupby("kind")["refused"].agg(["size", "sum"])
    print_table(
        ("kind", "tried", "refused"),
        [(k, *map(int, row)) for k, row in zip(counts.index, counts.to_numpy(), strict=True)],
    )
    for row in table[~table["refused"]].itertuples():
        print(f"Not refused: {row.kind}, {row.name}")
    target = judge_target(
        "hostile files that were not refused by one sentence", int((~table["refused"]).sum()), below=1
    )
    _print_target(target)
    write_result("hostile_files", {"rows": table.to_dict("records"), "targets": [target]})


def _finished(run):
    return run.status().state == "finished" and len(run.epochs()) == run.config().epochs


def _print_target(target):
    print(f"{target['what']}: {target['value']} (target {target['target']}), {'met' if target['met'] else 'missed'}")


def _measure_ray(seeds=(0, 1, 2, 3)):
    config = replace(config_for("quick", "/"), epochs=60, early_stopping_patience=None)
    with tempfile.TemporaryDirectory(prefix="cxr-lab-faults-") as home:
        config = replace(config, roots=(str(draw_demo_data(Path(home) / "drawings", images_per_class=16)),))
        whole = []
        for seed in seeds:
            whole.append(start_run(replace(config, seed=seed), Path(home) / "whole"))
            wait_for_end(whole[-1])
        job, found = kill_a_node(config, Path(home) / "ray", seeds)
        members = job.members()
        same = [is_same_history(m.run, run) for m, run in zip(members, whole, strict=True)]
        audited = draw_demo_data(Path(home) / "audited", images_per_class=_AUDITED // 3)
        found |= kill_a_node_that_audits(audited, Path(home) / "audits")
        found |= {"state": job.status().state, "runs": len(members), "same_history": sum(same)}
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    targets = [
        judge_target("share of runs with the history of an uninterrupted one", sum(same) / len(same), at_least=1),
        judge_target("runs that went on elsewhere after the node was killed", found["went_on"], at_least=1),
        judge_target("audits with the report of this computer alone", int(found["same_audit"]), at_least=1),
    ]
    for target in targets:
        _print_target(target)
    write_result("fault_injection_ray", found | {"targets": targets})


def main():
    """Break, resume, compare, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fault_injection", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each fault and recipe (default: 10)")
    parser.add_argument("--kills", type=int, default=3, help="per round (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument(
        "--ray", action="store_true", help="instead: two Ray nodes on this computer, one killed while they work"
    )
    parser.add_argument(
        "--hostile", action="store_true", help="instead: archives, links, classifiers and runs made to do harm"
    )
    options = parser.parse_args()
    if options.hostile:
        _measure_hostile()
        return
    if options.ray:
        if importlib.util.find_spec("ray") is None:
            parser.error("--ray needs Ray: pip install -r requirements-extra.txt")
        _measure_ray()
        return
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
    _print_target(target)
    written = counts.reset_index().astype({"readable": int, "same": int, "kills": int}).to_dict("records")
    write_result("fault_injection", {"seed": options.seed, "counts": written, "targets": [target]})


if __name__ == "__main__":
    main()
