"""How does the daemon deal with its guard and its resource hosts? I/O.

It connects to the guard whenever there is one, follows what the guard says of hosts, carries calls to them, and notices a
host that answers nothing. Everything comes back to the node as events.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.containment import NodeContainment
from clusterd.adapters.host_link import GuardLink, HostLink, LinkEnded
from clusterd.model.errors import Busy, ClusterError, NotFound
from clusterd.model.ids import Incarnation, ResourceId
from clusterd.node import events as happened
from clusterd.owner import HostCall
from clusterd.owner.commands import SHARED_HOST
from clusterd.runtime.host_messages import (
    answer_of,
    call_message,
    control_message,
    examine_message,
    happening_of,
    host_end,
    host_up,
)
from clusterd.runtime.type_questions import Question, TypeQuestions
from clusterd.wire import host_pb2

GUARD_AGAIN_S = 0.1
PING_EVERY_S = 5.0
PING_WAIT_MS = 10_000
LOST_LINK_GRACE_S = 2.0
HOST_WAIT_S = 5.0
"""How long a question waits for a host that is not there: it is being started, or started again."""

KILL_FOR_S = 2.0
KILL_AGAIN_S = 0.01

Post = Callable[[happened.Event], None]


class NodeProcesses:
    """The guard and the hosts of one node, as far as its daemon is concerned."""

    def __init__(
        self, *, run_dir: str, cluster: str, cluster_id: str, node: str, daemon_run: str, noted: Callable[[str], None]
    ) -> None:
        self._run_dir = run_dir
        self._guard_socket = os.path.join(run_dir, "guard.sock")
        self._cluster, self._cluster_id, self._node, self._daemon_run = cluster, cluster_id, node, daemon_run
        self._noted = noted
        self._post: Post = lambda event: None
        self._broke: Callable[[BaseException], None] = lambda error: None
        self._guard: GuardLink | None = None
        self._guard_seen = asyncio.Event()
        self._guard_ended = asyncio.Event()
        """Of the guard that is connected: each has one of its own, and its last word is out before it is set."""
        self._hosts: dict[str, HostLink] = {}
        self._host_came = asyncio.Event()
        """The next one that is connected; each wait is for one of its own."""
        self._pids: dict[str, int] = {}
        """Which process the guard says each host is: a host that took another's place is not to suffer for it."""
        self._questions = TypeQuestions()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def start(self, post: Post, broke: Callable[[BaseException], None]) -> None:
        """`post` gets what happens; `broke` what must never: a bug here, after which the daemon must not go on."""
        self._post, self._broke = post, broke
        self._run(self._keep_guard(), "guard link")
        self._run(self._keep_pinging(), "host pings")

    async def wait_for_guard(self, wait_max_s: float) -> None:
        """Return when the guard has answered for the first time, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_max_s):
                await self._guard_seen.wait()

    async def stop(self) -> None:
        self._is_stopping = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close_hosts()
        if self._guard is not None:
            self._guard.close()

    # ---- what the node wants ----

    def renew(self, incarnation: str, deadline_ms: int) -> None:
        self._tell_guard(lambda guard: guard.renew(incarnation, deadline_ms))

    def end_incarnation(self, incarnation: str, because: str) -> None:
        """Have the guard stop everything. The daemon kills as well: guard and hosts may be the ones that do not run."""
        self._tell_guard(lambda guard: guard.end_incarnation(incarnation, because))
        self._run(asyncio.to_thread(_kill_all, self._run_dir, incarnation), f"end of {incarnation}")

    def start_host(self, host: str) -> None:
        self._tell_guard(lambda guard: guard.start_host(host))

    def kill_host(self, host: str, because: str) -> None:
        self._tell_guard(lambda guard: guard.kill_host(host, because))

    async def stop_guard(self, because: str) -> None:
        """Have the guard stop everything and end; returns when it has."""
        self._is_stopping = True
        if self._guard is not None and self._guard.is_open:
            self._guard.stop(because)
            await self._guard_ended.wait()

    def call(self, call: HostCall) -> None:
        self._run(self._call(call), f"{call.verb} {call.resource}")

    async def control(self, host: str, resource: str, verb: str, body: bytes) -> bytes:
        """A control call into a resource type. Raises NotFound, or ClusterError with what the type said."""
        link = self._hosts.get(host)
        if link is None:
            raise NotFound(f"resource host {host} is not running", hint="try again in a moment")
        result = await link.call(control_message(resource, verb, body))
        if result.outcome != host_pb2.OUTCOME_DONE:
            raise ClusterError(result.message)
        return result.control_body

    async def examine(self, asked: Question, body: bytes) -> bytes:
        """Ask a resource type about this node. Raises Busy for what ended a host and where there is none for long, or
        ClusterError with what the type said."""
        if refusal := self._questions.refusal(asked, now_ms()):
            raise Busy(refusal)
        link = await self._shared_host()
        number = self._questions.began(SHARED_HOST, asked)
        try:
            result = await link.call(examine_message(asked.type, asked.question, body))
        except asyncio.CancelledError:
            self._questions.given_up(number)
            raise
        self._questions.answered(number)
        if result.outcome != host_pb2.OUTCOME_DONE:
            raise ClusterError(result.message)
        return result.control_body

    async def _shared_host(self) -> HostLink:
        """The host that is there, or comes soon: a node answers before its host does. Raises Busy."""
        try:
            async with asyncio.timeout(HOST_WAIT_S):
                while (link := self._hosts.get(SHARED_HOST)) is None:
                    await self._host_came.wait()
                return link
        except TimeoutError as error:
            message = f"this node's resource host was not there within {HOST_WAIT_S:g} s"
            raise Busy(message, hint="try again in a moment") from error

    # ---- the guard ----

    async def _keep_guard(self) -> None:
        while not self._is_stopping:
            ended = self._guard_ended = asyncio.Event()

            def over(_: str, ended: asyncio.Event = ended) -> None:
                ended.set()

            guard = GuardLink(self._guard_socket, on_event=self._guard_said, on_end=over)
            try:
                await guard.connect()
                self._guard = guard
                await guard.hello(self._daemon_run)
                self._guard_seen.set()
            except ClusterError:
                self._guard = None
                guard.close()
                await asyncio.sleep(GUARD_AGAIN_S)
                continue
            await ended.wait()
            self._guard = None
            self._post(happened.GuardGone("its connection ended"))
            self._close_hosts()

    def _tell_guard(self, tell: Callable[[GuardLink], None]) -> None:
        """A guard that is gone hears nothing; its end is an event of its own."""
        if self._guard is None or not self._guard.is_open:
            return
        try:
            tell(self._guard)
        except LinkEnded:
            return

    def _guard_said(self, event: host_pb2.GuardEvent) -> None:
        match event.WhichOneof("body"):
            case "state":
                state = event.state
                ended = tuple(Incarnation(each) for each in state.ended_incarnations)
                hosts = tuple(host.host_id for host in state.hosts)
                self._post(
                    happened.GuardUp(Incarnation(state.incarnation), ended, state.deadline_ms, state.containment, hosts)
                )
                for host in state.hosts:
                    self._connect_host(host)
            case "renewed":
                renewed = event.renewed
                self._post(
                    happened.GuardRenewed(
                        Incarnation(renewed.incarnation), renewed.deadline_ms, renewed.refused, renewed.because
                    )
                )
            case "host_started":
                self._connect_host(event.host_started)
            case "host_ended":
                gone = event.host_ended
                self._forget_host(gone.host_id)
                end = host_end(gone)
                for blamed in self._questions.host_ended(end, now_ms()):
                    self._noted(
                        f"host {end.host} ended ({end.because}) in the midst of {blamed.text}: not asked for a while"
                    )
                self._post(end)
            case "incarnation_ended":
                over = event.incarnation_ended
                self._close_hosts()
                self._post(
                    happened.IncarnationEnded(Incarnation(over.ended), over.because, Incarnation(over.successor))
                )
            case "trouble":
                self._noted(f"{event.trouble.message} (pids {list(event.trouble.pids)})")
            case _:
                pass

    # ---- hosts ----

    def _connect_host(self, started: host_pb2.HostStarted) -> None:
        host, link = started.host_id, self._hosts.get(started.host_id)
        if self._pids.get(host) == started.pid and (link is None or link.is_open):
            return  # it is being greeted, or was
        self._forget_host(host)
        self._pids[host] = started.pid
        self._run(self._greet_host(started), f"host {host}")

    async def _greet_host(self, started: host_pb2.HostStarted) -> None:
        host, pid = started.host_id, started.pid
        early: list[host_pb2.ResourceEvent] = []
        """What it says right after its inventory is about what stands there: the node has to hear of that first."""

        def said(event: host_pb2.ResourceEvent) -> None:
            if self._hosts.get(host) is link:
                self._host_said(event)
            else:
                early.append(event)

        link = HostLink(started.socket_path, on_event=said, on_end=lambda because: self._lost(host, pid, because))
        try:
            await link.connect()
            inventory = await link.hello(
                cluster=self._cluster, node=self._node, daemon_run=self._daemon_run, cluster_id=self._cluster_id
            )
            up = host_up(host, inventory, self._node)
        except ClusterError as error:
            link.close()
            self._kill_run(host, pid, f"it did not answer the daemon: {error.message}")
            return
        if self._pids.get(host) != pid:
            link.close()  # its end was told while it was greeted
            return
        if not link.is_open:
            self._kill_run(host, pid, "its connection ended while it was greeted")
            return
        self._hosts[host] = link
        self._host_came.set()
        self._host_came = asyncio.Event()
        self._post(up)
        for event in early:
            self._host_said(event)

    def _host_said(self, event: host_pb2.ResourceEvent) -> None:
        what = happening_of(event)
        if what is None:
            self._noted(f"{event.resource}: {event.message}")
            return
        self._post(happened.ResourceHappened(ResourceId(event.resource), event.generation, what, event.message))

    def _lost(self, host: str, pid: int, because: str) -> None:
        """The connection ended. Usually the guard says next that the host did; if not, the host is of no use."""
        if self._pids.get(host) == pid and self._hosts.pop(host, None) is not None and not self._is_stopping:
            self._run(self._kill_if_not_ended(host, pid, because), f"lost {host}")

    async def _kill_if_not_ended(self, host: str, pid: int, because: str) -> None:
        await asyncio.sleep(LOST_LINK_GRACE_S)
        if host not in self._hosts:
            self._kill_run(host, pid, f"its connection ended: {because}")

    def _kill_run(self, host: str, pid: int, because: str) -> None:
        """Have it killed, unless another process has its name by now."""
        if self._pids.get(host) == pid:
            self._tell_guard(lambda guard: guard.kill_host(host, because))

    def _close_hosts(self) -> None:
        links, self._hosts, self._pids = list(self._hosts.values()), {}, {}
        self._questions.hosts_closed()
        for link in links:
            link.close()

    def _forget_host(self, host: str) -> None:
        self._pids.pop(host, None)
        link = self._hosts.pop(host, None)
        if link is not None:
            link.close()

    async def _call(self, call: HostCall) -> None:
        link = self._hosts.get(call.host)
        if link is None:
            return
        try:
            result = await link.call(
                call_message(call), lambda progress: self._post(happened.CallProgressed(call.call_id, progress.message))
            )
        except LinkEnded:
            return  # the end of the host is an event of its own
        self._post(happened.CallAnswered(call.call_id, answer_of(result)))

    async def _keep_pinging(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            for host, link in list(self._hosts.items()):
                self._run(self._ping(host, link), f"ping {host}")

    async def _ping(self, host: str, link: HostLink) -> None:
        try:
            await link.ping(PING_WAIT_MS)
        except LinkEnded as error:
            if self._hosts.get(host) is link:
                self._post(happened.HostSilent(host, error.message))

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._noted(f"{task.get_name()} failed: {error!r}")
            self._broke(error)


def _kill_all(run_dir: str, incarnation: str) -> None:
    """In a thread. What carries the incarnation's tag is ours, wherever it hides; the guard proves that it is gone."""
    containment = NodeContainment.of(run_dir)
    until = time.monotonic() + KILL_FOR_S
    for scope in (containment.incarnation(incarnation), containment.strays(incarnation)):
        scope.kill()
        while not scope.is_empty() and time.monotonic() < until:
            time.sleep(KILL_AGAIN_S)
            scope.kill()
