"""How does the host have processes started, and learn how they end? I/O: the host's end of the spawner.

All of it runs on the host's event loop. A started process is known by its pidfd, so a signal reaches that process or none.
Nothing is taken on trust: a message that is not the spawner's, or fits none of its, is the end of the host.
"""

import array
import asyncio
import errno
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable

from clusterd.adapters.containment_proc import ProcessSeen
from clusterd.adapters.frames import FrameBuffer, FrameTooLarge, framed
from clusterd.reshost import spawner
from clusterd.reshost.spawn_link import receive
from clusterd.reshost.spawn_messages import Answer, BadMessage, Ended, Order, Refused, Started, order_text, read_answer


class NotStarted(Exception):
    """The process never ran its command. `stage` says where it stopped: working-directory, user, execute, …"""

    def __init__(self, stage: str, number: int) -> None:
        super().__init__(f"{stage}: {os.strerror(number)}")
        self.stage, self.number = stage, number


class Child:
    """A started process. `ended` becomes its wait status; it is set on the event loop."""

    def __init__(self, pid: int, pidfd: int, ended: asyncio.Future[int], keeper: ProcessSeen | None = None) -> None:
        """`keeper`: what all that it leaves stays below, where no control group holds it."""
        self.pid, self._pidfd, self.ended, self.keeper = pid, pidfd, ended, keeper

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
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    theirs.set_inheritable(True)
    argv = [sys.executable, "-S", "-E", "-I", spawner.__file__, str(theirs.fileno()), str(os.getpid())]
    pid = os.posix_spawn(sys.executable, argv, os.environ)
    theirs.close()
    return ours, pid


class SpawnerLink:
    """Requests to the spawner and its answers. `on_lost` is called, with the reason, when it is gone, and with it every
    process, or when it cannot be believed."""

    def __init__(self, link: socket.socket, spawner_pid: int, on_lost: Callable[[str], None]) -> None:
        self._link = link
        self._spawner_pid = spawner_pid
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
        try:
            frame = framed(order_text(self._last_id, order))
        except (FrameTooLarge, BadMessage) as error:
            os.close(output)
            raise NotStarted("execute", errno.E2BIG if isinstance(error, FrameTooLarge) else errno.EINVAL) from error
        asked: asyncio.Future[Child] = self._loop.create_future()
        self._asked[self._last_id] = asked
        self._unsent.append((frame, output))
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
            data = receive(self._link, self._spawner_pid, self._descriptors)
            for body in self._buffer.feed(data):
                self._take(read_answer(body))
        except BlockingIOError:
            return
        except (BadMessage, FrameTooLarge) as error:
            self._lose(f"its spawner cannot be believed: {error}")
            return
        except OSError:
            data = b""
        if not data:
            self._lose()

    def _take(self, answer: Answer) -> None:
        """Raises `BadMessage` for an answer to nothing that was asked, or about nobody who was started."""
        match answer:
            case Started(request, pid, keeper, ticks) if (
                request in self._asked and self._descriptors and pid not in self._children
            ):
                kept_by = ProcessSeen(keeper, self._spawner_pid, ticks) if keeper else None
                child = Child(pid, self._descriptors.popleft(), self._loop.create_future(), kept_by)
                self._children[pid] = child
                asked = self._asked.pop(request)
                if asked.cancelled():
                    child.signal(signal.SIGKILL)
                else:
                    asked.set_result(child)
            case Refused(request, stage, number) if request in self._asked:
                asked = self._asked.pop(request)
                if not asked.cancelled():
                    asked.set_exception(NotStarted(stage, number))
            case Ended(pid, status) if pid in self._children:
                child = self._children.pop(pid)
                child.close()
                child.ended.set_result(status)
            case _:
                raise BadMessage(f"{type(answer).__name__} answers nothing that was asked")

    def _is_expected(self, request: int, pid: int) -> bool:
        return request in self._asked and bool(self._descriptors) and pid not in self._children

    def _lose(self, because: str = "its spawner is gone") -> None:
        self._loop.remove_reader(self._link)
        self._loop.remove_writer(self._link)
        self._on_lost(because)
