"""How does a running guest go to another node without stopping? I/O: two QEMUs and their monitors.

The destination waits with the same definition and holds no lock. The source sends; when everything is there it stands
still and has let its images go. Nobody runs the guest then until the cluster says who: `go_on` at the destination, or at the
source if the hand-over fell through.

A disk that a physical_disk resource serves is connected from the start on, and refuses everything until that resource has
claimed it, which it does before `online` of the machine.

1. destination: `prepare` starts a QEMU that listens.    2. source: `send` copies memory while the guest runs.
3. source: the guest stops, the rest is copied, the images are let go.    4. destination: `online` → `go_on`.
"""

import contextlib
import ipaddress
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from typing import Any

from clusterd.resource_api import CallCancelled, Context, ResourceFailed
from resource_types.machine_definition import Definition, fingerprint
from resource_types.virtual_machine.concerns import Topic
from resource_types.virtual_machine.machine import Machine, output_words, start
from resource_types.virtual_machine.qmp import MonitorError
from resource_types.virtual_machine.saved_state import version_misfit

PREPARED_SIZE_MAX = 4096
PROGRESS_EVERY_MS = 250
CANCEL_WITHIN_MS = 5000
CANCEL_LOOK_EVERY_MS = 20
SLOW_TOLD_AFTER_S = 20.0
"""A migration that still sends the same again that long after everything was sent once is told of."""
NO_LIMIT_BANDWIDTH = 1 << 40
_UNDER_WAY = ("setup", "active", "cancelling", "device", "pre-switchover", "wait-unplug")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the source must know of the destination."""

    address: str
    definition: str
    qemu_version: str
    node: str

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Prepared":
        """Raises ResourceFailed. Pure."""
        try:
            read = json.loads(text[:PREPARED_SIZE_MAX])
            prepared = cls(**read)
        except (ValueError, TypeError) as error:
            raise ResourceFailed(f"what the destination prepared cannot be read: {error}") from error
        if not all(isinstance(each, str) for each in asdict(prepared).values()):
            raise ResourceFailed("what the destination prepared cannot be read: it has values that are no text")
        return prepared


# ---- on the destination ----


def prepare(context: Context, definition: Definition) -> tuple[Machine, Prepared]:
    """A machine that waits for memory, and where. Nothing runs in it and no image is locked."""
    served = sockets_seen(definition)
    machine = start(context, definition, is_incoming=True)
    machine.served = served
    try:
        network = context.properties["migration_network"]
        machine.set_capability("return-path", is_on=True)
        address = f"tcp:{_own_address(network)}:0" if network else f"unix:{machine.folder.migration}"
        machine.call("migrate-incoming", {"uri": address}, context=context)
        if network:
            address = _listened(machine.call("query-migrate", context=context))
        return machine, Prepared(address, fingerprint(definition), machine.version, context.node)
    except BaseException:
        with contextlib.suppress(CallCancelled):
            machine.end(context)
        raise


def has_arrived(machine: Machine) -> bool:
    """Whether all of the guest is here."""
    if not machine.is_incoming or machine.has_ended:
        return False
    # The event may still be on its way to the thread that reads it.
    return machine.watch.migration == "completed" or machine.call("query-migrate").get("status") == "completed"


def sockets_seen(definition: Definition) -> tuple[tuple[int, int], ...]:
    """Which sockets serve its disks: another session process makes another socket."""
    seen = [_seen(disk.path) for disk in definition.disks if disk.resource]
    return tuple((each.st_ino, each.st_ctime_ns) for each in seen)


def _seen(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise ResourceFailed(f"the disk behind {path} is not served any more: {error.strerror}") from error


def _own_address(network: str) -> str:
    """This node's address in that network: the one that the kernel would use to reach it. Nothing is sent."""
    try:
        within = ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        raise ResourceFailed(f"migration_network {network!r} is no network such as 10.0.0.0/24") from error
    family = socket.AF_INET6 if within.version == 6 else socket.AF_INET
    target = str(within[1] if within.num_addresses > 1 else within[0])
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 9))
            found = str(probe.getsockname()[0])
        except OSError as error:
            raise ResourceFailed(f"this node has no way into migration_network {network}: {error.strerror}") from error
    if ipaddress.ip_address(found) not in within:
        raise ResourceFailed(f"this node has no address in migration_network {network}")
    return f"[{found}]" if within.version == 6 else found


