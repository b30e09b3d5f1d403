"""Who may get this node's vote, and when does it ask for the votes of others? Pure.

A voter that hears no leader first asks whether it *would* be elected (pre-vote, Raft thesis section 9.6), which changes
nobody's term, so a node that comes back from a partition disturbs nothing. While a node hears a live leader it grants
nothing, with two exceptions: the leader itself handed over, or the candidate's link to the leader broke and so did the
link of the node that is asked. The second makes the death of a leader's process known at once: its connections end, the
voters stand in rank order some milliseconds apart, and need not wait out their timers. It is safe because no read or
write relies on time: a leader that is alive after all finds out by the term.
"""

from clusterd.consensus import replication
from clusterd.consensus.configurations import votes_needed
from clusterd.consensus.core import Core
from clusterd.consensus.outputs import Role
from clusterd.model.events import ELECTION_STARTED, note
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import ConsensusMessage, VoteReply, VoteRequest

# ---- the vote of this node ----


def hears_leader(core: Core) -> bool:
    """Is there a live leader, as far as this node knows?"""
    if core.role is Role.LEADER:
        return True
    return core.leader is not None and core.now_ms - core.heard_ms < core.settings.election_timeout_ms


def refusal(core: Core, sender: NodeId, term: int, request: VoteRequest) -> str | None:
    """Why `sender` does not get the vote, or the pre-vote, that it asks for in `term`; None when it does."""
    if core.is_amnesiac:
        return "this node lost what it promised"
    if core.is_held:
        return "the others lack what is committed here"
    if core.is_disk_refusing and request.is_pre_vote:
        return "its disk takes no writes: the vote itself could not be given"
    if request.is_pre_vote and term <= core.term:
        return "its term would be no new one"
    if term < core.term:
        return "its term is over"
    if hears_leader(core) and not _is_excused(core, request):
        return "there is a live leader"
    if not request.is_pre_vote and term == core.term and core.voted_for not in ("", sender):
        return "the vote of this term is given away"
    if not core.log.is_behind(request.last_index, request.last_term):
        return "its log lacks entries that this one has"
    return None


def _is_excused(core: Core, request: VoteRequest) -> bool:
    if request.is_transfer and not request.is_pre_vote:
        return True
    return request.leader_link_broke and core.leader_link_broke and core.role is not Role.LEADER


def on_vote_request(core: Core, sender: NodeId, message: ConsensusMessage) -> None:
    """Answer it. A real request from a newer term ends the present one here, unless a live leader forbids that."""
    request, term = message.vote_request, message.term
    if request.is_pre_vote:
        granted = refusal(core, sender, term, request) is None
        reply = VoteReply(is_pre_vote=True, granted=granted)
        core.send(sender, ConsensusMessage(term=term if granted else core.term, vote_reply=reply))
        return
    if term > core.term:
        if hears_leader(core) and not _is_excused(core, request):
            return
        core.become_follower(term, None, f"{sender} asks for votes in a newer term")
    granted = refusal(core, sender, term, request) is None
    answer = ConsensusMessage(term=core.term, vote_reply=VoteReply(granted=granted))
    if not granted:
        core.send(sender, answer)
        return
    if core.voted_for != sender:
        core.voted_for = sender
        core.durability.hard_state_changed()
    core.restart_election_timer()
    core.early_stand_at_ms = None
    core.durability.send_when_durable(sender, answer)


# ---- the votes of others ----


def stand(core: Core, because: str) -> None:
    """Ask the other voters whether they would vote for this node. Does nothing on a node that has no vote itself."""
    broke = core.leader_link_broke
    core.forget_leader()
    core.restart_election_timer()
    if not core.may_stand:
        return
    core.leader_link_broke = core.is_early = broke
    core.is_handed_over = False
    core.role = Role.PRE_CANDIDATE
    core.votes = {core.node: True}
    core.note(note(ELECTION_STARTED, term=core.term + 1, pre_vote=True, because=because))
    _ask(core, core.term + 1, is_pre_vote=True)
    _count(core)


