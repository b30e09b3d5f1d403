"""What does the API say of data that nodes lost, or that the others lost? Pure."""

from collections.abc import Iterator

from clusterd.api.port import NodeStatus, PeerStatus
from clusterd.api.times import time_text
from clusterd.model.states import DataState

HELD_HINT = (
    "Nothing here is whole: compare it with what you know. Restore newer copies of the nodes that went back, or delete the "
    "data folder of {node} to go on without these changes"
)


DOUBLED_HINT = (
    "A data folder belongs to one machine: stop the one that is not wanted, and let a further machine join under a name of "
    "its own"
)


def member_state(peer: PeerStatus | None) -> str:
    """joining, voter, held or amnesiac."""
    if peer is None:
        return "joining"
    match peer.data:
        case DataState.AMNESIAC | DataState.HELD:
            return peer.data.value
        case _:
            return "voter" if peer.has_vote else "joining"


def progress_percent(peer: PeerStatus | None) -> int | None:
    """How much of what is committed a node without a part in decisions holds; None: it has all, or does not say."""
    return peer.caught_up_percent if peer is not None and member_state(peer) in ("joining", "amnesiac") else None


def data_problems(status: NodeStatus) -> Iterator[str]:
    """Nodes that are there twice, committed changes that only some nodes have, and databases that differ."""
    if status.rival is not None:
        by, who = status.rival
        yield (f"this daemon is refused: {by} hears another one as {status.node} ({who}). {DOUBLED_HINT}")
    for doubled in status.doubled:
        yield (f"{doubled.node} runs twice: {doubled.stays} goes on, {doubled.refused} is refused. {DOUBLED_HINT}")
    if status.differing:
        yield (
            f"the databases of {', '.join(status.differing)} and {status.node} differ at one revision: who differs from "
            "most voters takes their state; where there is no such majority nothing is decided until a copy is chosen"
        )
    for held in status.held:
        who = ", ".join(held.went_back) or "a majority"
        until = f", acknowledged until {time_text(held.until_wall_ms)}," if held.until_wall_ms else ""
        yield (
            f"{held.node} holds the changes {held.first_index} to {held.last_index}{until} which {who} had and lost: "
            f"their data is older than what they acknowledged. {HELD_HINT.format(node=held.node)}"
        )


def what_restores(status: NodeStatus) -> str:
    """What helps where too few voters have their data; empty where enough may still have it."""
    lack = status.lack
    if lack is None:
        return ""
    lost = "lost its data" if len(lack.forgot) == 1 else "lost their data"
    who = ", ".join(lack.forgot)
    if len(lack.voters) == 1:
        return (
            f"{who}, the last voter, {lost}: nobody can admit it, and waiting does not help. Only a copy of its own data "
            f"folder restores it: stop {who}, put the newest copy back, and start it. {_holders(status)}"
        )
    return (
        f"{who} of the voters {', '.join(lack.voters)} {lost}: the rest is no majority and cannot admit anybody, and "
        f"waiting does not help. Only copies of their own data folders restore it, of at least {lack.count} of {who}: stop "
        f"the node, put its newest copy back, and start it. {_holders(status)}"
    )


def _holders(status: NodeStatus) -> str:
    """A copy that is older than what the others remember of it is no help; they hold what it must reach."""
    sound = [each for each in status.peers if each.is_reachable and each.data is DataState.SOUND and each.reach_index]
    if not sound:
        return "Nobody who is there holds any of it"
    held = "; ".join(
        f"{each.node} holds all up to change {each.reach_index} of term {each.reach_term}" for each in sound
    )
    return f"A copy from before what it last acknowledged does not count. {held}"


def what_is_kept(status: NodeStatus) -> str:
    """Which node has what, in a sentence, where some lost their data; empty where none did."""
    if all(each.data is DataState.SOUND for each in status.peers):
        return ""
    parts = []
    for peer in status.peers:
        if not peer.is_reachable:
            parts.append(f"{peer.node} cannot be asked")
        elif peer.data is DataState.AMNESIAC:
            parts.append(f"{peer.node} lost its data and has no vote until the others admit it")
        else:
            parts.append(f"{peer.node} holds all up to change {peer.reach_index} of term {peer.reach_term}")
    return "; ".join(parts)
