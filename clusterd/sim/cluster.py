"""How does a whole cluster behave, from a seed? Pure. Commands as an operator would give them, faults as nature would."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from clusterd.checkers import Life, Overlap, PlacementJudge, overlaps
from clusterd.consensus import Snapshot
from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader import FenceWish
from clusterd.model import codec, keys
from clusterd.model.events import LEADER_ELECTED, Note
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.records import (
    ClusterRecord,
    EventRecord,
    FenceRecord,
    GroupRecord,
    NodeRecord,
    Properties,
    Record,
    ResourceRecord,
    ResourceTypeRecord,
)
from clusterd.model.settings import PROFILES
from clusterd.model.states import GroupState, ResourceState, group_state
from clusterd.node import effects as do
from clusterd.node import events as happened
from clusterd.sim.disk import Disk
from clusterd.sim.disk_faults import DiskFaults, DiskJudge
from clusterd.sim.host import DISK, Dials
from clusterd.sim.machine import Machine
from clusterd.sim.network import Network, Way
from clusterd.sim.storage import Storage
from clusterd.sim.takeovers import Takeovers
from clusterd.sim.timeline import Timeline
from clusterd.sim.workloads import Ledger
from clusterd.wire.consensus_pb2 import Configuration, HardState, SnapshotMeta
from clusterd.wire.records_pb2 import Transaction, TransactionResult

WALL_START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
COMMIT_PATIENCE_MS = 10_000
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class SimSettings:
    nodes: tuple[str, ...] = ("n1", "n2", "n3")
    profile: str = "default"
    has_fence: bool = False
    seed: int = 1
    properties: Properties = field(default_factory=dict)
    voters: tuple[str, ...] = ()
    """Who votes at first; empty: everybody."""


@dataclass(frozen=True, slots=True)
class NotedAt:
    """One line of the trace."""

    at_us: int
    node: str
    note: Note

    @property
    def at_ms(self) -> int:
        return self.at_us // 1000


@dataclass(frozen=True, slots=True)
class EventAt:
    """One line of the cluster's own timeline, when the first node applied it."""

    at_us: int
    revision: int
    event: EventRecord


