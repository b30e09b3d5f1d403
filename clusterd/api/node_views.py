"""What does the API answer about a node: its state, what stands beside it, and how far its drain has come? Pure."""

from typing import Any

from clusterd.api.data_view import member_state, progress_percent, what_restores
from clusterd.api.maintenance import maintenance_view, node_hands_off
from clusterd.api.port import NodeStatus, PeerStatus
from clusterd.api.times import time_text, wall_of
from clusterd.database import DatabaseView
from clusterd.leader import quarantine
from clusterd.model.counts import times
from clusterd.model.disk import DiskCondition, DiskState, disk_text
from clusterd.model.drains import DrainRecord
from clusterd.model.durations import rough_text
from clusterd.model.records import MembershipRecord, NodeRecord
from clusterd.model.settings import cluster_settings
from clusterd.model.settings_catalogue import Scope, setting
from clusterd.model.states import DrainState, MembershipState, NodeState
from clusterd.model.states import NodeStatus as NodeWord

_DRAIN_WORDS = {
    DrainState.IN_PROGRESS: NodeWord.DRAIN_IN_PROGRESS,
    DrainState.COMPLETED: NodeWord.DRAIN_COMPLETED,
    DrainState.FAILED: NodeWord.DRAIN_FAILED,
}


_DISK_WORDS = {
    DiskState.SLOW: NodeWord.DISK_SLOW,
    DiskState.FULL: NodeWord.DISK_FULL,
    DiskState.REFUSES: NodeWord.DISK_REFUSES,
    DiskState.FAILED: NodeWord.DISK_FAILED,
}


def node_view(view: DatabaseView, status: NodeStatus, record: NodeRecord) -> dict[str, Any]:
    member = view.membership(record.name)
    peer = next((each for each in status.peers if each.node == record.name), None)
    is_self = record.name == status.node
    owned = groups_owned(view, record)
    quarantined_until = member.quarantined_until_cluster_ms if member and is_quarantined(member, record, status) else 0
    return {
        "name": record.name,
        "state": node_state(member, record).value,
        "status": status_words(view, status, record),
        "vote": int(peer.has_vote) if peer else 0,
        "assigned_vote": 1,
        "member_state": member_state(peer),
        "progress_percent": progress_percent(peer),
        "lag_entries": _lag_entries(status, peer),
        "is_leader": status.leader == record.name,
        "heartbeat_age_ms": None if is_self or peer is None else peer.heartbeat_age_ms,
        "since": _since(record, member),
        "because": _because(view, status, record),
        "groups": owned,
        "number": record.number,
        "peer_address": record.peer_address,
        "api_address": record.api_address,
        "incarnation": member.incarnation if member else "",
        "evidence": evidence_view(member),
        "paused": pause_view(record),
        "drain": drain_view(view, record),
        "quarantined_until": time_text(wall_of(status, quarantined_until)) if quarantined_until else None,
        "not_quarantined_because": _why_not_quarantined(view, status, member),
        "maintenance": _maintenance(view, record),
        "disk": _disk_view(view, status, record),
    }


def _lag_entries(status: NodeStatus, peer: PeerStatus | None) -> int | None:
    """How far its log is behind the longest that is known; None: it did not say how far it goes."""
    if peer is None or not peer.is_reachable or not peer.reach_term:
        return None
    return max(each.reach_index for each in status.peers) - peer.reach_index


def node_disk(view: DatabaseView, status: NodeStatus, record: NodeRecord) -> DiskCondition:
    """How the node's disk is doing: by its own heartbeats, or by what it said last when there are none any more."""
    peer = next((each for each in status.peers if each.node == record.name), None)
    if peer is not None and peer.is_reachable and peer.disk.state is not DiskState.UNTRIED:
        return peer.disk
    told = view.disk(record.name)
    return DiskCondition(told.state, told.took_ms, told.text) if told is not None else DiskCondition()


def _disk_view(view: DatabaseView, status: NodeStatus, record: NodeRecord) -> dict[str, Any]:
    disk, told = node_disk(view, status, record), view.disk(record.name)
    is_told = told is not None and told.state is disk.state
    return {
        "state": disk.state.value,
        "took_ms": disk.took_ms or None,
        "text": disk_text(disk.state, disk.took_ms, disk.text),
        "since": time_text(told.since_wall_ms) if told is not None and is_told else None,
    }


