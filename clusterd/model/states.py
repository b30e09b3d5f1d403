"""Which states can things be in, and how do they follow from each other? Pure.

Words are those that operators see (docs/INTERFACE words), so a state is stored, logged and shown as the same text.
"""

from collections.abc import Iterable
from enum import StrEnum


class ResourceState(StrEnum):
    UNKNOWN = "unknown"
    INITIALIZING = "initializing"
    ONLINE = "online"
    OFFLINE = "offline"
    FAILED = "failed"
    ONLINE_PENDING = "online-pending"
    OFFLINE_PENDING = "offline-pending"


class GroupState(StrEnum):
    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"
    FAILED = "failed"
    PARTIAL_ONLINE = "partial-online"
    PENDING = "pending"


class Wanted(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"


class NodeState(StrEnum):
    UP = "up"
    DOWN = "down"
    PAUSED = "paused"
    JOINING = "joining"


class MembershipState(StrEnum):
    """What the leader has committed about a node. Operators see it as a `NodeState` with status words."""

    JOINING = "joining"
    UP = "up"
    EXPELLING = "expelling"
    DOWN = "down"


class Order(StrEnum):
    """What an assignment tells its owner to do."""

    RUN = "run"
    RELEASE = "release"


class ReleaseCause(StrEnum):
    NONE = ""
    MOVE = "move"
    FAILOVER = "failover"


class EvidenceKind(StrEnum):
    """How the leader knows that an incarnation runs nothing any more."""

    STOPPED = "stopped"
    FENCED = "fenced"
    EXPIRED = "expired"


class RestartAction(StrEnum):
    NOTHING = "do-not-restart"
    RESTART = "restart"
    RESTART_THEN_FAIL_OVER = "restart-then-fail-over"


PENDING_STATES = frozenset({ResourceState.ONLINE_PENDING, ResourceState.OFFLINE_PENDING})


def group_state(states: Iterable[ResourceState]) -> GroupState:
    """A group's state follows from its resources' states and is never stored; first rule that matches wins."""
    found = list(states)
    if any(state is ResourceState.UNKNOWN for state in found):
        return GroupState.UNKNOWN
    if any(state is ResourceState.FAILED for state in found):
        return GroupState.FAILED
    if any(state in PENDING_STATES for state in found):
        return GroupState.PENDING
    online = sum(state is ResourceState.ONLINE for state in found)
    if not online:
        return GroupState.OFFLINE
    return GroupState.ONLINE if online == len(found) else GroupState.PARTIAL_ONLINE
