"""Can this node run the machine that a definition describes? I/O: looks at files, changes nothing."""

import dataclasses
import os
import stat
from collections.abc import Callable

from clusterd.resource_api import Problem
from resource_types.machine_definition.definition import Definition, Disk, NetworkKind
from resource_types.machine_definition.images import ImageTrouble, chain_of
from resource_types.machine_definition.outside import bridge_problem, firmware_problem, log_problem
from resource_types.machine_definition.parsing import TEXT_SIZE_MAX, parse_definition
from resource_types.machine_definition.volumes import mounted_at, volume_of
from resource_types.plain_files import read_plain

DEFINITIONS_FOLDER = "/etc/clusterd/machines"


def definition_path(path_or_name: str) -> str:
    """The path as given; a bare name means that definition in the folder that every node has."""
    if "/" in path_or_name:
        return path_or_name
    return os.path.join(DEFINITIONS_FOLDER, f"{path_or_name.removesuffix('.toml')}.toml")


def read_definition(path: str) -> Definition | list[Problem]:
    """Read it afresh. Each problem's message tells what is wrong; `path` of the problem is the key."""
    try:
        text = read_plain(path, 4 * TEXT_SIZE_MAX).decode()[: TEXT_SIZE_MAX + 1]
    except OSError as error:
        return [Problem("", f"{error.strerror}")]
    except UnicodeDecodeError as error:
        return [Problem("", f"it is no UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}")]
    return parse_definition(text)


def prove(definition: Definition, socket_of: Callable[[str], str]) -> Definition | list[Problem]:
    """The definition with the path of every disk filled in, or what is not right on this node, each with its path.
    `socket_of` tells where the physical_disk resource of a name serves its disk on this node."""
    problems: list[Problem] = []
    disks: list[Disk] = []
    for at, disk in enumerate(definition.disks):
        found = _placed(disk, socket_of)
        if isinstance(found, Disk):
            disks.append(found)
            found = _disk_problems(found)
        problems += [Problem(f"disks[{at}].{each.path}", each.message) for each in found]
    problems += _file_problems("kernel", definition.kernel)
    problems += _file_problems("initial_ramdisk", definition.initial_ramdisk)
    if definition.firmware != "bios":
        problems += _file_problems("firmware", definition.firmware)
    problems += outside_problems(definition)
    return problems or dataclasses.replace(definition, disks=tuple(disks))


def outside_problems(definition: Definition) -> list[Problem]:
    """What this node lacks beside the files. A firmware that cannot be read is told with these."""
    problems: list[Problem] = []
    if definition.firmware != "bios" and os.path.exists(definition.firmware):
        problems.append(Problem("firmware", firmware_problem(definition.firmware)))
    if definition.serial_log:
        problems.append(Problem("serial_log", log_problem(definition.serial_log)))
    for at, network in enumerate(definition.networks):
        if network.kind is NetworkKind.BRIDGE:
            problems.append(Problem(f"networks[{at}].bridge", bridge_problem(network.bridge)))
    return [each for each in problems if each.message]


def _placed(disk: Disk, socket_of: Callable[[str], str]) -> Disk | list[Problem]:
    """The disk with its absolute path, proven to lie on the volume that the definition names."""
    if disk.resource:
        path = socket_of(disk.resource)
        if not os.path.exists(path):
            hint = "depend on it, and give it no mount_point"
            return [Problem("resource", f"{disk.resource} serves no disk on this node (no socket {path}); {hint}")]
        return dataclasses.replace(disk, path=path)
    if disk.relative_path:
        folder = mounted_at(disk.volume)
        if folder is None:
            return [
                Problem("volume", f"no mounted volume says that it is {disk.volume}; {disk.relative_path} is on it")
            ]
        disk = dataclasses.replace(disk, path=os.path.join(folder, disk.relative_path))
    if not disk.volume or not os.path.lexists(disk.path):
        return disk
    there = volume_of(disk.path)
    if there is None:
        return [Problem("volume", f"{disk.path} is on no cluster-managed volume; it should be on {disk.volume}")]
    if there[0] != disk.volume:
        message = f"{disk.path} is on volume {there[0]} ({there[1]}), not on {disk.volume}"
        return [Problem("volume", f"{message}: another disk is mounted there, or the definition is wrong")]
    return disk


def _disk_problems(disk: Disk) -> list[Problem]:
    if disk.resource:
        return []
    problems = _file_problems("path", disk.path, writable=not disk.is_read_only)
    if problems:
        return problems
    try:
        chain = chain_of(disk.path, disk.format)
    except ImageTrouble as trouble:
        return [Problem("path", str(trouble))]
    if not disk.volume:
        return []
    for image in chain[1:]:
        there = volume_of(image.path)
        if there is None or there[0] != disk.volume:
            place = "no cluster-managed volume" if there is None else f"volume {there[0]}"
            return [Problem("volume", f"{image.path}, which {disk.path} rests on, is on {place}, not {disk.volume}")]
    return []


def _file_problems(key: str, path: str, *, writable: bool = False) -> list[Problem]:
    if not path:
        return []
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return [Problem(key, f"{path}: {error.strerror}")]
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        return [Problem(key, f"{path} is neither a file nor a block device")]
    if not os.access(path, os.R_OK | (os.W_OK if writable else 0)):
        return [Problem(key, f"{path} may not be {'read and written' if writable else 'read'} by this node's host")]
    return []
