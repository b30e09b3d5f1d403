"""How do the owner's words become messages to a host, and back? I/O (no waiting, only conversion)."""

import json
from typing import Any

from clusterd.adapters.call_record import LOADING
from clusterd.model.errors import ClusterError
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.records import ResourceTypeRecord
from clusterd.model.states import MoveKind, ResourceState
from clusterd.model.words import word_of
from clusterd.node.events import HostUp
from clusterd.owner import (
    CallAnswer,
    CallInHost,
    CallOutcome,
    Happening,
    HostCall,
    Hosted,
    HostEnd,
    HostEndKind,
    Verb,
)
from clusterd.wire import host_pb2

SCHEMA_BYTES_MAX = 128 * 1024
"""What a node tells of its types goes through the log: one transaction may have four times as much."""
_VERBS = {
    Verb.ONLINE: host_pb2.VERB_ONLINE,
    Verb.OFFLINE: host_pb2.VERB_OFFLINE,
    Verb.TERMINATE: host_pb2.VERB_TERMINATE,
    Verb.TIMES: host_pb2.VERB_TIMES,
    Verb.PREPARE: host_pb2.VERB_PREPARE,
    Verb.MIGRATE: host_pb2.VERB_MIGRATE,
    Verb.CANCEL_MIGRATION: host_pb2.VERB_CANCEL_MIGRATION,
    Verb.RESUME: host_pb2.VERB_RESUME,
    Verb.FENCE: host_pb2.VERB_FENCE,
}
_MOVE_KINDS = {MoveKind.QUICK: "save", MoveKind.SHUTDOWN: "shut-down", MoveKind.TURN_OFF: "turn-off"}
_PREPARED, _MOVED = "prepared", "moved"
_STATES = {_PREPARED: ResourceState.OFFLINE, _MOVED: ResourceState.ONLINE}
"""Words of hosts that are no states of a resource."""
_OUTCOMES = {
    # A version of the type that is not there, or does not know a property: trying again here cannot help.
    host_pb2.OUTCOME_DONE: CallOutcome.DONE,
    host_pb2.OUTCOME_NOT_ON_THIS_NODE: CallOutcome.NOT_ON_THIS_NODE,
    host_pb2.OUTCOME_UNKNOWN_TYPE: CallOutcome.NOT_ON_THIS_NODE,
    host_pb2.OUTCOME_BAD_PROPERTIES: CallOutcome.NOT_ON_THIS_NODE,
    host_pb2.OUTCOME_STALE: CallOutcome.STALE,
    host_pb2.OUTCOME_HUNG: CallOutcome.HUNG,
    host_pb2.OUTCOME_STILL_RUNNING: CallOutcome.STILL_RUNNING,
}
_END_KINDS = {
    host_pb2.HOST_END_KIND_ON_REQUEST: HostEndKind.ON_REQUEST,
    host_pb2.HOST_END_KIND_NEVER_UP: HostEndKind.NEVER_UP,
}
_HAPPENINGS = {
    host_pb2.RESOURCE_EVENT_KIND_FAILED: Happening.CHECK_FAILED,
    host_pb2.RESOURCE_EVENT_KIND_HUNG: Happening.CHECK_FAILED,
    host_pb2.RESOURCE_EVENT_KIND_STOPPED_ITSELF: Happening.STOPPED_ITSELF,
    host_pb2.RESOURCE_EVENT_KIND_CHECK_PASSED: Happening.CHECK_PASSED,
    host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_FAILED: Happening.EMBEDDED_FAILED,
    host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_WELL: Happening.EMBEDDED_WELL,
    host_pb2.RESOURCE_EVENT_KIND_CONCERN: Happening.CONCERN,
    host_pb2.RESOURCE_EVENT_KIND_DOUBT: Happening.DOUBT,
    host_pb2.RESOURCE_EVENT_KIND_WARNING: Happening.WARNED,
}


