"""Which commands and results under this generation does a report name? Pure. The beginning and the end are kept."""

from clusterd.model.ids import NodeId, ResourceId
from clusterd.model.records import Step
from clusterd.model.states import ResourceState
from clusterd.owner.machine import Happening, Held
from clusterd.owner.now import Now

FIRST_KEPT = 8
LAST_KEPT = 16
TEXT_LENGTH_MAX = 300
ABOUT_ALL = ResourceId("")


def with_step(steps: tuple[Step, ...], now: Now, text: str, resource: ResourceId = ABOUT_ALL) -> tuple[Step, ...]:
    """One more; of a long story the first and the last steps stay."""
    more = (*steps, Step(now.wall_ms, text[:TEXT_LENGTH_MAX], now.revision, resource))
    return more if len(more) <= FIRST_KEPT + LAST_KEPT else (*more[:FIRST_KEPT], *more[-LAST_KEPT:])


def step_text(node: NodeId, before: Held, after: Held, what: Happening, wall_ms: int, because: str) -> str:
    """What happened to a resource, in the words of a chain of causes."""
    took_ms = max(0, wall_ms - before.since_wall_ms)
    more = f": {because}" if because else ""
    match after.state:
        case ResourceState.ONLINE_PENDING:
            return f"{node} brings {after.name} online"
        case ResourceState.OFFLINE_PENDING:
            return f"{node} takes {after.name} offline: {after.why}"
        case ResourceState.ONLINE if what is Happening.ONLINE_DONE:
            return f"{after.name} online after {took_ms} ms{more}"
        case ResourceState.OFFLINE if before.state is ResourceState.OFFLINE_PENDING:
            return f"{after.name} offline after {took_ms} ms{more}"
        case _:
            return f"{after.name} is {after.state}: {after.why}"
