"""What is this machine like? I/O: reads /proc and /sys, writes one small file of its own, asks QEMU for its version.

Any of it may block on a sick disk, so it runs in a process of its own (clusterd.main.probe). What cannot be found out keeps
its default; nothing here raises for what a machine lacks.
"""

import ctypes
import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from clusterd.adapters.configuration import NodeConfiguration
from clusterd.adapters.machine_networks import interfaces
from clusterd.validation.facts import BlockDevice, Certificate, Filesystem, Hypervisor, MachineFacts

SYNC_COUNT = 16
SYNC_BYTES = 4096
COMMAND_WITHIN_S = 3.0
DISKS_MAX = 128
QEMU = "qemu-system-x86_64"
LIBRARIES = ("grpcio", "protobuf", "aiohttp", "msgspec", "cryptography")
_CLOCK_UNSYNCHRONIZED = 0x40
_MIB = 1 << 20


def machine_facts(configuration: NodeConfiguration) -> MachineFacts:
    """Everything. Takes as long as the data folder's disk and QEMU take."""
    memory = _numbers("/proc/meminfo")
    vendor, model, flags = _processor()
    return MachineFacts(
        host_name=platform.node(),
        operating_system=_operating_system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
        version=_version("clusterd"),
        python=platform.python_version(),
        libraries={name: _version(name) for name in LIBRARIES},
        memory_mib=memory.get("MemTotal", 0) // 1024,
        memory_available_mib=memory.get("MemAvailable", 0) // 1024,
        swap_mib=memory.get("SwapTotal", 0) // 1024,
        cores=len(os.sched_getaffinity(0)),
        processor_vendor=vendor,
        processor_model=model,
        processor_flags=flags,
        control_groups=_control_groups(),
        open_files_max=_limit(resource.RLIMIT_NOFILE),
        processes_max=_limit(resource.RLIMIT_NPROC),
        entropy_bits=int(_text("/proc/sys/kernel/random/entropy_avail") or 0),
        is_clock_synchronized=_is_clock_synchronized(),
        watchdogs=tuple(sorted(str(path) for path in Path("/dev").glob("watchdog*"))),
        data=_file_system(configuration.data_dir, is_measured=True),
        run=_file_system(configuration.run_dir, is_measured=False),
        interfaces=interfaces(),
        disks=tuple(_disks()),
        certificates=tuple(
            _certificate(name, path)
            for name, path in (
                ("the node's certificate", configuration.tls.certificate),
                ("the cluster's authority", configuration.tls.ca),
            )
        ),
        hypervisor=_hypervisor(),
    )


# ---- system ----


def _operating_system() -> str:
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return platform.system()
    return found.get("PRETTY_NAME", platform.system())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _processor() -> tuple[str, str, tuple[str, ...]]:
    """Maker, model and features of the first processor."""
    found: dict[str, str] = {}
    for line in _text("/proc/cpuinfo").split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    flags = found.get("flags") or found.get("Features") or ""
    vendor = found.get("vendor_id") or found.get("CPU implementer") or ""
    return vendor, found.get("model name", ""), tuple(sorted(flags.split()))


def _control_groups() -> str:
    try:
        kinds = {line.split(" - ")[1].split()[0] for line in _text("/proc/self/mountinfo").splitlines()}
    except IndexError:
        return ""
    if "cgroup2" not in kinds:
        return "none"
    return "hybrid" if "cgroup" in kinds else "v2"


def _limit(which: int) -> int:
    soft, _ = resource.getrlimit(which)
    return (1 << 62) if soft == resource.RLIM_INFINITY else soft


def _is_clock_synchronized() -> bool | None:
    """adjtimex(2) with nothing to change: the fifth word of its structure holds the status."""
    words = (ctypes.c_long * 32)()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(words))
    except (OSError, AttributeError):
        return None
    status = int(ctypes.cast(ctypes.byref(words, 5 * ctypes.sizeof(ctypes.c_long)), ctypes.POINTER(ctypes.c_int))[0])
    return None if state < 0 else not status & _CLOCK_UNSYNCHRONIZED


def _certificate(name: str, path: str) -> Certificate:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        return Certificate(name, trouble=f"{path}: {error}")
    ends = found.not_valid_after_utc.astimezone(UTC)
    return Certificate(name, ends_wall_ms=int(ends.timestamp() * 1000))


# ---- storage ----


def _file_system(folder: str, *, is_measured: bool) -> Filesystem:
    try:
        found = os.statvfs(folder)
        kind = _kind_at(folder)
    except OSError as error:
        return Filesystem(folder, trouble=f"{folder}: {error.strerror}")
    size, free = found.f_blocks * found.f_frsize // _MIB, found.f_bavail * found.f_frsize // _MIB
    if not is_measured:
        return Filesystem(folder, kind, size, free)
    try:
        took_us = sorted(_sync_times(folder))
    except OSError as error:
        return Filesystem(folder, kind, size, free, trouble=f"a small write to {folder} failed: {error.strerror}")
    return Filesystem(folder, kind, size, free, took_us[len(took_us) // 2], took_us[-1])


def _sync_times(folder: str) -> Iterator[int]:
    """Microseconds of each small write in a file that nobody else knows, gone at the end."""
    descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(SYNC_COUNT):
            began = time.monotonic_ns()
            os.write(descriptor, bytes(SYNC_BYTES))
            os.fdatasync(descriptor)
            yield (time.monotonic_ns() - began) // 1000
    finally:
        os.close(descriptor)


def _kind_at(folder: str) -> str:
    """The file system of the mount that the folder's device belongs to; the newest one counts."""
    device = os.stat(folder).st_dev
    wanted, found = f"{os.major(device)}:{os.minor(device)}", ""
    for line in _text("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == wanted:
            found = after.split(" ")[0]
    return found


def _disks() -> Iterator[BlockDevice]:
    for path in sorted(Path("/sys/block").glob("*"))[:DISKS_MAX]:
        sectors = int(_text(f"{path}/size") or 0)
        if sectors and not path.name.startswith(("loop", "ram", "zram")):
            identity = _text(f"{path}/device/wwid") or _text(f"{path}/wwid")
            yield BlockDevice(path.name, sectors * 512 // _MIB, _text(f"{path}/device/model"), identity)


# ---- hypervisor ----


def _hypervisor() -> Hypervisor:
    path = shutil.which(QEMU) or ""
    return Hypervisor(
        _qemu_version(path) if path else "",
        path,
        shutil.which("qemu-img") is not None,
        os.access("/dev/kvm", os.R_OK | os.W_OK),
    )


def _qemu_version(path: str) -> str:
    """The number in `QEMU emulator version 7.2.22 (Debian …)`."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    words = said.stdout.split()
    return words[words.index("version") + 1] if "version" in words[:-1] else ""


# ---- reading ----


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _numbers(path: str) -> dict[str, int]:
    pairs = (line.split(":", 1) for line in _text(path).splitlines() if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in pairs if rest.split()}
