"""What is one open stream between two nodes? I/O. A task reads, a task writes, and a bounded queue lies between."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Envelope

QUEUE_MESSAGES_MAX = 4096


class Stream(Protocol):
    """Either end of a bidirectional call."""

    async def read(self) -> object: ...

    async def write(self, message: Envelope, /) -> None: ...


class PeerStream:
    """A stream to one run of a peer, once both have said who they are."""

    def __init__(self, peer: NodeId, daemon_run: str, stream: Stream) -> None:
        self.peer = peer
        self.daemon_run = daemon_run
        self.ended = asyncio.Event()
        """It broke, or another one took its place."""
        self._stream = stream
        self._queue: deque[Envelope] = deque(maxlen=QUEUE_MESSAGES_MAX)
        self._wakeup = asyncio.Event()
        self._read_s = asyncio.get_running_loop().time()

    @property
    def still_s(self) -> float:
        """For how long nothing has come."""
        return asyncio.get_running_loop().time() - self._read_s

    def send(self, envelope: Envelope) -> None:
        self._queue.append(envelope)
        self._wakeup.set()

    async def serve(self, received: Callable[["PeerStream", Envelope], None]) -> None:
        """Until it breaks or is replaced."""
        tasks = [
            asyncio.create_task(self._write_all(), name=f"write {self.peer}"),
            asyncio.create_task(self._read_all(received), name=f"read {self.peer}"),
            asyncio.create_task(self.ended.wait(), name=f"end of {self.peer}"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.ended.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write_all(self) -> None:
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._queue:
                await self._stream.write(self._queue.popleft())

    async def _read_all(self, received: Callable[["PeerStream", Envelope], None]) -> None:
        while True:
            message = await self._stream.read()
            if not isinstance(message, Envelope):
                return
            self._read_s = asyncio.get_running_loop().time()
            received(self, message)
