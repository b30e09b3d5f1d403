"""What did a resource write in its last run here? I/O: small files in the run folder, one a resource, replaced as a whole.

A resource host keeps what is written in memory, and ends, or serves another run, after the group has left. So it puts the
end of it into a file when a run is over, which the node's daemon reads for whoever asks, on any node. It is for people:
bounded, not durable, dropped before anything waits for it. What a host had in memory when it was killed is lost with it.
"""

import contextlib
import hashlib
import itertools
import json
import os
import queue
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "output"
KEPT_COUNT_MAX = 256
PRUNE_EVERY = 32
"""It looks at every file; until the next time there may be so many more."""
WAITING_COUNT_MAX = 64


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """The end of what one run wrote."""

    resource: str
    generation: int
    ended_wall_ms: int
    text: str

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> "KeptOutput":
        """Raises ValueError for what is none."""
        try:
            found = json.loads(data)
            return cls(
                str(found["resource"]), int(found["generation"]), int(found["ended_wall_ms"]), str(found["text"])
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"it is no kept output: {error!r}") from error


class OutputKeeper:
    """The host's end. A thread writes: a disk that hangs holds up nobody, and what finds the queue full is dropped."""

    def __init__(self, run_dir: str) -> None:
        self._folder = Path(run_dir) / FOLDER
        self._waiting: queue.Queue[KeptOutput] = queue.Queue(WAITING_COUNT_MAX)
        self._thread: threading.Thread | None = None

    def keep(self, resource: str, generation: int, written: bytes) -> None:
        """A run is over. Returns at once."""
        wall_ms = time.time_ns() // 1_000_000
        output = KeptOutput(resource, generation, wall_ms, written.decode("utf-8", "replace"))
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(output)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="kept output", daemon=True)
            self._thread.start()

    def _write_all(self) -> None:
        for count in itertools.count():
            output = self._waiting.get()
            with contextlib.suppress(OSError):  # a full run folder has worse to tell than this
                _write(self._folder, output)
                if count % PRUNE_EVERY == 0:
                    _prune(self._folder)


def read_output(run_dir: str, resource: str) -> KeptOutput | None:
    """What the last run of it here wrote; None when nothing is known."""
    try:
        found = KeptOutput.decode(_path(Path(run_dir) / FOLDER, resource).read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.resource.casefold() == resource.casefold() else None


def _write(folder: Path, output: KeptOutput) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = _path(folder, output.resource)
    fresh = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(output.encode())
    fresh.replace(path)


def _prune(folder: Path) -> None:
    """Only the newest stay."""
    with os.scandir(folder) as entries:
        found = sorted((each.stat().st_mtime_ns, each.path) for each in entries if each.is_file(follow_symlinks=False))
    for _, path in found[:-KEPT_COUNT_MAX]:
        Path(path).unlink(missing_ok=True)


def _path(folder: Path, resource: str) -> Path:
    return folder / hashlib.sha256(resource.casefold().encode()).hexdigest()[:32]
