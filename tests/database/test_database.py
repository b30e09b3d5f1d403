"""The database: what a transaction changes, what it must not, and that replicas agree."""

from hypothesis import given
from hypothesis import strategies as st

from clusterd.database import Database, DatabaseView, Draft
from clusterd.database.store import EVENTS_KEPT_MAX
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import EventRecord, GroupRecord, NodeRecord, ResourceRecord
from clusterd.wire.records_pb2 import Compare, Put, Transaction

KEYS = ("group/a", "group/b", "resource/x", "node/n", "cluster")

transactions = st.builds(
    Transaction,
    request_id=st.sampled_from(("", "r1", "r2", "r3", "r4")),
    cluster_ms=st.integers(0, 50),
    compares=st.lists(st.builds(Compare, key=st.sampled_from(KEYS), revision=st.integers(0, 6)), max_size=2),
    puts=st.lists(st.builds(Put, key=st.sampled_from(KEYS), value=st.binary(max_size=3)), max_size=3),
    deletes=st.lists(st.sampled_from(KEYS), max_size=2),
    events=st.lists(st.binary(max_size=2), max_size=2),
)


class Obvious:
    """The slow twin: a dictionary."""

    def __init__(self) -> None:
        self.items: dict[str, tuple[bytes, int]] = {}
        self.answers: dict[str, bool] = {}

    def apply(self, transaction: Transaction, revision: int) -> bool:
        if transaction.request_id in self.answers:
            return self.answers[transaction.request_id]
        holds = all(self.items.get(each.key, (b"", 0))[1] == each.revision for each in transaction.compares)
        if holds:
            for key in transaction.deletes:
                self.items.pop(key, None)
            for put in transaction.puts:
                self.items[put.key] = (put.value, revision)
            for number, value in enumerate(transaction.events):
                self.items[keys.event(revision, number)] = (value, revision)
        if transaction.request_id:
            self.answers[transaction.request_id] = holds
        return holds


def contents(database: Database) -> dict[str, tuple[bytes, int]]:
    return {key: (item.value, item.revision) for key, item in database._all_items()}


@given(st.lists(transactions, max_size=12), st.integers(0, 12))
def test_it_agrees_with_a_dictionary_and_survives_a_snapshot_at_any_moment(log: list[Transaction], at: int) -> None:
    database, twin = Database(), Obvious()
    for revision, transaction in enumerate(log, start=1):
        if revision == at:
            before = database.digest
            database = Database.restore(database.snapshot(), database.revision)
            assert database.digest == before
        result = database.apply(transaction, revision)
        assert result.succeeded == twin.apply(transaction, revision)
        assert contents(database) == twin.items
    again = Database()
    for revision, transaction in enumerate(log, start=1):
        again.apply(transaction, revision)
    assert (again.digest, contents(again)) == (database.digest, contents(database))
    assert again.cluster_ms == database.cluster_ms == max((each.cluster_ms for each in log), default=0)
    assert again.snapshot() == database.snapshot()


@given(st.lists(transactions, max_size=10), st.integers(0, 10))
def test_changes_since_names_every_key_that_differs(log: list[Transaction], since: int) -> None:
    database, states = Database(), [dict[str, tuple[bytes, int]]()]
    for revision, transaction in enumerate(log, start=1):
        database.apply(transaction, revision)
        states.append(contents(database))
    since = min(since, len(log))
    named = {key for _, key in database.changes_since(since) or ()}
    differ = {key for key in states[since].keys() | states[-1].keys() if states[since].get(key) != states[-1].get(key)}
    assert differ <= named


def test_a_repeated_request_gets_the_first_answer() -> None:
    database = Database()
    transaction = Transaction(request_id="once", puts=[Put(key="group/a", value=b"1")])
    first = database.apply(transaction, 1)
    database.apply(Transaction(puts=[Put(key="group/a", value=b"2")]), 2)
    again = database.apply(transaction, 3)
    assert (again.succeeded, again.revision, again.is_repeat) == (True, first.revision, True)
    assert contents(database)["group/a"] == (b"2", 2)


def test_of_two_writers_with_one_view_only_one_succeeds() -> None:
    database = Database()
    view = DatabaseView(database)
    one = Draft(view).replace(GroupRecord(GroupId("a"), preferred_owners=(NodeId("n1"),))).build("one")
    two = Draft(view).replace(GroupRecord(GroupId("A"), preferred_owners=(NodeId("n2"),))).build("two")
    assert database.apply(one, 1).succeeded
    lost = database.apply(two, 2)
    assert (lost.succeeded, lost.conflict_key, lost.conflict_revision) == (False, "group/a", 1)
    found = view.group("a")
    assert found is not None and found.preferred_owners == ("n1",)


def test_the_timeline_is_bounded_also_after_a_snapshot() -> None:
    database = Database()
    event = Draft(DatabaseView(database)).event(EventRecord(1, "a.b", "info")).build("")
    for revision in range(1, EVENTS_KEPT_MAX + 20):
        database.apply(event, revision)
    database = Database.restore(database.snapshot(), database.revision)
    database.apply(event, EVENTS_KEPT_MAX + 20)
    kept = database.keys_under(keys.EVENT)
    assert len(kept) == EVENTS_KEPT_MAX
    assert kept[-1] == keys.event(EVENTS_KEPT_MAX + 20, 0)


def test_a_view_follows_the_database() -> None:
    database = Database()
    view = DatabaseView(database)
    draft = Draft(view).put(NodeRecord(NodeId("b"), 1, "")).put(NodeRecord(NodeId("a"), 2, ""))
    draft.put(ResourceRecord(ResourceId("x"), GroupId("G"), "t"))
    database.apply(draft.build(""), 1)
    assert [node.name for node in view.nodes()] == ["b", "a"]
    assert [each.name for each in view.resources_of("g")] == ["x"]
    database.apply(Draft(view).delete("resource/x").build(""), 2)
    assert view.resources_of("G") == []
    assert view.resource("X") is None


def test_a_fork_is_a_database_of_its_own() -> None:
    database = Database()
    view = DatabaseView(database)
    resource = ResourceRecord(ResourceId("x"), GroupId("a"), "generic_service")
    database.apply(Draft(view).put(GroupRecord(GroupId("a"))).put(resource).build("r1"), 1)
    assert [each.name for each in view.resources_of("a")] == ["x"]
    fork = view.fork()
    assert (fork.revision, fork.database.digest) == (1, database.digest)
    change = Draft(fork).delete(keys.resource("x")).event(EventRecord(1, "test.said", "info")).build("r1")
    assert fork.database.apply(change, 2).succeeded, "what was answered here is not known there"
    assert (fork.resources_of("a"), len(list(fork.events()))) == ([], 1)
    assert ([each.name for each in view.resources_of("a")], list(view.events())) == (["x"], [])
    assert (view.revision, database.digest) == (1, Database.restore(database.snapshot(), 1).digest)