def _why_not_quarantined(view: DatabaseView, status: NodeStatus, member: MembershipRecord | None) -> str:
    threshold = cluster_settings(view.cluster()).quarantine_threshold
    if member is None:
        return ""
    return quarantine.why_not_quarantined(member, view, threshold=threshold, cluster_ms=status.cluster_ms)


def groups_owned(view: DatabaseView, record: NodeRecord) -> list[str]:
    return sorted(
        each.name for each in view.groups() if (found := view.assignment_of(each)) and found.owner == record.name
    )


def node_state(member: MembershipRecord | None, record: NodeRecord | None = None) -> NodeState:
    """An expelled node may still run something: it counts as up, with the word *expelling* beside it.

    *Paused* is a node that is up and may gain nothing; one that is down says so, and has the word beside it.
    """
    if member is None or member.state is MembershipState.JOINING:
        return NodeState.JOINING
    if member.state is MembershipState.DOWN:
        return NodeState.DOWN
    return NodeState.PAUSED if record is not None and record.pause is not None else NodeState.UP


def status_words(view: DatabaseView, status: NodeStatus, record: NodeRecord) -> list[str]:
    """What stands beside the state, most urgent first."""
    member = view.membership(record.name)
    state = node_state(member, record)
    peer: PeerStatus | None = next((each for each in status.peers if each.node == record.name), None)
    drain = current_drain(view, record)
    words = {
        NodeWord.EXPELLING.value: member is not None and member.state is MembershipState.EXPELLING,
        "unreachable": record.name != status.node
        and peer is not None
        and not peer.is_reachable
        and state in (NodeState.UP, NodeState.PAUSED),
        NodeWord.CANNOT_BE_COMMANDED.value: peer is not None and peer.is_mute,
        "no-guard": is_without_guard(status, member),
        **{word.value: node_disk(view, status, record).state is disk for disk, word in _DISK_WORDS.items()},
        NodeWord.QUARANTINED.value: is_quarantined(member, record, status),
        "paused": record.pause is not None and state is not NodeState.PAUSED,
        _DRAIN_WORDS[drain.state].value if drain else "": drain is not None,
        NodeWord.HANDS_OFF.value: node_hands_off(view, record) is not None,
        NodeWord.AVOID_PLACEMENT.value: avoids_placement(record),
    }
    return [word for word, is_true in words.items() if is_true]


def avoids_placement(record: NodeRecord) -> bool:
    return bool(record.properties.get("avoid_placement", setting(Scope.NODE, "avoid_placement").default))


def is_quarantined(member: MembershipRecord | None, record: NodeRecord | None, status: NodeStatus) -> bool:
    """Kept out for now: neither is the time over, nor has somebody ended it."""
    return member is not None and quarantine.is_quarantined(member, record, status.cluster_ms)


def current_drain(view: DatabaseView, record: NodeRecord) -> DrainRecord | None:
    """What became of the drain that was asked for last; None while nobody wants one, or none has begun."""
    drain = view.drain(record.name)
    if record.pause is None or not record.pause.is_drain or drain is None or drain.pause_id != record.pause.id:
        return None
    return drain


def groups_left(view: DatabaseView, drain: DrainRecord) -> list[str]:
    """What the drained node still has of what was on it when the drain began."""
    owned: list[str] = []
    for name in drain.groups:
        group = view.group(name)
        assignment = view.assignment_of(group) if group is not None else None
        if assignment is not None and assignment.owner == drain.node:
            owned.append(name)
    return owned


def drain_text(view: DatabaseView, record: NodeRecord) -> str:
    """How far it is, in a sentence: 'it is being drained: 3 of 5 groups have left'."""
    drain = current_drain(view, record)
    if drain is None:
        return "it is about to be drained"
    if drain.state is DrainState.COMPLETED:
        return f"it is drained: {_left_text(len(drain.groups), len(drain.groups))}"
    if drain.state is DrainState.FAILED:
        told = "; ".join(f"{each.group}: {each.reason}" for each in drain.failed) or "not every group could leave"
        return f"its drain failed: {told}"
    gone = len(drain.groups) - len(groups_left(view, drain))
    return f"it is being drained: {_left_text(gone, len(drain.groups))}"


