"""Who is where: kept up to date it is what it would be made anew, and nothing that is placed breaks a hard rule."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from clusterd.leader.crowd import Crowd
from clusterd.leader.placement import PlacementCause, Request
from clusterd.leader.seats import needs_of
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId, ResourceId, key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, Json, ResourceRecord
from clusterd.model.settings import resource_settings
from clusterd.model.states import MembershipState, Order, RuleKind
from tests.decisions.snapshot import Snapshot

NODES = "abcdef"
GROUPS = [f"g{number}" for number in range(24)]
STEPS = 60


def random_group(rng: random.Random, name: str) -> str:
    words = [f"group {name}"]
    if rng.random() < 0.6:
        words.append(f"on={rng.choice(NODES)}")
        words.append(f"state={rng.choice(('online', 'online', 'online-pending', 'failed', 'offline'))}")
        if rng.random() < 0.2:
            words.append(f"to={rng.choice(NODES)}")
        elif rng.random() < 0.2:
            words.append(f"order=hold status={rng.choice(('waiting-to-start', 'preempted', 'no-node'))}")
    words.append(f"memory={rng.choice((0, 1024, 2048))}")
    words.append(f"cores={rng.choice((0, 1, 2))}")
    words.append(f"wanted={rng.choice(('online', 'online', 'offline'))}")
    if rng.random() < 0.4:
        words.append(f"classes={rng.choice('xyz')}")
    if rng.random() < 0.3:
        words.append(f"preferred={','.join(rng.sample(NODES, 2))}")
    if rng.random() < 0.2:
        words.append(f"possible={','.join(rng.sample(NODES, 3))}")
    return " ".join(words)


def disturb(rng: random.Random, snapshot: Snapshot, rules: list[str]) -> None:
    """One change of any kind that placement rests on."""
    name = rng.choice(GROUPS)
    has = snapshot.view.group(name) is not None
    match rng.randrange(9):
        case 0 | 1 | 2:
            snapshot.tell(random_group(rng, name))
        case 3 if has:
            snapshot.tell(f"drop {keys.group(name)}")
        case 4 if snapshot.view.report(name):
            snapshot.tell(f"report {name} state={rng.choice(('online', 'failed', 'online-pending'))} was_online=yes")
        case 5:
            state = rng.choice(("up", "down", "up", "expelling"))
            flag = rng.choice(("", "paused", "resumed", "maintenance"))
            snapshot.tell(f"node {rng.choice(NODES)} {state} {flag} memory={rng.choice((4096, 8192))}")
        case 6:
            kind = rng.choice([each.value for each in RuleKind])
            snapshot.tell(
                f"rule {rng.choice(rules)} {kind} {' '.join(rng.sample(GROUPS, 3))} {rng.choice(('', 'disabled'))}"
            )
        case 7:
            snapshot.tell(f"node {rng.choice(NODES)} types={rng.choice(('service', 'script,service', 'script'))}")
        case 8 if snapshot.view.resource(name):
            snapshot.tell(f"resource {name} memory_demand={rng.choice((0, 512, 4096))}")
        case _:
            policy = rng.choice(("spread", "reserve"))
            snapshot.tell(
                f"cluster placement_policy={policy} cluster_enforced_anti_affinity={rng.choice(('true', 'false'))}"
            )


def answers(crowd: Crowd, snapshot: Snapshot) -> list[object]:
    """Everything that can be asked of a crowd."""
    found: list[object] = [sorted(crowd.seats.items()), crowd.rooms]
    for node in snapshot.view.nodes():
        found.append((crowd.load(node.name), crowd.held_by(node.name), crowd.starting(node.name)))
    for group in snapshot.view.groups():
        found.append(crowd.rule_conflict(group))
        found.append(crowd.place(Request(group, PlacementCause.FIRST)))
        found.append(crowd.place(Request(group, PlacementCause.NODE_LOST, current=NodeId("c"))))
        found.append(crowd.place(Request(group, PlacementCause.MOVE, NodeId("a"), NodeId("d"), ignores_rules=True)))
        found.append([crowd.why_not(group, node.name) for node in snapshot.view.nodes()])
    return found


@pytest.mark.parametrize("seed", range(12))
def test_kept_up_to_date_is_made_anew(seed: int) -> None:
    rng = random.Random(seed)
    snapshot = Snapshot()
    snapshot.tell(f"nodes {' '.join(NODES)}")
    kept = Crowd()
    for step in range(STEPS):
        for _ in range(rng.randrange(1, 4)):
            disturb(rng, snapshot, ["one", "two", "three"])
        kept.refresh(snapshot.view, snapshot.sight())
        anew = Crowd()
        anew.refresh(snapshot.view, snapshot.sight())
        assert answers(kept, snapshot) == answers(anew, snapshot), f"seed {seed} step {step}"
        check_sums(kept)
        for _ in range(rng.randrange(4)):
            where = rng.choice((None, *NODES))
            kept.placed(GroupId(rng.choice(GROUPS)), NodeId(where) if where else None, is_starting=rng.random() < 0.5)
        check_sums(kept)
        if rng.random() < 0.3:
            kept.suppose_lost([NodeId(each) for each in rng.sample(NODES, 2)])


def check_sums(crowd: Crowd) -> None:
    """The sums are those of the seats, taken one by one."""
    groups: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    cores: Counter[str] = Counter()
    starting: Counter[str] = Counter()
    for seat in crowd.seats.values():
        if seat.home:
            groups[seat.home] += 1
        for place in seat.starts:
            starting[place] += 1
        for place in seat.places:
            memory[place] += seat.needs.memory_mib
            cores[place] += seat.needs.cores
    for key, room in crowd.rooms.items():
        load = crowd.load(room.name)
        assert (load.groups, load.memory_mib) == (groups[key], memory[key])
        assert (load.cores, load.starting) == (cores[key], starting[key])


def test_what_was_only_placed_is_forgotten() -> None:
    snapshot = Snapshot()
    for line in ("nodes a b", "group g on=a memory=1024", "group h on=a"):
        snapshot.tell(line)
    crowd = Crowd()
    crowd.refresh(snapshot.view, snapshot.sight())
    before = answers(crowd, snapshot)
    crowd.placed(GroupId("G"), NodeId("B"), is_starting=True)
    assert (crowd.load(NodeId("a")).groups, crowd.load(NodeId("b")).groups, crowd.starting(NodeId("b"))) == (1, 1, 1)
    assert crowd.load(NodeId("a")).memory_mib == crowd.load(NodeId("b")).memory_mib == 1024
    crowd.placed(GroupId("g"), None)
    assert crowd.load(NodeId("b")).memory_mib == 0
    crowd.suppose_lost([NodeId("a")])
    assert crowd.place(Request(snapshot.view.groups()[0], PlacementCause.FIRST)).chosen == "b"
    crowd.placed(GroupId("gone"), NodeId("a"))
    crowd.refresh(snapshot.view, snapshot.sight())
    assert answers(crowd, snapshot) == before


def test_another_database_is_read_anew() -> None:
    crowd = Crowd()
    for name in ("g", "h"):
        snapshot = Snapshot()
        for line in ("nodes a b", f"group {name} on=a"):
            snapshot.tell(line)
        crowd.refresh(snapshot.view, snapshot.sight())
        assert list(crowd.seats) == [name]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_is_placed_breaks_a_hard_rule(seed: int) -> None:
    """Groups are placed, moved, fail over and go down with their nodes: at every moment, at both ends of every move."""
    rng = random.Random(seed)
    snapshot = Snapshot()
    snapshot.tell(f"nodes {' '.join(NODES)}")
    snapshot.tell("cluster cluster_enforced_anti_affinity=true")
    for number, name in enumerate(NODES):
        snapshot.tell(f"node {name} memory=8192 cores=8 domain=rack:r{number // 2}")
    for name in GROUPS:
        classes = f"classes={rng.choice('xyz')}" if rng.random() < 0.3 else ""
        possible = f"possible={','.join(rng.sample(NODES, 3))}" if rng.random() < 0.2 else ""
        snapshot.tell(f"group {name} memory={rng.choice((512, 2048))} cores={rng.choice((0, 1))} {classes} {possible}")
    snapshot.tell(f"rule apart different-node {' '.join(GROUPS[:4])}")
    snapshot.tell(f"rule domains different-fault-domain {' '.join(GROUPS[4:7])}")
    crowd, moves = Crowd(), 0
    for _ in range(250):
        crowd.refresh(snapshot.view, snapshot.sight())
        group = snapshot.view.group(rng.choice(GROUPS))
        assert group is not None
        if rng.random() < 0.05:
            lose_or_find(rng, snapshot)
            continue
        moves += step(rng, snapshot, crowd, group)
        check_rules(snapshot)
    assert moves > 30


def step(rng: random.Random, snapshot: Snapshot, crowd: Crowd, group: GroupRecord) -> int:
    """The next thing that happens to a group: it is placed, ordered away, or handed over."""
    assignment = snapshot.view.assignment(group.name)
    if assignment is None or not assignment.owner:
        chosen = crowd.place(Request(group, PlacementCause.FIRST)).chosen
        if chosen is not None:
            put(snapshot, assignment, group, chosen)
        return 0
    owner, target = assignment.owner, assignment.target or None
    member = snapshot.view.membership(owner)
    if assignment.order is Order.RELEASE or member is None or member.state is not MembershipState.UP:
        chosen = crowd.place(Request(group, PlacementCause.RETRY, target=target)).chosen
        put(snapshot, assignment, group, chosen or NodeId(""))
        return 1
    cause = rng.choice((PlacementCause.MOVE, PlacementCause.RESOURCE_FAILED, PlacementCause.DRAIN))
    wish = NodeId(rng.choice(NODES)) if rng.random() < 0.5 else None
    chosen = crowd.place(Request(group, cause, owner, wish)).chosen
    if chosen is not None and chosen != owner:
        snapshot.put(replace(assignment, order=Order.RELEASE, target=chosen))
    return 0


def put(snapshot: Snapshot, before: AssignmentRecord | None, group: GroupRecord, owner: NodeId) -> None:
    if owner:
        snapshot.tell(f"group {group.name} on={owner}")
    else:
        snapshot.tell(f"assignment {group.name} owner= target= order=hold status=no-node")


def lose_or_find(rng: random.Random, snapshot: Snapshot) -> None:
    """A node that comes back begins with nothing: what was on it was in a run that is over."""
    name = rng.choice(NODES)
    member = snapshot.view.membership(name)
    assert member is not None
    if member.state is MembershipState.UP:
        snapshot.tell(f"node {name} down")
        return
    for _, assignment in list(snapshot.view.items(AssignmentRecord)):
        if assignment.owner == name:
            snapshot.tell(f"assignment {assignment.group} owner= target= order=hold status=no-node")
    snapshot.tell(f"node {name} up")


def check_rules(snapshot: Snapshot) -> None:
    """On nodes that are up: room, possible owners, classes and rules; each group where it is and where it goes to."""
    crowd = Crowd()
    crowd.refresh(snapshot.view, snapshot.sight())
    for room in crowd.rooms.values():
        if room.refusal:
            continue
        load = crowd.load(room.name)
        assert load.memory_mib <= (room.settings.memory_mib or 0) and load.cores <= (room.settings.cores or 0)
        there = [crowd.seats[key] for key in crowd.held_by(room.name)]
        classes = [name for seat in there for name in seat.needs.classes]
        assert len(classes) == len(set(classes))
        assert sum(key_of(seat.name) in GROUPS[:4] for seat in there) <= 1
        for seat in there:
            assert all(room.key in owners for _, owners in seat.needs.owners)
    racks: Counter[str] = Counter()
    for name in GROUPS[4:7]:
        up = [each for each in crowd.seats[name].places if not crowd.rooms[each].refusal]
        racks.update({str(crowd.rooms[each].domain) for each in up})
    assert all(count == 1 for count in racks.values())


@pytest.mark.parametrize(
    "properties", [{}, {"memory_demand": 1024}, {"memory_demand": 1, "core_demand": 4}, {"memory_demand": "a lot"}]
)
def test_a_demand_is_what_the_settings_say(properties: dict[str, Json]) -> None:
    resource = ResourceRecord(ResourceId("r"), GroupId("g"), "service", properties=properties)
    settings, needs = resource_settings(resource), needs_of(GroupRecord(GroupId("g")), [resource])
    assert (needs.memory_mib, needs.cores) == (settings.memory_demand_mib, settings.core_demand)
