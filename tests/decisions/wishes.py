"""What operators, owners and nature do between two decisions. Lines of cases, beside those of `snapshot`.

empty a [force] [retry] [to=b] [id=p2]     pause a     resume a [failback=none|immediate|policy]     clear a     fence a
maintain cluster|node a|group web          end-maintenance …the same        (in force once the owner obeyed)
move web [b] [queue] [ignore-lock] [ignore-rules] [id=m2]     cancel web
online web     offline web     lock web     unlock web     reset web
fail web [never-online]     recover web    its owner asks for another node, or asks no more
history web [failovers=-10min,-5h] [passed=a,b] [moved=a] [drained=a]
lose a [expired|fenced|stopped]     back a     cold          a node is down, or up in a new run; the cluster forms
prove a                              its guard says that its run ended, which the leader has not noticed yet
refuse web [disks=x,y] [failed]      the node that was told to makes the storage refuse the group's owner, or cannot
obey [web …]                         owners do what they were told, and say so
run                                  the leader and all owners go on until nobody has anything to do
"""

from dataclasses import replace

from clusterd.model.durations import parse_duration
from clusterd.model.ids import Incarnation, NodeId, ResourceId
from clusterd.model.maintenance import group_hands_off
from clusterd.model.ran_as import ran_as
from clusterd.model.records import (
    AssignmentRecord,
    Evidence,
    FailoverStamp,
    FormationRecord,
    MoveRequest,
    NodeRun,
    PauseRequest,
    ReportRecord,
    ResourceReport,
    ResumeRequest,
)
from clusterd.model.states import (
    EvidenceKind,
    FailbackMode,
    MembershipState,
    Order,
    ResourceState,
    StorageFenceState,
    Wanted,
)
from clusterd.model.storage_fences import FencedDisk, StorageFenceReport
from tests.decisions.questions import ROUNDS_MAX, Questions
from tests.decisions.snapshot import BEGIN_WALL_MS, MAINTENANCE, BadCase, Snapshot


