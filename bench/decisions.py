"""How long does a leader think about 64 nodes and 8,000 groups? Prints JSON.

    python -m bench.decisions [--nodes 64] [--groups 8000] [--runs 5]

Everything in memory, no disk and no network; the time is that of the process, so a busy machine changes it little. A full
pass looks at every group; an incremental one follows one report that changed. Each pass comes with its refresh of who is
where. Proposals are built as they would be sent. Groups have one resource, and half of them demand memory; every tenth has
preferred owners, every thirtieth possible owners, every twentieth an anti-affinity class, every fiftieth a rule.
"""

import argparse
import gc
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.labs import progress, summary
from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader import Sight, decide
from clusterd.leader.capacity import survives
from clusterd.leader.crowd import Crowd
from clusterd.leader.decide import Decisions, Memory
from clusterd.leader.in_flight import BUNDLE_MAX
from clusterd.leader.placement import PlacementCause, Request
from clusterd.membership import Detector
from clusterd.membership.detector import Heartbeat
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.records import (
    AssignmentRecord,
    ClusterRecord,
    Evidence,
    GroupRecord,
    Json,
    MembershipRecord,
    NodeFactsRecord,
    NodeRecord,
    Record,
    ReportRecord,
    ResourceRecord,
    ResourceReport,
    ResourceTypeRecord,
    RuleRecord,
)
from clusterd.model.settings import cluster_settings
from clusterd.model.states import EvidenceKind, MembershipState, ResourceState, RuleKind

NOW_MS = 100_000_000
WALL_MS = 1_767_268_800_000
NODE_MEMORY_MIB = 262_144
GROUP_MEMORY_MIB = 1024
BATCH = 500


class World:
    """A database of that size, and what its leader sees."""

    def __init__(self, nodes: int, groups: int) -> None:
        self.database = Database()
        self.view = DatabaseView(self.database)
        self.memory = Memory()
        self.nodes = [NodeId(f"node{number:03}") for number in range(1, nodes + 1)]
        self._store([ClusterRecord("c1", "bench")])
        for number, name in enumerate(self.nodes, 1):
            self._store(_node(name, number))
        found = [each for number in range(groups) for each in _group(number, self.nodes)]
        for start in range(0, len(found), BATCH):
            self._store(found[start : start + BATCH])

    @property
    def sight(self) -> Sight:
        detector = Detector(self.nodes[0], 0)
        heard = dict.fromkeys(self.nodes, 0)
        for name in self.nodes:
            detector.hear(name, Heartbeat(NOW_MS, "d", _run(name), (), "run", 0, heard), is_direct=True)
        settings = cluster_settings(self.view.cluster())
        return Sight(self.nodes[0], NOW_MS, WALL_MS, NOW_MS, tuple(self.nodes[:7]), detector, settings, 0)

    def decide(self, sight: Sight, groups: set[GroupId] | None = None) -> Decisions:
        return decide(self.view, sight, groups=groups, memory=self.memory)

    def commit(self, decisions: Decisions) -> None:
        for number, proposal in enumerate(decisions.proposals):
            self.database.apply(proposal.draft.build(f"r{self.database.revision}-{number}"), self.database.revision + 1)

    def report_all(self) -> None:
        """Every owner does what it was told."""
        reports = [self._report(each) for _, each in self.view.items(AssignmentRecord) if each.owner]
        for start in range(0, len(reports), BATCH):
            self._store(reports[start : start + BATCH])

    def settle(self) -> int:
        """Passes until nothing is proposed any more."""
        for passes in range(1, 50):
            decisions = self.decide(self.sight)
            if not decisions.proposals:
                return passes
            self.commit(decisions)
            self.report_all()
        raise RuntimeError("it does not settle")

    def change_one(self, group: str) -> None:
        assignment = self.view.assignment(group)
        assert assignment is not None
        self._store([self._report(assignment)])

    def lose(self, node: NodeId) -> None:
        evidence = Evidence(EvidenceKind.FENCED, "the power switch says so", WALL_MS)
        self._store([MembershipRecord(node, MembershipState.DOWN, _run(node), "run", evidence=evidence)])

    def find_again(self, node: NodeId) -> None:
        self._store([MembershipRecord(node, MembershipState.UP, _run(node), "run")])

    def _report(self, assignment: AssignmentRecord) -> ReportRecord:
        resources = tuple(
            ResourceReport(each.name, ResourceState.ONLINE, 1, may_run=True, pid=self.database.revision)
            for each in self.view.resources_of(assignment.group)
        )
        run = assignment.incarnation
        return ReportRecord(assignment.group, assignment.owner, run, assignment.generation, resources, was_online=True)

    def _store(self, records: Sequence[Record]) -> None:
        draft = Draft(self.view)
        for record in records:
            draft.put(record)
        self.database.apply(draft.build(""), self.database.revision + 1)


