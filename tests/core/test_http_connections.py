"""What slow, silent and many clients of the HTTP interface get, over real connections."""

import contextlib
import socket
import threading
import time

import cv2
import httpx2
import numpy as np
import pytest

from cxr_core import http_api, http_connections
from cxr_core.data.phantoms import draw_phantom
from cxr_core.http_api import build_api, build_server
from cxr_core.inference.classifier import load_classifier

DRAWING = cv2.imencode(".png", draw_phantom("covid", np.random.default_rng(1)))[1].tobytes()
HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 10000000\r\n\r\n"
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'


@pytest.fixture
def address(ungated_model):
    """Host and port of a server that runs in a thread until the test ends."""
    server = build_server(build_api(load_classifier(ungated_model)))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        server.force_exit = server.should_exit = True
        thread.join()


@contextlib.contextmanager
def clients(address, count, sent=b""):
    """Connect several clients that send the same and then wait."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(address, sent)) for _ in range(count)]


def connect(address, sent):
    client = socket.create_connection(address, timeout=10)
    client.sendall(sent)
    return client


def ask(address, seconds=10):
    files = {"files": ("a.png", DRAWING)}
    return httpx2.post(f"http://{address[0]}:{address[1]}/predict", files=files, timeout=seconds)


def read_to_the_end(client):
    """Return all that a client gets until its connection is closed, one way or the other."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while more := client.recv(65536):
            received += more
    return received


def drip(client, data):
    """Send a byte now and then for as long as the connection is open; return True if it was closed."""
    try:
        for position in range(len(data)):
            client.sendall(data[position : position + 1])
            time.sleep(0.05)
    except OSError:
        return True
    return False


@pytest.mark.slow
def test_an_honest_client_is_answered_beside_silent_and_slow_ones(address):
    ask(address)  # The first answer loads what later ones use.
    with clients(address, 200), clients(address, 50, HEAD + FORM + PART) as slow:
        dripping = [threading.Thread(target=drip, args=(client, bytes(1000))) for client in slow]
        for thread in dripping:
            thread.start()
        assert ask(address, seconds=2).status_code == 200
    for thread in dripping:
        thread.join()


@pytest.mark.parametrize("sent", [b"", HEAD])
def test_headers_that_do_not_arrive_end_the_connection(address, monkeypatch, sent):
    monkeypatch.setattr(http_connections, "HEADER_SECONDS", 0.3)
    with clients(address, 1, sent) as (client,):
        assert read_to_the_end(client) == b""


def test_headers_that_drip_end_the_connection(address, monkeypatch):
    monkeypatch.setattr(http_connections, "HEADER_SECONDS", 0.3)
    with clients(address, 1, HEAD) as (client,):
        dripping = threading.Thread(target=drip, args=(client, b"X: " + b"y" * 1000))
        dripping.start()
        assert read_to_the_end(client) == b""
        dripping.join()


def test_time_for_headers_does_not_run_while_an_answer_is_made(address, monkeypatch):
    monkeypatch.setattr(http_connections, "HEADER_SECONDS", 0.3)
    answer_file = http_api._answer_file
    monkeypatch.setattr(http_api, "_answer_file", lambda *given: (time.sleep(1), answer_file(*given))[1])
    assert ask(address).status_code == 200


def test_a_body_that_does_not_arrive_is_answered_in_a_sentence(address, monkeypatch):
    monkeypatch.setattr(http_api, "BODY_SECONDS", 0.3)
    with clients(address, 1, HEAD + b"Connection: close\r\n" + FORM + PART) as (client,):
        answer = read_to_the_end(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"seconds to arrive" in answer


def test_a_body_that_nobody_reads_ends_the_connection_too(address, monkeypatch):
    monkeypatch.setattr(http_connections, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(http_connections, "_BODY_GRACE_SECONDS", 0)
    with clients(address, 1, b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n") as (client,):
        dripping = threading.Thread(target=drip, args=(client, bytes(999)))
        dripping.start()
        assert read_to_the_end(client).startswith(b"HTTP/1.1 200 ")
        dripping.join()


def test_an_answer_that_is_not_taken_is_given_up(address, monkeypatch):
    monkeypatch.setattr(http_connections, "ANSWER_SECONDS", 0.3)
    request = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"
    with clients(address, 1, request * 20) as (client,):
        assert drip(client, bytes(60))


def test_a_new_connection_takes_the_place_of_the_one_that_is_silent_longest(address, monkeypatch):
    monkeypatch.setattr(http_connections, "MAX_CONNECTIONS", 5)
    with clients(address, 1) as (first,), clients(address, 5) as others:
        assert read_to_the_end(first) == b""
        assert ask(address).status_code == 200
        others[-1].sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_to_the_end(others[-1]).startswith(b"HTTP/1.1 200 ")


def test_bodies_beyond_the_memory_for_them_are_refused_until_others_have_gone(address, monkeypatch):
    monkeypatch.setattr(http_api, "MAX_BYTES_IN_MEMORY", 1_000_000)
    with clients(address, 2, HEAD + FORM + PART + bytes(600_000)) as large:
        # One of the two found no room; the other waits for the rest of its body.
        refused = next(client for client in large if readable(client))
        assert refused.recv(65536).startswith(b"HTTP/1.1 503 ")
        assert ask(address).status_code == 200
    monkeypatch.setattr(http_api, "MAX_BYTES_IN_MEMORY", len(DRAWING) + 10_000)
    assert ask(address).status_code == 200


def readable(client):
    client.settimeout(1)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_a_request_that_would_wait_behind_too_many_is_refused_with_a_time_to_try_again(address, monkeypatch):
    monkeypatch.setattr(http_api, "MAX_WAITING", 0)
    answer = ask(address)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"].endswith(".")
