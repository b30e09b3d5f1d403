"""Who starts the processes of a host? I/O: a small process of its own, without threads.

The host has threads, and what is forked beside threads may die or hang before it runs; this process has none, so its
children can be born inside their control group and run Python until `execve` (containment_fork). It is their parent, reaps
them and tells the host how they ended. It dies with the host, and they die with it. Without control groups each has a keeper
between itself and the spawner.

What it and the host say to each other is in spawn_messages. Each believes only the other: the kernel tells with every
message which process sent it.
"""

import array
import os
import select
import signal
import socket
import sys
from collections import deque
from dataclasses import dataclass

if __name__ == "__main__":  # started with -I -S: nothing but the standard library is on the path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from clusterd.adapters.containment_fork import Birth, bear, die_with_parent
from clusterd.adapters.frames import FrameBuffer, FrameTooLarge, framed
from clusterd.adapters.process_limits import Rank, raise_descriptor_limit, take_oom_rank
from clusterd.reshost.keeper import Keeper, give_up, go_on, keep
from clusterd.reshost.spawn_link import receive
from clusterd.reshost.spawn_messages import Answer, BadMessage, Ended, Order, Refused, Started, answer_text, read_order


@dataclass(slots=True)
class _Unborn:
    """A child between fork and execve, which it confirms by the end of its report."""

    request: int
    pid: int
    pidfd: int
    report: int
    keeper: Keeper | None


class Spawner:
    """The loop of the process."""

    def __init__(self, link: socket.socket, host_pid: int) -> None:
        self._link = link
        self._host_pid = host_pid
        self._buffer = FrameBuffer()
        self._descriptors: deque[int] = deque()
        self._unborn: dict[int, _Unborn] = {}
        self._own: set[int] = set()
        """The children that run their command, keepers apart."""
        self._keepers: dict[int, Keeper] = {}
        """By the descriptor on which they say how their process ended."""
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._workload_descriptors = raise_descriptor_limit()

    def run(self) -> None:
        wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._poll.register(self._link, select.POLLIN)
        self._poll.register(wake, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._link.fileno():
                    if not self._receive():
                        return
                elif descriptor == wake:
                    os.read(wake, 4096)
                    self._reap()
                elif descriptor in self._unborn:
                    self._confirm(self._unborn.pop(descriptor))
                elif descriptor in self._keepers:
                    self._end_kept(self._keepers.pop(descriptor))

    def _receive(self) -> bool:
        data = receive(self._link, self._host_pid, self._descriptors)
        for body in self._buffer.feed(data):
            request, order = read_order(body)
            if not self._descriptors:
                raise BadMessage("an order came without a descriptor for its output")
            self._start(request, order, self._descriptors.popleft())
        return bool(data)

    def _start(self, request: int, order: Order, output: int) -> None:
        held = [output]
        try:
            report, report_write = os.pipe2(os.O_CLOEXEC)
            held.append(report_write)
            pid, pidfd, keeper = self._bear(order, output, report_write, report)
        except OSError as error:
            self._send(Refused(request, "fork", error.errno or 0))
            return
        finally:
            for each in held:
                os.close(each)
        self._unborn[report] = _Unborn(request, pid, pidfd, report, keeper)
        self._poll.register(report, select.POLLIN)
        if keeper is not None:
            go_on(keeper)
            self._keepers[keeper.link.fileno()] = keeper
            self._poll.register(keeper.link, select.POLLIN)

    def _bear(self, order: Order, output: int, report_write: int, report: int) -> tuple[int, int, Keeper | None]:
        """Its pid, a descriptor of it, and its keeper where there is one. Raises OSError; then nothing of it runs."""
        try:
            birth = Birth(
                *order,
                standard=(self._nothing, output, output),
                descriptor_limit=self._workload_descriptors,
                oom_rank=Rank.WORKLOAD,
            )
            keeper = keep(birth, report_write) if birth.cgroup is None else None
            pid = keeper.child if keeper is not None else bear(birth, report_write)
            try:
                return pid, os.pidfd_open(pid), keeper
            except OSError:
                os.kill(pid, signal.SIGKILL)  # neither this process nor its keeper has reaped it: it is still this one
                if keeper is None:
                    os.waitpid(pid, 0)
                else:
                    give_up(keeper)
                raise
        except OSError:
            os.close(report)
            raise

    def _confirm(self, child: _Unborn) -> None:
        """It runs its command now, or it said why not; then it is reaped here, as nobody knows it."""
        self._poll.unregister(child.report)
        said = os.read(child.report, 256).decode()
        os.close(child.report)
        if said:
            stage, _, number = said.rpartition(":")
            self._forget(child)
            self._send(Refused(child.request, stage, int(number)))
        elif child.keeper is not None:
            seen = child.keeper.seen
            self._send(Started(child.request, child.pid, seen.pid, seen.start_ticks), child.pidfd)
        else:
            self._own.add(child.pid)
            self._send(Started(child.request, child.pid), child.pidfd)
        os.close(child.pidfd)

    def _forget(self, child: _Unborn) -> None:
        """It never became what it should; its keeper ends by itself."""
        if child.keeper is None:
            os.waitpid(child.pid, 0)
        elif self._keepers.pop(child.keeper.link.fileno(), None) is not None:
            self._poll.unregister(child.keeper.link)
            child.keeper.link.close()

    def _end_kept(self, keeper: Keeper) -> None:
        """Its process ended; what that left is the keeper's."""
        unborn = next((each for each in self._unborn.values() if each.keeper is keeper), None)
        if unborn is not None:
            self._keepers[keeper.link.fileno()] = keeper
            self._confirm(self._unborn.pop(unborn.report))
            if self._keepers.pop(keeper.link.fileno(), None) is None:
                return
        self._poll.unregister(keeper.link)
        self._send(Ended(keeper.child, keeper.ended_with()))
        keeper.link.close()

    def _reap(self) -> None:
        """The ended children in turn. One that ended before its report was read is confirmed first."""
        while True:
            try:
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if seen is None:
                return
            unborn = next((each for each in self._unborn.values() if each.pid == seen.si_pid), None)
            if unborn is not None:
                self._confirm(self._unborn.pop(unborn.report))
                continue
            pid, status = os.waitpid(seen.si_pid, 0)
            if pid in self._own:
                self._own.discard(pid)
                self._send(Ended(pid, status))

    def _send(self, answer: Answer, descriptor: int | None = None) -> None:
        data = framed(answer_text(answer))
        sent = 0
        if descriptor is not None:
            rights = array.array("i", [descriptor])
            sent = self._link.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        self._link.sendall(data[sent:])


def run(link_descriptor: int, host_pid: int) -> None:
    die_with_parent(host_pid)
    os.set_inheritable(link_descriptor, False)
    take_oom_rank(Rank.HOST)
    Spawner(socket.socket(fileno=link_descriptor), host_pid).run()


if __name__ == "__main__":
    try:
        run(int(sys.argv[1]), int(sys.argv[2]))
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)
    except (BadMessage, FrameTooLarge) as error:
        sys.stderr.write(f"the spawner ends: {error}\n")
        sys.exit(1)
