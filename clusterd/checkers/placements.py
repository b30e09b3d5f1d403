"""Was a group ever put where a hard rule or a limit forbids it? Pure. Judged from the database, after every change of it.

A rule, a limit or a demand that changes later breaks nothing: what runs already stays. So a breach is always the fault of
whoever took a place, or began to start or to migrate, when the rule stood already; and an operator may have asked for it.
Written without a look at how the leader decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.ids import key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, RuleRecord
from clusterd.model.settings import cluster_settings, group_settings, node_settings, resource_settings
from clusterd.model.states import MembershipState, Order, ResourceState, RuleKind, Wanted

_APART = (RuleKind.DIFFERENT_NODE, RuleKind.DIFFERENT_FAULT_DOMAIN)
_BY_NODE = (RuleKind.DIFFERENT_NODE, RuleKind.SAME_NODE)


@dataclass(frozen=True, slots=True)
class _Stay:
    """A group that may run on a node, or is promised to: since which revision, and how it came there."""

    group: str
    node: str
    since: int
    is_exempt: bool
    """An operator asked for it, whatever rules say."""
    is_live: bool
    """It is on its way while it runs, or came so: groups that belong together do that one by one."""
    is_there: bool = True
    """Not only promised."""


class PlacementJudge:
    """Follows one cluster. `look` after each change; `breaches` are what it found."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self._stays: dict[tuple[str, str], _Stay] = {}
        self._starting: dict[str, int] = {}
        self._come_so_far: set[tuple[str, int]] = set()
        """Group and generation: what was online or failed since is started again by its owner, if at all."""
        self._migrating: dict[str, int] = {}

    def look(self, view: DatabaseView) -> None:
        """See who has taken a place since the last look, and whether it may."""
        before, self._stays = self._stays, {(each.group, each.node): each for each in self._read(view)}
        for key, stay in self._stays.items():
            if key not in before or (stay.is_there and not before[key].is_there and not before[key].is_live):
                self.breaches += [f"{each} (revision {stay.since})" for each in _problems(view, stay, self._stays)]
        self.breaches += self._starts(view)
        self.breaches += self._migrations(view)

    # ---- who is where ----

    def _read(self, view: DatabaseView) -> Iterator[_Stay]:
        for group in view.groups():
            assignment = view.assignment_of(group)
            if assignment is None or not assignment.owner:
                continue
            owner = key_of(assignment.owner)
            if _may_run(view, assignment):
                yield self._stay(view, group, assignment, owner)
            if assignment.order is Order.MIGRATE and assignment.target:
                yield self._stay(view, group, assignment, key_of(assignment.target), is_there=False)

    def _stay(
        self, view: DatabaseView, group: GroupRecord, assignment: AssignmentRecord, node: str, *, is_there: bool = True
    ) -> _Stay:
        key = key_of(group.name)
        known = self._before(key, node)
        if known is not None and known.is_there == is_there:
            return known
        move = group.move
        is_exempt = move is not None and move.ignores_rules and move.id == assignment.move_id
        is_live = not is_there or (known is not None and known.is_live)
        return _Stay(key, node, view.revision_of(keys.assignment(key)), is_exempt, is_live, is_there)

    def _before(self, group: str, node: str) -> _Stay | None:
        return self._stays.get((group, node))

    # ---- queues ----

    def _starts(self, view: DatabaseView) -> Iterator[str]:
        """Groups that were told to start, and have neither come online nor failed since; restarts are the owners' own."""
        found: dict[str, int] = {}
        there: dict[str, list[str]] = {}
        for group in view.groups():
            assignment, key = view.assignment_of(group), key_of(group.name)
            if assignment is None or assignment.order is not Order.RUN or not _may_run(view, assignment):
                continue
            if self._is_starting(view, group, assignment):
                found[key] = self._starting.get(key) or view.revision_of(keys.assignment(key))
                there.setdefault(key_of(assignment.owner), []).append(key)
        most = cluster_settings(view.cluster()).maximum_parallel_starts
        new, self._starting = found.keys() - self._starting.keys(), found
        for node, groups in there.items():
            latest = max(found[each] for each in groups)
            if len(groups) > most and new & set(groups) and view.revision_of(keys.CLUSTER) < latest:
                yield f"{len(groups)} groups start on {node} at once, {most} may: {', '.join(groups)}"

    def _is_starting(self, view: DatabaseView, group: GroupRecord, assignment: AssignmentRecord) -> bool:
        resources = [each for each in view.resources_of(group.name) if each.wanted is Wanted.ONLINE]
        report, run = view.report(group.name), (key_of(group.name), assignment.generation)
        if report is not None and report.generation == assignment.generation:
            has_failed = any(each.state is ResourceState.FAILED for each in report.resources)
            if report.was_online or report.is_hands_off or has_failed:
                self._come_so_far.add(run)
        return group.wanted is Wanted.ONLINE and bool(resources) and run not in self._come_so_far

    def _migrations(self, view: DatabaseView) -> Iterator[str]:
        found: dict[str, int] = {}
        ends: dict[str, list[str]] = {}
        for group in view.groups():
            assignment = view.assignment_of(group)
            if assignment is not None and assignment.order is Order.MIGRATE:
                found[key_of(group.name)] = assignment.migration
                for end in (assignment.owner, assignment.target):
                    ends.setdefault(key_of(end), []).append(key_of(group.name))
        most = cluster_settings(view.cluster()).maximum_parallel_migrations
        new = {each for each in found if self._migrating.get(each) != found[each]}
        self._migrating = found
        for node, groups in ends.items():
            begun = [view.revision_of(keys.assignment(each)) for each in groups if each in new]
            if len(groups) > most and begun and view.revision_of(keys.CLUSTER) < max(begun):
                yield f"{node} takes part in {len(groups)} migrations at once, {most} may: {', '.join(groups)}"


