"""How long may a connection of the HTTP interface stay open, and how many may there be?

Uvicorn limits the time between two requests, but not that of a request's headers or body, nor that of a client which
does not take its answer. Needs the packages of `requirements-extra.txt`.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
BODY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
# For the application to say so itself.
_BODY_GRACE_SECONDS = 5.0
# Well below the 1,024 files that a process may usually have open.
MAX_CONNECTIONS = 400


class TimedConnection(H11Protocol):
    """A connection that is cut where its client keeps the server waiting.

    The headers of a request must arrive within `HEADER_SECONDS`, its body within another `BODY_SECONDS`, and the client
    must take the answer within `ANSWER_SECONDS`. No time runs while the answer is made. Beyond `MAX_CONNECTIONS` a new
    one takes the place of the one that has kept the server waiting longest.
    """

    _waits_for: tuple[float, object] | None = None
    _since = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._restart_timer()
        if len(self.connections) > MAX_CONNECTIONS:
            idle = [other for other in self.connections if isinstance(other, TimedConnection) and other._timer]
            min(idle, key=lambda other: other._since)._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._restart_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._restart_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._restart_timer()

    def _awaited(self) -> tuple[float, object] | None:
        """Return how long the client may take for what it owes, and for which request; None where it owes nothing."""
        if self.transport.get_write_buffer_size():
            return ANSWER_SECONDS, self.cycle
        if self.conn.their_state is h11.IDLE:
            return HEADER_SECONDS, self.cycle
        if self.conn.their_state is h11.SEND_BODY:
            return BODY_SECONDS + _BODY_GRACE_SECONDS, self.cycle
        return None

    def _restart_timer(self) -> None:
        """Give the client its time if it owes something else than before."""
        awaited = self._awaited()
        if awaited == self._waits_for:
            return
        self._stop_timer()
        self._waits_for = awaited
        if awaited:
            self._since = self.loop.time()
            self._timer = self.loop.call_later(awaited[0], self._time_is_up)

    def _time_is_up(self) -> None:
        # An answer may have been taken since, without a further event.
        if self._awaited() == self._waits_for:
            self._cut()
        else:
            self._restart_timer()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._waits_for = None

    def _cut(self) -> None:
        self._stop_timer()
        self.connections.discard(self)
        self.transport.abort()