def campaign(core: Core, because: str, *, is_handed_over: bool = False) -> None:
    """Begin a new term and ask for votes in it; the own vote counts once it is durable."""
    broke, core.is_handed_over = core.is_early and not is_handed_over, is_handed_over
    core.become_follower(core.term + 1, None, because)
    core.is_early = core.leader_link_broke = broke
    core.role = Role.CANDIDATE
    core.voted_for = core.node
    core.restart_election_timer()
    core.note(note(ELECTION_STARTED, term=core.term, pre_vote=False, because=because))
    own = ConsensusMessage(term=core.term, vote_reply=VoteReply(granted=True))
    core.durability.send_when_durable(core.node, own)
    _ask(core, core.term, is_pre_vote=False)


def _ask(core: Core, term: int, *, is_pre_vote: bool) -> None:
    request = VoteRequest(
        is_pre_vote=is_pre_vote,
        last_index=core.log.last_index,
        last_term=core.log.last_term,
        leader_link_broke=core.is_early,
        is_transfer=core.is_handed_over,
    )
    message = ConsensusMessage(term=term, vote_request=request)
    for voter in core.configurations.voters:
        if voter == core.node:
            continue
        if is_pre_vote:
            core.send(voter, message)
        else:
            core.durability.send_when_durable(voter, message)


def on_vote_reply(core: Core, sender: NodeId, message: ConsensusMessage) -> None:
    reply = message.vote_reply
    if reply.is_pre_vote:
        is_awaited = core.role is Role.PRE_CANDIDATE and message.term == core.term + 1
    else:
        is_awaited = core.role is Role.CANDIDATE and message.term == core.term
    if is_awaited and reply.granted:
        core.votes[sender] = True
        _count(core)


def _count(core: Core) -> None:
    voters = core.configurations.voters
    given = [voter for voter in voters if core.votes.get(voter)]
    if len(given) < votes_needed(len(voters)):
        return
    if core.role is Role.PRE_CANDIDATE:
        campaign(core, "enough voters would vote for this node")
    elif core.role is Role.CANDIDATE:
        replication.begin(core, votes=given)


# ---- when to ask ----


def leader_link_broke(core: Core) -> None:
    """Stand soon instead of waiting out the timer, once a term, in rank order among the other voters."""
    if core.role is not Role.FOLLOWER or core.leader is None:
        return
    core.leader_link_broke = True
    if not core.may_stand or core.early_stand_term == core.term:
        return
    others = sorted({*core.configurations.voters, core.node} - {core.leader})
    stagger_ms = core.settings.early_stand_stagger_ms
    wait_ms = others.index(core.node) * stagger_ms + core.random.randrange(stagger_ms // 2 + 1)
    core.early_stand_at_ms = core.now_ms + wait_ms


def first_link_opened(core: Core) -> None:
    """A node that has known no leader since its start stands soon after it reaches others, instead of waiting out the
    timer: a cluster that starts has a leader at once, and one that has a leader refuses the pre-vote."""
    voters = core.configurations.voters
    if core.role is not Role.FOLLOWER or core.has_known_leader or core.node not in voters:
        return
    stagger_ms = core.settings.early_stand_stagger_ms
    wait_ms = (2 + voters.index(core.node)) * stagger_ms + core.random.randrange(stagger_ms // 2 + 1)
    core.election_at_ms = min(core.election_at_ms, core.now_ms + wait_ms)


def leader_link_opened(core: Core) -> None:
    core.leader_link_broke = False
    core.early_stand_at_ms = None


def tick(core: Core) -> None:
    """Stand when it is time."""
    if core.role is Role.LEADER:
        return
    if core.early_stand_at_ms is not None and core.now_ms >= core.early_stand_at_ms:
        core.early_stand_term = core.term
        stand(core, f"the link to the leader {core.leader} broke")
    elif core.now_ms >= core.election_at_ms:
        core.leader_link_broke = False
        stand(core, f"no leader was heard for {core.now_ms - core.heard_ms} ms")


def on_timeout_now(core: Core, sender: NodeId) -> None:
    """The leader hands over: no pre-vote, it would be refused while the leader lives."""
    if core.may_stand and core.role is Role.FOLLOWER and core.leader in (None, sender):
        campaign(core, f"the leader {sender} handed over", is_handed_over=True)
