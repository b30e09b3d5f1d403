"""How do two resource hosts move a workload while it runs? Pure. The ledger holds what really arrived where.

What was prepared is a place for the memory of one workload. Memory that goes on although the workload ran elsewhere since is
out of date: that would be a guest which writes over newer data, and the ledger keeps it as a broken promise.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterd.model.states import ResourceState
from clusterd.owner import CallAnswer, CallOutcome, HostCall
from clusterd.sim.workloads import Memory, Run

if TYPE_CHECKING:
    from clusterd.sim.host import HostedWorkload, SimHost


@dataclass(slots=True)
class Move:
    """A move that is under way, and the calls that wait for its end."""

    memory: str
    calls: list[int] = field(default_factory=list)


def prepare(host: "SimHost", call: HostCall, hosted: "HostedWorkload") -> None:
    """Begins anew when it was prepared before."""
    dials = host.dials_of(call)
    if hosted.memory is not None:
        hosted.memory.is_open = False
    hosted.memory = None

    def done() -> None:
        if not host.is_alive or host.hosted.get(call.resource) is not hosted or hosted.call is not call:
            host.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "it was abandoned while it was prepared"))
            return
        if dials.fails_prepare:
            hosted.state = ResourceState.FAILED
            host.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "there is no room for it"))
            return
        hosted.state = ResourceState.OFFLINE
        place = host.ledger.make_place(f"{host.node}/{call.resource}")
        hosted.memory = place
        host.answer(call.call_id, CallAnswer(CallOutcome.DONE, prepared=place.name))

    if not dials.never_prepares:
        host.later(dials.prepare_ms, done)


def migrate(host: "SimHost", call: HostCall) -> None:
    """Whoever asks again while it is under way, or is done, gets the same answer."""
    hosted = host.hosted.get(call.resource)
    if hosted is not None and hosted.is_moved:
        host.answer(call.call_id, CallAnswer(CallOutcome.DONE))
    elif hosted is None or hosted.run is None or hosted.run.ended_us is not None:
        host.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "it does not run here"))
    elif hosted.move is not None:
        hosted.move.calls.append(call.call_id)
    else:
        move = hosted.move = Move(call.prepared, [call.call_id])
        dials = host.dials_of(call)
        if not dials.never_migrates:
            host.later(dials.migrate_ms, lambda: _arrived(host, hosted, move))


def cancel(host: "SimHost", call: HostCall) -> None:
    hosted = host.hosted.get(call.resource)
    if hosted is not None and hosted.move is not None:
        _end_move(host, hosted, CallAnswer(CallOutcome.FAILED, "it was cancelled"))


def resume(host: "SimHost", call: HostCall) -> None:
    hosted = host.hosted.get(call.resource)
    if hosted is None or hosted.run is None:
        host.answer(call.call_id, CallAnswer(CallOutcome.FAILED, "there is nothing of it here"))
        return
    if hosted.is_moved:
        hosted.is_moved = False
        _go_on_here(host, hosted, hosted.run)
    host.answer(call.call_id, CallAnswer(CallOutcome.DONE, "", 1))


def _go_on_here(host: "SimHost", hosted: "HostedWorkload", before: Run) -> None:
    """A life of its own: what arrived elsewhere is out of date from here on."""
    hosted.run = host.ledger.start(
        before.group, before.resource, host.node, before.generation, host.timeline.now_us, hosted.asked_us
    )
    hosted.run.goes_on = True


def stopped(host: "SimHost", hosted: "HostedWorkload") -> None:
    """Nothing of it is left: what waits for a move hears so, and what was prepared takes nothing any more."""
    if hosted.move is not None and host.is_alive:
        _end_move(host, hosted, CallAnswer(CallOutcome.FAILED, "it was stopped while it was moved"))
    if hosted.memory is not None:
        hosted.memory.is_open = False


def arrived_memory(hosted: "HostedWorkload | None") -> Memory | None:
    """What goes on with the next online."""
    memory = hosted.memory if hosted is not None else None
    return memory if memory is not None and memory.of is not None else None


def _arrived(host: "SimHost", hosted: "HostedWorkload", move: Move) -> None:
    if not host.is_alive or hosted.move is not move or host.hosted.get(hosted.call.resource) is not hosted:
        return
    place = host.ledger.places.get(move.memory)
    if host.dials_of(hosted.call).fails_migrate or place is None or not place.is_open or hosted.run is None:
        _end_move(host, hosted, CallAnswer(CallOutcome.FAILED, "the connection broke"))
        return
    hosted.run.ended_us = host.timeline.now_us
    place.of = hosted.run
    if host.dials_of(hosted.call).fails_late:
        _go_on_here(host, hosted, hosted.run)
        _end_move(host, hosted, CallAnswer(CallOutcome.FAILED, "the other side did not confirm it"))
        return
    hosted.is_moved = True
    _end_move(host, hosted, CallAnswer(CallOutcome.DONE))


def _end_move(host: "SimHost", hosted: "HostedWorkload", answer: CallAnswer) -> None:
    move, hosted.move = hosted.move, None
    for call_id in move.calls if move is not None else ():
        host.answer(call_id, answer)
