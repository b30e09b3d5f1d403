"""How does a resource get from one state to another? Pure.

The legal moves are data; `advance` applies them, and nothing else assigns a state. Every pair of state and event is either
an arc or an explained exemption; a test walks them all, and docs/states.md is drawn from this table.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from clusterd.model.errors import BrokenInvariant
from clusterd.model.ids import ResourceId
from clusterd.model.reasons import why_text
from clusterd.model.records import Properties, RestartStamp
from clusterd.model.states import NextAction, ResourceState

OFFLINE = ResourceState.OFFLINE
ONLINE_PENDING = ResourceState.ONLINE_PENDING
ONLINE = ResourceState.ONLINE
OFFLINE_PENDING = ResourceState.OFFLINE_PENDING
FAILED = ResourceState.FAILED


class Happening(StrEnum):
    """What can happen to a resource."""

    ONLINE_ASKED = "online-asked"
    ONLINE_DONE = "online-done"
    ONLINE_FAILED = "online-failed"
    NOT_ON_THIS_NODE = "not-on-this-node"
    OFFLINE_ASKED = "offline-asked"
    OFFLINE_DONE = "offline-done"
    STOP_FAILED = "stop-failed"
    CHECK_FAILED = "check-failed"
    STOPPED_ITSELF = "stopped-itself"
    HOST_LOST = "host-lost"
    RECYCLED = "recycled"
    CHECK_PASSED = "check-passed"
    EMBEDDED_FAILED = "embedded-failed"
    EMBEDDED_WELL = "embedded-well"
    CONCERN = "concern"
    DOUBT = "doubt"
    WARNED = "warned"


class Arc(NamedTuple):
    target: ResourceState
    because: str


ARCS: dict[tuple[ResourceState, Happening], Arc] = {
    (OFFLINE, Happening.ONLINE_ASKED): Arc(ONLINE_PENDING, "its owner brings it online"),
    (FAILED, Happening.ONLINE_ASKED): Arc(ONLINE_PENDING, "its owner brings it online again"),
    (ONLINE_PENDING, Happening.ONLINE_DONE): Arc(ONLINE, "its resource type reported success"),
    (ONLINE_PENDING, Happening.ONLINE_FAILED): Arc(FAILED, "it did not come online"),
    (ONLINE_PENDING, Happening.NOT_ON_THIS_NODE): Arc(OFFLINE, "it cannot run on this node"),
    (ONLINE_PENDING, Happening.OFFLINE_ASKED): Arc(OFFLINE_PENDING, "it is stopped while it was coming online"),
    (ONLINE_PENDING, Happening.CHECK_FAILED): Arc(FAILED, "it failed while it was coming online"),
    (ONLINE_PENDING, Happening.HOST_LOST): Arc(FAILED, "its resource host ended"),
    (ONLINE, Happening.OFFLINE_ASKED): Arc(OFFLINE_PENDING, "its owner takes it offline"),
    (ONLINE, Happening.CHECK_FAILED): Arc(FAILED, "it failed"),
    (ONLINE, Happening.STOPPED_ITSELF): Arc(OFFLINE, "it ended by itself, which is no failure"),
    (ONLINE, Happening.HOST_LOST): Arc(FAILED, "its resource host ended"),
    (OFFLINE_PENDING, Happening.OFFLINE_DONE): Arc(OFFLINE, "nothing of it runs here"),
    (OFFLINE_PENDING, Happening.STOP_FAILED): Arc(FAILED, "it could not be stopped"),
    (OFFLINE_PENDING, Happening.HOST_LOST): Arc(OFFLINE, "its resource host ended, and with it everything of it"),
    (FAILED, Happening.RECYCLED): Arc(OFFLINE, "it is not wanted, and nothing of it runs here"),
    (FAILED, Happening.CHECK_PASSED): Arc(ONLINE, "its checks pass again, and nobody touched it"),
}

_LATE = "an answer or event of an attempt that is over"
_NOT_FAILED = "only what failed and was left alone comes back by itself"
_INSIDE = "noted beside the state; where it is to be recovered, it comes as a failed check"
_DOUBTED = "noted beside the state of what is online; what lasts too long comes as a failed check"
_TOLD = "a line of the timeline"
IGNORED: dict[tuple[ResourceState, Happening], str] = {
    (OFFLINE, Happening.ONLINE_DONE): _LATE,
    (OFFLINE, Happening.ONLINE_FAILED): _LATE,
    (OFFLINE, Happening.NOT_ON_THIS_NODE): _LATE,
    (OFFLINE, Happening.OFFLINE_ASKED): "it is offline already",
    (OFFLINE, Happening.OFFLINE_DONE): _LATE,
    (OFFLINE, Happening.STOP_FAILED): _LATE,
    (OFFLINE, Happening.CHECK_FAILED): "a check was in flight when it went offline",
    (OFFLINE, Happening.STOPPED_ITSELF): _LATE,
    (OFFLINE, Happening.HOST_LOST): "nothing of it ran there",
    (OFFLINE, Happening.RECYCLED): "it is offline already",
    (ONLINE_PENDING, Happening.ONLINE_ASKED): "it is coming online already",
    (ONLINE_PENDING, Happening.OFFLINE_DONE): _LATE,
    (ONLINE_PENDING, Happening.STOP_FAILED): _LATE,
    (ONLINE_PENDING, Happening.STOPPED_ITSELF): "the answer to the online call decides",
    (ONLINE_PENDING, Happening.RECYCLED): "only a failed resource is recycled",
    (ONLINE, Happening.ONLINE_ASKED): "it is online already",
    (ONLINE, Happening.ONLINE_DONE): _LATE,
    (ONLINE, Happening.ONLINE_FAILED): _LATE,
    (ONLINE, Happening.NOT_ON_THIS_NODE): _LATE,
    (ONLINE, Happening.OFFLINE_DONE): _LATE,
    (ONLINE, Happening.STOP_FAILED): _LATE,
    (ONLINE, Happening.RECYCLED): "only a failed resource is recycled",
    (OFFLINE_PENDING, Happening.ONLINE_ASKED): "refused while it goes offline: asked again when it is offline",
    (OFFLINE_PENDING, Happening.ONLINE_DONE): _LATE,
    (OFFLINE_PENDING, Happening.ONLINE_FAILED): _LATE,
    (OFFLINE_PENDING, Happening.NOT_ON_THIS_NODE): _LATE,
    (OFFLINE_PENDING, Happening.OFFLINE_ASKED): "it is going offline already",
    (OFFLINE_PENDING, Happening.CHECK_FAILED): "it is being stopped anyway",
    (OFFLINE_PENDING, Happening.STOPPED_ITSELF): "it is being stopped anyway",
    (OFFLINE_PENDING, Happening.RECYCLED): "only a failed resource is recycled",
    (FAILED, Happening.ONLINE_DONE): _LATE,
    (FAILED, Happening.ONLINE_FAILED): _LATE,
    (FAILED, Happening.NOT_ON_THIS_NODE): _LATE,
    (FAILED, Happening.OFFLINE_ASKED): "it is recycled as soon as nothing of it runs",
    (FAILED, Happening.OFFLINE_DONE): "the end of what was left of it changes no state",
    (FAILED, Happening.STOP_FAILED): "it is failed already",
    (FAILED, Happening.CHECK_FAILED): "it is failed already",
    (FAILED, Happening.STOPPED_ITSELF): "it is failed already",
    (FAILED, Happening.HOST_LOST): "it is failed already",
    **{(state, Happening.CHECK_PASSED): _NOT_FAILED for state in (OFFLINE, ONLINE_PENDING, ONLINE, OFFLINE_PENDING)},
    **{
        (state, happening): _INSIDE
        for state in (OFFLINE, ONLINE_PENDING, ONLINE, OFFLINE_PENDING, FAILED)
        for happening in (Happening.EMBEDDED_FAILED, Happening.EMBEDDED_WELL, Happening.CONCERN)
    },
    **{(state, Happening.DOUBT): _DOUBTED for state in (OFFLINE, ONLINE_PENDING, ONLINE, OFFLINE_PENDING, FAILED)},
    **{(state, Happening.WARNED): _TOLD for state in (OFFLINE, ONLINE_PENDING, ONLINE, OFFLINE_PENDING, FAILED)},
}


@dataclass(frozen=True, slots=True)
class Held:
    """A resource in its owner's hands.

    `may_run` is a fact beside the state: something of it may still run here. Only a confirmed stop clears it, and no other
    node may take the group before it is cleared.
    """

    name: ResourceId
    state: ResourceState = OFFLINE
    sequence: int = 0
    since_wall_ms: int = 0
    cause: str = ""
    may_run: bool = False
    pid: int = 0
    restarts: tuple[RestartStamp, ...] = ()
    next_action: NextAction = NextAction.NONE
    next_action_cluster_ms: int = 0
    fail_id: str = ""
    evidence: str = ""
    kill_id: str = ""
    is_hands_off: bool = False
    """Maintenance is in force: it is watched, and not touched."""
    embedded_failure: str = ""
    concern: str = ""
    not_now_count: int = 0
    """How often in a row what it needs did not answer on this node. A daemon that restarts counts anew."""
    doubt: str = ""
    """Why its checks cannot tell whether it is well."""
    doubt_since_wall_ms: int = 0
    doubt_since_cluster_ms: int = 0
    failed_meanwhile: bool = False
    """It failed while no daemon was there to hear of it: that is judged with the next plan."""
    restart_id: str = ""
    """The last request to restart it that was carried out: what its record says beyond that is still to be done."""
    told: Properties | None = None
    """The properties it was last told to come online with; None: not known any more."""
    is_apart: bool = False
    """It crashed a host, or hung in one: it has one of its own."""
    is_prepared: bool = False
    """Nothing of it runs here yet, and what arrived by live migration goes on with the next online."""
    ran_as: str = ""
    """Digest of what it was last told to come online with, or is told next if nothing of it runs; empty: not known."""
    is_redefined: bool = False
    """`ran_as` was something else before. It comes online when the cluster knows: whoever looks at the last report must not
    take what runs for what it was."""
    stop_trouble: str = ""
    """Why it is terminated now: it did not go offline in good order."""
    left_alone: str = ""
    """The maintenance for which nothing follows from its failure."""

    @property
    def why(self) -> str:
        """The cause as it is told, with the maintenance."""
        return why_text(self.cause, self.left_alone)


def advance(held: Held, happening: Happening, *, because: str, wall_ms: int) -> Held:
    """Apply one happening. The same object comes back when it changes nothing."""
    arc = ARCS.get((held.state, happening))
    if arc is None:
        if (held.state, happening) not in IGNORED:
            raise BrokenInvariant(f"{held.name}: nobody said what {happening} means while {held.state}")
        return held
    return replace(
        held,
        state=arc.target,
        sequence=held.sequence + 1,
        since_wall_ms=wall_ms,
        cause=f"{arc.because}: {because}" if because else arc.because,
        next_action=NextAction.NONE,
        next_action_cluster_ms=0,
        stop_trouble="",
        left_alone="",
        failed_meanwhile=False,
    )
