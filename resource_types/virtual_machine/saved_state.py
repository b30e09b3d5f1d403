"""Where does a guest's memory stay while the machine is off, and when may it come back? I/O.

One file: a header of 4 KiB, then QEMU's stream. It is made beside its place and moved there when it is whole and on disk.
It comes back at most once, to the same definition, on the same kind of QEMU, and only if no disk was written meanwhile: it
is renamed before the guest goes on. What may not come back is set aside with a reason, and the guest boots afresh.

Devices do not say when they were written last. Where the folder is a node's own, a guest may have run elsewhere and left the
file as it was, so a node takes its own file for such a disk only if the group was not away and came back meanwhile.
"""

import contextlib
import dataclasses
import json
import os
import zlib
from dataclasses import dataclass

from clusterd.resource_api import CallCancelled, Context, ResourceFailed
from resource_types.machine_definition import Definition, Disk, definition_path, fingerprint, read_definition
from resource_types.virtual_machine.machine import Machine, start
from resource_types.virtual_machine.qmp import MonitorError, MonitorRefused

HEADER_SIZE = 4096
FORMAT = "clusterd saved state 1"
NO_LIMIT_BANDWIDTH = 1 << 40
PROGRESS_EVERY_MS = 1000
_CHUNK_SIZE = 4 << 20
_DESCRIPTOR_NAME = "saved-state"


@dataclass(frozen=True, slots=True)
class DiskSeen:
    """What an image looked like when the guest stood still."""

    id: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a saved state says of itself."""

    resource: str
    definition: str
    machine: str
    qemu_version: str
    size: int
    checksum: int
    disks: tuple[DiskSeen, ...]
    format: str = FORMAT
    node: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where memory was saved, or is to go on."""

    node: str
    generation: int


def header_of(head: bytes) -> Header | str:
    """The header in the first bytes of a file, or why there is none. Pure."""
    try:
        read = json.loads(head[:HEADER_SIZE].rstrip(b"\0"))
        disks = tuple(DiskSeen(**each) for each in read.pop("disks"))
        header = Header(**read, disks=disks)
    except (ValueError, TypeError, KeyError, AttributeError):
        return "its header is damaged"
    return header if header.format == FORMAT else f"it says that it is {header.format!r}, not {FORMAT!r}"


def misfit(header: Header, *, resource: str, definition: Definition, disks: tuple[DiskSeen, ...], place: Place) -> str:
    """Why this memory cannot go on in that machine; empty when it can. Pure."""
    if header.resource != resource:
        return f"it belongs to {header.resource}"
    if header.definition != fingerprint(definition):
        return "the definition was changed since it was saved"
    written = [then.id for then, there in zip(header.disks, disks, strict=False) if then != there]
    if written or len(header.disks) != len(disks):
        return f"disk {', '.join(written) or 'list'} was written since it was saved"
    untold = [each.id for each in definition.disks if _is_device(each) and not each.is_read_only]
    if untold and header.node == place.node and place.generation > header.generation + 1:
        return (
            f"the group was on another node since it was saved (generation {header.generation}, now {place.generation}), "
            f"and disk {', '.join(untold)} does not tell whether it was written there"
        )
    return ""


def version_misfit(machine: str, saved_by: str, here: str) -> str:
    """Why a stream of one QEMU cannot be read by another. A machine type with a version is the same in all. Pure."""
    if saved_by.split(".")[:2] == here.split(".")[:2] or any(
        character.isdigit() for character in _version_part(machine)
    ):
        return ""
    return f"it was made by QEMU {saved_by}, this is {here}; name a machine type with its version in the definition"


def _version_part(machine: str) -> str:
    return machine.rpartition("-")[2] if "-" in machine else ""


def state_path(context: Context, beside: str) -> str:
    folder = context.properties["saved_state_folder"] or os.path.dirname(beside)
    return os.path.join(folder, f"{context.resource}.saved")


# ---- saving ----


