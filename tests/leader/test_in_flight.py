"""What is proposed and not settled yet counts in every later decision, and what binds each other is decided together."""

import pytest

from clusterd.database import Draft
from clusterd.leader import Decisions, decide
from clusterd.leader.decide import Memory
from clusterd.leader.in_flight import BUNDLE_MAX, REFUSED_FOR_MS, SETTLE_MS, InFlight
from clusterd.leader.proposal import Proposal
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import AssignmentRecord, RuleRecord
from clusterd.model.states import Order, RuleKind
from tests.decisions.snapshot import Snapshot


def snapshot(*lines: str) -> Snapshot:
    found = Snapshot()
    for line in lines:
        assert found.tell(line), line
    return found


def fly(memory: Memory, decisions: Decisions) -> list[int]:
    """The leader proposes, and nothing commits yet."""
    return [memory.in_flight.add(each, 0) for each in decisions.proposals]


def commit(found: Snapshot, memory: Memory, decisions: Decisions, numbers: list[int]) -> list[bool]:
    succeeded = []
    for number, each in zip(numbers, decisions.proposals, strict=True):
        result = found.database.apply(each.draft.build(""), found.database.revision + 1)
        memory.in_flight.settled(number, has_succeeded=result.succeeded)
        succeeded.append(result.succeeded)
    return succeeded


def put_by_hand(found: Snapshot, draft: Draft) -> None:
    assert found.database.apply(draft.build(""), found.database.revision + 1).succeeded


def placed(decisions: Decisions) -> dict[str, str]:
    stored = (record for each in decisions.proposals for record in each.draft.stored.values())
    return {record.group: record.owner for record in stored if isinstance(record, AssignmentRecord)}


APART = ("nodes a b c", "rule apart different-node web db")


def test_a_later_pass_sees_what_is_on_its_way() -> None:
    """The first group is proposed; the second appears before that is committed."""
    found, memory = snapshot(*APART, "node c down", "group web preferred=a"), Memory()
    first = decide(found.view, found.sight(), memory=memory)
    assert placed(first) == {"web": "a"}
    numbers = fly(memory, first)
    found.tell("group db preferred=a")
    waits = decide(found.view, found.sight(), memory=memory)
    assert placed(waits) == {}, "it is bound by the one that is under way, and waits for it"
    assert memory.deferred == {GroupId("db")}
    assert commit(found, memory, first, numbers) == [True]
    assert placed(decide(found.view, found.sight(), groups=set(), memory=memory)) == {"db": "b"}


@pytest.mark.parametrize("line", ["rule apart different-node web db", "rule apart same-node web db"])
def test_a_rule_that_comes_first_in_the_log_is_kept(line: str) -> None:
    """It was proposed without a rule, and commits behind one: it is decided anew."""
    found, memory = snapshot("nodes a b", "group db on=a", "group web preferred=a", "group app preferred=b"), Memory()
    decisions = decide(found.view, found.sight(), memory=memory)
    numbers = fly(memory, decisions)
    kind = RuleKind(line.split()[2])
    put_by_hand(found, Draft(found.view).put(RuleRecord("apart", kind, (GroupId("web"), GroupId("db")))))
    assert commit(found, memory, decisions, numbers) == [False, False]
    again = placed(decide(found.view, found.sight(), memory=memory))
    assert again == {"web": "b" if kind is RuleKind.DIFFERENT_NODE else "a", "app": "b"}


@pytest.mark.parametrize(
    "line",
    ["node a memory=512", "node b paused", "cluster maximum_parallel_starts=3", "group web memory=2048",
     "group other classes=x", "rule new different-node x y"],
)  # fmt: skip
def test_what_placements_rest_on_puts_the_guards(line: str) -> None:
    found = snapshot("nodes a b", "group web", "group other")
    before = found.view.revision_of(keys.GUARD_LIMITS), found.view.revision_of(keys.GUARD_PLACEMENT)
    found.tell(line)
    after = found.view.revision_of(keys.GUARD_LIMITS), found.view.revision_of(keys.GUARD_PLACEMENT)
    assert after[0] > before[0] and after[1] > before[1]


def test_what_they_do_not_rest_on_puts_none() -> None:
    found = snapshot("nodes a b", "group web preferred=a")
    before = found.view.revision_of(keys.GUARD_LIMITS)
    for line in ("group web wanted=offline", "group web move=b", "group other", "resource web restart_threshold=3"):
        found.tell(line)
    assert found.view.revision_of(keys.GUARD_LIMITS) == before


def test_groups_that_bind_each_other_are_one_transaction_and_the_others_are_not() -> None:
    found = snapshot("nodes a b c", "rule apart different-node g1 g2", *(f"group g{number}" for number in range(6)))
    decisions = decide(found.view, found.sight())
    subjects = sorted(each.subjects for each in decisions.proposals)
    assert subjects == [("group/g0",), ("group/g1", "group/g2"), ("group/g3",), ("group/g4",), ("group/g5",)]
    assert [each.is_guarded for each in sorted(decisions.proposals, key=lambda each: each.subject)].count(True) == 1


def test_unbound_groups_do_not_wait_for_each_other() -> None:
    found, memory = snapshot("nodes a b", *(f"group g{number}" for number in range(20))), Memory()
    decisions = decide(found.view, found.sight(), memory=memory)
    assert commit(found, memory, decisions, fly(memory, decisions)) == [True] * 20


