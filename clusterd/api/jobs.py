"""What may be worked out beside the daemon? Pure. Functions of a view of the database and of plain values, by name.

What they return is made of bytes, text, numbers, lists and maps; documents come as JSON, made where the work is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from clusterd.api import answers
from clusterd.api.capacity_view import capacity_view
from clusterd.api.conditions import parse_condition
from clusterd.api.export import export_manifest
from clusterd.api.foreseeing import foresight_view, outlook_of, parse_what_if
from clusterd.api.machine_surroundings import protected_definitions, saved_state_folders, surroundings
from clusterd.api.plans import Asked, Planner
from clusterd.api.port import NodeStatus
from clusterd.api.property_edits import refuse_other_revision
from clusterd.api.repeats import pack
from clusterd.api.setup_judgement import judged_setup
from clusterd.api.timeline import EventFilter, events_after
from clusterd.api.timeline_page import timeline_page
from clusterd.api.validation_facts import cluster_facts
from clusterd.api.views import document
from clusterd.database import DatabaseView
from clusterd.foresight import foresee
from clusterd.foresight.votes import votes_without
from clusterd.leader.capacity import survives
from clusterd.validation import Disk, MachineFacts, MachineSetup, NodeAnswer, Situation, judge, report_view
from clusterd.wizard import ClusterDisk, NodeDefinitions, Surroundings, Wish, eligible

encode = msgspec.json.encode
pack_values = msgspec.msgpack.encode
FAILURES = 1


def answer(view: DatabaseView, path: str, status: NodeStatus, name: str) -> bytes:
    return encode(answers.ANSWERS[path](view, status, name))


def explanation(view: DatabaseView, status: NodeStatus, kind: str, name: str) -> bytes:
    return encode(answers.explanation(view, status, kind, name))


def export(view: DatabaseView) -> str:
    return export_manifest(view)


def timeline(view: DatabaseView, status: NodeStatus, asked: EventFilter) -> str:
    return timeline_page(view, status, events_after(view, 0, asked))


def look(view: DatabaseView, status: NodeStatus, conditions: Sequence[str]) -> list[dict[str, Any]]:
    """How far what somebody waits for is. Raises NotFound for a name that there is not."""
    found = []
    for text in conditions:
        told = parse_condition(text)(view, status)
        answer = {"for": text, "reached": told.is_reached, "now": told.now, "impossible": told.is_impossible}
        found.append({**answer, "refused": told.is_refused})
    return found


# ---- changes ----


def make(
    view: DatabaseView,
    planner: Planner,
    asked: Asked,
    expected: tuple[str, int] | None,
    looks_ahead: bool,
) -> dict[str, Any]:
    """A change, ready to be committed, with what is told of it and, if wished, what would follow from it.

    Raises what the planner raises, and Conflict when the object is not at the revision that is `expected`.
    """
    if expected is not None and view.revision_of(expected[0]):  # of what is not there the planner says so
        refuse_other_revision(view, *expected)
    plan = planner(view, asked)
    if expected is not None:
        refuse_other_revision(view, *expected)
        plan.draft.expect(expected[0])
    told = {"changes": [each.view() for each in plan.changes], "notes": plan.notes, "wait_for": plan.wait_for}
    has_changed = not plan.draft.is_empty
    made: dict[str, Any] = {
        "transaction": plan.draft.build("").SerializeToString() if has_changed else b"",
        "told": {key: encode(value) for key, value in told.items()},
        "packed": pack({"request_id": asked.request_id, "changed": has_changed, "plan_only": False, **told}),
        "revision": view.revision,
    }
    if looks_ahead and has_changed:
        found = foresee(view, plan.draft, outlook_of(asked.status))
        made["foresight"] = encode(foresight_view(found))
        made["foreseen"] = [str(each.group) for each in found.happenings]
    return made


# ---- questions that are worked out ----


def what_if(view: DatabaseView, text: str, asked: Asked) -> bytes:
    status = asked.status
    plan = parse_what_if(text)(view, asked)
    notes = list(plan.notes)
    if not status.is_quorate:
        notes.append(f"{status.node} has no quorum: what it knows of the others may be old")
    told = document(view, status, change=text, notes=notes)
    found = foresee(view, plan.draft, outlook_of(status))
    return encode({**told, **foresight_view(found)})


def what_follows(view: DatabaseView, text: str, asked: Asked) -> bytes:
    """What would follow from what is imagined, without the rest of the document."""
    plan = parse_what_if(text)(view, asked)
    found = foresee(view, plan.draft, outlook_of(asked.status))
    return encode(foresight_view(found))


def capacity(view: DatabaseView, status: NodeStatus, failures: int) -> bytes:
    outlook = outlook_of(status)
    shown = capacity_view(survives(view, outlook.sight(view, 0), failures), votes_without(outlook, view, failures))
    return encode({**document(view, status), **shown})


def verdicts(
    view: DatabaseView, status: NodeStatus, seen: "Seen", chosen: frozenset[str], began: str, ended: str
) -> dict[str, Any]:
    """The report of a validation."""
    outlook = outlook_of(status)
    facts = cluster_facts(view, status, survives(view, outlook.sight(view, 0), FAILURES), seen.disks)
    situation = Situation(replace(facts, machines=seen.machines), seen.told, seen.silent)
    results = judge(situation, chosen)
    shown = document(view, status, **report_view(situation, results, began=began, ended=ended))
    return msgspec.json.decode(encode(shown))  # type: ignore[no-any-return]  # an object


@dataclass(frozen=True, slots=True)
class Seen:
    """What a validation has found out."""

    disks: tuple[Disk, ...]
    machines: tuple[MachineSetup, ...]
    told: Mapping[str, NodeAnswer]
    silent: Mapping[str, str]


# ---- machines: what they return is of the type that is named ----


def around(
    view: DatabaseView,
    status: NodeStatus,
    machines: Mapping[str, MachineFacts],
    silent: Mapping[str, str],
    planned: Sequence[ClusterDisk],
) -> bytes:
    """`Surroundings`. Of thousands of groups it takes a while to say how much room they leave."""
    return pack_values(surroundings(view, status, machines, silent, planned))


def eligibilities(
    view: DatabaseView, paths: Sequence[str], told: Mapping[str, NodeDefinitions], around: Surroundings, wish: Wish
) -> bytes:
    """A list of `Eligibility`."""
    return pack_values([eligible(each, told, around, wish) for each in paths])


def setups(
    view: DatabaseView,
    status: NodeStatus,
    told: Mapping[str, NodeDefinitions],
    machines: Mapping[str, MachineFacts],
    silent: Mapping[str, str],
) -> bytes:
    """A list of `MachineSetup`: one for each definition that a resource protects."""
    around = surroundings(view, status, machines, silent)
    folders = saved_state_folders(view)
    return pack_values(
        [
            judged_setup(view, path, name, told, around, folders.get(path, ""))
            for path, name in protected_definitions(view).items()
        ]
    )
