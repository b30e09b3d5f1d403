"""Order of online and offline, on random dependency graphs, against rules that anybody can read."""

from hypothesis import given
from hypothesis import strategies as st

from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.records import AssignmentRecord, Decision, GroupRecord, ResourceRecord
from clusterd.model.states import Order, ResourceState, Wanted
from clusterd.owner.group import Intent, OwnedGroup, intend, provider_order
from clusterd.owner.machine import Held

NAMES = "abcdef"
STATES = [each for each in ResourceState if each not in (ResourceState.UNKNOWN, ResourceState.INITIALIZING)]


@st.composite
def groups(draw: st.DrawFn) -> OwnedGroup:
    """Any group in any state: each resource may depend on those before it."""
    count = draw(st.integers(1, len(NAMES)))
    record = GroupRecord(GroupId("g"), wanted=draw(st.sampled_from(Wanted)))
    order = draw(st.sampled_from(Order))
    assignment = AssignmentRecord(GroupId("g"), NodeId("n1"), Incarnation("i"), 1, order, Decision("", ""))
    group = OwnedGroup(assignment, record)
    for number, name in enumerate(NAMES[:count]):
        text = draw(expressions(NAMES[:number]))
        wanted = draw(st.sampled_from((Wanted.ONLINE, Wanted.ONLINE, Wanted.OFFLINE)))
        group.records[name] = ResourceRecord(ResourceId(name), GroupId("g"), "t", wanted=wanted, depends_on=text)
        group.dependencies[name] = parse_dependency(text)
        state = draw(st.sampled_from(STATES))
        may_run = state is not ResourceState.OFFLINE and (state is not ResourceState.FAILED or draw(st.booleans()))
        group.held[name] = Held(ResourceId(name), state, may_run=may_run)
    group.order = provider_order(group.dependencies)
    return group


@st.composite
def expressions(draw: st.DrawFn, names: str) -> str:
    left = draw(st.permutations(names)) if names else []
    terms = []
    while left and draw(st.booleans()):
        size = draw(st.integers(1, len(left)))
        term, left = left[:size], left[size:]
        terms.append("(" + " or ".join(f"[{each}]" for each in term) + ")")
    return " and ".join(terms)


def online(group: OwnedGroup) -> set[str]:
    return {name for name, held in group.held.items() if held.state is ResourceState.ONLINE}


def wanted(group: OwnedGroup) -> set[str]:
    if group.record.wanted is Wanted.OFFLINE or group.assignment.order not in (Order.RUN, Order.MIGRATE):
        return set()  # what migrates goes on running where it is
    return {name for name, record in group.records.items() if record.wanted is Wanted.ONLINE}


@given(groups())
def test_nothing_comes_online_without_its_providers(group: OwnedGroup) -> None:
    intent = intend(group, is_node_stopping=False)
    for name in intent.to_bring_online:
        assert name in wanted(group)
        assert group.dependencies[name].is_satisfied(online(group) - set(intent.to_take_offline))


@given(groups())
def test_nothing_goes_offline_under_something_that_needs_it(group: OwnedGroup) -> None:
    intent = intend(group, is_node_stopping=False)
    for name in intent.to_take_offline:
        for other, dependency in group.dependencies.items():
            state = group.held[other].state
            is_up = state in (ResourceState.ONLINE, ResourceState.ONLINE_PENDING)
            needs_it = dependency.is_satisfied(online(group)) and not dependency.is_satisfied(online(group) - {name})
            assert not (is_up and needs_it), f"{other} needs {name}"


@given(groups())
def test_what_is_well_is_left_alone(group: OwnedGroup) -> None:
    intent = intend(group, is_node_stopping=False)
    for name in online(group) & wanted(group):
        if is_held_up(group, name):
            assert name not in intent.to_take_offline


def is_held_up(group: OwnedGroup, name: str) -> bool:
    """Online, wanted, and so are enough of its providers, all the way down (slow and obvious)."""
    stays = online(group) & wanted(group)
    while True:
        kept = {each for each in stays if group.dependencies[each].is_satisfied(stays)}
        if kept == stays:
            return name in stays
        stays = kept


@given(groups())
def test_it_always_gets_there(group: OwnedGroup) -> None:
    """Carried out again and again, with every call succeeding, it ends with what is wanted and nothing to do."""
    for _ in range(4 * len(NAMES) + 4):
        settle_pending(group)
        intent = intend(group, is_node_stopping=False)
        carry_out(group, intent)
    final = intend(group, is_node_stopping=False)
    assert not final.to_bring_online and not final.to_take_offline
    assert online(group) == reachable(group)


def reachable(group: OwnedGroup) -> set[str]:
    """What can be online: wanted, with providers that can be online."""
    able: set[str] = set()
    for _ in group.held:
        able |= {name for name in wanted(group) if group.dependencies[name].is_satisfied(able)}
    return able


def settle_pending(group: OwnedGroup) -> None:
    done = {ResourceState.ONLINE_PENDING: ResourceState.ONLINE, ResourceState.OFFLINE_PENDING: ResourceState.OFFLINE}
    for name, held in group.held.items():
        state = done.get(held.state, held.state)
        group.held[name] = Held(held.name, state, may_run=state is ResourceState.ONLINE)


def carry_out(group: OwnedGroup, intent: Intent) -> None:
    for name in intent.to_take_offline:
        group.held[name] = Held(ResourceId(name), ResourceState.OFFLINE_PENDING, may_run=True)
    for name in intent.to_bring_online:
        group.held[name] = Held(ResourceId(name), ResourceState.ONLINE_PENDING, may_run=True)


@given(groups())
def test_a_stopping_node_takes_everything_down(group: OwnedGroup) -> None:
    for _ in range(4 * len(NAMES) + 4):
        settle_pending(group)
        carry_out(group, intend(group, is_node_stopping=True))
    assert not online(group)
