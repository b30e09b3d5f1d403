"""A restarted daemon in an incarnation that an earlier one acted in."""

from dataclasses import replace

from clusterd.model.ids import NodeId
from clusterd.owner import Now, Owner, Verb
from clusterd.sim import SimCluster, SimSettings

NOW = Now(1_000_000, 1_000_000, 1_000_000)


def test_nothing_starts_before_a_report_of_this_daemon_is_committed() -> None:
    cluster, owner = _restarted_owner(is_inherited=True)
    plan = owner.plan(cluster.view(), NOW, may_run=True)
    assert plan.calls == [] and len(plan.reports) == 1
    owner.reported(plan.reports[0].group, NOW, has_succeeded=True, proposal=plan.reports[0])
    assert [call.verb for call in owner.plan(cluster.view(), NOW, may_run=True).calls] == [Verb.ONLINE]


def test_a_report_that_conflicts_confirms_nothing() -> None:
    cluster, owner = _restarted_owner(is_inherited=True)
    plan = owner.plan(cluster.view(), NOW, may_run=True)
    owner.reported(plan.reports[0].group, NOW, has_succeeded=False, proposal=plan.reports[0])
    again = owner.plan(cluster.view(), NOW, may_run=True)
    assert again.calls == [] and len(again.reports) == 1


def test_the_first_daemon_of_an_incarnation_starts_at_once() -> None:
    cluster, owner = _restarted_owner(is_inherited=False)
    assert [call.verb for call in owner.plan(cluster.view(), NOW, may_run=True).calls] == [Verb.ONLINE]


def test_what_its_predecessor_said_late_of_what_runs_counts() -> None:
    cluster, owner = _restarted_owner(is_inherited=True)
    report = cluster.view().report("web")
    assert report is not None
    late = replace(report, resources=tuple(replace(each, ran_as="late") for each in report.resources))
    cluster.commit(lambda draft: draft.put(late))
    plan = owner.plan(cluster.view(), NOW, may_run=True)
    assert [each.ran_as for each in plan.reports[0].report.resources] == ["late"]


def _restarted_owner(*, is_inherited: bool) -> tuple[SimCluster, Owner]:
    """The owner of a committed group, as a new object with an empty host."""
    cluster = SimCluster(SimSettings())
    cluster.start()
    cluster.run_for(1000)
    cluster.add_group("web", {"server": ""}, preferred=("n1",))
    cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    assignment = cluster.view().assignment("web")
    assert assignment is not None
    owner = Owner(NodeId("n1"))
    owner.begin(assignment.incarnation, ("shared",), is_inherited=is_inherited)
    owner.take(cluster.view())
    owner.host_up("shared", 1, (), Now(0, 0, 0))
    return cluster, owner
