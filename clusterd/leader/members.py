"""Who belongs to the cluster now, and what proves that a lost node runs nothing any more? Pure.

    down ──(a new incarnation is heard)──► up ──(silent)──► expelling ──(evidence)──► down
                                            └──(evidence: its guard or the power switch says it ended)──► down

The evidence is what lets another node take over (docs/INVARIANTS.md): *stopped* (a guard named and ended the incarnation),
*fenced* (a fence agent confirmed that this run ended) or *expired* (no later lease can exist and the last one ran out).

A membership outlives its node: one that was taken out of the cluster is expelled like one that is lost, and what it had
waits for evidence like anything else. The evidence stays.
"""

from collections.abc import Iterator
from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.leader.formation import expect_formation, form, is_cold_start
from clusterd.leader.proposal import FenceWish, Proposal
from clusterd.leader.quarantine import is_quarantined, quarantine_until, with_exit
from clusterd.leader.sight import Sight
from clusterd.membership import Silence, Suspicion
from clusterd.model import keys
from clusterd.model.counts import times
from clusterd.model.disk import DiskState
from clusterd.model.durations import rough_text
from clusterd.model.events import NODE_ENDED, NODE_EXPELLED, NODE_JOINED, NODE_QUARANTINED, Event
from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.records import EventRecord, Evidence, MembershipRecord, NodeRecord, Step
from clusterd.model.states import EvidenceKind, MembershipState

FENCE_STATUS_AGAIN_MS = 500


def decide_members(view: DatabaseView, sight: Sight) -> tuple[list[Proposal], list[FenceWish]]:
    proposals: list[Proposal] = []
    wishes: list[FenceWish] = []
    is_cold = is_cold_start(view, sight)
    for node, record in _memberships(view):
        after = _next_membership(record, node, view, sight)
        if after is not None:
            proposal = _propose(view, sight, before=record, after=after)
            if is_cold and after.state is MembershipState.UP:
                form(proposal.draft, view, sight, record.node)
            proposals.append(proposal)
        else:
            wishes.extend(_fence_wishes(record, node, sight))
    return proposals, wishes


def _memberships(view: DatabaseView) -> Iterator[tuple[NodeRecord | None, MembershipRecord]]:
    """What is agreed about every node, in join order; after them about those that were taken out of the cluster."""
    agreed = dict(view.items(MembershipRecord))
    for node in view.nodes():
        known = agreed.pop(keys.membership(node.name), None)
        yield node, known or MembershipRecord(node.name, MembershipState.JOINING)
    for record in agreed.values():
        yield None, record


def expired_at_ms(record: MembershipRecord, entry_index: int, sight: Sight) -> int | None:
    """When the last lease of an expelled node has certainly run out; None while too few voters have promised.

    Any majority of promises will do, so the one that promised earliest counts. The moment at which this leader learned
    that the voter configuration is committed also counts: a lease counted under an older one was acknowledged before.
    """
    promised = sight.promises.get(record.node, {})
    last_acks = sorted(
        promise.last_ack_ms
        for voter, promise in promised.items()
        if voter in sight.voters and promise.entry_index == entry_index
    )
    needed = len(sight.voters) // 2 + 1
    if len(last_acks) < needed:
        return None
    return max(last_acks[needed - 1], sight.configuration_learned_ms) + sight.settings.expiry_ms


def member_deadlines_ms(view: DatabaseView, sight: Sight) -> Iterator[int]:
    """When to look again although nothing happened."""
    for key, record in view.items(MembershipRecord):
        if record.state is MembershipState.EXPELLING:
            at_ms = expired_at_ms(record, view.revision_of(key), sight)
            if at_ms is not None:
                yield at_ms
        if record.quarantined_until_cluster_ms > sight.cluster_ms:
            yield sight.now_ms + record.quarantined_until_cluster_ms - sight.cluster_ms


# ---- the steps ----


def _next_membership(
    record: MembershipRecord, node: NodeRecord | None, view: DatabaseView, sight: Sight
) -> MembershipRecord | None:
    """`node` None: it was taken out of the cluster."""
    match record.state:
        case MembershipState.UP | MembershipState.EXPELLING:
            evidence = _evidence(record, view, sight)
            if evidence is not None:
                return _ended(record, evidence, view, sight)
            return _expelled(record, node, sight) if record.state is MembershipState.UP else None
        case MembershipState.DOWN | MembershipState.JOINING:
            if node is None or is_quarantined(record, node, sight.cluster_ms):
                return None
            return _admitted(record, node, sight)


