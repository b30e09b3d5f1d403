"""Which commands only ask somebody else to run something, or go into the background? Pure.

A client is what a cluster starts, watches and ends; the work itself is a child of another daemon, outside of the
containment. When the client is killed it may go on, and then it runs twice after a failover. What goes into the background
by itself stays within reach, but the process that was started ends, which counts as the end of the service.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Client:
    """One program of a command that should not be there, why, and what to use instead."""

    name: str
    because: str
    instead: str

    @property
    def text(self) -> str:
        return f"{self.because}; instead: {self.instead}"


_SCRIPT = "a generic_script that starts, checks and ends the work by its name at that daemon"
_FOREGROUND = "the command itself, in the foreground"
_UNIT = "the unit itself (unit: NAME), whose processes the cluster adopts"
_OUTSIDE = {
    "docker": ("the container's processes belong to dockerd", _SCRIPT),
    "nerdctl": ("the container's processes belong to containerd", _SCRIPT),
    "ctr": ("the container's processes belong to containerd", _SCRIPT),
    "crictl": ("the container's processes belong to the container runtime", _SCRIPT),
    "podman": (
        "the container's processes are in a control group of their own",
        "a systemd unit that Quadlet makes of it (unit: NAME)",
    ),
    "lxc": ("the container's processes belong to LXD", _SCRIPT),
    "lxc-start": ("the container's processes are in a control group of their own", _SCRIPT),
    "incus": ("the container's processes belong to Incus", _SCRIPT),
    "machinectl": ("the container's processes belong to systemd-machined", "its unit (unit: systemd-nspawn@NAME)"),
    "systemd-run": ("the command becomes a unit of systemd's", "a unit file (unit: NAME), or " + _FOREGROUND),
    "systemctl": ("the unit's processes belong to systemd", _UNIT),
    "service": ("the processes belong to systemd", _UNIT),
    "kubectl": ("the work runs in a Kubernetes cluster", "leave it to that cluster"),
    "virsh": ("the machine belongs to libvirtd", "a virtual_machine"),
    "ssh": ("the command runs on another machine", "a node of the cluster on that machine"),
    "at": ("the command runs in atd's hands", _FOREGROUND),
    "batch": ("the command runs in atd's hands", _FOREGROUND),
    "screen": ("the session goes on by itself", _FOREGROUND),
    "tmux": ("the session belongs to the tmux server, which outlives it", _FOREGROUND),
    "dtach": ("the session goes on by itself", _FOREGROUND),
}
_GOES_ON = "only that client is watched and ended"
_BACKGROUND = {
    "daemonize": (),
    "daemon": (),
    "start-stop-daemon": ("-b", "--background"),
    "setsid": (),
}
"""What goes into the background: always, or with one of these options. (A resource has a session of its own already, and
from its leader setsid forks away.)"""
_NEEDLESS = {
    "nohup": "a resource has no terminal that could hang up",
    "disown": "a resource has no terminal that could hang up",
}
_SHELLS = ("sh", "bash", "dash", "ksh", "zsh", "ash")
_STEPS = ("env", "nice", "ionice", "nohup", "setsid", "exec", "sudo", "time", "chrt", "taskset")


def clients(private: dict[str, Any] | Any) -> list[Client]:
    """The programs of a resource's `command` that do not stay where the cluster put them."""
    command = private.get("command") if hasattr(private, "get") else None
    if not isinstance(command, list) or not all(isinstance(each, str) for each in command):
        return []
    found = {each.name: each for program in _programs(command) for each in _judged(program, _is_forking(private))}
    return [found[name] for name in sorted(found)]


def client_note(private: dict[str, Any] | Any, resource: str) -> list[str]:
    """The same in sentences."""
    return [f"{resource} starts {each.name}: {each.text}" for each in clients(private)]


def _is_forking(private: Any) -> bool:
    return bool(private.get("forking"))


def _judged(words: Sequence[str], is_forking: bool) -> Iterator[Client]:
    """`words`: one simple command, with what leads to its program."""
    left = list(words)
    while left and (_name(left[0]) in _STEPS or "=" in left[0] or left[0].startswith("-")):
        yield from _judged_step(left, is_forking)
        left = left[1:]
    if not left:
        return
    name = _name(left[0])
    if name in _OUTSIDE and not (name == "ssh" and "-N" in left):
        because, instead = _OUTSIDE[name]
        text = f"{_GOES_ON}, and may leave its work behind, which then runs twice after a failover: {because}"
        yield Client(name, text, instead)
    else:
        yield from _judged_step(left, is_forking)


def _judged_step(words: Sequence[str], is_forking: bool) -> Iterator[Client]:
    name = _name(words[0])
    options = _BACKGROUND.get(name)
    if options is not None and (not options or not set(options).isdisjoint(words)):
        if not is_forking:
            text = "it goes into the background, so that what was started ends at once, which counts as a failure"
            yield Client(name, text, f"{_FOREGROUND}; or forking: true")
    elif name in _NEEDLESS:
        yield Client(name, f"it is of no use here: {_NEEDLESS[name]}", _FOREGROUND)


def _programs(command: Sequence[str]) -> list[list[str]]:
    """The command, or each simple command of a shell's text, in words."""
    words = list(command)
    leading = 0
    while leading < len(words) and (
        _name(words[leading]) in _STEPS or "=" in words[leading] or words[leading].startswith("-")
    ):
        leading += 1
    rest = words[leading:]
    if rest and _name(rest[0]) in _SHELLS and "-c" in rest:
        texts = rest[rest.index("-c") + 1 : rest.index("-c") + 2]
        return [words[:leading], *(each for text in texts for each in _programs_of_text(text))]
    return [words]


def _programs_of_text(text: str) -> list[list[str]]:
    for separator in ("&&", "||", ";", "|", "&", "\n", "(", ")", "{", "}"):
        text = text.replace(separator, "\n")
    found: list[list[str]] = []
    for line in text.splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()
        if words and words[0] not in _SHELLS:
            found += _programs(words)
    return found


def _name(path: str) -> str:
    return path.rpartition("/")[2]
