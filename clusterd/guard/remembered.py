"""What does a guard tell the next guard of its node? I/O: `guard.state` in the run directory.

Lines of `incarnation ID` (the one that may still run), `ended ID` (proven, oldest first) and `place BOOT DEVICE:INODE` (the
boot of the machine, and this directory). Written whole, synced and renamed, so a reader finds the old or the
new one. A file of another place says nothing here: it was copied, with the disk of a cloned machine for example, and what it
names may run where it was written.
"""

import contextlib
import os
from dataclasses import dataclass, field

from clusterd.adapters.plain_log import log

ENDED_COUNT_MAX = 32
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NAME = "guard.state"
TRY_AGAIN_MS = 1_000


@dataclass(slots=True)
class Remembered:
    incarnation: str = ""
    ended: list[str] = field(default_factory=list)

    def end(self, successor: str) -> None:
        """The present incarnation is proven over; `successor` is empty when the guard ends too."""
        if self.incarnation:
            self.ended = [*self.ended, self.incarnation][-ENDED_COUNT_MAX:]
        self.incarnation = successor


def load(run_dir: str) -> Remembered:
    found, place = Remembered(), _place(run_dir)
    try:
        with open(os.path.join(run_dir, _NAME), encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        word, _, value = line.partition(" ")
        if word == "incarnation":
            found.incarnation = value
        elif word == "ended":
            found.ended.append(value)
        elif word == "place" and value != place:
            log("state.of-another-place", "warning", run_dir=run_dir, written_at=value, here=place)
            return Remembered()
    found.ended = found.ended[-ENDED_COUNT_MAX:]
    return found


def save(run_dir: str, remembered: Remembered) -> None:
    """Raises OSError; half a file takes up no room then."""
    path = os.path.join(run_dir, _NAME)
    lines = [f"incarnation {remembered.incarnation}"] if remembered.incarnation else []
    lines += [f"ended {each}" for each in remembered.ended]
    lines.append(f"place {_place(run_dir)}")
    try:
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path + ".new")
        raise


def _place(run_dir: str) -> str:
    """What no copy of the directory has, whichever way it was made: a disk that runs elsewhere runs in another boot."""
    here = os.stat(run_dir)
    with open(_BOOT_ID, encoding="ascii") as file:
        return f"{file.read().strip()} {here.st_dev}:{here.st_ino}"


class Keeper:
    """Writes it down, now or as soon as there is room.

    Until then a guard that is killed leaves its successor without the name of its last run. Nothing of that run outlives the
    start of the successor, but the others have to wait for the lease to see that.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self.next_try_ms: int | None = None

    def keep(self, remembered: Remembered, now_ms: int) -> None:
        try:
            save(self._run_dir, remembered)
        except OSError as error:
            if self.next_try_ms is None:
                log("state.unsaved", "error", because=str(error), run_dir=self._run_dir)
            self.next_try_ms = now_ms + TRY_AGAIN_MS
            return
        if self.next_try_ms is not None:
            log("state.saved", "info", run_dir=self._run_dir)
        self.next_try_ms = None

    def look(self, remembered: Remembered, now_ms: int) -> None:
        """Try again when it is time."""
        if self.next_try_ms is not None and now_ms >= self.next_try_ms:
            self.keep(remembered, now_ms)
