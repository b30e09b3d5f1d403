"""What QEMU is told for a definition."""

import itertools
import json
from typing import Any

import pytest

from resource_types.machine_definition import Bus, Cache, Definition, Disk, DiskMode, ImageFormat, Network, NetworkKind
from resource_types.machine_definition.definition import GuestAgent
from resource_types.virtual_machine.command_line import Places, command_line

PLACES = Places("/r/m,1", "/r/c", "/r/a")


def words(
    disks: tuple[Disk, ...] = (), networks: tuple[Network, ...] = (), *, is_incoming: bool = False, **values: Any
) -> list[str]:
    return command_line(
        Definition(memory_mib=512, disks=disks, networks=networks, **values),
        PLACES,
        name="web,1",
        accelerator="tcg",
        generation=26,
        direct_paths=frozenset({"/d"}),
        is_incoming=is_incoming,
    )


def has(argv: list[str], option: str, value: str) -> bool:
    return (option, value) in itertools.pairwise(argv)


def block(argv: list[str]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(argv[argv.index("-blockdev") + 1])
    return read


@pytest.mark.parametrize(
    ("argv", "option", "value"),
    [
        (words(), "-name", "web,,1"),
        (words(), "-qmp", "unix:/r/m,,1,server=on,wait=off"),
        (words(), "-machine", "type=pc,accel=tcg"),
        (words(), "-fw_cfg", "name=opt/clusterd/generation,string=0000001a"),
        (words(), "-device", "pvpanic"),
        (words(), "-vga", "none"),
        (words(display=True), "-vga", "std"),
        (words(processors=4), "-smp", "4"),
        (words(processor_model="max"), "-cpu", "max"),
        (words(firmware="/f"), "-bios", "/f"),
        (words(kernel="/k", kernel_arguments="a b"), "-append", "a b"),
        (words(is_incoming=True), "-incoming", "defer"),
        (
            words(guest_agent=GuestAgent.VIRTIO),
            "-device",
            "virtserialport,chardev=agent,name=org.qemu.guest_agent.0,id=agent-port",
        ),
        (words(guest_agent=GuestAgent.SERIAL), "-device", "isa-serial,chardev=agent,index=1"),
        (words(networks=(Network("a", NetworkKind.BRIDGE, bridge="br0"),)), "-netdev", "bridge,id=net-a,br=br0"),
        (words(networks=(Network("a"),)), "-netdev", "user,id=net-a"),
        (
            words(networks=(Network("a", NetworkKind.NONE, mac="52:54:00:AA:00:01", allow_address_change=True),)),
            "-device",
            "virtio-net-pci,id=adapter-a,mac=52:54:00:aa:00:01,romfile=",
        ),
        (
            words(networks=(Network("a", NetworkKind.NONE, mac="52:54:00:AA:00:01"),)),
            "-device",
            "virtio-net-pci,id=adapter-a,mac=52:54:00:aa:00:01,romfile=,ctrl_mac_addr=off",
        ),
        (
            words((Disk("sys", "/d"),)),
            "-device",
            "virtio-blk-pci,drive=disk-sys,id=device-sys,bootindex=1,werror=enospc,rerror=report,serial=sys",
        ),
        (
            words((Disk("sys", "/d", bus=Bus.SCSI, mode=DiskMode.SHARED),)),
            "-device",
            "scsi-hd,bus=scsi.0,drive=disk-sys,id=device-sys,bootindex=1,werror=enospc,rerror=report,serial=sys,share-rw=on",
        ),
    ],
)
def test_what_is_told(argv: list[str], option: str, value: str) -> None:
    assert has(argv, option, value), argv


@pytest.mark.parametrize(
    ("disk", "is_direct"),
    [
        (Disk("a", "/d"), True),
        (Disk("a", "/d", cache=Cache.WRITEBACK), False),
        (Disk("a", "/cannot"), False),
        (Disk("a", "/d", format=ImageFormat.QCOW2), True),
    ],
)
def test_page_cache(disk: Disk, is_direct: bool) -> None:
    assert block(words((disk,)))["file"]["cache"]["direct"] is is_direct


def test_paths_are_data_and_no_options() -> None:
    path = '/srv/a,b="c" d/disk.img'
    assert block(words((Disk("a", path),)))["file"]["filename"] == path


def test_served_disk_is_reached_over_its_socket() -> None:
    read = block(words((Disk("a", "/run/disk.sock", resource="d"),)))
    assert read["driver"] == "nbd"
    assert read["server"] == {"type": "unix", "path": "/run/disk.sock"}


def test_guest_that_waits_for_memory_stays_paused() -> None:
    assert "-S" in words(is_incoming=True)
    assert "-S" not in words()
