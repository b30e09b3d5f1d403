"""What time is it, for the cluster and for people? Pure.

Three clocks: the node's own (everything is compared with it), the cluster's (windows and waits that must survive a change of
leader or owner), and the wall (for people to read, compared with nothing).
"""

MINUTES_PER_DAY = 24 * 60


class ClusterClock:
    """A clock that the nodes share: it never goes back, and rests while no node runs.

    A leader stamps its transactions with its reading; everybody follows the newest reading heard from a leader.
    """

    def __init__(self, cluster_ms: int, now_ms: int) -> None:
        self._offset_ms = cluster_ms - now_ms

    def read(self, now_ms: int) -> int:
        return now_ms + self._offset_ms

    def advance_to(self, cluster_ms: int, now_ms: int) -> None:
        """Never be behind a stamp that was committed."""
        self._offset_ms = max(self._offset_ms, cluster_ms - now_ms)

    def follow(self, cluster_ms: int, now_ms: int) -> None:
        """Take over a leader's reading, forwards only."""
        self.advance_to(cluster_ms, now_ms)


class WallReading:
    """Wall-clock time for records and events, from an offset that the shell refreshes."""

    def __init__(self) -> None:
        self.offset_ms = 0
        self.local_offset_ms = 0

    def local_minute(self, now_ms: int) -> int:
        """The minute of the day, local time."""
        return (self.read(now_ms) + self.local_offset_ms) // 60_000 % MINUTES_PER_DAY

    def read(self, now_ms: int) -> int:
        return now_ms + self.offset_ms
