"""How many files may one visit upload within a minute, where many share the computer?"""

import math
from collections.abc import Collection

FILES_PER_MINUTE = 100
_SECONDS = 60.0


class UploadPace:
    """Counts the files of one visit as they arrive.

    Any number may come at once; after `FILES_PER_MINUTE` within a minute the next ones wait.
    """

    def __init__(self) -> None:
        self._taken: dict[str, float] = {}

    def seconds_to_wait(self, file_ids: Collection[str], now: float) -> int:
        """Take new files, or return after how many seconds they are taken.

        Args:
            file_ids: of all files that the visit holds, new or not.
            now: of a clock that is never set back, in seconds.
        """
        recent = sorted(taken for taken in self._taken.values() if now - taken < _SECONDS)
        new = [file_id for file_id in file_ids if file_id not in self._taken]
        if new and len(recent) >= FILES_PER_MINUTE:
            return math.ceil(recent[-FILES_PER_MINUTE] + _SECONDS - now)
        self._taken = {
            file_id: taken for file_id, taken in self._taken.items() if file_id in file_ids or taken in recent
        } | dict.fromkeys(new, now)
        return 0
