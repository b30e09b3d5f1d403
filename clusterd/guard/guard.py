"""What does the guard do about requests, deadlines and deaths? I/O: one thread, one `poll`.

It sleeps until something arrives, a child ends or the run lease ends. At the end of the lease it kills everything, proves
it gone, and only then names the incarnation ended. It knows nothing of resources: it kills whole containments.
"""

import os
import select
import signal
import socket
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from clusterd.adapters.boot_clock import BootTimer, now_ms
from clusterd.adapters.call_record import forget_records
from clusterd.adapters.containment import NodeContainment
from clusterd.adapters.containment_fork import become_subreaper
from clusterd.adapters.containment_proc import own_children
from clusterd.adapters.plain_log import log
from clusterd.guard.doors import Door, Visitor
from clusterd.guard.ending import Ending
from clusterd.guard.hosts import HostProcess, NodeIdentity, host_id_problem, start_host
from clusterd.guard.lease import RunLease
from clusterd.guard.remembered import Keeper, load
from clusterd.guard.shadow import start_shadow
from clusterd.guard.watchdog import Watchdog
from clusterd.wire import host_pb2

HOST_COUNT_MAX = 256


@dataclass(slots=True)
class Settings:
    identity: NodeIdentity
    stop_budget_ms: int
    watchdog: Watchdog | None = None