class Wishes:
    """Everybody but the leader."""

    def __init__(self, snapshot: Snapshot, questions: Questions) -> None:
        self._snapshot = snapshot
        self._questions = questions
        self._count = 0

    def tell(self, line: str) -> list[str] | None:
        """Carry out a line, and what there is to say about it; None when it is none of these."""
        word, *rest = line.split()
        act = getattr(self, f"_do_{word.replace('-', '_')}", None)
        if act is None:
            return None
        flags = [each for each in rest if "=" not in each]
        said = act(flags, dict(each.split("=", 1) for each in rest if "=" in each))
        return list(said or ())

    # ---- nodes ----

    def _do_empty(self, flags: list[str], given: dict[str, str]) -> None:
        node = self._snapshot.view.node(flags[0])
        assert node is not None
        pause = PauseRequest(
            given.get("id", "p1"), True, NodeId(given.get("to", "")), "force" in flags, "retry" in flags,
            asked_wall_ms=BEGIN_WALL_MS, asked_by="ann",
        )  # fmt: skip
        self._snapshot.put(replace(node, pause=pause))

    def _do_pause(self, flags: list[str], given: dict[str, str]) -> None:
        node = self._snapshot.view.node(flags[0])
        assert node is not None
        pause = PauseRequest(given.get("id", "p1"), asked_wall_ms=BEGIN_WALL_MS, asked_by="ann")
        self._snapshot.put(replace(node, pause=pause))

    def _do_resume(self, flags: list[str], given: dict[str, str]) -> None:
        node = self._snapshot.view.node(flags[0])
        assert node is not None
        resume = ResumeRequest(self._new_id("r"), FailbackMode(given.get("failback", "none")), asked_by="ann")
        self._snapshot.put(replace(node, pause=None, resume=resume))

    def _do_clear(self, flags: list[str], _: dict[str, str]) -> None:
        node = self._snapshot.view.node(flags[0])
        assert node is not None
        self._snapshot.put(replace(node, clear_quarantine_id=self._new_id("c")))

    def _do_fence(self, flags: list[str], given: dict[str, str]) -> None:
        """The present run of a node, or another one, is to end."""
        node, member = self._snapshot.view.node(flags[0]), self._snapshot.view.membership(flags[0])
        assert node is not None and member is not None
        self._snapshot.put(replace(node, fence_id=Incarnation(given.get("run", member.incarnation))))

    def _do_lose(self, flags: list[str], _: dict[str, str]) -> None:
        member = self._snapshot.view.membership(flags[0])
        assert member is not None
        kind = EvidenceKind(flags[1] if len(flags) > 1 else "expired")
        texts = {
            EvidenceKind.EXPIRED: "its last run lease ran out",
            EvidenceKind.FENCED: "the power switch confirmed that its run ended",
            EvidenceKind.STOPPED: "its guard proved that its run ended",
        }
        evidence = Evidence(kind, texts[kind], BEGIN_WALL_MS)
        self._snapshot.put(replace(member, state=MembershipState.DOWN, evidence=evidence))

    def _do_prove(self, flags: list[str], _: dict[str, str]) -> None:
        """A guard names the present run of its node and proves that it ended."""
        member = self._snapshot.view.membership(flags[0])
        assert member is not None
        self._snapshot.see(ended={member.node: (member.incarnation,)})

    def _do_back(self, flags: list[str], _: dict[str, str]) -> None:
        member = self._snapshot.view.membership(flags[0])
        assert member is not None
        run = Incarnation(self._new_id(f"i-{flags[0]}-"))
        self._snapshot.put(replace(member, state=MembershipState.UP, incarnation=run, evidence=None))

    def _do_cold(self, _: list[str], __: dict[str, str]) -> None:
        number = self._snapshot.view.formation().number + 1
        self._snapshot.put(FormationRecord(number, self._snapshot.sight().cluster_ms, BEGIN_WALL_MS))

    # ---- maintenance ----

    def _do_maintain(self, flags: list[str], _: dict[str, str]) -> None:
        self._maintain(flags, is_asked=True)

    def _do_end_maintenance(self, flags: list[str], _: dict[str, str]) -> None:
        self._maintain(flags, is_asked=False)

    def _maintain(self, flags: list[str], *, is_asked: bool) -> None:
        view = self._snapshot.view
        found = view.cluster() if flags[0] == "cluster" else getattr(view, flags[0])(flags[1])
        self._snapshot.put(replace(found, maintenance=MAINTENANCE if is_asked else None))

    # ---- groups ----

    def _do_move(self, flags: list[str], given: dict[str, str]) -> None:
        group = self._snapshot.view.group(flags[0])
        assert group is not None
        words = {"queue", "ignore-lock", "ignore-rules"}
        target = next((each for each in flags[1:] if each not in words), "")
        move = MoveRequest(
            given.get("id") or self._new_id("m"), NodeId(target), asked_by="ann", is_queued="queue" in flags,
            ignores_lock="ignore-lock" in flags, ignores_rules="ignore-rules" in flags,
        )  # fmt: skip
        self._snapshot.put(replace(group, move=move))

    def _do_cancel(self, flags: list[str], _: dict[str, str]) -> None:
        group = self._snapshot.view.group(flags[0])
        assert group is not None
        self._snapshot.put(replace(group, move=None))

    def _do_online(self, flags: list[str], _: dict[str, str]) -> None:
        group = self._snapshot.view.group(flags[0])
        assert group is not None
        self._snapshot.put(replace(group, wanted=Wanted.ONLINE, start_id=self._new_id("s")))

    def _do_offline(self, flags: list[str], _: dict[str, str]) -> None:
        group = self._snapshot.view.group(flags[0])
        assert group is not None
        self._snapshot.put(replace(group, wanted=Wanted.OFFLINE))

    def _do_reset(self, flags: list[str], _: dict[str, str]) -> None:
        group = self._snapshot.view.group(flags[0])
        assert group is not None
        self._snapshot.put(replace(group, reset_id=self._new_id("reset")))

    def _do_lock(self, flags: list[str], _: dict[str, str]) -> None:
        self._snapshot.tell(f"group {flags[0]} locked_from_moving=true")

    def _do_unlock(self, flags: list[str], _: dict[str, str]) -> None:
        self._snapshot.tell(f"group {flags[0]} locked_from_moving=false")

    def _do_history(self, flags: list[str], given: dict[str, str]) -> None:
        assignment = self._assignment(flags[0])
        now = self._snapshot.sight().cluster_ms
        stamps = tuple(
            FailoverStamp(now - parse_duration(each.lstrip("-"), unit="ms"), ResourceId(flags[0]), NodeId("a"))
            for each in given.get("failovers", "").split(",")
            if each
        )
        passed = [self._snapshot.view.membership(each) for each in given.get("passed", "").split(",") if each]
        runs = tuple(NodeRun(each.node, each.incarnation) for each in passed if each is not None)
        self._snapshot.put(
            replace(
                assignment,
                failovers=stamps or assignment.failovers,
                passed_over=runs or assignment.passed_over,
                moved_from=NodeId(given.get("moved", assignment.moved_from)),
                drained_from=NodeId(given.get("drained", assignment.drained_from)),
            )
        )

    def _assignment(self, group: str) -> AssignmentRecord:
        found = self._snapshot.view.assignment(group)
        if found is None:
            raise BadCase(f"{group} has no assignment")
        return found

    # ---- owners ----

    def _do_fail(self, flags: list[str], _: dict[str, str]) -> None:
        report = self._report(self._assignment(flags[0]))
        name = report.resources[0].name
        failed = self._all(flags[0], ResourceState.FAILED)
        was_online = report.was_online and "never-online" not in flags
        self._snapshot.put(
            replace(report, resources=failed, failed_over_by=name, failed_over_because="it ended with code 1",
                    was_online=was_online)
        )  # fmt: skip

    def _do_recover(self, flags: list[str], _: dict[str, str]) -> None:
        report = self._report(self._assignment(flags[0]))
        online = self._all(flags[0], ResourceState.ONLINE)
        self._snapshot.put(replace(report, resources=online, failed_over_by=ResourceId(""), was_online=True))

    def _do_refuse(self, flags: list[str], given: dict[str, str]) -> None:
        order = self._snapshot.view.storage_fence(flags[0])
        assert order is not None
        state = StorageFenceState.FAILED if "failed" in flags else StorageFenceState.DONE
        disks = tuple(FencedDisk(ResourceId(each), "claimed") for each in given.get("disks", "").split(","))
        self._snapshot.put(
            StorageFenceReport(
                order.group,
                order.node,
                order.node_incarnation,
                order.number,
                state,
                disks if state is StorageFenceState.DONE else (),
                "the storage does not answer" if state is StorageFenceState.FAILED else "",
                BEGIN_WALL_MS,
            )
        )

    def _do_obey(self, flags: list[str], _: dict[str, str]) -> None:
        self._obey(set(flags))

    def _obey(self, only: set[str]) -> bool:
        has_said = False
        for _, assignment in self._snapshot.view.items(AssignmentRecord):
            member = self._snapshot.view.membership(assignment.owner) if assignment.owner else None
            is_there = member is not None and member.state is MembershipState.UP
            if not is_there or member is None or member.incarnation != assignment.incarnation:
                continue
            before = self._report(assignment)
            if (only and assignment.group not in only) or before.is_released or before.failed_over_by:
                if before.failed_over_by and assignment.order is Order.RELEASE:
                    before = replace(before, failed_over_by=ResourceId(""), failed_over_because="")
                else:
                    continue
            after = self._obeyed(assignment, before)
            if after != self._snapshot.view.report(assignment.group):
                self._snapshot.put(after)
                has_said = True
        return has_said

    def _obeyed(self, assignment: AssignmentRecord, before: ReportRecord) -> ReportRecord:
        view, name = self._snapshot.view, assignment.group
        group = view.group(name)
        hands_off = group_hands_off(view.cluster(), view.node(assignment.owner), group) if group is not None else None
        if assignment.order is Order.RELEASE:
            return replace(before, resources=self._all(name, ResourceState.OFFLINE), is_released=True)
        if hands_off is not None:
            return replace(before, is_hands_off=True)
        is_online = assignment.order is Order.RUN and group is not None and group.wanted is Wanted.ONLINE
        state = ResourceState.ONLINE if is_online else ResourceState.OFFLINE
        was_online = before.was_online or is_online
        return replace(before, resources=self._all(name, state), was_online=was_online, is_hands_off=False)

    def _report(self, assignment: AssignmentRecord) -> ReportRecord:
        found = self._snapshot.view.report(assignment.group)
        if found is not None and found.generation == assignment.generation:
            return found
        return ReportRecord(
            assignment.group, assignment.owner, assignment.incarnation, assignment.generation,
            self._all(assignment.group, ResourceState.OFFLINE),
        )  # fmt: skip

    def _all(self, group: str, state: ResourceState) -> tuple[ResourceReport, ...]:
        is_there = state not in (ResourceState.OFFLINE, ResourceState.FAILED)
        resources = self._snapshot.view.resources_of(group)
        return tuple(ResourceReport(each.name, state, 1, may_run=is_there, ran_as=ran_as(each)) for each in resources)

    # ---- everybody ----

    def _do_run(self, _: list[str], __: dict[str, str]) -> list[str]:
        told: list[str] = []
        for _round in range(ROUNDS_MAX):
            said = [line for line in self._questions.ask("commit") if not line.startswith(("next look", "nothing"))]
            told += said
            if not self._obey(set()) and not said:
                return told or ["nothing"]
        raise BadCase(f"they do not come to rest in {ROUNDS_MAX} rounds")

    def _new_id(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"
