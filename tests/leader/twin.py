"""May this be proposed at all? Slow and obvious, and written without a look at how the leader does it."""

from collections.abc import Iterator

from clusterd.database import DatabaseView
from clusterd.leader import Sight
from clusterd.leader.proposal import Proposal
from clusterd.model import codec, keys
from clusterd.model.ids import key_of
from clusterd.model.maintenance import group_hands_off
from clusterd.model.records import AssignmentRecord, GroupRecord
from clusterd.model.settings import group_settings, node_settings, resource_settings
from clusterd.model.states import MembershipState, Order, ReleaseCause, RuleKind, Wanted

_BY_ITSELF = frozenset(ReleaseCause) - {ReleaseCause.MOVE}
RESTS = {"preempted", "physical-resources-lacking", "anti-affinity-conflict", "no-auto-start", "no-node"}


class Twin:
    """Judges proposals before they are committed."""

    def judge(self, view: DatabaseView, sight: Sight, proposal: Proposal) -> None:
        built = proposal.draft.build("")
        expected = {each.key: each.revision for each in built.compares}
        if any(view.revision_of(key) != revision for key, revision in expected.items()):
            return  # an earlier one of this pass was about the same; this one will not be committed
        together = view.fork()  # what holds together is seen together
        together.database.apply(built, together.revision + 1)
        for put in built.puts:
            if keys.prefix_of(put.key) == keys.ASSIGNMENT:
                after = codec.decode(AssignmentRecord, put.value)
                before = view.assignment(after.group)
                problems = list(_problems(view, together, sight, before, after, expected))
                assert not problems, f"{after.group}: {problems} ({after.because.rule}: {after.because.text})"


def _problems(
    view: DatabaseView,
    together: DatabaseView,
    sight: Sight,
    before: AssignmentRecord | None,
    after: AssignmentRecord,
    expected: dict[str, int],
) -> Iterator[str]:
    group = view.group(after.group)
    if group is None:
        yield "there is no such group"
        return
    yield from _expectations(before, after, expected)
    yield from _proof(view, before, after)
    if after.owner and (before is None or before.owner != after.owner or before.incarnation != after.incarnation):
        yield from _generation(before, after)
    if after.order is Order.RUN and (before is None or before.order is not Order.RUN or before.owner != after.owner):
        is_kept = before is not None and before.order is Order.RELEASE and before.generation == after.generation
        if not is_kept:
            yield from _may_run_there(together, sight, group, after)
    if after.order is Order.RUN and (before is None or before.order is Order.HOLD):
        lost = before is not None and before.generation != after.generation
        hands_off = None if lost else group_hands_off(view.cluster(), view.node(after.owner), group)
        if hands_off is not None:
            yield f"it starts though {hands_off.text}"
    if after.order is Order.RELEASE and (before is None or before.order is not Order.RELEASE):
        yield from _may_leave(view, group, after)


def _expectations(before: AssignmentRecord | None, after: AssignmentRecord, expected: dict[str, int]) -> Iterator[str]:
    needed = {keys.assignment(after.group), keys.group(after.group)}
    if after.owner and (before is None or before.generation != after.generation):
        needed |= {keys.membership(after.owner), keys.node(after.owner)}
    if before is not None and before.owner and before.owner != after.owner:
        needed |= {keys.membership(before.owner), keys.report(after.group)}
    if after.order is Order.RUN and before is not None and before.order is Order.HOLD:
        needed |= {keys.node(after.owner)}
    if after.order is Order.RELEASE and after.release_cause is ReleaseCause.DRAIN:
        needed |= {keys.node(after.owner)}
    if after.order is Order.RELEASE and after.release_cause in (ReleaseCause.FAILOVER, ReleaseCause.RETURN):
        needed |= {keys.report(after.group)}
    for key in sorted(needed - expected.keys()):
        yield f"it does not expect {key}"


def _proof(view: DatabaseView, before: AssignmentRecord | None, after: AssignmentRecord) -> Iterator[str]:
    if before is None or not before.owner:
        return
    if (before.owner, before.incarnation, before.generation) == (after.owner, after.incarnation, after.generation):
        return
    report, member = view.report(after.group), view.membership(before.owner)
    is_released = report is not None and report.generation == before.generation and report.is_released
    is_over = member is not None and (member.incarnation != before.incarnation or member.state is MembershipState.DOWN)
    if not (is_released or is_over):
        yield f"no proof that {before.owner} runs nothing"
    group = view.group(after.group)
    hands_off = group_hands_off(view.cluster(), view.node(before.owner), group) if group is not None else None
    was_in_force = report is not None and report.generation == before.generation and report.is_hands_off
    if hands_off is not None and was_in_force and not is_released:
        yield f"it is taken over though {hands_off.text}"


def _generation(before: AssignmentRecord | None, after: AssignmentRecord) -> Iterator[str]:
    if after.generation <= (before.generation if before is not None else 0):
        yield "the generation does not rise"


