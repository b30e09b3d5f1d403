"""What follows from an answer or an event of a host? Pure. Changes what is held; the next plan acts on it."""

from dataclasses import replace

from clusterd.model.events import HOST_HUNG, RESOURCE_STATE_CHANGED, note
from clusterd.model.ids import ResourceId, key_of
from clusterd.model.states import EmbeddedFailureAction, NextAction, ResourceState
from clusterd.owner.commands import CallAnswer, CallOutcome, HostCall, Verb
from clusterd.owner.desk import Desk
from clusterd.owner.doubts import without_doubt
from clusterd.owner.group import OwnedGroup
from clusterd.owner.machine import Happening, Held, advance
from clusterd.owner.now import Now
from clusterd.owner.policy import after_failure, retry_only
from clusterd.owner.steps import step_text, with_step

STOP_AGAIN_MS = 2000
NEVER_MS = 1 << 53


def online_answered(desk: Desk, group: OwnedGroup, name: str, answer: CallAnswer, now: Now) -> None:
    match answer.outcome:
        case CallOutcome.DONE:
            group.held[name] = replace(group.held[name], pid=answer.pid)
            desk.hosts.came_online(group.held[name].name)
            if group.is_arriving and name not in group.idle:
                group.went_on_wall_ms = max(group.went_on_wall_ms, now.wall_ms - answer.since_ms)
            apply(desk, group, name, Happening.ONLINE_DONE, answer.message, now)
        case CallOutcome.NOT_ON_THIS_NODE:
            # What it began before it said so is stopped first: only a confirmed stop clears `may_run`.
            apply(desk, group, name, Happening.NOT_ON_THIS_NODE, answer.message, now)
            count = group.held[name].not_now_count + 1 if answer.may_pass else 0
            retry = retry_only(group.settings[name], now.cluster_ms, not_now_count=count)
            group.held[name] = replace(
                group.held[name],
                next_action=retry.action,
                next_action_cluster_ms=retry.at_cluster_ms,
                not_now_count=count,
            )
            _ask_for_other_node(group, group.held[name], answer.message)
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
        trouble = f"it was terminated, for it did not stop in good order: {held.stop_trouble}"
        apply(desk, group, name, Happening.OFFLINE_DONE, trouble if held.stop_trouble else answer.message, now)
    elif answer.outcome is CallOutcome.HUNG:
        kill_host_of(desk, name, f"hung call {call.verb} of {held.name}")
    elif call.verb is Verb.OFFLINE and held.state is ResourceState.OFFLINE_PENDING:
        # What does not stop in good order is terminated. It is offline when that succeeds, and failed when it does not.
        group.held[name] = replace(held, stop_trouble=answer.message)
        desk.mark(group)
    else:
        group.held[name] = replace(held, evidence=answer.message)
        apply(desk, group, name, Happening.STOP_FAILED, answer.message, now)
        desk.stop_again_ms[name] = now.now_ms + STOP_AGAIN_MS


def apply(
    desk: Desk, group: OwnedGroup, name: str, what: Happening, because: str, now: Now, *, is_counted: bool = True
) -> None:
    """Move a resource by one happening, with everything that follows from its new state.

    `is_counted`: whether a failure is the resource's own.
    """
    before = group.held[name]
    after = advance(before, what, because=because, wall_ms=now.wall_ms)
    if after is before:
        return
    if after.state is ResourceState.FAILED:
        is_own = is_counted and what is not Happening.STOP_FAILED
        pause_ms = group.settings[name].restart_delay_ms if what is Happening.HOST_LOST else 0
        after = judge(desk, group, name, after, now, is_counted=is_own, pause_ms=pause_ms)
    if after.state is ResourceState.ONLINE:
        after = replace(after, not_now_count=0)
    if after.state is ResourceState.ONLINE and group.failed_over_by == after.name:
        group.failed_over_by, group.failed_over_because = ResourceId(""), ""
    if what is Happening.STOPPED_ITSELF:
        # It rests until somebody asks for it: what ends by itself at once would otherwise start for ever.
        may_run = before.may_run if before.is_hands_off else True
        after = replace(after, may_run=may_run, next_action=NextAction.REST, next_action_cluster_ms=NEVER_MS)
    if after.state is ResourceState.OFFLINE or what is Happening.ONLINE_ASKED:
        after = replace(after, embedded_failure="", concern="")
    if after.state is not ResourceState.ONLINE:
        after = without_doubt(after)
    group.held[name] = after
    text = step_text(desk.node, before, after, what, now.wall_ms, because)
    group.steps = with_step(group.steps, now, text, after.name)
    desk.mark(group)
    desk.notes.append(
        note(
            RESOURCE_STATE_CHANGED,
            group=group.record.name,
            resource=after.name,
            was=before.state,
            now=after.state,
            because=after.why,
        )
    )


