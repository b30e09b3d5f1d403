"""What does the API answer about the cluster? Pure: the database and the node's status in, JSON documents out."""

from collections.abc import Iterable
from typing import Any

from clusterd.api.data_view import data_problems
from clusterd.api.group_views import Document, because, concern, group_view, status_words
from clusterd.api.node_views import node_view
from clusterd.api.observed import ObservedGroup, observe_groups
from clusterd.api.port import NodeStatus
from clusterd.api.times import time_text
from clusterd.api.type_views import type_warnings
from clusterd.api.votes import no_quorum_text
from clusterd.database import DatabaseView
from clusterd.model.ids import key_of
from clusterd.model.maintenance import HandsOff, Level, group_hands_off
from clusterd.model.records import (
    ClusterRecord,
)
from clusterd.model.states import GroupState, GroupStatus, NodeState
from clusterd.model.states import NodeStatus as NodeWord

SCHEMA = 1
_QUIET_NODE_WORDS = frozenset(
    {
        NodeState.UP.value,
        NodeState.PAUSED.value,
        NodeWord.DRAIN_IN_PROGRESS.value,
        NodeWord.DRAIN_COMPLETED.value,
        NodeWord.HANDS_OFF.value,
        NodeWord.AVOID_PLACEMENT.value,
    }
)
"""What somebody asked for: it is told, and is no problem."""

_SEVERITY = {
    GroupState.FAILED: 0,
    GroupState.UNKNOWN: 1,
    GroupState.PENDING: 3,
    GroupState.PARTIAL_ONLINE: 4,
    GroupState.OFFLINE: 5,
    GroupState.ONLINE: 6,
}


def document(view: DatabaseView, status: NodeStatus, /, **parts: Any) -> Document:
    """A document with its schema and how fresh it is."""
    as_of = {
        "node": status.node,
        "revision": view.revision,
        "age_ms": status.age_ms,
        "quorate": status.is_quorate,
    }
    return {"schema": SCHEMA, "as_of": as_of, **parts}


# ---- the whole cluster ----


def status_document(view: DatabaseView, status: NodeStatus) -> Document:
    """One screen: quorum, nodes, and groups with the worst first."""
    groups = observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
    nodes = [node_view(view, status, each) for each in view.nodes()]
    problems, notices = _problems(status, nodes, groups), _notices(view, nodes, groups)
    return document(
        view,
        status,
        cluster={"name": view.cluster().name, "id": view.cluster().id, "version": status.version},
        healthy=not problems,
        problems=problems,
        warnings=type_warnings(view),
        notices=notices,
        quorum=quorum_view(status),
        nodes=nodes,
        groups=[group_view(view, status, each) for each in sorted(groups, key=_worst_first)],
    )


def quorum_view(status: NodeStatus) -> Document:
    voters = [each for each in status.peers if each.has_vote]
    return {
        "votes": len(voters),
        "needed": status.voters_needed,
        "have": status.voters_reachable,
        "quorate": status.is_quorate,
        "since": time_text(status.quorum_since_wall_ms),
        "witness": None,
        "leader": status.leader,
        "term": status.term,
        "voters": [{"node": each.node, "reachable": each.is_reachable, "may_vote": each.may_vote} for each in voters],
        "advice": _quorum_advice(status),
    }


def _quorum_advice(status: NodeStatus) -> str:
    if status.is_quorate:
        return ""
    return no_quorum_text(status)


def _problems(status: NodeStatus, nodes: Iterable[Document], groups: Iterable[ObservedGroup]) -> list[str]:
    """What is not as it should be, in sentences, worst first."""
    found = [*data_problems(status), *([] if status.is_quorate else [quorum_view(status)["advice"]])]
    for group in sorted(groups, key=_worst_first):
        if not group.is_settled:
            found.append(f"group {group.record.name} is {group.state}, wanted {group.record.wanted}: {because(group)}")
        elif worry := concern(group):
            found.append(f"group {group.record.name} runs, and needs to be looked at: {worry}")
    for node in nodes:
        words = [node["state"], *node["status"]]
        if not _QUIET_NODE_WORDS.issuperset(words):
            found.append(
                f"node {node['name']} is {', '.join(words)}{': ' + node['because'] if node['because'] else ''}"
            )
    return found


def _notices(view: DatabaseView, nodes: Iterable[Document], groups: Iterable[ObservedGroup]) -> list[str]:
    """What somebody asked for and may have forgotten: pauses, maintenance, locks, and groups that are started by hand."""
    found = []
    whole = view.cluster().maintenance
    if whole is not None:
        found.append(HandsOff(Level.CLUSTER, "", whole).text)
    for node in nodes:
        if node["paused"] and _QUIET_NODE_WORDS.issuperset((node["state"], *node["status"])):
            found.append(f"node {node['name']} is paused: {node['because']}")
        if node["maintenance"] and whole is None:
            found.append(f"hands off: node {node['name']} is in maintenance since {node['maintenance']['since']}")
    for group in sorted(groups, key=_worst_first):
        off = group_hands_off(ClusterRecord("", ""), None, group.record)
        found += [off.text] if off is not None else []
        parts = [each.record for each in group.resources if each.record.maintenance is not None]
        found += [HandsOff(Level.RESOURCE, each.name, each.maintenance).text for each in parts if each.maintenance]
        if GroupStatus.NO_AUTO_START in status_words(view, group) and group.state is GroupState.OFFLINE:
            found.append(
                f"group {group.record.name} is started by hand only: clusterctl group online {group.record.name}"
            )
    return found


def _worst_first(group: ObservedGroup) -> tuple[int, int, str]:
    return (group.is_settled, _SEVERITY[group.state], key_of(group.record.name))
