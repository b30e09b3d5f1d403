"""The node daemon's entry point: wires the ports together. I/O.

clusterd --config /etc/clusterd/node.toml
"""

import os
import sys

# Before the first import of grpc: its fork support kills children that are forked beside its threads, and its own log
# lines are not ours. A root store of the environment must not decide whom the peers trust.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.pop("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", None)
# structlog imports rich wherever it is installed: 77 ms and 5 MiB that a daemon has no use for.
sys.modules["rich"] = None  # type: ignore[assignment]

import asyncio
import gc
import random
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import click

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.certificates import load_credentials
from clusterd.adapters.configuration import NodeConfiguration, present_run_id
from clusterd.adapters.disk_errors import hint_of, reason_of
from clusterd.adapters.disk_faults import SpoiltDisk
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.adapters.log_lines import LogLines
from clusterd.adapters.peer_links import PeerLinks
from clusterd.adapters.peers import PeerIdentity
from clusterd.adapters.process_limits import Rank, raise_descriptor_limit, take_oom_rank
from clusterd.api.server import ApiServer
from clusterd.main.api_port import DaemonPort
from clusterd.model.errors import ClusterError
from clusterd.model.events import DAEMON_STARTED, DAEMON_STOPPED, note
from clusterd.model.ids import NodeId
from clusterd.node import Node, NodeIdentity
from clusterd.runtime.daemon import Daemon
from clusterd.runtime.founding import open_marker, open_storage
from clusterd.runtime.past_output import offer_past_output
from clusterd.runtime.processes import NodeProcesses


@click.command()
@click.option("--config", "config_path", required=True, type=click.Path(path_type=Path), help="The node's node.toml.")
def run(config_path: Path) -> None:
    """Run one node of a cluster until it is told to stop (SIGTERM)."""
    raise_descriptor_limit()
    take_oom_rank(Rank.DAEMON)
    try:
        configuration = NodeConfiguration.load(config_path)
        log = LogLines(configuration.node, configuration.log_level)
        sys.exit(asyncio.run(_run(configuration, config_path, log)))
    except ClusterError as error:
        print(f"clusterd: {error.message}\n{error.hint}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        hint = hint_of(error, otherwise=f"see the addresses and folders in {config_path}")
        print(f"clusterd: {reason_of(error)}\n{hint}", file=sys.stderr)
        sys.exit(1)


async def _run(configuration: NodeConfiguration, config_path: Path, log: LogLines) -> int:
    started_ms = now_ms()
    disk = SpoiltDisk(Path(configuration.disk_file) if configuration.disk_file else None)
    storage = open_storage(configuration, log.note, disk)
    marker = open_marker(configuration, storage, log.note)
    daemon_run = secrets.token_hex(4)
    me = NodeId(configuration.node)
    identity = NodeIdentity(configuration.cluster_id, me, daemon_run, present_run_id())
    node = Node(
        identity,
        storage.restored,
        rng=random.Random(secrets.randbits(64)),
        now_ms=started_ms,
        members=_peers(configuration),
        is_amnesiac=storage.is_amnesiac,
        marker=marker,
    )
    processes = NodeProcesses(
        run_dir=configuration.run_dir,
        cluster=configuration.cluster,
        cluster_id=configuration.cluster_id,
        node=me,
        daemon_run=daemon_run,
        noted=log.warn,
    )
    daemon = Daemon(
        node,
        storage,
        processes,
        lambda events: PeerLinks(
            _peer_identity(configuration, daemon_run), _peers(configuration), configuration.peer_listen, events
        ),
        version=version("clusterd"),
        wall_ms=_wall_ms,
        log=log.note,
        read_cuts=lambda: _cuts(configuration),
        probe=(sys.executable, "-m", "clusterd.main.probe", "--config", str(config_path)),
    )
    offer_past_output(daemon.clients, configuration.run_dir)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log.loop_failed)
    loop.add_signal_handler(signal.SIGTERM, daemon.ask_to_stop, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, daemon.ask_to_stop, "SIGINT")
    loop.add_signal_handler(signal.SIGHUP, _reload, daemon, disk)
    log.note(note(DAEMON_STARTED, version=version("clusterd"), run=daemon_run, pid=os.getpid()))
    gc.freeze()
    because = await daemon.run(lambda: _serve_api(configuration, daemon))
    log.note(note(DAEMON_STOPPED, because=because))
    return 0


def _reload(daemon: Daemon, disk: SpoiltDisk) -> None:
    """A lab wants something else to be broken."""
    daemon.reload_cuts()
    disk.reload()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _peer_identity(configuration: NodeConfiguration, daemon_run: str) -> PeerIdentity:
    tls = configuration.tls
    credentials = load_credentials(ca=Path(tls.ca), certificate=Path(tls.certificate), key=Path(tls.key))
    return PeerIdentity(
        configuration.cluster, configuration.cluster_id, NodeId(configuration.node), daemon_run, credentials
    )


def _peers(configuration: NodeConfiguration) -> dict[NodeId, str]:
    return {NodeId(each.name): each.peer for each in configuration.nodes if each.name != configuration.node}


def _cuts(configuration: NodeConfiguration) -> LinkCuts:
    return LinkCuts.load(Path(configuration.links_file)) if configuration.links_file else LinkCuts()


async def _serve_api(configuration: NodeConfiguration, daemon: Daemon) -> Callable[[], Awaitable[None]]:
    """Start the API; returns what stops it."""
    token = Path(configuration.api_token_file).read_text(encoding="ascii").strip()
    host, _, tcp_port = configuration.api_listen.rpartition(":")
    server = ApiServer(
        DaemonPort(daemon),
        token=token,
        host=host.strip("[]"),
        tcp_port=int(tcp_port),
        unix_path=Path(configuration.run_dir) / "api.sock",
        reports=Path(configuration.data_dir) / "reports",
        worker=(sys.executable, "-m", "clusterd.main.worker"),
    )
    await server.start()
    return server.stop


if __name__ == "__main__":
    run()
