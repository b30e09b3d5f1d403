"""How is a node's power switch asked? I/O.

A fence agent answers for one *run* of a node (boot id, lab run id): 'ended' is proof that nothing of that run executes any
more, 'unknown' proves nothing. `off` ends exactly the run that it names; a later run is never touched. No answer in time,
or a wrong one, is 'unknown': the callers wait for the lease instead.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from clusterd.model.errors import BadInput
from clusterd.model.ids import NodeId
from clusterd.model.records import FenceRecord

STATUS_WAIT_MAX_MS = 1_000
OFF_WAIT_MAX_MS = 5_000
ANSWER_BYTES_MAX = 4096


class FenceVerdict(StrEnum):
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FenceAnswer:
    """What the agent said about one run, and in words why."""

    verdict: FenceVerdict
    text: str


class FenceAgent(Protocol):
    """A power switch. Both calls may be repeated, are bounded in time and never raise for a failing device."""

    async def status(self, node: NodeId, run_id: str) -> FenceAnswer: ...

    async def off(self, node: NodeId, run_id: str) -> FenceAnswer: ...


class LabFenceAgent:
    """The launcher of a lab, asked over its fence socket: one JSON line there, one back, a connection each."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    async def status(self, node: NodeId, run_id: str) -> FenceAnswer:
        return await self._ask("status", node, run_id, wait_max_ms=STATUS_WAIT_MAX_MS)

    async def off(self, node: NodeId, run_id: str) -> FenceAnswer:
        return await self._ask("off", node, run_id, wait_max_ms=OFF_WAIT_MAX_MS)

    async def _ask(self, verb: str, node: NodeId, run_id: str, *, wait_max_ms: int) -> FenceAnswer:
        question = {"verb": verb, "node": node, "run_id": run_id}
        try:
            async with asyncio.timeout(wait_max_ms / 1000):
                return _answer(await self._exchange(json.dumps(question).encode() + b"\n"))
        except TimeoutError:
            return FenceAnswer(FenceVerdict.UNKNOWN, f"no answer within {wait_max_ms} ms from {self._socket_path}")
        except (OSError, ValueError) as error:
            return FenceAnswer(FenceVerdict.UNKNOWN, f"{self._socket_path}: {error}")

    async def _exchange(self, question: bytes) -> Any:
        reader, writer = await asyncio.open_unix_connection(self._socket_path, limit=ANSWER_BYTES_MAX)
        try:
            writer.write(question)
            await writer.drain()
            return json.loads(await reader.readline())
        finally:
            writer.close()


def agent_for(record: FenceRecord) -> FenceAgent:
    """The agent that a record describes. Raises BadInput for a kind or parameters that nobody knows."""
    if record.agent != "lab":
        raise BadInput(f"fence agent {record.name} is of kind {record.agent!r}", hint="known kinds: lab")
    socket_path = record.parameters.get("socket")
    if not isinstance(socket_path, str) or not socket_path:
        raise BadInput(f"fence agent {record.name} has no parameter 'socket'", hint="name the launcher's fence socket")
    return LabFenceAgent(Path(socket_path))


def _answer(message: Any) -> FenceAnswer:
    if not isinstance(message, Mapping):
        raise ValueError(f"the answer is not an object: {message!r:.80}")
    return FenceAnswer(FenceVerdict(message.get("answer", "")), str(message.get("text", "")))
