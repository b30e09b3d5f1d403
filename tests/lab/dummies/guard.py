"""A stand-in for the guard: one host with a workload and a stray that forked twice. `guard.py RUN_DIR NODE`."""

import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main(run_dir: str, node: str) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)
    host = subprocess.Popen([sys.executable, "-I", "-S", str(HERE / "host.py"), "dummy-host", run_dir, node])

    def stop(*_: object) -> None:
        host.kill()
        host.wait()
        for stray in Path(run_dir).glob("*.pid"):
            subprocess.run(["kill", "-9", stray.read_text()], check=False, stderr=subprocess.DEVNULL)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        time.sleep(3600)


main(*sys.argv[1:])
