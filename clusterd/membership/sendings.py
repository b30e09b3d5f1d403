"""Which of this node's own heartbeats does an acknowledgement mean? Pure.

The run lease is counted from the moment at which the acknowledged heartbeat was sent. That moment is taken from an own
memory: an acknowledgement only names a sending, and one that names none counts for nothing.

The version before this one numbered nothing: its acknowledgements repeat the moment alone. That names a sending as well, if
one took place at that moment; several in one millisecond begin the same lease. What it may not do is name a moment at which
nothing was sent, so that no acknowledgement, honest or not, makes a lease longer than what was really sent.
"""

KEPT_MAX = 2048


class Sendings:
    """The heartbeats that this run of the daemon has sent lately."""

    def __init__(self) -> None:
        self._sent_ms: dict[int, int] = {}
        self.next_sequence = 1

    def begin(self, now_ms: int) -> int:
        """The number of a sending that begins now. All peers get the same one."""
        sequence = self.next_sequence
        self.next_sequence += 1
        self._sent_ms[sequence] = now_ms
        if len(self._sent_ms) > KEPT_MAX:
            del self._sent_ms[next(iter(self._sent_ms))]
        return sequence

    def is_one(self, sequence: int, sent_ms: int) -> bool:
        """Whether that sending took place, at that moment."""
        return self._sent_ms.get(sequence) == sent_ms

    def was_at(self, sent_ms: int) -> bool:
        """Whether any took place at that moment."""
        return any(each == sent_ms for each in reversed(self._sent_ms.values()))
