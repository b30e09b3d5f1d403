"""Where are the sockets of a running machine? I/O: one short-lived folder for each run, gone with it.

A run folder is locked (flock) as long as its host lives. A host that was killed leaves its folders behind without the lock;
whoever makes the next one removes those, and only those.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile

from clusterd.resource_api import ResourceFailed

SOCKET_PATH_SIZE_MAX = 107
FOLDER_VARIABLE = "CLUSTERD_MACHINE_FOLDER"
"""Where they are instead of the usual place: a lab has them in its own folder, and takes them along when it ends."""
_LONGEST_NAME = "monitor.sock"


class RunFolder:
    """One folder with the sockets of one run."""

    def __init__(self, base: str, resource: str) -> None:
        base = base or _usual_base()
        try:
            _make_base(base)
            _sweep(base)
            self.path = tempfile.mkdtemp(prefix=f"{resource[:24]}-", dir=base)
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)  # a sweeper holds it for a moment only
        except OSError as error:
            raise ResourceFailed(f"the run folder in {base} cannot be made: {error.strerror}") from error
        if len(os.path.join(self.path, _LONGEST_NAME)) > SOCKET_PATH_SIZE_MAX:
            self.remove()
            raise ResourceFailed(f"run folder {base} is too deep for a Unix socket; set run_folder to a shorter path")

    @property
    def monitor(self) -> str:
        return os.path.join(self.path, "monitor.sock")

    @property
    def console(self) -> str:
        """Where people connect to; the relay joins it with `serial`, where QEMU does."""
        return os.path.join(self.path, "console.sock")

    @property
    def serial(self) -> str:
        return os.path.join(self.path, "serial.sock")

    @property
    def guest_agent(self) -> str:
        return os.path.join(self.path, "agent.sock")

    @property
    def migration(self) -> str:
        return os.path.join(self.path, "migrate.sock")

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def remove(self) -> None:
        """May be repeated."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _usual_base() -> str:
    if given := os.environ.get(FOLDER_VARIABLE):
        return given
    if os.geteuid() == 0:
        return "/run/clusterd-machines"
    return os.path.join(tempfile.gettempdir(), f"clusterd-machines-{os.geteuid()}")


def _make_base(base: str) -> None:
    """Only its owner may enter it: whoever reaches the monitor rules the machine."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(base, 0o700)
    seen = os.lstat(base)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise ResourceFailed(f"{base} is not a folder of ours; remove it, or set run_folder")


def _sweep(base: str) -> None:
    for name in os.listdir(base):
        path = os.path.join(base, name)
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between its mkdtemp and its flock a folder is empty: it is somebody's who just begins.
            if os.listdir(folder):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(folder)
