"""How does a long piece of work say how far it is?"""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """What long work calls after each part, with how much of how much is done."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take note that `done` of `total` parts are done."""


# Called with what begins now, such as "Measuring the images"; returns what that part reports to, or None where nobody
# follows.
Phase = Callable[[str], Progress | None]
