"""How is the disk under this node's log doing? Pure.

Judged by what matters: how long a write takes from the moment it is wanted until it is durable. A loop that did not run is
no slow disk, and neither is one that is full: what waited for room is not counted.
"""

from collections import deque

from clusterd.model.disk import DiskCondition, DiskState

SLOW_MS = 500
"""A write that takes this long is slow. Healthy disks take below 20 ms, busy ones below 100."""
STALLED_MS = 2_000
"""One that takes this long is enough to say so."""
SAMPLES = 5
SLOW_SAMPLES = 3
QUICK_SAMPLES = 3
QUICK_AGAIN_MS = 10_000
PROBE_MS = 3_000
"""A slow disk is written to at least this often, or nobody would notice that it is quick again."""


class DiskWatch:
    """Everything that this node knows of its disk."""

    def __init__(self, now_ms: int) -> None:
        self._wanted: deque[tuple[int, int]] = deque()
        """Writes that are not durable yet: sequence and since when."""
        self._recent: deque[int] = deque(maxlen=SAMPLES)
        self._is_slow = False
        self._slow_at_ms = 0
        self._written_at_ms = now_ms
        self._refused: DiskCondition | None = None
        self._has_written = False

    # ---- what happens ----

    def writing(self, sequence: int, now_ms: int) -> None:
        self._wanted.append((sequence, now_ms))

    def written(self, sequence: int, now_ms: int) -> None:
        """All writes up to `sequence` are durable; the oldest of them waited longest."""
        if not self._wanted or self._wanted[0][0] > sequence:
            return
        took_ms = now_ms - self._wanted[0][1]
        while self._wanted and self._wanted[0][0] <= sequence:
            self._wanted.popleft()
        self._recent.append(took_ms)
        self._written_at_ms, self._has_written = now_ms, True
        if took_ms >= SLOW_MS:
            self._slow_at_ms = now_ms

    def discount(self, late_ms: int, now_ms: int) -> None:
        """This node itself did not run for `late_ms`."""
        self._wanted = deque((sequence, min(now_ms, since_ms + late_ms)) for sequence, since_ms in self._wanted)

    def refused(self, state: DiskState, text: str) -> None:
        """It takes nothing now, or (FAILED) never again."""
        self._refused = DiskCondition(state, text=text)

    def took_again(self, now_ms: int) -> None:
        """What waited for room was written, or is about to be."""
        if self._refused is not None and self._refused.state is not DiskState.FAILED:
            self._refused = None
            self._wanted = deque((sequence, now_ms) for sequence, _ in self._wanted)

    # ---- what follows ----

    @property
    def takes_nothing(self) -> bool:
        return self._refused is not None

    def look(self, now_ms: int) -> DiskCondition:
        """Call with every heartbeat."""
        if self._refused is not None:
            return self._refused
        waits_ms = now_ms - self._wanted[0][1] if self._wanted else 0
        took_ms = max(waits_ms, *self._recent) if self._recent else waits_ms
        if waits_ms >= SLOW_MS:
            self._slow_at_ms = now_ms
        if self._is_slow:
            latest = list(self._recent)[-QUICK_SAMPLES:]
            is_quick = len(latest) == QUICK_SAMPLES and max(latest) < SLOW_MS
            self._is_slow = not is_quick or now_ms - self._slow_at_ms < QUICK_AGAIN_MS
        else:
            slow_count = sum(each >= SLOW_MS for each in self._recent)
            self._is_slow = slow_count >= SLOW_SAMPLES or took_ms >= STALLED_MS
        if self._is_slow:
            return DiskCondition(DiskState.SLOW, took_ms)
        return DiskCondition(DiskState.OK if self._has_written else DiskState.UNTRIED, took_ms)

    def wants_probe(self, now_ms: int) -> bool:
        """Whether nothing has been written for a while to a disk that was slow, or that was never tried."""
        is_doubtful = self._is_slow or not self._has_written or (bool(self._recent) and self._recent[-1] >= SLOW_MS)
        return is_doubtful and not self._wanted and now_ms - self._written_at_ms >= PROBE_MS
