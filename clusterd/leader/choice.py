"""In which order are the nodes tried that can take a group, and how is the choice told? Pure.

From the front: the asked target, nodes without a conflict, nodes with a group that should be kept apart, nodes where
placement is to be avoided, and last the one where it failed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from clusterd.leader.placement import (
    BEST_TOLD,
    ENDED_THERE,
    LEAVING,
    TOLD_MAX,
    Exclusion,
    Placement,
    PlacementCause,
    Request,
    nearest,
)
from clusterd.leader.rooms import Room
from clusterd.leader.seats import Needs
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import Candidate
from clusterd.model.states import GroupStatus

_LEAVES = Exclusion(GroupStatus.NO_NODE, "it is to leave this node")


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that one choice rests on. Nodes are known by their keys."""

    request: Request
    needs: Needs
    rooms: Mapping[str, Room]
    by_policy: Callable[[], Sequence[str]]
    """Nodes as the placement policy ranks them."""
    barred: Mapping[str, Exclusion]
    rivals: Mapping[str, str]
    avoided: Collection[str]
    """Nodes where placement is to be avoided."""
    sites: Mapping[str, str]
    """Where the nodes stand that say so."""
    cluster_site: str
    is_reserving: bool

    @property
    def current(self) -> str:
        return key_of(self.request.current) if self.request.current else ""

    @property
    def target(self) -> str:
        return key_of(self.request.target) if self.request.target else ""


def choose(choice: Choice, groups_at: Callable[[str], int], also_able: Callable[[str], Candidate]) -> Placement:
    """Rank the nodes that can take the group, choose the first, and tell why."""
    rooms, barred = choice.rooms, choice.barred
    if choice.current in rooms and choice.request.cause in LEAVING:
        barred = {**barred, choice.current: _LEAVES}
    order, basis = _order(choice)
    able = [node for node in order if node not in barred]
    behind = _behind(choice, able)
    if behind:
        able.sort(key=lambda node: behind[node][0] if node in behind else 0)
    if choice.target in able:
        able.remove(choice.target)
        able.insert(0, choice.target)
    told: list[Candidate] = []
    for node in able if len(rooms) <= TOLD_MAX else able[:BEST_TOLD]:
        if not told:
            why = f"{_basis(choice, node, basis)}; {_among(able)}; it has {count_text(groups_at(node))}"
            told.append(Candidate(rooms[node].name, True, why))
        else:
            found = behind.get(node)
            told.append(Candidate(rooms[node].name, False, found[1]) if found else also_able(node))
    if barred:
        told += _left_out(rooms, barred, TOLD_MAX - len(told))
    chosen = rooms[able[0]].name if able else None
    return Placement(chosen, tuple(told), nearest(barred.values()), tuple(able))


def _among(able: Sequence[str]) -> str:
    return f"first of {len(able)} that can take it" if len(able) > 1 else "the only one that can take it"


def _left_out(rooms: Mapping[str, Room], barred: Mapping[str, Exclusion], told_max: int) -> list[Candidate]:
    """The nodes that cannot take it, in join order; of many nodes each reason once, for all of them."""
    out = [room for key, room in rooms.items() if key in barred]
    if len(rooms) <= TOLD_MAX:
        return [Candidate(room.name, False, barred[room.key].reason) for room in out]
    nodes: dict[str, list[str]] = {}
    for room in out:
        nodes.setdefault(barred[room.key].reason, []).append(room.name)
    told: list[Candidate] = []
    for reason, names in list(nodes.items())[:told_max]:
        others = f" (so with {', '.join(names[1:])})" if len(names) > 1 else ""
        told.append(Candidate(NodeId(names[0]), False, reason + others))
    rest = [name for names in list(nodes.values())[told_max:] for name in names]
    if rest:
        last = told.pop()
        told.append(Candidate(last.node, False, f"{last.reason}; for similar reasons not {', '.join(rest)}"))
    return told


