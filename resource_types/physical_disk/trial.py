"""How does this node take part in trials of arbitration? I/O: the trials under way in this resource host, by their keys.

Whoever makes the trial asks each node for one step after the other; the session is kept in between, because only the session
that had a claim shows what becomes of its writes. A trial that nobody goes on with takes its claim away by itself. When the
host is killed the claim stays, and the next owner of the disk ends it at once.
"""

import contextlib
import fcntl
import json
import os
import stat
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from clusterd.resource_api import effective, schema_of
from resource_types.physical_disk.back_end import IoFailed, PathLost
from resource_types.physical_disk.iscsi_link import IscsiLink, Target
from resource_types.physical_disk.keys import trial_key, words
from resource_types.physical_disk.lease_file import LeaseFile
from resource_types.physical_disk.mounts import loops_of
from resource_types.physical_disk.properties import EXACTLY_ONE, PROPERTIES, kind_and_place
from resource_types.physical_disk.session import BootClock
from resource_types.physical_disk.sg_link import SgLink
from resource_types.physical_disk.trial_claim import GaveUp, TrialClaim, Unfit
from resource_types.physical_disk.trial_image import ImageTrial
from resource_types.physical_disk.trial_scsi import ScsiTrial

LIFE_MAX_MS = 25_000
TRIALS_MAX = 128
_GET_LOCK = 36  # F_OFD_GETLK
_LOCK = struct.Struct("hhqqi4x")  # struct flock


class _Step(NamedTuple):
    """What is asked of this node, in the cluster of that id.

    `number` is that of its claim, `other` that of another one of the same trial, and
    `numbers` are all of them. After `life_ms` the claim ends by itself."""

    verb: str
    trial: str
    cluster: str
    node: str
    disk: str
    properties: Mapping[str, Any]
    numbers: tuple[int, ...]
    number: int
    other: int = 0
    life_ms: int = LIFE_MAX_MS


class _Running:
    """One claim of one trial, and the moment at which it ends by itself."""

    def __init__(self, claim: TrialClaim, life_ms: int, on_end: Callable[[], None]) -> None:
        self.claim = claim
        self.turn = threading.Lock()
        self.is_over = False
        self._timer = threading.Timer(min(life_ms, LIFE_MAX_MS) / 1000, on_end)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Raises what releasing raises; it is closed in any case."""
        self._timer.cancel()
        with self.turn:
            if self.is_over:
                return
            self.is_over = True
            try:
                self.claim.release()
            finally:
                self.claim.close()


_Name = tuple[str, str, int]
_running: dict[_Name, _Running] = {}
_changing = threading.Lock()


def take_part(body: bytes) -> bytes:
    """One step of one trial → `{"done": …, "took_us": …}`, or words: `{"gave_up": …}`, `{"unfit": …}`, `{"trouble": …}`."""
    step = _Step(**json.loads(body))
    began = time.monotonic_ns()
    try:
        done = _taken(step)
    except GaveUp as error:
        return json.dumps({"gave_up": str(error)}).encode()
    except Unfit as error:
        return json.dumps({"unfit": str(error)}).encode()
    except (PathLost, IoFailed) as error:
        return json.dumps({"trouble": str(error)}).encode()
    except OSError as error:
        words = f"{error.filename or 'libiscsi (Debian: libiscsi7)'}: {error.strerror or error}"
        return json.dumps({"trouble": words}).encode()
    return json.dumps({"done": done, "took_us": (time.monotonic_ns() - began) // 1000}).encode()


def _taken(step: _Step) -> dict[str, Any]:
    name = (step.trial, step.disk, step.number)
    if step.verb == "open":
        return _opened(name, step)
    running = _running.get(name)
    if step.verb == "release":
        if running is not None:
            _forget(name)
            running.end()
        return {}
    if running is None:
        raise PathLost("this node takes no part in the trial any more")
    with running.turn:
        if running.is_over:
            raise PathLost("the trial took too long, and was ended")
        _act(running.claim, step)
    return {}


def _act(claim: TrialClaim, step: _Step) -> None:
    other = trial_key(step.cluster, step.other).value if step.other else 0
    match step.verb:
        case "claim":
            claim.claim()
        case "challenge":
            claim.challenge(other)
        case "defend":
            claim.defend(other)
        case "take":
            claim.take(other)
        case "late-write":
            claim.late_write(other)
        case "write":
            claim.write()
        case _:
            raise PathLost(f"this node does not know the step {step.verb!r} of a trial")


def _opened(name: _Name, step: _Step) -> dict[str, Any]:
    properties = effective(step.properties, schema_of(PROPERTIES, exactly_one=EXACTLY_ONE))
    kind, where = kind_and_place(properties, node=step.node, resource=f"{step.disk}/trial-{step.number}")
    if user := user_past_the_cluster(kind, where):
        return {"user": user}
    with _changing:
        if len(_running) >= TRIALS_MAX or name in _running:
            raise PathLost(f"this node takes part in {len(_running)} trials already")
        running = _running[name] = _Running(_claim(kind, where, step), step.life_ms, lambda: _end_late(name))
    with running.turn:
        seen = running.claim.open()
    mine = trial_key(step.cluster, step.number)
    return {"size_bytes": seen.size_bytes, "ids": seen.ids, "claims": [words(each, mine) for each in seen.claims]}


def _claim(kind: str, where: Mapping[str, Any], step: _Step) -> TrialClaim:
    mine = trial_key(step.cluster, step.number).value
    of_trial = [trial_key(step.cluster, each).value for each in step.numbers]
    match kind:
        case "iscsi":
            target = Target(*(where[name] for name in ("portal", "target", "unit", "initiator", "session")))
            return ScsiTrial(lambda: IscsiLink(target), mine, of_trial)
        case "device":
            return ScsiTrial(lambda: SgLink(where["path"]), mine, of_trial)
        case _:
            return ImageTrial(where["path"], step.node, mine, of_trial, LeaseFile(where["path"], BootClock()))


def _end_late(name: _Name) -> None:
    if (running := _forget(name)) is not None:
        with contextlib.suppress(PathLost, IoFailed, GaveUp, OSError):  # then the next owner ends the claim
            running.end()


def _forget(name: _Name) -> _Running | None:
    with _changing:
        return _running.pop(name, None)


# ---- who uses it without a claim ----


def user_past_the_cluster(kind: str, where: Mapping[str, Any]) -> str:
    """Who on this machine uses the disk by hand, as far as the machine tells. A claim of ours would stop their writes."""
    path = str(where.get("path", ""))
    if kind == "image" and (loops := loops_of(os.path.realpath(path))):
        return f"{path} is behind {', '.join(loops)} of this machine"
    if kind == "image":
        return f"{path} is locked by a process that uses it" if _is_locked(path) else ""
    if kind == "device" and stat.S_ISBLK(os.stat(path).st_mode):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return f"{path} is mounted on this machine, or part of something"
    return ""


def _is_locked(path: str) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        lock = fcntl.fcntl(descriptor, _GET_LOCK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(descriptor)
    return int(_LOCK.unpack(lock)[0]) != fcntl.F_UNLCK
