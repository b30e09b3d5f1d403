"""What a lab is made of: private, on free ports, and never in somebody else's folder."""

import json
import socket
from pathlib import Path

import pytest

from clusterd.adapters.configuration import Bootstrap, NodeConfiguration
from clusterd.lab.cuts import Cuts
from clusterd.lab.foundation import lay
from clusterd.lab.layout import RECORD_NAME, LabRecord, all_labs, check_name, find_lab, make_private
from clusterd.lab.locks import lab_root
from clusterd.lab.options import LabOptions
from clusterd.lab.ports import API_PORT_FIRST, Ports
from clusterd.model.errors import BadInput, NotFound, Refused


@pytest.fixture(autouse=True)
def root(lab_root: Path) -> Path:
    make_private(lab_root)
    return lab_root


def lay_lab(options: LabOptions) -> LabRecord:
    ports = Ports.take(options.node_count)
    try:
        return lay(options, ports)
    finally:
        ports.release()


def test_everything_is_private_and_complete(root: Path) -> None:
    record = lay_lab(LabOptions(name="t", profile="fast"))
    folder = root / "t"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [(folder / name).stat().st_mode & 0o777 for name in ("token", RECORD_NAME)] == [0o600, 0o600]
    assert find_lab("t") == record and all_labs() == [record]
    first, *_ = loaded = [NodeConfiguration.load(Path(node.configuration)) for node in record.nodes]
    assert [each.node for each in loaded] == ["n1", "n2", "n3"]
    assert Path(first.tls.key).stat().st_mode & 0o777 == 0o600
    bootstrap = Bootstrap.load(Path(first.bootstrap_file))
    assert bootstrap.properties["run_lease"] == 500
    assert bootstrap.fence_records[0].parameters == {"socket": str(record.fence_socket)}
    assert record.token() not in json.dumps(Path(first.bootstrap_file).read_text())


def test_without_fence_there_is_no_agent() -> None:
    record = lay_lab(LabOptions(name="t", node_count=1, fence=False))
    assert not Bootstrap.load(Path(record.dir) / "bootstrap.json").fence_records


def test_ports_in_use_are_left_alone() -> None:
    first = Ports.take(1)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first.api[0]))
        other.listen()
        first.release()
        second = Ports.take(1)
    assert second.api[0] != first.api[0]
    second.release()


def test_a_port_has_one_holder() -> None:
    first, second = Ports.take(3), Ports.take(3)
    assert not set(first.api + first.peer) & set(second.api + second.peer)
    first.release()
    third = Ports.take(3)
    assert third.api[0] >= API_PORT_FIRST
    second.release()
    third.release()


def test_a_new_lab_forgets_the_old_one(root: Path) -> None:
    first = lay_lab(LabOptions(name="t"))
    (Path(first.nodes[0].data_dir) / "log").write_text("old")
    old_token = first.token()
    lay_again(root)
    second = lay_lab(LabOptions(name="t", node_count=1))
    assert not (Path(second.nodes[0].data_dir) / "log").exists()
    assert not (root / "t" / "n2").exists()
    assert second.token() not in ("", old_token)


def lay_again(root: Path) -> None:
    """Make the present record that of a launcher which has ended."""
    path = root / "t" / RECORD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid_start_ticks": 1}))


def test_a_folder_with_something_else_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("irreplaceable")
    with pytest.raises(Refused, match="holds no lab"):
        lay_lab(LabOptions(name="t", dir=str(tmp_path)))
    assert (tmp_path / "thesis.tex").exists()


def test_a_running_labs_folder_is_refused(tmp_path: Path) -> None:
    lay_lab(LabOptions(name="one", dir=str(tmp_path), node_count=1))
    with pytest.raises(Refused, match="running lab one"):
        lay_lab(LabOptions(name="two", dir=str(tmp_path), node_count=1))


def test_another_folder_is_found_by_name(tmp_path: Path) -> None:
    record = lay_lab(LabOptions(name="t", dir=str(tmp_path / "x"), node_count=1))
    assert find_lab("t").dir == str(tmp_path / "x") == record.dir


def test_a_long_folder_gets_a_short_place_for_sockets(tmp_path: Path) -> None:
    record = lay_lab(LabOptions(name="t", dir=str(tmp_path / ("long" * 20)), node_count=1))
    try:
        assert len(record.nodes[0].run_dir) < 60
        assert Path(record.run_base).stat().st_mode & 0o777 == 0o700
        assert NodeConfiguration.load(Path(record.nodes[0].configuration)).run_dir == record.nodes[0].run_dir
    finally:
        for path in sorted(Path(record.run_base).rglob("*"), reverse=True):
            path.rmdir()
        Path(record.run_base).rmdir()


def test_a_root_that_is_not_ours_is_refused(root: Path) -> None:
    (root / "link").symlink_to("/tmp")
    with pytest.raises(Refused, match="not a folder of yours"):
        make_private(root / "link")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 41, "-x", "a b", "demo.lock", "demo.log"])
def test_bad_names(name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a lab"):
        check_name(name)


def test_an_unknown_lab_is_not_found() -> None:
    with pytest.raises(NotFound, match="no lab nowhere"):
        find_lab("nowhere")


def test_where_the_root_is() -> None:
    assert lab_root({"CLUSTERD_LAB_ROOT": "/x", "XDG_RUNTIME_DIR": "/y"}) == Path("/x")
    assert lab_root({"XDG_RUNTIME_DIR": "/y"}) == Path("/y/clusterd-labs")
    assert str(lab_root({})).startswith("/tmp/clusterd-labs-")


def test_cuts() -> None:
    cuts = Cuts(["a", "b", "c"])
    cuts.cut("a", "b", is_one_way=True)
    assert (cuts.of("a").drop_to, cuts.of("b").drop_from, cuts.of("b").drop_to) == (("b",), ("a",), ())
    cuts.isolate("c")
    assert cuts.of("c").drop_to == cuts.of("c").drop_from == ("a", "b")
    cuts.heal(["c"])
    assert cuts.pairs == [("a", "b")]
    cuts.heal(["b", "a"])
    assert cuts.pairs == []
    cuts.isolate("a")
    cuts.heal([])
    assert cuts.pairs == []
