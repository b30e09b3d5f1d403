"""What does an owner say to its resource hosts, and what do they answer? Pure."""

from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.ids import GroupId, Incarnation, ResourceId
from clusterd.model.records import Properties
from clusterd.model.settings import ResourceSettings
from clusterd.model.states import MoveKind, ResourceState

SHARED_HOST = "shared"


class Verb(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"
    TERMINATE = "terminate"
    TIMES = "times"
    """Check by the times of this call from now on. Nothing waits for the answer."""
    PREPARE = "prepare"
    """Make ready to take over what runs elsewhere."""
    MIGRATE = "migrate"
    """Move it, as it runs, to where it was prepared. May be repeated: whoever asks again gets the same answer."""
    CANCEL_MIGRATION = "cancel-migration"
    """Give up a move that is under way; the answer to that says what came of it. Nothing waits for this one's."""
    RESUME = "resume"
    """Go on here with what was moved: the other side will not."""
    FENCE = "fence"
    """Make the storage refuse every owner of an older generation. Nothing of it is left in the host afterwards."""


class CallReason(StrEnum):
    """Why a host is asked, which resource types may read."""

    NONE = ""
    USER_REQUESTED = "user-requested"
    MOVING = "moving"
    RESTARTING = "restarting"
    DELETING = "deleting"
    SHUTTING_DOWN = "shutting-down"
    PROVIDER_LOST = "provider-lost"
    PREEMPTED = "preempted"
    MIGRATED = "migrated"
    """It runs at the destination of its live migration."""
    MIGRATING = "migrating"
    FAILED = "failed"
    KILLED = "killed"
    """Kill first, and ask nobody."""
    ABANDONED = "abandoned"
    """What was prepared, or asked of its storage, does not come."""
    FENCING = "fencing"
    ORPHANED = "orphaned"
    """No assignment claims it."""


class CallOutcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    NOT_ON_THIS_NODE = "not-on-this-node"
    STALE = "stale"
    HUNG = "hung"
    STILL_RUNNING = "still-running"


@dataclass(frozen=True, slots=True)
class HostCall:
    """One call into a resource type, by way of its host."""

    call_id: int
    host: str
    verb: Verb
    resource: ResourceId
    type: str
    group: GroupId
    generation: int
    incarnation: Incarnation
    private: Properties
    settings: ResourceSettings
    reason: CallReason
    prepared: str = ""
    """Of a migrate: what the destination said."""
    move_kind: MoveKind = MoveKind.UNSAID
    """Of an offline: how the group leaves this node."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    outcome: CallOutcome
    message: str = ""
    pid: int = 0
    prepared: str = ""
    """Of a prepare: what the source must know. Of a fence: what was done."""
    since_ms: int = 0
    """Of a migrate: for how long it has stood still already. Of an online: for how long it runs."""
    may_pass: bool = False
    """Of what cannot run on this node: only for now, for what it needs may answer again at any moment."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """Something that a host was already running when the daemon connected to it."""

    resource: ResourceId
    group: GroupId
    type: str
    generation: int
    state: ResourceState
    pid: int
    embedded_failure: str = ""
    concern: str = ""
    is_prepared: bool = False
    """Nothing of it runs: it is ready to take over what runs elsewhere."""
    is_moved: bool = False
    """It stands still here and is whole at the destination of a migration."""
    doubt: str = ""
    """Why its checks cannot tell whether it is well."""


class HostEndKind(StrEnum):
    """How a resource host came to its end."""

    BY_ITSELF = "by-itself"
    ON_REQUEST = "on-request"
    NEVER_UP = "never-up"
    """It could not be started, or ended before it was ready."""


@dataclass(frozen=True, slots=True)
class CallInHost:
    """A call that a host was in the midst of when it ended; without a resource a question to a type."""

    resource: ResourceId
    verb: str


@dataclass(frozen=True, slots=True)
class HostEnd:
    """A resource host is gone, and with it everything that it ran."""

    host: str
    because: str
    are_workloads_gone: bool
    kind: HostEndKind = HostEndKind.BY_ITSELF
    calls: tuple[CallInHost, ...] | None = None
    """None: it wrote nothing down."""


@dataclass(frozen=True, slots=True)
class StartHost:
    host: str


@dataclass(frozen=True, slots=True)
class KillHost:
    host: str
    because: str


def host_times(settings: ResourceSettings) -> tuple[int, ...]:
    """The settings that a host goes by while something runs."""
    return (
        settings.looks_alive_poll_interval_ms,
        settings.is_alive_poll_interval_ms,
        settings.pending_timeout_ms,
        settings.deadlock_timeout_ms,
    )
