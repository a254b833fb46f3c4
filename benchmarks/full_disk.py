"""What each command and page action does where the disk is full, has no room for a further file, or is read-only.

The whole checkout, with its runs, data and temporary files, lies on a tmpfs that is as large as what it holds, plus
some part of what the action writes; or that has as many inodes; or that is read-only. Linux, and its super-user.
An action keeps the promise if it ends with one sentence that says what to do next, an exit status other than 0 and no
traceback, names no file of a patient, leaves nothing half-written and what there was before as it was. It may also
succeed, where it can do without what it would have kept.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.reporting import judge_target, print_table, write_result
from cxr_core.config import PROJECT_DIR
from cxr_core.data.phantoms import draw_demo_data, draw_phantom
from cxr_core.system.files import is_temporary
from cxr_core.system.text import table_csv

PATIENT = "Zyxwv_Jane"
_QUICK = ("--set", "start=shipped", "--set", "epochs=2", "--set", "batch_size=8")
# PLACE is the folder that the disk is mounted at.
COMMANDS = {
    "predict": (
        "predict", "PLACE/set/normal", "--csv", "PLACE/out/table.csv", "--cam-dir", "PLACE/out/maps", "--lungs-dir",
        "PLACE/out/lungs", "--report-dir", "PLACE/out/reports", "--dicom-dir", "PLACE/out/dicom", "--json",
        "PLACE/out/rows.json",
    ),
    "train": ("train", "PLACE/set", "--split", "stratified", *_QUICK, "--run", "PLACE/app/runs/new"),
    "resume": ("resume", "PLACE/app/runs/paused"),
    "repeat": (
        "repeat", "PLACE/set", "--split", "stratified", *_QUICK, "--seeds", "0", "1", "--job", "PLACE/app/jobs/new",
    ),
    "export": ("export", "PLACE/app/runs/stopped"),
    "report": ("report", "PLACE/app/runs/done", "--folder", "PLACE/out/report"),
    "evaluate": ("evaluate", "PLACE/app/runs/done", "PLACE/set", "--json", "PLACE/out/result.json"),
    "publish": ("publish", "PLACE/app/runs/done", "PLACE/out/shared"),
    "reproduce": ("reproduce", "PLACE/set", "--run", "PLACE/app/runs/done", "--out", "PLACE/out/article"),
    "audit": ("audit", "PLACE/set", "--json", "PLACE/out/audit.json"),
    "review": ("review", "PLACE/set", "--json", "PLACE/out/review.json"),
    "split": ("split", "PLACE/set", "--json", "PLACE/out/split.json"),
    "exclude": ("exclude", "PLACE/set", "--flag", "low_contrast"),
    "operating-point": ("operating-point", "PLACE/app/runs/done", "--class", "covid", "--json", "PLACE/out/point.json"),
    "gate": ("gate", "PLACE/app/runs/done", "PLACE/set", "--json", "PLACE/out/gate.json"),
    "shortcuts": ("shortcuts", "PLACE/app/runs/done", "PLACE/set", "--json", "PLACE/out/shortcuts.json"),
    "site": ("site", "PLACE/app/teaching_set", "--save", "north", "--json", "PLACE/out/site.json"),
    "demo": ("demo", "--folder", "PLACE/out/teaching"),
    "segment-train": ("segment-train", "PLACE/chests", "--into", "PLACE/out/network", "--epochs", "3"),
}  # fmt: skip
# A part of what the action writes, in bytes or in files; of a read-only disk none.
DISKS = (("full", 0.0), ("full", 0.5), ("no inodes", 0.5), ("read-only", 0.0))
_COPIED = ("cxr_core", "ui", "pages", "models", "teaching_set", "benchmarks", ".streamlit")
_MEGABYTES, _INODES, _PAGE_BYTES = 900, 100_000, 4_096
# What tells how a training goes changes with every try, and must.
_CHANGING = {
    "status.json",
    "log.txt",
    ".lock",
    ".queue.lock",
    ".visits.lock",
    "stop",
    "pause",
    "trained",
    "test_looks.csv",
}


def _press(app, label):
    return next(button for button in app.button if button.label == label).click().run()


def _upload(app):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(Path("../set").rglob("*.*")):
            archive.write(path, path.relative_to("../set"))
    return app.file_uploader[0].set_value(("set.zip", stream.getvalue(), "application/zip")).run()


def _mark(app):
    app.selectbox(key="marked_truth").set_value("normal").run()
    return _press(app, "Mark as wrong")


def _save_threshold(app):
    app.text_input[-1].set_value("north").run()
    return _press(app, "Save threshold")


_FOLDER = {"source_choice": "folder", "source_kept": "folder", "folders_choice": "../set", "folders_kept": "../set"}
_NEW = {"show_choice": "New", "show_kept": "New"}
_ZIP = {"source_choice": "zip", "source_kept": "zip"}
# The page, what is chosen on it, whether the installation is shared, and what is done there.
PAGES = {
    "open a data set": ("dataset.py", _FOLDER, "0", None),
    "upload a ZIP": ("dataset.py", _ZIP, "0", _upload),
    "upload a ZIP as a visitor": ("dataset.py", _ZIP, "1", _upload),
    "exclude a duplicate": ("duplicates.py", _FOLDER, "0", partial(_press, label="Exclude")),
    "analyse all images": ("quality.py", _FOLDER, "0", None),
    "mark an answer": ("predict.py", {"example_choice": "Wrong answer"}, "0", _mark),
    # Of drawings, nearly all are refused, and no threshold can be chosen.
    "keep a threshold": ("hospital.py", {}, "0", _save_threshold),
    "start a training": ("training.py", _FOLDER | _NEW, "0", partial(_press, label="Start training")),
    "train as a visitor": ("training.py", _NEW, "1", partial(_press, label="Train on the teaching set")),
}


def act_on_page(name):
    """Do one action on a page in this process, as the app would; returns the exit status, its sentences are printed."""
    from streamlit.testing.v1 import AppTest

    page, session, shared, act = PAGES[name]
    os.environ["CXR_LAB_SHARED"] = shared
    script = f"""
