"""How is an image that a stranger sent decoded, so that it costs neither much time nor much memory?

In a process of its own, which is kept for the next image: it has a memory limit, and is killed at a deadline. How many
images are in memory at the same time is decided by their pixels.

No process pool of the standard library can end a single task. pebble's can, but it is under the LGPL, and what its
workers send back is unpickled: a decoder that was taken over could run anything in the app.
"""

import io
import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from cxr_core.config import MAX_PIXELS, PROJECT_DIR, decode_seconds
from cxr_core.imaging.decode_worker import GO, LENGTH, READY, REQUEST
from cxr_core.imaging.reader import DecodedImage, UnreadableImage, check_file_size, open_image
from cxr_core.system.arrays import ImageArray
from cxr_core.system.visit_folders import visit_folder_of

_MODULE = "cxr_core.imaging.decode_worker"
_MOST_WORKERS = 4
_MAX_REPLY = 100_000
# Room for so many pixels is taken before a header is read, so that a usual image costs one exchange.
_SMALL = 4_000_000
# Holds an image of 512 pixels, so that neither side waits for the other (Linux; elsewhere it means nothing).
_PIPE_BYTES = 1 << 20
_DTYPES = ("|u1", "<u2")


class _WorkerEnded(Exception):
    """A worker process died, or said what a worker never says."""


@contextmanager
def open_isolated(data: bytes) -> Iterator[DecodedImage]:
    """Decode a file as `reader.open_image` does, in a worker process; wait until there is room for its pixels.

    The room, for `MAX_PIXELS` of all images together, is taken until the context ends: what is done with the pixels
    takes more memory than they do.

    Args:
        data: the whole file.

    Raises:
        reader.UnreadableImage: as `reader.open_image`; or decoding took longer than `config.decode_seconds`, more
            memory than an image does, or ended the worker.
    """
    with _decoder().opened(data) as image:
        yield image


def open_file(path: str | Path, data: bytes) -> DecodedImage:
    """Decode a file of a data set; one that a visitor uploaded as `open_isolated` does, one's own in this process.

    The room that a visitor's image takes is given back as soon as it is decoded.

    Args:
        path: where it lies: a visitor's in the folder of the visit.
        data: the whole file.

    Returns:
        The image as `reader.open_image` returns it.

    Raises:
        reader.UnreadableImage: as `open_isolated`.
    """
    if visit_folder_of([path]) is None:
        return open_image(data)
    with open_isolated(data) as image:
        return image


def read_image(path: str | Path) -> ImageArray:
    """Read a file of a data set to pixels; see `open_file`. FileNotFoundError if it is missing."""
    return open_file(path, Path(path).read_bytes()).pixels


@cache
def _decoder() -> "IsolatedDecoder":
    return IsolatedDecoder(min(_MOST_WORKERS, os.cpu_count() or 1), decode_seconds())


class IsolatedDecoder:
    """Worker processes, started when they are first needed, and room for so many pixels.

    Args:
        workers: how many images are decoded at the same time.
        seconds: that decoding an image may take.
        pixels: that all images whose contexts are open may have together.
    """

    def __init__(self, workers: int, seconds: float, pixels: int = MAX_PIXELS) -> None:
        self._seconds = seconds
        self._room = _Room(pixels)
        # The worker that was used last comes first; None stands for one that has to be started.
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)

    @contextmanager
    def opened(self, data: bytes) -> Iterator[DecodedImage]:
        """Decode a file; see `open_isolated`."""
        check_file_size(len(data))
        with ExitStack() as held:
            yield self._decode(data, held)

    def process_ids(self) -> list[int]:
        """Return the ids of the processes that have nothing to do."""
        return [worker.process_id for worker in self._idle.queue if worker is not None]

    def close(self) -> None:
        """End the processes that have nothing to do."""
        for _ in range(self._idle.qsize()):
            worker = self._idle.get()
            if worker is not None:
                worker.end()
            self._idle.put(None)

    def _decode(self, data: bytes, held: ExitStack) -> DecodedImage:
        # Room is asked for by those alone who have a worker, and given back without one: nobody waits for ever.
        worker, reusable = self._idle.get(), None
        try:
            if worker is None or not worker.is_alive():
                worker = _Worker()
            image = self._decode_with(worker, data, held)
            reusable = worker
            return image
        except UnreadableImage:
            reusable = worker
            raise
        except (_WorkerEnded, OSError) as error:
            too_long = worker is not None and worker.was_too_slow
            why = f"takes longer than {self._seconds:g} seconds to decode" if too_long else "ended the decoder"
            raise UnreadableImage(f"This file {why}; save it again as PNG or JPEG.") from error
        finally:
            # After anything unexpected nobody knows what the worker would say next.
            if worker is not None and reusable is None:
                worker.end()
            self._idle.put(reusable)

    def _decode_with(self, worker: "_Worker", data: bytes, held: ExitStack) -> DecodedImage:
        room = min(_SMALL, self._room.size)
        with ExitStack() as taken:
            taken.enter_context(self._room.taken(room))
            start = time.monotonic()
            told = worker.ask(REQUEST.pack(len(data), self._seconds, room), data, seconds=self._seconds)
            left = self._seconds - (time.monotonic() - start)
            if "pixels" in told:
                taken.close()
                taken.enter_context(self._room.taken(int(told["pixels"])))
                told = worker.ask(GO, seconds=left)
            if "error" in told:
                raise UnreadableImage(str(told["error"]))
            image = worker.read_image(told, seconds=self._seconds)
            held.push(taken.pop_all())
            return image


class _Room:
    """Room for so many pixels, given in the order in which it was asked for."""

    def __init__(self, pixels: int) -> None:
        self.size = self._free = pixels
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self.size)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


class _Worker:
    """A process that runs `decode_worker`."""

    def __init__(self) -> None:
        self.was_too_slow = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            cwd=PROJECT_DIR,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE_BYTES,
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._replies = self._process.stdin, cast(io.BufferedReader, self._process.stdout)
        if self._replies.read(1) != READY:
            self.end()
            raise _WorkerEnded

    @property
    def process_id(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            # What was left to be written cannot be any more.
            with suppress(OSError):
                pipe.close()

    def ask(self, *parts: bytes, seconds: float) -> dict[str, Any]:
        """Send bytes and return the reply; the process is killed when that takes longer than `seconds`."""
        with self._deadline(seconds):
            for part in parts:
                self._requests.write(part)
            self._requests.flush()
            (length,) = LENGTH.unpack(self._read(LENGTH.size))
            if length > _MAX_REPLY:
                raise _WorkerEnded
            return dict(json.loads(self._read(length)))

    def read_image(self, told: dict[str, Any], seconds: float) -> DecodedImage:
        """Return the image whose pixels follow a reply; the process is killed when that takes longer than `seconds`."""
        shape, dtype = tuple(told["shape"]), told["dtype"]
        if dtype not in _DTYPES or math.prod(shape) > 3 * MAX_PIXELS:
            raise _WorkerEnded
        pixels = np.empty(shape, dtype)
        with self._deadline(seconds):
            if self._replies.readinto(pixels.data.cast("B")) != pixels.nbytes:
                raise _WorkerEnded
        return DecodedImage(pixels, tuple(told["notes"]), tuple(told["doubts"]))

    def _read(self, n_bytes: int) -> bytes:
        data = self._replies.read(n_bytes)
        if len(data) != n_bytes:
            raise _WorkerEnded
        return data

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(max(0.0, seconds), self._kill_slow)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill_slow(self) -> None:
        self.was_too_slow = True
        self._process.kill()
