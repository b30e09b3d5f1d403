"""Do the verbs of machines and of validation show, ask, refuse and end as they should?"""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served_cluster import TOKEN, PretendCluster, Served

from clusterd.cli.vm_create import TEMPLATES
from clusterd.database import Draft
from clusterd.model.ids import NodeId
from clusterd.model.records import ResourceTypeRecord
from clusterd.model.states import ResourceState
from clusterd.resource_api import schema_of
from clusterd.validation import Hypervisor, MachineFacts, NodeAnswer, encode
from resource_types.virtual_machine.declared import PROPERTIES
from resource_types.virtual_machine_configuration import VirtualMachineConfiguration

Run = Callable[..., Any]


def answer(node: NodeId) -> bytes:
    machine = MachineFacts(kernel="6.1", boot_id="one", hypervisor=Hypervisor("7.2", "/usr/bin/qemu", True, True))
    return encode(NodeAnswer(machine, containment="cgroup"))


def examine(node: NodeId, type_name: str, question: str, body: bytes) -> bytes:
    """The real type looks at the files of this test."""
    return VirtualMachineConfiguration.examine(question, body)


@pytest.fixture
def machines(served: Served) -> Served:
    def prepare(cluster: PretendCluster) -> None:
        cluster.node_answers["facts"] = answer
        cluster.type_answers = examine
        draft = Draft(cluster.view())
        for node in ("n1", "n2", "n3"):
            for name, properties in (
                ("virtual_machine", PROPERTIES),
                ("virtual_machine_configuration", VirtualMachineConfiguration.properties),
            ):
                draft.put(ResourceTypeRecord(name, NodeId(node), "1", schema_of(properties)))
        cluster.write(draft)

    served.call(prepare)
    return served


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    (tmp_path / "disk.img").write_bytes(bytes(512))
    path = tmp_path / "shop.toml"
    path.write_text(f'memory_mib = 64\n[[disks]]\nid = "system"\npath = "{tmp_path}/disk.img"\n')
    return path


def said(served: Served, resource: str, text: bytes) -> None:
    served.call(lambda cluster: cluster.logs.update({resource: text}))


@pytest.mark.usefixtures("machines")
def test_without_a_terminal_nobody_can_be_asked(clusterctl: Run, definition: Path) -> None:
    refused = clusterctl("vm", "protect", "shop", "--definition", str(definition))
    assert (refused.code, "--yes creates it" in refused.err) == (64, True)
    assert "there is no machine" in clusterctl("vm", "list").out


@pytest.mark.usefixtures("machines")
def test_protect_says_what_it_does(clusterctl: Run, definition: Path, tmp_path: Path) -> None:
    planned = clusterctl("vm", "protect", "shop", "--definition", str(definition), "--plan")
    assert planned.code == 0, planned.err
    assert "would create resource shop: type virtual_machine; depends on [shop-configuration]" in planned.out
    report = tmp_path / "report.json"
    arguments = ("vm", "protect", "shop", "--definition", str(definition), "--yes", "--report", str(report))
    done = clusterctl(*arguments)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "shop: 128 MiB, 1 core, possible owners n1, n2, n3"
    assert "they are on one machine" in done.out
    assert lines[-1].startswith("resource shop is online on n1")
    assert json.loads(report.read_text())["judgement"]["eligible"] is True
    again = clusterctl(*arguments)
    assert (again.code, "protects it already" in again.err) == (3, True)


@pytest.mark.usefixtures("machines")
def test_the_list_says_which_are_eligible_and_why_others_are_not(clusterctl: Run, definition: Path) -> None:
    (definition.parent / "bad.toml").write_text("memory = 1\n")
    assert clusterctl("cluster", "set", f"definition_folders={definition.parent}").code == 0
    shown = clusterctl("vm", "protect", "--list").out
    assert f"  1  shop: 128 MiB, 1 core, possible owners n1, n2, n3\n     {definition}" in shown
    assert "bad.toml) cannot be protected:" in shown
    assert "memory_mib" in shown


