"""Did a resource type do what it says, and inside of its containment? I/O: /proc; in the call's own thread.

Whatever a resource type starts by itself (`subprocess`) is a child of the host, and nothing would end it with the resource:
two copies could run. It is ended at once, and the call has failed. A method that only returned a coroutine or a generator
has not even begun.
"""

import os
import threading
import time
import types
from collections.abc import Callable, Iterable
from typing import TypeVar

from clusterd.adapters.containment import HOST_ITSELF
from clusterd.adapters.containment_proc import TAG_VARIABLE, ProcessSeen, process, signal_process, tag_of
from clusterd.adapters.containment_scan import look

T = TypeVar("T")
GONE_WITHIN_S = 1.0
_LOOK_AGAIN_S = 0.002
_NAMED_MAX = 4


class NothingDone(Exception):
    """The method is a coroutine or a generator: nobody ran it."""


class Uncontained(Exception):
    """Something was started outside of the containment."""


def judged(verb: str, function: Callable[[], T]) -> T:
    """Call it in this thread. Raises what it raises, `NothingDone` and `Uncontained`."""
    try:
        answer = function()
    except BaseException:
        _end(_children(threading.get_native_id()))
        raise
    loose = _children(threading.get_native_id())
    if loose:
        raise Uncontained(f"{verb} {_end(loose)}")
    if isinstance(answer, types.CoroutineType):
        answer.close()  # nobody awaits it, and Python would say so on standard error
    if isinstance(answer, types.CoroutineType | types.GeneratorType | types.AsyncGeneratorType):
        raise NothingDone(
            f"{verb} returned a {type(answer).__name__} and did nothing: write it without async and yield"
        )
    return answer


class Orphans:
    """What became a child of the host because its parent ended, and is in no resource's containment."""

    def __init__(self, spawner_pid: int) -> None:
        self._spawner_pid = spawner_pid
        self._own_tag = os.environ.get(TAG_VARIABLE, "")

    def end(self, on_found: Callable[[str], None], *, is_mine: bool = False) -> None:
        """Raises Uncontained when they are the caller's for certain: no other call was under way."""
        children = (each for each in _children(os.getpid()) if each.pid != self._spawner_pid)
        found = _end([each for each in children if self._is_loose(each.pid)])
        if found and is_mine:
            raise Uncontained(f"it {found}")
        if found:
            on_found(f"a resource type of this host {found}")

    def _is_loose(self, pid: int) -> bool:
        return (bool(self._own_tag) and tag_of(pid) == self._own_tag) or _group_of(pid).endswith(f"/{HOST_ITSELF}")


def _children(thread_id: int) -> list[ProcessSeen]:
    """The running children of one thread of this process."""
    try:
        with open(f"/proc/self/task/{thread_id}/children", "rb") as file:
            pids = [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return []
    return [seen for pid in pids if (seen := process(pid)) is not None]


def _group_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "")
    except OSError:
        return ""


def _end(loose: Iterable[ProcessSeen]) -> str:
    """Kill them and what descends from them."""
    first = list(loose)
    if not first:
        return ""
    until = time.monotonic() + GONE_WITHIN_S
    left = look().with_descendants(each.pid for each in first)
    words = _words(left or first)
    while left and time.monotonic() < until:
        for each in left:
            signal_process(each)
        time.sleep(_LOOK_AGAIN_S)
        left = [each for each in left if _runs(each)]
    became = f"{len(left)} of them survive SIGKILL" if left else "they were killed"
    return (
        f"started processes outside of its containment, where nothing ends them ({words}; {became}): start them through "
        "context.processes"
    )


def _runs(seen: ProcessSeen) -> bool:
    now = process(seen.pid)
    return now is not None and now.start_ticks == seen.start_ticks


def _words(found: list[ProcessSeen]) -> str:
    named = ", ".join(f"pid {each.pid} ({_name(each.pid)})" for each in found[:_NAMED_MAX])
    return named + (f" and {len(found) - _NAMED_MAX} more" if len(found) > _NAMED_MAX else "")


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "ended"
