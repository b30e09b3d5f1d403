"""Does a wait that an operator asks for fit into the call that waits? Pure.

A resource type says which of its durations a call waits for (`x-waited-for`). While it waits, the pending time-out does not
run, but a call that takes longer than the deadlock time-out counts as hung and costs its resource host.
"""

from collections.abc import Mapping
from typing import Any

from clusterd.api.checks import PartProblem
from clusterd.model.records import ResourceRecord
from clusterd.model.settings import TypeSettings, resource_settings
from clusterd.resource_api.properties import duration_ms

LEEWAY_MS = 5000
"""For what the call does besides waiting."""


def wait_problems(record: ResourceRecord, schema: Mapping[str, Any], of_type: TypeSettings) -> list[PartProblem]:
    """What was asked for explicitly and cannot be honoured, with both numbers."""
    deadlock_ms = resource_settings(record, of_type).deadlock_timeout_ms
    known = schema.get("properties")
    problems: list[PartProblem] = []
    for name, part in known.items() if isinstance(known, dict) else ():
        if not part.get("x-waited-for") or name not in record.private:
            continue
        wait_ms = duration_ms(record.private[name], str(part.get("x-unit", "ms")))
        if wait_ms is not None and wait_ms + LEEWAY_MS > deadlock_ms:
            longest_ms = max(deadlock_ms - LEEWAY_MS, 0)
            text = (
                f"{name} is {wait_ms} ms, but a call that takes longer than deadlock_timeout ({deadlock_ms} ms) counts as "
                f"hung and costs its resource host: make deadlock_timeout at least {wait_ms + LEEWAY_MS} ms, or {name} at "
                f"most {longest_ms} ms"
            )
            problems.append(PartProblem(f"properties.{name}", text))
    return problems