def test_a_large_number_is_split_and_the_second_part_waits_for_the_first() -> None:
    found, memory = snapshot("node a memory=900", "node b memory=900"), Memory()
    memory.in_flight.bundle_max = 4
    for number in range(10):
        found.tell(f"group g{number} memory=100 priority={'high' if number == 9 else 'low'}")
    order = []
    for _ in range(3):
        decisions = decide(found.view, found.sight(), memory=memory)
        memory.in_flight.bundle_max = 4
        assert len(decisions.proposals) == 1
        order.append(sorted(decisions.proposals[0].subjects))
        numbers = fly(memory, decisions)
        assert not decide(found.view, found.sight(), memory=memory).proposals
        assert commit(found, memory, decisions, numbers) == [True]
        memory.in_flight.bundle_max = 4
    assert order[0][-1] == "group/g9" and [len(each) for each in order] == [4, 4, 2]


def test_a_group_in_flight_weighs_where_it_is_and_where_it_will_be() -> None:
    found, memory = snapshot("nodes a b c", "group web on=a memory=100 move=b"), Memory()
    fly(memory, decide(found.view, found.sight(), memory=memory))
    memory.crowd.refresh(found.view, found.sight(), memory.in_flight)
    assert [memory.crowd.load(NodeId(node)).memory_mib for node in "abc"] == [100, 100, 0]
    memory.in_flight.clear()
    memory.crowd.refresh(found.view, found.sight(), memory.in_flight)
    assert [memory.crowd.load(NodeId(node)).memory_mib for node in "abc"] == [100, 0, 0]


def test_starts_in_flight_count_against_the_limit() -> None:
    found, memory = snapshot("node a", "cluster maximum_parallel_starts=1", "group db"), Memory()
    numbers = fly(memory, first := decide(found.view, found.sight(), memory=memory))
    found.tell("group web")
    second = decide(found.view, found.sight(), memory=memory)
    (web,) = (each.draft.stored[keys.assignment("web")] for each in second.proposals)
    assert isinstance(web, AssignmentRecord) and web.order is Order.HOLD
    assert commit(found, memory, first, numbers) == [True]


# ---- the book ----


def proposal(found: Snapshot, *groups: str, is_guarded: bool = True) -> Proposal:
    draft = Draft(found.view)
    if is_guarded:
        draft.guard(keys.GUARD_PLACEMENT)
    first, *others = (f"group/{each}" for each in groups)
    return Proposal(first, draft, tuple(others))


def test_a_bundle_that_fails_is_halved_and_one_that_commits_brings_the_size_back() -> None:
    """One group in it that changes all the time must not keep the others waiting for ever."""
    found, book = snapshot("nodes a"), InFlight()
    names = [f"g{number}" for number in range(64)]
    sizes = []
    while not sizes or sizes[-1] > 1:
        number = book.add(proposal(found, *names[: book.bundle_max]), 0)
        book.settled(number, has_succeeded=False)
        sizes.append(book.bundle_max)
    assert sizes == [32, 16, 8, 4, 2, 1]
    book.settled(book.add(proposal(found, "g0"), 0), has_succeeded=True)
    assert book.bundle_max == BUNDLE_MAX


def test_what_was_refused_rests_until_something_changes_or_a_while() -> None:
    found, book = snapshot("nodes a"), InFlight()
    number = book.add(proposal(found, "web", is_guarded=False), 1000)
    book.refused(number, revision=7, now_ms=1000)
    assert book.groups == {GroupId("web")} and book.rested(7, 1500) == []
    assert book.next_deadline_ms() == 1000 + REFUSED_FOR_MS
    assert book.rested(8, 1500) == ["group/web"] and book.groups == set()
    number = book.add(proposal(found, "web", is_guarded=False), 2000)
    book.refused(number, revision=7, now_ms=2000)
    assert book.rested(7, 2000 + REFUSED_FOR_MS) == ["group/web"]


def test_what_is_not_settled_is_looked_up() -> None:
    found, book = snapshot("nodes a"), InFlight()
    number = book.add(proposal(found, "web"), 100)
    assert book.overdue(100 + SETTLE_MS - 1) == [] and book.overdue(100 + SETTLE_MS) == [number]
    book.renew(number, 9000)
    assert book.overdue(9000 + SETTLE_MS - 1) == []
    assert book.settled(number, has_succeeded=False) == ("group/web",)
    assert book.settled(number, has_succeeded=True) == (), "an outcome that comes late is about nothing"


def test_a_later_change_of_the_group_itself_is_seen() -> None:
    """An operator's change between the decision and its commit wins, also in a bundle: the others are decided again."""
    found, memory = snapshot(*APART, "group web", "group db"), Memory()
    decisions = decide(found.view, found.sight(), memory=memory)
    numbers = fly(memory, decisions)
    found.tell("group web preferred=c")
    assert commit(found, memory, decisions, numbers) == [False]
    again = {}
    for _ in range(2):
        decisions = decide(found.view, found.sight(), memory=memory)
        again.update(placed(decisions))
        commit(found, memory, decisions, fly(memory, decisions))
    assert again["web"] == "c" and again["db"] != "c"
