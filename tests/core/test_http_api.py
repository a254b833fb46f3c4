"""The command line's rows over HTTP, its limits, its token, and what it keeps to itself."""

import base64
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import anyio
import cv2
import httpx2
import numpy as np
import pytest
import schemathesis
from conftest import PROJECT
from hypothesis import HealthCheck, settings
from image_files import dicom, png_claiming
from starlette.testclient import TestClient

from cxr_core import http_api as api_module
from cxr_core.cli import predict_commands
from cxr_core.cli.main import main
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.evaluation.hospitals.conformal_sets import run_sets
from cxr_core.http_api import MAX_FILES, build_api, read_token
from cxr_core.inference.classifier import load_classifier

TOKEN = "a token of this test"


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


DRAWING = png(draw_phantom("covid", np.random.default_rng(1)))


@pytest.fixture(scope="module")
def shipped():
    return build_api(load_classifier(SHIPPED_MODEL_DIR))


@pytest.fixture
def client(shipped):
    with TestClient(shipped) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(ungated_model):
    return build_api(load_classifier(ungated_model), token=TOKEN)


def post(client, *files, **options):
    return client.post("/predict", files=[("files", file) for file in files], **options)


def test_the_rows_are_those_of_the_command_line(client, tmp_path, capfd, demo_data):
    scan = dicom(draw_phantom("normal", np.random.default_rng(0)), Modality="CT", PatientName="Zyxwv^Jane")
    files = {
        "drawing.png": DRAWING, "scan": scan, "text.jpg": b"no image", "huge.png": png_claiming(50_000, 50_000),
        "other.jpg": next(demo_data.glob("virus/*.jpg")).read_bytes(),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    main(["predict", *(str(tmp_path / name) for name in files), "--json", "-"])
    expected = json.loads(capfd.readouterr().out)
    for row, name in zip(expected, files, strict=True):
        row["file"] = name
    answer = post(client, *files.items())
    assert answer.status_code == 200
    assert answer.json() == expected
    assert [row["status"] for row in expected].count("error") == 2
    assert "Zyxwv" not in answer.text


def test_an_overlay_comes_on_request(client):
    expected = load_classifier(SHIPPED_MODEL_DIR).predict_image(DRAWING)
    (row,) = post(client, ("a.png", DRAWING), params={"overlay": "true"}).json()
    overlay = cv2.imdecode(np.frombuffer(base64.b64decode(row["overlay_png"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert overlay.shape == (*expected.image.shape[:2], 3)
    assert "overlay_png" not in post(client, ("a.png", DRAWING)).json()[0]


def test_an_overlay_of_a_large_image_is_no_larger_than_a_screen(client):
    large = png(np.random.default_rng(0).integers(0, 255, (1200, 2400), dtype=np.uint8))
    (row,) = post(client, ("a.png", large), params={"overlay": "true"}).json()
    overlay = cv2.imdecode(np.frombuffer(base64.b64decode(row["overlay_png"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert overlay.shape == (500, 1000, 3)


def test_a_hostile_file_name_comes_back_as_it_was_sent_and_is_used_for_nothing(client):
    name = "../../<img src=x onerror=alert(1)>.png"
    assert post(client, (name, DRAWING)).json()[0]["file"] == name


def test_prediction_sets_are_those_of_the_command_line_to_a_client_that_asks(tmp_path, capfd):
    (tmp_path / "a.png").write_bytes(DRAWING)
    main(["predict", str(tmp_path / "a.png"), "--sets", "--json", "-"])
    (expected,) = json.loads(capfd.readouterr().out)
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    limits = run_sets(SHIPPED_MODEL_DIR, classifier.classes)
    with TestClient(build_api(classifier, set_limits=limits)) as client:
        files = ("a.png", DRAWING), ("b.png", b"no image")
        answered, broken = post(client, *files, params={"sets": "true"}).json()
        plain, _ = post(client, *files).json()
    assert answered["set"] == expected["set"] != []
    assert "set" not in plain and "set" not in broken


def test_a_server_without_sets_says_so(client):
    answer = post(client, ("a.png", DRAWING), params={"sets": "true"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "sets: This server gives no prediction sets; it was started without --sets."


def test_a_request_that_says_it_is_too_large_is_refused_before_it_is_read(shipped):
    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"80000001")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": headers}
    sent = []

    async def receive():
        raise AssertionError("the body was read")

    async def send(message):
        sent.append(message)

    anyio.run(shipped, scope, receive, send)
    assert sent[0]["status"] == 413


def test_a_request_of_unstated_size_is_cut_off_at_the_limit(ungated_model, monkeypatch):
    monkeypatch.setattr(api_module, "MAX_REQUEST_BYTES", 100_000)
    small = build_api(load_classifier(ungated_model))

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield bytes(10_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Transfer-Encoding": "chunked"}
    with TestClient(small) as client:
        answer = client.post("/predict", content=body(), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["detail"]


def test_more_files_than_the_limit_are_refused(client):
    assert post(client, *[("a", b"x")] * MAX_FILES).status_code == 200
    assert post(client, *[("a", b"x")] * (MAX_FILES + 1)).status_code == 422


@pytest.mark.parametrize(
    ("request_parts", "status"),
    [
        ({"json": {"files": []}}, 415),
        ({"content": b""}, 415),
        ({"files": {"image": DRAWING}}, 422),
        ({"files": {"files": DRAWING}, "data": {"more": "x"}}, 422),
        ({"files": {"files": DRAWING}, "params": {"overlay": "perhaps"}}, 422),
        ({"files": {"files": DRAWING}, "params": {"overlays": "true"}}, 422),
        ({"content": b"--y", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422),
        ({"content": b"--y", "headers": {"Content-Type": "multipart/form-data"}}, 422),
    ],
)
def test_a_wrong_request_gets_a_sentence(client, request_parts, status):
    answer = client.post("/predict", **request_parts)
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("charset", ["undefined", "punycode", "utf-7", "hex", "nonsense", "\xff", '"a;b"'])
def test_a_charset_that_a_client_names_is_ignored(client, charset):
    # As UTF-7 the name would hold half a character, which no answer can hold.
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a+2AA-.png"\r\n\r\nno image\r\n--x--\r\n'
    kind = f"multipart/form-data; charset={charset}; boundary=x".encode("latin-1")
    answer = client.post("/predict", content=form, headers={"Content-Type": kind})
    assert answer.status_code == 200
    assert answer.json()[0]["file"] == "a+2AA-.png"


def test_a_large_file_is_never_written_to_the_disk(client, monkeypatch):
    rolled = []
    rollover = tempfile.SpooledTemporaryFile.rollover
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda file: (rolled.append(1), rollover(file)))
    assert post(client, ("a.png", DRAWING + bytes(5_000_000))).status_code == 200
    assert rolled == []


def test_a_client_that_leaves_gives_its_slot_back(shipped, monkeypatch):
    answered, answer_file = [], api_module._answer_file
    monkeypatch.setattr(api_module, "_answer_file", lambda *given: answered.append(given) or answer_file(*given))
    parts = b"".join(b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n\r\n' for _ in range(5))
    messages = [{"type": "http.request", "body": parts + b"--x--\r\n"}]
    scope = {
        "type": "http", "method": "POST", "path": "/predict", "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
    }  # fmt: skip

    async def receive():
        # It stays for two files.
        if messages:
            return messages.pop()
        while len(answered) < 2:
            await anyio.sleep_forever()
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    anyio.run(shipped, scope, receive, send)
    assert len(answered) == 2


def test_only_a_few_requests_are_read_and_answered_at_the_same_time(shipped, monkeypatch):
    running, most, lock = [0], [0], threading.Lock()
    answer_file = api_module._answer_file

    def counted(*arguments):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        try:
            return answer_file(*arguments)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr(api_module, "_answer_file", counted)
    answers = []

    async def ask_once(client):
        answers.append((await client.post("/predict", files={"files": ("a.png", DRAWING)})).json())

    async def ask():
        transport = httpx2.ASGITransport(shipped)
        client = httpx2.AsyncClient(transport=transport, base_url="http://test")
        async with client, anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(ask_once, client)

    anyio.run(ask)
    assert most[0] <= api_module.AT_ONCE
    assert len(answers) == 12
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer tökén"])
def test_without_the_token_nothing_is_answered(guarded, header):
    with TestClient(guarded) as client:
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        answer = post(client, ("a.png", DRAWING), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_with_the_token_there_is_an_answer(guarded):
    with TestClient(guarded) as client:
        answer = post(client, ("a.png", DRAWING), headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


def test_a_token_in_any_letters_lets_in_who_sends_it_and_nobody_else(ungated_model):
    token = "schlüssel 漢字 des Röntgenlabors"
    with TestClient(build_api(load_classifier(ungated_model), token=token)) as client:
        for sent, status in ((token, 200), (token.replace("漢", "汉"), 401)):
            headers = {"Authorization": f"Bearer {sent}".encode()}
            assert post(client, ("a.png", DRAWING), headers=headers).status_code == status


def test_health_names_the_classifier_and_needs_no_token(guarded):
    with TestClient(guarded) as client:
        health = client.get("/health").json()
    assert (health["status"], health["classes"], health["gate"]) == ("ok", ["normal", "covid", "virus", "other"], False)


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("CXR_LAB_TOKEN", raising=False)
    assert read_token() is None
    monkeypatch.setenv("CXR_LAB_TOKEN", f"{TOKEN}\n")
    (tmp_path / "token").write_text("the token of a file\n")
    assert (read_token(), read_token(tmp_path / "token")) == (TOKEN, "the token of a file")


@pytest.mark.parametrize("token", ["", "short"])
def test_an_empty_or_short_token_is_refused(monkeypatch, token):
    monkeypatch.setenv("CXR_LAB_TOKEN", token)
    with pytest.raises(ValueError, match="at least 16 characters"):
        read_token()


def test_the_log_has_neither_file_names_nor_addresses(client, caplog):
    caplog.set_level(logging.INFO)
    post(client, ("Zyxwv_Jane.png", DRAWING))
    post(client, ("Zyxwv_Jane.png", DRAWING), params={"name": "Zyxwv"})
    post(client, ("Zyxwv_Jane.dcm", b"Zyxwv"))
    client.get("/Zyxwv")
    own = [record.getMessage() for record in caplog.records if record.name == api_module.__name__]
    assert [line.split(" in ")[0] for line in own] == [
        "/predict: 200", "/predict: 422", "/predict: 200", "another path: 404",
    ]  # fmt: skip
    assert "Zyxwv" not in " ".join(own)


def test_the_documentation_page_loads_nothing_from_other_servers(client):
    page = client.get("/docs").text
    assert "SwaggerUIBundle" in page
    assert "http://" not in page and "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert client.get(f"/static-offline-docs/{name}").status_code == 200


def test_serve_without_its_packages_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(predict_commands, "find_spec", lambda name: None)
    assert main(["serve"]) == 1
    assert "pip install -r requirements-extra.txt" in capsys.readouterr().err


def test_serve_on_a_taken_port_is_one_sentence(capsys, monkeypatch):
    monkeypatch.delenv("CXR_LAB_TOKEN", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("Error: ")


def test_serve_answers_until_it_is_asked_to_end():
    command = [sys.executable, "-m", "cxr_core", "serve", "--port", "0"]
    environment = os.environ | {"CXR_LAB_TOKEN": TOKEN}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+?(?=/predict)", process.stderr.readline())[0]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx2.post(f"{address}/predict", files={"files": ("a.png", DRAWING)}, headers=headers, timeout=60)
        assert answer.json()[0]["file"] == "a.png"
        assert "server" not in answer.headers
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGINT)


schema = schemathesis.openapi.from_asgi("/openapi.json", build_api(load_classifier(SHIPPED_MODEL_DIR)))


@schema.parametrize()
@settings(max_examples=10, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_schema_says(case):
    case.call_and_validate(timeout=120)
