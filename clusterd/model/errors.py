"""Which operating errors can people and programs see? Pure.

    ClusterError                 something outside went wrong; the message says what, to what, and what to do
     ├ NotLeader                 nothing was changed; retry at the leader
     ├ NoQuorum                  nothing can be committed; reads still answer
     ├ UnknownOutcome            may or may not have taken effect; repeat with the same request id
     ├ Conflict                  somebody else changed it first; nothing was changed
     ├ Refused                   a rule says no; nothing was changed
     ├ BadInput                  the request is not well formed; nothing was changed
     ├ NotFound                  there is no such thing
     ├ TooLarge                  over a bound; nothing was changed
     ├ Busy                      too much is waiting already; nothing was changed, retry
     ├ DamagedRecord             stored bytes are not what they should be
     ├ DamagedStorage            the node's durable state cannot be trusted; it refuses to serve
     └ StorageFailed             the disk under the durable state failed: the daemon ends

A broken invariant is a bug, not one of these: `invariant` raises `BrokenInvariant` and the process stops.
`CODES` is the one table that gives each its machine-readable code, HTTP status and exit code.
"""

from typing import NamedTuple


class ClusterError(Exception):
    """An operating error. `hint` says what to do; `retryable` whether the same request may work later."""

    code = "error"
    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotLeader(ClusterError):
    """A write reached a node that cannot accept it. Nothing was changed; retry at `leader`."""

    code = "not-leader"
    retryable = True

    def __init__(self, *, asked: str, leader: str | None, term: int) -> None:
        self.asked, self.leader, self.term = asked, leader, term
        hint = f"retry at {leader}" if leader else "no leader is known yet; retry in a few seconds"
        super().__init__(f"{asked} is not the leader in term {term}", hint=hint)


class NoQuorum(ClusterError):
    """Too few voters can be reached to commit anything. Nothing was changed."""

    code = "no-quorum"
    retryable = True


class UnknownOutcome(ClusterError):
    """No answer in time. It may or may not have taken effect; repeating it with the same request id is safe."""

    code = "unknown-outcome"
    retryable = True


class Conflict(ClusterError):
    """Somebody else changed `key` first. Nothing was changed."""

    code = "conflict"
    retryable = True

    def __init__(self, message: str, *, key: str = "", revision: int = 0, hint: str = "") -> None:
        self.key, self.revision = key, revision
        super().__init__(message, hint=hint or "look at the present version and try again")


class Refused(ClusterError):
    """A rule says no. Nothing was changed. `rule` is its name, for programs."""

    code = "refused"

    def __init__(self, message: str, *, hint: str = "", rule: str = "") -> None:
        self.rule = rule
        super().__init__(message, hint=hint)


class BadInput(ClusterError):
    """The request is not well formed. Nothing was changed."""

    code = "bad-input"


class NotFound(ClusterError):
    """There is no such thing. Nothing was changed."""

    code = "not-found"


class TooLarge(ClusterError):
    """Over a bound. Nothing was changed."""

    code = "too-large"


class Busy(ClusterError):
    """Too much is waiting already. Nothing was changed; retry a little later."""

    code = "busy"
    retryable = True


class DamagedRecord(ClusterError):
    """Stored bytes do not decode to the record that they should be."""

    code = "damaged-record"

    def __init__(self, *, kind: str, size_bytes: int, detail: str) -> None:
        super().__init__(f"{size_bytes} stored bytes are not a {kind}: {detail}", hint="see docs/operations")


class DamagedStorage(ClusterError):
    """The node's durable state cannot be trusted: it neither votes nor serves until it is re-synced."""

    code = "damaged-storage"


class StorageFailed(ClusterError):
    """The disk under the node's durable state failed: the daemon ends. What was acknowledged is there."""

    code = "storage-failed"


class BrokenInvariant(Exception):
    """A bug: something that can never be is. The process stops rather than go on with it."""


def invariant(holds: bool, what: str) -> None:
    """Stop the process when something that must always hold does not; `assert` would vanish under -O."""
    if not holds:
        raise BrokenInvariant(what)


class Code(NamedTuple):
    http_status: int
    exit_code: int


CODES: dict[str, Code] = {
    "not-leader": Code(503, 4),
    "no-quorum": Code(503, 4),
    "unknown-outcome": Code(504, 1),
    "conflict": Code(409, 5),
    "refused": Code(422, 3),
    "bad-input": Code(400, 64),
    "not-found": Code(404, 3),
    "too-large": Code(413, 3),
    "busy": Code(429, 1),
    "damaged-record": Code(500, 1),
    "damaged-storage": Code(500, 1),
    "storage-failed": Code(500, 1),
    "unauthorized": Code(401, 1),
    "unreachable": Code(503, 1),
    "error": Code(500, 1),
}