class SimCluster:
    """A cluster in virtual time."""

    def __init__(self, settings: SimSettings) -> None:
        self.settings = settings
        self.rng = random.Random(settings.seed)
        self.timeline = Timeline()
        self.ledger = Ledger()
        self.storage = Storage()
        self.takeovers = Takeovers(self.storage)
        self.placements = PlacementJudge()
        self.dials: dict[str, Dials] = {}
        self.trace: list[NotedAt] = []
        self.events: list[EventAt] = []
        self.acknowledged: list[str] = []
        """Keys that an operator was told are committed, and that nothing ever deletes or changes."""
        self.leaders: dict[int, set[str]] = {}
        """Who led in each term."""
        self.kill_ms: tuple[int, int] = (5, 5)
        """How long a guard takes to kill everything; below the stop budget, or a run means nothing."""
        self._seen_revision = 1
        self.names = tuple(NodeId(name) for name in settings.nodes)
        self._incarnations = 0
        self._pids = 1
        self._requests = 0
        self._answers: dict[int, do.CommitDone] = {}
        self._marks: dict[int, str] = {}
        self.disks = DiskFaults()
        self.disk_judge = DiskJudge()
        self.ended_runs: set[str] = set()
        snapshot = _first_snapshot(settings)
        self.machines = {
            name: Machine(self, name, Disk(HardState(), snapshot), random.Random(self.rng.random()))
            for name in self.names
        }
        self.copies: dict[NodeId, Machine] = {}
        """Second machines that are a node which is there already, by names of their own."""
        self.network = Network(
            self.timeline,
            settings.seed,
            self._deliver,
            lambda place: self._machine(place).is_up,
            self.names,
            lambda caller, called: self._machine(called).lets_in(self._machine(caller)),
        )

    # ---- time ----

    def run_for(self, duration_ms: float) -> None:
        self.timeline.run_until(self.timeline.now_us + int(duration_ms * 1000))

    def run_until(self, is_done: Callable[[], bool], *, patience_ms: float = 30_000) -> bool:
        """Let time pass until `is_done`; False when that did not happen in time."""
        return self.timeline.run_until(self.timeline.now_us + int(patience_ms * 1000), is_done)

    def wall_ms(self) -> int:
        return WALL_START_MS + self.timeline.now_ms

    # ---- faults ----

    def start(self, *names: str) -> None:
        for name in names or self.names:
            self.machines[NodeId(name)].start()

    def kill(self, name: str, what: str = "node") -> None:
        machine = self.machines[NodeId(name)]
        match what:
            case "daemon":
                machine.kill_daemon()
            case "guard":
                machine.kill_guard()
            case "host":
                for host in list(machine.guard.hosts if machine.guard else ()):
                    machine.crash_host(host)
            case _:
                self.ended_runs.add(machine.run_id)
                machine.kill()

    def freeze(self, name: str, what: str = "daemon") -> None:
        machine = self.machines[NodeId(name)]
        if what == "daemon":
            machine.freeze_daemon()
        elif what == "guard" and machine.guard is not None:
            machine.guard.is_frozen = True
        elif what == "host" and machine.guard is not None:
            for host in machine.guard.hosts.values():
                host.is_frozen = True
        elif what == "node":
            for each in ("daemon", "guard", "host"):
                self.freeze(name, each)

    def thaw(self, name: str, what: str = "daemon") -> None:
        machine = self.machines[NodeId(name)]
        if what == "daemon":
            machine.thaw_daemon()
        elif machine.guard is not None and what == "guard":
            machine.guard.thaw()
        elif machine.guard is not None and what == "host":
            for host in list(machine.guard.hosts.values()):
                host.thaw()
                if machine.guard.is_past_deadline():
                    host.kill()
        if what == "node":
            for each in ("host", "guard", "daemon"):
                self.thaw(name, each)

    def cut(self, one: str, other: str, *, one_way: bool = False, way: Way = Way.BOTH) -> None:
        self.network.cut(NodeId(one), NodeId(other), way)
        if not one_way:
            self.network.cut(NodeId(other), NodeId(one), way)

    def isolate(self, name: str, way: Way = Way.BOTH) -> None:
        for other in self.names:
            if other != name:
                self.cut(name, other, way=way)

    def heal(self, one: str | None = None, other: str | None = None) -> None:
        """Mend one pair's links, or all."""
        self.network.heal(NodeId(one) if one else None, NodeId(other) if other else None)

    def stop(self, name: str) -> None:
        """A clean stop: the node hands everything over and then ends."""
        self.machines[NodeId(name)].feed(happened.StopAsked("an operator stopped the node"))

    # ---- operators ----

    def view(self, name: str | None = None) -> DatabaseView:
        """The database as `name` has it; without a name, as the most advanced node has it."""
        nodes = [machine.node for machine in self.machines.values() if machine.node is not None]
        if name is not None:
            node = self.machines[NodeId(name)].node
            nodes = [node] if node is not None else []
        best = max(nodes, key=lambda node: node.replica.database.revision)
        return best.replica.view

    def commit(self, build: Callable[[Draft], object], *, at: str | None = None) -> TransactionResult | None:
        """Commit a change at a node and wait for the answer; None when there was none in time."""
        machine = self.machines[NodeId(at)] if at else self._any_up()
        if machine is None or machine.node is None:
            return None
        draft = Draft(machine.node.replica.view)
        build(draft)
        context = self.commit_soon(draft.build(self._next_request()), machine)
        self.run_until(lambda: context in self._answers, patience_ms=COMMIT_PATIENCE_MS + 1000)
        done = self._answers.pop(context, None)
        return done.result if done is not None else None

    def commit_soon(self, transaction: Transaction, machine: Machine) -> int:
        self._requests += 1
        until_ms = machine.clock_ms() + COMMIT_PATIENCE_MS
        machine.feed(happened.CommitAsked(self._requests, transaction, until_ms))
        return self._requests

    def mark_soon(self, name: str) -> None:
        """An operator writes something unique at a node and does not wait; an acknowledged one must never be lost."""
        machine = self.machines[NodeId(name)]
        if machine.node is None:
            return
        draft = Draft(machine.node.replica.view)
        record = ResourceTypeRecord(f"mark{self._requests}", NodeId("nobody"))
        draft.put(record)
        context = self.commit_soon(draft.build(self._next_request()), machine)
        self._marks[context] = keys.resource_type(record.name, record.node)

    def add_group(
        self,
        name: str,
        resources: Mapping[str, str],
        *,
        preferred: tuple[str, ...] = (),
        properties: Properties | None = None,
        group_properties: Properties | None = None,
        live: Collection[str] = (),
        disks: Collection[str] = (),
    ) -> TransactionResult | None:
        """A group with resources, given as name → dependency expression; those in `live` can migrate live, and those in
        `disks` are shared disks."""
        if (group_properties or {}).get("storage_is_sole_effect"):
            self.storage.declare(name, disks)
        types = {**dict.fromkeys(live, "virtual_machine"), **dict.fromkeys(disks, DISK)}

        def build(draft: Draft) -> None:
            owners = tuple(NodeId(each) for each in preferred)
            group_id = str(self._requests)
            draft.put(
                GroupRecord(GroupId(name), preferred_owners=owners, properties=group_properties or {}, id=group_id)
            )
            for resource, depends_on in resources.items():
                draft.put(
                    ResourceRecord(
                        ResourceId(resource),
                        GroupId(name),
                        types.get(resource, "generic_service"),
                        depends_on=depends_on,
                        properties=properties or {},
                    )
                )

        return self.commit(build)

    def delete_group(self, draft: Draft, name: str, resources: Iterable[str]) -> None:
        """Everything of a group but what the cluster knows of its past: generations never start again."""
        draft.delete(keys.group(name))
        for each in resources:
            draft.delete(keys.resource(each))

    def change_group_soon(self, name: GroupId, at: str, change: Callable[[GroupRecord], GroupRecord]) -> int | None:
        """Change a group at a node, as that node sees it, without waiting for the answer. None: it cannot."""
        return self.change_soon(GroupRecord, keys.group(name), at, change)

    def change_soon(self, kind: type[R], key: str, at: str, change: Callable[[R], R]) -> int | None:
        """Change a record at a node, as that node sees it, without waiting for the answer. None: it cannot."""
        machine = self.machines[NodeId(at)]
        record = machine.node.replica.view.get(kind, key) if machine.node is not None else None
        return None if record is None else self.write_soon(at, lambda draft: draft.replace(change(record)))

    def write_soon(self, at: str, build: Callable[[Draft], object]) -> int | None:
        """Write at a node, as that node sees the cluster, without waiting for the answer. None: it cannot."""
        machine = self.machines[NodeId(at)]
        if machine.node is None:
            return None
        draft = Draft(machine.node.replica.view)
        build(draft)
        return self.commit_soon(draft.build(self._next_request()), machine)

    def is_answered(self, context: int) -> bool:
        """Whether the node said what became of a commit."""
        return context in self._answers

    def group_state(self, name: str) -> tuple[GroupState, str, int]:
        """(state, owner, generation) as the most advanced node sees it."""
        view = self.view()
        assignment, report = view.assignment(name), view.report(name)
        if assignment is None:
            return GroupState.OFFLINE, "", 0
        if report is None or report.generation != assignment.generation:
            return GroupState.OFFLINE, assignment.owner, assignment.generation
        states = [each.state for each in report.resources]
        return group_state(states), assignment.owner, assignment.generation

    def is_online(self, name: str, on: str | None = None) -> bool:
        """Whether the group is reported online, and really runs."""
        state, owner, _ = self.group_state(name)
        if state is not GroupState.ONLINE or (on is not None and owner != on):
            return False
        report = self.view().report(name)
        return report is not None and all(self.ledger.running(each.name) for each in report.resources)

    def leader(self) -> str | None:
        """The node that leads with a committed entry of its own term, in the newest term."""
        leading = [
            (machine.node.replica.raft.term, machine.name)
            for machine in self.machines.values()
            if machine.node is not None and machine.node.replica.raft.is_leader_ready
        ]
        return max(leading)[1] if leading else None

    def resource_states(self, group: str) -> dict[str, ResourceState]:
        report = self.view().report(group)
        return {each.name: each.state for each in report.resources} if report is not None else {}

    # ---- judgement ----

    def overlaps(self) -> list[Overlap]:
        """Two copies of one resource, also for two groups that had it one after the other: generations are each group's."""
        lives = [
            (run, Life(f"{run.group}/{run.resource}", run.node, run.generation, run.started_us, ended_us))
            for run in self.ledger.runs
            if (ended_us := self.storage.ended_us(run)) is None or ended_us > run.started_us
        ]
        groups: dict[str, set[str]] = {}
        for run, _ in lives:
            groups.setdefault(run.resource, set()).add(run.group)
        shared = (
            replace(life, workload=run.resource, generation=0) for run, life in lives if len(groups[run.resource]) > 1
        )
        return [*overlaps(life for _, life in lives), *overlaps(shared)]

    def breaches(self) -> list[str]:
        """What else was promised of the one copy, and was not kept."""
        found = [*self.ledger.outdated, *self.storage.intrusions, *self.takeovers.breaches]
        return [*found, *self.disk_judge.breaches, *self.placements.breaches]

    # ---- what machines ask of their surroundings ----

    def new_incarnation(self) -> Incarnation:
        self._incarnations += 1
        return Incarnation(f"i{self._incarnations}")

    def new_pid(self) -> int:
        self._pids += 1
        return self._pids

    def noted(self, name: NodeId, note: Note) -> None:
        self.trace.append(NotedAt(self.timeline.now_us, name, note))
        if note.event is LEADER_ELECTED:
            self.leaders.setdefault(note.get("term"), set()).add(name)

    def applied(self, view: DatabaseView) -> None:
        """Some node's database is at its revision now; what nobody had applied before becomes part of the timeline."""
        database = view.database
        if database.revision <= self._seen_revision:
            return
        for revision, key in database.changes_since(self._seen_revision) or ():
            self.takeovers.look(view, key)
            item = database.get(key) if key.startswith(keys.EVENT) else None
            if item is not None:
                self.events.append(EventAt(self.timeline.now_us, revision, codec.decode(EventRecord, item.value)))
        self._seen_revision = database.revision
        self.placements.look(view)

    def commit_done(self, name: NodeId, effect: do.CommitDone) -> None:
        mark = self._marks.pop(effect.context, None)
        if mark is None:
            self._answers[effect.context] = effect
        elif effect.result is not None and effect.result.succeeded:
            self.acknowledged.append(mark)

    def read_done(self, name: NodeId, effect: do.ReadDone) -> None:
        """Reads of clients are asked by tests only; they look at the trace."""

    def left(self, machine: Machine, because: str) -> None:
        """The guard ends with everything it runs, and then the daemon."""
        machine.leave(because)

    def ask_fence(self, machine: Machine, wish: FenceWish) -> None:
        """The power switch of the simulated rack."""

        def answer() -> None:
            target = self.machines[wish.node]
            if wish.verb == "off" and wish.run_id == target.run_id and wish.run_id not in self.ended_runs:
                self.ended_runs.add(target.run_id)
                target.kill()
            ended = wish.run_id in self.ended_runs or wish.run_id != target.run_id
            machine.feed(happened.FenceAnswered(wish.node, wish.run_id, wish.verb, "ended" if ended else "running"))

        self.timeline.after_ms(self.rng.uniform(2, 20), answer)

    def _deliver(self, name: NodeId, event: happened.Event) -> None:
        self._machine(name).feed(event)

    def _machine(self, place: NodeId) -> Machine:
        return self.copies.get(place) or self.machines[place]

    def _any_up(self) -> Machine | None:
        leader = self.leader()
        if leader is not None:
            return self.machines[NodeId(leader)]
        return next((machine for machine in self.machines.values() if machine.is_up), None)

    def _next_request(self) -> str:
        self._requests += 1
        return f"operator.{self._requests}"


def _first_snapshot(settings: SimSettings) -> Snapshot:
    """What every node of a new cluster starts from: its members and its properties."""
    draft = Draft(DatabaseView(Database()))
    properties = {**PROFILES[settings.profile], **settings.properties}
    draft.put(ClusterRecord("sim", "sim", properties))
    for number, name in enumerate(settings.nodes, start=1):
        draft.put(NodeRecord(NodeId(name), number, f"{name}:1"))
    if settings.has_fence:
        draft.put(FenceRecord("switch", "lab"))
    database = Database()
    database.apply(draft.build("bootstrap"), 1)
    voters = settings.voters or settings.nodes
    learners = [each for each in settings.nodes if each not in voters]
    configuration = Configuration(index=1, term=1, voters=list(voters), learners=learners)
    return Snapshot(SnapshotMeta(index=1, term=1, configuration=configuration), database.snapshot())