def test_stop_orders_how_and_then_wishes(clusterctl: Run, machines: Served, definition: Path) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    said(machines, "shop", json.dumps({"status": "running", "pid": 7}).encode())
    assert "running" in clusterctl("vm", "list").out
    stopped = clusterctl("vm", "stop", "shop", "--kind", "turn-off")
    assert stopped.code == 0, stopped.err
    asked = machines.call(lambda cluster: [each for each in cluster.asked if each[1] == "next-offline-action"])
    assert asked == [("shop", "next-offline-action", b"turn-off")]
    reported = machines.call(lambda cluster: cluster.view().report("shop").resources)
    assert {each.name: each.state for each in reported}["shop"] is ResourceState.OFFLINE
    assert clusterctl("vm", "start", "shop").code == 0


@pytest.mark.parametrize(
    ("arguments", "verb", "action", "says"),
    [
        (("reset", "shop"), "reset", b"", "shop: its reset button was pressed on n1"),
        (("speed", "SHOP", "50"), "migration-bandwidth", b"50", "shop: its memory moves at most 50 MiB a second"),
        (("speed", "shop", "0.5"), "migration-bandwidth", b"0.5", "shop: its memory moves at most 0.5 MiB a second"),
        (("speed", "shop", "0"), "migration-bandwidth", b"0", "shop: its memory moves as fast as it can"),
    ],
)
def test_orders(
    clusterctl: Run,
    machines: Served,
    definition: Path,
    arguments: tuple[str, ...],
    verb: str,
    action: bytes,
    says: str,
) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    said(machines, "shop", b"")
    done = clusterctl("vm", *arguments)
    assert (done.code, done.out.strip()) == (0, says), done.err
    assert machines.call(lambda cluster: cluster.asked[-1]) == ("shop", verb, action)


@pytest.mark.parametrize("mib", ["-1", "fast", "1e9"])
def test_a_speed_that_is_none(clusterctl: Run, mib: str) -> None:
    assert clusterctl("vm", "speed", "shop", mib).code == 64


def test_a_screenshot_becomes_a_file(clusterctl: Run, machines: Served, definition: Path, tmp_path: Path) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    said(machines, "shop", b"\x89PNG and so on")
    target = tmp_path / "screen.png"
    assert clusterctl("vm", "screenshot", "shop", str(target)).code == 0
    assert target.read_bytes() == b"\x89PNG and so on"
    refused = clusterctl("vm", "screenshot", "shop", "/none/screen.png")
    assert (refused.code, "cannot be written" in refused.err) == (1, True)


def test_the_console_of_a_machine_that_is_elsewhere(clusterctl: Run, machines: Served, definition: Path) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    said(machines, "shop", b"/none/console.sock")
    refused = clusterctl("vm", "console", "shop")
    assert refused.code == 1
    assert "is on n1, at /none/console.sock, and not on this computer" in refused.err
    assert "ssh -t n1 clusterctl vm console shop" in refused.err


def test_the_console_says_what_the_guest_says(
    clusterctl: Run, machines: Served, definition: Path, tmp_path: Path
) -> None:
    path = tmp_path / "console.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def speak() -> None:
        line, _ = listener.accept()
        with line:
            line.sendall(b"hello from the guest\r\n")

    speaker = threading.Thread(target=speak)
    speaker.start()
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    said(machines, "shop", str(path).encode())
    shown = clusterctl("vm", "console", "shop", "--for", "5s")
    speaker.join(5)
    listener.close()
    assert shown.code == 0, shown.err
    assert "hello from the guest" in shown.out
    assert "the machine has ended" in shown.err


