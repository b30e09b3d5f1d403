"""Until when may this node run workloads? Pure.

The lease is a moment on the boot-time clock. It moves forward only, and once it has passed nothing brings it back: what
ran under it is being killed, and somebody else may be starting it.
"""


class RunLease:
    """The lease of one incarnation. `deadline_ms` is 0 before the first renewal: nothing may run yet."""

    def __init__(self) -> None:
        self.deadline_ms = 0

    def has_passed(self, now_ms: int) -> bool:
        return bool(self.deadline_ms) and now_ms >= self.deadline_ms

    def renew(self, deadline_ms: int, now_ms: int) -> str:
        """Take the later deadline. Returns why it was refused; empty when it was not."""
        if self.has_passed(now_ms):
            return f"the lease ran out {now_ms - self.deadline_ms} ms ago and cannot be extended"
        if deadline_ms <= now_ms:
            return f"the new deadline passed {now_ms - deadline_ms} ms ago"
        self.deadline_ms = max(self.deadline_ms, deadline_ms)
        return ""
