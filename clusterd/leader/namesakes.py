"""Who may still run a resource of this name for another group? Pure.

Hosts and workloads go by a resource's name. One that was deleted may still run where its group is: the deletion rests on
what the owner said last, and the owner may have started it since and be cut off. What the owner named once it goes on naming
until it has seen the deletion and nothing of the resource is left, so its last report says when the name is free again. For
that a resource may be deleted only when its owner has named it, or cannot have started it.

It is asked when a resource is made, not when a group starts: the owner of a group that runs starts what is new in it at
once.
"""

from collections.abc import Mapping, Sequence

from clusterd.database import DatabaseView
from clusterd.leader.standing import is_left
from clusterd.model.ids import key_of
from clusterd.model.records import AssignmentRecord, ReportRecord


def held_names(view: DatabaseView) -> Mapping[str, Sequence[AssignmentRecord]]:
    """By folded resource name: the assignments under which it is named, unless it is proven that nothing of them runs."""
    found: dict[str, list[AssignmentRecord]] = {}
    for _, report in view.items(ReportRecord):
        assignment = view.assignment(report.group) if report.resources else None
        if assignment is None or report.generation != assignment.generation or is_left(view, assignment):
            continue
        for each in report.resources:
            found.setdefault(key_of(each.name), []).append(assignment)
    return found


def namesake(held: Mapping[str, Sequence[AssignmentRecord]], resource: str, group: str) -> AssignmentRecord | None:
    """The assignment of another group that stands in the way of making `resource` in `group`."""
    others = held.get(key_of(resource), ())
    return next((each for each in others if key_of(each.group) != key_of(group)), None)