import runpy
from ui.common.navigation import tell_of_disk
with tell_of_disk():
    runpy.run_path({str(PROJECT_DIR / "pages" / page)!r})
"""
    app = AppTest.from_string(script, default_timeout=120)
    app.session_state["navigated"] = True
    for key, value in session.items():
        app.session_state[key] = str(Path(value).resolve()) if value == "../set" else value
    app.run()
    if act and not app.error and not app.exception:
        app = act(app)
    for error in app.exception:
        print(f"Traceback: {error.value}", file=sys.stderr)
    for error in app.error:
        print(f"Error: {error.value}", file=sys.stderr)
    return int(bool(app.error or app.exception))


@contextmanager
def disk(original, place):
    """Copy a folder to a disk of its own at a place; yields the place."""
    size = f"size={_MEGABYTES}m,nr_inodes={_INODES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=True)
    try:
        shutil.copytree(original, place, dirs_exist_ok=True, symlinks=True)
        yield place
    finally:
        # A process that has just ended may hold its log a moment longer.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def shrink(place, kind, room):
    """Leave a mounted disk some room: bytes where it is to be full, files where it is to have no inodes."""
    facts = os.statvfs(place)
    used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    option = {
        "full": f"size={used + room // _PAGE_BYTES * _PAGE_BYTES}",
        "no inodes": f"nr_inodes={facts.f_files - facts.f_ffree + room}",
        "read-only": "ro",
    }[kind]
    subprocess.run(["mount", "-o", f"remount,{option}", str(place)], check=True)


def _used(place):
    facts = os.statvfs(place)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize, facts.f_files - facts.f_ffree


def _contents(place):
    """Return {path: digest} of all files on the disk; but those of the temporary folder."""
    files = [path for path in place.rglob("*") if path.is_file() and "tmp" not in path.relative_to(place).parts[:1]]
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def carry_out(name, place):
    """Carry out a command or page action in a process of its own; returns (exit status, what it printed)."""
    if name in COMMANDS:
        words = ["-m", "cxr_core", *(word.replace("PLACE", str(place)) for word in COMMANDS[name])]
    else:
        words = ["-m", "benchmarks.full_disk", "--page", name]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CXR_LAB_")}
    further = {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if name in COMMANDS:
        # What stands in for a page's browser keeps files of its own there.
        further["TMPDIR"] = str(place / "tmp")
    told = subprocess.run(
        [sys.executable, *words], cwd=place / "app", env=kept | further, capture_output=True, text=True,
        errors="replace", check=False, timeout=900,
    )  # fmt: skip
    _wait_for_trainings(place)
    return told.returncode, told.stderr


def _wait_for_trainings(place):
    """What a page has started ends by itself, since its disk is full or its owner gone."""
    import psutil

    own = [p for p in psutil.process_iter(["cmdline"]) if any(str(place) in word for word in p.info["cmdline"] or [])]
    for process in psutil.wait_procs(own, timeout=90)[1]:
        process.kill()


def judge(before, place, code, told):
    """Return what of the promise was not kept, a list of str; empty if all was."""
    after, broken = _contents(place), []
    log = told + "".join(path.read_text(errors="replace") for path in place.glob("app/runs/*/log.txt"))
    sentences = [line for line in told.splitlines() if line.startswith("Error: ")]
    if code and not sentences:
        broken.append(f"no sentence: {told.strip()[-300:]}")
    if len(sentences) > 1:
        broken.append(f"{len(sentences)} sentences: {sentences}")
    if code and sentences and sentences[-1].rstrip(".").count(". ") + sentences[-1].count("; ") == 0:
        broken.append(f"no next step: {sentences[-1]}")
    if "Traceback" in log:
        broken.append(f"traceback: {log[log.index('Traceback') :][-400:]}")
    if PATIENT in log:
        broken.append("a patient's file is named")
    changed = [f for f, digest in before.items() if after.get(f) != digest and Path(f).name not in _CHANGING]
    if code and changed:
        broken.append(f"changed: {changed[:5]}")
    new = [file for file in after if file not in before]
    halves = [file for file in new if any(map(is_temporary, Path(file).parts)) or _is_half(place / file)]
    if halves:
        broken.append(f"half-written: {halves[:5]}")
    return broken


def _is_half(path):
    """Return True for a file that does not hold what its name promises."""
    if path.name in _CHANGING | {"visit", "stop"}:
        return False
    data = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(data)
        elif path.suffix in (".npz", ".zip", ".keras"):
            return zipfile.ZipFile(path).testzip() is not None
        elif path.suffix in (".png", ".jpg"):
            return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is None
        elif path.suffix == ".html":
            return not data.rstrip().endswith(b"</html>")
    except (ValueError, zipfile.BadZipFile, cv2.error):
        return True
    return not data


def room_needed(name, original, place):
    """Carry out an action on a disk with room.

    Returns:
        (dict, str): how many bytes and files it adds, and what it said if it failed even so, else "".
    """
    with disk(original, place):
        start = _used(place)
        code, told = carry_out(name, place)
        grown = {"full": _used(place)[0] - start[0], "no inodes": _used(place)[1] - start[1], "read-only": 0}
    print(f"{name}: {grown['full'] / 1e6:.2f} MB in {grown['no inodes']} files", flush=True)
    return grown, f"{name} fails where there is room: {told[-2_000:]}" if code else ""


def try_action(name, grown, original, place):
    """Carry out an action on each disk without room; `grown` is what it adds, as `room_needed` gives it.

    Returns:
        list of dicts of action, disk, code, sentence and broken.
    """
    rows = []
    for kind, part in DISKS:
        with disk(original, place):
            before = _contents(place)
            shrink(place, kind, int(part * grown[kind]))
            code, told = carry_out(name, place)
            broken = judge(before, place, code, told)
        sentence = next((line for line in told.splitlines() if line.startswith("Error: ")), "")
        rows.append({"action": name, "disk": f"{kind}, {part:.0%} of its room", "code": code, "sentence": sentence})
        rows[-1]["broken"] = broken
        print(f"{name}; {rows[-1]['disk']}; {code}; {sentence}; {'; '.join(broken) or 'kept'}", flush=True)
    return rows


def prepare(folder):
    """Fill a folder with the checkout, data sets of drawings, three runs and the results of earlier commands."""
    app = folder / "app"
    for name in _COPIED:
        shutil.copytree(PROJECT_DIR / name, app / name, ignore=shutil.ignore_patterns("results"))
    for name in ("streamlit_app.py", "pyproject.toml"):
        shutil.copy(PROJECT_DIR / name, app / name)
    draw_demo_data(folder / "set", images_per_class=11)
    for path in sorted((folder / "set").rglob("*.*")):
        path.rename(path.with_name(f"{PATIENT}-{path.name}"))
    twin = next((folder / "set").rglob("*-001.png"))
    shutil.copy(twin, twin.with_name(f"{PATIENT}-twin.png"))
    draw_chests(folder / "chests")
    (folder / "tmp").mkdir()
    (folder / "out").mkdir()
    for name, epochs in (("done", 2), ("stopped", 2), ("paused", 500)):
        _train(folder, app / "runs" / name, epochs)
    for name in ("model.onnx", "card.json", "metrics.json", "predictions.csv"):
        (app / "runs" / "stopped" / name).unlink()
    for name in COMMANDS:
        (folder / "out" / name).mkdir(exist_ok=True)
        (folder / "out" / name / "earlier.txt").write_text("earlier")
    shutil.rmtree(app / "index", ignore_errors=True)
    shutil.rmtree(app / "cache", ignore_errors=True)


def _train(folder, run, epochs):
    """Train a run on the drawings; one of many epochs is paused."""
    settings = ("start=shipped", "batch_size=8", f"epochs={epochs}", f"early_stopping_patience={epochs}")
    words = ["train", str(folder / "set"), "--split", "stratified", "--run", str(run)]
    words += [word for setting in settings for word in ("--set", setting)]
    with (folder / "tmp" / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cxr_core", *words], cwd=folder / "app", stdout=log, stderr=log
        )
    while epochs > 2 and process.poll() is None and not (run / "checkpoint.npz").exists():
        time.sleep(0.05)
    if epochs > 2:
        (run / "pause").touch()
    if process.wait(600):
        raise RuntimeError(
            f"The run {run.name} could not be trained: {(folder / 'tmp' / 'log.txt').read_text()[-2_000:]}"
        )
    if epochs > 2:
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(config | {"epochs": 4}))


def draw_chests(folder):
    """Draw forty chests of two hospitals, with the masks of their lungs, for `segment-train`."""
    rows, (y, x) = [], (np.mgrid[0:256, 0:256] + 0.5) / 256
    lungs = np.minimum(*(np.hypot((x - c) / 0.155, (y - 0.5) / 0.31) for c in (0.3, 0.7))) <= 1
    (folder / "masks").mkdir(parents=True)
    for i in range(40):
        image = draw_phantom("normal", np.random.default_rng(i))
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA))
        cv2.imwrite(str(folder / "masks" / f"{i}.png"), lungs.astype(np.uint8) * 255)
        source = "north" if i % 2 else "south"
        rows.append({"path": f"{i}.png", "label": "normal", "source": source, "mask": f"masks/{i}.png"})
    (folder / "index.csv").write_text(table_csv(pd.DataFrame(rows)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=(*COMMANDS, *PAGES), metavar="ACTION", help="instead of all")
    parser.add_argument("--page", choices=tuple(PAGES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.page:
        sys.exit(act_on_page(options.page))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "disk"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], capture_output=True, check=False).returncode:
            sys.exit("No disk can be mounted here: this benchmark needs Linux and its super-user.")
        subprocess.run(["umount", str(place)], check=True)
        # Runs hold the paths of their images: they are made where the disk will be.
        prepare(place)
        original = shutil.copytree(place, Path(folder) / "original")
        # An action that fails anyhow ends all before the hour that the disks take.
        needed = {name: room_needed(name, original, place) for name in options.only or (*COMMANDS, *PAGES)}
        if failed := [told for _, told in needed.values() if told]:
            sys.exit("\n".join(failed))
        rows = [row for name, (grown, _) in needed.items() for row in try_action(name, grown, original, place)]
    broken = sum(bool(row["broken"]) for row in rows)
    print_table(
        ("tries", len(rows)), [("ended with a sentence", sum(bool(r["code"]) for r in rows)), ("broken", broken)]
    )
    write_result("full_disk", {"rows": rows, "targets": [judge_target("promises broken", broken, below=1)]})


if __name__ == "__main__":
    main()
