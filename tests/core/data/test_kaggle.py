"""kaggle.py through the real kagglehub, against a small server that answers as Kaggle does."""

import errno
import json
import os
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from image_files import zip_of

from cxr_core.data.kaggle import DownloadFailed, download_kaggle, find_kaggle, watch_download

PORT = 7777  # where KAGGLE_API_ENVIRONMENT=TEST makes Kaggle's own library look
ARCHIVED = ("COVID_IEEE/covid/1.png", "COVID_IEEE/normal/2.jpeg", "COVID_IEEE/virus/3.jpeg")


def archive_bytes(names=ARCHIVED):
    return zip_of({name: name.encode() * 500 for name in names}, zipfile.ZIP_STORED)


class Kaggle(ThreadingHTTPServer):
    """Answers the two requests that a download makes; tests set `archive`, `cut` and `refuse`."""

    archive, cut, refuse = archive_bytes(), None, None

    def __init__(self):
        self.requests = []
        super().__init__(("localhost", PORT), Answer)


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path.rsplit("/", 1)[-1], body, self.headers.get("Authorization")))
        if self.server.refuse:
            self.send("application/json", json.dumps({"code": self.server.refuse, "message": "no"}).encode())
        elif self.path.endswith("GetDataset"):
            self.send("application/json", json.dumps({"currentVersionNumber": 4}).encode())
        else:
            self.send("application/zip", self.server.archive, self.server.cut)

    def send(self, content_type, data, cut=None):
        self.send_response(self.server.refuse or 200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def kaggle():
    try:
        server = Kaggle()
    except OSError:
        pytest.skip(f"port {PORT}, which Kaggle's library talks to in its test mode, is taken")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def environment(tmp_path):
    """Kaggle's library in its test mode, with a home, a cache and an account of its own."""
    clean = {name: "" for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy")}
    return clean | {
        "KAGGLE_API_ENVIRONMENT": "TEST",
        "KAGGLE_USERNAME": "somebody",
        "KAGGLE_KEY": "secret",
        "KAGGLE_API_TOKEN": "",
        "KAGGLEHUB_CACHE": str(tmp_path / "hub"),
        "KAGGLE_CONFIG_DIR": str(tmp_path / "config"),
        "HOME": str(tmp_path),
        "CXR_LAB_HOME": str(tmp_path / "lab"),
    }


@pytest.fixture
def download(run_python, environment):
    """A callable that runs the command and gives (exit code, last line printed, errors)."""

    def run():
        answer = run_python("-m", "cxr_core", "download", **environment)
        return answer.returncode, (answer.stdout.splitlines() or [""])[-1], answer.stderr

    return run


def test_the_folder_of_classes_is_found_at_any_depth(tmp_path):
    (tmp_path / "a" / "b" / "COVID").mkdir(parents=True)
    assert find_kaggle(tmp_path) == tmp_path / "a" / "b"


def test_a_folder_that_was_not_fetched_is_none(tmp_path):
    assert find_kaggle(tmp_path) is None
    assert find_kaggle(tmp_path / "nowhere") is None


def test_the_data_set_is_fetched_and_unpacked(kaggle, download, tmp_path):
    code, folder, errors = download()
    assert code == 0, errors
    assert folder == str(tmp_path / "lab" / "data" / "kaggle" / "COVID_IEEE")
    for name in ARCHIVED:
        assert (tmp_path / "lab" / "data" / "kaggle" / name).read_bytes() == name.encode() * 500


def test_the_articles_data_set_is_what_is_asked_for(kaggle, download):
    download()
    name, body, authorization = kaggle.requests[-1]
    assert name == "DownloadDataset"
    assert (body["ownerSlug"], body["datasetSlug"]) == ("sid321axn", "covid-cxr-image-dataset-research")
    assert authorization.startswith("Basic ")


def test_what_was_fetched_is_not_fetched_again(kaggle, download):
    _, first, _ = download()
    n = len(kaggle.requests)
    assert download()[:2] == (0, first)
    assert len(kaggle.requests) == n


@pytest.mark.parametrize("break_it", [{"cut": 300}, {"archive": b"no archive at all"}, {"refuse": 403}], ids=str)
def test_a_failed_download_says_so_and_can_be_tried_again(kaggle, download, break_it):
    for name, value in break_it.items():
        setattr(kaggle, name, value)
    code, _, errors = download()
    assert code == 1
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("Error: Kaggle's data set could not be fetched")
    for name in break_it:
        setattr(kaggle, name, getattr(Kaggle, name))
    code, folder, errors = download()
    assert code == 0, errors
    assert folder.endswith("COVID_IEEE")


def test_a_data_set_half_unpacked_does_not_count(kaggle, download, tmp_path):
    broken = bytearray(archive_bytes())
    at = broken.index(b"COVID_IEEE/virus/3.jpegCOVID")
    broken[at + 100] ^= 255
    kaggle.archive = bytes(broken)
    code, _, errors = download()
    assert code == 1
    assert "Traceback" not in errors
    assert find_kaggle(tmp_path / "lab" / "data" / "kaggle") is None


def test_an_archive_without_the_classes_is_refused(kaggle, download):
    kaggle.archive = archive_bytes(["readme.txt"])
    code, _, errors = download()
    assert code == 1
    assert "holds no folder named covid" in errors


def test_a_full_disk_is_not_taken_for_a_network_that_fails(tmp_path, monkeypatch):
    def refuse(_handle, output_dir):
        Path(output_dir).mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kagglehub.dataset_download", refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        download_kaggle(tmp_path / "kaggle")
    assert not isinstance(caught.value, DownloadFailed) and list(tmp_path.iterdir()) == []


def test_without_a_network_the_sentence_says_what_to_do(download):
    code, _, errors = download()
    assert code == 1
    assert "Traceback" not in errors
    assert "kaggle.json" in errors.strip().splitlines()[-1]


def test_a_watched_download_ends_with_the_downloaders_sentence(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DownloadFailed, match="^Kaggle's data set could not be fetched"):
        list(watch_download())


def test_a_watched_download_that_works_ends_without_a_word(kaggle, environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    list(watch_download())
    assert [name for name, _, _ in kaggle.requests][-1] == "DownloadDataset"
