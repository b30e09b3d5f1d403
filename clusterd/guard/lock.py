"""Is this the only guard of its run directory? I/O: an flock on `guard.lock`.

The lock is shared with the shadow, so it is free only when a dead guard's workloads are gone.
"""

import fcntl
import os
import time

WAIT_FOR_SHADOW_S = 10.0
_LOOK_AGAIN_S = 0.005


class AnotherGuard(Exception):
    """A guard of this run directory runs already."""


def lock(run_dir: str) -> int:
    """The descriptor that holds the lock; the process keeps it open. Waits for a dead guard's shadow to finish."""
    path = os.path.join(run_dir, "guard.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + WAIT_FOR_SHADOW_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = _holder(descriptor)
            if holder and _is_alive(holder):
                raise AnotherGuard(f"guard {holder} of {run_dir} runs already; stop it, or use its socket") from None
            if time.monotonic() > until:
                raise AnotherGuard(
                    f"a dead guard's shadow still empties {run_dir}; look for processes that survive"
                ) from None
            time.sleep(_LOOK_AGAIN_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _holder(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0)
    return int(text) if text.isdigit() else 0


def _is_alive(pid: int) -> bool:
    """Only to word a refusal, so a reused pid does no harm beyond a wrong word."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"guard" in file.read()
    except OSError:
        return False
