"""What `status` costs grows with the number of groups and resources, not with its square. Counted in lines that are run."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from pretend_cluster import PretendCluster, service

from clusterd.api.views import status_document
from clusterd.database import Draft
from clusterd.model.ids import GroupId
from clusterd.model.records import GroupRecord, ResourceReport
from clusterd.model.states import NextAction, ResourceState, Wanted

FEW, MANY = 200, 800


def groups(count: int) -> PretendCluster:
    cluster = PretendCluster()
    draft = Draft(cluster.view())
    for number in range(count):
        draft.put(GroupRecord(GroupId(f"g{number}"), Wanted.ONLINE)).put(service(f"r{number}", f"g{number}"))
    cluster.write(draft)
    cluster.act()
    return cluster


def nowhere(count: int) -> PretendCluster:
    cluster = PretendCluster(acts=False)
    draft = Draft(cluster.view())
    for number in range(count):
        draft.put(GroupRecord(GroupId(f"g{number}"), Wanted.ONLINE)).put(service(f"r{number}", f"g{number}"))
    cluster.write(draft)
    return cluster


def one_group(
    count: int, said: Callable[[int, ResourceReport], ResourceReport], *, wanted: bool = True
) -> PretendCluster:
    """Each of its resources needs the one before it; a first one that is not wanted takes all others along."""
    cluster = PretendCluster()
    draft = Draft(cluster.view()).put(GroupRecord(GroupId("g"), Wanted.ONLINE))
    for number in range(count):
        record = service(f"r{number:04}", "g", f"[r{number - 1:04}]" if number else "")
        draft.put(record if wanted or number else replace(record, wanted=Wanted.OFFLINE))
    cluster.write(draft)
    cluster.act()
    report = cluster.view().report("g")
    assert report is not None
    resources = tuple(said(number, each) for number, each in enumerate(report.resources))
    cluster.write(Draft(cluster.view()).put(replace(report, resources=resources)))
    return cluster


def waiting(number: int, report: ResourceReport) -> ResourceReport:
    return replace(report, state=ResourceState.OFFLINE if number else ResourceState.ONLINE_PENDING)


def failing(number: int, report: ResourceReport) -> ResourceReport:
    return replace(
        report, state=ResourceState.FAILED, next_action=NextAction.RESTART, next_action_cluster_ms=5000 + number
    )


def doubtful(number: int, report: ResourceReport) -> ResourceReport:
    return replace(report, doubt="nobody can tell", doubt_since_cluster_ms=1 + number, doubt_since_wall_ms=1)


def lines_run(work: Callable[[], object]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(groups, id="groups"),
        pytest.param(nowhere, id="groups that no node has"),
        pytest.param(lambda count: one_group(count, lambda _, each: each), id="resources that are well"),
        pytest.param(lambda count: one_group(count, waiting), id="resources that wait"),
        pytest.param(lambda count: one_group(count, failing), id="resources that fail"),
        pytest.param(lambda count: one_group(count, doubtful), id="resources in doubt"),
        pytest.param(lambda count: one_group(count, waiting, wanted=False), id="a provider that nobody wants"),
    ],
)
def test_it_grows_with_the_number(made: Callable[[int], PretendCluster]) -> None:
    few, many = (lines_of_status(made(number)) for number in (FEW, MANY))
    assert many < 5 * few, f"{few} lines for {FEW}, {many} for {MANY}"


def lines_of_status(cluster: PretendCluster) -> int:
    view, status = cluster.view(), cluster.status()
    status_document(view, status)  # what is read from the database is decoded once
    return lines_run(lambda: status_document(view, status))