def count_text(groups: int) -> str:
    return "1 group" if groups == 1 else f"{groups} groups"


def _order(choice: Choice) -> tuple[list[str], str]:
    """Every node, best first, as preferences, the node list and sites have it; and what that order rests on."""
    cause, current = choice.request.cause, choice.current
    joined = list(choice.rooms)
    preferred = _preferred(choice)
    listed = preferred + [node for node in joined if node not in preferred]
    if current in choice.rooms and _follows(cause, preferred):
        at = listed.index(current) + 1
        return _by_site(choice, listed[at:] + listed[:at], preferred), f"next after {_name(choice, current)}"
    if preferred:
        order, basis = listed, "after the preferred owners, next in join order"
    else:
        order, basis = list(choice.by_policy()), "fullest that still fits" if choice.is_reserving else "fewest groups"
    if cause is PlacementCause.COLD_START and current in choice.rooms and current not in preferred:
        order.remove(current)
        order.insert(len(preferred), current)
    return _by_site(choice, order, preferred), basis


def _preferred(choice: Choice) -> list[str]:
    return [node for node in choice.needs.preferred if node in choice.rooms]


def _follows(cause: PlacementCause, preferred: Sequence[str]) -> bool:
    """Whether it goes on to the next node of its list."""
    return cause is PlacementCause.RESOURCE_FAILED or (cause is PlacementCause.NODE_LOST and bool(preferred))


def _by_site(choice: Choice, order: list[str], preferred: Sequence[str]) -> list[str]:
    """The same, the nodes of the right site first; preferred owners keep their places."""
    wished, present = _sites(choice)
    if not (wished or present):
        return order
    others = [node for node in order if node not in preferred]
    sites = choice.sites
    others.sort(
        key=lambda node: 2 if node not in sites else 0 if sites[node] == wished else 2 - (sites[node] == present)
    )
    if not preferred:
        return others
    left = iter(others)
    return [node if node in preferred else next(left) for node in order]


def _sites(choice: Choice) -> tuple[str, str]:
    """The site where it should be, and the one where it is."""
    if not choice.sites:
        return "", ""
    return choice.needs.site or choice.cluster_site, choice.sites.get(choice.current, "")


def _behind(choice: Choice, able: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Nodes that are tried after the others, how far behind, and why."""
    found: dict[str, tuple[int, str]] = {}
    last = choice.current if choice.request.cause in ENDED_THERE else ""
    for node in {*choice.rivals, *choice.avoided, last}.intersection(able):
        rival = choice.rivals.get(node)
        if node == last:
            found[node] = (4, "it can take it, as the last: the group comes from there")
        elif node in choice.avoided:
            found[node] = (3 if rival else 2, "it can take it, behind all others: placement is to be avoided there")
        elif rival:
            found[node] = (1, f"it can take it, behind others: {rival}")
    return found


def _basis(choice: Choice, node: str, basis: str) -> str:
    """Why this one comes first."""
    if node == choice.target:
        return "it was asked for" if choice.request.cause is PlacementCause.MOVE else "named beforehand"
    if node == choice.current and choice.request.cause in ENDED_THERE:
        return "back to where it comes from"
    if node in choice.avoided:
        return "placement is to be avoided there, but nothing better is left"
    if node in choice.rivals:
        return f"no node without a conflict can take it ({choice.rivals[node]})"
    preferred = _preferred(choice)
    if node in preferred:
        return f"preferred owner {preferred.index(node) + 1} of {len(preferred)}"
    if node == choice.current and choice.request.cause is PlacementCause.COLD_START:
        return "it had it last"
    wished, present = _sites(choice)
    site = choice.sites.get(node, "")
    if site and site == wished:
        return f"on the preferred site {site}, {basis}"
    return f"on the same site {site}, {basis}" if site and site == present else basis


def _name(choice: Choice, node: str) -> str:
    return choice.rooms[node].name
