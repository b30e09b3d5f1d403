"""What did each node and group do over a stretch of time? Pure. Events become lanes: stretches of one state, and marks.

A lane begins with what its first event implies; a lane without events is what it is now, throughout.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clusterd.model.events import (
    GROUP_ASSIGNED,
    GROUP_RELEASE_ORDERED,
    GROUP_RELEASED,
    GROUP_STATE_CHANGED,
    NODE_ENDED,
    NODE_EXPELLED,
    NODE_JOINED,
)
from clusterd.model.ids import key_of
from clusterd.model.states import GroupState

UNKNOWN = "unknown"
_STATE_OF_NODE_EVENT = {NODE_JOINED.name: "up", NODE_EXPELLED.name: "expelling", NODE_ENDED.name: "down"}
_BEFORE_NODE_EVENT = {"up": UNKNOWN, "expelling": "up", "down": "up"}
_STATES = "|".join(sorted(GroupState, key=len, reverse=True))
# The one place that reads a message: as in 'web is partial-online on n2', from the owner's report.
_GROUP_STATE = re.compile(rf"\bis ({_STATES}) on \S+$")


@dataclass(frozen=True, slots=True)
class Stretch:
    """One state from one moment to another. `node`: where a group was."""

    from_ms: int
    to_ms: int
    state: str
    node: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """One event on a lane."""

    at_ms: int
    level: str
    title: str
    sequence: int


@dataclass(slots=True)
class Lane:
    kind: str
    name: str
    stretches: list[Stretch] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Present:
    """What a node or group is now."""

    kind: str
    name: str
    state: str
    node: str = ""


def lanes_of(events: Sequence[dict[str, Any]], present: Iterable[Present], begin_ms: int, end_ms: int) -> list[Lane]:
    """A lane for everything in `present`, in its order."""
    return [_lane(each, events, begin_ms, end_ms) for each in present]


def moment_ms(text: str | None) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0


def _lane(present: Present, events: Sequence[dict[str, Any]], begin_ms: int, end_ms: int) -> Lane:
    about = [each for each in events if key_of(each[present.kind]) == key_of(present.name)]
    if present.kind == "node":
        about = [each for each in about if not each["group"]]
    lane = Lane(present.kind, present.name, marks=[_mark(each) for each in about])
    changes = _node_changes(about) if present.kind == "node" else _group_changes(about)
    if not changes:
        lane.stretches.append(Stretch(begin_ms, end_ms, present.state, present.node))
        return lane
    at_ms, why = begin_ms, ""
    state, node = _before(present.kind, changes[0])
    for then_ms, next_state, next_node, next_why in changes:
        if then_ms > at_ms:
            lane.stretches.append(Stretch(at_ms, then_ms, state, node, why))
        at_ms, state, node, why = max(at_ms, then_ms), next_state, next_node, next_why
    if end_ms > at_ms:
        lane.stretches.append(Stretch(at_ms, end_ms, state, node, why))
    return lane


_Change = tuple[int, str, str, str]


def _before(kind: str, first: _Change) -> tuple[str, str]:
    return (_BEFORE_NODE_EVENT[first[1]], "") if kind == "node" else (UNKNOWN, "")


def _node_changes(events: Iterable[dict[str, Any]]) -> list[_Change]:
    return [
        (moment_ms(each["time"]), _STATE_OF_NODE_EVENT[each["name"]], "", each["because"])
        for each in events
        if each["name"] in _STATE_OF_NODE_EVENT
    ]


def _group_changes(events: Iterable[dict[str, Any]]) -> list[_Change]:
    """(moment, state, node, why): given to a node it is pending there until the owner says more.

    Of events that were folded into one only the first and the last moment are known; they count both.
    """
    changes: list[_Change] = []
    for each in events:
        name, node, why = each["name"], each["node"], each["because"]
        if name in (GROUP_ASSIGNED.name, GROUP_RELEASE_ORDERED.name):
            state = "pending"
        elif name == GROUP_RELEASED.name:
            state, node = "offline", ""
        elif name == GROUP_STATE_CHANGED.name and (found := _GROUP_STATE.search(each["message"])):
            state, node = found[1], "" if found[1] == "offline" else node
        else:
            continue
        moments = {moment_ms(each["first_time"]), moment_ms(each["time"])}
        changes += [(at_ms, state, node, why) for at_ms in sorted(moments)]
    return sorted(changes, key=lambda change: change[0])


def _mark(each: dict[str, Any]) -> Mark:
    title = each["message"] + (f": {each['because']}" if each["because"] else "")
    count = f" ({each['count']}× since {each['first_time']})" if each["count"] > 1 else ""
    return Mark(moment_ms(each["time"]), each["level"], f"{each['time']} {title}{count}", each["sequence"])
