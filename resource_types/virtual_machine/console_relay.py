"""How does what a guest says on its serial port reach whoever listens? I/O: two Unix sockets, and a thread that joins them.

QEMU waits for whoever is connected to its serial port, and the guest waits with it: a terminal that was stopped would stop
the guest. So QEMU is connected to this relay alone, which always reads; a client that does not read for a while misses the
oldest of what came meanwhile (the newest may be a prompt that waits for it), and is told how much when it reads again. Any
number of clients may be connected.
"""

import contextlib
import os
import selectors
import socket
import threading

PENDING_BYTES_MAX = 64 << 10
CLIENTS_MAX = 16
_READ_SIZE = 16 << 10
_LISTEN_BACKLOG = 8


class ConsoleRelay:
    """Made before QEMU starts, which connects to `guest_path` at once; clients connect to `client_path`."""

    def __init__(self, guest_path: str, client_path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._doors = {_listening(guest_path): True, _listening(client_path): False}
        for door in self._doors:
            self._selector.register(door, selectors.EVENT_READ)
        self._guest: _End | None = None
        self._clients: list[_End] = []
        self._closing = threading.Lock()
        self._is_over = False
        threading.Thread(target=self._run, name="console of a guest", daemon=True).start()

    def close(self) -> None:
        """May be repeated, from any thread."""
        with self._closing:
            if not self._is_over:
                self._is_over = True
                os.close(self._wake_write)

    # ---- the thread ----

    def _run(self) -> None:
        with contextlib.ExitStack() as left:
            left.callback(self._end)
            while not self._is_over:
                for key, events in self._selector.select():
                    if isinstance(key.fileobj, socket.socket):
                        self._serve(key.fileobj, events)

    def _end(self) -> None:
        for each in (*self._doors, *(end.socket for end in self._ends())):
            each.close()
        self._selector.close()
        os.close(self._wake_read)

    def _ends(self) -> list["_End"]:
        return [*([self._guest] if self._guest else []), *self._clients]

    def _serve(self, source: socket.socket, events: int) -> None:
        if source in self._doors:
            self._accept(source, is_guest=self._doors[source])
            return
        end = next((each for each in self._ends() if each.socket is source), None)
        if end is None:
            return
        try:
            if events & selectors.EVENT_WRITE:
                end.send()
            if events & selectors.EVENT_READ and (end is self._guest or not self._is_guest_behind()):
                self._pass_on(end, source.recv(_READ_SIZE))
        except BlockingIOError:
            pass
        except OSError:
            self._forget(end)
        self._watch()

    def _accept(self, door: socket.socket, *, is_guest: bool) -> None:
        with contextlib.suppress(OSError):
            link, _ = door.accept()
            link.setblocking(False)
            if is_guest and self._guest is not None:
                self._forget(self._guest)
            if len(self._clients) >= CLIENTS_MAX and not is_guest:
                link.close()
                return
            end = _End(link)
            if is_guest:
                self._guest = end
            else:
                self._clients.append(end)
            self._selector.register(link, selectors.EVENT_READ)

    def _pass_on(self, end: "_End", data: bytes) -> None:
        """Raises OSError when that end has gone."""
        if not data:
            raise ConnectionResetError
        for other in self._clients if end is self._guest else [self._guest]:
            if other is not None:
                other.take(data)

    def _watch(self) -> None:
        """What is typed waits until the guest takes it; what the guest says waits for nobody."""
        is_behind = self._is_guest_behind()
        for end in self._ends():
            events = selectors.EVENT_READ if end is self._guest or not is_behind else 0
            events |= selectors.EVENT_WRITE if end.pending else 0
            with contextlib.suppress(KeyError):
                self._selector.unregister(end.socket)
            if events:
                self._selector.register(end.socket, events)

    def _is_guest_behind(self) -> bool:
        return self._guest is not None and len(self._guest.pending) >= PENDING_BYTES_MAX // 2

    def _forget(self, end: "_End") -> None:
        """A machine that has ended leaves nobody at its console."""
        gone = self._ends() if end is self._guest else [end]
        for each in gone:
            with contextlib.suppress(KeyError):
                self._selector.unregister(each.socket)
            each.socket.close()
        self._clients = [each for each in self._clients if each not in gone]
        if end is self._guest:
            self._guest = None


class _End:
    """One connection, and what it has not taken yet."""

    def __init__(self, link: socket.socket) -> None:
        self.socket = link
        self.pending = bytearray()
        self._notice = bytearray()
        self._missed_bytes = 0

    def take(self, data: bytes) -> None:
        """Raises OSError when it has gone."""
        self.pending += data
        with contextlib.suppress(BlockingIOError):
            self.send()
        excess = max(0, len(self.pending) - PENDING_BYTES_MAX)
        del self.pending[:excess]
        self._missed_bytes += excess

    def send(self) -> None:
        """What is left waits in `pending`. Raises OSError when it has gone."""
        if self._missed_bytes and not self._notice:
            self._notice += f"\r\n[{self._missed_bytes} bytes were not read in time and are not shown]\r\n".encode()
            self._missed_bytes = 0
        for waiting in (self._notice, self.pending):
            while waiting:
                del waiting[: self.socket.send(waiting)]


def _listening(path: str) -> socket.socket:
    door = socket.socket(socket.AF_UNIX)
    try:
        door.bind(path)
        door.listen(_LISTEN_BACKLOG)
        door.setblocking(False)
    except OSError:
        door.close()
        raise
    return door