def _listened(answer: dict[str, Any]) -> str:
    for each in answer.get("socket-address", []):
        if each.get("type") == "inet":
            host = f"[{each['host']}]" if ":" in each["host"] else each["host"]
            return f"tcp:{host}:{each['port']}"
    raise ResourceFailed("QEMU does not say where it waits for the memory")


# ---- on the source ----


def send(context: Context, machine: Machine, text: str) -> int:
    """On return the guest stands still here, since so many milliseconds, and is whole there. ResourceFailed,
    CallCancelled: it still runs here."""
    prepared = Prepared.read(text)
    _check_fits(context, machine, prepared)
    _set_limits(context, machine)
    teller = machine.watch.hush()
    is_sent = False
    try:
        machine.watch.forget_migration()
        # Completed then means that the destination has read everything, not only that it was sent.
        machine.set_capability("return-path", is_on=True)
        machine.call("migrate", {"uri": prepared.address}, context=context)
        _wait(context, machine, prepared)
        is_sent = machine.was_moved = True
        return machine.watch.stands_still_for_ms()
    except MonitorError as error:
        raise ResourceFailed(f"migration to {prepared.node} failed: {error}") from error
    finally:
        machine.watch.concerns.note(Topic.LIVE_MOVE, "")
        if not is_sent:
            _run_on_here(machine)
            machine.watch.tell_again(teller)


def _check_fits(context: Context, machine: Machine, prepared: Prepared) -> None:
    if prepared.definition != fingerprint(machine.definition):
        raise ResourceFailed(
            f"the definition on {prepared.node} is not the one that runs here; it was changed since the start, or the nodes "
            "have different ones: stop and start the machine, or make them the same"
        )
    trouble = version_misfit(machine.definition.machine, machine.version, prepared.qemu_version)
    if trouble:
        raise ResourceFailed(f"{prepared.node} cannot take the memory over: {trouble}")
    path = prepared.address.removeprefix("unix:")
    if path != prepared.address and not os.path.exists(path):
        raise ResourceFailed(
            f"there is no socket {path} here: {prepared.node} is another machine; set migration_network"
        )


def _set_limits(context: Context, machine: Machine) -> None:
    bandwidth = context.properties["migration_bandwidth_mib"] << 20 or NO_LIMIT_BANDWIDTH
    limits = {"max-bandwidth": bandwidth, "downtime-limit": context.properties["migration_downtime"]}
    machine.call("migrate-set-parameters", limits, context=context)


def set_bandwidth(context: Context, machine: Machine, text: str) -> None:
    """MiB a second from now on, of the migration that is under way; the next one goes by the property again."""
    try:
        mib = float(text)
        bandwidth = int(mib * (1 << 20)) if mib else NO_LIMIT_BANDWIDTH
    except (ValueError, OverflowError):
        bandwidth = 0
    if not 0 < bandwidth <= NO_LIMIT_BANDWIDTH:
        raise ResourceFailed(
            f"a bandwidth is a number of MiB a second such as 50 or 0.5, or 0 for no limit, not {text!r}"
        )
    if machine.call("query-migrate", context=context).get("status") not in _UNDER_WAY:
        raise ResourceFailed(
            f"{context.resource} does not move live now; its next move goes by migration_bandwidth_mib"
        )
    machine.call("migrate-set-parameters", {"max-bandwidth": bandwidth}, context=context)


