"""What does the timeline know about an event that is about to be said: its cause, and was it said before? Pure.

An event that repeats another among the newest `COLLAPSE_AMONG` takes its place and counts on, so that what fails again and
again does not push everything else out ("failed 214 times since 12:00"). What happened once and for all (a group given to
a node, a node lost) and what a person asked for is never folded, nor is anything about a group with what was said before it
was given to its present owner.

The cause of an event is the newest one of those that `_CAUSES` names about the same subject, unless the subject has already
answered to it: a failure an hour after a start was not caused by that start. Events are named by the key under which they
were said first, so that a link holds when its target is folded.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from clusterd.database.store import EVENTS_KEPT_MAX, Database
from clusterd.model import codec, keys
from clusterd.model import events as catalogue
from clusterd.model.events import Event
from clusterd.model.ids import key_of
from clusterd.model.records import AssignmentRecord, EventRecord

COLLAPSE_AMONG = 64
KNOWN_MAX = 8 * EVENTS_KEPT_MAX

# Numbers by themselves or with a unit; those within a name, as in n1 or web-2, are part of it.
_NUMBER = re.compile(r"(?<![\w.-])\d[\d.:]*")


_FAILURE = "!"


class _Link(NamedTuple):
    """An event that may be the cause, and what it shares with its effect. `owner`: it is about the group's owner."""

    cause: Event
    subject: str
    is_failure: bool = False
    """Only when it was said as an error."""

    @property
    def name(self) -> str:
        return self.cause.name + _FAILURE if self.is_failure else self.cause.name


_OPERATORS_CHANGE = (_Link(catalogue.WANTED_CHANGED, "group"), _Link(catalogue.CONFIGURATION_APPLIED, "group"))
_MOVE = (_Link(catalogue.MOVE_ASKED, "group"), _Link(catalogue.MOVE_QUEUED, "group"))
_LOSS = (
    _Link(catalogue.NODE_ENDED, "owner"),
    _Link(catalogue.STORAGE_FENCED, "group"),
    _Link(catalogue.GROUP_RELEASED, "group"),
)
_DRAIN = (_Link(catalogue.DRAIN_BEGUN, "owner"), _Link(catalogue.DRAIN_ASKED, "owner"))
_HANDS_OFF = tuple(_Link(catalogue.MAINTENANCE_BEGUN, subject) for subject in ("node", "group", "resource"))
_HANDS_ON = tuple(_Link(catalogue.MAINTENANCE_ENDED, subject) for subject in ("node", "group", "resource"))
_FAILED = _Link(catalogue.RESOURCE_STATE_CHANGED, "group", is_failure=True)
_CAUSES: dict[str, tuple[_Link, ...]] = {
    catalogue.NODE_ENDED.name: (
        _Link(catalogue.NODE_EXPELLED, "node"),
        _Link(catalogue.STOP_ASKED, "node"),
        _Link(catalogue.NODE_FENCE_ASKED, "node"),
    ),
    catalogue.NODE_EXPELLED.name: (_Link(catalogue.NODE_FENCE_ASKED, "node"),),
    catalogue.NODE_QUARANTINED.name: (_Link(catalogue.NODE_ENDED, "node"),),
    catalogue.DRAIN_BEGUN.name: (_Link(catalogue.DRAIN_ASKED, "node"), _Link(catalogue.STOP_ASKED, "node")),
    catalogue.DRAIN_COMPLETED.name: (_Link(catalogue.DRAIN_BEGUN, "node"),),
    catalogue.DRAIN_FAILED.name: (_Link(catalogue.DRAIN_BEGUN, "node"),),
    catalogue.MOVE_QUEUED.name: (_Link(catalogue.MOVE_ASKED, "group"),),
    catalogue.MOVE_GIVEN_UP.name: _MOVE,
    catalogue.GROUP_ASSIGNED.name: (*_LOSS, _Link(catalogue.NODE_JOINED, "node"), *_OPERATORS_CHANGE),
    catalogue.GROUP_RELEASE_ORDERED.name: (*_MOVE, *_DRAIN, _FAILED, *_OPERATORS_CHANGE),
    catalogue.GROUP_PREEMPTED.name: _LOSS,
    catalogue.GROUP_RELEASED.name: (
        _Link(catalogue.GROUP_RELEASE_ORDERED, "group"),
        _Link(catalogue.GROUP_PREEMPTED, "group"),
        _Link(catalogue.STOP_ASKED, "node"),
    ),
    catalogue.STORAGE_FENCE_ORDERED.name: (
        _Link(catalogue.NODE_EXPELLED, "owner"),
        _Link(catalogue.STORAGE_FENCE_FAILED, "group"),
    ),
    catalogue.STORAGE_FENCED.name: (_Link(catalogue.STORAGE_FENCE_ORDERED, "group"),),
    catalogue.STORAGE_FENCE_FAILED.name: (_Link(catalogue.STORAGE_FENCE_ORDERED, "group"),),
    catalogue.GROUP_BLOCKED.name: (_FAILED,),
    catalogue.GROUP_UNPLACED.name: _LOSS,
    catalogue.GROUP_HELD.name: (*_LOSS, *_OPERATORS_CHANGE),
    catalogue.GROUP_STARTED.name: (_Link(catalogue.GROUP_HELD, "group"), *_OPERATORS_CHANGE),
    catalogue.RESOURCE_STATE_CHANGED.name: (
        _Link(catalogue.FAILURE_SIMULATED, "resource"),
        _Link(catalogue.KILL_ASKED, "resource"),
        _Link(catalogue.RESOURCE_RESTARTED, "resource"),
        _Link(catalogue.GROUP_ASSIGNED, "group"),
        _Link(catalogue.GROUP_STARTED, "group"),
        _Link(catalogue.GROUP_RELEASE_ORDERED, "group"),
        *_OPERATORS_CHANGE,
    ),
    catalogue.RESOURCE_RESTARTED.name: (_Link(catalogue.RESOURCE_STATE_CHANGED, "resource", is_failure=True),),
    catalogue.RESOURCE_STUCK.name: (_Link(catalogue.GROUP_RELEASE_ORDERED, "group"), *_OPERATORS_CHANGE),
    catalogue.GROUP_STATE_CHANGED.name: (
        _Link(catalogue.GROUP_ASSIGNED, "group"),
        _Link(catalogue.GROUP_STARTED, "group"),
        _Link(catalogue.RESOURCE_STATE_CHANGED, "group"),
        _Link(catalogue.GROUP_RELEASE_ORDERED, "group"),
        *_OPERATORS_CHANGE,
    ),
    catalogue.HANDS_OFF_ENTERED.name: _HANDS_OFF,
    catalogue.HANDS_OFF_LEFT.name: _HANDS_ON,
}
_NEVER_FOLDED = frozenset(
    each.name
    for each in (
        catalogue.GROUP_ASSIGNED,
        catalogue.GROUP_RELEASE_ORDERED,
        catalogue.NODE_JOINED,
        catalogue.NODE_EXPELLED,
        catalogue.NODE_ENDED,
        catalogue.STORAGE_FENCE_ORDERED,
        catalogue.STORAGE_FENCED,
    )
)

