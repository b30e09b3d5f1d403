"""Which processes of a test still run? Looks at command lines, so that nothing which hides its environment is missed."""

import os
import secrets
import sys
import time
from pathlib import Path

from clusterd.adapters.containment_proc import process, signal_process

# Forks twice into a session of its own and then sleeps; with "bare" also without environment.
DAEMONISE = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
environment = {} if sys.argv[2] == "bare" else dict(os.environ)
os.execve("/bin/sleep", ["sleep", sys.argv[1]], environment)
"""


class Marked:
    """Commands with an argument that no other process has."""

    def __init__(self) -> None:
        self.mark = f"7{secrets.randbelow(10**9):09d}"

    def sleep(self) -> list[str]:
        return ["sleep", self.mark]

    def daemonise(self, *, bare: bool) -> list[str]:
        """Leaves a sleep behind and goes on as another one."""
        script = f"{DAEMONISE}\n"
        follow = "import subprocess, sys, os\n"
        follow += "subprocess.run([sys.executable, '-S', '-E', '-I', '-c', sys.argv[3], *sys.argv[1:3]], check=True)\n"
        follow += "os.execv('/bin/sleep', ['sleep', sys.argv[1]])"
        return [sys.executable, "-S", "-E", "-I", "-c", follow, self.mark, "bare" if bare else "tagged", script]

    def pids(self) -> list[int]:
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and process(int(name)) is not None:
                try:
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if self.mark.encode() in words:
                    found.append(int(name))
        return sorted(found)

    def is_settled(self, count: int) -> bool:
        """Whether exactly `count` of them run, and all have become what they should be."""
        pids = self.pids()
        return len(pids) == count and all(_program(pid) == "sleep" for pid in pids)

    def kill(self) -> list[int]:
        """End what a failed test left, and say what that was."""
        pids = self.pids()
        for seen in filter(None, map(process, pids)):
            signal_process(seen)
        return pids

    def gone_within(self, within_ms: int) -> bool:
        until = time.monotonic() + within_ms / 1000
        while self.pids():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
