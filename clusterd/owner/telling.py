"""What does the cluster know of what a resource is told to come online with? Pure. It knows it before anything else runs.

The digest in the last report that was committed is never of anything but what may run of the resource. The first one rides
on a report that is made anyway, and the resource need not wait for it: until then the cluster knows of none. Another one,
after the record was changed, is committed before the resource comes online with it.

    1. n1 runs a disk on unit A and says so. Its record names B now; the disk fails and is stopped.
    2. n1 says B. It is cut off here: nothing of the disk runs.
    3. n1 has heard that this is committed, and brings the disk online on B. It is cut off here: B is what is known.
"""

from dataclasses import replace

from clusterd.model.ids import key_of
from clusterd.model.ran_as import ran_as
from clusterd.model.records import ReportRecord
from clusterd.model.states import ResourceState
from clusterd.owner.group import OwnedGroup
from clusterd.owner.machine import Held

_AT_REST = (ResourceState.OFFLINE, ResourceState.FAILED)


def note_definitions(group: OwnedGroup) -> None:
    """Say of everything that does not run what it will come online with. What runs is what it was."""
    if not group.is_wanted_here or not group.is_confirmed:
        return
    for name, record in group.records.items():
        held = group.held[name]
        if held.may_run or held.state not in _AT_REST:
            continue
        told = ran_as(record)
        if held.is_prepared and held.ran_as != told:
            told = ""  # it arrived as one thing and goes on as another: that is neither
        if told != held.ran_as:
            group.held[name] = replace(held, ran_as=told, is_redefined=bool(held.ran_as))


def is_known(group: OwnedGroup, held: Held) -> bool:
    """Whether it may come online: the cluster knows as what, or of nothing else."""
    return not held.is_redefined or (group.last_report is not None and _said(group.last_report, held) == held.ran_as)


def heed(group: OwnedGroup, report: ReportRecord) -> None:
    """What an earlier daemon of this run said of what it started counts, also when this one had not read it at its start."""
    for name, held in group.held.items():
        group.held[name] = replace(held, ran_as=_said(report, held))


def _said(report: ReportRecord, held: Held) -> str:
    return next((each.ran_as for each in report.resources if key_of(each.name) == key_of(held.name)), "")
