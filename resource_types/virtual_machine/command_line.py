"""With which arguments does QEMU become the machine of a definition? Pure, but for what is passed in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resource_types.machine_definition.definition import (
    Bus,
    Cache,
    Definition,
    Disk,
    DiskMode,
    GuestAgent,
    Network,
    NetworkKind,
    mac_of,
    serial_of,
)

QEMU = "qemu-system-x86_64"
AGENT_PORT = "org.qemu.guest_agent.0"
NODE_NAME_SIZE_MAX = 31
AGENT_DEVICE = "agent-port"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the sockets of this run are."""

    monitor: str
    console: str
    guest_agent: str


def command_line(
    definition: Definition,
    places: Places,
    *,
    name: str,
    accelerator: str,
    generation: int,
    direct_paths: frozenset[str],
    is_incoming: bool,
) -> list[str]:
    """`direct_paths` are the images that can be opened past the page cache. With `is_incoming` the machine waits, without
    locks on its images, for memory that comes from elsewhere, and stays paused when it is there."""
    words = [QEMU, "-name", _escaped(name), "-nodefaults", "-no-user-config"]
    words += ["-machine", f"type={definition.machine},accel={accelerator}"]
    words += ["-m", str(definition.memory_mib), "-smp", str(definition.processors)]
    words += ["-cpu", definition.processor_model] if definition.processor_model else []
    words += ["-display", "none", *(["-vga", "std"] if definition.display else ["-vga", "none"])]
    # A guest that switches itself off leaves QEMU paused: so its end is told apart from a QEMU that died.
    words += ["-action", "reboot=reset,shutdown=pause,panic=pause"]
    words += ["-qmp", f"unix:{_escaped(places.monitor)},server=on,wait=off"]
    words += _boot(definition) + _console(definition, places)
    words += ["-fw_cfg", f"name=opt/clusterd/generation,string={generation & 0xFFFFFFFF:08x}"]
    words += ["-device", "pvpanic"] if definition.panic_device else []
    words += _guest_agent(definition, places) + _disks(definition, direct_paths)
    for network in definition.networks:
        words += _network(network, name)
    words += ["-incoming", "defer", "-S"] if is_incoming else []
    return words


def _boot(definition: Definition) -> list[str]:
    words = [] if definition.firmware == "bios" else ["-bios", definition.firmware]
    if definition.kernel:
        words += ["-kernel", definition.kernel]
        words += ["-initrd", definition.initial_ramdisk] if definition.initial_ramdisk else []
        words += ["-append", definition.kernel_arguments] if definition.kernel_arguments else []
    return words


def _console(definition: Definition, places: Places) -> list[str]:
    log = f",logfile={_escaped(definition.serial_log)},logappend=on" if definition.serial_log else ""
    # QEMU goes to the relay, which listens already and always reads: the guest waits for nobody at the console.
    chardev = f"socket,id=console,path={_escaped(places.console)}{log}"
    return ["-chardev", chardev, "-device", "isa-serial,chardev=console,index=0"]


def _guest_agent(definition: Definition, places: Places) -> list[str]:
    if definition.guest_agent is GuestAgent.NONE:
        return []
    words = ["-chardev", f"socket,id=agent,path={_escaped(places.guest_agent)},server=on,wait=off"]
    if definition.guest_agent is GuestAgent.SERIAL:
        return [*words, "-device", "isa-serial,chardev=agent,index=1"]
    return [
        *words,
        "-device",
        "virtio-serial-pci",
        "-device",
        f"virtserialport,chardev=agent,name={AGENT_PORT},id={AGENT_DEVICE}",
    ]


def _disks(definition: Definition, direct_paths: frozenset[str]) -> list[str]:
    words: list[str] = []
    if any(disk.bus is Bus.SCSI for disk in definition.disks):
        words += ["-device", "virtio-scsi-pci,id=scsi"]
    for at, disk in enumerate(definition.disks):
        words += ["-blockdev", json.dumps(_block(disk, is_direct=disk.path in direct_paths))]
        words += ["-device", _disk_device(disk, at)]
    return words


def _block(disk: Disk, *, is_direct: bool) -> dict[str, Any]:
    if disk.resource:
        server = {"type": "unix", "path": disk.path}
        return {"driver": "nbd", "node-name": node_name(disk), "read-only": disk.is_read_only, "server": server}
    file: dict[str, Any] = {
        "driver": "host_device" if disk.path.startswith("/dev/") else "file",
        "filename": disk.path,
        "locking": "on",
        "cache": {"direct": is_direct and disk.cache is not Cache.WRITEBACK, "no-flush": False},
    }
    block: Mapping[str, Any] = {
        "driver": str(disk.format),
        "node-name": node_name(disk),
        "read-only": disk.is_read_only,
        "cache": file["cache"],
        "file": file,
    }
    return dict(block)


def node_name(disk: Disk) -> str:
    """QEMU has room for 31 characters, and no two may be alike: of a longer name the end tells whose it is."""
    name = f"disk-{disk.id}"
    if len(name) <= NODE_NAME_SIZE_MAX:
        return name
    digest = hashlib.sha256(disk.id.encode()).hexdigest()[:8]
    return f"{name[: NODE_NAME_SIZE_MAX - 9]}-{digest}"


def _disk_device(disk: Disk, at: int) -> str:
    driver = {
        Bus.VIRTIO: "virtio-blk-pci",
        # Nothing but a CD-ROM can be read only there.
        Bus.IDE: "ide-cd" if disk.is_read_only else "ide-hd",
        Bus.SCSI: "scsi-hd,bus=scsi.0",
    }[disk.bus]
    shared = ",share-rw=on" if disk.mode is DiskMode.SHARED else ""
    # Where there is no room the guest stands still: it can do nothing about it, and an error would harm its file system.
    errors = ",werror=enospc,rerror=report"
    serial = f",serial={serial_of(disk)}"
    return f"{driver},drive={node_name(disk)},id=device-{disk.id},bootindex={at + 1}{errors}{serial}{shared}"


def _network(network: Network, owner: str) -> list[str]:
    device = f"virtio-net-pci,id=adapter-{network.id},mac={mac_of(network, owner)},romfile="
    device += "" if network.allow_address_change else ",ctrl_mac_addr=off"
    match network.kind:
        case NetworkKind.NONE:
            return ["-device", device]
        case NetworkKind.USER:
            backend = f"user,id=net-{network.id}"
        case NetworkKind.BRIDGE:
            backend = f"bridge,id=net-{network.id},br={network.bridge}"
    return ["-netdev", backend, "-device", f"{device},netdev=net-{network.id}"]


def _escaped(text: str) -> str:
    """A comma in an option's value is written twice."""
    return text.replace(",", ",,")