def _left_text(gone: int, total: int) -> str:
    if not total:
        return "nothing was on it"
    if gone == total:
        return "its only group has left" if total == 1 else f"all {total} groups have left"
    return "its only group has not left yet" if total == 1 else f"{gone} of {total} groups have left"


def pause_view(record: NodeRecord) -> dict[str, Any] | None:
    pause = record.pause
    if pause is None:
        return None
    return {
        "since": time_text(pause.asked_wall_ms),
        "by": pause.asked_by,
        "drain": pause.is_drain,
        "target": pause.target or None,
        "force": pause.is_forced,
        "retry": pause.is_retried,
    }


def drain_view(view: DatabaseView, record: NodeRecord) -> dict[str, Any] | None:
    drain = current_drain(view, record)
    if drain is None:
        return None
    left = groups_left(view, drain)
    return {
        "state": drain.state.value,
        "since": time_text(drain.since_wall_ms),
        "groups": list(drain.groups),
        "gone": len(drain.groups) - len(left),
        "total": len(drain.groups),
        "still_here": left,
        "failed": [{"group": each.group, "reason": each.reason} for each in drain.failed],
        "text": drain_text(view, record),
    }


def evidence_view(member: MembershipRecord | None) -> dict[str, Any] | None:
    if member is None or member.evidence is None:
        return None
    found = member.evidence
    return {"kind": found.kind.value, "text": found.text, "time": time_text(found.wall_ms)}


def _since(record: NodeRecord, member: MembershipRecord | None) -> str | None:
    if record.pause is not None and node_state(member, record) is NodeState.PAUSED:
        return time_text(record.pause.asked_wall_ms)
    return time_text(member.since_wall_ms) if member else None


def _because(view: DatabaseView, status: NodeStatus, record: NodeRecord) -> str:
    member = view.membership(record.name)
    if member is None:
        return "it has not joined yet"
    parts = []
    if member.state is MembershipState.UP and record.pause is not None:
        parts.append(f"{record.pause.asked_by or 'an operator'} paused it")
        parts += [drain_text(view, record)] if record.pause.is_drain else []
    if is_quarantined(member, record, status):
        left = rough_text(member.quarantined_until_cluster_ms - status.cluster_ms)
        parts.append(f"it was lost {times(len(member.exits))} within an hour and gets nothing for another {left}")
    disk = node_disk(view, status, record)
    if text := disk_text(disk.state, disk.took_ms, disk.text):
        parts += [text] if parts or member.state is MembershipState.UP else [member.because, text]
    if status.lack is not None and record.name in status.lack.forgot:
        parts.append(what_restores(status))
    if is_without_guard(status, member):
        parts.append(f"{member.because}; its daemon is there and {_what_it_does(status, record)}, but its guard is not")
    return "; ".join(parts) or member.because


def is_without_guard(status: NodeStatus, member: MembershipRecord | None) -> bool:
    """It counts as down because nothing can run there, and yet its daemon is heard."""
    if member is None or member.state is not MembershipState.DOWN:
        return False
    peer = next((each for each in status.peers if each.node == member.node), None)
    return peer is not None and peer.is_reachable and not peer.incarnation and not peer.is_leaving


def _what_it_does(status: NodeStatus, record: NodeRecord) -> str:
    return "votes" if any(each.node == record.name and each.has_vote for each in status.peers) else "answers"


def _maintenance(view: DatabaseView, record: NodeRecord) -> dict[str, Any] | None:
    found = node_hands_off(view, record)
    return maintenance_view(found, in_force=_all_off(view, record)) if found is not None else None


def _all_off(view: DatabaseView, record: NodeRecord) -> bool:
    """Whether every owner of a group here keeps its hands off."""
    reports = (view.report(name) for name in groups_owned(view, record))
    return all(each is not None and each.is_hands_off for each in reports)
