"""A node's configuration comes back as it was written, and says what is wrong with it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from clusterd.adapters.configuration import (
    Bootstrap,
    FenceAgentEntry,
    Member,
    NodeConfiguration,
    TlsFiles,
    present_run_id,
)
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.model.errors import BadInput


def configuration(**changes: Any) -> NodeConfiguration:
    plain = NodeConfiguration(
        cluster="demo",
        cluster_id="c1",
        node="n1",
        data_dir="/var/lib/clusterd",
        run_dir="/run/clusterd",
        peer_listen="127.0.0.1:7501",
        api_listen="[::1]:7401",
        api_token_file="/etc/clusterd/token",
        tls=TlsFiles("/a/ca.pem", "/a/node.pem", "/a/node.key"),
        nodes=(Member("n1", 1, "10.0.0.1:7501", "10.0.0.1:7401"), Member("n2", 2, "10.0.0.2:7501", "10.0.0.2:7401")),
        plugins=('/opt/"odd" folder\\ü\n',),
    )
    return msgspec.structs.replace(plain, **changes)


def test_it_comes_back_as_written(tmp_path: Path) -> None:
    configuration().write(tmp_path / "node.toml")
    loaded = NodeConfiguration.load(tmp_path / "node.toml")
    assert loaded == configuration()
    assert loaded.member.number == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"node": "n3"}, ["node is 'n3'", "n1, n2"]),
        ({"node": "../n1"}, ["node is '../n1'", "letters, digits"]),
        ({"data_dir": "data"}, ["data_dir is 'data'", "absolute"]),
        ({"peer_listen": "127.0.0.1"}, ["peer_listen", "host:port"]),
        ({"api_listen": "127.0.0.1:70000"}, ["api_listen", "65535"]),
        ({"peer_listen": "[::1]:7501"}, ["peer_listen is '[::1]:7501'", "IPv6 addresses are not supported yet"]),
        ({"peer_listen": "localhost:7501"}, ["peer_listen is 'localhost:7501'", "host names are not supported yet"]),
        (
            {"nodes": (Member("n1", 1, "10.0.0.1:7501", "a:2"), Member("n2", 2, "[fd00::2]:7501", "b:2"))},
            ["nodes[1].peer is '[fd00::2]:7501'", "IPv4 addresses, as 10.0.0.1:7501"],
        ),
        ({"nodes": (Member("n1", 1, "node1.example:7501", "a:2"),)}, ["nodes[0].peer", "host names"]),
        ({"nodes": (Member("n1", 1, "0.0.0.0:7501", "a:2"),)}, ["nodes[0].peer", "at which the others reach it"]),
        ({"run_dir": "/" + "x" * 90}, ["run_dir has 91 bytes", "107"]),
        ({"nodes": (Member("n1", 1, "a:1", "a:2"), Member("N1", 2, "a:3", "a:4"))}, ["same name twice"]),
        ({"nodes": (Member("n1", 0, "a:1", "a:2"),)}, ["number is 1, 2, 3"]),
        ({"log_level": "loud"}, ["log_level", "'loud'"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    path = tmp_path / "node.toml"
    configuration(**changes).write(path)
    with pytest.raises(BadInput) as caught:
        NodeConfiguration.load(path)
    for word in [str(path), *words]:
        assert word in caught.value.message


def test_an_unknown_key_gets_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    configuration().write(path)
    path.write_text(path.read_text().replace("run_dir", "rundir"))
    with pytest.raises(BadInput, match="rundir") as caught:
        NodeConfiguration.load(path)
    assert caught.value.hint == "did you mean run_dir?"


@pytest.mark.parametrize("content", [b"node = ", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "node.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"node\.toml"):
        NodeConfiguration.load(path)


def test_bootstrap_comes_back_as_written(tmp_path: Path) -> None:
    agent = FenceAgentEntry("switch", "lab", parameters={"socket": "/x"})
    Bootstrap({"run_lease": 500}, (agent,)).write(tmp_path / "bootstrap.json")
    loaded = Bootstrap.load(tmp_path / "bootstrap.json")
    assert loaded.properties == {"run_lease": 500}
    assert [(each.name, each.parameters) for each in loaded.fence_records] == [("switch", {"socket": "/x"})]


def test_the_run_id_is_the_launchers_else_the_kernels() -> None:
    assert present_run_id({"CLUSTERD_RUN_ID": "r1"}) == "r1"
    assert present_run_id({}) == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_link_cuts(tmp_path: Path) -> None:
    path = tmp_path / "links.json"
    assert LinkCuts.load(path) == LinkCuts()
    LinkCuts(("n2",), ("n3",)).write(path)
    assert LinkCuts.load(path) == LinkCuts(("n2",), ("n3",))
    path.write_text("{")
    with pytest.raises(BadInput, match=r"links\.json"):
        LinkCuts.load(path)