Signature = tuple[str, str, str, str, str]


def signature_of(event: EventRecord) -> Signature:
    """Two events with one signature say the same thing; the numbers in the message may differ."""
    return (event.name, event.node, event.group, event.resource, _NUMBER.sub("#", event.message))


def is_foldable(event: EventRecord) -> bool:
    """Whether it may take the place of one like it. What somebody asked for, under a request id, may not."""
    is_asked_for = bool(event.caused_by) and not event.caused_by.startswith(keys.EVENT)
    return event.name not in _NEVER_FOLDED and not is_asked_for


def folded(event: EventRecord, key: str, before: EventRecord) -> EventRecord:
    """`event` in the place of `before`, which lives under `key`: it counts on, and a cause is never lost."""
    return replace(
        event,
        count=max(1, before.count) + max(1, event.count),
        first_wall_ms=before.first_wall_ms or before.wall_ms,
        first_key=before.first_key or key,
        caused_by=event.caused_by or before.caused_by,
    )


def said_again(said: EventRecord, event: EventRecord) -> EventRecord:
    """One event for two of one draft."""
    return replace(
        said,
        wall_ms=event.wall_ms,
        because=event.because,
        count=max(1, said.count) + max(1, event.count),
        first_wall_ms=said.first_wall_ms or said.wall_ms,
    )


class Timeline:
    """What was said last, by signature and by subject. Reads only what is new since the last look."""

    def __init__(self) -> None:
        self._read_to = ""
        self._as_of = -1
        self._same: dict[Signature, str] = {}
        self._newest: dict[tuple[str, str, str], str] = {}

    def look(self, database: Database) -> None:
        """Take in the events that are new."""
        if self._as_of == database.changed_at(keys.EVENT):
            return
        self._as_of = database.changed_at(keys.EVENT)
        if len(self._newest) > KNOWN_MAX:
            self._read_to, self._same, self._newest = "", {}, {}
        known = database.keys_under(keys.EVENT)
        for key in known[bisect_right(known, self._read_to) :]:
            item = database.get(key)
            if item is not None:
                self._take(key, codec.decode(EventRecord, item.value))
        self._read_to = known[-1] if known else ""

    def _take(self, key: str, event: EventRecord) -> None:
        if is_foldable(event):
            self._same[signature_of(event)] = key
        for kind, name in _subjects(event):
            self._newest[event.name, kind, name] = key
            if event.level == "error":
                self._newest[event.name + _FAILURE, kind, name] = key

    def same_as(self, database: Database, event: EventRecord) -> str:
        """The key of the event that `event` repeats; empty when there is none."""
        key = self._same.get(signature_of(event), "") if is_foldable(event) else ""
        given = self._newest.get((catalogue.GROUP_ASSIGNED.name, "group", key_of(event.group)), "")
        if not key or key < given or database.get(key) is None:
            return ""
        return key if key in database.keys_under(keys.EVENT)[-COLLAPSE_AMONG:] else ""

    def cause_of(self, database: Database, event: EventRecord, assignment: AssignmentRecord | None) -> str:
        """The name (`first_key`, else key) of the event that led to `event`. `assignment`: the group's before it."""
        after = max((self._newest.get((event.name, *each), "") for each in _subjects(event)[-1:]), default="")
        found = ""
        for link in _CAUSES.get(event.name, ()):
            if link.subject == "owner":
                kind, about = "node", assignment.owner if assignment else ""
            else:
                kind, about = link.subject, getattr(event, link.subject)
            found = max(found, self._newest.get((link.name, kind, key_of(about)), "")) if about else found
        item = database.get(found) if found > after else None
        return (codec.decode(EventRecord, item.value).first_key or found) if item is not None else ""


def _subjects(event: EventRecord) -> list[tuple[str, str]]:
    """What the event is about, the most particular last."""
    return list(_subjects_of(event))


def _subjects_of(event: EventRecord) -> Iterator[tuple[str, str]]:
    for kind, name in (("node", event.node), ("group", event.group), ("resource", event.resource)):
        if name:
            yield kind, key_of(name)
