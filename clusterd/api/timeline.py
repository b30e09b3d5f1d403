"""What happened, when, and what led to it? Pure. The events of the database as documents, filtered and with their links.

A cause is named by the key under which it was said first; when it was folded into a later record since, the link is
resolved to that one. The sequence of an event is its place in the timeline: it rises with every event, everywhere the same.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clusterd.api.times import parse_since, time_text
from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.errors import BadInput, NotFound
from clusterd.model.events import (
    GROUP_ASSIGNED,
    GROUP_UNPLACED,
    NODE_ENDED,
    RESOURCE_STATE_CHANGED,
    STORAGE_FENCE_ORDERED,
)
from clusterd.model.ids import key_of
from clusterd.model.records import EventRecord

AROUND_BEFORE_MS = 30_000
AROUND_AFTER_MS = 60_000
CHAIN_MAX = 12
LAST_FAILOVER = "last-failover"
_STARTS_A_FAILOVER = (NODE_ENDED.name, STORAGE_FENCE_ORDERED.name, RESOURCE_STATE_CHANGED.name)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for. Times are in wall-clock ms; 0: not limited."""

    group: str = ""
    node: str = ""
    since_wall_ms: int = 0
    until_wall_ms: int = 0

    def admits(self, record: EventRecord) -> bool:
        is_about = (not self.group or key_of(record.group) == key_of(self.group)) and (
            not self.node or key_of(record.node) == key_of(self.node)
        )
        is_then = record.wall_ms >= self.since_wall_ms and (
            not self.until_wall_ms or (record.first_wall_ms or record.wall_ms) <= self.until_wall_ms
        )
        return is_about and is_then


def sequence_of(key: str) -> int:
    revision, _, number = key.removeprefix(keys.EVENT).partition(".")
    return int(revision, 16) << 12 | int(number, 16)


def events_after(view: DatabaseView, sequence: int, asked: EventFilter = EventFilter()) -> list[dict[str, Any]]:
    """Events newer than `sequence` as documents, oldest first."""
    found = [(key, record) for key, record in _records_after(view, sequence) if asked.admits(record)]
    if not found:
        return []
    links = _links(view) if any(record.caused_by.startswith(keys.EVENT) for _, record in found) else {}
    return [event_view(key, record, links) for key, record in found]


def event_view(key: str, record: EventRecord, links: dict[str, str]) -> dict[str, Any]:
    """`links`: the present key of every event by the key under which it was said first."""
    cause = links.get(record.caused_by, "")
    return {
        "sequence": sequence_of(key),
        "time": time_text(record.wall_ms),
        "name": record.name,
        "level": record.level,
        "node": record.node,
        "group": record.group,
        "resource": record.resource,
        "message": record.message,
        "because": record.because,
        "caused_by": sequence_of(cause) if cause else None,
        "request": "" if record.caused_by.startswith(keys.EVENT) else record.caused_by,
        "count": max(1, record.count),
        "first_time": time_text(record.first_wall_ms or record.wall_ms),
    }


def parse_around(view: DatabaseView, text: str, now_wall_ms: int) -> tuple[int, int]:
    """The window (from, to) in wall-clock ms around `last-failover`, a revision, or a time."""
    if text == LAST_FAILOVER:
        begin, end = _last_failover(view)
    elif re.fullmatch(r"\d{1,18}", text):
        begin = end = _wall_at(view, int(text))
    else:
        try:
            begin = end = parse_since(text, now_wall_ms)
        except BadInput as error:
            hint = f"write {LAST_FAILOVER}, a revision, 15min (ago) or 2026-01-01T12:00:00Z"
            raise BadInput(f"{text!r} is no moment to look around", hint=hint) from error
    return begin - AROUND_BEFORE_MS, end + AROUND_AFTER_MS


def chain_of(view: DatabaseView, key: str) -> list[tuple[str, EventRecord]]:
    """The event under `key` and what led to it, the first cause first."""
    links = _links(view)
    found: list[tuple[str, EventRecord]] = []
    while key and len(found) < CHAIN_MAX:
        record = view.get(EventRecord, key)
        if record is None or any(key == known for known, _ in found):
            break
        found.append((key, record))
        key = links.get(record.caused_by, "")
    return found[::-1]


def _last_failover(view: DatabaseView) -> tuple[int, int]:
    """From its first cause to the last thing that it led to. Also that of a group which no node could take at first."""
    decided = [key for key, record in view.events() if record.name in (GROUP_ASSIGNED.name, GROUP_UNPLACED.name)]
    for key in reversed(decided):
        chain = chain_of(view, key)
        if any(record.name in _STARTS_A_FAILOVER and record.level != "info" for _, record in chain[:-1]):
            return chain[0][1].wall_ms, chain[-1][1].wall_ms
    raise NotFound("no failover is in the timeline", hint="clusterctl events --since 6h shows what is")


def _wall_at(view: DatabaseView, revision: int) -> int:
    """When the newest event up to `revision` was said."""
    known = view.database.keys_under(keys.EVENT)
    at = bisect.bisect_left(known, keys.event(revision + 1, 0)) - 1
    record = view.get(EventRecord, known[max(0, at)]) if known else None
    if record is None:
        raise NotFound("the timeline is empty")
    return record.wall_ms


def _links(view: DatabaseView) -> dict[str, str]:
    return {record.first_key or key: key for key, record in view.events()}


def _records_after(view: DatabaseView, sequence: int) -> Iterator[tuple[str, EventRecord]]:
    known = view.database.keys_under(keys.EVENT)
    first_key = keys.event(sequence >> 12, sequence & 0xFFF) if sequence > 0 else ""
    for key in known[bisect.bisect_right(known, first_key) :]:
        record = view.get(EventRecord, key)
        if record is not None:
            yield key, record
