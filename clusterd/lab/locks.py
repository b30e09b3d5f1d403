"""Where is the root of this user's labs, and who holds a lab's lock? I/O. Standard library only: starts wait for it."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

ROOT_VARIABLE = "CLUSTERD_LAB_ROOT"


def lab_root(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of all labs of this user."""
    if chosen := environment.get(ROOT_VARIABLE):
        return Path(chosen).absolute()
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "clusterd-labs"
    return Path(f"/tmp/clusterd-labs-{os.getuid()}")


def lock(path: Path) -> int | None:
    """An exclusive lock on `path`, held until the returned descriptor is closed; None when another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
