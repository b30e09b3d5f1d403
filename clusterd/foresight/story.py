"""What is told about an imagined future: who starts, stops or moves, in order, and what would not run? Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from clusterd.database import DatabaseView
from clusterd.foresight.owners import stuck_resources
from clusterd.leader.standing import is_over
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.reasons import short_text, why_text
from clusterd.model.records import AssignmentRecord, Candidate, GroupRecord
from clusterd.model.states import DrainState, Order, ResourceState, Wanted
from clusterd.model.wanted import online_wanted

NO_VOTES = "without quorum nothing runs"


class StepKind(StrEnum):
    STARTS = "starts"
    STOPS = "stops"
    MOVES = "moves"
    STAYS = "stays"
    """It was decided that it does not go where it was asked to, or that it cannot leave a node that is drained."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that would happen to a group, and why. `after_ms`: not counting how long starts and stops take."""

    kind: StepKind
    group: GroupId
    after_ms: int
    source: NodeId = NodeId("")
    target: NodeId = NodeId("")
    rule: str = ""
    because: str = ""
    candidates: tuple[Candidate, ...] = ()

    @property
    def text(self) -> str:
        match self.kind:
            case StepKind.MOVES:
                return f"{self.group} moves from {self.source} to {self.target}"
            case StepKind.STARTS:
                return f"{self.group} starts on {self.target}"
            case StepKind.STOPS:
                return f"{self.group} stops on {self.source}"
            case StepKind.STAYS:
                return f"{self.group} stays on {self.source or 'no node'}"


@dataclass(frozen=True, slots=True)
class NotRunning:
    """A group that is wanted online and would not be."""

    group: GroupId
    was_running: bool
    reason: str
    status: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Foresight:
    """An imagined future. `is_complete` False: the look ahead was cut short at its bound."""

    happenings: tuple[Happening, ...]
    not_running: tuple[NotRunning, ...]
    keeps_quorum: bool = True
    is_complete: bool = True


