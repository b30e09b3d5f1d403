"""How is the disk under a node's durable state doing? Pure.

A disk that takes no writes, or takes them slowly, is nobody's silence: heartbeats, leases and workloads go on. What is meant
is said in codes; the sentences are made here, for people.
"""

from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.durations import rough_text
from clusterd.model.ids import NodeId


class DiskState(StrEnum):
    UNTRIED = "untried"
    """Nothing was written since the daemon started: what was told before it stands."""
    OK = "ok"
    SLOW = "slow"
    FULL = "full"
    """It takes no writes for want of room, and goes on by itself when there is some."""
    REFUSES = "refuses"
    """It takes no writes for another reason that may pass."""
    FAILED = "failed"
    """A write or a sync failed: the daemon ends, for nobody knows what is on the disk."""


TAKES_NOTHING = frozenset({DiskState.FULL, DiskState.REFUSES, DiskState.FAILED})


@dataclass(frozen=True, slots=True)
class DiskCondition:
    """What a node knows of its own disk. `took_ms`: the slowest of its latest writes; `text`: the kernel's words."""

    state: DiskState = DiskState.OK
    took_ms: int = 0
    text: str = ""

    @property
    def takes_nothing(self) -> bool:
        return self.state in TAKES_NOTHING


@dataclass(frozen=True, slots=True)
class DiskRecord:
    """What the cluster was told of a node's disk. Written by the leader, when the state changes."""

    node: NodeId
    state: DiskState
    took_ms: int = 0
    text: str = ""
    since_wall_ms: int = 0
    since_cluster_ms: int = 0


def disk_fault_text(state: DiskState, took_ms: int, text: str) -> str:
    """What is the matter with a disk; empty when nothing is."""
    why = f": {text}" if text else ""
    match state:
        case DiskState.OK | DiskState.UNTRIED:
            return ""
        case DiskState.SLOW:
            return f"its disk is slow: a write took {rough_text(took_ms)} to become durable"
        case DiskState.FULL:
            return f"its disk is full{why}"
        case DiskState.REFUSES:
            return f"its disk takes no writes{why}"
        case DiskState.FAILED:
            return f"its disk failed{why}"


def disk_text(state: DiskState, took_ms: int, text: str) -> str:
    """The same, with what follows from it."""
    fault = disk_fault_text(state, took_ms, text)
    match state:
        case DiskState.OK | DiskState.UNTRIED | DiskState.SLOW:
            return fault
        case DiskState.FULL:
            return f"{fault}; what runs goes on, and it writes again by itself as soon as there is room"
        case DiskState.REFUSES:
            return f"{fault}; what runs goes on, and it writes again by itself as soon as it can"
        case DiskState.FAILED:
            return f"{fault}; its daemon ended"