def _may_leave(view: DatabaseView, group: GroupRecord, after: AssignmentRecord) -> Iterator[str]:
    node = view.node(after.owner)
    hands_off = group_hands_off(view.cluster(), node, group)
    report = view.report(group.name)
    is_recovering = report is not None and bool(report.failed_over_by)
    if hands_off is not None and not is_recovering:
        yield f"it is told to leave though {hands_off.text}"
    is_optional = after.release_cause in (ReleaseCause.FAILBACK, ReleaseCause.BALANCE, ReleaseCause.PREEMPT)
    if is_optional and group_settings(group, 1).is_locked:
        yield "it is told to leave though it is locked"
    if after.target and after.target == after.owner:
        yield "it is told to leave for where it is"


def _may_run_there(view: DatabaseView, sight: Sight, group: GroupRecord, after: AssignmentRecord) -> Iterator[str]:
    node, member = view.node(after.owner), view.membership(after.owner)
    if group.wanted is not Wanted.ONLINE:
        yield "it is not wanted"
    if node is None or member is None or member.state is not MembershipState.UP:
        yield f"{after.owner} is not up"
        return
    if node.pause is not None:
        yield f"{node.name} is paused"
    for each in view.resources_of(group.name):
        if each.possible_owners and key_of(node.name) not in {key_of(name) for name in each.possible_owners}:
            yield f"{each.name} may not run there"
    if group.move is None or not group.move.ignores_rules:
        yield from _rules(view, sight, group, after)
    yield from _room(view, group, after)


def _places(view: DatabaseView, name: str) -> set[str]:
    """Nodes on which it runs, or is to."""
    found, group = view.assignment(name), view.group(name)
    if found is None or group is None or not found.owner:
        return set()
    if found.order is Order.HOLD and (group.wanted is not Wanted.ONLINE or RESTS & set(found.status)):
        return set()
    report = view.report(name)
    has_stopped = (
        report is not None
        and report.generation == found.generation
        and not any(each.may_run for each in report.resources)
    )
    here = set() if found.order is Order.RELEASE and has_stopped else {found.owner}
    return here | ({found.target} if found.order is Order.RELEASE and found.target else set())


def _rules(view: DatabaseView, sight: Sight, group: GroupRecord, after: AssignmentRecord) -> Iterator[str]:
    for rule in view.rules():
        if not rule.is_enabled or group.name not in rule.groups:
            continue
        others = [place for each in rule.groups if each != group.name for place in _places(view, each)]
        if rule.kind is RuleKind.DIFFERENT_NODE and after.owner in others:
            yield f"rule {rule.name} is broken"
        others = [
            place
            for each in rule.groups
            if each != group.name and not _has_ended(view, each)
            for place in _places(view, each)
        ]
        # One that is on its way is where it leaves, too: where it arrives is judged when it does.
        leaving = [
            each.owner
            for name in rule.groups
            if name != group.name and not _has_ended(view, name) and (each := view.assignment(name))
        ]
        usable = {place for place in (*others, *leaving) if others and place and _is_usable(view, sight, place)}
        if rule.kind is RuleKind.SAME_NODE and usable and after.owner not in usable:
            yield f"rule {rule.name} is broken"
    if sight.settings.has_hard_anti_affinity:
        mine = set(group.properties.get("anti_affinity_class_names", ()))  # type: ignore[arg-type]
        for other in view.groups():
            theirs = set(other.properties.get("anti_affinity_class_names", ()))  # type: ignore[arg-type]
            if other.name != group.name and mine & theirs and after.owner in _places(view, other.name):
                yield f"{other.name} is of the same class"


def _has_ended(view: DatabaseView, name: str) -> bool:
    """The run that had it is over: nothing of it runs, so nobody has to be where it was."""
    found = view.assignment(name)
    member = view.membership(found.owner) if found is not None and found.owner else None
    return found is not None and member is not None and member.incarnation != found.incarnation


def _is_usable(view: DatabaseView, sight: Sight, name: str) -> bool:
    node, member = view.node(name), view.membership(name)
    return (
        node is not None and member is not None and member.state is MembershipState.UP
        and node.pause is None and node.maintenance is None
        and member.quarantined_until_cluster_ms <= sight.cluster_ms
    )  # fmt: skip


def _room(view: DatabaseView, group: GroupRecord, after: AssignmentRecord) -> Iterator[str]:
    node = view.node(after.owner)
    capacity = node_settings(node, view.facts(node.name)).memory_mib if node is not None else None
    if capacity is None:
        return
    others = [
        each.name for each in view.groups() if each.name != group.name and after.owner in _places(view, each.name)
    ]
    used = sum(_memory(view, each) for each in others)
    needed = _memory(view, group.name)
    if needed and used + needed > capacity:
        yield f"{needed} MiB do not fit on {after.owner}: {used} of {capacity} are in use by {others}"


def _memory(view: DatabaseView, group: str) -> int:
    return sum(resource_settings(each).memory_demand_mib for each in view.resources_of(group))