def excuse(view: DatabaseView, group: GroupRecord) -> str:
    """Why no node can take a group that is not online; empty: one could, so it has no excuse.

    Groups that belong on one node are looked at together: those that are nowhere must fit with it.
    """
    present = {(each.group, each.node): each for each in PlacementJudge()._read(view)}
    mates = _mates(view, key_of(group.name))
    missing = {key_of(group.name)} | {each for each in mates if not any(one == each for one, _ in present)}
    reasons = []
    for node in view.nodes():
        key, member = key_of(node.name), view.membership(node.name)
        if member is None or member.state is not MembershipState.UP or node.pause or node.maintenance:
            reasons.append(f"{node.name} takes nobody")
            continue
        arrived = {(each, key): _Stay(each, key, 1 << 62, False, False) for each in sorted(missing)}
        stays = {**present, **arrived}
        alone = {**present, (key_of(group.name), key): arrived[key_of(group.name), key]}
        found = next(
            (
                problem
                for stay in arrived.values()
                for problem in (*_problems(view, stay, stays), *_not_possible(view, stay))
            ),
            "",
        )
        stay = arrived[key_of(group.name), key]
        if found:
            found = next(iter((*_problems(view, stay, alone), *_not_possible(view, stay))), "")
        if not found:
            return ""
        reasons.append(found)
    return "; ".join(reasons)


def _mates(view: DatabaseView, group: str) -> set[str]:
    found, waiting = {group}, [group]
    rules = [each for each in view.rules() if each.is_enabled and each.kind is RuleKind.SAME_NODE]
    while waiting:
        one = waiting.pop()
        for rule in rules:
            members = {key_of(each) for each in rule.groups}
            if one in members:
                waiting += sorted(members - found)
                found |= members
    return found - {group}


def _not_possible(view: DatabaseView, stay: _Stay) -> Iterator[str]:
    for each in view.resources_of(stay.group):
        if each.possible_owners and stay.node not in {key_of(name) for name in each.possible_owners}:
            yield f"{each.name} may not run on {stay.node}"


# ---- what one may not ----


def _may_run(view: DatabaseView, assignment: AssignmentRecord) -> bool:
    """Ordered to run there, or to stop and not said to have, in a run that nothing proves ended."""
    member = view.membership(assignment.owner)
    if member is None or member.incarnation != assignment.incarnation:
        return False
    if member.state not in (MembershipState.UP, MembershipState.EXPELLING) or assignment.order is Order.HOLD:
        return False
    report = view.report(assignment.group)
    if report is None or report.generation != assignment.generation:
        return True
    is_down = all(each.state is ResourceState.OFFLINE and not each.may_run for each in report.resources)
    return not (report.is_released or (is_down and assignment.order in (Order.RELEASE, Order.MIGRATE)))


