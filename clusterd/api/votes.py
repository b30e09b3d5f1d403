"""Why can nothing be decided, and what helps? Pure. The votes as this node counts them, each case in its own words."""

from collections.abc import Iterable

from clusterd.api.data_view import what_is_kept, what_restores
from clusterd.api.port import NodeStatus, PeerStatus
from clusterd.model.disk import disk_fault_text
from clusterd.model.states import DataState

_DATA = {
    DataState.SOUND: "nobody here knows why",
    DataState.AMNESIAC: "it lost its data, and has to be admitted again",
    DataState.HELD: "it has committed changes that the others lost",
}


def no_quorum_text(status: NodeStatus) -> str:
    """What is missing, what follows from it, and what helps."""
    if restores := what_restores(status):
        return f"{status.node} has no quorum: nothing can be changed and nothing runs here. {restores}"
    if kept := what_is_kept(status):
        return (
            f"{status.node} has no quorum: nothing can be changed and nothing runs here. {kept}. Start what is missing"
        )
    return f"{votes_text(status)}: nothing can be changed and nothing runs here; {advice_text(status)}"


def votes_text(status: NodeStatus) -> str:
    """How many votes this node reaches, of how many, and how many it needs."""
    voters = _voters(status)
    if not voters:
        return f"{status.node} knows of no voter yet"
    votes = f"{status.voters_reachable} of {len(voters)} {'vote' if len(voters) == 1 else 'votes'}"
    if status.voters_reachable < status.voters_needed:
        return f"{status.node} reaches {votes} and needs {status.voters_needed}"
    return f"{status.node} reaches {votes}, which is enough, but follows no leader"


def advice_text(status: NodeStatus) -> str:
    """What to do; it goes on after 'try: '."""
    voters = _voters(status)
    if not voters:
        return "it waits until the others have admitted it: are they running, and are their links up?"
    if status.voters_reachable >= status.voters_needed:
        reached = ", ".join(each.node for each in voters if each.is_reachable)
        return f"a leader is elected within seconds; if none is, the logs of the daemons say why: {reached}"
    advice = [text for text in (_missing(voters), *_mute(voters)) if text]
    return "; ".join(advice) or "the logs of the daemons say why"


def _voters(status: NodeStatus) -> list[PeerStatus]:
    return [each for each in status.peers if each.has_vote]


def _missing(voters: Iterable[PeerStatus]) -> str:
    missing = [each.node for each in voters if not each.is_reachable]
    if not missing:
        return ""
    what = "the missing node or mend its links" if len(missing) == 1 else "the missing nodes or mend their links"
    return f"start {what}: {', '.join(missing)}"


def _mute(voters: Iterable[PeerStatus]) -> Iterable[str]:
    """Who is there and cannot give the vote that it has."""
    for each in voters:
        if each.is_reachable and not each.may_vote:
            fault = disk_fault_text(each.disk.state, each.disk.took_ms, each.disk.text)
            yield f"{each.node} may not vote now: {fault or _DATA[each.data]}"
