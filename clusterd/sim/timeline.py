"""What happens next, in virtual time? Pure."""

import heapq
from collections.abc import Callable


class Timeline:
    """A queue of things to happen, in order of time and then of entry, so that a run can be repeated exactly."""

    def __init__(self) -> None:
        self.now_us = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def at(self, at_us: int, do: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (max(at_us, self.now_us), self._number, do))

    def after_ms(self, delay_ms: float, do: Callable[[], None]) -> None:
        self.at(self.now_us + int(delay_ms * 1000), do)

    def run_until(self, until_us: int, is_done: Callable[[], bool] | None = None) -> bool:
        """Let time pass. True when `is_done` said so; False when the time was over first."""
        if is_done is not None and is_done():
            return True
        while self._queue and self._queue[0][0] <= until_us:
            self.now_us, _, do = heapq.heappop(self._queue)
            do()
            if is_done is not None and is_done():
                return True
        self.now_us = until_us
        return False
