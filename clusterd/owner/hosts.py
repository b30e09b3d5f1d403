"""Which resource host serves which resource, and which calls are under way? Pure.

One shared host serves everything; a resource that asks for a host of its own (`separate_monitor`), or that hung or crashed
the host it was in, gets one. A call that is not answered in time costs its host the life: only its resources suffer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clusterd.model.ids import ResourceId, key_of
from clusterd.model.settings import ResourceSettings
from clusterd.owner.commands import SHARED_HOST, HostCall, Hosted, KillHost, StartHost, Verb

ANSWER_GRACE_MS = 2000


@dataclass(frozen=True, slots=True)
class CallUnderWay:
    call: HostCall
    answer_by_ms: int


class Hosts:
    """What this node knows of its resource hosts in the present incarnation."""

    def __init__(self) -> None:
        self._up: set[str] = set()
        self._awaited: set[str] = set()
        self._starting: set[str] = set()
        self._killing: set[str] = set()
        self._calls: dict[int, CallUnderWay] = {}
        self._busy: dict[tuple[str, bool], int] = {}
        self._placed: dict[str, str] = {}
        self._apart: set[str] = set()
        self._last_call = 0

    # ---- hosts ----

    def expect(self, hosts: Iterable[str]) -> None:
        """These run since before this daemon: what they hold must be known before anything else is started."""
        self._awaited = set(hosts)
        self._starting |= self._awaited

    @property
    def are_all_known(self) -> bool:
        return not self._awaited

    def came_up(self, host: str, hosted: tuple[Hosted, ...]) -> None:
        self._up.add(host)
        self._awaited.discard(host)
        self._starting.discard(host)
        self._killing.discard(host)
        for each in hosted:
            self._placed[key_of(each.resource)] = host

    def ended(self, host: str) -> tuple[list[str], list[HostCall]]:
        """Forget a host. Returns the resources that it served and the calls that will never be answered."""
        self._up.discard(host)
        self._awaited.discard(host)
        self._starting.discard(host)
        self._killing.discard(host)
        lost = [under_way.call for under_way in self._calls.values() if under_way.call.host == host]
        for call in lost:
            self._forget(call)
        served = [name for name, where in self._placed.items() if where == host]
        for name in served:
            del self._placed[name]
        return served, lost

    def set_apart(self, resource: ResourceId) -> None:
        """Give the resource a host of its own from its next start on."""
        self._apart.add(key_of(resource))

    def ensure(self, resource: ResourceId, settings: ResourceSettings) -> tuple[str, StartHost | None]:
        """The host for the resource's next call, and what starts it; the host may not be up yet."""
        name = key_of(resource)
        host = self._placed.get(name)
        if host is None:
            host = f"own-{name}" if settings.separate_monitor or name in self._apart else SHARED_HOST
        return host, self.start(host)

    def start(self, host: str) -> StartHost | None:
        if host in self._up or host in self._starting:
            return None
        self._starting.add(host)
        return StartHost(host)

    def is_up(self, host: str) -> bool:
        return host in self._up and host not in self._killing

    def place(self, resource: ResourceId, host: str) -> None:
        self._placed[key_of(resource)] = host

    def displace(self, resource: ResourceId) -> None:
        """Nothing of the resource runs any more: its next start may be elsewhere."""
        self._placed.pop(key_of(resource), None)

    # ---- calls ----

    def next_call_id(self) -> int:
        self._last_call += 1
        return self._last_call

    def began(self, call: HostCall, now_ms: int) -> None:
        self._calls[call.call_id] = CallUnderWay(call, now_ms + _patience_ms(call))
        self._busy[_busy_key(call)] = call.call_id

    def progressed(self, call_id: int, now_ms: int) -> None:
        under_way = self._calls.get(call_id)
        if under_way is not None:
            self._calls[call_id] = replace(under_way, answer_by_ms=now_ms + _patience_ms(under_way.call))

    def call_under_way(self, call_id: int) -> HostCall | None:
        under_way = self._calls.get(call_id)
        return under_way.call if under_way is not None else None

    def answered(self, call_id: int) -> HostCall | None:
        """The call that this answers; None when nobody waits for it any more."""
        under_way = self._calls.get(call_id)
        if under_way is None:
            return None
        is_current = self._busy.get(_busy_key(under_way.call)) == call_id
        self._forget(under_way.call)
        return under_way.call if is_current else None

    def is_busy(self, resource: str, *, is_terminating: bool) -> bool:
        return (key_of(resource), is_terminating) in self._busy

    def forget_calls(self, resource: ResourceId) -> None:
        """Nothing of the resource runs any more: what was asked of its host before needs no answer."""
        for under_way in list(self._calls.values()):
            if key_of(under_way.call.resource) == key_of(resource):
                self._forget(under_way.call)

    def supersede(self, resource: ResourceId) -> None:
        """The answer to whatever is under way for the resource does not matter any more."""
        self._busy.pop((key_of(resource), False), None)

    def overdue(self, now_ms: int) -> list[tuple[KillHost, HostCall]]:
        """Hosts to kill because a call was not answered in time."""
        found = []
        for under_way in list(self._calls.values()):
            call = under_way.call
            if under_way.answer_by_ms <= now_ms and call.host not in self._killing:
                self._killing.add(call.host)
                found.append((KillHost(call.host, f"hung call {call.verb} of {call.resource}"), call))
        return found

    def kill(self, host: str, because: str) -> KillHost | None:
        if host not in self._up or host in self._killing:
            return None
        self._killing.add(host)
        return KillHost(host, because)

    def next_deadline_ms(self) -> int | None:
        waiting = [each.answer_by_ms for each in self._calls.values() if each.call.host not in self._killing]
        return min(waiting) if waiting else None

    def _forget(self, call: HostCall) -> None:
        self._calls.pop(call.call_id, None)
        if self._busy.get(_busy_key(call)) == call.call_id:
            del self._busy[_busy_key(call)]


def _busy_key(call: HostCall) -> tuple[str, bool]:
    return key_of(call.resource), call.verb is Verb.TERMINATE


def _patience_ms(call: HostCall) -> int:
    """The host keeps both limits itself; this one is for a host that does not answer at all."""
    return max(call.settings.pending_timeout_ms, call.settings.deadlock_timeout_ms) + ANSWER_GRACE_MS
