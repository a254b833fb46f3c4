"""How does a long piece of work say how far it is, who carries it out, and whose turn is it where several wait?"""

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

# A turn that lasts longer no longer keeps others waiting: nobody can close the queue.
_LONGEST_SECONDS = 30.0
_TELL_SECONDS = 1.0
# One more than there are cores: one of them is often waiting for the disk.
_THREADS = (os.cpu_count() or 1) + 1

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class Progress(Protocol):
    """What long work calls after each part, with how much of how much is done."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take note that `done` of `total` parts are done."""


# Called with what begins now, such as "Measuring the images"; returns what that part reports to, or None where nobody
# follows.
Phase = Callable[[str], Progress | None]


# Carries out a function over chunks and gives its results in their order: here, or on other computers that see the same
# files.
ShareWork = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


def in_threads(
    function: Callable[[Chunk], Result], chunks: Iterable[Chunk], threads: int = _THREADS
) -> Iterator[Result]:
    """Yield function(chunk) for every chunk, in order, on threads of this process.

    The chunks are taken in the caller's thread, and few of them wait in memory.
    """
    waiting, tasks = iter(chunks), deque[Future[Result]]()
    with ThreadPoolExecutor(threads) as pool:
        while True:
            tasks.extend(pool.submit(function, chunk) for chunk in islice(waiting, 2 * threads - len(tasks)))
            if not tasks:
                return
            yield tasks.popleft().result()


class Turns:
    """Lets a few pieces of long work go on at a time, in the order in which they asked.

    A turn ends where its work has done a part and others wait: many images of one visitor and few of another advance
    by turns.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._began: dict[object, float] = {}
        self._thread = threading.local()

    @contextmanager
    def taken(self, tell: Callable[[int], None]) -> Iterator[Callable[[], None]]:
        """Wait for a turn, and give it back in the end; work inside other work of the same thread takes none.

        Args:
            tell: called about once a second while there is a wait, with how many are ahead. What it raises ends the
                wait.

        Yields:
            A function to call after each part of the work: where others wait, they go first.
        """
        if getattr(self._thread, "has_turn", False):
            yield lambda: None
            return
        mine = object()

        def next_turn() -> None:
            with self._changed:
                if mine in self._began and not self._waiting:
                    self._began[mine] = time.monotonic()
                    return
                self._began.pop(mine, None)
                self._waiting.append(mine)
                self._changed.notify_all()
            while not self._begin(mine):
                tell(self._ahead_of(mine))

        self._thread.has_turn = True
        try:
            next_turn()
            yield next_turn
        finally:
            self._thread.has_turn = False
            with self._changed:
                self._began.pop(mine, None)
                if mine in self._waiting:
                    self._waiting.remove(mine)
                self._changed.notify_all()

    def _begin(self, mine: object) -> bool:
        """Wait a moment for a turn; return True if it has begun."""
        with self._changed:
            has_begun = self._changed.wait_for(lambda: self._waiting[0] is mine and self._has_room(), _TELL_SECONDS)
            if has_begun:
                self._waiting.popleft()
                self._began[mine] = time.monotonic()
                self._changed.notify_all()
            return has_begun

    def _has_room(self) -> bool:
        late = time.monotonic() - _LONGEST_SECONDS
        return sum(began > late for began in self._began.values()) < self._at_once

    def _ahead_of(self, mine: object) -> int:
        with self._changed:
            return self._waiting.index(mine) + len(self._began)


class SharedResults:
    """Results by key, for all threads: whoever asks first computes one, and who asks meanwhile waits for it.

    A result is handed to all of them as it is, so nobody may change it. A computation may ask for others, as long as
    none of those asks for it.
    """

    def __init__(self, most: int) -> None:
        """`most`: of that many results, those that were asked for last are kept."""
        self._most = most
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """Return the result of a key; one whose computation ends with an exception is computed by who asks next."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.is_there:
                entry.result, entry.is_there = compute(), True
            result: Result = entry.result
            return result


class _Entry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_there = False
        self.result: Any = None
