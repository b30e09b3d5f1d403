"""Labs of real processes for benchmarks, driven through `clusterctl` and the API as a user would."""

import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLUSTERCTL = Path(sys.executable).parent / "clusterctl"
SERVICE = Path(__file__).parent / "service.py"
POLL_S = 0.002
CALL_WAIT_S = 120
DONE, ACCEPTED = 0, 2


@dataclass
class Lab:
    """One running lab."""

    name: str
    folder: Path

    def ctl(self, *arguments: str, check: bool = True) -> dict[str, Any]:
        """`clusterctl --lab NAME … -o json`; {} when it prints nothing."""
        done = subprocess.run(
            [CLUSTERCTL, "--lab", self.name, "-o", "json", *arguments],
            capture_output=True,
            text=True,
            timeout=CALL_WAIT_S,
            check=False,
        )
        if check and done.returncode not in (DONE, ACCEPTED):
            said = (done.stderr or done.stdout)[:500]
            raise SystemExit(f"clusterctl {' '.join(arguments)} ended with {done.returncode}: {said}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def apply(self, manifest: dict[str, Any], *, wait: bool = True) -> None:
        path = self.folder / "manifest.yaml"
        path.write_text(json.dumps(manifest))
        self.ctl("apply", "-f", str(path), "--wait" if wait else "--no-wait")

    def group(self, name: str) -> dict[str, Any]:
        return dict(self.ctl("group", "show", name)["groups"][0])

    def nodes(self) -> list[dict[str, Any]]:
        return list(self.ctl("lab", "status")["nodes"])

    def leader(self) -> str:
        return str(next(node["name"] for node in self.ctl("node", "list")["nodes"] if node["is_leader"]))

    def post_with(self, address: str, token: str, path: str, body: dict[str, Any]) -> None:
        """Straight to an API of the lab: without the start of a command in the measured time."""
        request = urllib.request.Request(
            f"{address}{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def token(self) -> str:
        description = json.loads((Path(self.ctl("lab", "status")["dir"]) / "lab.json").read_text())
        return Path(description["token_file"]).read_text().strip()


@contextlib.contextmanager
def lab(
    *,
    profile: str = "default",
    has_fence: bool = True,
    nodes: int = 3,
    plugins: str = "",
    more: Sequence[str] = (),
) -> Iterator[Lab]:
    """A lab of its own, gone afterwards. `plugins`: a folder with resource types. `more`: options for `lab up`."""
    with tempfile.TemporaryDirectory(prefix="clusterd-bench-") as folder:
        made = Lab(f"bench{time.time_ns() % 1_000_000}", Path(folder))
        options = ["--nodes", str(nodes), "--profile", profile] + ([] if has_fence else ["--no-fence"])
        options += ["--plugins", plugins] if plugins else []
        try:
            made.ctl("lab", "up", *options, *more)
            yield made
        finally:
            left = Path(made.ctl("lab", "status", check=False).get("dir", folder))
            made.ctl("lab", "down", check=False)
            shutil.rmtree(left, ignore_errors=True)


def service_group(name: str, port: int, **resource: Any) -> dict[str, Any]:
    """One group with one service that is ready 20 ms after its start."""
    command = [sys.executable, "-S", "-E", str(SERVICE), str(port)]
    service = {
        "name": f"{name}-service",
        "type": "generic_service",
        "properties": {"command": command, "ready": {"tcp": port}},
        **resource,
    }
    return {"groups": [{"name": name, "resources": [service]}]}


def ask(port: int) -> str | None:
    """The node that serves `port` now; None when nobody answers."""
    answer = ask_run(port)
    return answer.split()[0] if answer else None


def ask_run(port: int) -> str | None:
    """Node, generation and process that serve `port` now; None when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            return connection.recv(200).decode().strip() or None
    except OSError:
        return None


def wait_for_answer(port: int, *, other_than: str | None = None, wait_max_s: float = 60.0) -> float:
    """The moment (perf_counter) at which `port` answers from another node than that."""
    until = time.perf_counter() + wait_max_s
    while time.perf_counter() < until:
        node = ask(port)
        if node is not None and node != other_than:
            return time.perf_counter()
        time.sleep(POLL_S)
    raise SystemExit(f"port {port} did not answer from another node than {other_than} within {wait_max_s} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def summary(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), digits),
        "best": round(min(values), digits),
        "worst": round(max(values), digits),
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
