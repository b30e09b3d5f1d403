"""What does a definition say? Pure: frozen values, and what follows from them alone."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

QEMU_OWN_MEMORY_MIB = 64
"""What QEMU itself takes beside the guest's memory (measured: 41 MiB with the smallest guest, 60 with a Linux)."""


SERIAL_SIZE_MAX = 20
PCI_PLACES = 30
"""What a machine has for devices of their own: 32 less those of the machine itself."""
BRIDGE_NAME_SIZE_MAX = 15
KERNEL_ARGUMENTS_SIZE_MAX = 2047


class ImageFormat(StrEnum):
    RAW = "raw"
    QCOW2 = "qcow2"


class Bus(StrEnum):
    VIRTIO = "virtio"
    IDE = "ide"
    SCSI = "scsi"


class DiskMode(StrEnum):
    EXCLUSIVE = "exclusive"
    SHARED = "shared"


class Cache(StrEnum):
    """`auto` goes past the host's page cache wherever the file system can."""

    AUTO = "auto"
    DIRECT = "direct"
    WRITEBACK = "writeback"


class NetworkKind(StrEnum):
    BRIDGE = "bridge"
    USER = "user"
    NONE = "none"


class GuestAgent(StrEnum):
    NONE = "none"
    VIRTIO = "virtio"
    SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk. `id` is what the guest sees as its serial number and never changes; the path may."""

    id: str
    path: str = ""
    """Absolute. Where the definition says `relative_path` or `resource` instead, `prove` fills it in for this node."""
    volume: str = ""
    """The id of the cluster-managed volume that it must lie on."""
    relative_path: str = ""
    resource: str = ""
    """The physical_disk resource that serves it; `path` is that resource's NBD socket then."""
    format: ImageFormat = ImageFormat.RAW
    bus: Bus = Bus.VIRTIO
    mode: DiskMode = DiskMode.EXCLUSIVE
    cache: Cache = Cache.AUTO
    is_read_only: bool = False

    @property
    def is_named_by_path(self) -> bool:
        return not self.relative_path and not self.resource


@dataclass(frozen=True, slots=True)
class Network:
    """One network adapter and what it is connected to."""

    id: str
    kind: NetworkKind = NetworkKind.USER
    bridge: str = ""
    mac: str = ""
    allow_address_change: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """One machine."""

    memory_mib: int
    processors: int = 1
    machine: str = "pc"
    processor_model: str = ""
    firmware: str = "bios"
    guest_agent: GuestAgent = GuestAgent.NONE
    panic_device: bool = True
    display: bool = False
    serial_log: str = ""
    kernel: str = ""
    initial_ramdisk: str = ""
    kernel_arguments: str = ""
    disks: tuple[Disk, ...] = ()
    networks: tuple[Network, ...] = ()


def fingerprint(definition: Definition) -> str:
    """The same for equal definitions only, on every node, whether proven or not. Memory of a guest fits a machine of the
    same fingerprint and no other."""
    disks = [dataclasses.replace(disk, path=disk.path if disk.is_named_by_path else "") for disk in definition.disks]
    values = dataclasses.asdict(dataclasses.replace(definition, disks=tuple(disks)))
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def paths_of(definition: Definition) -> list[str]:
    """Every absolute path that the machine needs, in the order of the definition. Backing files are not known here."""
    paths = [definition.kernel, definition.initial_ramdisk]
    paths += [definition.firmware] if definition.firmware != "bios" else []
    paths += [disk.path for disk in definition.disks]
    return [path for path in paths if path]


def required_memory_mib(definition: Definition) -> int:
    """What a node must have free for it."""
    return definition.memory_mib + QEMU_OWN_MEMORY_MIB


def cores(definition: Definition) -> int:
    return definition.processors


def serial_of(disk: Disk) -> str:
    """What the guest sees: as much of the id as virtio and IDE have room for."""
    return disk.id[:SERIAL_SIZE_MAX]


def mac_of(network: Network, owner: str) -> str:
    """The given address, or one that is always the same for this adapter of `owner` and unlike any other."""
    if network.mac:
        return network.mac.lower()
    digest = hashlib.sha256(f"{owner}/{network.id}".encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])
