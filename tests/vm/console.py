"""What the tiny guest says on its console, and orders to it."""

import socket
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of the guest, and when it came."""

    at_s: float
    nonce: str
    boots: int
    count: int
    generation: int


class Console:
    """One connection to the console of one machine. Lines are kept as they come in."""

    def __init__(self, path: str) -> None:
        self.lines: list[Line] = []
        self.text = ""
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        threading.Thread(target=self._read, daemon=True).start()

    def order(self, letters: str) -> None:
        self._socket.sendall(letters.encode())

    def wait_line(self, after: int = 0, within_s: float = 20) -> Line:
        """The line with index `after`, as soon as it is there."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.lines) > after, within_s), (
                f"no line; said {self.text[-300:]!r}"
            )
            return self.lines[after]

    def next_line(self) -> Line:
        """One that begins after this moment."""
        return self.wait_line(len(self.lines))

    def wait_text(self, text: str, within_s: float = 20) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.text, within_s), f"no {text}; said {self.text[-300:]!r}"

    def falls_silent(self, duration_s: float, *, within_s: float = 10) -> bool:
        """Whether it says nothing for that long, once it has obeyed (a busy machine takes its time)."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            with self._changed:
                seen = len(self.lines)
                if not self._changed.wait_for(lambda seen=seen: len(self.lines) > seen, duration_s):
                    return True
        return False

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        rest = b""
        try:
            while data := self._socket.recv(1 << 16):
                *lines, rest = (rest + data).split(b"\n")
                with self._changed:
                    self.text = (self.text + data.decode(errors="replace"))[-10_000:]
                    self.lines += [line for each in lines if (line := parsed(each.decode(errors="replace")))]
                    self._changed.notify_all()
        except OSError:
            return


def parsed(text: str) -> Line | None:
    words = dict(each.split("=", 1) for each in text.split() if "=" in each)
    if set(words) != set("NBCG") or not all(len(each) == 8 for each in words.values()):
        return None
    numbers = [int(words[key], 16) for key in "BCG"]
    return Line(time.monotonic(), words["N"], *numbers)
