"""Does a machine say what it is like, also of what is not there?"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterd.adapters.certificates import create_authority, issue_node, write_node
from clusterd.adapters.configuration import Member, NodeConfiguration, TlsFiles
from clusterd.adapters.machine_facts import machine_facts
from clusterd.adapters.machine_networks import interfaces
from clusterd.validation.facts import decode_machine


@pytest.fixture
def configuration(tmp_path: Path) -> NodeConfiguration:
    credentials = issue_node(create_authority("c"), "n1")
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "node.pem", "node.key"))
    write_node(credentials, ca=ca, certificate=certificate, key=key)
    return NodeConfiguration(
        cluster="c",
        cluster_id="c-1",
        node="n1",
        data_dir=str(tmp_path),
        run_dir="/tmp",
        peer_listen="127.0.0.1:7501",
        api_listen="127.0.0.1:7401",
        api_token_file=str(tmp_path / "token"),
        tls=TlsFiles(str(ca), str(certificate), str(key)),
        nodes=(Member("n1", 1, "127.0.0.1:7501", "127.0.0.1:7401"),),
    )


def test_the_machine_that_runs_this_test(configuration: NodeConfiguration, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    facts = machine_facts(configuration)
    assert facts.memory_mib > 100 and facts.cores >= 1 and facts.boot_id and facts.kernel
    assert facts.data.kind and facts.data.free_mib > 0
    assert facts.data.sync_median_us is not None and facts.data.sync_worst_us is not None
    assert 0 < facts.data.sync_median_us <= facts.data.sync_worst_us
    ends = [each.ends_wall_ms for each in facts.certificates]
    assert len(ends) == 2 and min(ends) > time.time() * 1000
    assert set(tmp_path.iterdir()) == before, "nothing is left in the data folder"


def test_what_is_gone_is_told(configuration: NodeConfiguration, tmp_path: Path) -> None:
    (tmp_path / "node.pem").unlink()
    (tmp_path / "ca.pem").write_text("no certificate")
    facts = machine_facts(configuration)
    assert all(each.trouble for each in facts.certificates)


def test_loopback_is_always_there() -> None:
    found = {each.name: each for each in interfaces()}
    assert found["lo"].is_up and found["lo"].mtu > 0
    assert "127.0.0.1/8" in found["lo"].addresses


def test_the_probe_is_a_process_that_says_it_in_json(configuration: NodeConfiguration, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    configuration.write(path)
    command = [sys.executable, "-m", "clusterd.main.probe", "--config"]
    done = subprocess.run([*command, str(path)], capture_output=True, timeout=20, check=True)
    assert decode_machine(done.stdout).boot_id
    done = subprocess.run([*command, "/none"], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1 and b"/none" in done.stderr
