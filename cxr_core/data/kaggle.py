"""How is the article's data set fetched? From Kaggle, through Kaggle's own library."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cxr_core.config import DATA_DIR, PROJECT_DIR
from cxr_core.system.files import why_not_written

KAGGLE_HANDLE = "sid321axn/covid-cxr-image-dataset-research"
KAGGLE_DIR = DATA_DIR / "kaggle"
_ADVICE = (
    "Check the network, or sign in to Kaggle once: make an API token in your Kaggle settings, "
    "save it as ~/.kaggle/kaggle.json, and try again."
)


class DownloadFailed(OSError):
    """The data set could not be fetched; the message says why and what to do."""


def download_kaggle(folder: str | Path = KAGGLE_DIR) -> Path:
    """Fetch and unpack the data set, unless it is there already.

    Args:
        folder: to unpack into.

    Returns:
        The folder whose sub-folders are the classes.

    Raises:
        DownloadFailed: no network, no account, or a broken archive; nothing half-unpacked counts.
    """
    import kagglehub
    import requests
    from kagglehub import exceptions

    folder = Path(folder)
    found = find_kaggle(folder)
    if found:
        return found
    # Fetched beside its place and moved there when whole, so that half an archive never counts.
    part = folder.with_name(f"{folder.name}-part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        kagglehub.dataset_download(KAGGLE_HANDLE, output_dir=str(part))
        os.replace(part, folder)
    except (
        requests.RequestException,
        exceptions.UnauthenticatedError,
        exceptions.CredentialError,
        exceptions.NotFoundError,
        exceptions.BackendError,
        exceptions.DataCorruptionError,
        zipfile.BadZipFile,
        OSError,
        ValueError,
    ) as error:
        if isinstance(error, OSError) and why_not_written(error):
            shutil.rmtree(part, ignore_errors=True)
            raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        shutil.rmtree(part, ignore_errors=True)
        raise DownloadFailed(f"Kaggle's data set could not be fetched ({reason[:200]}). {_ADVICE}") from error
    found = find_kaggle(folder)
    if not found:
        raise DownloadFailed(f"Kaggle's archive holds no folder named covid; look at {folder}.")
    return found


def find_kaggle(folder: str | Path = KAGGLE_DIR) -> Path | None:
    """Return the unpacked data set's folder of classes, or None where it has not been fetched."""
    classes = (p for p in Path(folder).rglob("*") if p.is_dir() and p.name.lower() == "covid")
    return next((p.parent for p in classes), None)


def watch_download() -> Iterator[str]:
    """Fetch the data set in a process of its own and report on it.

    Yields:
        What to show: the downloader's own progress line.

    Raises:
        DownloadFailed: with the downloader's sentence.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "cxr_core", "download"],
        cwd=PROJECT_DIR, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    last = ""
    try:
        assert process.stderr is not None
        for line in _lines(process.stderr):
            last = line
            yield line
        if process.wait() != 0:
            raise DownloadFailed(last.removeprefix("Error: ") or "The download ended without a word.")
    finally:
        process.kill()
        process.wait()


def _lines(stream: IO[str]) -> Iterator[str]:
    """Split a stream at line ends and at the carriage returns of a progress bar."""
    text = ""
    while block := stream.read(64):
        *lines, text = re.split(r"[\r\n]+", text + block)
        yield from (line.strip() for line in lines if line.strip())
    if text.strip():
        yield text.strip()
