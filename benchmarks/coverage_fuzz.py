"""Files that a fuzzer makes up to reach new code: the reading of DICOM headers and pixels, and of ZIP archives.

Atheris (Apache-2.0; `pip install atheris`, Linux) changes whole files and keeps every change that runs code which no
file before it has run, in this program's code, pydicom's and zipfile's. An exception other than a refusal in a
sentence, a file that takes ten seconds and memory above the limit are findings; each ends its target's turn.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

from benchmarks.reporting import judge_target, print_table, write_result

TARGETS = ("dicom", "zip")
_SECONDS_PER_FILE, _MEGABYTES, _LONGEST = 10, 1_500, 200_000
_STATE = re.compile(r"#(\d+)\s+(INITED|DONE)\s+cov: (\d+) .*corp: (\d+)/")


def seed_files(name):
    """Return whole files of a target's kind as bytes: DICOM without its preamble, or archives of all sorts of files."""
    from benchmarks.fuzz import seeds  # What is imported before `run_target` is not watched.

    files, archives = seeds(), []
    if name == "dicom":
        return [data[132:] for data in files if data[128:132] == b"DICM"]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            archive.writestr("set/normal/a.png", files[1])
            archive.writestr("set\\covid\\b.png", files[1])
            archive.writestr("index.csv", "path,label\na.png,normal\n")
            archive.writestr("inner.zip", archives[0] if archives else b"PK\x05\x06" + bytes(18))
        archives.append(stream.getvalue())
    return archives


def run_target(name, corpus, seconds):
    """Fuzz in this process until the time is over or something is found; never returns."""
    import atheris

    del sys.modules["zipfile"]
    with atheris.instrument_imports(include=["cxr_core.imaging", "pydicom", "zipfile"]):
        from cxr_core.imaging import reader, zip_archive

        # What is imported when a file asks for it is watched, too.
        for file in seed_files(name) if name == "dicom" else ():
            with suppress(reader.UnreadableImage):
                reader.open_image(bytes(128) + b"DICM" + file)

    def read_image(data):
        with suppress(reader.UnreadableImage):
            reader.open_image(b"\0" * 128 + b"DICM" + data)

    def read_archive(data):
        with tempfile.TemporaryDirectory() as folder, suppress(zip_archive.RefusedArchive):
            zip_archive.unpack_zip(data, Path(folder) / "set")
        with suppress(zip_archive.RefusedArchive):
            for _, read in zip_archive.list_images(io.BytesIO(data)):
                with suppress(reader.UnreadableImage):
                    read()

    options = [
        f"-max_total_time={seconds}", f"-timeout={_SECONDS_PER_FILE}", f"-rss_limit_mb={_MEGABYTES}",
        f"-max_len={_LONGEST}", "-seed=1", f"-artifact_prefix={corpus}/finding-",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], read_image if name == "dicom" else read_archive)
    atheris.Fuzz()


def fuzz(name, seconds):
    """Fuzz one target in a process of its own; returns what came of it, a dict."""
    corpus = Path(tempfile.mkdtemp())
    try:
        files = seed_files(name)
        for number, data in enumerate(files):
            if len(data) <= _LONGEST:
                (corpus / f"seed-{number}").write_bytes(data)
        command = [sys.executable, "-m", "benchmarks.coverage_fuzz", "--child", name, str(corpus), str(seconds)]
        told = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        states = {state: (int(n), int(cov), int(kept)) for n, state, cov, kept in _STATE.findall(told.stderr)}
        if "INITED" not in states:
            raise RuntimeError(f"The fuzzer did not start: {told.stderr[-2_000:]}")
        found = sorted(corpus.glob("finding-*"))
        reason = next((line for line in told.stderr.splitlines() if "ERROR" in line or "Uncaught" in line), "")
        executed, reached, kept = states.get("DONE", (None, None, None))
        return {
            "target": name,
            "seconds": seconds,
            "seed files": len(files),
            "files tried": executed,
            "places in the code reached by the seeds": states["INITED"][1],
            "places in the code reached at the end": reached,
            "files that reached something new": kept,
            "findings": [f"{file.name.split('-')[1]}: {reason} ({_keep(file)})" for file in found],
        }
    finally:
        shutil.rmtree(corpus)


def _keep(file):
    """Copy a file that is a finding out of the corpus, which is removed; returns where to."""
    handle, path = tempfile.mkstemp(prefix="cxr-lab-finding-")
    os.close(handle)
    return shutil.copyfile(file, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=60, help="for all targets together (default: 60)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_target(options.child[0], Path(options.child[1]), int(options.child[2]))
    results = [fuzz(name, options.minutes * 60 // len(TARGETS)) for name in TARGETS]
    for result in results:
        print_table(("target", result["target"]), [item for item in result.items() if item[0] != "target"])
    findings = sum(len(result["findings"]) for result in results)
    targets = [judge_target("findings", findings, below=1)]
    write_result("coverage_fuzz", {"results": results, "targets": targets})


if __name__ == "__main__":
    main()
