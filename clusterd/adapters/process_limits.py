"""How much may this process hold, and who dies first when memory runs out? I/O: rlimits and oom_score_adj of this process.

A host needs two descriptors for each process that it watches, and the usual soft limit of 1024 is there for programs that
use select(2), not for it. So each process of a node raises its own limit as far as it may; a workload gets back what the
node was started with.

When memory runs out the kernel kills the process with the highest score. Workloads go before the host that would restart
them, the host before or with the daemon, the guard last: it alone proves that nothing runs twice.
"""

import contextlib
import resource
from enum import IntEnum

DESCRIPTORS_WANTED = 65_536
DESCRIPTORS_RESERVED = 64
"""What starts leave for stops, checks and looks at what runs."""
_SCORE_FILE = "/proc/self/oom_score_adj"
_SCORE_MAX = 1000


class Rank(IntEnum):
    """Its score where the process may lower it; the order holds in any case."""

    GUARD = -950
    DAEMON = -900
    HOST = -800
    WORKLOAD = 0


_STEP = {Rank.GUARD: 0, Rank.DAEMON: 10, Rank.HOST: 20, Rank.WORKLOAD: 30}
"""Over the lowest score that is allowed, where it may not be lowered: a hundredth of the memory each."""


def raise_descriptor_limit() -> int:
    """As far as it may, up to what is wanted. Returns the soft limit that held before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft


def is_near_descriptor_limit(descriptor: int) -> bool:
    """Whether a descriptor that was just opened is one of the last. Numbers are given from the lowest that is free."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft != resource.RLIM_INFINITY and descriptor >= soft - DESCRIPTORS_RESERVED


def restore_descriptor_limit(soft: int) -> None:
    """In a child, before it becomes a workload."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def take_oom_rank(rank: Rank) -> None:
    """As low as it should be, or else its place above the lowest that this process may have."""
    if (rank is not Rank.WORKLOAD or _inherited_score() < rank) and _write_score(rank):
        return
    # What an unprivileged process may not go below nobody tells: it is what some privileged one set last, and inherited.
    for lowest in range(0, _SCORE_MAX, 100):
        if _write_score(min(lowest + _STEP[rank], _SCORE_MAX)):
            return


def _inherited_score() -> int:
    """Of a workload: its host's."""
    try:
        with open(_SCORE_FILE, encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return _SCORE_MAX


def _write_score(score: int) -> bool:
    try:
        with open(_SCORE_FILE, "w", encoding="ascii") as file:
            file.write(str(int(score)))
    except OSError:
        return False
    return True
