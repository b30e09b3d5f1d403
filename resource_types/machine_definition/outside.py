"""What must a node have for a machine beside its files? I/O: looks at bridges, their access list, folders and firmware.

Each of these passes every look at the definition and fails every start, so it is looked at before.
"""

import os
import stat

BRIDGE_HELPERS = ("/usr/lib/qemu/qemu-bridge-helper", "/usr/libexec/qemu-bridge-helper")
BRIDGE_ACCESS = "/etc/qemu/bridge.conf"
FIRMWARE_UNIT_BYTES = 64 << 10
INCLUDES_MAX = 32


def bridge_problem(name: str, access: str = BRIDGE_ACCESS, networks: str = "/sys/class/net") -> str:
    """Why QEMU cannot connect an adapter to that bridge on this node; empty when it can."""
    if not os.path.isdir(os.path.join(networks, name, "bridge")):
        return f"there is no bridge {name} on this node"
    if not any(os.access(each, os.X_OK) for each in BRIDGE_HELPERS):
        return f"QEMU's bridge helper is not installed ({BRIDGE_HELPERS[0]})"
    try:
        is_allowed = _allows(access, name, [])
    except OSError as error:
        return f"QEMU may use no bridge: {error.filename}: {error.strerror}; write a line 'allow {name}' into it"
    return "" if is_allowed else f"QEMU may not use bridge {name}: write a line 'allow {name}' into {access}"


def log_problem(path: str) -> str:
    """Why QEMU cannot write what the guest says into that file; empty when it can."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return f"there is no folder {folder}"
    if os.path.isdir(path):
        return f"{path} is a folder"
    there = path if os.path.exists(path) else folder
    return "" if os.access(there, os.W_OK) else f"{there} may not be written by this node's host"


def firmware_problem(path: str) -> str:
    """Why QEMU does not load that file as firmware; empty when it does. That it can be read was seen before."""
    try:
        seen = os.stat(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not stat.S_ISREG(seen.st_mode) or not seen.st_size or seen.st_size % FIRMWARE_UNIT_BYTES:
        return f"{path} is no firmware for QEMU: its size is {seen.st_size} bytes, and no multiple of 64 KiB"
    return ""


def _allows(path: str, name: str, seen: list[str]) -> bool:
    """As QEMU's helper reads it: a line that denies it decides, else one that allows it. Raises OSError."""
    is_allowed = False
    seen.append(path)
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split("#")[0].split()
            if len(words) != 2:
                continue
            if words[0] in ("allow", "deny") and words[1] in (name, "all"):
                if words[0] == "deny":
                    return False
                is_allowed = True
            elif words[0] == "include" and words[1] not in seen and len(seen) < INCLUDES_MAX:
                is_allowed = _allows(words[1], name, seen) or is_allowed
    return is_allowed
