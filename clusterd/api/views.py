"""What does the API answer about the cluster? Pure: the database and the node's status in, JSON documents out."""

import bisect
from collections.abc import Iterable
from typing import Any, TypeAlias

from clusterd.api.observed import ObservedGroup, ObservedResource, observe_group, observe_groups
from clusterd.api.port import NodeStatus, PeerStatus
from clusterd.api.times import time_text
from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.errors import NotFound
from clusterd.model.ids import key_of
from clusterd.model.records import (
    EventRecord,
    GroupRecord,
    MembershipRecord,
    NodeRecord,
    Properties,
    ResourceRecord,
    ResourceReport,
    ResourceTypeRecord,
)
from clusterd.model.settings import ResourceSettings, resource_settings
from clusterd.model.settings_catalogue import Kind, Scope, settings_of
from clusterd.model.settings_check import nearest
from clusterd.model.states import GroupState, MembershipState, NodeState, ResourceState, Wanted

Document: TypeAlias = dict[str, Any]
SCHEMA = 1

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
    groups = observe_groups(view, is_quorate=status.is_quorate)
    nodes = [node_view(view, status, each) for each in view.nodes()]
    problems = _problems(status, nodes, groups)
    return document(
        view,
        status,
        cluster={"name": view.cluster().name, "id": view.cluster().id, "version": status.version},
        healthy=not problems,
        problems=problems,
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
        "voters": [{"node": each.node, "reachable": each.is_reachable} for each in voters],
        "advice": _quorum_advice(status, voters),
    }


def _quorum_advice(status: NodeStatus, voters: Iterable[PeerStatus]) -> str:
    if status.is_quorate:
        return ""
    missing = ", ".join(each.node for each in voters if not each.is_reachable)
    return (
        f"{status.node} reaches {status.voters_reachable} of {len(list(voters))} votes and needs {status.voters_needed}: "
        f"nothing can be changed and nothing runs here. Start the missing nodes or mend their links: {missing or 'none'}"
    )


def _problems(status: NodeStatus, nodes: Iterable[Document], groups: Iterable[ObservedGroup]) -> list[str]:
    """What is not as it should be, in sentences, worst first."""
    found = [] if status.is_quorate else [quorum_view(status)["advice"]]
    for group in sorted(groups, key=_worst_first):
        if not group.is_settled:
            found.append(f"group {group.record.name} is {group.state}, wanted {group.record.wanted}: {because(group)}")
    for node in nodes:
        words = [node["state"], *node["status"]]
        if words != [NodeState.UP.value]:
            found.append(
                f"node {node['name']} is {', '.join(words)}{': ' + node['because'] if node['because'] else ''}"
            )
    return found


def _worst_first(group: ObservedGroup) -> tuple[int, int, str]:
    return (group.is_settled, _SEVERITY[group.state], key_of(group.record.name))


# ---- nodes ----


def node_view(view: DatabaseView, status: NodeStatus, record: NodeRecord) -> Document:
    member = view.membership(record.name)
    peer = next((each for each in status.peers if each.node == record.name), None)
    has_vote = int(peer.has_vote) if peer else 0
    is_self = record.name == status.node
    owned = [
        each.name for each in view.groups() if (found := view.assignment(each.name)) and found.owner == record.name
    ]
    return {
        "name": record.name,
        "state": node_state(member).value,
        "status": _status_words(member, peer, is_self),
        "vote": has_vote,
        "assigned_vote": 1,
        "is_leader": status.leader == record.name,
        "heartbeat_age_ms": None if is_self or peer is None else peer.heartbeat_age_ms,
        "since": time_text(member.since_wall_ms) if member else None,
        "because": member.because if member else "it has not joined yet",
        "groups": sorted(owned),
        "number": record.number,
        "peer_address": record.peer_address,
        "api_address": record.api_address,
        "incarnation": member.incarnation if member else "",
        "evidence": evidence_view(member),
    }


