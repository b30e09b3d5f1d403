"""Whatever happens, in which order: nothing runs where a hard rule, its possible owners or the lack of room forbid it.

The whole decision, with owners that do what they are told sooner or later, nodes that come and go, drains, moves and
failures. Looked at after every commit.
"""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from clusterd.leader import decide
from clusterd.leader.decide import Memory
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.records import (
    AssignmentRecord,
    Evidence,
    MembershipRecord,
    MoveRequest,
    ReportRecord,
    ResourceReport,
)
from clusterd.model.settings import resource_settings
from clusterd.model.states import EvidenceKind, MembershipState, Order, ResourceState
from tests.decisions.snapshot import Snapshot

NODES = "abcdef"
GROUPS = [f"g{number}" for number in range(20)]
APART, DOMAINS = GROUPS[:4], GROUPS[4:7]
STEPS = 120
MEMORY_MIB = 8192


@dataclass
class World:
    rng: random.Random
    snapshot: Snapshot = field(default_factory=Snapshot)
    memory: Memory = field(default_factory=Memory)
    runs: Counter[str] = field(default_factory=Counter)
    commits: int = 0

    def __post_init__(self) -> None:
        rng, tell = self.rng, self.snapshot.tell
        tell(f"nodes {' '.join(NODES)}")
        tell("cluster cluster_enforced_anti_affinity=true")
        for number, name in enumerate(NODES):
            tell(f"node {name} memory={MEMORY_MIB} domain=rack:r{number // 2}")
        for name in GROUPS:
            classes = f"classes={rng.choice('xyz')}" if rng.random() < 0.3 else ""
            possible = f"possible={','.join(rng.sample(NODES, 3))}" if rng.random() < 0.2 else ""
            preferred = f"preferred={','.join(rng.sample(NODES, 2))}" if rng.random() < 0.3 else ""
            failback = f"auto_failback_type={rng.choice(('allow', 'prevent'))}"
            priority = f"priority={rng.choice(('low', 'medium', 'high'))}"
            tell(
                f"group {name} memory={rng.choice((512, 2048, 3072))} {classes} {possible} {preferred} {failback} {priority}"
            )
        tell(f"rule apart different-node {' '.join(APART)}")
        tell(f"rule domains different-fault-domain {' '.join(DOMAINS)}")

    def step(self) -> None:
        self.snapshot.tell(f"time {self.rng.randrange(100, 20_000)}ms")
        if self.rng.random() < 0.5:
            self.disturb()
        for name in self.rng.sample(GROUPS, 12):
            self.report(name)
        view = self.snapshot.view
        decisions = decide(view, self.snapshot.sight(), memory=self.memory)
        again = decide(view, self.snapshot.sight(), memory=self.memory)
        assert [each.draft.build("") for each in decisions.proposals] == [
            each.draft.build("") for each in again.proposals
        ]
        for proposal in decisions.proposals:
            if self.snapshot.database.apply(proposal.draft.build(""), view.revision + 1).succeeded:
                self.commits += 1
                check(self.snapshot)

    def disturb(self) -> None:
        rng, view = self.rng, self.snapshot.view
        name = NodeId(rng.choice(NODES))
        match rng.randrange(5):
            case 0:
                self.lose_or_find(name)
            case 1:
                self.snapshot.tell(f"node {name} {rng.choice(('drained', 'paused', 'resumed', 'resumed'))}")
            case 2 | 3:
                group = view.group(rng.choice(GROUPS))
                assert group is not None
                target = rng.choice((NodeId(""), name))
                move = MoveRequest(f"m{view.revision}", target, is_queued=rng.random() < 0.3, asked_by="ann")
                self.snapshot.put(replace(group, move=move))
            case _:
                group = view.group(rng.choice(GROUPS))
                assert group is not None
                wanted = rng.choice(("online", "online", "offline"))
                self.snapshot.tell(f"group {group.name} wanted={wanted} start_id=s{view.revision}")

    def lose_or_find(self, name: NodeId) -> None:
        member = self.snapshot.view.membership(name)
        assert member is not None
        if member.state is MembershipState.UP:
            evidence = Evidence(EvidenceKind.STOPPED, "its guard said so", 1)
            self.snapshot.put(replace(member, state=MembershipState.DOWN, evidence=evidence))
        elif member.state is MembershipState.DOWN:
            self.runs[name] += 1
            run = Incarnation(f"i-{name}-{self.runs[name]}")
            self.snapshot.put(MembershipRecord(name, MembershipState.UP, run, f"run{self.runs[name]}"))

    def report(self, name: str) -> None:
        """The owner does what it is told, or the group fails."""
        view = self.snapshot.view
        assignment, group = view.assignment(name), view.group(name)
        if assignment is None or group is None or not is_alive(self.snapshot, assignment):
            return
        runs = assignment.order is Order.RUN and group.wanted == "online"
        has_failed = runs and self.rng.random() < 0.08
        state = ResourceState.FAILED if has_failed else ResourceState.ONLINE if runs else ResourceState.OFFLINE
        self.snapshot.put(
            ReportRecord(
                GroupId(name),
                assignment.owner,
                assignment.incarnation,
                assignment.generation,
                (ResourceReport(ResourceId(name), state, 1, may_run=runs),),
                is_released=assignment.order is Order.RELEASE,
                failed_over_by=ResourceId(name if has_failed else ""),
                failed_over_because="it broke" if has_failed else "",
                was_online=runs and not has_failed,
            )
        )


def is_alive(snapshot: Snapshot, assignment: AssignmentRecord) -> bool:
    member = snapshot.view.membership(assignment.owner) if assignment.owner else None
    return member is not None and member.state is MembershipState.UP and member.incarnation == assignment.incarnation


def check(snapshot: Snapshot) -> None:
    """What may run now, where it may run: ordered to, or ordered to stop and not yet said to have."""
    where: dict[str, NodeId] = {}
    for name in GROUPS:
        assignment, group = snapshot.view.assignment(name), snapshot.view.group(name)
        if assignment is None or group is None or not is_alive(snapshot, assignment):
            continue
        report = snapshot.view.report(name)
        has_stopped = (
            assignment.order is Order.RELEASE
            and report is not None
            and report.generation == assignment.generation
            and not any(each.may_run for each in report.resources)
        )
        if assignment.order is not Order.HOLD and not has_stopped:
            where[name] = assignment.owner
    memory: Counter[str] = Counter()
    classes: Counter[tuple[str, str]] = Counter()
    for name, node in where.items():
        resource, group = snapshot.view.resource(name), snapshot.view.group(name)
        assert resource is not None and group is not None
        assert not resource.possible_owners or key_of(node) in resource.possible_owners
        memory[node] += resource_settings(resource).memory_demand_mib
        names = group.properties.get("anti_affinity_class_names", [])
        assert isinstance(names, list)
        classes.update((node, str(each)) for each in names)
    assert all(used <= MEMORY_MIB for used in memory.values()), memory
    assert all(count == 1 for count in classes.values()), classes
    apart = Counter(where[name] for name in APART if name in where)
    assert all(count == 1 for count in apart.values()), apart
    racks = Counter(NODES.index(where[name]) // 2 for name in DOMAINS if name in where)
    assert all(count == 1 for count in racks.values()), racks


@pytest.mark.parametrize("seed", range(10))
def test_no_hard_rule_is_ever_broken(seed: int) -> None:
    world = World(random.Random(seed))
    for _ in range(STEPS):
        world.step()
    assert world.commits > 150
