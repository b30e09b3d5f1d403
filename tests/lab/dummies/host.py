"""A stand-in for a resource host: a workload, and strays that left session, parent and environment behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def stray(run_dir: Path, name: str, *, environment: dict[str, str]) -> None:
    """A process whose parent ended: nothing but the kernel knows where it came from."""
    if os.fork() == 0:
        os.setsid()
        pid = os.posix_spawn("/bin/sleep", ["sleep", "3600"], environment)
        half = run_dir / f"{name}.new"
        half.write_text(str(pid))
        half.rename(run_dir / f"{name}.pid")
        os._exit(0)
    os.wait()


def main(run_dir: Path) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    stray(run_dir, "tagged", environment=dict(os.environ))
    stray(run_dir, "untagged", environment={})
    workload = subprocess.Popen(["/bin/sleep", "3600"])
    half = run_dir / "workload.new"
    half.write_text(str(workload.pid))
    half.rename(run_dir / "workload.pid")
    while True:
        time.sleep(3600)


main(Path(sys.argv[2]))
