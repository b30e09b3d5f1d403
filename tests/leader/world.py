"""A cluster without machines: what the leader decides is committed, and owners obey at once. Fast enough for thousands.

The leader is the short-cut one (dirty groups and a memory, as a node keeps them); whenever it rests, a full decision must
rest too. Every proposal passes `twin`, which knows what must never be, in a slow and obvious way.
"""

import random
from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader import Decisions, Memory, decide
from clusterd.leader.proposal import Proposal
from clusterd.model import keys
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId, key_of
from clusterd.model.maintenance import group_hands_off
from clusterd.model.records import (
    AssignmentRecord,
    GroupRecord,
    MembershipRecord,
    NodeRecord,
    ReportRecord,
    ResourceRecord,
    ResourceReport,
)
from clusterd.model.states import MembershipState, Order, ResourceState, Wanted
from tests.decisions.snapshot import Snapshot
from tests.leader.twin import Twin

ROUNDS_MAX = 150
_EVERYTHING = (
    keys.CLUSTER, keys.NODE, keys.MEMBERSHIP, keys.RULE, keys.GROUP_SET, keys.GROUP_SET_STATE, keys.DRAIN,
    keys.FORMATION, keys.FACTS, keys.RESOURCE_TYPE,
)  # fmt: skip


class World:
    """One run, drawn from a seed by whoever tells it what to do."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.snapshot = Snapshot()
        self.bad: set[tuple[str, str]] = set()
        """(group, node) where it cannot come online."""
        self.slow: set[str] = set()
        """Groups whose owner takes its time: it answers every third round or so."""
        self.did: list[str] = []
        self.proposed = 0
        self._runs = 0
        self._memory = Memory()
        self._revision = -1
        self._twin = Twin()

    @property
    def view(self) -> DatabaseView:
        return self.snapshot.view

    def do(self, line: str) -> None:
        self.did.append(line)
        assert self.snapshot.tell(line), line

    # ---- the leader ----

    def lead(self) -> int:
        """One pass; how much it proposed."""
        sight = self.snapshot.sight()
        decisions = decide(self.view, sight, groups=self._dirty(), memory=self._memory)
        if self.rng.random() < 0.3:
            assert _built(decisions) == _built(decide(self.view, sight)), "the short cut and the full pass differ"
        before = dict(self._assignments())
        for proposal in decisions.proposals:
            self._twin.judge(self.view, sight, proposal)
            self._commit(proposal)
        after = dict(self._assignments())
        for name in sorted(after):
            if after[name] != before.get(name):
                self.did.append(f"    {_told(name, after[name])}")
        self.proposed += len(decisions.proposals)
        return len(decisions.proposals)

    def _commit(self, proposal: Proposal) -> None:
        """One that was overtaken by another of the same pass is decided again."""
        database = self.snapshot.database
        database.apply(proposal.draft.build(""), database.revision + 1)

    def _dirty(self) -> set[GroupId] | None:
        changes = self.snapshot.database.changes_since(self._revision) if self._revision >= 0 else None
        self._revision = self.snapshot.database.revision
        if changes is None:
            return None
        found: set[GroupId] = set()
        for _, key in changes:
            prefix = keys.prefix_of(key)
            if key.startswith(_EVERYTHING):
                return None
            if prefix in (keys.GROUP, keys.ASSIGNMENT, keys.REPORT):
                found.add(GroupId(key.removeprefix(prefix)))
            elif prefix == keys.RESOURCE:
                record = self.view.get(ResourceRecord, key)
                if record is None:
                    return None
                found.add(GroupId(key_of(record.group)))
        return found

    def _assignments(self) -> list[tuple[str, AssignmentRecord]]:
        return [(key, record) for key, record in self.view.items(AssignmentRecord)]

    # ---- the owners ----

    def obey(self) -> int:
        """Owners do what they were told; how many had something to say."""
        said = 0
        for _, assignment in self._assignments():
            group = self.view.group(assignment.group)
            member = self.view.membership(assignment.owner) if assignment.owner else None
            is_there = member is not None and member.state is MembershipState.UP
            if not is_there or member is None or member.incarnation != assignment.incarnation:
                continue
            if assignment.group in self.slow and self.rng.random() < 0.6:
                continue
            before = self.view.report(assignment.group)
            if before is not None and before.generation != assignment.generation:
                before = None
            after = self._report(assignment, group, before)
            if after != before:
                self.snapshot.put(after)
                said += 1
        return said

    def _report(
        self, assignment: AssignmentRecord, group: GroupRecord | None, before: ReportRecord | None
    ) -> ReportRecord:
        found = before or ReportRecord(
            assignment.group, assignment.owner, assignment.incarnation, assignment.generation
        )
        if found.is_released:
            return found
        hands_off = (
            group_hands_off(self.view.cluster(), self.view.node(assignment.owner), group) if group is not None else None
        )
        if found.is_hands_off and hands_off is not None:
            return found
        is_told = assignment.order is Order.RUN and group is not None
        if hands_off is not None and before is not None and assignment.order is not Order.RELEASE:
            return replace(found, is_hands_off=True)
        found = replace(found, is_hands_off=False)
        resources = self.view.resources_of(assignment.group)
        if not is_told or group is None or group.wanted is not Wanted.ONLINE:
            is_released = assignment.order is Order.RELEASE
            return replace(found, resources=_all(resources, ResourceState.OFFLINE), is_released=is_released,
                           failed_over_by=ResourceId(""), failed_over_because="")  # fmt: skip
        if (assignment.group, assignment.owner) in self.bad:
            if found.failed_over_by:
                return found
            name = resources[0].name if resources else ResourceId("")
            return replace(found, resources=_all(resources, ResourceState.FAILED), failed_over_by=name,
                           failed_over_because="it does not start")  # fmt: skip
        if any(each.state is ResourceState.ONLINE_PENDING for each in found.resources) or self.rng.random() < 0.5:
            return replace(found, resources=_all(resources, ResourceState.ONLINE), was_online=True,
                           failed_over_by=ResourceId(""), failed_over_because="")  # fmt: skip
        if all(each.state is ResourceState.ONLINE for each in found.resources) and found.resources:
            return found
        return replace(found, resources=_all(resources, ResourceState.ONLINE_PENDING))

    # ---- rest ----

    def settle(self, *, rounds: int = ROUNDS_MAX) -> None:
        """Until nobody has anything to do; waits (timeouts) are waited out. Raises when there is no end of it."""
        for _ in range(rounds):
            if self.lead() or self.obey():
                continue
            sight = self.snapshot.sight()
            again = decide(self.view, sight)
            assert not again.proposals, (
                f"the short cut rests, and a full pass proposes {[each.subject for each in again.proposals]}"
            )
            if again.next_look_ms is None or again.next_look_ms > sight.now_ms + 7_200_000:
                if not self._slow_left():
                    return
                self.slow.clear()
                continue
            self.do(f"time {max(1, again.next_look_ms - sight.now_ms)}ms")
        raise AssertionError(f"it does not settle in {rounds} rounds")

    def _slow_left(self) -> bool:
        return bool(self.slow)

    # ---- nodes ----

    def lose(self, node: NodeId) -> None:
        self.did.append(f"lose {node}")
        member = self.view.membership(node)
        assert member is not None
        self.snapshot.put(replace(member, state=MembershipState.DOWN))

    def expel(self, node: NodeId) -> None:
        """It is silent, and nothing is proven yet: it may still run what it had."""
        self.did.append(f"expel {node}")
        member = self.view.membership(node)
        assert member is not None
        self.snapshot.put(replace(member, state=MembershipState.EXPELLING))

    def bring_back(self, node: NodeId) -> None:
        self.did.append(f"bring back {node}")
        self._runs += 1
        run = Incarnation(f"i-{node}-{self._runs}")
        self.snapshot.put(MembershipRecord(node, MembershipState.UP, run, f"run{self._runs}"))

    def nodes(self) -> list[NodeRecord]:
        return self.view.nodes()


def _built(decisions: Decisions) -> dict[str, bytes]:
    return {each.subject: each.draft.build("").SerializeToString(deterministic=True) for each in decisions.proposals}


def _all(resources: list[ResourceRecord], state: ResourceState) -> tuple[ResourceReport, ...]:
    is_there = state not in (ResourceState.OFFLINE, ResourceState.FAILED)
    return tuple(ResourceReport(each.name, state, 1, may_run=is_there) for each in resources)


def _told(name: str, record: AssignmentRecord) -> str:
    where = f" for {record.target}" if record.target else ""
    return (
        f"{name}: {record.owner or 'nowhere'} {record.order}{where} generation {record.generation} "
        f"{record.release_cause} [{', '.join(record.status)}] {record.because.rule}"
    )
