"""Which commands only ask somebody else to run something? Pure.

Such a client is what a cluster starts, watches and ends; the work itself is a child of another daemon, outside of the
containment. When the client is killed it may go on, and then it runs twice after a failover.
"""

import shlex
from collections.abc import Sequence
from typing import Any

_DAEMON_OF = {
    "docker": "the container's processes belong to dockerd",
    "nerdctl": "the container's processes belong to containerd",
    "ctr": "the container's processes belong to containerd",
    "lxc": "the container's processes belong to LXD",
    "incus": "the container's processes belong to Incus",
    "machinectl": "the container's processes belong to systemd-machined",
    "podman": "with --detach or --cgroups=split the container's processes are elsewhere",
    "systemd-run": "the command becomes a unit of systemd's",
    "systemctl": "the unit's processes belong to systemd; give the unit itself (unit: NAME)",
    "service": "the processes belong to systemd; give the unit itself (unit: NAME)",
    "kubectl": "the work runs in a Kubernetes cluster",
    "virsh": "the machine belongs to libvirtd; use a virtual_machine",
    "ssh": "the command runs on another machine",
    "at": "the command runs in atd's hands",
    "batch": "the command runs in atd's hands",
    "screen": "with -d the session goes on by itself",
    "tmux": "the session belongs to the tmux server, which outlives it",
}
_SHELLS = ("sh", "bash", "dash", "ksh", "zsh", "ash")
_STEPS = ("env", "nice", "ionice", "nohup", "setsid", "exec", "sudo", "time", "chrt", "taskset")


def client_note(private: dict[str, Any] | Any, resource: str) -> list[str]:
    """What to know of a resource whose `command` is such a client."""
    command = private.get("command") if hasattr(private, "get") else None
    if not isinstance(command, list) or not all(isinstance(each, str) for each in command):
        return []
    return [
        f"{resource} starts {name}, and only that client is watched and ended: {_DAEMON_OF[name]}. What it started may "
        "outlive it, and run twice after a failover"
        for name in _programs(command)
        if name in _DAEMON_OF
    ]


def _programs(command: Sequence[str]) -> list[str]:
    """The program of a command, or of each simple command of a shell's text."""
    words = list(command)
    while words and (_name(words[0]) in _STEPS or "=" in words[0] or words[0].startswith("-")):
        words = words[1:]
    if not words:
        return []
    if _name(words[0]) in _SHELLS and "-c" in words:
        texts = words[words.index("-c") + 1 : words.index("-c") + 2]
        return sorted({each for text in texts for each in _programs_of_text(text)})
    return [_name(words[0])]


def _programs_of_text(text: str) -> list[str]:
    for separator in ("&&", "||", ";", "|", "&", "\n", "(", ")", "{", "}"):
        text = text.replace(separator, "\n")
    found: list[str] = []
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
