"""A SCSI target of Debian's tgt on a loopback port, in a temporary folder, with a control number of its own. Needs root."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
SIZE_BYTES = 64 * MIB
_TARGETS = itertools.count()
"""Of this process; each has a control number of its own."""


def missing() -> str:
    """Why there can be no target here; nothing when there can."""
    if os.geteuid() != 0:
        return "tgtd needs root"
    if shutil.which("tgtd") is None or shutil.which("tgtadm") is None:
        return "tgt is not installed (Debian: tgt)"
    try:
        from resource_types.physical_disk.iscsi_link import library

        library()
    except OSError:
        return "libiscsi is not installed (Debian: libiscsi7)"
    return ""


class Tgt:
    """One tgtd. `new_unit` makes a target with one logical unit."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.port = _free_port(20000 + os.getpid() % 9000)
        self._number = 100 + (os.getpid() + next(_TARGETS) * 7919) % 30000
        self._units: dict[int, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = open(os.path.join(folder, "tgtd.log"), "ab")  # noqa: SIM115  closed in stop

    @property
    def portal(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = ["tgtd", "-f", "-C", str(self._number), "--iscsi", f"portal={self.portal}"]
        self._process = subprocess.Popen(argv, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while self._admin("sys", "show", check=False) != 0:
            assert self._process.poll() is None, Path(self.folder, "tgtd.log").read_text()
            assert time.monotonic() < until, "tgtd does not answer"
            time.sleep(0.01)
        for number, path in self._units.items():
            self._offer(number, path)

    def new_unit(self) -> str:
        """The name of a new target; its unit 1 has SIZE_BYTES of zeroes."""
        number = len(self._units) + 1
        path = os.path.join(self.folder, f"unit-{number}")
        with open(path, "wb") as file:
            file.truncate(SIZE_BYTES)
        self._units[number] = path
        self._offer(number, path)
        return self.name(number)

    def name(self, number: int) -> str:
        return f"iqn.2026-01.test.clusterd:unit-{number}"

    def backing_file(self, name: str) -> Path:
        return Path(self._units[int(name.rpartition("-")[2])])

    def _offer(self, number: int, path: str) -> None:
        tid = ["--tid", str(number)]
        self._admin("target", "new", *tid, "-T", self.name(number))
        self._admin("logicalunit", "new", *tid, "--lun", "1", "-b", path)
        self._admin("target", "bind", *tid, "-I", "ALL")

    def kill(self) -> None:
        """As if its machine lost power: nobody is told anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._admin("sys", "update", "--name", "State", "-v", "offline", check=False)
            for number in self._units:
                self._admin("target", "delete", "--force", "--tid", str(number), check=False)
            self._admin("sys", "delete", check=False)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()
        for name in (f"/var/run/tgtd/socket.{self._number}", f"/var/run/tgtd/socket.{self._number}.lock"):
            Path(name).unlink(missing_ok=True)

    def _admin(self, mode: str, operation: str, *options: str, check: bool = True) -> int:
        argv = ["tgtadm", "-C", str(self._number), "--lld", "iscsi", "--mode", mode, "--op", operation, *options]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=10)
        assert done.returncode == 0 or not check, done.stdout.decode()
        return done.returncode


def _free_port(first: int) -> int:
    for port in range(first, 30000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def new_folder() -> str:
    return tempfile.mkdtemp(prefix="tgt-", dir="/tmp")