@pytest.mark.usefixtures("machines")
def test_validate_shows_keeps_and_ends(clusterctl: Run, tmp_path: Path) -> None:
    page = tmp_path / "cluster.html"
    shown = clusterctl("validate", "--only", "same-kernel", "--only", "fence-agents", "--report", str(page))
    assert shown.code == 0, shown.err
    assert "n1, n2, n3: no fence agent serves it" in shown.out
    assert "test is skipped-some: 1 passed, 1 with warnings" in shown.out
    assert page.read_text().startswith("<!doctype html>")
    assert "n1, n2, n3" in page.read_text()
    document = clusterctl("-o", "json", "validate", "--only", "same-kernel").json
    assert document["outcome"] == "skipped-some"
    assert clusterctl("validate", "--only", "same-kernle").code == 64
    assert "same-kernel" in clusterctl("validate", "--list").out
    unwritten = clusterctl("validate", "--report", "/none/x.html")
    assert (unwritten.code, "cannot be written" in unwritten.err) == (1, True)


def test_validate_ends_with_1_when_something_failed(clusterctl: Run, machines: Served) -> None:
    machines.call(lambda cluster: cluster.unreachable.add("n3"))
    shown = clusterctl("validate")
    assert (shown.code, "n3: n2 does not hear it" in shown.out) == (1, True)
    assert clusterctl("-o", "json", "validate").json["outcome"] == "not-approved"


@pytest.mark.usefixtures("machines")
def test_create_needs_a_folder_that_every_node_sees(clusterctl: Run, tmp_path: Path) -> None:
    refused = clusterctl("vm", "create", "tiny1")
    assert (refused.code, "--folder" in refused.err) == (64, True)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / TEMPLATES["tiny"].disk).write_bytes(bytes(512))
    done = clusterctl("vm", "create", "tiny1", "--folder", str(tmp_path), "--memory", "3")
    assert done.code == 0, done.err
    assert "memory_mib = 3" in (tmp_path / "tiny1.toml").read_text()
    assert "display" not in (tmp_path / "tiny1.toml").read_text()
    shown = clusterctl("vm", "create", "shown1", "--folder", str(tmp_path), "--display", "--offline")
    assert (shown.code, "display = true" in (tmp_path / "shown1.toml").read_text()) == (0, True), shown.err
    again = clusterctl("vm", "create", "tiny1", "--folder", str(tmp_path))
    assert (again.code, "there is a definition" in again.err) == (3, True)
    planned = clusterctl("vm", "create", "tiny2", "--folder", str(tmp_path), "--plan")
    assert (planned.code, (tmp_path / "tiny2.toml").exists()) == (0, False)
    refused = clusterctl("vm", "create", "tiny1-configuration", "--folder", str(tmp_path))
    assert refused.code == 3
    assert not (tmp_path / "tiny1-configuration.toml").exists(), "what could not be protected leaves no files"


def test_verify_visits_every_possible_owner_and_comes_back(clusterctl: Run, machines: Served, definition: Path) -> None:
    arguments = ("vm", "protect", "shop", "--definition", str(definition), "--owners", "n1,n3", "--yes")
    assert clusterctl(*arguments).code == 0
    done = clusterctl("-o", "json", "group", "verify", "shop")
    assert done.code == 0, done.err
    assert [(each["node"], each["result"]) for each in done.json["moves"]] == [("n3", "moved"), ("n1", "moved")]
    shown = clusterctl("group", "verify", "shop")
    assert "n1 (back)" in shown.out
    assert "shop runs on every node that may own it, and is on n1 again" in shown.out
    assert clusterctl("group", "offline", "shop").code == 0
    refused = clusterctl("group", "verify", "shop")
    assert (refused.code, "only what is online" in refused.err) == (3, True)


def test_verify_says_where_it_does_not_run(clusterctl: Run, machines: Served, definition: Path) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    machines.call(lambda cluster: setattr(cluster, "acts", False))
    done = clusterctl("-o", "json", "group", "verify", "shop", "--timeout", "200ms")
    assert (done.code, done.json["verified"]) == (1, False)
    assert [each["result"] for each in done.json["moves"]] == ["failed", "failed", "moved"]