class Story:
    """Watches the copy of the database while the future is played, and writes down what people would notice."""

    def __init__(self, view: DatabaseView) -> None:
        self._view = view
        self._happenings: list[Happening | None] = []
        # All by folded name: a group that is deleted on the way can still be told of.
        self._names = {key_of(each.name): each.name for each in view.groups()}
        self._runs_on = {key_of(each.name): running_on(view, each) for each in view.groups()}
        self._began_on = dict(self._runs_on)
        self._told = {key_of(each.name): _told(view.assignment(each.name)) for each in view.groups()}
        self._stopped: dict[str, int] = {}
        self._stays: dict[str, Happening] = {}
        self._drains = {each.name: view.drain(each.name) for each in view.nodes()}

    def look(self, groups: Iterable[str], after_ms: int) -> None:
        """Something changed about these groups (folded names)."""
        for name in groups:
            group = self._view.group(name)
            if group is not None:
                self._names[name] = group.name
            now = running_on(self._view, group) if group is not None else NodeId("")
            was = self._runs_on.get(name, NodeId(""))
            self._runs_on[name] = now
            if now != was:
                self._moved(name, was, now, after_ms)
            else:
                self._decided(name, now, after_ms)

    def _moved(self, name: str, was: NodeId, now: NodeId, after_ms: int) -> None:
        self._stays.pop(name, None)
        self._told[name] = _told(self._view.assignment(name))
        if not now:
            self._stopped[name] = len(self._happenings)
            self._happenings.append(self._happening(StepKind.STOPS, name, after_ms, was, now))
            return
        at = self._stopped.pop(name, None)
        stopped = self._happenings[at] if at is not None else None
        source = was or (stopped.source if stopped else NodeId(""))
        if at is not None and source != now:
            self._happenings[at] = None
        kind = StepKind.MOVES if source and source != now else StepKind.STARTS
        self._happenings.append(self._happening(kind, name, after_ms, source, now))

    def _decided(self, name: str, now: NodeId, after_ms: int) -> None:
        told = _told(self._view.assignment(name))
        if told == self._told.get(name):
            return
        self._told[name] = told
        assignment = self._view.assignment(name)
        if assignment is not None and assignment.order is not Order.RELEASE and now:
            self._stays[name] = self._happening(StepKind.STAYS, name, after_ms, now, now)

    def _happening(self, kind: StepKind, key: str, after_ms: int, source: NodeId, target: NodeId) -> Happening:
        group, assignment = self._view.group(key), self._view.assignment(key)
        name = self._names.get(key, GroupId(key))
        decision = assignment.because if assignment else None
        if group is None or (kind is StepKind.STOPS and group.wanted is Wanted.OFFLINE):
            why = "it is wanted offline" if group else "it is deleted"
            return Happening(kind, name, after_ms, source, target, because=why)
        return Happening(
            kind,
            name,
            after_ms,
            source,
            target,
            decision.rule if decision else "",
            decision.text if decision else "",
            decision.candidates if decision else (),
        )

    def told(self, *, keeps_quorum: bool, is_complete: bool) -> Foresight:
        stays = self._stays | self._could_not_leave()
        happenings = [each for each in self._happenings if each is not None] + list(stays.values())
        return Foresight(tuple(happenings), self._not_running(keeps_quorum=keeps_quorum), keeps_quorum, is_complete)

    def _could_not_leave(self) -> dict[str, Happening]:
        """What is still on a node whose drain failed on the way."""
        found: dict[str, Happening] = {}
        for node, before in self._drains.items():
            drain = self._view.drain(node)
            if drain is None or drain == before or drain.state is not DrainState.FAILED:
                continue
            for each in drain.failed:
                if self._runs_on.get(key_of(each.group)) == node:
                    why = f"the drain of {node} would fail: {each.reason}"
                    found[key_of(each.group)] = Happening(StepKind.STAYS, each.group, 0, node, node, "drain", why)
        return found

    def _not_running(self, *, keeps_quorum: bool) -> tuple[NotRunning, ...]:
        found = []
        for group in self._view.groups():
            if self._runs_on.get(key_of(group.name)) or not online_wanted(group, self._view.resources_of(group.name)):
                continue
            assignment = self._view.assignment(group.name)
            decision = assignment.because if assignment and keeps_quorum else None
            was_running = bool(self._began_on.get(key_of(group.name)))
            found.append(
                NotRunning(
                    group.name,
                    was_running,
                    self._why_not(assignment) if keeps_quorum or not was_running else NO_VOTES,
                    assignment.status if assignment else (),
                    decision.candidates if decision else (),
                )
            )
        return tuple(found)

    def _why_not(self, assignment: AssignmentRecord | None) -> str:
        if assignment is None:
            return "no node has been given it"
        report = self._view.report_under(assignment)
        for each in stuck_resources(report):
            return f"{each.name} cannot be stopped on {assignment.owner}: {each.evidence}"
        for each in report.resources if report else ():
            if each.state is ResourceState.FAILED and assignment.order is Order.RUN:
                return f"{each.name} has failed on {assignment.owner}: {why_text(each.cause, each.left_alone)}"
        decision = assignment.because
        return short_text(decision.text, decision.brief) if decision.candidates else decision.text


def running_on(view: DatabaseView, group: GroupRecord) -> NodeId:
    """The node on which something of the group is online; empty when nothing is, or when the node is lost."""
    assignment = view.assignment(group.name)
    member = view.membership(assignment.owner) if assignment is not None and assignment.owner else None
    report = view.report_under(assignment)
    if assignment is None or member is None or report is None or is_over(assignment, member):
        return NodeId("")
    is_online = any(each.state is ResourceState.ONLINE for each in report.resources)
    return assignment.owner if is_online else NodeId("")


def _told(assignment: AssignmentRecord | None) -> tuple[str, str]:
    return (assignment.because.rule, assignment.because.text) if assignment else ("", "")
