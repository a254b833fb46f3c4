"""Can this computer use the Ray cluster at an address? Asked before Ray is, which tries for many minutes."""

import os
import socket
from pathlib import Path

import psutil

AUTO = "auto"
_SECONDS = 3.0
# What a client of HTTP/2 says first: its preface, and settings of which it changes none (RFC 9113, 3.4 and 6.5).
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
# Of a frame: 3 bytes length, its type, flags, 4 bytes stream; a server of HTTP/2 answers with its own settings.
_FRAME_HEADER_BYTES, _FRAME_TYPE, _SETTINGS_TYPE = 9, 3, 4


def check_cluster(address: str) -> None:
    """Refuse an address at which no Ray cluster answers that this computer belongs to.

    Args:
        address: HOST:PORT of the cluster's head, or `AUTO` for the cluster that this computer belongs to.

    Raises:
        ValueError: the sentence says what is wrong and what to do next.
    """
    if address == AUTO:
        # Ray puts this one first, too.
        address = os.environ.get("RAY_ADDRESS") or AUTO
    if address != AUTO:
        host, port = _host_and_port(address)
        if reason := _why_silent(host, port):
            raise ValueError(
                f"No Ray cluster answers at {address}: {reason}. Start one there with `ray start --head`, or give the "
                "address that it printed."
            )
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    # Each computer of a cluster runs a process of this name; a dead one that nobody has waited for has no command left.
    if not any(Path(words[0]).stem == "raylet" for words in commands if words):
        raise ValueError(no_membership(address))


def no_membership(address: str) -> str:
    """Return the sentence for a computer that is none of the cluster at an address."""
    if address == AUTO:
        return "This computer belongs to no Ray cluster. Start one with `ray start --head`, or give the address of one."
    return (
        f"This computer does not belong to a Ray cluster at {address}. Let it join with `ray start "
        f"--address={address}`, or start one with `ray start --head`."
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 1 << 16):
        raise ValueError(
            f"A Ray cluster is named by HOST:PORT of its head, such as 10.0.0.5:6379, or by {AUTO} on one of its "
            f"computers; received {address!r}."
        )
    return host, int(port)


def _why_silent(host: str, port: int) -> str:
    """Return why no server of gRPC can be heard there; "" if one can."""
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return ""
            connection.sendall(_GREETING)
            answer = connection.recv(_FRAME_HEADER_BYTES)
    except TimeoutError:
        return f"nothing was heard within {_SECONDS:.0f} seconds"
    # A label of the host's name may be too long to be encoded.
    except (OSError, UnicodeError) as error:
        return (getattr(error, "strerror", None) or "the name cannot be looked up").lower()
    is_settings = len(answer) > _FRAME_TYPE and answer[_FRAME_TYPE] == _SETTINGS_TYPE
    return "" if is_settings else "something else answers"