class Guard:
    """The guard of one node. `run` returns when it was told to stop and everything is proven gone."""

    def __init__(self, settings: Settings, containment: NodeContainment, *, shadow_pid: int, lock: int) -> None:
        self._identity = settings.identity
        self._stop_budget_ms = settings.stop_budget_ms
        self._watchdog = settings.watchdog
        self._containment = containment
        self._shadow_pid = shadow_pid
        self._lock = lock
        self._remembered = load(self._identity.run_dir)
        self._keeper = Keeper(self._identity.run_dir)
        self._lease = RunLease()
        self._hosts: dict[str, HostProcess] = {}
        self._host_endings: dict[str, Ending] = {}
        self._start_after: set[str] = set()
        self._ending: Ending | None = None
        self._is_stopping = False
        self._is_over = False
        self._trouble: host_pb2.GuardTrouble | None = None
        self._visitors: dict[int, Visitor] = {}
        self._poll = select.poll()
        self._timer = BootTimer()
        self._door = Door(os.path.join(self._identity.run_dir, "guard.sock"))

    def run(self) -> None:
        become_subreaper()
        wake = self._catch_signals()
        for descriptor in (wake.fileno(), self._timer.fd, self._door.socket.fileno()):
            self._poll.register(descriptor, select.POLLIN)
        self._begin_end("the guard before this one was lost", of_node=True)
        while not self._is_over:
            for descriptor, flags in self._poll.poll(self._wait_ms()):
                if descriptor == wake.fileno():
                    self._take_signals(wake)
                elif descriptor == self._timer.fd:
                    self._timer.drain()
                elif descriptor == self._door.socket.fileno():
                    self._welcome()
                else:
                    self._serve(descriptor, flags)
            self._look_at_time()
        self._leave()

    # ---- waking ----

    def _catch_signals(self) -> socket.socket:
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        return reading

    def _take_signals(self, wake: socket.socket) -> None:
        numbers = wake.recv(4096)
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stop("the guard was told to stop by a signal")
        self._reap()

    def _wait_ms(self) -> int | None:
        looks = [each.next_look_ms for each in self._host_endings.values()]
        looks += [each.ready_until_ms for each in self._hosts.values() if not each.is_ready]
        if self._ending is not None:
            looks = [self._ending.next_look_ms]
        if self._keeper.next_try_ms is not None:
            looks.append(self._keeper.next_try_ms)
        if self._watchdog is not None and not self._is_in_trouble(now_ms()):
            looks.append(self._watchdog.next_pet_ms)
        return max(min(looks) - now_ms(), 0) if looks else None

    def _is_in_trouble(self, now: int) -> bool:
        """Whether something outlives the stop budget: then the machine has to go."""
        endings = [*self._host_endings.values(), *([self._ending] if self._ending is not None else [])]
        return any(each.is_over_budget(now) for each in endings)

    def _look_at_time(self) -> None:
        now = now_ms()
        self._keeper.look(self._remembered, now)
        if self._watchdog is not None and not self._is_in_trouble(now):
            self._watchdog.pet(now)
        if self._ending is None and self._lease.has_passed(now):
            self._begin_end(f"its run lease ended {now - self._lease.deadline_ms} ms ago")
        if self._ending is not None:
            self._go_on_ending(self._ending, now)
            return
        for host in list(self._hosts.values()):
            if not host.is_ready and now >= host.ready_until_ms and host.host_id not in self._host_endings:
                self._end_host(host, "killed: it did not become ready")
        for host_id, ending in list(self._host_endings.items()):
            self._go_on_ending_host(host_id, ending, now)

    def _reap(self) -> None:
        if self._ending is None and self._lease.has_passed(now_ms()):
            self._look_at_time()  # hosts end themselves at the deadline, and that is no failure of theirs
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._shadow_pid:
                log("shadow.ended", "warning", because=_exit_words(status))
                self._shadow_pid = start_shadow(self._containment, (self._lock,))
            for host in list(self._hosts.values()):
                if host.pid == pid:
                    self._end_host(host, _exit_words(status))

    # ---- incarnations ----

    def _begin_end(self, because: str, *, of_node: bool = False) -> None:
        """Kill everything of the present incarnation (of all, at the start) and prove it gone."""
        if self._ending is not None:
            return
        log("incarnation.ending", incarnation=self._remembered.incarnation, because=because)
        parts = () if of_node else (self._remembered.incarnation,)
        group = self._containment.incarnation(*parts) if parts else self._containment.node()
        strays = self._containment.strays(*parts, roots=self._own_strays)
        self._ending = Ending((group, strays), because, now_ms=now_ms(), budget_ms=self._stop_budget_ms)

    def _own_strays(self) -> list[int]:
        """Our children that are no shadow: the hosts, and what lost its parent below us."""
        return [pid for pid in own_children() if pid != self._shadow_pid]

    def _go_on_ending(self, ending: Ending, now: int) -> None:
        if not ending.step(now):
            self._tell_trouble(ending, now)
            return
        self._reap()
        ended = self._remembered.incarnation
        successor = "" if self._is_stopping else os.urandom(8).hex()
        self._remembered.end(successor)
        self._keeper.keep(self._remembered, now)
        log("incarnation.ended", incarnation=ended, because=ending.because, took_ms=now - ending.began_ms)
        self._forget_incarnation()
        if ended:
            over = host_pb2.IncarnationEnded(ended=ended, because=ending.because, successor=successor)
            self._tell(host_pb2.GuardEvent(incarnation_ended=over))
        if self._is_stopping:
            self._is_over = True
        else:
            self._tell(host_pb2.GuardEvent(state=self._state()))

    def _forget_incarnation(self) -> None:
        for host in self._hosts.values():
            self._let_go(host)
        forget_records(self._identity.run_dir)
        self._hosts.clear()
        self._host_endings.clear()
        self._start_after.clear()
        self._lease = RunLease()
        self._ending = None
        self._trouble = None

    def _tell_trouble(self, ending: Ending, now: int) -> None:
        pids = ending.trouble(now)
        if not pids:
            return
        message = f"{len(pids)} processes outlive the stop budget ({ending.because}); the node may still run workloads"
        log("guard.trouble", "error", message=message, pids=pids)
        self._trouble = host_pb2.GuardTrouble(message=message, pids=pids)
        self._tell(host_pb2.GuardEvent(trouble=self._trouble))

    def _stop(self, because: str) -> None:
        self._is_stopping = True
        self._begin_end(because)

    def _leave(self) -> None:
        self._door.close()
        for visitor in self._visitors.values():
            visitor.socket.setblocking(True)
            visitor.socket.settimeout(0.2)
            visitor.flush()
            visitor.close()
        shadow, self._shadow_pid = self._shadow_pid, 0
        os.kill(shadow, signal.SIGKILL)  # our own child, not yet reaped: the pid is its
        os.waitpid(shadow, 0)
        self._containment.node().remove()
        if self._watchdog is not None:
            self._watchdog.disarm()

    # ---- hosts ----

    def _start_host(self, host_id: str) -> None:
        problem = host_id_problem(host_id)
        if not problem and len(self._hosts) >= HOST_COUNT_MAX and host_id not in self._hosts:
            problem = f"there are {HOST_COUNT_MAX} hosts already"
        if problem:
            self._tell_not_started(host_id, problem)
        elif host_id in self._host_endings:
            self._start_after.add(host_id)
        elif host_id in self._hosts:
            if self._hosts[host_id].is_ready:
                self._tell(host_pb2.GuardEvent(host_started=self._hosts[host_id].started()))
        else:
            self._fork_host(host_id)

    def _fork_host(self, host_id: str) -> None:
        incarnation = self._remembered.incarnation
        try:
            host = start_host(host_id, self._identity, self._containment, incarnation, now_ms())
        except OSError as error:
            self._tell_not_started(host_id, str(error))
            return
        host.give_lease(incarnation, self._lease.deadline_ms)
        self._hosts[host_id] = host
        self._poll.register(host.lease_socket, select.POLLIN)
        log("host.started", host=host_id, pid=host.pid)

    def _end_host(self, host: HostProcess, because: str) -> None:
        """Kill its containments and itself, and prove both gone."""
        if self._ending is not None or host.host_id in self._host_endings:
            return
        incarnation = self._remembered.incarnation
        others = {each.pid for each in self._hosts.values() if each is not host}
        strays = self._containment.strays(
            incarnation, host.host_id, roots=lambda: [pid for pid in self._own_strays() if pid not in others]
        )
        scopes = (self._containment.host(incarnation, host.host_id), strays)
        ending = Ending(scopes, because, now_ms=now_ms(), budget_ms=self._stop_budget_ms)
        self._host_endings[host.host_id] = ending
        self._go_on_ending_host(host.host_id, ending, now_ms())

    def _go_on_ending_host(self, host_id: str, ending: Ending, now: int) -> None:
        if now < ending.next_look_ms:
            return
        if not ending.step(now):
            self._tell_trouble(ending, now)
            return
        del self._host_endings[host_id]
        host = self._hosts.pop(host_id)
        self._let_go(host)
        ended = host.ended(ending.because)
        calls = [f"{each.verb} of {each.resource}" if each.resource else each.verb for each in ended.calls]
        took_ms = now - ending.began_ms
        log("host.ended", "warning", host=host_id, because=ending.because, calls=calls, took_ms=took_ms)
        self._tell(host_pb2.GuardEvent(host_ended=ended))
        if host_id in self._start_after:
            self._start_after.discard(host_id)
            self._fork_host(host_id)

    def _let_go(self, host: HostProcess) -> None:
        if host.lease_socket.fileno() >= 0:
            self._poll.unregister(host.lease_socket)
            host.lease_socket.close()

    def _tell_not_started(self, host_id: str, because: str) -> None:
        kind = host_pb2.HOST_END_KIND_NEVER_UP
        ended = host_pb2.HostEnded(host_id=host_id, because=f"not started: {because}", workloads_gone=True, kind=kind)
        self._tell(host_pb2.GuardEvent(host_ended=ended))

    def _hear_host(self, host: HostProcess) -> None:
        """Its one word is that it is ready; the end of the pair is seen again as the end of the process."""
        try:
            word = host.lease_socket.recv(64)
        except BlockingIOError:  # the event was of an older socket with this number
            return
        except OSError:
            word = b""
        if word:
            host.is_ready = True
            self._tell(host_pb2.GuardEvent(host_started=host.started()))
        else:
            self._poll.unregister(host.lease_socket)
            host.lease_socket.close()

    # ---- daemons ----

    def _welcome(self) -> None:
        visitor = self._door.accept()
        if visitor is not None:
            self._visitors[visitor.socket.fileno()] = visitor
            self._poll.register(visitor.socket, select.POLLIN)

    def _serve(self, descriptor: int, flags: int) -> None:
        for host in self._hosts.values():
            if host.lease_socket.fileno() == descriptor:
                self._hear_host(host)
                return
        visitor = self._visitors.get(descriptor)
        if visitor is None:
            return
        if flags & select.POLLOUT:
            visitor.flush()
        if flags & ~select.POLLOUT and not visitor.is_closed:
            for body in visitor.receive():
                self._take(visitor, body)
        self._settle(descriptor, visitor)

    def _settle(self, descriptor: int, visitor: Visitor) -> None:
        """After traffic: forget a closed connection, wait for room on a full one."""
        if visitor.is_closed:
            self._poll.unregister(descriptor)
            del self._visitors[descriptor]
        else:
            self._poll.modify(descriptor, select.POLLIN | (select.POLLOUT if visitor.has_unsent else 0))

    def _take(self, visitor: Visitor, body: bytes) -> None:
        try:
            request = host_pb2.GuardRequest.FromString(body)
        except DecodeError:
            visitor.close()
            return
        match request.WhichOneof("body"):
            case "hello":
                self._greet(visitor)
            case "renew":
                self._renew(visitor, request.renew)
            case "start_host" if self._ending is None:
                self._start_host(request.start_host.host_id)
            case "kill_host":
                host = self._hosts.get(request.kill_host.host_id)
                if host is not None:
                    host.is_on_request = True
                    self._end_host(host, f"killed: {request.kill_host.because}")
            case "end_incarnation" if request.end_incarnation.incarnation == self._remembered.incarnation:
                self._begin_end(request.end_incarnation.because)
            case "stop":
                self._stop(request.stop.because)
            case _:  # empty, of a later version, or about what is over
                return

    def _greet(self, visitor: Visitor) -> None:
        """A new incarnation is told to everybody who said hello, so while one ends there is nothing to say but trouble."""
        visitor.has_said_hello = True
        if self._ending is None:
            visitor.send(host_pb2.GuardEvent(state=self._state()).SerializeToString())
        elif self._trouble is not None:
            visitor.send(host_pb2.GuardEvent(trouble=self._trouble).SerializeToString())

    def _renew(self, visitor: Visitor, asked: host_pb2.RenewLease) -> None:
        present = self._remembered.incarnation
        if self._ending is not None:
            because = f"the incarnation is being ended: {self._ending.because}"
        elif asked.incarnation != present:
            because = f"the present incarnation is {present}"
        else:
            because = self._lease.renew(asked.deadline_ms, now_ms())
        if not because:
            self._timer.arm(self._lease.deadline_ms)
            for host in self._hosts.values():
                host.give_lease(present, self._lease.deadline_ms)
        answer = host_pb2.LeaseRenewed(
            incarnation=present, deadline_ms=self._lease.deadline_ms, refused=bool(because), because=because
        )
        visitor.send(host_pb2.GuardEvent(renewed=answer).SerializeToString())

    def _state(self) -> host_pb2.GuardState:
        return host_pb2.GuardState(
            incarnation=self._remembered.incarnation,
            ended_incarnations=self._remembered.ended,
            deadline_ms=self._lease.deadline_ms,
            hosts=[host.started() for host in self._hosts.values() if host.is_ready],
            guard_pid=os.getpid(),
            containment=self._containment.kind,
        )

    def _tell(self, event: host_pb2.GuardEvent) -> None:
        body = event.SerializeToString()
        for descriptor, visitor in list(self._visitors.items()):
            if visitor.has_said_hello:
                visitor.send(body)
                if visitor.is_closed or visitor.has_unsent:
                    self._settle(descriptor, visitor)


def _exit_words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"signal {-code}"
