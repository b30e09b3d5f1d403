"""Does what the cluster is about to look after again run somewhere already, because somebody started it by hand? I/O: asks.

While hands were kept off, people may have started a workload themselves, also on another node. When maintenance ends, what
is wanted online and is not would be started beside it. So before the end is committed every possible owner is asked whether
it is there, and what was found refuses the end. A question changes nothing; who does not answer in time holds up nobody:
that it was not heard is told, and the maintenance ends.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from clusterd.api.finding import find_group, find_node, find_resource
from clusterd.api.maintenance import end_command
from clusterd.api.observed import ObservedGroup, observe_groups
from clusterd.api.port import ClusterPort, NodeStatus
from clusterd.api.seen_disks import is_heard
from clusterd.api.validation_facts import possible_owners
from clusterd.database import DatabaseView
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId, key_of
from clusterd.model.maintenance import HandsOff, Level, resource_hands_off
from clusterd.model.records import ClusterRecord, GroupRecord, Maintenance, NodeRecord, ResourceRecord
from clusterd.model.states import GroupStatus, ResourceState

QUESTION = "is-there"
ASK_WITHIN_MS = 10_000
ALL_WITHIN_S = 20.0
ASKED_AT_ONCE_MAX = 16
UNHEARD_TOLD_MAX = 8
RULE = "runs-already"


@dataclass(frozen=True, slots=True)
class Start:
    """A resource that the end of a maintenance lets start, and where it could be."""

    resource: ResourceRecord
    nodes: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What nodes said: what runs already, and of what nothing is known."""

    there: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()


# ---- what would start: pure ----


def starts(view: DatabaseView, status: NodeStatus, kind: str, name: str) -> list[Start]:
    """What would be judged anew, and so started, if maintenance of that ended."""
    return [
        Start(each.record, _nodes(view, group))
        for group in observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
        for each in group.resources
        if each.wanted_state is ResourceState.ONLINE
        and each.state is not ResourceState.ONLINE
        and _ends_for(view, group, each.record, kind, name)
    ]


def end_of(view: DatabaseView, kind: str, name: str) -> str:
    """The command that ends it."""
    level, named = Level(kind), ""
    match level:
        case Level.NODE:
            named = find_node(view, name).name
        case Level.GROUP:
            named = find_group(view, name).name
        case Level.RESOURCE:
            named = find_resource(view, name).name
        case Level.CLUSTER:
            pass
    return end_command(HandsOff(level, named, Maintenance("")))


def _ends_for(view: DatabaseView, group: ObservedGroup, resource: ResourceRecord, kind: str, name: str) -> bool:
    """Whether hands are off it now, and would not be without that maintenance."""
    whole, node, record, part = view.cluster(), _owner_node(view, group), group.record, resource
    if resource_hands_off(whole, node, record, part) is None:
        return False
    key = key_of(name)
    if kind == "cluster":
        whole = replace(whole, maintenance=None)
    elif kind == "node" and node is not None and key_of(node.name) == key:
        node = replace(node, maintenance=None)
    elif kind == "group" and key_of(record.name) == key:
        record = replace(record, maintenance=None)
    elif kind == "resource" and key_of(part.name) == key:
        part = replace(part, maintenance=None)
    return _is_free(whole, node, record, part)


def _is_free(whole: ClusterRecord, node: NodeRecord | None, group: GroupRecord, resource: ResourceRecord) -> bool:
    return resource_hands_off(whole, node, group, resource) is None


def _owner_node(view: DatabaseView, group: ObservedGroup) -> NodeRecord | None:
    """Whose maintenance covers it: also of a group that stays down because it was lost meanwhile."""
    assignment = group.assignment
    if assignment is None:
        return None
    is_laid_down = GroupStatus.HANDS_OFF in assignment.status
    owner = assignment.owner or (assignment.last_owner if is_laid_down else "")
    return view.node(owner) if owner else None


def _nodes(view: DatabaseView, group: ObservedGroup) -> tuple[NodeId, ...]:
    owners = [NodeId(each) for each in possible_owners(view, [each.record for each in group.resources])]
    return tuple(dict.fromkeys([*([group.owner] if group.owner else []), *owners]))


# ---- asking ----


async def runs_already(port: ClusterPort, kind: str, name: str) -> Found:
    """Ask every possible owner of everything that would start."""
    asked = starts(port.view(), port.status(), kind, name)
    places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
    until_s = asyncio.get_running_loop().time() + ALL_WITHIN_S
    answers = await asyncio.gather(
        *(_ask(port, each.resource, node, places, until_s) for each in asked for node in each.nodes)
    )
    there = tuple(text for is_known, text in answers if is_known and text)
    return Found(there, tuple(_unheard([text for is_known, text in answers if not is_known])))


async def _ask(
    port: ClusterPort, resource: ResourceRecord, node: NodeId, places: asyncio.Semaphore, until_s: float
) -> tuple[bool, str]:
    """Whether the node said it, and what it found, or why nothing is known."""
    if not is_heard(port, node):
        return False, f"whether {resource.name} runs on {node} is not known: {port.node} does not hear it"
    asked = {"group": resource.group, "resource": resource.name, "properties": dict(resource.private)}
    async with places:
        left_ms = int((until_s - asyncio.get_running_loop().time()) * 1000)
        try:
            if left_ms <= 0:
                return False, f"whether {resource.name} runs on {node} was not asked: there was no time left"
            body = json.dumps(asked).encode()
            data = await port.ask_type(node, resource.type, QUESTION, body, min(ASK_WITHIN_MS, left_ms), resource.name)
        except ClusterError as error:
            return False, f"whether {resource.name} runs on {node} is not known: {error.message}"
    found = data.decode("utf-8", "replace")
    return True, f"{resource.name} runs on {node} already: {found}" if found else ""


def _unheard(texts: Sequence[str]) -> Iterator[str]:
    yield from texts[:UNHEARD_TOLD_MAX]
    if len(texts) > UNHEARD_TOLD_MAX:
        yield f"and so with {len(texts) - UNHEARD_TOLD_MAX} more"
