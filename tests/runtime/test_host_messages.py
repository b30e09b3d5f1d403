"""A host that says what cannot be understood is a broken host, and not the daemon's end."""

import pytest

from clusterd.model.states import ResourceState
from clusterd.model.words import is_known
from clusterd.owner import CallOutcome, HostEndKind
from clusterd.runtime.host_messages import SCHEMA_BYTES_MAX, BrokenHost, answer_of, happening_of, host_end, host_up
from clusterd.wire import host_pb2


def inventory(state: str = "online", schema: bytes = b"") -> host_pb2.HostInventory:
    return host_pb2.HostInventory(
        host_id="shared",
        pid=7,
        incarnation="i1",
        types=[host_pb2.TypeDescription(name="t", version="1", schema_json=schema)],
        resources=[host_pb2.HostedResource(resource="r", type="t", group="g", generation=1, state=state, pid=9)],
    )


def test_what_it_says_is_taken() -> None:
    up = host_up("shared", inventory(schema=b'{"type": "object"}'), "n1")
    assert (up.incarnation, up.pid, up.hosted[0].state) == ("i1", 7, ResourceState.ONLINE)
    assert up.types[0].schema == {"type": "object"}


def test_a_state_of_a_newer_version_is_that_resource_s_affair() -> None:
    state = host_up("shared", inventory("hibernated"), "n1").hosted[0].state
    assert state == "hibernated" and not is_known(state)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param(inventory("on\nline"), "is no word of ResourceState", id="state"),
        pytest.param(inventory(schema=b"{"), "Expecting", id="no JSON"),
        pytest.param(inventory(schema=b"[]"), "the schema of t is no object", id="no object"),
        pytest.param(inventory(schema=b"[" * 100_000), "inventory cannot be read", id="nested without end"),
        pytest.param(inventory(schema=b'"' + b"x" * SCHEMA_BYTES_MAX + b'"'), "bytes, at most", id="too much"),
        pytest.param(inventory(schema=b"\xff\xfe"), "inventory cannot be read", id="no text"),
    ],
)
def test_nonsense_is_a_broken_host(said: host_pb2.HostInventory, words: str) -> None:
    with pytest.raises(BrokenHost, match=words):
        host_up("shared", said, "n1")


def test_answers_and_events_of_a_newer_version() -> None:
    assert answer_of(host_pb2.CallResult(outcome=77)).outcome is CallOutcome.FAILED  # type: ignore[arg-type]
    assert happening_of(host_pb2.ResourceEvent(kind=77)) is None  # type: ignore[arg-type]


def test_a_guard_of_an_older_version_says_nothing_of_calls() -> None:
    end = host_end(host_pb2.HostEnded(host_id="shared", because="signal 9", workloads_gone=True))
    assert end.calls is None and end.kind is HostEndKind.BY_ITSELF
    told = host_pb2.HostEnded(host_id="shared", has_calls=True, kind=host_pb2.HOST_END_KIND_NEVER_UP)
    assert host_end(told).calls == () and host_end(told).kind is HostEndKind.NEVER_UP
