"""Who may give a launcher orders, and which? I/O.

Two Unix sockets, both for the user of the lab alone: by file mode, and by the credentials of the peer. One JSON object a
line each way. Fence questions have a socket of their own, so that a slow order never stands before them.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from clusterd.adapters.fence import FenceAnswer, FenceVerdict
from clusterd.lab import forgetting
from clusterd.model.errors import BadInput, ClusterError

if TYPE_CHECKING:
    from clusterd.lab.launcher import Lab

LINE_BYTES_MAX = 64 * 1024
IDLE_MAX_S = 300
CONNECTIONS_MAX = 64
PEER_CREDENTIALS = struct.Struct("3i")

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
PARTS = ("node", "daemon", "guard", "host")


class Door:
    """A served socket; a context manager."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._open_count = 0
        self._server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_BYTES_MAX)
        finally:
            os.umask(before)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open_count += 1
        try:
            if self._open_count <= CONNECTIONS_MAX and _is_allowed(writer):
                with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                    await self._converse(reader, writer)
        finally:
            self._open_count -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_MAX_S):
                try:
                    line = await reader.readline()
                except ValueError:
                    return  # longer than any order
            if not line:
                return
            writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
            await writer.drain()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            order = json.loads(line)
            if not isinstance(order, dict):
                raise BadInput("an order is a JSON object", hint="send one object a line")
            return await self._answer(order)
        except ClusterError as error:
            return _error(error.code, error.message, error.hint, retryable=error.retryable)
        except (ValueError, OSError) as error:
            return _error("error", f"the launcher could not do it: {error}", "see launcher.log", retryable=False)


class ControlDoor(Door):
    """Orders of `clusterctl lab`."""

    def __init__(self, lab: "Lab") -> None:
        super().__init__(lab.record.control_socket, self._obey)
        self._lab = lab

    async def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        lab = self._lab
        match _text(order, "verb"):
            case "status":
                return lab.status()
            case "down":
                lab.ending.set()
                return {"ok": True}
            case "start":
                return {"ok": True, "done": await lab.node(_text(order, "node")).start()}
            case "stop":
                await lab.node(_text(order, "node")).stop()
                return {"ok": True}
            case "kill" | "pause" | "resume":
                return {"ok": True, "done": await self._act(order)}
            case "cut":
                is_one_way = bool(order.get("one_way", False))
                lab.cut(_text(order, "from"), _text(order, "to"), is_one_way=is_one_way)
                return {"ok": True}
            case "isolate":
                lab.isolate(_text(order, "node"))
                return {"ok": True}
            case "loss":
                lab.lose(_number(order, "percent"), [str(name) for name in order.get("nodes", [])])
                return {"ok": True}
            case "slow-disk":
                lab.slow_disk(_text(order, "node"), _number(order, "ms"))
                return {"ok": True}
            case "fill-disk":
                lab.fill_disk(_text(order, "node"))
                return {"ok": True}
            case "break-disk":
                lab.break_disk(_text(order, "node"))
                return {"ok": True}
            case "freeze":
                return {"ok": True, "done": await lab.node(_text(order, "node")).pause("node")}
            case "thaw":
                return {"ok": True, "done": await lab.node(_text(order, "node")).resume("node")}
            case "heal":
                lab.heal([str(name) for name in order.get("nodes", [])])
                return {"ok": True}
            case "wipe":
                node = lab.node(_text(order, "node"))
                return {"ok": True, "done": forgetting.wipe(node.entry, is_running=node.has_daemon)}
            case "mark":
                return {"ok": True, "done": forgetting.mark(lab.node(_text(order, "node")).entry, _text(order, "mark"))}
            case "rollback":
                node, name = lab.node(_text(order, "node")), _text(order, "mark")
                return {"ok": True, "done": forgetting.rollback(node.entry, name, is_running=node.has_daemon)}
            case "ended":
                return {"ok": True, "why": lab.node(_text(order, "node")).early_end()}
            case verb:
                raise BadInput(f"the launcher knows no order {verb!r}", hint="use clusterctl lab")

    async def _act(self, order: dict[str, Any]) -> str:
        node = self._lab.node(_text(order, "node"))
        what = _text(order, "what")
        if what not in PARTS:
            raise BadInput(f"{what!r} is no part of a node", hint=f"parts: {', '.join(PARTS)}")
        match order["verb"]:
            case "kill":
                return await node.kill(what)
            case "pause":
                return await node.pause(what)
            case _:
                return await node.resume(what)


class FenceDoor(Door):
    """The power switch."""

    def __init__(self, lab: "Lab") -> None:
        super().__init__(lab.record.fence_socket, self._switch)
        self._lab = lab

    async def _switch(self, order: dict[str, Any]) -> dict[str, Any]:
        node = self._lab.nodes.get(_text(order, "node"))
        run_id = _text(order, "run_id")
        if node is None:
            answer = FenceAnswer(FenceVerdict.UNKNOWN, "the lab has no such node")
        elif order.get("verb") == "status":
            answer = await node.fence_status(run_id)
        elif order.get("verb") == "off":
            answer = await node.fence_off(run_id)
        else:
            raise BadInput("a fence agent knows status and off", hint="send one of them as verb")
        return {"answer": answer.verdict.value, "text": answer.text}


def _is_allowed(writer: asyncio.StreamWriter) -> bool:
    """Only the lab's user, and root."""
    connection: socket.socket = writer.get_extra_info("socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    _, uid, _ = PEER_CREDENTIALS.unpack(raw)
    return uid in (0, os.getuid())


def _text(order: dict[str, Any], key: str) -> str:
    value = order.get(key)
    if not isinstance(value, str):
        raise BadInput(f"the order has no {key}", hint=f"{key} is text")
    return value


def _number(order: dict[str, Any], key: str) -> int:
    value = order.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"the order has no {key}", hint=f"{key} is a whole number")
    return value


def _error(code: str, message: str, hint: str, *, retryable: bool) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint, "retryable": retryable}}