def test_verify_says_which_node_it_could_not_try(clusterctl: Run, machines: Served, definition: Path) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    assert clusterctl("node", "pause", "n2").code == 0
    done = clusterctl("-o", "json", "group", "verify", "shop")
    assert done.code == 0, done.err
    assert [(each["node"], each["result"]) for each in done.json["moves"]] == [
        ("n2", "left-out"),
        ("n3", "moved"),
        ("n1", "moved"),
    ]
    shown = clusterctl("group", "verify", "shop").out
    assert "it is paused" in shown
    assert "shop runs on every node that could be tried, not tried n2; it is on n1 again" in shown


def test_verify_by_a_kind_that_it_cannot(clusterctl: Run, machines: Served, definition: Path) -> None:
    """The types of this cluster do not offer live moves: every node says so, and nothing moved."""
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    done = clusterctl("-o", "json", "group", "verify", "shop", "--kind", "live")
    assert (done.code, done.json["verified"], done.json["kind"]) == (1, False, "live")
    assert [each["result"] for each in done.json["moves"]] == ["failed", "failed", "moved"]
    assert all("cannot migrate live" in each["because"] for each in done.json["moves"][:-1])


def test_verify_that_is_interrupted_says_what_is_left(clusterctl: Run, machines: Served, definition: Path) -> None:
    assert clusterctl("vm", "protect", "shop", "--definition", str(definition), "--yes").code == 0
    machines.call(lambda cluster: setattr(cluster, "acts", False))
    command = [sys.executable, "-m", "clusterd.cli.main", "group", "verify", "shop", "--kind", "quick"]
    environment = {**os.environ, "CLUSTERCTL_ENDPOINT": machines.urls[0], "CLUSTERCTL_TOKEN": TOKEN}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as verify:
        assert verify.stderr is not None
        assert verify.stderr.readline() == "moving shop to n2 …\n"
        verify.send_signal(signal.SIGINT)
        said = verify.stderr.read()
    assert verify.returncode == 130
    assert "a move under way goes on" in said
    assert "clusterctl group move shop n1 --kind quick" in said


def at_a_terminal(served: Served, typed: bytes, *arguments: str) -> tuple[int, str]:
    """One command on a terminal of its own, where somebody types."""
    mine, its = pty.openpty()
    environment = {**os.environ, "CLUSTERCTL_ENDPOINT": served.urls[0], "CLUSTERCTL_TOKEN": TOKEN, "TERM": "dumb"}
    command = [sys.executable, "-m", "clusterd.cli.main", *arguments]
    try:
        os.write(mine, typed)
        done = subprocess.run(
            command,
            stdin=its,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=30,
            check=False,
        )
    finally:
        os.close(mine)
        os.close(its)
    return done.returncode, done.stdout.decode()


@pytest.mark.usefixtures("environment")
def test_somebody_at_a_terminal_is_asked(machines: Served, definition: Path) -> None:
    arguments = ("vm", "protect", "shop", "--definition", str(definition))
    code, shown = at_a_terminal(machines, b"n\n", *arguments)
    assert "create resource shop-configuration" in shown and "Create this? [y/N]" in shown
    assert code == 130
    assert machines.call(lambda cluster: cluster.view().group("shop")) is None
    code, shown = at_a_terminal(machines, b"y\n", *arguments)
    assert code == 0, shown
    assert machines.call(lambda cluster: cluster.view().group("shop")) is not None


@pytest.mark.usefixtures("environment")
def test_somebody_at_a_terminal_chooses_from_the_list(machines: Served, clusterctl: Run, definition: Path) -> None:
    assert clusterctl("cluster", "set", f"definition_folders={definition.parent}").code == 0
    code, shown = at_a_terminal(machines, b"1\nmine\ny\n", "vm", "protect")
    assert code == 0, shown
    assert machines.call(lambda cluster: cluster.view().resource("mine-configuration")) is not None
