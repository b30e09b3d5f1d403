"""Which states can things be in, and how do they follow from each other? Pure.

Words are those that operators see (docs/INTERFACE words), so a state is stored, logged and shown as the same text.
"""

from collections.abc import Iterable
from enum import StrEnum

from clusterd.model.words import is_known


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
    HOLD = "hold"
    """Start nothing: it is not wanted, or waits for what the assignment's status says. Nothing of it runs."""
    RELEASE = "release"
    MIGRATE = "migrate"
    """Go on running it, and hand it over as it runs to the assignment's target once that is ready."""


class MoveKind(StrEnum):
    """How a group gets from one node to another."""

    UNSAID = ""
    """Each resource stops as it is set to; the cluster's own moves choose by priority."""
    LIVE = "live"
    QUICK = "quick"
    """What can be saved is saved, and resumed there."""
    SHUTDOWN = "shutdown"
    TURN_OFF = "turn-off"


class QueuedFor(StrEnum):
    """What waits in a group's queue."""

    NOTHING = ""
    MOVE = "move"
    """What an operator asked for."""
    DRAIN = "drain"
    """To leave a node that is being emptied."""


class DecisionCode(StrEnum):
    """What a decision was, as far as code goes by it. Its sentences are for people."""

    UNSAID = ""
    NOWHERE = "nowhere"
    LIMIT_REACHED = "limit-reached"
    NO_OTHER_NODE = "no-other-node"
    RETURNED = "returned"
    MOVE_GIVEN_UP = "move-given-up"
    MOVE_CANCELLED = "move-cancelled"
    MIGRATION_GIVEN_UP = "migration-given-up"


class MigrationState(StrEnum):
    """How far the destination of a live migration has come."""

    READY = "ready"
    FAILED = "failed"


class StorageFenceState(StrEnum):
    """What came of making the storage of a group refuse its old owner."""

    DONE = "done"
    FAILED = "failed"


class ReleaseCause(StrEnum):
    """Why an owner was told to give a group up, which decides where it goes then."""

    NONE = ""
    MOVE = "move"
    FAILOVER = "failover"
    FAILBACK = "failback"
    DRAIN = "drain"
    RETURN = "return"
    """It could not come online after a move: back to where it came from."""
    PREEMPT = "preempt"
    BALANCE = "balance"
    RULE = "rule"
    """A rule or a capacity forbids it where it is."""


class GroupStatus(StrEnum):
    """What stands beside a group's state (reference: StatusInformation)."""

    WAITING_IN_QUEUE_FOR_MOVE = "waiting-in-queue-for-move"
    WAITING_TO_START = "waiting-to-start"
    WAITING_FOR_DEPENDENCIES = "waiting-for-dependencies"
    WAITING_FOR_NODE = "waiting-for-node"
    """A cold start waits a while for its preferred or last owner."""
    PHYSICAL_RESOURCES_LACKING = "physical-resources-lacking"
    ANTI_AFFINITY_CONFLICT = "anti-affinity-conflict"
    PREEMPTED = "preempted"
    NO_AUTO_START = "no-auto-start"
    NO_NODE = "no-node"
    HANDS_OFF = "hands-off"
    LOCKED = "locked"
    EMBEDDED_FAILURE = "embedded-failure"
    MIGRATING = "migrating"
    """It is handed over to another node while it runs."""
    STUCK = "stuck"
    """An offline failed: something of it may still run."""


class DataState(StrEnum):
    """What a node has of the cluster's database."""

    SOUND = "sound"
    AMNESIAC = "amnesiac"
    """It lost what it promised, and has no part in decisions until the others admitted it again."""
    HELD = "held"
    """It has committed changes that the others lost, and takes no part."""


class NodeStatus(StrEnum):
    """What stands beside a node's state."""

    EXPELLING = "expelling"
    ISOLATED = "isolated"
    QUARANTINED = "quarantined"
    DRAIN_IN_PROGRESS = "drain-in-progress"
    DRAIN_COMPLETED = "drain-completed"
    DRAIN_FAILED = "drain-failed"
    AVOID_PLACEMENT = "avoid-placement"
    HANDS_OFF = "hands-off"
    CANNOT_BE_COMMANDED = "cannot-be-commanded"
    """It is heard, but no stream carries anything to it."""
    DISK_SLOW = "disk-slow"
    DISK_FULL = "disk-full"
    DISK_REFUSES = "disk-refuses"
    DISK_FAILED = "disk-failed"


class DrainState(StrEnum):
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    ENDED = "ended"
    """It was called off before everything had left: the node was resumed, or its pause turned into a plain one."""


class FailbackMode(StrEnum):
    """What of the groups that were drained from a node comes back when it is resumed."""

    NONE = "none"
    IMMEDIATE = "immediate"
    POLICY = "policy"


class RuleKind(StrEnum):
    SAME_NODE = "same-node"
    DIFFERENT_NODE = "different-node"
    SAME_FAULT_DOMAIN = "same-fault-domain"
    DIFFERENT_FAULT_DOMAIN = "different-fault-domain"


class EvidenceKind(StrEnum):
    """How the leader knows that an incarnation runs nothing any more."""

    STOPPED = "stopped"
    FENCED = "fenced"
    EXPIRED = "expired"


class RestartAction(StrEnum):
    NOTHING = "do-not-restart"
    RESTART = "restart"
    RESTART_THEN_FAIL_OVER = "restart-then-fail-over"


class EmbeddedFailureAction(StrEnum):
    """What follows when the workload inside a resource complains."""

    NOTHING = "none"
    LOG = "log"
    RECOVER = "recover"


class NextAction(StrEnum):
    """What the owner does by itself with a resource next."""

    NONE = ""
    RESTART = "restart"
    """After a failure, in place; it counts."""
    RETRY = "retry"
    """After the timed pause of what failed for good."""
    RESUME = "resume"
    """As soon as it may: it did not fail by itself."""
    REST = "rest"
    """Nothing, until somebody asks for it: it ended by itself."""


PENDING_STATES = frozenset({ResourceState.ONLINE_PENDING, ResourceState.OFFLINE_PENDING})


def group_state(states: Iterable[ResourceState]) -> GroupState:
    """A group's state follows from its resources' states and is never stored; first rule that matches wins."""
    found = list(states)
    if any(state is ResourceState.UNKNOWN or not is_known(state) for state in found):
        return GroupState.UNKNOWN
    if any(state is ResourceState.FAILED for state in found):
        return GroupState.FAILED
    if any(state in PENDING_STATES for state in found):
        return GroupState.PENDING
    online = sum(state is ResourceState.ONLINE for state in found)
    if not online:
        return GroupState.OFFLINE
    return GroupState.ONLINE if online == len(found) else GroupState.PARTIAL_ONLINE
