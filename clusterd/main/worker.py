"""What is worked out beside a daemon? The entry point of a process that the daemon starts when it needs it. I/O.

python -m clusterd.main.worker SOCKET

It keeps a copy of the cluster database, does one job after the other on it, and ends with its daemon. It is less urgent than
anything else of the node.
"""

import ctypes
import os
import pickle
import resource
import signal
import socket
import struct
import sys
from typing import Any

from clusterd.database import Database, DatabaseView
from clusterd.database.mirror import finish

FRAME = struct.Struct(">I")
NICENESS = 10
MEMORY_BYTES_MAX = 3 << 30
PR_SET_PDEATHSIG = 1


class Worker:
    """The copy, and what is done on it."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._database = Database()
        self._view = DatabaseView(self._database)

    def run(self) -> None:
        """Until the daemon closes the connection."""
        while (head := self._stream.read(FRAME.size)) and len(head) == FRAME.size:
            body = self._stream.read(FRAME.unpack(head)[0])
            if body[:1] == b"u":
                self._take_over(body[1:])
            else:
                self._answer(body[1:])

    def _take_over(self, body: bytes) -> None:
        import msgspec

        is_new, revision, cluster_ms, is_last, changes = msgspec.msgpack.decode(body)
        if is_new:
            self._database = Database()
            self._view.replace(self._database)
        self._database.take_over(changes)
        if is_last:
            finish(self._database, revision, cluster_ms)

    def _answer(self, body: bytes) -> None:
        import msgspec

        job, arguments = pickle.loads(body)
        answer = msgspec.msgpack.encode(self._outcome(job, arguments))
        self._stream.write(FRAME.pack(len(answer)))
        self._stream.write(answer)
        self._stream.flush()

    def _outcome(self, job: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        from clusterd.api.desk import failure_view
        from clusterd.model.errors import ClusterError

        try:
            return {"done": job(self._view, *arguments)}
        except ClusterError as error:
            return {"failure": failure_view(error)}
        except MemoryError:
            self._view = DatabaseView(self._database)
            return {"failure": {"code": "too-large", "message": "to work this out takes too much memory", "hint": ""}}


def run(arguments: list[str]) -> int:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon decides
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    import clusterd.api.jobs  # noqa: F401  # what it needs for its first job, before that comes

    with socket.socket(fileno=int(arguments[-1])) as connection:
        Worker(connection).run()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
