"""How does the host have processes started, and learn how they end? I/O: the host's end of the spawner.

All of it runs on the host's event loop. A started process is known by its pidfd, so a signal reaches that process or none.
"""

import array
import asyncio
import marshal
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clusterd.adapters.frames import FrameBuffer, framed
from clusterd.reshost import spawner

_READ_SIZE = 1 << 16
_DESCRIPTORS_SIZE = socket.CMSG_SPACE(64 * array.array("i").itemsize)


class NotStarted(Exception):
    """The process never ran its command. `stage` says where it stopped: working-directory, user, execute, …"""

    def __init__(self, stage: str, number: int) -> None:
        super().__init__(f"{stage}: {os.strerror(number)}")
        self.stage, self.number = stage, number


@dataclass(frozen=True, slots=True)
class Order:
    """What to start: the program at `path`, which sees `argv`; `ids` are user, group and supplementary groups."""

    path: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cgroup: str | None
    working_directory: str | None
    ids: tuple[int, int, list[int]] | None


class Child:
    """A started process. `ended` becomes its wait status; it is set on the event loop."""

    def __init__(self, pid: int, pidfd: int, ended: asyncio.Future[int]) -> None:
        self.pid, self._pidfd, self.ended = pid, pidfd, ended

    def signal(self, number: int) -> None:
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return

    def close(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def start_spawner() -> tuple[socket.socket, int]:
    """Start the process; the earlier in the life of the host, the less the host waits for it."""
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    argv = [sys.executable, "-S", "-E", "-I", spawner.__file__, str(theirs.fileno()), str(os.getpid())]
    pid = os.posix_spawn(sys.executable, argv, os.environ)
    theirs.close()
    return ours, pid


class SpawnerLink:
    """Requests to the spawner and its answers. `on_lost` is called when it is gone, and with it every process."""

    def __init__(self, link: socket.socket, on_lost: Callable[[], None]) -> None:
        self._link = link
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._buffer = FrameBuffer()
        self._descriptors: deque[int] = deque()
        self._unsent: deque[tuple[bytes, int]] = deque()
        self._asked: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}
        self._last_id = 0
        link.setblocking(False)
        self._loop.add_reader(link, self._receive)

    async def start(self, order: Order, output: int) -> Child:
        """Raises `NotStarted`. `output` is duplicated to the child's standard output and error, and closed here."""
        self._last_id += 1
        body = (
            self._last_id,
            order.path,
            list(order.argv),
            dict(order.environment),
            order.cgroup,
            order.working_directory,
            order.ids,
        )
        asked: asyncio.Future[Child] = self._loop.create_future()
        self._asked[self._last_id] = asked
        self._unsent.append((framed(marshal.dumps(body)), output))
        self._send()
        return await asked

    def _send(self) -> None:
        while self._unsent:
            data, output = self._unsent[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [output]))] if output >= 0 else []
            try:
                sent = self._link.sendmsg([data], rights)
            except BlockingIOError:
                self._loop.add_writer(self._link, self._send)
                return
            except OSError:
                self._lose()
                return
            if output >= 0:
                os.close(output)
            self._unsent.popleft()
            if sent < len(data):
                self._unsent.appendleft((data[sent:], -1))
        self._loop.remove_writer(self._link)

    def _receive(self) -> None:
        try:
            data, ancillary, _, _ = self._link.recvmsg(_READ_SIZE, _DESCRIPTORS_SIZE, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        for level, kind, packed in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._descriptors.extend(array.array("i", packed))
        for body in self._buffer.feed(data):
            self._take(marshal.loads(body))
        if not data:
            self._lose()

    def _take(self, message: tuple[str, int, int] | tuple[str, int, str, int]) -> None:
        match message:
            case ("started", int(request), int(pid)):
                child = Child(pid, self._descriptors.popleft(), self._loop.create_future())
                self._children[pid] = child
                asked = self._asked.pop(request)
                if asked.cancelled():
                    child.signal(signal.SIGKILL)
                else:
                    asked.set_result(child)
            case ("refused", int(request), str(stage), int(number)):
                asked = self._asked.pop(request)
                if not asked.cancelled():
                    asked.set_exception(NotStarted(stage, number))
            case ("ended", int(pid), int(status)):
                child = self._children.pop(pid)
                child.close()
                child.ended.set_result(status)
            case _:
                raise ValueError(f"the spawner sent {message!r}")

    def _lose(self) -> None:
        self._loop.remove_reader(self._link)
        self._loop.remove_writer(self._link)
        self._on_lost()
