"""What does a node tell of its machine? Pure.

The answers travel as JSON. Every field has a default, and unknown ones are ignored, so that nodes of different versions can
be judged together; a field that keeps its default was not to be found out.
"""

import msgspec


class Filesystem(msgspec.Struct, frozen=True):
    """Where a folder lies and how quickly it keeps what it is given."""

    path: str = ""
    kind: str = ""
    size_mib: int = 0
    free_mib: int = 0
    sync_median_us: int | None = None
    """One small write with `fdatasync`; None where it was not measured."""
    sync_worst_us: int | None = None
    trouble: str = ""


class Interface(msgspec.Struct, frozen=True):
    """One network adapter with its addresses (`10.0.0.1/24`)."""

    name: str
    is_up: bool = False
    mtu: int = 0
    mac: str = ""
    addresses: tuple[str, ...] = ()
    is_bridge: bool = False


class Certificate(msgspec.Struct, frozen=True):
    """One certificate that the node uses."""

    name: str
    ends_wall_ms: int = 0
    trouble: str = ""


class BlockDevice(msgspec.Struct, frozen=True):
    """One disk that the machine sees."""

    name: str
    size_mib: int = 0
    model: str = ""
    id: str = ""


class Hypervisor(msgspec.Struct, frozen=True):
    """What runs guests here. An empty version means that there is nothing."""

    version: str = ""
    path: str = ""
    has_image_tool: bool = False
    has_kvm_device: bool = False


class MachineFacts(msgspec.Struct, frozen=True):
    """One machine, as its node sees it."""

    host_name: str = ""
    operating_system: str = ""
    kernel: str = ""
    architecture: str = ""
    boot_id: str = ""
    uptime_s: int = 0
    version: str = ""
    """Of clusterd."""
    python: str = ""
    libraries: dict[str, str] = {}
    memory_mib: int = 0
    memory_available_mib: int = 0
    swap_mib: int = 0
    cores: int = 0
    processor_vendor: str = ""
    processor_model: str = ""
    processor_flags: tuple[str, ...] = ()
    control_groups: str = ""
    """`v2`, `hybrid` or `none`."""
    open_files_max: int = 0
    processes_max: int = 0
    entropy_bits: int = 0
    is_clock_synchronized: bool | None = None
    watchdogs: tuple[str, ...] = ()
    data: Filesystem = Filesystem()
    run: Filesystem = Filesystem()
    interfaces: tuple[Interface, ...] = ()
    disks: tuple[BlockDevice, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    hypervisor: Hypervisor = Hypervisor()


class DiskSeen(msgspec.Struct, frozen=True):
    """A disk of the cluster, as one node finds it beside whoever uses it."""

    trouble: str = ""
    """Why it cannot be used from there; then the rest is not known."""
    size_bytes: int = 0
    ids: tuple[str, ...] = ()
    """What it is called by its maker; an image has no such name."""
    holder: str = ""
    """Whose claim is on it."""
    read_us: int | None = None


class PeerFacts(msgspec.Struct, frozen=True):
    """What one node measured of another over their link."""

    node: str
    round_trip_us: int | None = None
    """The quickest of a few questions; None: no answer."""
    clock_offset_ms: int = 0
    """How far the other's wall clock is ahead of ours."""
    trouble: str = ""


class FenceFacts(msgspec.Struct, frozen=True):
    """What a fence agent said to one node about the run of another."""

    node: str
    agent: str
    answer: str = ""
    """running, ended or unknown."""
    text: str = ""


class NodeAnswer(msgspec.Struct, frozen=True):
    """All that one node answers."""

    machine: MachineFacts = MachineFacts()
    trouble: str = ""
    """Why there are no facts of the machine."""
    containment: str = ""
    peers: tuple[PeerFacts, ...] = ()
    fences: tuple[FenceFacts, ...] = ()


def encode(answer: NodeAnswer) -> bytes:
    return msgspec.json.encode(answer)


def decode(data: bytes) -> NodeAnswer:
    """Raises ValueError for what is no answer."""
    return msgspec.json.decode(data, type=NodeAnswer)


class _DisksSeen(msgspec.Struct, frozen=True):
    disks: dict[str, DiskSeen]


def decode_disks(data: bytes) -> dict[str, DiskSeen]:
    """One node's answer about disks, by resource. Raises ValueError for what is no such answer."""
    return msgspec.json.decode(data, type=_DisksSeen).disks


def encode_machine(machine: MachineFacts) -> bytes:
    return msgspec.json.encode(machine)


def decode_machine(data: bytes) -> MachineFacts:
    """Raises ValueError for what is no such answer."""
    return msgspec.json.decode(data, type=MachineFacts)
