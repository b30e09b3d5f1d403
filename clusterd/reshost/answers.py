"""How does what happened to a call become its answer? Pure."""

from clusterd.reshost.plugin_call import CallHung, PendingTimedOut
from clusterd.resource_api import CallCancelled, Health, NotOnThisNode, NotReachable, ResourceFailed, UnknownControl
from clusterd.resource_api.secret_values import shown_text
from clusterd.wire import host_pb2

MESSAGE_LENGTH_MAX = 4000
HEALTHS = {
    Health.YES: host_pb2.HEALTH_YES,
    Health.NO: host_pb2.HEALTH_NO,
    Health.CANNOT_TELL: host_pb2.HEALTH_UNKNOWN,
}


def answered(message: str) -> str:
    """What goes over the wire: one line, bounded, and text whatever it was. Lines of output are told beside each other, and
    what no terminal should be told is passed over. Reports, events and logs take it from here: it has no secrets, whatever a
    failing command printed. They are looked for before anything is cut or put on one line."""
    lines = (line.strip() for line in shown_text(message).encode(errors="replace").decode().splitlines())
    text = " | ".join("".join(each if each.isprintable() else " " for each in line) for line in lines if line)
    return text if len(text) <= MESSAGE_LENGTH_MAX else text[:MESSAGE_LENGTH_MAX] + " …"


def result(
    outcome: "host_pb2.Outcome.ValueType",
    message: str = "",
    *,
    pid: int = 0,
    health: "host_pb2.Health.ValueType" = host_pb2.HEALTH_UNSPECIFIED,
    control_body: bytes = b"",
    prepared: str = "",
    since_ms: int = 0,
    may_pass: bool = False,
) -> host_pb2.CallResult:
    return host_pb2.CallResult(
        outcome=outcome,
        message=answered(message),
        pid=pid,
        health=health,
        control_body=control_body,
        prepared=prepared,
        since_ms=since_ms,
        may_pass=may_pass,
    )


def failure_of(what: str, error: Exception, more: str = "") -> host_pb2.CallResult:
    """The answer for a call that raised."""
    match error:
        case NotOnThisNode():
            may_pass = isinstance(error, NotReachable)
            return result(host_pb2.OUTCOME_NOT_ON_THIS_NODE, f"{what}: {error}", may_pass=may_pass)
        case CallHung():
            return result(host_pb2.OUTCOME_HUNG, f"{what}: {error}; the resource host must be killed")
        case CallCancelled():
            return result(host_pb2.OUTCOME_FAILED, f"{what} was given up because it was terminated")
        case UnknownControl():
            return result(host_pb2.OUTCOME_FAILED, f"{what}: the resource type has no such control")
        case NotImplementedError():
            return result(host_pb2.OUTCOME_FAILED, f"{what}: the resource type does not implement it")
        case ResourceFailed() | PendingTimedOut():
            return result(host_pb2.OUTCOME_FAILED, f"{what}: {error}{more}")
        case _:
            return result(host_pb2.OUTCOME_FAILED, f"{what}: {type(error).__name__}: {error}{more}")