def _admitted(record: MembershipRecord, node: NodeRecord, sight: Sight) -> MembershipRecord | None:
    heartbeat = sight.detector.last(record.node)
    if heartbeat is None or not heartbeat.incarnation or heartbeat.is_leaving:
        return None
    if sight.detector.age_ms(record.node, sight.now_ms) > sight.settings.silence_max_ms:
        return None
    if heartbeat.incarnation == record.incarnation or heartbeat.incarnation in sight.ended.get(record.node, ()):
        return None
    if _suspicion(record.node, heartbeat.incarnation, sight, is_admitted=False) is not None:
        return None
    if record.node in sight.mute_since:
        return None
    because = f"its guard began run {heartbeat.incarnation}"
    return MembershipRecord(
        record.node,
        MembershipState.UP,
        incarnation=heartbeat.incarnation,
        run_id=heartbeat.run_id,
        because=because,
        since_wall_ms=sight.wall_ms,
        steps=(sight.step(f"admitted: {because}"),),
        exits=() if node.clear_quarantine_id != record.clear_quarantine_id else record.exits,
        clear_quarantine_id=node.clear_quarantine_id,
    )


def _expelled(record: MembershipRecord, node: NodeRecord | None, sight: Sight) -> MembershipRecord | None:
    is_me = record.node == sight.me
    suspicion = None if is_me else _suspicion(record.node, record.incarnation, sight, is_admitted=True)
    if node is None:
        because = "it was taken out of the cluster"
    elif node.fence_id and node.fence_id == record.incarnation:
        because = "an operator asked to end its run"
    elif suspicion is not None:
        because = silence_text(suspicion, record.incarnation) + _last_words(record.node, sight)
    elif (
        mute_ms := sight.now_ms - sight.mute_since.get(record.node, sight.now_ms)
    ) > sight.settings.stream_loss_limit_ms:
        because = f"it is heard, but no stream carried anything to it for {mute_ms} ms"
    elif _says_other_run(record, sight):
        because = f"its daemon says that its guard is not in run {record.incarnation} any more"
    else:
        return None
    steps = (
        *_silence(record.node, sight.now_ms - sight.detector.age_ms(record.node, sight.now_ms), sight),
        sight.step(f"suspected by {sight.me}: {because}"),
        sight.step("expelled: no voter acknowledges it any more, so its run lease cannot be renewed"),
    )
    return replace(
        record,
        state=MembershipState.EXPELLING,
        because=because,
        since_wall_ms=sight.wall_ms,
        steps=steps,
        evidence=None,
    )


def silence_text(found: Suspicion, incarnation: Incarnation) -> str:
    """What is missing, and for how long."""
    lasted = f"for {found.silent_ms} ms (limit {found.silence_max_ms} ms)"
    match found.kind:
        case Silence.BOTH_WAYS:
            return f"a majority of the voters has not exchanged heartbeats with it {lasted}"
        case Silence.UNHEARD:
            return f"a majority of the voters has not heard it {lasted}, although it hears them"
        case Silence.DEAF:
            return f"it has not heard a majority of the voters {lasted}, although they hear it"
        case Silence.MIXED:
            return f"no majority of the voters has both heard it and been heard by it {lasted}"
        case Silence.OTHER_RUN:
            return f"no heartbeat of its run {incarnation} has come {lasted}"


def _last_words(node: NodeId, sight: Sight) -> str:
    """What it said of its disk before it fell silent, when that was the reason."""
    last = sight.detector.last(node)
    if last is None or last.disk.state is not DiskState.FAILED:
        return ""
    return f"; it said before that its disk failed: {last.disk.text}"


def _says_other_run(record: MembershipRecord, sight: Sight) -> bool:
    """The node is there, with another run of its guard than the one that was admitted. Expelling proves nothing yet.

    One that names no run is given the silence limit: its daemon may only not have reached the guard yet.
    """
    last = sight.detector.last(record.node)
    if last is None or last.incarnation == record.incarnation:
        return False
    silent_ms = sight.detector.silent_ms(record.node, record.incarnation, sight.now_ms)
    return bool(last.incarnation) or silent_ms > sight.settings.silence_max_ms


def _suspicion(node: NodeId, incarnation: Incarnation, sight: Sight, *, is_admitted: bool) -> Suspicion | None:
    return sight.detector.suspect(
        node,
        incarnation,
        sight.voters,
        now_ms=sight.now_ms,
        silence_max_ms=sight.settings.silence_max_ms,
        is_admitted=is_admitted,
    )


def _ended(record: MembershipRecord, evidence: Evidence, view: DatabaseView, sight: Sight) -> MembershipRecord:
    steps = record.steps
    last = sight.detector.last(record.node)
    is_clean = last is not None and last.is_leaving
    exits = record.exits if is_clean else with_exit(record, sight)
    until_ms = 0 if is_clean else quarantine_until(record, exits, view, sight)
    if record.state is MembershipState.UP:
        at_ms = last.received_ms if last else sight.now_ms
        steps = _silence(record.node, at_ms, sight)
        if record.node in sight.broken_links:
            steps += (sight.step(f"the link from {sight.me} to {record.node} broke: looked at once"),)
    return replace(
        record,
        state=MembershipState.DOWN,
        because=evidence.text,
        evidence=evidence,
        since_wall_ms=sight.wall_ms,
        steps=(*steps, sight.step(f"evidence ({evidence.kind}): {evidence.text}", wall_ms=evidence.wall_ms)),
        exits=exits,
        quarantined_until_cluster_ms=until_ms,
    )


