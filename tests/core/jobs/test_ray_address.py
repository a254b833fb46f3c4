"""ray_address.py, without Ray: servers on this computer that are no cluster."""

import socket
import threading
from contextlib import closing, contextmanager
from types import SimpleNamespace

import pytest

from cxr_core.cli.main import main
from cxr_core.jobs import ray_address
from cxr_core.jobs.ray_address import check_cluster

# What a server of gRPC sends as soon as it is greeted: three settings, of 18 bytes.
SETTINGS = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)


@pytest.fixture(autouse=True)
def no_address_of_this_computer(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)


@contextmanager
def server(answer):
    """A server that says one thing to whoever asks and leaves, or keeps silent if that is None; yields its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve():
            with listening.accept()[0] as connection:
                connection.recv(1_000)
                if answer is None:
                    connection.recv(1_000)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def processes(monkeypatch, *commands):
    found = [SimpleNamespace(info={"cmdline": words}) for words in commands]
    monkeypatch.setattr(ray_address.psutil, "process_iter", lambda _: iter(found))


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "10.0.0.5", ":6379", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:²", "10.0.0.5:" + "9" * 5_000]
    + ["ray://10.0.0.5:10001", "http://10.0.0.5:8265", "local"],
)
def test_what_is_no_address_of_a_cluster_is_refused_by_its_form(address):
    with pytest.raises(ValueError, match="is named by HOST:PORT of its head, such as 10.0.0.5:6379, or by auto"):
        check_cluster(address)


def test_a_port_where_nobody_listens_is_told(monkeypatch):
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(ValueError, match=f"answers at {address}: connection refused. Start one there with `ray start"):
        check_cluster(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ValueError, match=f"answers at {address}: connection refused"):
        check_cluster("auto")


def test_a_name_that_cannot_be_looked_up_is_told(monkeypatch):
    def look_up(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ValueError, match="answers at head:6379: name or service not known. Start one there"):
        check_cluster("head:6379")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="the name cannot be looked up. Start one there"):
        check_cluster("x" * 70 + ":6379")


def test_a_server_that_never_answers_is_told(monkeypatch):
    monkeypatch.setattr(ray_address, "_SECONDS", 0.05)
    with server(None) as address, pytest.raises(ValueError, match=f"answers at {address}: nothing was heard within"):
        check_cluster(address)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", SETTINGS[:3]])
def test_another_server_is_told(answer):
    with server(answer) as address, pytest.raises(ValueError, match=f"answers at {address}: something else answers."):
        check_cluster(address)


def test_a_computer_that_is_none_of_the_cluster_is_told_how_to_join_it(monkeypatch):
    processes(monkeypatch, None, [], ["/bin/sh", "raylet"])
    with server(SETTINGS) as address, pytest.raises(ValueError, match=f"join with `ray start --address={address}`"):
        check_cluster(address)
    with pytest.raises(ValueError, match="belongs to no Ray cluster. Start one with `ray start --head`"):
        check_cluster("auto")


def test_a_cluster_that_answers_is_accepted_and_so_is_one_that_speaks_tls_alone(monkeypatch):
    processes(monkeypatch, ["/opt/ray/core/src/ray/raylet/raylet", "--node_id=1"])
    check_cluster("auto")
    with server(SETTINGS) as address:
        check_cluster(address)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with server(None) as address:
        check_cluster(address)


@pytest.mark.parametrize("words", [("audit",), ("cross-validate", "--folds", "2"), ("repeat", "--seeds", "0", "1")])
def test_a_command_with_a_wrong_address_is_one_sentence_and_leaves_nothing(words, few, tmp_path, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-extra.txt")
    target = ("--json", tmp_path / "result") if words == ("audit",) else ("--job", tmp_path / "result")
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    assert main([str(word) for word in (words[0], few, *words[1:], "--ray", address, *target)]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"Error: No Ray cluster answers at {address}: connection refused.")
    assert errors.count("\n") == 1
    assert not (tmp_path / "result").exists()
