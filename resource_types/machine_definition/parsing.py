"""Is this text a definition? Pure.

The text is TOML. What is not known is refused with the key and the nearest name that there is; everything wrong is told at
once, not one after the other.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from clusterd.resource_api import Problem, Property, PropertyKind, effective, schema_of, validate
from resource_types.machine_definition.definition import (
    BRIDGE_NAME_SIZE_MAX,
    KERNEL_ARGUMENTS_SIZE_MAX,
    PCI_PLACES,
    SERIAL_SIZE_MAX,
    Bus,
    Cache,
    Definition,
    Disk,
    DiskMode,
    GuestAgent,
    ImageFormat,
    Network,
    NetworkKind,
    serial_of,
)

TEXT_SIZE_MAX = 256 << 10
DISK_COUNT_MAX = 64
NETWORK_COUNT_MAX = 16
_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,60}")
_Entry = TypeVar("_Entry", Disk, Network)


def _choice(name: str, words: Iterable[str], says: str, default: str) -> Property:
    return Property(name, PropertyKind.CHOICE, says, default=str(default), choices=tuple(str(each) for each in words))


MACHINE_KEYS = (
    Property("memory_mib", PropertyKind.INTEGER, "memory of the guest", required=True, minimum=1, maximum=16 << 20),
    Property("processors", PropertyKind.INTEGER, "virtual processors", default=1, minimum=1, maximum=255),
    Property("machine", PropertyKind.TEXT, "QEMU's machine type: pc, q35 or one with its version", default="pc"),
    Property("processor_model", PropertyKind.TEXT, "QEMU's processor model; empty is QEMU's own choice", default=""),
    Property("firmware", PropertyKind.TEXT, "bios, or the path of a firmware image", default="bios"),
    _choice("guest_agent", GuestAgent, "how the QEMU guest agent in the guest is reached", GuestAgent.NONE),
    Property("panic_device", PropertyKind.BOOLEAN, "the guest can tell that it panicked", default=True),
    Property("display", PropertyKind.BOOLEAN, "a graphics adapter, which a screenshot needs", default=False),
    Property("serial_log", PropertyKind.TEXT, "file that keeps everything the guest writes to its console", default=""),
    Property("kernel", PropertyKind.TEXT, "path of a Linux kernel to start without a boot disk", default=""),
    Property("initial_ramdisk", PropertyKind.TEXT, "path of that kernel's initial RAM disk", default=""),
    Property("kernel_arguments", PropertyKind.TEXT, "that kernel's command line", default=""),
)
DISK_KEYS = (
    Property("id", PropertyKind.TEXT, "stable name; the guest sees it as the serial number", required=True),
    Property("path", PropertyKind.TEXT, "absolute path of the image or device", default=""),
    Property("volume", PropertyKind.TEXT, "id of the cluster-managed volume that it must lie on", default=""),
    Property("relative_path", PropertyKind.TEXT, "path within that volume, instead of `path`", default=""),
    Property("resource", PropertyKind.TEXT, "the physical_disk resource that serves it, instead of `path`", default=""),
    _choice("format", ImageFormat, "what the image is", ImageFormat.RAW),
    _choice("bus", Bus, "how the guest is connected to it", Bus.VIRTIO),
    _choice("mode", DiskMode, "shared: machines on several nodes may write to it at the same time", DiskMode.EXCLUSIVE),
    _choice("cache", Cache, "whether the host's page cache is used; auto: not where it can be avoided", Cache.AUTO),
    Property("is_read_only", PropertyKind.BOOLEAN, "the guest may not write to it", default=False),
)
NETWORK_KEYS = (
    Property("id", PropertyKind.TEXT, "stable name of the adapter", required=True),
    _choice("kind", NetworkKind, "what it is connected to", NetworkKind.USER),
    Property("bridge", PropertyKind.TEXT, "name of the bridge, the same on every node", default=""),
    Property("mac", PropertyKind.TEXT, "hardware address; empty is one derived from resource and id", default=""),
    Property("allow_address_change", PropertyKind.BOOLEAN, "the guest may change its hardware address", default=False),
)


def parse_definition(text: str) -> Definition | list[Problem]:
    """The definition, or everything that is wrong with it. Never raises, whatever it is given."""
    if len(text) > TEXT_SIZE_MAX:
        return [Problem("", f"a definition has at most {TEXT_SIZE_MAX} characters, not {len(text)}")]
    try:
        read = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return [Problem("", f"it is no TOML: {error}")]
    return _definition(read)


def _definition(read: Mapping[str, Any]) -> Definition | list[Problem]:
    tables = {"disks": (DISK_KEYS, DISK_COUNT_MAX), "networks": (NETWORK_KEYS, NETWORK_COUNT_MAX)}
    plain = {key: value for key, value in read.items() if key not in tables}
    problems = [_with_tables(each, tables) for each in validate(plain, schema_of(MACHINE_KEYS))]
    entries = {name: _entries(name, read.get(name, []), *tables[name], problems) for name in tables}
    if problems:
        return problems
    values = effective(plain, schema_of(MACHINE_KEYS))
    values["guest_agent"] = GuestAgent(values["guest_agent"])
    disks = tuple(_disk(each) for each in entries["disks"])
    networks = tuple(_network(each) for each in entries["networks"])
    definition = Definition(**values, disks=disks, networks=networks)
    return _machine_problems(definition) or definition


def _with_tables(problem: Problem, tables: Iterable[str]) -> Problem:
    """The schema knows nothing of the tables, so it cannot propose them for a key that is nearly one."""
    key = problem.path
    near = next((name for name in tables if key and key[:4] == name[:4]), None)
    if near is None or not problem.message.startswith("no such property"):
        return problem
    return Problem(key, f"no such property; did you mean [[{near}]]?")


def _entries(
    name: str, given: object, keys: Sequence[Property], count_max: int, problems: list[Problem]
) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        problems.append(Problem(name, f"expected tables, each begun with [[{name}]]"))
        return []
    if len(given) > count_max:
        problems.append(Problem(name, f"at most {count_max}, not {len(given)}"))
        return []
    schema = schema_of(keys)
    for at, each in enumerate(given):
        problems += [Problem(f"{name}[{at}].{found.path}", found.message) for found in validate(each, schema)]
    return [] if problems else [effective(each, schema) for each in given]


def _disk(values: Mapping[str, Any]) -> Disk:
    kinds: dict[str, Callable[[str], Any]] = {"format": ImageFormat, "bus": Bus, "mode": DiskMode, "cache": Cache}
    return Disk(**{key: kinds[key](value) if key in kinds else value for key, value in values.items()})


def _network(values: Mapping[str, Any]) -> Network:
    return Network(**{**values, "kind": NetworkKind(values["kind"])})


# ---- what the schema cannot say ----


def _machine_problems(definition: Definition) -> list[Problem]:
    problems: list[Problem] = []
    for key in ("kernel", "initial_ramdisk", "serial_log"):
        problems += _absolute(key, getattr(definition, key))
    if definition.firmware != "bios":
        problems += _absolute("firmware", definition.firmware, "bios or ")
    for key in ("machine", "processor_model"):
        word = getattr(definition, key)
        if word and not _WORD.fullmatch(word):
            problems.append(Problem(key, f"expected one of QEMU's names, without options, not {word!r}"))
    if not definition.kernel and (definition.initial_ramdisk or definition.kernel_arguments):
        problems.append(Problem("kernel", "is required where initial_ramdisk or kernel_arguments are given"))
    if len(definition.kernel_arguments) > KERNEL_ARGUMENTS_SIZE_MAX:
        text = f"a kernel reads at most {KERNEL_ARGUMENTS_SIZE_MAX} characters of it, not {len(definition.kernel_arguments)}"
        problems.append(Problem("kernel_arguments", text))
    for at, disk in enumerate(definition.disks):
        problems += [Problem(f"disks[{at}].{each.path}", each.message) for each in _disk_problems(disk)]
    for at, network in enumerate(definition.networks):
        problems += [Problem(f"networks[{at}].{each.path}", each.message) for each in _network_problems(network)]
    problems += _repeated("disks", definition.disks) + _repeated("networks", definition.networks)
    problems += _repeated_paths(definition.disks) + _alike(definition) + _crowding(definition)
    ide_count = sum(disk.bus is Bus.IDE for disk in definition.disks)
    if ide_count > 4:
        problems.append(Problem("disks", f"at most 4 are connected by ide, not {ide_count}; use virtio or scsi"))
    return problems


def _alike(definition: Definition) -> list[Problem]:
    """What the guest cannot tell apart although the definition does."""
    problems: list[Problem] = []
    firsts: dict[str, str] = {}
    for at, disk in enumerate(definition.disks):
        first = firsts.setdefault(serial_of(disk), disk.id)
        if first != disk.id:
            text = f"begins like {first}: the guest sees {SERIAL_SIZE_MAX} characters of it as the serial number"
            problems.append(Problem(f"disks[{at}].id", text))
    macs = [network.mac.lower() for network in definition.networks]
    problems += [
        Problem(f"networks[{at}].mac", f"{mac} is there twice")
        for at, mac in enumerate(macs)
        if mac and mac in macs[:at]
    ]
    return problems


def _crowding(definition: Definition) -> list[Problem]:
    """Every virtio disk and every adapter takes a place of its own, and so do what some of them are connected to."""
    taken = sum(disk.bus is Bus.VIRTIO for disk in definition.disks) + len(definition.networks)
    taken += any(disk.bus is Bus.SCSI for disk in definition.disks) + definition.display
    taken += definition.guest_agent is GuestAgent.VIRTIO
    if taken <= PCI_PLACES:
        return []
    return [
        Problem(
            "disks", f"disks and adapters take {taken} of {PCI_PLACES} places; connect disks by scsi, which shares one"
        )
    ]


def _disk_problems(disk: Disk) -> list[Problem]:
    problems = _id_problems(disk.id)
    if sum(map(bool, (disk.path, disk.relative_path, disk.resource))) != 1:
        text = "either path, or relative_path together with volume, or resource must be given"
        problems.append(Problem("path", text))
    if disk.resource and (disk.format is not ImageFormat.RAW or disk.volume):
        problems.append(Problem("resource", "a disk that a resource serves is raw, and on no volume"))
    problems += _absolute("path", disk.path)
    if disk.relative_path:
        if not disk.volume:
            problems.append(Problem("volume", "is required where relative_path is given"))
        if disk.relative_path.startswith("/") or ".." in disk.relative_path.split("/"):
            problems.append(Problem("relative_path", f"must stay within the volume, not {disk.relative_path!r}"))
    if disk.mode is DiskMode.SHARED and disk.format is not ImageFormat.RAW:
        problems.append(Problem("format", "a shared disk must be raw: two writers destroy a qcow2 image"))
    if disk.mode is DiskMode.SHARED and disk.cache is Cache.WRITEBACK:
        problems.append(Problem("cache", "a shared disk cannot use the page cache of one node"))
    return problems


def _network_problems(network: Network) -> list[Problem]:
    problems = _id_problems(network.id)
    if network.kind is NetworkKind.BRIDGE and not _WORD.fullmatch(network.bridge):
        problems.append(Problem("bridge", f"expected the name of a bridge, not {network.bridge!r}"))
    if network.kind is not NetworkKind.BRIDGE and network.bridge:
        problems.append(Problem("bridge", f"has no meaning for a network of kind {network.kind}"))
    elif len(network.bridge) > BRIDGE_NAME_SIZE_MAX:
        text = f"no bridge has a name of more than {BRIDGE_NAME_SIZE_MAX} characters: {network.bridge}"
        problems.append(Problem("bridge", text))
    if network.mac and not _MAC.fullmatch(network.mac):
        problems.append(Problem("mac", f"expected six bytes such as 52:54:00:12:34:56, not {network.mac!r}"))
    elif network.mac and int(network.mac[:2], 16) & 1:
        problems.append(Problem("mac", f"{network.mac} is a group address; the first byte must be even"))
    return problems


def _absolute(key: str, path: str, also: str = "") -> list[Problem]:
    return [Problem(key, f"expected {also}an absolute path, not {path!r}")] if path and path[0] != "/" else []


def _id_problems(name: str) -> list[Problem]:
    if _ID.fullmatch(name):
        return []
    return [Problem("id", f"expected a letter, then letters, digits and -, at most 31 in all, not {name!r}")]


def _repeated(where: str, entries: Sequence[_Entry]) -> list[Problem]:
    names = [each.id for each in entries]
    return [Problem(f"{where}.id", f"{name!r} is there twice") for name in sorted(set(names)) if names.count(name) > 1]


def _repeated_paths(disks: Sequence[Disk]) -> list[Problem]:
    paths = [disk.path or f"{disk.volume}:{disk.relative_path}" for disk in disks]
    return [Problem("disks.path", f"{path} is there twice") for path in sorted(set(paths)) if paths.count(path) > 1]
