"""Events that repeat are counted on, none is lost from the counts, and each names what led to it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.database import Database, DatabaseView, Draft
from clusterd.database.store import EVENTS_KEPT_MAX
from clusterd.database.timeline import COLLAPSE_AMONG, signature_of
from clusterd.model.ids import GroupId, Incarnation, NodeId
from clusterd.model.records import AssignmentRecord, Decision, EventRecord
from clusterd.model.states import Order


class Told:
    """A database into which events are said, one transaction each unless told otherwise."""

    def __init__(self) -> None:
        self.view = DatabaseView(Database())

    def say(self, *events: EventRecord) -> None:
        draft = Draft(self.view)
        for each in events:
            draft.event(each)
        self.commit(draft)

    def commit(self, draft: Draft) -> None:
        database = self.view.database
        assert database.apply(draft.build(""), database.revision + 1).succeeded

    @property
    def events(self) -> list[EventRecord]:
        return [record for _, record in self.view.events()]

    def names_causes(self) -> list[tuple[str, str]]:
        """(event, its cause) by name."""
        by_key = {record.first_key or key: record.name for key, record in self.view.events()}
        return [(each.name, by_key.get(each.caused_by, each.caused_by)) for each in self.events]


def failed(message: str = "db is failed", *, resource: str = "db", wall_ms: int = 1000, **more: str) -> EventRecord:
    name = more.pop("name", "resource.state-changed")
    return EventRecord(wall_ms, name, "error", node="n1", group="g", resource=resource, message=message, **more)


@pytest.fixture
def told() -> Told:
    return Told()


def test_what_is_said_again_is_counted_and_keeps_its_first_time_and_name(told: Told) -> None:
    for number in range(214):
        told.say(failed(f"db failed after {number} ms", wall_ms=1000 + number))
        told.say(failed("db is restarted", name="resource.restarted", wall_ms=1000 + number))
    first, second = told.events
    assert (first.count, first.first_wall_ms, first.wall_ms) == (214, 1000, 1213)
    assert second.count == 214
    assert first.message == "db failed after 213 ms"
    assert first.first_key == second.caused_by, "the link holds although its target was folded"


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("failed after 10 ms", "failed after 2100 ms", True),
        ("pid 4711 ended", "pid 12 ended", True),
        ("since 4:10", "since 12:00:01.5", True),
        ("move to n1", "move to n2", False),
        ("move to web-1", "move to web-2", False),
    ],
)
def test_numbers_do_not_make_a_difference_and_names_do(one: str, other: str, is_same: bool) -> None:
    assert (signature_of(failed(one)) == signature_of(failed(other))) is is_same


def test_another_resource_or_node_is_another_event(told: Told) -> None:
    told.say(failed())
    told.say(failed(resource="other"))
    told.say(replace(failed(), node="n2"))
    assert [each.count for each in told.events] == [1, 1, 1]


def test_what_was_said_long_ago_is_said_anew(told: Told) -> None:
    told.say(failed())
    for number in range(COLLAPSE_AMONG):
        told.say(failed(resource=f"r{number}"))
    told.say(failed())
    assert [each.count for each in told.events if each.resource == "db"] == [1, 1]


def test_twice_in_one_transaction_is_one_event_counted_twice(told: Told) -> None:
    told.say(failed())
    told.say(failed(), failed(), failed())
    assert [each.count for each in told.events] == [4]


def test_two_writers_who_say_the_same_at_once_cannot_both_count_on(told: Told) -> None:
    told.say(failed())
    one, other = Draft(told.view).event(failed()), Draft(told.view).event(failed())
    told.commit(one)
    database = told.view.database
    result = database.apply(other.build(""), database.revision + 1)
    assert not result.succeeded
    assert [each.count for each in told.events] == [2]


def test_what_people_asked_for_and_what_happens_once_is_never_folded(told: Told) -> None:
    for request in ("request-1", "request-2"):
        told.say(EventRecord(1, "wanted.changed", "info", group="g", message="wanted online", caused_by=request))
        told.say(EventRecord(1, "group.assigned", "info", node="n1", group="g", message="g is given to n1"))
    assert [each.caused_by for each in told.events if each.name == "wanted.changed"] == ["request-1", "request-2"]
    assert [each.name for each in told.events].count("group.assigned") == 2


def test_what_was_said_before_a_group_was_given_away_is_said_anew(told: Told) -> None:
    told.say(failed())
    told.say(EventRecord(1, "group.assigned", "info", node="n2", group="other", message="other is given to n2"))
    told.say(failed())
    told.say(EventRecord(1, "group.assigned", "info", node="n1", group="g", message="g is given to n1"))
    told.say(failed())
    assert [each.count for each in told.events if each.resource == "db"] == [2, 1]


def test_flapping_pushes_nothing_out_of_the_timeline(told: Told) -> None:
    told.say(failed("the only one of its kind", resource="quiet"))
    for _ in range(EVENTS_KEPT_MAX + 10):
        told.say(failed())
    assert [each.count for each in told.events] == [1, EVENTS_KEPT_MAX + 10]


said = st.tuples(st.sampled_from(("a", "b", "c")), st.integers(0, 99), st.sampled_from(("", "request-77")))


@given(st.lists(st.lists(said, min_size=1, max_size=3), max_size=40), st.integers(0, 40))
def test_no_event_is_lost_from_the_counts_and_replicas_agree(log: list[list[tuple[str, int, str]]], at: int) -> None:
    told, twin = Told(), Database()
    expected: dict[str, int] = {}
    for revision, events in enumerate(log, start=1):
        draft = Draft(told.view)
        for resource, number, request in events:
            draft.event(failed(f"took {number} ms", resource=resource, caused_by=request))
            expected[resource] = expected.get(resource, 0) + 1
        transaction = draft.build("")
        assert told.view.database.apply(transaction, revision).succeeded
        if revision == at:
            twin = Database.restore(twin.snapshot(), twin.revision)
        twin.apply(transaction, revision)
        assert twin.digest == told.view.database.digest
    counted: dict[str, int] = {}
    for each in told.events:
        counted[each.resource] = counted.get(each.resource, 0) + each.count
    assert counted == expected


def test_a_failover_is_a_chain_of_causes(told: Told) -> None:
    owner = AssignmentRecord(GroupId("g"), NodeId("n1"), Incarnation("i1"), 1, Order.RUN, Decision("rule", "text"))
    told.commit(Draft(told.view).put(owner))
    told.say(EventRecord(1, "group.assigned", "info", node="n1", group="g", message="g is given to n1"))
    told.say(EventRecord(2, "resource.state-changed", "info", node="n1", group="g", resource="db", message="online"))
    told.say(EventRecord(3, "node.expelled", "warning", node="n1", message="n1 is expelled"))
    told.say(EventRecord(4, "node.ended", "warning", node="n1", message="n1 is down"))
    told.say(EventRecord(5, "group.assigned", "info", node="n2", group="g", message="g is given to n2"))
    told.say(EventRecord(6, "resource.state-changed", "info", node="n2", group="g", resource="db", message="online"))
    told.say(EventRecord(7, "group.state-changed", "info", node="n2", group="g", message="g is online"))
    assert told.names_causes()[2:] == [
        ("node.expelled", ""),
        ("node.ended", "node.expelled"),
        ("group.assigned", "node.ended"),
        ("resource.state-changed", "group.assigned"),
        ("group.state-changed", "resource.state-changed"),
    ]


def test_a_failover_by_way_of_the_disks_is_a_chain_of_causes(told: Told) -> None:
    owner = AssignmentRecord(GroupId("g"), NodeId("n1"), Incarnation("i1"), 1, Order.RUN, Decision("rule", "text"))
    told.commit(Draft(told.view).put(owner))
    told.say(EventRecord(1, "node.expelled", "warning", node="n1", message="n1 is expelled"))
    told.say(EventRecord(2, "storage-fence.ordered", "warning", node="n2", group="g", message="n2 is to do it"))
    told.say(EventRecord(3, "storage-fence.failed", "warning", node="n2", group="g", message="n2 could not"))
    told.say(EventRecord(4, "storage-fence.ordered", "warning", node="n3", group="g", message="n3 is to do it"))
    told.say(EventRecord(5, "storage.fenced", "info", node="n3", group="g", message="the storage refuses n1"))
    told.say(EventRecord(6, "group.assigned", "info", node="n2", group="g", message="g is given to n2"))
    assert told.names_causes() == [
        ("node.expelled", ""),
        ("storage-fence.ordered", "node.expelled"),
        ("storage-fence.failed", "storage-fence.ordered"),
        ("storage-fence.ordered", "storage-fence.failed"),
        ("storage.fenced", "storage-fence.ordered"),
        ("group.assigned", "storage.fenced"),
    ]


def test_a_failure_long_after_a_start_was_not_caused_by_it(told: Told) -> None:
    told.say(EventRecord(1, "group.assigned", "info", node="n1", group="g", message="g is given to n1"))
    told.say(failed("db is online"))
    told.say(failed("db is failed"))
    assert told.events[-1].caused_by == ""
