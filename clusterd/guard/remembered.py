"""What does a guard tell the next guard of its node? I/O: `guard.state` in the run directory.

Lines of `incarnation ID` (the one that may still run) and `ended ID` (proven, oldest first). Written whole, synced and
renamed, so a reader finds the old or the new one.
"""

import os
from dataclasses import dataclass, field

ENDED_COUNT_MAX = 32
_NAME = "guard.state"


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
    found = Remembered()
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
    found.ended = found.ended[-ENDED_COUNT_MAX:]
    return found


def save(run_dir: str, remembered: Remembered) -> None:
    path = os.path.join(run_dir, _NAME)
    lines = [f"incarnation {remembered.incarnation}"] if remembered.incarnation else []
    lines += [f"ended {each}" for each in remembered.ended]
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
