"""How is a resource type tried on a real guard and a real host, without a cluster? I/O.

A trial node is a guard process in a folder of its own; the caller plays the daemon: renews the lease, starts hosts, makes
calls. The conformance suite and the tests of guard and host run on it. Leaving the context ends everything.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.host_link import GuardLink, HostLink, LinkEnded
from clusterd.wire import host_pb2

LEASE_MS = 1500
RENEW_EVERY_MS = 250
START_WITHIN_MS = 10_000
WAIT_WITHIN_MS = 10_000
Found = TypeVar("Found")


class TrialFailed(Exception):
    """The node itself did not do what every test relies on."""


@dataclass(slots=True)
class Deadlines:
    """The time-outs that a trial sends along with its calls."""

    pending_timeout_ms: int = 5000
    deadlock_timeout_ms: int = 10_000
    looks_alive_interval_ms: int = 100
    is_alive_interval_ms: int = 500


@dataclass(slots=True)
class TrialHost:
    """A connection to one host, and what it told."""

    started: host_pb2.HostStarted
    link: HostLink
    inventory: host_pb2.HostInventory
    events: list[host_pb2.ResourceEvent] = field(default_factory=list)
    is_gone: bool = False


class TrialNode:
    """One guard and its hosts. `guard_events` and each host's `events` grow as things happen."""

    def __init__(self, run_dir: str, process: subprocess.Popen[bytes]) -> None:
        self.run_dir = run_dir
        self.process = process
        self.guard_events: list[host_pb2.GuardEvent] = []
        self.incarnation = ""
        self.deadlines = Deadlines()
        self.is_renewing = True
        self._changed = asyncio.Event()
        self._guard = self._new_guard_link()
        self._renewing: asyncio.Task[None] | None = None

    @property
    def guard(self) -> GuardLink:
        return self._guard

    @property
    def guard_pid(self) -> int:
        return self.process.pid

    # ---- the guard ----

    async def connect(self) -> host_pb2.GuardState:
        """Connect as a daemon that just started, and renew the lease from here on."""
        until = now_ms() + START_WITHIN_MS
        while True:
            try:
                self._guard = self._new_guard_link()
                await self._guard.connect()
                break
            except LinkEnded:
                if now_ms() > until or self.process.poll() is not None:
                    raise
                await asyncio.sleep(0.01)
        state = await self._guard.hello("trial")
        self.incarnation = state.incarnation
        self.renew()
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._keep_renewing(), name="trial lease")
        return state

    def renew(self, lease_ms: int = LEASE_MS) -> None:
        self._guard.renew(self.incarnation, now_ms() + lease_ms)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_MS / 1000)
            if self.is_renewing and self._guard.is_open:
                self.renew()

    def _new_guard_link(self) -> GuardLink:
        path = os.path.join(self.run_dir, "guard.sock")
        return GuardLink(path, on_event=self._take_guard_event, on_end=lambda because: self._changed.set())

    def _take_guard_event(self, event: host_pb2.GuardEvent) -> None:
        if not event.HasField("renewed") or event.renewed.refused:
            self.guard_events.append(event)
        self._changed.set()

    async def guard_said(self, body: str, within_ms: int = WAIT_WITHIN_MS) -> host_pb2.GuardEvent:
        """The first event of that kind since the last call of `forget`."""
        return await self.until(
            lambda: next((each for each in self.guard_events if each.WhichOneof("body") == body), None),
            within_ms,
            what=f"{body} from the guard",
        )

    def forget(self) -> None:
        self.guard_events.clear()

    # ---- hosts ----

    async def start_host(self, host_id: str = "shared") -> TrialHost:
        self._guard.start_host(host_id)

        def found() -> host_pb2.HostStarted | None:
            for event in self.guard_events:
                if event.HasField("host_ended") and event.host_ended.host_id == host_id:
                    raise TrialFailed(f"host {host_id} did not start: {event.host_ended.because}")
                if event.HasField("host_started") and event.host_started.host_id == host_id:
                    return event.host_started
            return None

        return await self.connect_host(await self.until(found, START_WITHIN_MS, what=f"the start of host {host_id}"))

    async def connect_host(self, started: host_pb2.HostStarted) -> TrialHost:
        """Connect as a daemon that adopts what runs there."""
        events: list[host_pb2.ResourceEvent] = []

        def take(event: host_pb2.ResourceEvent) -> None:
            events.append(event)
            self._changed.set()

        def gone(because: str) -> None:
            host.is_gone = True
            self._changed.set()

        link = HostLink(started.socket_path, on_event=take, on_end=gone)
        host = TrialHost(started, link, host_pb2.HostInventory(), events)
        await link.connect()
        host.inventory = await link.hello(cluster="trial", cluster_id="trial", node="n1", daemon_run="trial")
        return host

    def call(
        self, verb: str, resource: str, type_name: str, properties: Mapping[str, Any] | None = None, generation: int = 1
    ) -> host_pb2.ResourceCall:
        """A call that can be changed before it is made."""
        return host_pb2.ResourceCall(
            verb=host_pb2.Verb.Value(f"VERB_{verb.upper()}"),
            resource=resource,
            type=type_name,
            group="trial-group",
            generation=generation,
            incarnation=self.incarnation,
            properties_json=json.dumps(dict(properties or {})).encode(),
            pending_timeout_ms=self.deadlines.pending_timeout_ms,
            deadlock_timeout_ms=self.deadlines.deadlock_timeout_ms,
            looks_alive_interval_ms=self.deadlines.looks_alive_interval_ms,
            is_alive_interval_ms=self.deadlines.is_alive_interval_ms,
            reason="user-requested",
        )

    async def host_said(
        self, host: TrialHost, kind: "host_pb2.ResourceEventKind.ValueType", within_ms: int = WAIT_WITHIN_MS
    ) -> host_pb2.ResourceEvent:
        return await self.until(
            lambda: next((each for each in host.events if each.kind == kind), None),
            within_ms,
            what=f"{host_pb2.ResourceEventKind.Name(kind)} from the host",
        )

    async def until(self, look: Callable[[], Found | None], within_ms: int, *, what: str) -> Found:
        """Wait until `look` finds something; it is asked after every event, and every few milliseconds."""
        until = now_ms() + within_ms
        while not (found := look()):
            if now_ms() > until:
                raise TrialFailed(f"waited {within_ms} ms for {what}, in vain")
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.005):
                    await self._changed.wait()
        return found

    # ---- the end ----

    async def ended(self, within_ms: int) -> int | None:
        """The guard's exit status; None when it still runs after that time."""
        try:
            return await asyncio.to_thread(self.process.wait, within_ms / 1000)
        except subprocess.TimeoutExpired:
            return None

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self.process.poll() is None:
            self.process.terminate()
        if await self.ended(START_WITHIN_MS) is None:
            self.process.kill()
            await self.ended(START_WITHIN_MS)
        self._guard.close()


@contextlib.asynccontextmanager
async def trial_node(
    run_dir: str,
    *,
    plugin_dirs: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    log: int | None = None,
    stop_budget_ms: int = 1000,
) -> AsyncIterator[TrialNode]:
    """A connected node. `log` is where guard and hosts write what they did; default is nowhere."""
    node = start_guard(
        run_dir, plugin_dirs=plugin_dirs, environment=environment, log=log, stop_budget_ms=stop_budget_ms
    )
    try:
        await node.connect()
        yield node
    finally:
        await node.close()


def start_guard(
    run_dir: str,
    *,
    plugin_dirs: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    log: int | None = None,
    stop_budget_ms: int = 1000,
) -> TrialNode:
    """The process only; nobody is connected yet."""
    argv = [sys.executable, "-m", "clusterd.main.guard", "--run-dir", run_dir, "--cluster", "trial", "--node", "n1"]
    argv += ["--run-id", "trial", "--stop-budget-ms", str(stop_budget_ms)]
    for folder in plugin_dirs:
        argv += ["--host-plugins", folder]
    process = subprocess.Popen(
        argv,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if log is None else log,
    )
    return TrialNode(run_dir, process)
