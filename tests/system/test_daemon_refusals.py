"""A daemon that cannot run says what happened, to what, and what to do; and ends."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from clusterd.adapters.certificates import create_authority, issue_node, write_node
from clusterd.adapters.configuration import Bootstrap, Member, NodeConfiguration, TlsFiles
from clusterd.model.events import DAEMON_STARTED, LOG_CUT, STORAGE_DAMAGED
from clusterd.runtime.founding import found

pytestmark = [pytest.mark.lab]

ENDS_WITHIN_S = 20.0


@dataclass
class OneNode:
    """The files of a node that is a cluster of its own."""

    folder: Path
    configuration: NodeConfiguration

    @property
    def log_file(self) -> Path:
        return self.folder / "log"

    def change(self, **changes: str) -> None:
        self.configuration = msgspec.structs.replace(self.configuration, **changes)
        self.configuration.write(self.folder / "node.toml")

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "clusterd.main.daemon", "--config", str(self.folder / "node.toml")]
        with (
            self.log_file.open("wb") as log,
            subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL) as running,
        ):
            try:
                yield running
            finally:
                running.kill()

    def events(self) -> list[str]:
        lines = self.log_file.read_text().splitlines()
        return [json.loads(line)["event"] for line in lines if line.startswith("{")]

    def wait_for_event(self, name: str) -> None:
        until = time.monotonic() + ENDS_WITHIN_S
        while name not in self.events():
            assert time.monotonic() < until, f"no {name} in {self.log_file.read_text()}"
            time.sleep(0.02)

    def refusal(self) -> str:
        """What the daemon says while it refuses to run."""
        with self.daemon() as running:
            assert running.wait(ENDS_WITHIN_S) == 1
        return self.log_file.read_text()

    def run_once(self) -> None:
        with self.daemon() as running:
            self.wait_for_event(DAEMON_STARTED.name)
            self.wait_for_event("leader.elected")
            running.send_signal(signal.SIGTERM)
            assert running.wait(ENDS_WITHIN_S) == 0


@pytest.fixture
def node(tmp_path: Path) -> OneNode:
    authority = create_authority("one")
    tls = TlsFiles(*(str(tmp_path / name) for name in ("ca.pem", "node.pem", "node.key")))
    write_node(issue_node(authority, "n1"), ca=Path(tls.ca), certificate=Path(tls.certificate), key=Path(tls.key))
    (tmp_path / "token").write_text("secret-token")
    (tmp_path / "run").mkdir()
    peer, api = (f"127.0.0.1:{port}" for port in _free_ports(2))
    made = OneNode(
        tmp_path,
        NodeConfiguration(
            cluster="one",
            cluster_id="c1",
            node="n1",
            data_dir=str(tmp_path / "data"),
            run_dir=str(tmp_path / "run"),
            peer_listen=peer,
            api_listen=api,
            api_token_file=str(tmp_path / "token"),
            tls=tls,
            nodes=(Member("n1", 1, peer, api),),
        ),
    )
    made.change()
    found(made.configuration, Bootstrap())
    return made


def test_a_node_starts_and_stops_in_order_twice(node: OneNode) -> None:
    node.run_once()
    node.run_once()


def test_the_data_of_another_cluster(node: OneNode) -> None:
    node.run_once()
    node.change(cluster_id="c2")
    said = node.refusal()
    assert "c1" in said and "c2" in said


def test_the_data_of_another_node(node: OneNode) -> None:
    node.run_once()
    member = msgspec.structs.replace(node.configuration.member, name="n7")
    node.configuration = msgspec.structs.replace(node.configuration, node="n7", nodes=(member,))
    node.change()
    said = node.refusal()
    assert "n1" in said and "n7" in said


def test_data_in_use_by_another_daemon(node: OneNode) -> None:
    with node.daemon():
        node.wait_for_event(DAEMON_STARTED.name)
        peer, api = (f"127.0.0.1:{port}" for port in _free_ports(2))
        other = OneNode(
            node.folder / "other", msgspec.structs.replace(node.configuration, peer_listen=peer, api_listen=api)
        )
        other.folder.mkdir()
        other.change()
        assert "in use" in other.refusal()


@pytest.mark.parametrize("which", ["peer_listen", "api_listen"])
def test_a_port_in_use(node: OneNode, which: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        node.change(**{which: f"127.0.0.1:{port}"})
        assert str(port) in node.refusal()


def test_a_torn_log_tail_is_cut_and_said(node: OneNode) -> None:
    node.run_once()
    segment = _last_segment(node)
    with segment.open("ab") as file:  # a write that power loss cut short: nobody was promised anything of it
        file.write(b"\x10\0\0\0\1")
    node.run_once()
    assert LOG_CUT.name in node.events()


def test_a_damaged_log_is_never_served(node: OneNode) -> None:
    node.run_once()
    segment = _last_segment(node)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    with node.daemon():
        node.wait_for_event(STORAGE_DAMAGED.name)
        node.wait_for_event(DAEMON_STARTED.name)
        assert "leader.elected" not in node.events()


def test_no_configuration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "clusterd.main.daemon", "--config", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False)
    assert done.returncode == 1 and "none.toml" in done.stderr


def _last_segment(node: OneNode) -> Path:
    return max((node.folder / "data").rglob("*.log"))


def _free_ports(count: int) -> list[int]:
    found = []
    for _ in range(count):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
    return found