def _wait(context: Context, machine: Machine, prepared: Prepared) -> None:
    """Raises ResourceFailed for one that fell through, that makes no progress, or that does not converge in time."""
    sent, convergence = 0, _Convergence(context.properties["migration_timeout"])
    while not machine.watch.wait(lambda: _is_decided(machine), context, PROGRESS_EVERY_MS):
        answer = machine.call("query-migrate", context=context)
        before, sent = sent, int((answer.get("ram") or {}).get("transferred", 0))
        if sent > before:
            context.progress(_progress_words(answer, prepared))
        elif context.remaining_ms() <= 0:
            raise ResourceFailed(f"migration to {prepared.node} made no progress; does {prepared.node} still answer?")
        slow = convergence.look(answer, time.monotonic())
        machine.watch.concerns.note(Topic.LIVE_MOVE, f"moving live to {prepared.node}: {slow}" if slow else "")
        if convergence.is_over:
            raise ResourceFailed(f"migration to {prepared.node} was given up: {slow}")
    if machine.has_ended:
        raise ResourceFailed(f"QEMU ended during the migration to {prepared.node}{output_words(context)}")
    if machine.watch.migration == "completed":
        return
    if machine.watch.is_off or machine.watch.panic:
        raise ResourceFailed(machine.watch.panic or f"the guest switched itself off on its way to {prepared.node}")
    because = machine.call("query-migrate").get("error-desc") or machine.watch.migration
    raise ResourceFailed(f"migration to {prepared.node} failed: {because}")


def _is_decided(machine: Machine) -> bool:
    """A guest that is off or has panicked has nothing to go on with elsewhere."""
    watch = machine.watch
    return watch.migration_ended() or machine.has_ended or watch.is_off or bool(watch.panic)


class _Convergence:
    """Whether what is left to send becomes less, once everything was sent for the first time. Pure."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_s = timeout_ms / 1000
        self._since_s: float | None = None
        self.is_over = False

    def look(self, answer: dict[str, Any], now_s: float) -> str:
        """Words for a migration that has gone on for long; empty for one that has not. `answer` is to query-migrate."""
        ram = answer.get("ram") or {}
        if int(ram.get("dirty-sync-count", 0)) <= 1:
            return ""
        self._since_s = now_s if self._since_s is None else self._since_s
        slow_s = now_s - self._since_s
        self.is_over = bool(self._timeout_s) and slow_s >= self._timeout_s
        if slow_s < SLOW_TOLD_AFTER_S and not self.is_over:
            return ""
        written = int(ram.get("dirty-pages-rate", 0)) * int(ram.get("page-size", 4096)) / 1e6
        limit = (
            f"it is given up {self._timeout_s:g} s after all was sent once (migration_timeout)"
            if self._timeout_s
            else ""
        )
        words = (
            f"the guest writes {written:.0f} MB/s and {float(ram.get('mbps', 0)) / 8:.0f} MB/s are sent, "
            f"pass {ram.get('dirty-sync-count')}"
        )
        return f"{words}; {limit}" if limit else words


def percent(answer: dict[str, Any]) -> int:
    """How much of the memory is there, of QEMU's answer to query-migrate. Pure."""
    if answer.get("status") == "completed":
        return 100
    ram = answer.get("ram") or {}
    total = int(ram.get("total", 0))
    return max(0, min(99, 100 * (total - int(ram.get("remaining", total))) // total)) if total else 0


def _progress_words(answer: dict[str, Any], prepared: Prepared) -> str:
    ram = answer.get("ram") or {}
    rate = float(ram.get("mbps", 0)) / 8
    return (
        f"migrating to {prepared.node}: {percent(answer)} % ({rate:.0f} MB/s, {ram.get('dirty-sync-count', 0)} passes)"
    )


def _run_on_here(machine: Machine) -> None:
    """After a migration that did not come to pass, whatever it had reached."""
    if machine.has_ended:
        return
    with contextlib.suppress(ResourceFailed):
        machine.call("migrate_cancel")
        for _ in range(CANCEL_WITHIN_MS // CANCEL_LOOK_EVERY_MS):
            if machine.call("query-migrate").get("status") not in _UNDER_WAY:
                break
            machine.watch.pause(CANCEL_LOOK_EVERY_MS)
        machine.go_on_if_it_can()
