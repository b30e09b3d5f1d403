"""A node for one resource type without daemon, guard or host: its calls run right here, its processes are plain children.

What a resource type sees is the contract and nothing else, so that two nodes are two desks, and both ends of a migration can
be looked into.
"""

import contextlib
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clusterd.resource_api import CallCancelled, Exit, Finished, ResourceFailed, ResourceType, effective, schema_of

Type = TypeVar("Type", bound=ResourceType)
CALL_WITHIN_MS = 20_000


class DeskProcess:
    """One child."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.is_cancelled = lambda: False

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def exit(self) -> Exit | None:
        code = self.child.poll()
        if code is None:
            return None
        return Exit(status=code) if code >= 0 else Exit(signal=-code)

    def wait(self, timeout_ms: int) -> Exit | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(timeout_ms / 1000)
        return self.exit

    def signal(self, number: int) -> None:
        self.child.send_signal(number)


class DeskProcesses:
    """Every child of one desk."""

    def __init__(self) -> None:
        self.started: list[DeskProcess] = []
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)

    def start(self, command: Sequence[str], *, watch: bool = False, **_: object) -> DeskProcess:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output)
        self.started.append(DeskProcess(child))
        return self.started[-1]

    def run(self, command: Sequence[str], *, timeout_ms: int, **_: object) -> Finished:
        try:
            done = subprocess.run(command, timeout=timeout_ms / 1000, capture_output=True, check=False)
        except subprocess.TimeoutExpired:
            return Finished(None, "")
        return Finished(Exit(status=done.returncode), (done.stdout + done.stderr).decode())

    def main(self) -> DeskProcess | None:
        return self.started[-1] if self.started else None

    def main_is_running(self) -> bool:
        return bool(self.started) and self.started[-1].exit is None

    def stop(self, *, grace_ms: int, **_: object) -> bool:
        for each in self.started:
            if each.exit is None:
                each.signal(signal.SIGTERM)
                each.wait(grace_ms)
        self.kill()
        return True

    def members(self) -> list[int]:
        return [each.pid for each in self.started if each.exit is None]

    def kill(self) -> None:
        for each in self.started:
            if each.exit is None:
                each.signal(signal.SIGKILL)
                each.wait(5000)

    def output(self, line_count_max: int = 20) -> str:
        self._output.seek(0)
        return "\n".join(self._output.read().decode(errors="replace").splitlines()[-line_count_max:])

    def close(self) -> None:
        self.kill()
        self._output.close()


class Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        pass

    info = debug

    def warning(self, message: str) -> None:
        self.warnings.append(message)


@dataclass
class DeskContext:
    """One call's context."""

    desk: "Desk"
    reason: str = "user-requested"
    move_kind: str = ""
    within_ms: int = CALL_WITHIN_MS
    cluster = cluster_id = "trial"
    group = "trial-group"
    progressed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.properties = self.desk.properties
        self.node, self.resource, self.generation = self.desk.node, self.desk.resource, self.desk.generation
        self.processes, self.log = self.desk.processes, self.desk.log
        self.cancelled = threading.Event()
        self._until = time.monotonic() + self.within_ms / 1000

    def remaining_ms(self) -> int:
        return max(int((self._until - time.monotonic()) * 1000), 0)

    def longest_ms(self) -> int:
        return self.remaining_ms()

    def is_cancelled(self) -> bool:
        return self.cancelled.is_set()

    def pause(self, duration_ms: int) -> None:
        if self.cancelled.wait(duration_ms / 1000):
            raise CallCancelled

    def progress(self, message: str) -> None:
        self.pause(0)
        self.progressed.append(message)
        self._until = time.monotonic() + self.within_ms / 1000

    def failed(self, message: str) -> None:
        self.desk.tell("failed", message)

    def stopped(self, message: str) -> None:
        self.desk.tell("stopped", message)

    def embedded_failure(self, message: str) -> None:
        self.desk.tell("embedded", message)

    def concern(self, message: str) -> None:
        if message != self.desk.concern:  # the host tells only what is new
            self.desk.concern = message
            self.desk.tell("concern", message)

    def embedded_well(self) -> None:
        self.desk.tell("well", "")


class Desk:
    """One resource of a type on one node."""

    def __init__(self, make: type[ResourceType], node: str, resource: str, properties: Mapping[str, Any]) -> None:
        self.type: Any = make()
        self.node, self.resource = node, resource
        self.generation = 1
        self.properties = effective(properties, schema_of(make.properties))
        self.processes, self.log = DeskProcesses(), Log()
        self.told: list[tuple[str, str]] = []
        self.concern = ""
        self._telling = threading.Condition()

    def context(self, **settings: Any) -> Any:
        return DeskContext(self, **settings)

    def tell(self, what: str, message: str) -> None:
        with self._telling:
            if what != "well":
                self.told.append((what, message))
            self._telling.notify_all()

    def heard(self, what: str, within_s: float = 10) -> str:
        """The message of the first telling of that kind."""
        with self._telling:
            found = self._telling.wait_for(lambda: [text for kind, text in self.told if kind == what], within_s)
        assert found, f"nobody told {what} within {within_s} s; told was {self.told}"
        return str(found[0])

    # ---- the calls ----

    def online(self, **settings: Any) -> None:
        """As the host does it: what was stopped is a new object, what was prepared for a migration is not."""
        self.type.online(self.context(**settings))

    def offline(self, **settings: Any) -> None:
        self.type.offline(self.context(**settings))
        self._finish()

    def terminate(self) -> None:
        self.type.terminate(self.context())
        self.processes.kill()
        self._finish()

    def _finish(self) -> None:
        assert self.processes.members() == []
        self.type.close(self.context())
        self.type = type(self.type)()

    def close(self) -> None:
        with contextlib.suppress(ResourceFailed):
            self.processes.kill()
            self.type.close(self.context())
        self.processes.close()


@contextlib.contextmanager
def in_thread(work: Any) -> Iterator["Outcome"]:
    """Run `work` beside the test; the outcome is there when it ended."""
    outcome = Outcome(work)
    try:
        yield outcome
    finally:
        outcome.thread.join(30)
        assert not outcome.thread.is_alive()


class Outcome:
    """How a call in another thread ended."""

    def __init__(self, work: Any) -> None:
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self.thread.start()

    def _run(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:
            self.error = error

    def wait(self) -> BaseException | None:
        self.thread.join(30)
        return self.error