def judge(
    desk: Desk, group: OwnedGroup, name: str, held: Held, now: Now, *, is_counted: bool = True, pause_ms: int = 0
) -> Held:
    """The failure policy. `pause_ms`: before what has not failed by itself comes back.

    What is not wanted here now only has to be stopped, and comes back when it is wanted. What cannot be online because of a
    provider, or did not stop, has not failed by itself: it comes back, and that does not count.
    """
    if held.is_hands_off:
        text = group.hands_off or group.hands_off_resources.get(name, "hands off")
        return replace(held, left_alone=text, next_action=NextAction.NONE, next_action_cluster_ms=0)
    is_wanted = name in group.wanted and not desk.is_node_stopping
    if not is_wanted or not is_counted or not group.dependencies[name].is_satisfied(group.online):
        resume_cluster_ms = now.cluster_ms + pause_ms if pause_ms and not is_counted else 1
        return replace(held, next_action=NextAction.RESUME, next_action_cluster_ms=resume_cluster_ms)
    verdict = after_failure(group.settings[name], held.restarts, desk.node, now.cluster_ms)
    cause = f"{held.cause} ({verdict.text})"
    if verdict.asks_for_other_node and not _ask_for_other_node(group, held, cause):
        cause = f"{held.cause} ({verdict.text}; the group stays here while {left_alone(group)} is in maintenance)"
    return replace(
        held,
        cause=cause,
        next_action=verdict.action,
        next_action_cluster_ms=verdict.at_cluster_ms,
    )


def left_alone(group: OwnedGroup) -> str:
    """What maintenance is in force for, by name; empty: nothing."""
    return ", ".join(held.name for held in group.held.values() if held.is_hands_off)


def _ask_for_other_node(group: OwnedGroup, held: Held, because: str) -> bool:
    """Ask the leader to fail the group over. False: something of the group must not be touched, so it stays."""
    if left_alone(group):
        return False
    group.failed_over_by, group.failed_over_because = held.name, because
    return True


def kill_host_of(desk: Desk, name: str, because: str) -> None:
    """A call of the resource hung, and nothing but the end of the process gets rid of it."""
    _, held = desk.find(name)
    host = desk.hosts.host_of(held.name) if held is not None else None
    if held is None or host is None:
        return
    kill = desk.hosts.kill(host, because, blamed=held.name)
    if kill is not None:
        desk.kills.append(kill)
        desk.notes.append(note(HOST_HUNG, host=host, resource=held.name, call=because))


def set_apart(desk: Desk, resource: ResourceId) -> None:
    """It has a host of its own from its next start on, wherever that is."""
    desk.hosts.set_apart(resource)
    group, held = desk.find(key_of(resource))
    if group is not None and held is not None:
        group.held[key_of(resource)] = replace(held, is_apart=True)


def rejoin(desk: Desk, group: OwnedGroup) -> None:
    """Its resources may share a host again: what they did before was forgiven."""
    for name, held in group.held.items():
        desk.hosts.rejoin(held.name)
        group.held[name] = replace(held, is_apart=False)


def complained(desk: Desk, group: OwnedGroup, name: str, what: Happening, message: str, now: Now) -> None:
    """The workload inside a resource that is online complains, or does not any more."""
    held, action = group.held[name], group.settings[name].embedded_failure_action
    is_complaint = what is Happening.EMBEDDED_FAILED
    if held.state is not ResourceState.ONLINE or (is_complaint and action is EmbeddedFailureAction.NOTHING):
        return
    text = (message or "it gave no reason") if is_complaint else ""
    if text == held.embedded_failure:
        return
    group.held[name] = replace(held, embedded_failure=text)
    desk.mark(group)
    if text and action is EmbeddedFailureAction.RECOVER and not held.is_hands_off:
        apply(desk, group, name, Happening.CHECK_FAILED, f"the workload inside: {text}", now)


def concerned(desk: Desk, group: OwnedGroup, name: str, message: str) -> None:
    """A person should know something of a resource that is online, or (no message) need not any more."""
    held = group.held[name]
    if held.state is ResourceState.ONLINE and message != held.concern:
        group.held[name] = replace(held, concern=message)
        desk.mark(group)
