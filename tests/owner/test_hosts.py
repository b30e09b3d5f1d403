"""Hosts and the calls to them."""

from dataclasses import replace

import pytest

from clusterd.model.ids import NAME_LENGTH_MAX, GroupId, Incarnation, ResourceId
from clusterd.model.records import ResourceRecord
from clusterd.model.settings import resource_settings
from clusterd.owner.commands import SHARED_HOST, HostCall, HostEndKind, StartHost, Verb
from clusterd.owner.hosts import NEVER_UP_MAX, START_PAUSES_MS, SUSPECT_HOSTS, Hosts, own_host

WEB = ResourceId("web")
SETTINGS = resource_settings(ResourceRecord(WEB, GroupId("g"), "t"))


def up(hosts: Hosts, host: str = SHARED_HOST, pid: int = 7, now_ms: int = 0) -> Hosts:
    hosts.came_up(host, pid, (), now_ms)
    return hosts


def asked(hosts: Hosts, host: str, verb: Verb = Verb.TERMINATE, now_ms: int = 0) -> HostCall:
    call = HostCall(hosts.next_call_id(), host, verb, WEB, "t", GroupId("g"), 1, Incarnation("i"), {}, SETTINGS, "")
    hosts.began(call, now_ms)
    return call


def test_what_is_needed_is_started_once() -> None:
    hosts = Hosts()
    assert hosts.ensure(WEB, SETTINGS) == SHARED_HOST
    assert hosts.starts(0) == [StartHost(SHARED_HOST)]
    hosts.ensure(WEB, SETTINGS)
    assert hosts.starts(0) == []
    up(hosts).ensure(WEB, SETTINGS)
    assert hosts.starts(0) == []


def test_a_question_starts_nothing_and_keeps_nothing_from_being_started() -> None:
    hosts = Hosts()
    assert hosts.host_of(WEB) is None
    assert hosts.starts(0) == []
    hosts.ensure(WEB, SETTINGS)
    assert hosts.starts(0) == [StartHost(SHARED_HOST)]


def test_a_host_that_ends_again_and_again_is_started_after_a_growing_pause() -> None:
    hosts, now_ms = Hosts(), 0
    for pause_ms in (*START_PAUSES_MS, START_PAUSES_MS[-1]):
        up(hosts, now_ms=now_ms).ended(SHARED_HOST, HostEndKind.BY_ITSELF, "signal 9", now_ms)
        hosts.want(SHARED_HOST)
        assert hosts.next_deadline_ms() == now_ms + pause_ms
        assert hosts.starts(now_ms + pause_ms - 1) == []
        now_ms += pause_ms
        assert hosts.starts(now_ms) == [StartHost(SHARED_HOST)]
    up(hosts, now_ms=now_ms).ended(SHARED_HOST, HostEndKind.BY_ITSELF, "signal 9", now_ms + 3_600_000)
    hosts.want(SHARED_HOST)
    assert hosts.starts(now_ms + 3_600_000), "it had lived long"


def test_a_host_that_never_comes_up_is_in_trouble() -> None:
    hosts = Hosts()
    for _ in range(NEVER_UP_MAX):
        assert not hosts.trouble("own-web")
        hosts.ended("own-web", HostEndKind.NEVER_UP, "not started: no room", 0)
    assert hosts.trouble("own-web") == "not started: no room"
    assert not up(hosts, "own-web").trouble("own-web")


def test_calls_end_with_the_host_they_were_sent_to() -> None:
    hosts = up(Hosts())
    call = asked(hosts, SHARED_HOST)
    assert hosts.is_other_run(SHARED_HOST, 8) and not hosts.is_other_run(SHARED_HOST, 7)
    assert hosts.ended(SHARED_HOST, HostEndKind.BY_ITSELF, "", 0).lost == (call,)
    up(hosts, pid=8)
    assert not hosts.is_busy(WEB, is_terminating=True)
    assert hosts.overdue(1 << 40) == [], "the host after it was killed for a call that it never got"


def test_a_late_answer_to_a_call_of_another_incarnation_is_not_one_of_this() -> None:
    before = up(Hosts())
    late = asked(before, SHARED_HOST, Verb.ONLINE)
    hosts = up(Hosts(before.last_call))
    asked(hosts, SHARED_HOST, Verb.ONLINE)
    assert hosts.answered(late.call_id) is None


@pytest.mark.parametrize("name", ["a", "a" * NAME_LENGTH_MAX, "a" * (NAME_LENGTH_MAX - 4)])
def test_every_name_has_a_host_of_its_own(name: str) -> None:
    host = own_host(name)
    assert host.startswith("own-a") and len(host) <= NAME_LENGTH_MAX
    assert host != own_host(f"{name[:-1]}b")


def test_separate_monitor_and_what_hung_have_their_own() -> None:
    hosts = Hosts()
    assert hosts.ensure(WEB, replace(SETTINGS, separate_monitor=True)) == "own-web"
    hosts.set_apart(WEB)
    assert hosts.ensure(WEB, SETTINGS) == "own-web"
    hosts.rejoin(WEB)
    assert hosts.ensure(WEB, SETTINGS) == SHARED_HOST


def test_a_suspect_is_cleared_by_having_run_elsewhere() -> None:
    hosts = Hosts()
    hosts.suspect(["web", "mail"])
    assert hosts.ensure(WEB, SETTINGS) == "own-web"
    hosts.displace(WEB)
    assert hosts.ensure(WEB, SETTINGS) == "own-web", "it has not proven anything"
    hosts.came_online(WEB)
    hosts.displace(WEB)
    assert hosts.ensure(WEB, SETTINGS) == SHARED_HOST


def test_very_many_suspects_share_a_few_hosts() -> None:
    hosts = Hosts()
    names = [f"r{number}" for number in range(300)]
    hosts.suspect(names)
    homes = {hosts.ensure(ResourceId(name), SETTINGS) for name in names}
    assert len(homes) == SUSPECT_HOSTS and SHARED_HOST not in homes
