"""What does an owner say to its resource hosts, and what do they answer? Pure."""

from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.ids import GroupId, Incarnation, ResourceId
from clusterd.model.records import Properties
from clusterd.model.settings import ResourceSettings
from clusterd.model.states import ResourceState

SHARED_HOST = "shared"
KILLED = "killed"
"""The reason of a terminate that kills first and asks nobody."""


class Verb(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"
    TERMINATE = "terminate"
    TIMES = "times"
    """Check by the times of this call from now on. Nothing waits for the answer."""


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
    reason: str


@dataclass(frozen=True, slots=True)
class CallAnswer:
    outcome: CallOutcome
    message: str = ""
    pid: int = 0


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
