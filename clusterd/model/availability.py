"""How long was a group online, of the time that it should have been? Pure. One record a group, written by the leader.

A group is measured from the moment at which it was first online. From then on every moment is one of three: it was online;
it was wanted and was not (an outage, however it came about: a move is one, as long as it takes); or nobody wanted it, or
maintenance kept the cluster's hands off it, and that counts for nothing.

Lengths go by the cluster's own clock, which no wall clock moves. That clock stands still while no node runs: how long that
was is what the wall clock is ahead of it afterwards, and what was online before that was not online meanwhile.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from clusterd.model.ids import GroupId


class AvailabilityState(StrEnum):
    ONLINE = "online"
    OUTAGE = "outage"
    NOT_WANTED = "not-wanted"


class Moment(NamedTuple):
    cluster_ms: int
    wall_ms: int


class ColdStart(NamedTuple):
    """The last moment at which the cluster came up with nothing running; number 0: there was none."""

    number: int
    at: Moment


class Figures(NamedTuple):
    """Up to one moment. `longest_wall_ms`: when the longest outage began."""

    online_ms: int
    expected_ms: int
    outages: int
    longest_ms: int
    longest_wall_ms: int


@dataclass(frozen=True, slots=True)
class AvailabilityRecord:
    """What was measured of a group up to `since`, and what it is since then."""

    group: GroupId
    group_id: str
    state: AvailabilityState
    since_cluster_ms: int
    since_wall_ms: int
    began_wall_ms: int
    """Since when it is measured."""
    formation: int
    """The last cold start that is counted."""
    stood_still_ms: int = 0
    """Of the present stretch: how long no node ran, as far as the wall clock tells."""
    online_ms: int = 0
    outage_ms: int = 0
    outages: int = 0
    longest_ms: int = 0
    longest_wall_ms: int = 0


def first_online(group: GroupId, group_id: str, at: Moment, last: ColdStart) -> AvailabilityRecord:
    return AvailabilityRecord(
        group, group_id, AvailabilityState.ONLINE, at.cluster_ms, at.wall_ms, at.wall_ms, last.number
    )


def entered(record: AvailabilityRecord, state: AvailabilityState, at: Moment) -> AvailabilityRecord:
    """The present stretch ends, another begins: none before the one before it. What it is already it goes on being."""
    if state is record.state:
        return record
    at = Moment(max(at.cluster_ms, record.since_cluster_ms), at.wall_ms)
    told = figures(record, at.cluster_ms)
    return replace(
        record,
        state=state,
        since_cluster_ms=at.cluster_ms,
        since_wall_ms=at.wall_ms,
        stood_still_ms=0,
        online_ms=told.online_ms,
        outage_ms=told.expected_ms - told.online_ms,
        outages=record.outages + (state is AvailabilityState.OUTAGE),
        longest_ms=told.longest_ms,
        longest_wall_ms=told.longest_wall_ms,
    )


def over_cold_start(record: AvailabilityRecord, last: ColdStart) -> AvailabilityRecord:
    """With the cold start that came since, if there was one: what was online was not any more."""
    if record.formation == last.number:
        return record
    ahead_before = record.since_wall_ms - record.since_cluster_ms
    stood_still_ms = max(0, last.at.wall_ms - last.at.cluster_ms - ahead_before)
    if record.state is AvailabilityState.ONLINE:
        stood = Moment(last.at.cluster_ms, last.at.wall_ms - stood_still_ms)
        record = entered(record, AvailabilityState.OUTAGE, stood)
    return replace(record, formation=last.number, stood_still_ms=record.stood_still_ms + stood_still_ms)


def figures(record: AvailabilityRecord, cluster_ms: int) -> Figures:
    """Up to `cluster_ms`, the present stretch included."""
    length_ms = max(0, cluster_ms - record.since_cluster_ms) + record.stood_still_ms
    online_ms, outage_ms = record.online_ms, record.outage_ms
    longest_ms, longest_wall_ms = record.longest_ms, record.longest_wall_ms
    if record.state is AvailabilityState.ONLINE:
        online_ms += length_ms
    elif record.state is AvailabilityState.OUTAGE:
        outage_ms += length_ms
        if length_ms > longest_ms:
            longest_ms, longest_wall_ms = length_ms, record.since_wall_ms
    return Figures(online_ms, online_ms + outage_ms, record.outages, longest_ms, longest_wall_ms)
