"""What does the process do that holds a disk on this node? I/O: the session; started by resource.py through the host.

It opens the back end, claims the disk when it is told to, serves it as NBD while it holds it, and defends it every interval.
Once the disk is lost it serves nothing more, tells everybody who listens, and waits to be ended. `python session.py CONFIG`
(JSON, see `Config`) ends with status 1 and one line on standard error when the disk cannot be reached.

For a live migration two sessions are connected at a time and at most one serves: the source's releases when the guest has
left, the destination's stands by until it is told to claim. In between neither does.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

if __name__ == "__main__":  # started with -I -S: nothing but the standard library is on the path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from resource_types.physical_disk.back_end import (
    CHALLENGE_INTERVALS,
    BackEnd,
    Clock,
    IoFailed,
    Lost,
    NoRoom,
    PathLost,
    Preempted,
    Refused,
)
from resource_types.physical_disk.control_server import ControlServer, Tell
from resource_types.physical_disk.keys import Key, key_of, parse, shown
from resource_types.physical_disk.nbd import EIO, ENOSPC, EPERM, IoRefused, NbdServer

CHECK_BYTES = 4096
_Answer = TypeVar("_Answer")


class Config(NamedTuple):
    """`kind` is iscsi, device or image; `where` its place, `folder` that of the two sockets."""

    kind: str
    where: dict[str, Any]
    cluster_id: str
    node: str
    generation: int
    interval_ms: int
    folder: str


class Standing(StrEnum):
    STANDBY = "standby"
    HELD = "held"
    LOST = "lost"
    RELEASED = "released"


class BootClock:
    def now_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def pause(self, duration_ms: int) -> None:
        time.sleep(duration_ms / 1000)


class Session:
    """One disk, held or not. It is what the NBD server exports and what the control socket speaks to."""

    def __init__(self, back_end: BackEnd, key: Key, interval_ms: int, clock: Clock) -> None:
        self._back_end, self._key, self._interval_ms, self._clock = back_end, key, interval_ms, clock
        self._standing = Standing.STANDBY
        self._because = ""
        self._preempted: list[Preempted] = []
        self._defended_ms = 0
        self._io_failures = 0
        self._changing = threading.Lock()
        self._using = threading.Condition()
        self._use_count = 0
        self._is_over = threading.Event()
        self.on_event: Callable[[dict[str, Any]], None] = lambda event: None

    # ---- what the control socket asks ----

    def answer(self, verb: str, tell: Tell) -> dict[str, Any]:
        """Raises Refused, Lost, PathLost, IoFailed; they travel as they are."""
        match verb:
            case "arbitrate":
                self._arbitrate(tell)
            case "resume" | "fence":
                self._arbitrate(_refuse)
            case "check":
                self._check()
            case "flush":
                self._use(self._back_end.flush)
            case "release":
                self._release()
            case "status":
                return {**self._status(), **self._back_end.status()}
            case "ping":
                return {"standing": self._standing}
            case _:
                raise Refused(f"a session does not know the verb {verb!r}")
        return self._status()

    def _arbitrate(self, tell: Tell) -> None:
        with self._changing:
            if self._standing is Standing.LOST:
                raise Lost(self._because)
            if self._standing is Standing.HELD:
                return
            self._preempted += self._back_end.arbitrate(self._key, self._interval_ms, tell)
            self._defended_ms = self._clock.now_ms()
            self._stand(Standing.HELD)
        threading.Thread(target=self._keep_defending, daemon=True).start()

    def _check(self) -> None:
        """The thorough look: the claim is renewed and the disk answers a read."""
        if self._standing is not Standing.HELD:
            raise Lost(self._because or f"the disk is not held: it is {self._standing}")
        self._defend()
        self._back_end.read(0, min(CHECK_BYTES, self._back_end.size_bytes))

    def _release(self) -> None:
        """What is under way ends first: a write that arrived after the release would be one that nobody fences."""
        with self._changing:
            if self._standing is not Standing.HELD:
                return
            self._stand(Standing.RELEASED)
            with self._using:
                is_quiet = self._using.wait_for(
                    lambda: not self._use_count, CHALLENGE_INTERVALS * self._interval_ms / 1000
                )
            if not is_quiet:
                self._stand(Standing.HELD)
                raise PathLost("the storage does not end what is under way; the disk was not released")
            self._back_end.release()

    def _stand(self, standing: Standing) -> None:
        """Whoever uses the disk began before this, and is counted, or sees it."""
        with self._using:
            self._standing = standing

    def _status(self) -> dict[str, Any]:
        return {
            "standing": self._standing,
            "because": self._because,
            "guarantee": self._back_end.guarantee,
            "key": shown(self._key.value),
            "generation": self._key.generation,
            "size_bytes": self._back_end.size_bytes,
            "ids": self._back_end.ids(),
            "defended_age_ms": self._clock.now_ms() - self._defended_ms if self._defended_ms else None,
            "io_failures": self._io_failures,
            "preempted": [
                {**each._asdict(), "key": shown(each.key), "generation": parse(each.key).generation}
                for each in self._preempted
            ],
        }

    # ---- keeping it ----

    def _keep_defending(self) -> None:
        while not self._is_over.wait(self._interval_ms / 1000) and self._standing is Standing.HELD:
            try:
                self._defend()
            except Lost:
                return
            except PathLost as error:
                silent_ms = self._clock.now_ms() - self._defended_ms
                if silent_ms > CHALLENGE_INTERVALS * self._interval_ms:
                    self._lose(f"the storage does not answer for {silent_ms} ms: {error}")

    def _defend(self) -> None:
        try:
            self._back_end.defend()
        except Lost as error:
            self._lose(str(error))
            raise
        self._defended_ms = self._clock.now_ms()

    def _lose(self, because: str) -> None:
        with self._changing:
            if self._standing is not Standing.HELD:
                return
            self._because = because
            self._stand(Standing.LOST)
        self.on_event({"event": "lost", "because": because})

    def close(self) -> None:
        self._is_over.set()
        self._back_end.close()

    # ---- what the NBD server asks ----

    @property
    def size_bytes(self) -> int:
        return self._back_end.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        return self._use(lambda: self._back_end.read(offset, length))

    def write(self, offset: int, data: bytes) -> None:
        self._use(lambda: self._back_end.write(offset, data))

    def flush(self) -> None:
        self._use(self._back_end.flush)

    def trim(self, offset: int, length: int) -> None:
        self._use(lambda: self._back_end.trim(offset, length))

    def _use(self, use: Callable[[], _Answer]) -> _Answer:
        try:
            return self._counted(use)
        except Lost as error:
            self._lose(str(error))
            raise IoRefused(EIO) from error
        except (IoFailed, PathLost) as error:
            self._io_failures += 1
            print(f"disk: {error}", file=sys.stderr, flush=True)
            raise IoRefused(ENOSPC if isinstance(error, NoRoom) else EIO) from error

    def _counted(self, use: Callable[[], _Answer]) -> _Answer:
        with self._using:
            if self._standing is not Standing.HELD:
                raise IoRefused(EPERM)
            self._use_count += 1
        try:
            return use()
        finally:
            with self._using:
                self._use_count -= 1
                self._using.notify_all()


def _refuse(words: str) -> None:
    """Who has let the disk go and takes it up again does not challenge whoever has it now."""
    raise Refused(words)


def back_end(config: Config, clock: Clock) -> BackEnd:
    """Loads only what that kind needs."""
    where = config.where
    match config.kind:
        case "iscsi":
            from resource_types.physical_disk.iscsi_link import IscsiLink, Target
            from resource_types.physical_disk.scsi_disk import ScsiDisk

            names = ("portal", "target", "unit", "initiator", "session")
            target = Target(*(where[name] for name in names))
            return ScsiDisk(lambda: IscsiLink(target), clock)
        case "device":
            from resource_types.physical_disk.scsi_disk import ScsiDisk
            from resource_types.physical_disk.sg_link import SgLink

            return ScsiDisk(lambda: SgLink(where["path"]), clock)
        case _:
            from resource_types.physical_disk.image import Image

            return Image(where["path"], config.node, clock)


def run(config: Config) -> None:
    clock = BootClock()
    disk = back_end(config, clock)
    try:
        disk.open()
    except (PathLost, OSError) as error:
        sys.exit(f"the disk cannot be reached: {error}")
    session = Session(disk, key_of(config.cluster_id, config.node, config.generation), config.interval_ms, clock)
    for name in ("nbd", "control"):
        if os.path.exists(os.path.join(config.folder, name)):
            os.unlink(os.path.join(config.folder, name))
    nbd = NbdServer(os.path.join(config.folder, "nbd"), session)
    threading.Thread(target=nbd.serve, daemon=True).start()
    control = ControlServer(os.path.join(config.folder, "control"), session.answer)
    session.on_event = control.tell_all
    control.serve()


if __name__ == "__main__":
    run(Config(**json.loads(sys.argv[1])))
