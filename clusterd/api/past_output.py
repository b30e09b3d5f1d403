"""What did a resource write in the run before this one, on whatever node that was? I/O: asks the nodes.

Each node keeps the end of what the last run there wrote. The one with the highest generation counts, and of one generation
the one that ended last; clocks of different nodes are compared for that alone.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from clusterd.api.port import ClusterPort
from clusterd.api.times import time_text
from clusterd.model.errors import ClusterError, NotFound
from clusterd.model.ids import NodeId

VERB = "previous-output"
ASK_WITHIN_MS = 5000


@dataclass(frozen=True, slots=True)
class PastOutput:
    """The end of one run's output, and which nodes did not say whether they have a later one."""

    node: NodeId
    generation: int
    ended_wall_ms: int
    text: str
    silent: tuple[NodeId, ...] = ()

    def view(self, resource: str, lines: int) -> dict[str, Any]:
        return {
            "resource": resource,
            "node": self.node,
            "generation": self.generation,
            "ended": time_text(self.ended_wall_ms),
            "silent": list(self.silent),
            "text": "\n".join(self.text.splitlines()[-lines:]),
        }


async def past_output(port: ClusterPort, resource: str, timeout_ms: int) -> PastOutput:
    """Raises NotFound when no node that answers knows of a run that is over."""
    nodes = [each.name for each in port.view().nodes()]
    within_ms = min(timeout_ms, ASK_WITHIN_MS)
    answers = await asyncio.gather(*(_ask(port, node, resource, within_ms) for node in nodes))
    silent = tuple(node for node, (has_answered, _) in zip(nodes, answers, strict=True) if not has_answered)
    found = [output for _, output in answers if output is not None]
    if not found:
        missing = f"; {', '.join(silent)} did not answer" if silent else ""
        raise NotFound(
            f"no node has kept the output of an earlier run of {resource}{missing}",
            hint="it is kept when a run ends in good order or by a failure, and is lost with a node or a resource host that "
            "was killed",
        )
    newest = max(found, key=lambda each: (each.generation, each.ended_wall_ms))
    return PastOutput(newest.node, newest.generation, newest.ended_wall_ms, newest.text, silent)


async def _ask(port: ClusterPort, node: NodeId, resource: str, within_ms: int) -> tuple[bool, PastOutput | None]:
    """Whether it answered, and what it has."""
    peer = next((each for each in port.status().peers if each.node == node), None)
    if peer is not None and not peer.is_reachable:
        return False, None
    try:
        data = await port.ask_node(node, VERB, resource.encode(), within_ms)
        if not data:
            return True, None
        said = json.loads(data)
        return True, PastOutput(node, int(said["generation"]), int(said["ended_wall_ms"]), str(said["text"]))
    except (ClusterError, KeyError, TypeError, ValueError, RecursionError):
        return False, None
