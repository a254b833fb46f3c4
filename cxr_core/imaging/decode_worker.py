"""What runs in the process that decodes what strangers send? See `isolated_decoding`, which starts it.

Speaks with its owner over standard input and output. A request is three numbers and a file: the file's length, the
seconds that decoding may take, and the pixels for which there is room. The reply is the image; for one of more pixels
it says how many, and the image follows after a byte that says that there is room now. A reply is a length and JSON, so
that nothing in it is ever run; pixels follow as they are.
"""

import io
import json
import os
import signal
import struct
import sys
from importlib import import_module
from typing import Any, BinaryIO

import cv2
import numpy as np

from cxr_core.imaging.reader import UnreadableImage, open_image, read_header
from cxr_core.system.memory import release_memory

REQUEST, LENGTH = struct.Struct("!QdQ"), struct.Struct("!Q")
READY, GO = b"r", b"g"
_TOO_LARGE = "This file takes more memory than an image to decode; save it again as PNG or JPEG."
# Beyond what the process takes before its first file; a colour image of 40 million pixels takes half of it.
_MEMORY_BYTES = 1_000_000_000
_GRACE_SECONDS = 1.0


def main() -> None:
    """Decode files until the owner closes standard input; anything unforeseen ends the process."""
    requests, replies = sys.stdin.buffer, io.FileIO(os.dup(1), "wb")
    # Nothing that a decoder prints gets between the replies.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cv2.setNumThreads(1)
    # The first DICOM file takes as long as any other.
    import_module("cxr_core.imaging.dicom.decoding")
    _limit_memory()
    replies.write(READY)
    while head := requests.read(REQUEST.size):
        n_bytes, seconds, room = REQUEST.unpack(head)
        if _answer(requests, replies, n_bytes=n_bytes, seconds=seconds, room=room) > room:
            # An idle worker would keep up to 180 MB of a large image beside the next one's.
            release_memory()


def _answer(requests: BinaryIO, replies: io.FileIO, *, n_bytes: int, seconds: float, room: int) -> int:
    """Answer one request; returns how many pixels its image has, 0 where nobody knows."""
    data, n_pixels = requests.read(n_bytes), 0
    try:
        _set_alarm(seconds)
        header = read_header(data)
        n_pixels = header.width * header.height
        if n_pixels > room:
            _set_alarm(0)
            _reply(replies, {"pixels": n_pixels})
            if requests.read(1) != GO:
                return n_pixels
            _set_alarm(seconds)
        image = open_image(data, header)
        pixels = np.ascontiguousarray(image.pixels)
        _set_alarm(0)
    except UnreadableImage as error:
        _set_alarm(0)
        _reply(replies, {"error": str(error)})
        return n_pixels
    except MemoryError:
        _set_alarm(0)
        _reply(replies, {"error": _TOO_LARGE})
        return n_pixels
    told = {"shape": pixels.shape, "dtype": pixels.dtype.str, "notes": image.notes, "doubts": image.doubts}
    _reply(replies, told, pixels.data.cast("B"))
    return n_pixels


def _reply(replies: io.FileIO, told: dict[str, Any], pixels: bytes | memoryview = b"") -> None:
    text = json.dumps(told).encode()
    for whole in (LENGTH.pack(len(text)) + text, pixels):
        part = memoryview(whole)
        while part:
            part = part[replies.write(part) :]


def _limit_memory() -> None:
    """Limit what this process may take; where the system has no such limit (Windows), the deadline alone holds."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/status") as status:
            taken = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (taken + _MEMORY_BYTES, most))


def _set_alarm(seconds: float) -> None:
    """End this process later than its owner would, should the owner be gone by then; 0 revokes that."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_SECONDS if seconds else 0)


if __name__ == "__main__":
    main()