def node_state(member: MembershipRecord | None) -> NodeState:
    """An expelled node may still run something: it counts as up, with the word *expelling* beside it."""
    if member is None or member.state is MembershipState.JOINING:
        return NodeState.JOINING
    return NodeState.DOWN if member.state is MembershipState.DOWN else NodeState.UP


def evidence_view(member: MembershipRecord | None) -> Document | None:
    if member is None or member.evidence is None:
        return None
    found = member.evidence
    return {"kind": found.kind.value, "text": found.text, "time": time_text(found.wall_ms)}


def _status_words(member: MembershipRecord | None, peer: PeerStatus | None, is_self: bool) -> list[str]:
    words = ["expelling"] if member and member.state is MembershipState.EXPELLING else []
    if not is_self and peer is not None and not peer.is_reachable and node_state(member) is NodeState.UP:
        words.append("unreachable")
    return words


# ---- groups and resources ----


def group_view(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> Document:
    record = group.record
    return {
        "name": record.name,
        "state": group.state.value,
        "wanted": record.wanted.value,
        "settled": group.is_settled,
        "owner": group.owner,
        "generation": group.generation,
        "since": time_text(group.since_wall_ms),
        "because": because(group),
        "next": next_step(group, status),
        "preferred_owners": list(record.preferred_owners),
        "properties": properties_view(Scope.GROUP, record.properties),
        "resources": [resource_view(status, group, each) for each in group.resources],
    }


def because(group: ObservedGroup) -> str:
    """The sentence that best says why the group is as it is."""
    for each in group.resources:
        if each.state in (ResourceState.FAILED, ResourceState.UNKNOWN) and each.cause:
            return f"{each.record.name}: {each.cause}"
    if group.record.wanted is Wanted.OFFLINE and group.state is GroupState.OFFLINE:
        return "it is wanted offline"
    if group.assignment is None:
        return "no node has been given it yet" if group.resources else "it has no resources"
    for each in group.resources:
        if each.state is not each.wanted_state:
            waited = _waited_for(group, each)
            return f"{each.record.name} waits for {waited}" if waited else f"{each.record.name}: {each.cause}"
    return group.assignment.because.text


def _waited_for(group: ObservedGroup, resource: ObservedResource) -> str:
    """The providers that keep an offline resource waiting."""
    if resource.state is not ResourceState.OFFLINE:
        return ""
    online = {str(each.record.name) for each in group.resources if each.state is ResourceState.ONLINE}
    missing = parse_dependency(resource.record.depends_on).missing(online)
    return " and ".join(" or ".join(term) for term in missing)


def next_step(group: ObservedGroup, status: NodeStatus) -> Document | None:
    """What happens by itself next, and when; None when nothing is planned."""
    planned = [(each, each.report) for each in group.resources if each.report and each.report.next_action]
    if not planned:
        return None
    resource, report = min(planned, key=lambda each: each[1].next_action_cluster_ms)
    return {
        "action": report.next_action,
        "resource": resource.record.name,
        "time": time_text(wall_of(status, report.next_action_cluster_ms)),
        "in_ms": max(0, report.next_action_cluster_ms - status.cluster_ms),
    }


def wall_of(status: NodeStatus, cluster_ms: int) -> int:
    """The wall-clock time, for people, of a reading of the cluster's own clock."""
    return status.wall_ms + cluster_ms - status.cluster_ms


def resource_view(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> Document:
    record, report = resource.record, resource.report
    view: Document = {
        "name": record.name,
        "group": group.record.name,
        "type": record.type,
        "state": resource.state.value,
        "wanted": record.wanted.value,
        "owner": group.owner,
        "since": time_text(resource.since_wall_ms),
        "because": resource.cause,
        "pid": resource.pid,
        "restarts": restarts_view(status, group, resource),
        "depends_on": record.depends_on,
        "possible_owners": list(record.possible_owners),
        "properties": {**properties_view(Scope.RESOURCE, record.properties), **record.private},
        "evidence": report.evidence if report else "",
    }
    if resource.last_known is not None:
        view["last_known"] = resource.last_known.value
    return view


def restarts_view(status: NodeStatus, group: ObservedGroup, resource: ObservedResource) -> Document:
    """Restarts that count now, on the present owner."""
    settings: ResourceSettings = resource_settings(resource.record)
    window_ms = settings.restart_period_ms
    used = _restarts_used(resource.report, group.owner, status.cluster_ms, window_ms)
    return {"used": used, "limit": settings.restart_threshold, "window_ms": window_ms}


def _restarts_used(report: ResourceReport | None, owner: str | None, cluster_ms: int, window_ms: int) -> int:
    stamps = report.restarts if report else ()
    return sum(each.node == owner and cluster_ms - each.cluster_ms < window_ms for each in stamps)


def properties_view(scope: Scope, values: Properties) -> Document:
    """Stored common properties; lengths of time are numbers with the unit beside them in the name."""
    shown: Document = {}
    for name, setting in settings_of(scope).items():
        if name in values:
            shown[f"{name}_{setting.unit}" if setting.kind is Kind.DURATION else name] = values[name]
    return shown


def resource_types_view(records: Iterable[ResourceTypeRecord]) -> list[Document]:
    """Each type once, with the nodes that have it."""
    found: dict[str, Document] = {}
    for record in records:
        entry = found.setdefault(
            key_of(record.name),
            {
                "name": record.name,
                "version": record.version,
                "nodes": [],
                "abilities": list(record.abilities),
                "schema": dict(record.schema),
            },
        )
        entry["nodes"].append(record.node)
    return [found[key] for key in sorted(found)]


# ---- the timeline ----


def sequence_of(key: str) -> int:
    """The place of an event in the timeline: rises with every event, on every node the same."""
    revision, _, number = key.removeprefix(keys.EVENT).partition(".")
    return int(revision, 16) << 12 | int(number, 16)


def event_view(key: str, record: EventRecord) -> Document:
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
        "caused_by": sequence_of(record.caused_by) if record.caused_by else None,
    }


def events_after(view: DatabaseView, sequence: int, *, since_wall_ms: int = 0, group: str = "") -> list[Document]:
    """Events newer than `sequence`, oldest first."""
    first_key = keys.event(sequence >> 12, sequence & 0xFFF) if sequence > 0 else ""
    return [
        event_view(key, record)
        for key, record in _records_after(view, first_key)
        if record.wall_ms >= since_wall_ms and (not group or key_of(record.group) == key_of(group))
    ]


def _records_after(view: DatabaseView, first_key: str) -> Iterable[tuple[str, EventRecord]]:
    known = view.database.keys_under(keys.EVENT)
    newer = known if not first_key else known[bisect.bisect_right(known, first_key) :]
    for key in newer:
        record = view.get(EventRecord, key)
        if record is not None:
            yield key, record


# ---- finding things by name ----


def find_group(view: DatabaseView, name: str) -> GroupRecord:
    """Raises NotFound, with the nearest name there is."""
    found = view.group(name)
    if found is None:
        raise NotFound(f"there is no group {name}", hint=_other_names(name, [each.name for each in view.groups()]))
    return found


def find_resource(view: DatabaseView, name: str) -> ResourceRecord:
    found = view.resource(name)
    if found is None:
        raise NotFound(
            f"there is no resource {name}", hint=_other_names(name, [each.name for each in view.resources()])
        )
    return found


def find_node(view: DatabaseView, name: str) -> NodeRecord:
    found = view.node(name)
    if found is None:
        raise NotFound(f"there is no node {name}", hint=_other_names(name, [each.name for each in view.nodes()]))
    return found


def observe(view: DatabaseView, status: NodeStatus, name: str) -> ObservedGroup:
    """The group called `name`. Raises NotFound."""
    return observe_group(view, find_group(view, name), is_quorate=status.is_quorate)


def _other_names(name: str, names: list[str]) -> str:
    shown = nearest(name, names[:200])
    return shown.replace("valid are", "there are") if names else "there is none yet"
