"""Is everything still there that a machine was started from? I/O: looks at paths, in a thread of its own.

A share that does not answer holds whoever asks for as long as it likes. Nobody waits for it longer than a moment, and nobody
asks it again before it has answered.
"""

import os
import threading
from collections.abc import Callable, Sequence

LOOK_WITHIN_S = 2.0


class Presence:
    """What was seen of the paths of one machine."""

    def __init__(self, stat: Callable[[str], object] = os.stat) -> None:
        self._stat = stat
        self._look: _Look | None = None

    def trouble(self, paths: Sequence[str], within_s: float = LOOK_WITHIN_S) -> str:
        """What is not there now, or that nobody answers; empty when all is well."""
        look = self._look
        if look is None or look.is_over.is_set():
            look = self._look = _Look(paths, self._stat)
        if not look.is_over.wait(within_s):
            return f"{look.at}: the file system does not answer"
        self._look = None
        return "; ".join(look.missing)


class _Look:
    def __init__(self, paths: Sequence[str], stat: Callable[[str], object]) -> None:
        self._paths, self._stat = tuple(paths), stat
        self.at = ""
        self.missing: list[str] = []
        self.is_over = threading.Event()
        threading.Thread(target=self._run, name="look at the files of a machine", daemon=True).start()

    def _run(self) -> None:
        for path in self._paths:
            self.at = path
            try:
                self._stat(path)
            except OSError as error:
                self.missing.append(f"{path}: {error.strerror}")
        self.is_over.set()
