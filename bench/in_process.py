"""Three node daemons in one process, with real gRPC, TLS, disks and fsync, but no guard and no API."""

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import asyncio
import contextlib
import random
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.certificates import Credentials, create_authority, issue_node
from clusterd.adapters.configuration import Bootstrap, Member, NodeConfiguration, TlsFiles
from clusterd.adapters.disk_faults import SpoiltDisk
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.peer_links import PeerLinks
from clusterd.adapters.peers import PeerIdentity
from clusterd.model.ids import NodeId
from clusterd.node import Node, NodeIdentity
from clusterd.runtime.daemon import Daemon
from clusterd.runtime.founding import found, open_storage
from clusterd.runtime.processes import NodeProcesses

CLUSTER = "bench"
START_WAIT_S = 10.0


@contextlib.asynccontextmanager
async def daemons(count: int = 3) -> AsyncIterator[list[Daemon]]:
    """A cluster with a leader; everything of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="clusterd-bench-") as base:
        ports = _free_ports(count)
        members = tuple(
            Member(f"n{number}", number, f"127.0.0.1:{port}", "127.0.0.1:1") for number, port in enumerate(ports, 1)
        )
        authority = create_authority(CLUSTER)
        nodes = [_daemon(Path(base), each, members, issue_node(authority, each.name)) for each in members]
        running = [asyncio.create_task(node.run(_no_api)) for node in nodes]
        async with asyncio.timeout(START_WAIT_S):
            while not all(len(node.node.replica.raft.committed_configuration.voters) == count for node in nodes):
                await asyncio.sleep(0.01)
        try:
            yield nodes
        finally:
            for node in nodes:
                node.ask_to_stop("the benchmark ended")
            await asyncio.gather(*running)


def leader_of(nodes: list[Daemon]) -> Daemon:
    return next(node for node in nodes if node.node.replica.raft.is_leader_ready)


def _daemon(base: Path, member: Member, members: tuple[Member, ...], credentials: Credentials) -> Daemon:
    folder = base / member.name
    folder.mkdir()
    configuration = NodeConfiguration(
        cluster=CLUSTER,
        cluster_id="c1",
        node=member.name,
        data_dir=str(folder),
        run_dir=str(folder),
        peer_listen=member.peer,
        api_listen=member.api,
        api_token_file="",
        tls=TlsFiles("", "", ""),
        nodes=members,
    )
    if member is members[0]:
        found(configuration, Bootstrap())
    storage = open_storage(configuration, lambda _: None, SpoiltDisk(None))
    run, me = secrets.token_hex(4), NodeId(member.name)
    node = Node(
        NodeIdentity("c1", me, run, "r1"),
        storage.restored,
        rng=random.Random(1),
        now_ms=now_ms(),
        members=[NodeId(each.name) for each in members if each is not member],
        is_amnesiac=storage.is_amnesiac,
    )
    processes = NodeProcesses(
        run_dir=str(folder), cluster=CLUSTER, cluster_id="c1", node=me, daemon_run=run, noted=lambda _: None
    )
    peers = {NodeId(each.name): each.peer for each in members if each.name != member.name}
    identity = PeerIdentity(CLUSTER, "c1", me, run, credentials)
    return Daemon(
        node,
        storage,
        processes,
        lambda events: PeerLinks(identity, peers, member.peer, events),
        version="bench",
        wall_ms=lambda: time.time_ns() // 1_000_000,
        log=lambda _: None,
        read_cuts=LinkCuts,
        probe=(),
    )


async def _no_api() -> Callable[[], Awaitable[None]]:
    async def stop() -> None:
        return None

    return stop


def _free_ports(count: int) -> list[int]:
    found = []
    for _ in range(count):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
    return found
