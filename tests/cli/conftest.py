"""`clusterctl` against the real API over a pretended cluster, served by a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served_cluster import MANIFEST, TOKEN, PretendCluster, Result, Served

from clusterd.api.server import ApiServer
from clusterd.cli.main import main


@pytest.fixture
def served() -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> Served:
        cluster = PretendCluster()
        servers = [ApiServer(cluster, token=TOKEN, host="127.0.0.1", tcp_port=0) for _ in range(2)]
        for each in servers:
            await each.start()
        urls = ["http://{}:{}".format(*each.address) for each in servers]
        return Served(cluster, urls, loop, servers)

    found = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield found
    for number in range(len(found.servers)):
        found.stop_door(number)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "web.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    return str(path)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of this machine: no endpoint, no socket, no labs."""
    for name in ("CLUSTERCTL_ENDPOINT", "CLUSTERCTL_TOKEN", "CLUSTERCTL_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLUSTERD_SOCKET", str(tmp_path / "none.sock"))
    monkeypatch.setenv("CLUSTERD_LAB_ROOT", str(tmp_path / "labs"))
    return monkeypatch


@pytest.fixture
def clusterctl(
    served: Served, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs one command against the first door."""
    environment.setenv("CLUSTERCTL_ENDPOINT", served.urls[0])
    environment.setenv("CLUSTERCTL_TOKEN", TOKEN)
    return _runner(capsys)


@pytest.fixture
def bare(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs one command with nothing to connect to."""
    return _runner(capsys)


def _runner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(list(arguments))
        told = capsys.readouterr()
        return Result(code, told.out, told.err)

    return run
