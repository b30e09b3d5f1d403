"""What can be asked of a snapshot, and how is the answer written? The commands of the cases in this folder.

place web [cause=lost|failed|move|…] [from=a] [to=b] [ignores-rules]
why-not web b [ignores-rules]      conflict web      make-room web      balance      starting a
capacity FAILURES                  loss a b …
placed web b                       counted, not committed
decide                             what the leader would propose now
commit                             the same, and it is committed
settle                             again and again, until it proposes nothing more
"""

from collections.abc import Iterable, Iterator

from clusterd.database import DatabaseView
from clusterd.leader import Proposal, decide
from clusterd.leader.balance import balancing_moves
from clusterd.leader.capacity import CapacityAnswer, Loss, loss_of, survives
from clusterd.leader.choice import count_text
from clusterd.leader.crowd import Crowd
from clusterd.leader.placement import Exclusion, PlacementCause, Request
from clusterd.leader.preempt import victims
from clusterd.model import codec, keys
from clusterd.model.drains import DrainRecord
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import AssignmentRecord, EventRecord, GroupRecord, GuardRecord, MembershipRecord, Record
from clusterd.model.storage_fences import StorageFenceRecord
from tests.decisions.snapshot import BadCase, Snapshot

ROUNDS_MAX = 20
CAUSES = {
    "first": PlacementCause.FIRST,
    "lost": PlacementCause.NODE_LOST,
    "failed": PlacementCause.RESOURCE_FAILED,
    "cold-start": PlacementCause.COLD_START,
    **{each.name.lower(): each for each in PlacementCause},
}