def call_message(call: HostCall) -> host_pb2.ResourceCall:
    settings = call.settings
    return host_pb2.ResourceCall(
        verb=_VERBS[call.verb],
        resource=call.resource,
        type=call.type,
        group=call.group,
        generation=call.generation,
        incarnation=call.incarnation,
        properties_json=json.dumps(dict(call.private), ensure_ascii=False).encode(),
        pending_timeout_ms=settings.pending_timeout_ms,
        deadlock_timeout_ms=settings.deadlock_timeout_ms,
        looks_alive_interval_ms=settings.looks_alive_poll_interval_ms,
        is_alive_interval_ms=settings.is_alive_poll_interval_ms,
        reason=call.reason,
        prepared=call.prepared,
        move_kind=_MOVE_KINDS.get(call.move_kind, ""),
    )


def control_message(resource: str, verb: str, body: bytes) -> host_pb2.ResourceCall:
    return host_pb2.ResourceCall(verb=host_pb2.VERB_CONTROL, resource=resource, control_verb=verb, control_body=body)


def examine_message(type_name: str, question: str, body: bytes) -> host_pb2.ResourceCall:
    return host_pb2.ResourceCall(verb=host_pb2.VERB_CONTROL, type=type_name, control_verb=question, control_body=body)


def answer_of(result: host_pb2.CallResult) -> CallAnswer:
    """Whatever a host cannot do with a call is a failed call, with the host's words."""
    outcome = _OUTCOMES.get(result.outcome, CallOutcome.FAILED)
    return CallAnswer(outcome, result.message, result.pid, result.prepared, result.since_ms, result.may_pass)


def happening_of(event: host_pb2.ResourceEvent) -> Happening | None:
    """None: only worth a line in the log."""
    return _HAPPENINGS.get(event.kind)


def host_end(gone: host_pb2.HostEnded) -> HostEnd:
    """A guard of an older version says neither how it ended nor what it was in the midst of."""
    calls = tuple(CallInHost(ResourceId(each.resource), each.verb) for each in gone.calls if each.resource != LOADING)
    kind = _END_KINDS.get(gone.kind, HostEndKind.BY_ITSELF)
    return HostEnd(gone.host_id, gone.because, gone.workloads_gone, kind, calls if gone.has_calls else None)


class BrokenHost(ClusterError):
    """A host says of itself what cannot be understood. It is of no use: it is ended like one that says nothing."""


def host_up(host: str, inventory: host_pb2.HostInventory, node: str) -> HostUp:
    """Raises BrokenHost."""
    try:
        return _host_up(host, inventory, node)
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenHost(f"its inventory cannot be read: {error}") from error


def _host_up(host: str, inventory: host_pb2.HostInventory, node: str) -> HostUp:
    hosted = tuple(
        Hosted(
            ResourceId(each.resource),
            GroupId(each.group),
            each.type,
            each.generation,
            _STATES.get(each.state) or word_of(ResourceState, each.state),
            each.pid,
            each.embedded_failure,
            each.concern,
            each.state == _PREPARED,
            each.state == _MOVED,
            each.doubt,
        )
        for each in inventory.resources
    )
    types = tuple(
        ResourceTypeRecord(
            each.name,
            NodeId(node),
            each.version,
            _schema(each),
            tuple(each.abilities),
        )
        for each in inventory.types
    )
    troubles = tuple(inventory.plugin_troubles)
    return HostUp(host, Incarnation(inventory.incarnation), inventory.pid, hosted, types, troubles)


def _schema(described: host_pb2.TypeDescription) -> dict[str, Any]:
    if len(described.schema_json) > SCHEMA_BYTES_MAX:
        raise ValueError(
            f"the schema of {described.name} has {len(described.schema_json)} bytes, at most {SCHEMA_BYTES_MAX}"
        )
    schema = json.loads(described.schema_json) if described.schema_json else {}
    if not isinstance(schema, dict):
        raise ValueError(f"the schema of {described.name} is no object")
    return schema
