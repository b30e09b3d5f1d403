"""Does such a resource run on this node already, whoever started it? I/O: on the host's event loop; the look in a thread.

A question about what is not online here: nothing is opened, and no resource of the host is touched. What the look itself
starts (a script's check) is in a containment of its own and ended with it, so it needs the run lease as everything does.
"""

import asyncio
import itertools
import json
from collections.abc import Mapping
from typing import Any

from clusterd.reshost.answers import answered, failure_of, result
from clusterd.reshost.context import CallContext, Names
from clusterd.reshost.evidence import left_words
from clusterd.reshost.output import OutputTail
from clusterd.reshost.place import Place
from clusterd.reshost.plugins import LoadedType
from clusterd.reshost.services import HostServices
from clusterd.reshost.uncontained import judged
from clusterd.reshost.workload import Workload
from clusterd.resource_api import CannotTell, effective, validate
from clusterd.wire import host_pb2

IS_THERE = "is-there"
LOOK_WITHIN_MS = 8000
_NUMBERS = itertools.count(1)


async def is_there(services: HostServices, loaded: LoadedType, body: bytes) -> host_pb2.CallResult:
    """`{"group", "resource", "properties"}` → what was found, in words; empty: nothing."""
    try:
        asked = json.loads(body)
        group, resource, given = str(asked["group"]), str(asked["resource"]), dict(asked["properties"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return result(host_pb2.OUTCOME_FAILED, f"the question cannot be read: {error!r}")
    if problems := validate(given, loaded.schema):
        return result(host_pb2.OUTCOME_FAILED, "; ".join(str(each) for each in problems))
    number = next(_NUMBERS)
    place = Place.of(services, f"+look-{resource}", number)
    names = Names(services.cluster, services.cluster_id or services.cluster, services.node, group, resource, 0)
    workload = Workload(place, services.spawner, _environment(services, place, names), OutputTail())
    context = _context(names, effective(given, loaded.schema), workload)
    try:
        return await _looked(services, loaded, context, workload)
    finally:
        workload.close()


async def _looked(
    services: HostServices, loaded: LoadedType, context: CallContext, workload: Workload
) -> host_pb2.CallResult:
    make = loaded.make
    look = services.threads.run(
        lambda: judged(IS_THERE, lambda: make().is_there(context)), resource="", verb=f"examine {make.name}"
    )
    try:
        async with asyncio.timeout(LOOK_WITHIN_MS / 1000):
            found = await look
        answer = result(host_pb2.OUTCOME_DONE, control_body=answered(str(found)).encode())
    except TimeoutError:
        context.cancel()
        answer = result(host_pb2.OUTCOME_FAILED, f"the look did not return for {LOOK_WITHIN_MS} ms")
    except CannotTell as error:
        answer = result(host_pb2.OUTCOME_FAILED, answered(str(error)))
    except Exception as error:  # the boundary to plug-in code
        answer = failure_of(f"{IS_THERE} of {make.name}", error)
    if left := await workload.empty():
        return result(host_pb2.OUTCOME_FAILED, left_words(f"the look for {context.resource}", left))
    return answer


def _environment(services: HostServices, place: Place, names: Names) -> Mapping[str, str]:
    return {
        **services.environment,
        **place.tag(),
        "CLUSTERD_CLUSTER": names.cluster,
        "CLUSTERD_NODE": names.node,
        "CLUSTERD_GROUP": names.group,
        "CLUSTERD_RESOURCE": names.resource,
        "CLUSTERD_GENERATION": str(names.generation),
    }


def _context(names: Names, properties: Mapping[str, Any], workload: Workload) -> CallContext:
    return CallContext(
        names,
        properties,
        workload,
        reason="",
        pending_timeout_ms=LOOK_WITHIN_MS,
        deadlock_timeout_ms=LOOK_WITHIN_MS,
        on_progress=lambda message: None,
        on_told=lambda what, message: None,
    )
