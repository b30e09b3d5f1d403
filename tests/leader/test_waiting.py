"""The leader's short cut: what waits for something elsewhere is looked at, although nothing about it changed."""

import pytest

from clusterd.leader import Memory, decide
from clusterd.model.ids import GroupId
from tests.decisions.questions import Questions
from tests.decisions.snapshot import Snapshot
from tests.decisions.wishes import Wishes

# What happened before, what changes then (about `db` alone), and the group that must be decided about because of it.
NEWS = [
    (
        "room for a group without a node",
        ["node a memory=1024", "group db on=a memory=1024", "group web memory=1024"],
        ["assignment db order=hold", "report db state=offline", "group db wanted=offline"],
        "web",
    ),
    (
        "room for a group that is to leave a node that is drained",
        ["node a", "node b memory=1024", "group db on=b memory=1024", "group web on=a memory=1024", "empty a retry"],
        ["assignment db order=hold", "report db state=offline", "group db wanted=offline"],
        "web",
    ),
    (
        "room for a group that rests in failure",
        ["node a", "node b memory=1024", "group db on=b memory=1024", "group web on=a memory=1024", "fail web"],
        ["assignment db order=hold", "report db state=offline", "group db wanted=offline"],
        "web",
    ),
    (
        "room where a group would rather be",
        [
            "node a memory=1024", "node b", "group db on=a memory=1024",
            "group web on=b memory=1024 preferred=a auto_failback_type=allow", "history web passed=b",
        ],
        ["assignment db order=hold", "report db state=offline", "group db wanted=offline"],
        "web",
    ),
    (
        "a free place among those that start",
        ["node a", "cluster maximum_parallel_starts=1", "group db", "group web priority=low", "commit", "obey web"],
        ["obey db"],
        "web",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "before", "news", "group"), NEWS, ids=[each[0] for each in NEWS])
def test_what_waits_is_looked_at(name: str, before: list[str], news: list[str], group: str) -> None:
    snapshot = Snapshot()
    questions = Questions(snapshot)
    wishes = Wishes(snapshot, questions)
    memory = Memory()
    for line in before:
        if not snapshot.tell(line) and wishes.tell(line) is None:
            questions.ask(line)
    while proposals := decide(snapshot.view, snapshot.sight(), memory=memory).proposals:
        for each in proposals:
            snapshot.commit(each.draft)
    for line in news:
        if not snapshot.tell(line):
            wishes.tell(line)
    found = decide(snapshot.view, snapshot.sight(), groups={GroupId("db")}, memory=memory)
    assert f"group/{group}" in {each.subject for each in found.proposals}, name