def _silence(node: NodeId, at_ms: int, sight: Sight) -> tuple[Step, ...]:
    """How the chain of causes begins: the last that was heard, and the leader that noticed, if it is a new one."""
    heard = sight.step(f"last heartbeat of {node} reached {sight.me}", at_ms)
    if not sight.term or sight.leading_since_ms < at_ms:
        return (heard,)
    return (heard, sight.step(f"{sight.me} became the leader of term {sight.term}", sight.leading_since_ms))


def _evidence(record: MembershipRecord, view: DatabaseView, sight: Sight) -> Evidence | None:
    if record.incarnation in sight.ended.get(record.node, ()):
        text = f"the guard of {record.node} proved that run {record.incarnation} ended and left nothing behind"
        return Evidence(EvidenceKind.STOPPED, text, sight.wall_ms)
    known = sight.fence.get(record.node)
    if known and known.run_id == record.run_id and known.has_ended:
        agent = sight.fence_agents.get(record.node, "fence agent")
        return Evidence(
            EvidenceKind.FENCED,
            f"{agent} confirmed that run {known.run_id} of {record.node} ended",
            sight.wall_of(known.at_ms),
        )
    if record.state is not MembershipState.EXPELLING:
        return None
    expired_ms = expired_at_ms(record, view.revision_of(keys.membership(record.node)), sight)
    if expired_ms is None or sight.now_ms < expired_ms:
        return None
    wait_ms = sight.settings.expiry_ms
    text = f"a majority acknowledged {record.node} last more than {wait_ms} ms ago, so its last run lease ran out"
    return Evidence(EvidenceKind.EXPIRED, text, sight.wall_of(expired_ms))


def _fence_wishes(record: MembershipRecord, node: NodeRecord | None, sight: Sight) -> Iterator[FenceWish]:
    """A broken link or a suspicion is a reason to look; only a committed expelling is a reason to shoot."""
    agent = sight.fence_agents.get(record.node)
    if agent is None or record.node == sight.me or not record.run_id:
        return
    if record.state is MembershipState.EXPELLING:
        # A node that is heard obeys its own lease; only one that is silent, or that an operator named, is shot.
        is_named = node is not None and node.fence_id == record.incarnation
        if is_named or sight.detector.age_ms(record.node, sight.now_ms) > sight.settings.silence_max_ms:
            yield FenceWish(record.node, record.run_id, "off", agent)
    elif record.state is MembershipState.UP and record.node in sight.broken_links:
        known = sight.fence.get(record.node)
        is_fresh = known and known.run_id == record.run_id and sight.now_ms - known.at_ms < FENCE_STATUS_AGAIN_MS
        if not is_fresh:
            yield FenceWish(record.node, record.run_id, "status", agent)


def _propose(view: DatabaseView, sight: Sight, *, before: MembershipRecord, after: MembershipRecord) -> Proposal:
    kind = _EVENT_OF_STATE[after.state]
    draft = Draft(view).replace(after)
    if after.state is MembershipState.UP:
        expect_formation(draft)
    if after.quarantined_until_cluster_ms:
        draft.event(
            EventRecord(
                sight.wall_ms,
                NODE_QUARANTINED.name,
                NODE_QUARANTINED.level,
                node=after.node,
                message=f"{after.node} is quarantined for {rough_text(sight.settings.quarantine_duration_ms)}",
                because=f"it was lost {times(len(after.exits))} within an hour",
            )
        )
    draft.event(
        EventRecord(
            sight.wall_ms,
            kind.name,
            kind.level,
            node=after.node,
            message=_MESSAGE_OF_STATE[after.state].format(node=after.node),
            because=after.because,
        )
    )
    return Proposal(f"node/{before.node}", draft)


_EVENT_OF_STATE: dict[MembershipState, Event] = {
    MembershipState.UP: NODE_JOINED,
    MembershipState.EXPELLING: NODE_EXPELLED,
    MembershipState.DOWN: NODE_ENDED,
}
_MESSAGE_OF_STATE = {
    MembershipState.UP: "{node} is up",
    MembershipState.EXPELLING: "{node} is expelled: it may not renew its run lease",
    MembershipState.DOWN: "{node} is down: it is proven to run nothing",
}


def is_usable(view: DatabaseView, node: NodeId) -> bool:
    """Whether a node can be given a group: admitted, and neither expelled nor down."""
    record = view.membership(node)
    return record is not None and record.state is MembershipState.UP
