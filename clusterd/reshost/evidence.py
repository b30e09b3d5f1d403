"""What is known of processes that do not end? I/O: reads /proc. Bounded, and the same text as long as nothing changes."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

PROCESSES_NAMED_MAX = 4
PORTS_NAMED_MAX = 4
DESCRIPTORS_READ_MAX = 1024
_LISTENING = "0A"
_STATES = {
    "D": "cannot be interrupted: it waits for a disk or a network file system",
    "T": "stopped by a signal",
    "Z": "ended, but nobody took its end",
}


def left_words(name: str, left: Sequence[int]) -> str:
    """As in 'processes of web survive SIGKILL: pid 4711 (python3), alive since …, listens on tcp 8081; …'."""
    named = "; ".join(describe(pid) for pid in left[:PROCESSES_NAMED_MAX])
    more = f"; and {len(left) - PROCESSES_NAMED_MAX} more" if len(left) > PROCESSES_NAMED_MAX else ""
    return f"processes of {name} survive SIGKILL: {named}{more}; look for a hung disk or network file system"


def describe(pid: int) -> str:
    """One process: its name, since when, in which state, where it waits, what it holds."""
    folder = Path(f"/proc/{pid}")
    stat = _text(folder / "stat")
    if not stat:
        return f"pid {pid}, which ended meanwhile"
    command = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    words = [f"pid {pid} ({command}), alive since {_since(int(fields[19]))}"]
    if fields[0] in _STATES:
        words.append(_STATES[fields[0]])
    place = _text(folder / "wchan").strip()
    if place and place != "0":
        words.append(f"waits in {place}")
    ports = listening_ports(pid)
    if ports:
        more = ", …" if len(ports) > PORTS_NAMED_MAX else ""
        words.append(f"listens on tcp {', '.join(str(each) for each in ports[:PORTS_NAMED_MAX])}{more}")
    return ", ".join(words)


def listening_ports(pid: int) -> list[int]:
    """TCP ports on which the process listens, as far as we may see them."""
    held = set(_sockets(pid))
    if not held:
        return []
    found = set()
    for table in ("tcp", "tcp6"):
        for line in _text(Path(f"/proc/{pid}/net/{table}")).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENING and fields[9] in held:
                found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return sorted(found)


def _sockets(pid: int) -> Iterable[str]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)[:DESCRIPTORS_READ_MAX]
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _since(start_ticks: int) -> str:
    """Start of a process, for people: the kernel counts it from the boot."""
    lines = _text(Path("/proc/stat")).splitlines()
    booted_s = next((int(line.split()[1]) for line in lines if line.startswith("btime ")), 0)
    started = datetime.fromtimestamp(booted_s + start_ticks // os.sysconf("SC_CLK_TCK"), UTC)
    return started.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(path: Path) -> str:
    """What the kernel says; nothing once the process is gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
