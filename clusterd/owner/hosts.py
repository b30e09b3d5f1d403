"""Which resource host serves which resource, and which calls are under way? Pure.

One shared host serves everything; a resource that asks for a host of its own (`separate_monitor`), or that hung or crashed
the host it was in, gets one, and so does for a while what may have crashed it (`blame.py`). A call that is not answered in
time costs its host the life: only its resources suffer. A call belongs to one run of a host, and ends with it.

Whoever needs a host says so (`ensure`), and the next plan starts what is missing (`starts`): at once, or after a pause when
it ended soon after it began. Questions only look (`host_of`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

from clusterd.model.ids import NAME_LENGTH_MAX, ResourceId, key_of
from clusterd.model.settings import ResourceSettings
from clusterd.owner.commands import SHARED_HOST, HostCall, Hosted, HostEndKind, KillHost, StartHost, Verb

ANSWER_GRACE_MS = 2000
START_PAUSES_MS = (0, 500, 1000, 2000, 5000, 10_000, 30_000)
"""Before a host is started again that ended: the longer, the oftener it did so soon after it had begun."""
LIVED_LONG_MS = 60_000
NEVER_UP_MAX = 3
"""A host that did not come up so often in a row cannot: what needs it cannot come online here."""
SUSPECT_HOSTS = 8
_OWN, _APART = "own", "apart"


@dataclass(frozen=True, slots=True)
class CallUnderWay:
    call: HostCall
    answer_by_ms: int


@dataclass(frozen=True, slots=True)
class GoneHost:
    """What was in a host that ended."""

    served: tuple[str, ...]
    lost: tuple[HostCall, ...]
    """Calls that will never be answered."""
    blamed: ResourceId | None
    """Whose hung call it was killed for."""


@dataclass(slots=True)
class _Pause:
    """Between the end of a host and its next start."""

    ends: int = 0
    never_up: int = 0
    until_ms: int = 0
    because: str = ""


@dataclass(slots=True)
class _Suspect:
    """A resource that may have crashed a host. It is cleared by having run in another one."""

    host: str
    has_been_online: bool = False


class Hosts:
    """What this node knows of its resource hosts in the present incarnation."""

    def __init__(self, last_call: int = 0) -> None:
        """`last_call`: of the incarnation before. A late answer to a call of that one must not look like one of this."""
        self._up_since_ms: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._awaited: set[str] = set()
        self._wanted: set[str] = set()
        self._starting: set[str] = set()
        self._pauses: dict[str, _Pause] = {}
        self._killing: dict[str, ResourceId | None] = {}
        self._calls: dict[int, CallUnderWay] = {}
        self._busy: dict[tuple[str, bool], int] = {}
        self._placed: dict[str, str] = {}
        self._apart: set[str] = set()
        self._suspects: dict[str, _Suspect] = {}
        self._last_call = last_call

    # ---- hosts ----

    def expect(self, hosts: Iterable[str]) -> None:
        """These run since before this daemon: what they hold must be known before anything else is started."""
        self._awaited = set(hosts)
        self._starting |= self._awaited

    @property
    def are_all_known(self) -> bool:
        return not self._awaited

    def is_other_run(self, host: str, pid: int) -> bool:
        """Whether another process than `pid` is known under that name."""
        return host in self._pids and self._pids[host] != pid

    def came_up(self, host: str, pid: int, hosted: tuple[Hosted, ...], now_ms: int) -> None:
        self._up_since_ms[host], self._pids[host] = now_ms, pid
        self._awaited.discard(host)
        self._wanted.discard(host)
        self._starting.discard(host)
        self._killing.pop(host, None)
        if host in self._pauses:
            self._pauses[host].never_up = 0
        for each in hosted:
            self._placed[key_of(each.resource)] = host

    def ended(self, host: str, kind: HostEndKind, because: str, now_ms: int) -> GoneHost:
        """Forget a host, and how often it ended."""
        up_since_ms = self._up_since_ms.pop(host, None)
        self._pids.pop(host, None)
        self._awaited.discard(host)
        self._starting.discard(host)
        blamed = self._killing.pop(host, None)
        lost = tuple(under_way.call for under_way in self._calls.values() if under_way.call.host == host)
        for call in lost:
            self._forget(call)
        served = tuple(name for name, where in self._placed.items() if where == host)
        for name in served:
            del self._placed[name]
        has_lived = up_since_ms is not None and now_ms - up_since_ms >= LIVED_LONG_MS
        pause = _Pause() if has_lived else self._pauses.get(host, _Pause())
        pause.until_ms = now_ms + START_PAUSES_MS[min(pause.ends, len(START_PAUSES_MS) - 1)]
        pause.ends += 1
        pause.never_up = pause.never_up + 1 if kind is HostEndKind.NEVER_UP else 0
        pause.because = because
        self._pauses[host] = pause
        return GoneHost(served, lost, blamed)

    def set_apart(self, resource: ResourceId) -> None:
        """It crashed its host, or hung in it: it has a host of its own from its next start on."""
        self._apart.add(key_of(resource))
        self._suspects.pop(key_of(resource), None)

    def rejoin(self, resource: ResourceId) -> None:
        """What it did before does not count any more."""
        self._apart.discard(key_of(resource))
        self._suspects.pop(key_of(resource), None)

    def suspect(self, resources: Iterable[str]) -> None:
        """One of these crashed its host: each gets a host of its own, and of very many each shares one with a few."""
        names = sorted(set(resources) - self._apart)
        for at, name in enumerate(names):
            host = own_host(name) if len(names) <= SUSPECT_HOSTS else f"{_APART}-{at % SUSPECT_HOSTS + 1}"
            self._suspects[name] = _Suspect(host)

    def came_online(self, resource: ResourceId) -> None:
        suspect = self._suspects.get(key_of(resource))
        if suspect is not None:
            suspect.has_been_online = True

    def ensure(self, resource: ResourceId, settings: ResourceSettings) -> str:
        """The host for the resource's next call. It may not be up yet; then the next plan starts it."""
        host = self.host_of(resource) or self._home_of(key_of(resource), settings)
        self.want(host)
        return host

    def want(self, host: str) -> None:
        if host not in self._up_since_ms and host not in self._starting:
            self._wanted.add(host)

    def starts(self, now_ms: int) -> list[StartHost]:
        """Every host that is needed, is not there, and need not wait."""
        due = sorted(host for host in self._wanted if self._paused_until_ms(host) <= now_ms)
        self._wanted.difference_update(due)
        self._starting.update(due)
        return [StartHost(host) for host in due]

    def trouble(self, host: str) -> str:
        """Why a host cannot come up here; empty: nothing is known against it."""
        pause = self._pauses.get(host)
        return pause.because if pause is not None and pause.never_up >= NEVER_UP_MAX else ""

    def host_of(self, resource: ResourceId) -> str | None:
        """The host that serves a resource now, or did when it last ran."""
        return self._placed.get(key_of(resource))

    def is_up(self, host: str) -> bool:
        return host in self._up_since_ms and host not in self._killing

    def _home_of(self, name: str, settings: ResourceSettings) -> str:
        if settings.separate_monitor or name in self._apart:
            return own_host(name)
        return self._suspects[name].host if name in self._suspects else SHARED_HOST

    def _paused_until_ms(self, host: str) -> int:
        return self._pauses[host].until_ms if host in self._pauses else 0

    def place(self, resource: ResourceId, host: str) -> None:
        self._placed[key_of(resource)] = host

    def displace(self, resource: ResourceId) -> None:
        """Nothing of the resource runs any more: its next start may be elsewhere."""
        self._placed.pop(key_of(resource), None)
        suspect = self._suspects.get(key_of(resource))
        if suspect is not None and suspect.has_been_online:
            del self._suspects[key_of(resource)]

    # ---- calls ----

    @property
    def last_call(self) -> int:
        return self._last_call

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
                self._killing[call.host] = call.resource
                found.append((KillHost(call.host, f"hung call {call.verb} of {call.resource}"), call))
        return found

    def kill(self, host: str, because: str, *, blamed: ResourceId | None = None) -> KillHost | None:
        """`blamed`: whose hung call it is killed for."""
        if host not in self._up_since_ms or host in self._killing:
            return None
        self._killing[host] = blamed
        return KillHost(host, because)

    def next_deadline_ms(self) -> int | None:
        waiting = [each.answer_by_ms for each in self._calls.values() if each.call.host not in self._killing]
        waiting += [self._paused_until_ms(host) for host in self._wanted]
        return min(waiting) if waiting else None

    def _forget(self, call: HostCall) -> None:
        self._calls.pop(call.call_id, None)
        if self._busy.get(_busy_key(call)) == call.call_id:
            del self._busy[_busy_key(call)]


def own_host(name: str) -> str:
    """The id of a resource's own host. It is a name like any other, so a long one is cut and told apart by its digest."""
    host = f"{_OWN}-{name}"
    if len(host) <= NAME_LENGTH_MAX:
        return host
    digest = blake2b(name.encode(), digest_size=6).hexdigest()
    return f"{host[: NAME_LENGTH_MAX - len(digest) - 1]}-{digest}"


def _busy_key(call: HostCall) -> tuple[str, bool]:
    return key_of(call.resource), call.verb is Verb.TERMINATE


def _patience_ms(call: HostCall) -> int:
    """The host keeps both limits itself; this one is for a host that does not answer at all."""
    return max(call.settings.pending_timeout_ms, call.settings.deadlock_timeout_ms) + ANSWER_GRACE_MS
