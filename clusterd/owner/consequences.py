"""What follows from an answer or an event of a host? Pure. Changes what is held; the next plan acts on it."""

from dataclasses import replace

from clusterd.model.events import HOST_HUNG, RESOURCE_STATE_CHANGED, note
from clusterd.model.ids import ResourceId
from clusterd.model.states import ResourceState
from clusterd.owner.commands import CallAnswer, CallOutcome, HostCall, Verb
from clusterd.owner.desk import Desk
from clusterd.owner.group import OwnedGroup
from clusterd.owner.machine import Happening, Held, advance
from clusterd.owner.plan import Now
from clusterd.owner.policy import after_failure, retry_only

STOP_AGAIN_MS = 2000
NEVER_MS = 1 << 53


def online_answered(desk: Desk, group: OwnedGroup, name: str, answer: CallAnswer, now: Now) -> None:
    match answer.outcome:
        case CallOutcome.DONE:
            group.held[name] = replace(group.held[name], pid=answer.pid)
            apply(desk, group, name, Happening.ONLINE_DONE, answer.message, now)
        case CallOutcome.NOT_ON_THIS_NODE:
            # What it began before it said so is stopped first: only a confirmed stop clears `may_run`.
            apply(desk, group, name, Happening.NOT_ON_THIS_NODE, answer.message, now)
            retry = retry_only(group.settings[name], now.cluster_ms)
            group.held[name] = replace(
                group.held[name], next_action=retry.action, next_action_cluster_ms=retry.at_cluster_ms
            )
            group.failed_over_by, group.failed_over_because = group.held[name].name, answer.message
        case CallOutcome.HUNG:
            apply(desk, group, name, Happening.ONLINE_FAILED, answer.message, now)
            kill_host_of(desk, name, f"hung call online of {group.held[name].name}")
        case _:
            apply(desk, group, name, Happening.ONLINE_FAILED, answer.message, now)


def stop_answered(desk: Desk, group: OwnedGroup, name: str, call: HostCall, answer: CallAnswer, now: Now) -> None:
    held = group.held[name]
    if answer.outcome is CallOutcome.DONE:
        group.held[name] = replace(held, may_run=False, pid=0, evidence="")
        desk.hosts.displace(held.name)
        desk.hosts.forget_calls(held.name)
        desk.stop_again_ms.pop(name, None)
        apply(desk, group, name, Happening.OFFLINE_DONE, answer.message, now)
    elif answer.outcome is CallOutcome.HUNG:
        kill_host_of(desk, name, f"hung call {call.verb} of {held.name}")
    elif call.verb is Verb.OFFLINE:
        # What does not stop gracefully is terminated; FAILED is only what it is called until that is confirmed.
        apply(desk, group, name, Happening.STOP_FAILED, answer.message, now)
    else:
        group.held[name] = replace(held, evidence=answer.message)
        apply(desk, group, name, Happening.STOP_FAILED, answer.message, now)
        desk.stop_again_ms[name] = now.now_ms + STOP_AGAIN_MS


def apply(desk: Desk, group: OwnedGroup, name: str, what: Happening, because: str, now: Now) -> None:
    """Move a resource by one happening, with everything that follows from its new state."""
    before = group.held[name]
    after = advance(before, what, because=because, wall_ms=now.wall_ms)
    if after is before:
        return
    if after.state is ResourceState.FAILED:
        after = judge(desk, group, name, after, now)
    if after.state is ResourceState.ONLINE and group.failed_over_by == after.name:
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""
    if what is Happening.STOPPED_ITSELF:
        # It rests until somebody asks for it: what ends by itself at once would otherwise start for ever.
        after = replace(after, may_run=True, next_action="rest", next_action_cluster_ms=NEVER_MS)
    group.held[name] = after
    desk.mark(group)
    desk.notes.append(
        note(
            RESOURCE_STATE_CHANGED,
            group=group.record.name,
            resource=after.name,
            was=before.state,
            now=after.state,
            because=after.cause,
        )
    )


def judge(desk: Desk, group: OwnedGroup, name: str, held: Held, now: Now) -> Held:
    """The failure policy; what is not wanted here now only has to be stopped, and comes back when it is wanted."""
    record = group.records.get(name)
    if not group.is_wanted_here or desk.is_node_stopping or record is None or record.wanted != "online":
        return replace(held, next_action="resume", next_action_cluster_ms=1)
    verdict = after_failure(group.settings[name], held.restarts, desk.node, now.cluster_ms)
    if verdict.asks_for_other_node:
        group.failed_over_by = held.name
        group.failed_over_because = f"{held.cause} ({verdict.text})"
    return replace(
        held,
        cause=f"{held.cause} ({verdict.text})",
        next_action=verdict.action,
        next_action_cluster_ms=verdict.at_cluster_ms,
    )


def kill_host_of(desk: Desk, name: str, because: str) -> None:
    group, held = desk.find(name)
    if group is None or held is None:
        return
    host, _ = desk.hosts.ensure(held.name, group.settings[name])
    kill = desk.hosts.kill(host, because)
    if kill is not None:
        desk.hosts.set_apart(held.name)
        desk.kills.append(kill)
        desk.notes.append(note(HOST_HUNG, host=host, resource=held.name, call=because))
