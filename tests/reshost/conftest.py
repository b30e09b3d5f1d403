"""A trial node with the plug-ins of this folder, and calls in few words."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.adapters.containment import CGROUP, KIND_VARIABLE, PROCESS_TREE
from clusterd.adapters.containment_cgroup import usable_cgroup
from clusterd.reshost.trial import TrialHost, TrialNode, trial_node
from clusterd.wire import host_pb2
from tests.guard.survivors import Marked

PLUGINS = Path(__file__).parent / "plugins"


class Bench:
    """One host, and one resource in it unless another is named."""

    def __init__(self, node: TrialNode, host: TrialHost) -> None:
        self.node, self.host = node, host

    async def call(
        self, verb: str, type_name: str = "dial", resource: str = "r", generation: int = 1, **properties: Any
    ) -> host_pb2.CallResult:
        return await self.host.link.call(self.node.call(verb, resource, type_name, properties, generation))

    async def told(self, kind: "host_pb2.ResourceEventKind.ValueType", within_ms: int = 5000) -> host_pb2.ResourceEvent:
        return await self.node.host_said(self.host, kind, within_ms)

    async def inventory(self) -> dict[str, host_pb2.HostedResource]:
        inventory = await self.host.link.hello(cluster="trial", node="n1", daemon_run="again")
        return {each.resource: each for each in inventory.resources}

    async def control(self, verb: str, resource: str = "r", body: bytes = b"") -> host_pb2.CallResult:
        call = host_pb2.ResourceCall(
            verb=host_pb2.VERB_CONTROL, resource=resource, control_verb=verb, control_body=body
        )
        return await self.host.link.call(call)


@pytest.fixture(params=[CGROUP, PROCESS_TREE])
def contained(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Before `bench`: how its node contains what it starts."""
    if request.param == CGROUP and usable_cgroup() is None:
        pytest.skip("this user may not make a cgroup v2 with cgroup.kill")
    monkeypatch.setenv(KIND_VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as folder, tempfile.TemporaryFile() as log:
        try:
            async with trial_node(folder, plugin_dirs=[str(PLUGINS)], log=log.fileno()) as node:
                yield Bench(node, await node.start_host())
        finally:
            log.seek(0)
            for line in log.read().decode(errors="replace").splitlines():
                print(json.loads(line) if line.startswith("{") else line)


@pytest.fixture
def marked() -> Iterator[Marked]:
    marked = Marked()
    yield marked
    survivors = [] if marked.gone_within(2000) else marked.kill()
    assert survivors == [], "processes outlived the test"
