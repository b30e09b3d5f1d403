"""A `ClusterPort` over a database in memory, with dials: quorum, conflicts, failures, and a pretended leader and owners."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from clusterd.api.port import NodeStatus, PeerStatus
from clusterd.database import Database, DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.drains import DrainRecord
from clusterd.model.errors import NoQuorum, NotFound, NotLeader, UnknownOutcome
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.maintenance import group_hands_off
from clusterd.model.records import (
    AssignmentRecord,
    Candidate,
    ClusterRecord,
    Decision,
    EventRecord,
    Evidence,
    GroupRecord,
    MembershipRecord,
    NodeRecord,
    ReportRecord,
    ResourceRecord,
    ResourceReport,
    ResourceTypeRecord,
    Step,
)
from clusterd.model.settings import PROFILES
from clusterd.model.states import DrainState, EvidenceKind, MembershipState, Order, ResourceState, Wanted
from clusterd.resource_api.properties import Property, PropertyKind, schema_of
from clusterd.wire.records_pb2 import Transaction, TransactionResult

WALL_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
TOKEN = "a-token-that-nobody-guesses"

SERVICE_SCHEMA = schema_of(
    [
        Property("command", PropertyKind.LIST, "What to run.", required=True),
        Property("stop_grace", PropertyKind.DURATION, "How long a stop may take.", unit="s", is_waited_for=True),
        Property(
            "ready",
            PropertyKind.TEXT_OR_MAPPING,
            "When it counts as online.",
            choices=("none", "notify"),
            fields=(Property("tcp", PropertyKind.INTEGER, "A port.", minimum=1, maximum=65535),),
        ),
    ]
)
SCRIPT_SCHEMA = schema_of([Property("script_filepath", PropertyKind.TEXT, "What to run.", required=True)])


class PretendCluster:
    """Three nodes. With `acts` on, whatever is wanted is true a moment after it was committed."""

    def __init__(self, *, acts: bool = True) -> None:
        self.database = Database()
        self.acts = acts
        self.without_guard: set[str] = set()
        self.is_quorate = True
        self.conflicts_left = 0
        self.is_silent = False
        self.loses_answers = 0
        self.leader, self.term = "n1", 7
        self.reads = 0
        self.committed_in: list[int] = []
        """The terms that commits insisted on; 0: none."""
        self.wall_ms = WALL_MS
        self.cluster_ms = 1000
        self.logs: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, bytes]] = []
        self.told: list[tuple[str, str]] = []
        """Nodes whose daemon was told something: (node, verb)."""
        self.when_told: Callable[[], object] = lambda: None
        self.node_answers: dict[str, Callable[[NodeId], bytes]] = {}
        """What a node's daemon says, by verb; it may raise."""
        self.type_answers: Callable[[NodeId, str, str, bytes], bytes] = _no_type
        self.heeds_maintenance = True
        self.unreachable: set[str] = set()
        self._view = DatabaseView(self.database)
        self._changed = asyncio.Event()
        self._found()

    # ---- ClusterPort ----

    @property
    def node(self) -> NodeId:
        return NodeId("n2")

    def view(self) -> DatabaseView:
        return self._view

    def status(self) -> NodeStatus:
        ages = {"n1": 40, "n3": 90}
        peers = tuple(
            PeerStatus(
                each.name,
                True,
                each.name not in self.unreachable and (self.is_quorate or each.name == self.node),
                ages.get(each.name),
                "" if each.name in self.without_guard else "i1",
            )
            for each in self._view.nodes()
        )
        return NodeStatus(
            node=self.node,
            version="0.1.0",
            term=self.term,
            leader=NodeId(self.leader) if self.is_quorate else None,
            is_quorate=self.is_quorate,
            voters_reachable=3 if self.is_quorate else 1,
            voters_needed=2,
            quorum_since_wall_ms=WALL_MS,
            cluster_ms=self.cluster_ms,
            wall_ms=self.wall_ms,
            age_ms=3,
            peers=peers,
        )

    async def linearizable(self, timeout_ms: int) -> None:
        await asyncio.sleep(0)
        self.reads += 1
        if not self.is_quorate:
            raise NoQuorum("n2 reaches 1 of 3 votes and needs 2", hint="start the missing nodes")

    async def commit(self, transaction: Transaction, timeout_ms: int, term: int = 0) -> TransactionResult:
        await asyncio.sleep(0)
        self.committed_in.append(term)
        if term and term != self.term:
            raise NotLeader(asked=self.node, leader=None, term=self.term)
        if self.is_silent:
            raise UnknownOutcome("no answer within the time", hint="look whether it happened, then repeat it")
        if self.conflicts_left:
            self.conflicts_left -= 1
            return TransactionResult(
                succeeded=False, conflict_key="group/web", conflict_revision=self.database.revision
            )
        result = self._apply(transaction)
        if result.succeeded and self.acts:
            self.act()
        if self.loses_answers:
            self.loses_answers -= 1
            raise UnknownOutcome("no answer within the time", hint="look whether it happened, then repeat it")
        return result

    async def changes(self, after_revision: int) -> None:
        while self.database.revision <= after_revision:
            await self._changed.wait()

    async def ask_owner(self, resource: str, verb: str, body: bytes, timeout_ms: int) -> bytes:
        self.asked.append((resource, verb, body))
        if resource not in self.logs:
            raise NotFound(f"{resource} runs nowhere")
        return self.logs[resource]

    async def ask_node(self, node: NodeId, verb: str, body: bytes, timeout_ms: int) -> bytes:
        self.told.append((node, verb))
        if verb in self.node_answers:
            return self.node_answers[verb](node)
        self.when_told()
        if self.acts:
            self.lose(node)
        return b""

    async def ask_type(
        self, node: NodeId, type_name: str, question: str, body: bytes, timeout_ms: int, about: str = ""
    ) -> bytes:
        self.told.append((node, f"{type_name} {question}"))
        return self.type_answers(node, type_name, question, body)

    # ---- dials ----

    def write(self, draft: Draft) -> None:
        """Commit from the side, as another node would."""
        assert self._apply(draft.build("")).succeeded

    def _apply(self, transaction: Transaction) -> TransactionResult:
        result = self.database.apply(transaction, self.database.revision + 1)
        self._changed.set()
        self._changed = asyncio.Event()
        return result

    def act(self) -> None:
        """Do at once what leader and owners would do in their time."""
        draft = Draft(self._view)
        for node in self._view.nodes():
            drain = self._view.drain(node.name)
            is_begun = drain is not None and node.pause is not None and drain.pause_id == node.pause.id
            if node.pause is not None and node.pause.is_drain and not is_begun:
                left = tuple(each.name for each in self._view.groups() if self._owner(each) == node.name)
                draft.put(DrainRecord(node.name, node.pause.id, DrainState.COMPLETED, left, since_wall_ms=WALL_MS))
        for group in self._view.groups():
            assignment = self._placed(group)
            draft.put(assignment)
            draft.put(self._report(group, assignment))
        for _, assignment in self._view.items(AssignmentRecord):
            report = self._view.report(assignment.group)
            if self._view.group(assignment.group) is None and report is not None:
                draft.put(replace(report, resources=(), is_released=True))
        self.write(draft)

    def _owner(self, group: GroupRecord) -> str:
        assignment = self._view.assignment(group.name)
        return assignment.owner if assignment else ""

    def _placed(self, group: GroupRecord) -> AssignmentRecord:
        before = self._view.assignment_of(group)
        owner = before.owner if before else (group.preferred_owners or (NodeId("n1"),))[0]
        move_id, generation = (before.move_id, before.generation) if before else ("", 1)
        if group.move and group.move.id != move_id:
            move_id, generation = group.move.id, generation + 1
            others = [each.name for each in self._view.nodes() if each.name != owner]
            owner = group.move.target or others[0]
        node = self._view.node(owner)
        if node is not None and node.pause is not None and node.pause.is_drain:
            generation += 1
            owner = node.pause.target or next(each.name for each in self._view.nodes() if each.pause is None)
        steps = (Step(WALL_MS, "asked"), Step(WALL_MS + 1500, f"n1 (leader) gave it to {owner}"))
        candidates = (Candidate(owner, True, "first of 3"), Candidate(NodeId("n9"), False, "it is down"))
        because = Decision("placement: first placement", f"{group.name} goes to {owner}", steps, candidates)
        member = self._view.membership(owner)
        incarnation = member.incarnation if member else Incarnation("")
        return AssignmentRecord(
            group.name, owner, incarnation, generation, Order.RUN, because, move_id=move_id, since_wall_ms=WALL_MS,
            group_id=group.id,
        )  # fmt: skip

    def _report(self, group: GroupRecord, assignment: AssignmentRecord) -> ReportRecord:
        resources = tuple(self._resource_report(group, each) for each in self._view.resources_of(group.name))
        node = self._view.node(assignment.owner)
        return ReportRecord(
            group.name,
            assignment.owner,
            assignment.incarnation,
            assignment.generation,
            resources,
            reset_id=group.reset_id,
            is_hands_off=self.heeds_maintenance and group_hands_off(self._view.cluster(), node, group) is not None,
        )

    def _resource_report(self, group: GroupRecord, each: ResourceRecord) -> ResourceReport:
        is_online = group.wanted is Wanted.ONLINE and each.wanted is Wanted.ONLINE
        state = ResourceState.ONLINE if is_online else ResourceState.OFFLINE
        pid = 4711 if is_online else 0
        return ResourceReport(
            each.name,
            state,
            1,
            WALL_MS + 2000,
            pid=pid,
            fail_id=each.fail_id,
            kill_id=each.kill_id,
            is_hands_off=self.heeds_maintenance and each.maintenance is not None,
        )

    def report(self, group: str, resource: str, **changed: object) -> None:
        """Let the owner say something else about one resource."""
        report = self._view.report(group)
        assert report is not None
        resources = tuple(
            replace(each, **changed) if each.name == resource else each  # type: ignore[arg-type]  # any field
            for each in report.resources
        )
        self.write(Draft(self._view).put(replace(report, resources=resources)))

    def decide(self, group: str, **changed: object) -> None:
        """Let the leader write something else about one group, of which its owner then reports nothing new."""
        assignment = self._view.assignment(group)
        assert assignment is not None
        self.write(Draft(self._view).put(replace(assignment, **changed)))  # type: ignore[arg-type]  # any field

    def change_node(self, name: str, **changed: object) -> None:
        """Let somebody else write an operator's record of a node."""
        record = self._view.node(name)
        assert record is not None
        self.write(Draft(self._view).put(replace(record, **changed)))  # type: ignore[arg-type]  # any field

    def lose(self, name: str, *, state: MembershipState = MembershipState.DOWN) -> None:
        """A node is gone, with evidence; or only expelled so far."""
        member = self._view.membership(name)
        assert member is not None
        evidence = Evidence(EvidenceKind.FENCED, f"lab confirmed that the run of {name} ended", WALL_MS + 60_000)
        self.write(
            Draft(self._view).put(
                replace(
                    member,
                    state=state,
                    because=evidence.text if state is MembershipState.DOWN else "silent for 2100 ms",
                    evidence=evidence if state is MembershipState.DOWN else None,
                    steps=(Step(WALL_MS, f"last heartbeat of {name}"), Step(WALL_MS + 60_000, "evidence (fenced)")),
                )
            )
        )

    def event(self, message: str, *, group: str = "", wall_ms: int = WALL_MS) -> None:
        self.write(Draft(self._view).event(EventRecord(wall_ms, "test.said", "info", group=group, message=message)))

    def add_group(self, name: str, *resources: ResourceRecord, wanted: Wanted = Wanted.ONLINE) -> None:
        draft = Draft(self._view).put(GroupRecord(GroupId(name), wanted=wanted))
        for each in resources:
            draft.put(each)
        self.write(draft)

    def _found(self) -> None:
        draft = Draft(self._view).put(ClusterRecord("c-1", "test", dict(PROFILES["default"])))
        for number, name in enumerate(("n1", "n2", "n3"), start=1):
            draft.put(NodeRecord(NodeId(name), number, f"127.0.0.1:750{number}", f"127.0.0.1:740{number}"))
            draft.put(
                MembershipRecord(
                    NodeId(name), MembershipState.UP, Incarnation(f"{name}-i1"), because="its guard began a run"
                )
            )
            for kind, schema in (("generic_service", SERVICE_SCHEMA), ("generic_script", SCRIPT_SCHEMA)):
                draft.put(ResourceTypeRecord(kind, NodeId(name), "1.0", schema))
        self.write(draft)


def _no_type(node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
    raise NotFound(f"{node} has no {type_name}")


def service(name: str, group: str, depends_on: str = "", **more: object) -> ResourceRecord:
    return ResourceRecord(
        ResourceId(name),
        GroupId(group),
        "generic_service",
        depends_on=depends_on,
        private={"command": ["sleep", "9"]},
        **more,  # type: ignore[arg-type]  # fields of the record
    )


MANIFEST = """\
groups:
  - name: web
    preferred_owners: [n1, n2]
    resources:
      - name: web-data
        type: generic_script
        properties: {script_filepath: /srv/web/prepare}
      - name: web-server
        type: generic_service
        depends_on: "[web-data]"
        restart: {action: restart-then-fail-over, threshold: 1, period: 15min, delay: 500ms}
        properties:
          command: [python3, -m, http.server, "8081"]
          ready: {tcp: 8081}
"""

__all__ = ["MANIFEST", "TOKEN", "WALL_MS", "PretendCluster", "keys", "service"]