def _problems(view: DatabaseView, stay: _Stay, stays: dict[tuple[str, str], _Stay]) -> Iterator[str]:
    others = [each for each in stays.values() if each.group != stay.group]
    if not stay.is_exempt:
        for key, rule in view.items(RuleRecord):
            members = {key_of(each) for each in rule.groups}
            if rule.is_enabled and stay.group in members and view.revision_of(key) < stay.since:
                yield from _against(rule, stay, [each for each in others if each.group in members], view)
    yield from _too_full(view, stay, [each for each in others if each.node == stay.node])
    if cluster_settings(view.cluster()).has_hard_anti_affinity and view.revision_of(keys.CLUSTER) < stay.since:
        yield from _classmates(view, stay, [each for each in others if each.node == stay.node])


def _against(rule: RuleRecord, stay: _Stay, others: list[_Stay], view: DatabaseView) -> Iterator[str]:
    spot: Callable[[str], object] = (lambda node: node) if rule.kind in _BY_NODE else (lambda node: _domain(view, node))
    if rule.kind in _APART:
        for each in others:
            if spot(each.node) == spot(stay.node):
                yield f"{stay.group} came to {stay.node}, with {each.group} on {each.node}: rule {rule.name} ({rule.kind})"
        return
    if stay.is_live:
        return
    there = [each for each in others if each.is_there]
    elsewhere = [each for each in there if spot(each.node) != spot(stay.node) and not _goes_live(each, others)]
    if elsewhere and not any(spot(each.node) == spot(stay.node) for each in there):
        names = ", ".join(f"{each.group} on {each.node}" for each in elsewhere)
        yield f"{stay.group} came to {stay.node}, without {names}: rule {rule.name} ({rule.kind})"


def _goes_live(stay: _Stay, others: list[_Stay]) -> bool:
    return any(each.group == stay.group and not each.is_there for each in others)


def _domain(view: DatabaseView, name: str) -> object:
    node = view.node(name)
    return (node_settings(node, view.facts(name)).fault_domain or name) if node is not None else name


def _too_full(view: DatabaseView, stay: _Stay, there: list[_Stay]) -> Iterator[str]:
    node = view.node(stay.node)
    if node is None or view.revision_of(keys.node(stay.node)) > stay.since:
        return
    has = node_settings(node, view.facts(stay.node))
    mine, sums = _demand(view, stay.group), [0, 0]
    for each in (stay, *there):
        if any(view.revision_of(keys.resource(one.name)) > stay.since for one in view.resources_of(each.group)):
            return
        sums = [sum(pair) for pair in zip(sums, _demand(view, each.group), strict=True)]
    for what, need, used, most in zip(("MiB", "cores"), mine, sums, (has.memory_mib, has.cores), strict=True):
        if most is not None and need and used > most:
            names = ", ".join(each.group for each in there)
            yield f"{stay.group} came to {stay.node} beside {names}: {used} {what} are demanded of {most}"


def _demand(view: DatabaseView, group: str) -> tuple[int, int]:
    found = [resource_settings(each) for each in view.resources_of(group)]
    return sum(each.memory_demand_mib for each in found), sum(each.core_demand for each in found)


def _classmates(view: DatabaseView, stay: _Stay, there: list[_Stay]) -> Iterator[str]:
    mine = _classes(view, stay)
    for each in there:
        if mine & _classes(view, each, before=stay.since):
            yield f"{stay.group} came to {stay.node}, with {each.group}: of one anti-affinity class, which is enforced"


def _classes(view: DatabaseView, stay: _Stay, before: int | None = None) -> set[str]:
    """Those that it had when it came, as far as its record was not changed since."""
    group = view.group(stay.group)
    if group is None or view.revision_of(keys.group(stay.group)) > (before if before is not None else stay.since):
        return set()
    return set(group_settings(group, 1).anti_affinity_class_names)
