"""Who holds a disk, and what does that let us do? Pure.

A key has 64 bits: 24 of a hash of the cluster's id (another cluster may have its name), 8 of a hash of the node's name, 32
of the group's generation. The generation makes keys of one cluster comparable: the cluster raises it with every change of
owner, and only with evidence that the old owner is gone. So a lower generation may be preempted at once, a higher one never.
Keys of others (another cluster, a tool) say nothing; their holder is challenged, which gives it two intervals to defend
itself.

Generation 0 is that of trials (`clusterctl validate`), which no owner ever has: any owner ends such a claim at once. There
the 8 bits of the node are a number that tells the claims of one trial from those of another.
"""

import hashlib
from enum import StrEnum
from typing import NamedTuple

GENERATION_MAX = 0xFFFF_FFFF
TRIAL_NUMBER_MAX = 0xFF


class Key(NamedTuple):
    """What a node registers at a disk."""

    cluster: int
    node: int
    generation: int

    @property
    def value(self) -> int:
        return self.cluster << 40 | self.node << 32 | self.generation

    def __str__(self) -> str:
        return shown(self.value)


class View(NamedTuple):
    """Who is registered at a disk, and who holds it."""

    holder: int | None
    registered: tuple[int, ...] = ()


class Verdict(StrEnum):
    """What to do next. The first four are answers to a challenger, the others to the owner."""

    RESERVE = "reserve"
    PREEMPT = "preempt"
    CHALLENGE = "challenge"
    REFUSE = "refuse"
    HOLD = "hold"
    RESTORE = "restore"
    LOST = "lost"


class Judgement(NamedTuple):
    verdict: Verdict
    because: str


def key_of(cluster_id: str, node: str, generation: int) -> Key:
    if not 0 < generation <= GENERATION_MAX:
        raise ValueError(f"a generation is between 1 and {GENERATION_MAX}, not {generation}")
    return Key(_hash(cluster_id, 3), _hash(node, 1), generation)


def trial_key(cluster_id: str, number: int) -> Key:
    if not 0 < number <= TRIAL_NUMBER_MAX:
        raise ValueError(f"the number of a trial's claim is between 1 and {TRIAL_NUMBER_MAX}, not {number}")
    return Key(_hash(cluster_id, 3), number, 0)


def parse(value: int) -> Key:
    return Key(value >> 40 & 0xFFFFFF, value >> 32 & 0xFF, value & 0xFFFF_FFFF)


def shown(value: int) -> str:
    return f"0x{value:016x}"


def words(value: int, mine: Key) -> str:
    """A key as a person reads it."""
    key = parse(value)
    if key.cluster != mine.cluster:
        return f"{shown(value)}, which is no key of this cluster"
    if not key.generation:
        return f"{shown(value)}, a trial by this cluster's validate"
    return f"{shown(value)}, generation {key.generation} of this cluster"


def arbitrate(view: View, mine: Key) -> Judgement:
    """May we take the disk? Nobody that the cluster named after us is ever preempted."""
    if (newer := _newer(view, mine)) is not None:
        claim = f"{words(newer, mine)}, is newer than our generation {mine.generation}"
        return Judgement(Verdict.REFUSE, f"{claim}; when no node uses the disk: clusterctl resource clear-claim")
    if view.holder is None:
        return Judgement(Verdict.RESERVE, "nobody holds it")
    holder = parse(view.holder)
    if view.holder == mine.value:
        return Judgement(Verdict.PREEMPT, "an earlier session of this node under this generation holds it")
    if holder.cluster == mine.cluster and holder.generation < mine.generation:
        return Judgement(Verdict.PREEMPT, f"generation {holder.generation} is over: the cluster gave it to us since")
    return Judgement(Verdict.CHALLENGE, f"held by {words(view.holder, mine)}")


def defend(view: View, mine: Key, *, was_heard_lately: bool) -> Judgement:
    """Is it still ours? `was_heard_lately`: we last saw that it was within two intervals.

    A target that restarts may forget everybody. An owner that was there all the time registers again; one that was frozen
    meanwhile cannot know who had the disk since, and gives up.
    """
    if (newer := _newer(view, mine)) is not None:
        return Judgement(Verdict.LOST, f"the cluster gave it to {words(newer, mine)}")
    is_registered = mine.value in view.registered
    if view.holder == mine.value and is_registered:
        return Judgement(Verdict.HOLD, "")
    if view.holder is not None and view.holder != mine.value:
        holder = parse(view.holder)
        is_older = holder.cluster == mine.cluster and holder.generation < mine.generation
        if not (is_older and was_heard_lately):
            return Judgement(Verdict.LOST, f"it is held by {words(view.holder, mine)}")
        return Judgement(Verdict.RESTORE, f"an owner that is over, {words(view.holder, mine)}, took it")
    if is_registered or was_heard_lately:
        return Judgement(Verdict.RESTORE, "the reservation was forgotten")
    return Judgement(Verdict.LOST, "the reservation is gone, and we did not look for more than two intervals")


def _newer(view: View, mine: Key) -> int | None:
    keys = {*view.registered, *([] if view.holder is None else [view.holder])}
    newer = [key for key in keys if parse(key).cluster == mine.cluster and parse(key).generation > mine.generation]
    return max(newer, key=lambda key: parse(key).generation, default=None)


def _hash(name: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.lower().encode(), digest_size=size).digest(), "big")