def save(context: Context, machine: Machine, path: str) -> None:
    """Afterwards the guest stands still and its memory is on disk. On ResourceFailed and CallCancelled it still runs."""
    _refuse_what_could_not_come_back(context, machine)
    part = f"{path}.part"
    try:
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ResourceFailed(f"the memory cannot be saved to {path}: {error.strerror}") from error
    is_saved = False
    try:
        machine.call("stop", context=context)
        os.lseek(file, HEADER_SIZE, os.SEEK_SET)
        _send_memory(context, machine, file)
        _finish(context, machine, file)
        os.rename(part, path)
        _sync_folder(path)
        is_saved = machine.was_moved = True
    except OSError as error:
        raise ResourceFailed(f"the memory cannot be saved to {path}: {error.strerror}") from error
    finally:
        os.close(file)
        if not is_saved:
            for each in (part, path):  # a guest that goes on has no saved memory
                with contextlib.suppress(OSError):
                    os.unlink(each)
            with contextlib.suppress(ResourceFailed):
                _go_on_here(machine)


def _refuse_what_could_not_come_back(context: Context, machine: Machine) -> None:
    """Set aside at the next start it would be as if the guest had lost its power; so it can be shut down in good order."""
    path = definition_path(context.properties["configuration"])
    there = read_definition(path)
    if isinstance(there, Definition) and fingerprint(there) != fingerprint(machine.definition):
        raise ResourceFailed(
            f"definition {path} was changed since the start, and memory goes on in an unchanged machine only"
        )


def _go_on_here(machine: Machine) -> None:
    with contextlib.suppress(MonitorError):
        machine.call("migrate_cancel")
    machine.go_on_if_it_can()


def _send_memory(context: Context, machine: Machine, file: int) -> None:
    machine.watch.forget_migration()
    machine.set_capability("return-path", is_on=False)  # nobody answers out of a file
    machine.call("migrate-set-parameters", {"max-bandwidth": NO_LIMIT_BANDWIDTH}, context=context)
    machine.call("getfd", {"fdname": _DESCRIPTOR_NAME}, descriptors=(file,), context=context)
    machine.call("migrate", {"uri": f"fd:{_DESCRIPTOR_NAME}"}, context=context)
    _wait(context, machine, file, "saving memory")
    if machine.watch.migration != "completed":
        words = machine.call("query-migrate").get("error-desc", "") if not machine.has_ended else "QEMU ended"
        raise ResourceFailed(f"the memory could not be saved: {words or machine.watch.migration}")


def _wait(context: Context, machine: Machine, file: int, what: str) -> None:
    """Until QEMU has done with the file. Its descriptor is ours as well, so our position is how far it is."""
    at = 0
    while not machine.watch.wait(
        lambda: machine.watch.migration_ended() or machine.has_ended, context, PROGRESS_EVERY_MS
    ):
        before, at = at, os.lseek(file, 0, os.SEEK_CUR)
        if at > before:
            context.progress(f"{what}: {at >> 20} MiB of at most {machine.definition.memory_mib}")
        elif context.remaining_ms() <= 0:
            raise ResourceFailed(f"{what} made no progress after {at >> 20} MiB")


def _finish(context: Context, machine: Machine, file: int) -> None:
    """The images are let go by now, so what they look like is what the saved memory believes."""
    size, checksum = _checksum(context, file)
    header = Header(
        resource=context.resource,
        definition=fingerprint(machine.definition),
        machine=machine.definition.machine,
        qemu_version=machine.version,
        size=size,
        checksum=checksum,
        disks=disks_seen(machine.definition),
        node=context.node,
        generation=context.generation,
    )
    text = json.dumps(dataclasses.asdict(header)).encode()
    if len(text) > HEADER_SIZE:
        raise ResourceFailed("the memory cannot be saved: too many disks for the header")
    os.pwrite(file, text.ljust(HEADER_SIZE, b"\0"), 0)
    os.fsync(file)


