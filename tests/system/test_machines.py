"""A newcomer's way with a real guest: made in one command, seen, saved, verified on every node, and the cluster judged."""

import shutil
from pathlib import Path

import pytest

from bench.labs import lab

NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "nasm": "nasm"}
MISSING = [package for command, package in NEEDED.items() if shutil.which(command) is None]
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]


def test_a_guest_in_one_command_and_what_can_be_done_with_it(tmp_path: Path) -> None:
    with lab() as running:
        made = running.ctl("vm", "create", "tiny1")
        assert made["waited"]["reached"] is True
        (shown,) = running.ctl("vm", "list")["machines"]
        assert (shown["state"], shown["guest"]["status"]) == ("online", "running")
        assert Path(running.ctl("vm", "console", "tiny1")["path"]).is_socket()

        again = running.ctl("vm", "protect", "again", "--definition", shown["definition"], "--yes", check=False)
        assert again == {}, "one machine is protected once"

        running.ctl("vm", "save", "tiny1")
        assert running.ctl("vm", "show", "tiny1")["machines"][0]["state"] == "offline"
        running.ctl("vm", "start", "tiny1")

        verified = running.ctl("group", "verify", "tiny1")
        assert verified["verified"] is True
        assert [each["node"] for each in verified["moves"]][-1] == shown["owner"]
        assert sorted(each["node"] for each in verified["moves"]) == ["n1", "n2", "n3"]

        page = tmp_path / "cluster.html"
        report = running.ctl("validate", "--report", str(page))
        verdicts = {each["name"]: each["verdict"] for each in report["tests"]}
        failed = [name for name, verdict in verdicts.items() if verdict == "failure"]
        assert failed == []
        assert verdicts["hypervisor"] == verdicts["machine-memory"] == verdicts["communication"] == "pass"
        assert verdicts["separate-machines"] == "warning", "a lab is one machine, and that is said"
        assert "separate-machines" in page.read_text()
        assert running.ctl("vm", "list")["machines"][0]["state"] == "online", "nothing that runs was touched"


def test_a_silent_node_fails_the_validation_and_the_others_are_judged() -> None:
    with lab() as running:
        running.ctl("lab", "kill", "n3")
        running.ctl("wait", "--for", "node n3 down")
        asked = ("validate", "--only", "node-answers", "--only", "communication")
        report = running.ctl(*asked, check=False)
        assert report["outcome"] == "not-approved"
        told = {each["about"]: each["verdict"] for each in report["tests"][0]["findings"]}
        assert told == {"n1": "pass", "n2": "pass", "n3": "failure"}