class Questions:
    """Answers about one snapshot. The crowd is kept and refreshed, as a leader keeps it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._crowd = Crowd()
        self._is_counting = False

    def ask(self, line: str) -> list[str]:
        word, *rest = line.split()
        act = getattr(self, f"_ask_{word.replace('-', '_')}", None)
        if act is None:
            raise BadCase(f"there is no line that begins with {word!r}")
        if not self._is_counting:
            self._crowd.refresh(self._snapshot.view, self._snapshot.sight())
        flags = [each for each in rest if "=" not in each]
        values = dict(each.split("=", 1) for each in rest if "=" in each)
        self._is_counting = word == "placed"
        return list(act(flags, values))

    # ---- where a group goes ----

    def _ask_place(self, flags: list[str], given: dict[str, str]) -> Iterator[str]:
        cause = CAUSES[given.get("cause", "first")]
        current, target = NodeId(given.get("from", "")) or None, NodeId(given.get("to", "")) or None
        request = Request(self._group(flags[0]), cause, current, target, "ignores-rules" in flags)
        found = self._crowd.place(request)
        where = found.chosen or f"nowhere ({found.status})"
        yield f"{flags[0]} -> {where}: {cause}"
        for each in found.candidates:
            yield f"  {'*' if each.is_chosen else ' '} {each.node}: {each.reason}"

    def _ask_why_not(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        found = self._crowd.why_not(self._group(flags[0]), NodeId(flags[1]), ignores_rules="ignores-rules" in flags)
        yield f"{flags[0]} on {flags[1]}: {_told(found)}"

    def _ask_conflict(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        found = self._crowd.rule_conflict(self._group(flags[0]))
        yield f"{flags[0]} where it is: {_told(found) if found else 'no conflict'}"

    def _ask_make_room(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        found = victims(self._crowd, self._snapshot.view, self._group(flags[0]))
        if found is None:
            yield f"nobody makes room for {flags[0]}"
        else:
            yield f"on {found.node}: {', '.join(found.groups)}: {found.reason}"

    def _ask_balance(self, _: list[str], __: dict[str, str]) -> Iterator[str]:
        sight = self._snapshot.sight()
        moves = balancing_moves(self._crowd, self._snapshot.view, sight, sight.loads)
        for group, target, reason in moves:
            yield f"{group} -> {target}: {reason}"
        if not moves:
            yield "nothing moves"

    def _ask_starting(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        for node in flags:
            yield f"starting on {node}: {self._crowd.starting(NodeId(node))}"

    def _ask_placed(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        self._crowd.placed(GroupId(flags[0]), None if flags[1] == "nowhere" else NodeId(flags[1]))
        yield from ()

    # ---- what a loss would do ----

    def _ask_capacity(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        yield from _capacity(survives(self._snapshot.view, self._snapshot.sight(), int(flags[0])))

    def _ask_loss(self, flags: list[str], _: dict[str, str]) -> Iterator[str]:
        yield from _loss(loss_of(self._snapshot.view, self._snapshot.sight(), [NodeId(each) for each in flags]))

    # ---- everything ----

    def _ask_decide(self, _: list[str], __: dict[str, str]) -> Iterator[str]:
        yield from self._decided()

    def _ask_commit(self, _: list[str], __: dict[str, str]) -> Iterator[str]:
        yield from self._decided(commits=True)

    def _ask_settle(self, _: list[str], __: dict[str, str]) -> Iterator[str]:
        for number in range(1, ROUNDS_MAX + 1):
            told = self._decided(commits=True)
            if told == ["nothing"]:
                yield from told if number == 1 else ()
                return
            yield f"round {number}"
            yield from (f"  {line}" for line in told)
        raise BadCase(f"it does not settle in {ROUNDS_MAX} rounds")

    def _decided(self, *, commits: bool = False) -> list[str]:
        view, sight = self._snapshot.view, self._snapshot.sight()
        decisions = decide(view, sight)
        told = [line for each in decisions.proposals for line in _proposal(view, each)]
        told += [f"fence {wish.node} run {wish.run_id}: {wish.verb} by {wish.agent}" for wish in decisions.fence_wishes]
        for proposal in decisions.proposals if commits else ():
            self._snapshot.commit(proposal.draft)
        if decisions.next_look_ms is not None:
            away_ms = decisions.next_look_ms - sight.now_ms
            told.append(f"next look {'now' if away_ms <= 0 else f'in {away_ms} ms'}")
        return told or ["nothing"]

    def _group(self, name: str) -> GroupRecord:
        found = self._snapshot.view.group(name)
        if found is None:
            raise BadCase(f"there is no group {name}")
        return found


def _told(exclusion: Exclusion | None) -> str:
    return "it can" if exclusion is None else f"{exclusion.reason} ({exclusion.status})"


def _capacity(answer: CapacityAnswer) -> Iterator[str]:
    yield answer.sentence
    for node in answer.nodes:
        memory = "" if node.memory_mib is None else f", {node.memory_free_mib} of {node.memory_mib} MiB free"
        cores = "" if node.cores is None else f", {node.cores_free} of {node.cores} cores free"
        yield f"  {node.node}: {count_text(node.groups)}{memory}{cores}{f' ({node.refusal})' if node.refusal else ''}"
    for each in answer.homeless:
        yield f"  now without a node: {each.group}: {each.reason} ({each.status})"
    for loss in answer.losses:
        yield f"  without {' and '.join(loss.nodes)}"
        for each in loss.stranded:
            yield f"    {each.group}: {each.reason} ({each.status})"


def _loss(loss: Loss) -> Iterator[str]:
    yield f"without {' and '.join(loss.nodes)}"
    for group, node in loss.placed:
        yield f"  {group} -> {node}"
    for each in loss.stranded:
        yield f"  {each.group} -> nowhere: {each.reason} ({each.status})"
    if not (loss.placed or loss.stranded):
        yield "  nothing happens"


def _proposal(view: DatabaseView, proposal: Proposal) -> Iterator[str]:
    built = proposal.draft.build("")
    for put in built.puts:
        kind = keys.RECORD_OF_PREFIX[keys.prefix_of(put.key)]
        yield from _change(view.get(kind, put.key), codec.decode(kind, put.value), put.key)
    for key in built.deletes:
        yield f"{key} goes"
    for data in built.events:
        event = codec.decode(EventRecord, data)
        yield f"  event {event.name}: {event.message}"


def _change(before: Record | None, after: Record, key: str) -> Iterable[str]:
    match after:
        case StorageFenceRecord():
            yield f"{key}: {after.node or 'nobody'} under {after.number} against {after.owner}: {after.because}"
        case AssignmentRecord():
            was = before if isinstance(before, AssignmentRecord) else None
            yield f"{after.group}: {_assigned(was)} -> {_assigned(after)}"
            yield f"  {after.because.rule}: {after.because.text}"
            if after.next_action:
                yield f"  next: {after.next_action}"
        case MembershipRecord():
            was_state = before.state if isinstance(before, MembershipRecord) else "unknown"
            yield f"{key}: {was_state} -> {after.state}: {after.because}"
        case DrainRecord():
            left = ", ".join(f"{each.group} ({each.reason})" for each in after.failed)
            yield f"{key}: {after.state} of {', '.join(after.groups) or 'nothing'}{f'; left: {left}' if left else ''}"
        case GuardRecord():
            pass  # beside every decision about groups that share a limit
        case _:
            yield f"{key} is written"


def _assigned(record: AssignmentRecord | None) -> str:
    if record is None:
        return "nothing"
    words = [record.owner or "nowhere", str(record.order), f"generation {record.generation}"]
    words += [f"for {record.target}"] if record.target else []
    words += [f"({record.release_cause})"] if record.release_cause else []
    words += [f"[{', '.join(record.status)}]"] if record.status else []
    return " ".join(words)
