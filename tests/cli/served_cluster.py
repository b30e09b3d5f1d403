"""A pretended cluster behind real doors, and what one command said. Used by the tests of clusterctl."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "api"))

from pretend_cluster import MANIFEST, TOKEN, PretendCluster

from clusterd.api.server import ApiServer


@dataclass
class Served:
    """A pretended cluster behind one or more doors; `call` runs something on its loop."""

    cluster: PretendCluster
    urls: list[str]
    loop: asyncio.AbstractEventLoop
    servers: list[ApiServer] = field(default_factory=list)

    def call(self, action: Callable[[PretendCluster], object]) -> object:
        async def act() -> object:
            return action(self.cluster)

        return asyncio.run_coroutine_threadsafe(act(), self.loop).result(10)

    def start_door(self, number: int) -> None:
        """Another door at the address of one that was stopped."""
        host, _, port = self.urls[number].removeprefix("http://").rpartition(":")
        server = ApiServer(self.cluster, token=TOKEN, host=host, tcp_port=int(port))
        asyncio.run_coroutine_threadsafe(server.start(), self.loop).result(10)
        self.servers[number] = server

    def stop_door(self, number: int) -> None:
        asyncio.run_coroutine_threadsafe(self.servers[number].stop(), self.loop).result(10)


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


__all__ = ["MANIFEST", "TOKEN", "PretendCluster", "Result", "Served"]
