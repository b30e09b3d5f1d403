"""What follows when nobody can tell whether a resource is well, or a host warns? Pure.

A check that breaks, or says that it cannot tell, is neither a yes nor a no: the resource stays online, its health is unknown
since then, and that is told. What its `health_unknown_timeout` says follows: a failure like any other, or nothing ever.
"""

from dataclasses import replace

from clusterd.model.ids import key_of
from clusterd.model.states import ResourceState
from clusterd.owner.desk import Desk
from clusterd.owner.group import OwnedGroup, Warned
from clusterd.owner.machine import Held
from clusterd.owner.now import Now

WARNINGS_MAX = 8
"""Of one group in one report."""
WARN_EVERY_MS = 10_000
"""A resource that warns all the time is heard that often."""
SAME_AGAIN_MS = 600_000
"""The same warning of the same resource is told again after that."""


def doubted(desk: Desk, group: OwnedGroup, name: str, message: str, now: Now) -> None:
    """Its checks cannot tell, or (no message) they can again."""
    held = group.held[name]
    if held.state is not ResourceState.ONLINE or message == held.doubt:
        return
    if not message:
        group.held[name] = without_doubt(held)
    elif held.doubt:
        group.held[name] = replace(held, doubt=message)
    else:
        group.held[name] = replace(held, doubt=message)
        adopt_doubt(group, name, now)
    desk.mark(group)


def without_doubt(held: Held) -> Held:
    if not held.doubt:
        return held
    return replace(held, doubt="", doubt_since_wall_ms=0, doubt_since_cluster_ms=0)


def adopt_doubt(group: OwnedGroup, name: str, now: Now) -> None:
    """It began while no daemon was there to hear of it: since now, for all that is known."""
    held = group.held[name]
    if held.doubt and not held.doubt_since_cluster_ms:
        group.held[name] = replace(held, doubt_since_wall_ms=now.wall_ms, doubt_since_cluster_ms=max(1, now.cluster_ms))


def doubt_ends_cluster_ms(group: OwnedGroup, name: str) -> int | None:
    """When the doubt about a resource counts as a failure; None: never, or there is none."""
    held, limit_ms = group.held[name], group.settings[name].health_unknown_timeout_ms
    is_doubtful = held.state is ResourceState.ONLINE and bool(held.doubt)
    return held.doubt_since_cluster_ms + limit_ms if is_doubtful and limit_ms is not None else None


def warned(desk: Desk, group: OwnedGroup, name: str, message: str, now: Now) -> None:
    """A host says something that a person should read. Told once, and not without end."""
    before = group.warned.get(name)
    if before is not None:
        again_ms = SAME_AGAIN_MS if before.text == message else WARN_EVERY_MS
        if now.now_ms - before.at_ms < again_ms:
            return
    group.warned[name] = Warned(message, now.now_ms)
    if message and len(group.warnings) < WARNINGS_MAX:
        group.warnings.append((key_of(group.held[name].name), message))
        desk.mark(group)