def measure(*, nodes: int, groups: int, runs: int) -> dict[str, object]:
    figures: dict[str, list[float]] = {}
    gc.collect()
    gc.freeze()  # what the process held before is not this figure's to walk through at every collection
    try:
        for number in range(runs):
            progress(f"run {number + 1} of {runs}: {nodes} nodes, {groups} groups")
            _measure_once(nodes, groups, figures)
    finally:
        gc.unfreeze()
    return {
        "figure": "one decision pass of the leader, ms",
        "nodes": nodes,
        "groups": groups,
        **{name: summary(found, 1) for name, found in figures.items()},
    }


def _measure_once(nodes: int, groups: int, figures: dict[str, list[float]]) -> None:
    world = World(nodes, groups)
    with _timed(figures, "initial_placement_of_all"):
        decisions = world.decide(world.sight)
    world.commit(decisions)
    world.report_all()
    world.settle()
    sight = world.sight
    for name in ("full_pass_steady", "full_pass_steady", "full_pass_steady"):
        with _timed(figures, name):
            assert not world.decide(sight).proposals
    for number in range(50):
        group = f"group{number * groups // 50:05}"
        world.change_one(group)
        with _timed(figures, "incremental_pass"):
            assert not world.decide(sight, {GroupId(group)}).proposals
    _measure_placement(world, figures)
    lost = world.nodes[-1]
    world.lose(lost)
    with _timed(figures, "full_pass_after_the_loss_of_a_node"):
        decisions = world.decide(sight)
    assert sum(len(each.subjects) for each in decisions.proposals) >= min(BUNDLE_MAX, groups // nodes // 2)
    world.find_again(lost)
    world.decide(sight, set())
    with _timed(figures, "capacity_failures_1"):
        survives(world.view, sight, 1)


def _measure_placement(world: World, figures: dict[str, list[float]]) -> None:
    """Placement alone: every group of the cluster, one after the other, each with a reason for every node."""
    crowd, sight = Crowd(), world.sight
    with _timed(figures, "crowd_made_anew"):
        crowd.refresh(world.view, sight)
    with _timed(figures, "placement_alone_of_all"):
        for group in world.view.groups():
            placement = crowd.place(Request(group, PlacementCause.FIRST))
            if placement.chosen is not None:
                crowd.placed(group.name, placement.chosen)


def _node(name: NodeId, number: int) -> list[Record]:
    site = f"site:s{number % 2}/rack:r{number % 8}"
    return [
        NodeRecord(name, number, "", properties={"fault_domain": site}),
        MembershipRecord(name, MembershipState.UP, _run(name), "run"),
        NodeFactsRecord(name, NODE_MEMORY_MIB, 64),
        ResourceTypeRecord("service", name),
    ]


def _group(number: int, nodes: list[NodeId]) -> list[Record]:
    name = GroupId(f"group{number:05}")
    properties: dict[str, Json] = {}
    preferred = (nodes[number % len(nodes)], nodes[(number * 7 + 3) % len(nodes)]) if number % 10 == 0 else ()
    possible = tuple(nodes[(number + step) % len(nodes)] for step in range(8)) if number % 30 == 4 else ()
    if number % 20 == 1:
        properties["anti_affinity_class_names"] = [f"class{number % 500}"]
    demand = {"memory_demand": GROUP_MEMORY_MIB} if number % 2 else {}
    found: list[Record] = [
        GroupRecord(name, preferred_owners=preferred, properties=properties),
        ResourceRecord(ResourceId(f"{name}-server"), name, "service", possible_owners=possible, properties=demand),
    ]
    if number % 50 == 2:
        other = GroupId(f"group{number + 1:05}")
        found.append(RuleRecord(f"rule{number}", RuleKind.DIFFERENT_NODE, (name, other)))
    return found


def _run(node: NodeId) -> Incarnation:
    return Incarnation(f"run-of-{key_of(node)}")


@contextmanager
def _timed(figures: dict[str, list[float]], name: str) -> Iterator[None]:
    gc.collect()
    before = time.process_time()
    yield
    figures.setdefault(name, []).append((time.process_time() - before) * 1000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--groups", type=int, default=8000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(measure(nodes=given.nodes, groups=given.groups, runs=given.runs)))
