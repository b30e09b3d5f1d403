"""A newcomer's way with a real guest: made in one command, seen, saved, verified on every node, and the cluster judged."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.labs import Lab, lab

NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "nasm": "nasm"}
MISSING = [package for command, package in NEEDED.items() if shutil.which(command) is None]
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]


GUESTS = Path(__file__).parents[2] / "deploy" / "guests"


@pytest.fixture
def tiny_image(tmp_path: Path) -> Path:
    subprocess.run(["sh", str(GUESTS / "build-tiny.sh"), str(tmp_path)], check=True)
    return tmp_path / "tiny.img"


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

        live = running.ctl("group", "verify", "tiny1", "--kind", "live")
        assert [each["result"] for each in live["moves"]] == ["moved"] * 3
        assert all(each["blackout_ms"] is not None for each in live["moves"])

        page = tmp_path / "cluster.html"
        report = running.ctl("validate", "--report", str(page))
        verdicts = {each["name"]: each["verdict"] for each in report["tests"]}
        failed = [name for name, verdict in verdicts.items() if verdict == "failure"]
        assert failed == []
        assert verdicts["hypervisor"] == verdicts["machine-memory"] == verdicts["communication"] == "pass"
        assert verdicts["separate-machines"] == "warning", "a lab is one machine, and that is said"
        assert "separate-machines" in page.read_text()
        assert running.ctl("vm", "list")["machines"][0]["state"] == "online", "nothing that runs was touched"

        kept = running.ctl("reports")["reports"]
        assert [each.split("-")[0] for each in kept] == ["validation", "protect", "protect"], "the newest first"
        assert running.ctl("reports", kept[0])["tests"] == report["tests"]
        refused, made_of = (running.ctl("reports", each) for each in kept[1:])
        assert "protects it already" in refused["judgement"]["refusals"][0]
        assert made_of["plan"]["group"] == "tiny1"


DISK_NEEDED = ("qemu-storage-daemon", "losetup", "mkfs.ext4")
NO_DISKS = [each for each in DISK_NEEDED if shutil.which(each) is None] + (["root"] if os.geteuid() else [])


@pytest.mark.skipif(bool(NO_DISKS), reason=f"mounting a disk of the cluster needs {', '.join(NO_DISKS)}")
def test_two_machines_on_one_disk_are_one_group_and_move_together(tmp_path: Path, tiny_image: Path) -> None:
    mount = tmp_path / "mnt"
    mount.mkdir()
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    properties = {"image": str(image), "mount_point": str(mount), "format_when_empty": True}
    with lab() as running:
        running.apply(
            {
                "groups": [
                    {
                        "name": "stores",
                        "resources": [{"name": "store", "type": "physical_disk", "properties": properties}],
                    }
                ]
            }
        )
        try:
            for name in ("shop", "till"):
                shutil.copyfile(tiny_image, mount / f"{name}.img")
                disk = f'[[disks]]\nid = "system"\npath = "{mount}/{name}.img"\nbus = "ide"\n'
                (mount / f"{name}.toml").write_text(f"memory_mib = 1\n{disk}")
                made = running.ctl("vm", "protect", name, "--definition", str(mount / f"{name}.toml"), "--yes")
                assert (made["judgement"]["group"], made["judgement"]["disks"]) == ("stores", ["store"])
            (mount / "rival.toml").write_text((mount / "shop.toml").read_text())
            rival = ("vm", "protect", "rival", "--definition", str(mount / "rival.toml"), "--allow-running", "--yes")
            assert running.ctl(*rival, check=False) == {}, "two machines would write to one image"
            assert running.ctl("group", "verify", "stores")["verified"] is True
            machines = running.ctl("vm", "list")["machines"]
            assert [(each["name"], each["group"], each["state"]) for each in machines] == [
                ("shop", "stores", "online"),
                ("till", "stores", "online"),
            ]
            storage = running.ctl("validate", "--only", "storage")["tests"]
            verdicts = {each["name"]: each["verdict"] for each in storage}
            assert (verdicts["reservations"], verdicts["disk-guarantees"]) == ("pass", "warning")
        finally:
            running.ctl("group", "offline", "stores")
        assert not os.path.ismount(mount)


@pytest.mark.skipif(bool(NO_DISKS), reason=f"mounting a disk of the cluster needs {', '.join(NO_DISKS)}")
def test_an_image_that_rests_on_another_on_disks_inside_each_other(tmp_path: Path, tiny_image: Path) -> None:
    outer, inner = tmp_path / "mnt", tmp_path / "mnt" / "inner"
    outer.mkdir()
    disks = []
    for name, mount in (("outer", outer), ("inner", inner)):
        image = tmp_path / f"{name}.raw"
        image.touch()
        os.truncate(image, 64 << 20)
        properties = {"image": str(image), "mount_point": str(mount), "format_when_empty": True}
        disks.append({"name": name, "type": "physical_disk", "properties": properties})
    disks[1]["depends_on"] = "[outer]"
    with lab() as running:
        running.apply({"groups": [{"name": "stores", "resources": disks}]})
        try:
            shutil.copyfile(tiny_image, outer / "base.img")
            shop = _on_a_chain(inner, "shop", outer / "base.img")
            made = running.ctl("vm", "protect", "shop", "--definition", str(shop), "--yes")
            assert sorted(made["judgement"]["disks"]) == ["inner", "outer"]
            assert any("not live" in each for each in made["notes"])
            machine = {each["name"]: each for each in running.group("stores")["resources"]}["shop"]
            assert machine["depends_on"] == "[shop-configuration] and [inner] and [outer]"

            local = tmp_path / "local.img"
            shutil.copyfile(tiny_image, local)
            till = _on_a_chain(inner, "till", local)
            assert f"rests on {local}, which is on no disk of the group" in _refusal(running, till)
            local.unlink()
            assert f"{local}: No such file or directory" in _refusal(running, till), "a chain without its root"
            assert f"no node has the definition {inner}/none.toml" in _refusal(running, inner / "none.toml")

            with pytest.raises(SystemExit, match=r"3: .*as it has a mount_point"):
                running.ctl("group", "move", "stores", "--kind", "live")
            assert running.ctl("group", "verify", "stores")["verified"] is True
            assert running.ctl("vm", "show", "shop")["machines"][0]["guest"]["status"] == "running"
        finally:
            running.ctl("group", "offline", "stores")
        assert not os.path.ismount(outer)


def _on_a_chain(folder: Path, name: str, base: Path) -> Path:
    """A definition whose image rests on `base`."""
    image, definition = folder / f"{name}.qcow2", folder / f"{name}.toml"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(image)]
    subprocess.run(create, check=True)
    disk = f'[[disks]]\nid = "system"\npath = "{image}"\nformat = "qcow2"\nbus = "ide"\n'
    definition.write_text(f"memory_mib = 1\n{disk}", encoding="utf-8")
    return definition


def _refusal(running: Lab, definition: Path) -> str:
    """What the wizard says, also afterwards in its report."""
    with pytest.raises(SystemExit, match=r"ended with 3"):
        running.ctl("vm", "protect", "--definition", str(definition), "--yes")
    newest = running.ctl("reports")["reports"][0]
    return "; ".join(running.ctl("reports", newest)["judgement"]["refusals"])


def test_a_silent_node_fails_the_validation_and_the_others_are_judged() -> None:
    with lab() as running:
        running.ctl("lab", "kill", "n3")
        running.ctl("wait", "--for", "node n3 down")
        asked = ("validate", "--only", "node-answers", "--only", "communication")
        report = running.ctl(*asked, check=False)
        assert report["outcome"] == "not-approved"
        told = {each["about"]: each["verdict"] for each in report["tests"][0]["findings"]}
        assert told == {"n1": "pass", "n2": "pass", "n3": "failure"}