def disks_seen(definition: Definition) -> tuple[DiskSeen, ...]:
    """How the images look now. Devices have no time of the last write, so nothing of them shows."""
    found: list[DiskSeen] = []
    for disk in definition.disks:
        try:
            seen = os.stat(disk.path)
        except OSError:
            continue
        is_device = _is_device(disk)
        modified_ns = 0 if is_device or disk.is_read_only else seen.st_mtime_ns
        found.append(DiskSeen(disk.id, 0 if is_device else seen.st_size, modified_ns))
    return tuple(found)


def _is_device(disk: Disk) -> bool:
    return disk.path.startswith("/dev/") or bool(disk.resource)


def _checksum(context: Context, file: int) -> tuple[int, int]:
    """Size and CRC-32 of the stream behind the header."""
    at, checksum = HEADER_SIZE, 0
    while data := os.pread(file, _CHUNK_SIZE, at):
        at += len(data)
        checksum = zlib.crc32(data, checksum)
        if at // _CHUNK_SIZE % 64 == 0:
            context.progress(f"checking saved memory: {at >> 20} MiB")
    return at - HEADER_SIZE, checksum


# ---- coming back ----


def resume(context: Context, definition: Definition, path: str) -> Machine | None:
    """The machine with its memory, running. None when there is no saved state, or none that may come back: boot then."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}.resuming")
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResourceFailed(f"saved state {path} cannot be read: {error.strerror}") from error
    try:
        trouble = _trouble(context, definition, file)
        machine = None if trouble else start(context, definition, is_incoming=True)
        if machine is not None:
            trouble = _load(context, machine, file)
    finally:
        os.close(file)
    if machine is None or trouble:
        _set_aside(context, path, trouble)
        return None
    try:
        _continue_once(machine, path)
    except BaseException:
        with contextlib.suppress(CallCancelled):
            machine.end(context)
        raise
    return machine


def _trouble(context: Context, definition: Definition, file: int) -> str:
    header = header_of(os.pread(file, HEADER_SIZE, 0))
    if isinstance(header, str):
        return header
    place = Place(context.node, context.generation)
    disks = disks_seen(definition)
    trouble = misfit(header, resource=context.resource, definition=definition, disks=disks, place=place)
    if trouble:
        return trouble
    return "" if (header.size, header.checksum) == _checksum(context, file) else "it is damaged (checksum)"


def _load(context: Context, machine: Machine, file: int) -> str:
    """Read the memory in. What went wrong, if anything; QEMU is gone then."""
    trouble = ""
    try:
        header = header_of(os.pread(file, HEADER_SIZE, 0))
        if isinstance(header, Header):
            trouble = version_misfit(header.machine, header.qemu_version, machine.version)
        if not trouble:
            os.lseek(file, HEADER_SIZE, os.SEEK_SET)
            machine.call("getfd", {"fdname": _DESCRIPTOR_NAME}, descriptors=(file,), context=context)
            machine.call("migrate-incoming", {"uri": f"fd:{_DESCRIPTOR_NAME}"}, context=context)
            _wait(context, machine, file, "reading saved memory")
            if machine.watch.migration == "completed":
                return ""
            trouble = f"QEMU could not read it: {context.processes.output(3)}"
    except MonitorError as error:
        trouble = f"QEMU could not read it: {error}"
    except BaseException:
        with contextlib.suppress(CallCancelled):
            machine.end(context)
        raise
    machine.end(context)
    return trouble


def _continue_once(machine: Machine, path: str) -> None:
    """Nothing of the guest has run before the rename. If QEMU then refuses, its memory is as good as before; if it only says
    nothing, the guest may run."""
    resuming = f"{path}.resuming"
    os.rename(path, resuming)
    _sync_folder(path)
    try:
        machine.go_on()
    except ResourceFailed as error:
        if isinstance(error.__cause__, MonitorRefused):
            os.rename(resuming, path)
        raise
    os.unlink(resuming)


def _set_aside(context: Context, path: str, trouble: str) -> None:
    os.replace(path, f"{path}.set-aside")
    message = f"saved state {path} was set aside and the guest boots afresh: {trouble}"
    context.log.warning(message)
    context.progress(message)


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
