"""Do the verbs that take nodes and groups out of use say what happened, and end with the right code?"""

from pathlib import Path

import pytest
from served_cluster import MANIFEST, Served

from clusterd.database import Draft
from clusterd.model.drains import DrainFailure, DrainRecord
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.states import DrainState, ResourceState


@pytest.fixture
def web(clusterctl, tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    assert clusterctl("apply", "-f", str(path)).code == 0


@pytest.mark.usefixtures("web")
def test_drain_and_resume(clusterctl) -> None:
    result = clusterctl("node", "drain", "n1", "--target", "n3")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "update node n1: drain to n3: web",
        "node n1: it is drained: its only group has left",
    ]
    assert "paused, drain-completed" in clusterctl("node", "list").out
    shown = clusterctl("node", "show", "n1").out
    assert "drain (to n3) asked for by an operator" in shown
    assert "drain completed: it is drained: its only group has left" in shown
    assert "- node n1 is paused" in clusterctl("status").out
    assert clusterctl("wait", "--for", "node n1 drained").code == 0
    result = clusterctl("node", "resume", "n1", "--failback", "immediate")
    assert (result.code, "failback: immediate" in result.out) == (0, True)
    assert clusterctl("node", "resume", "n1").out.splitlines() == ["nothing to change", "note: n1 is not paused"]


@pytest.mark.usefixtures("web")
def test_a_drain_that_fails_ends_with_1_and_the_reason(clusterctl, served: Served) -> None:
    def fail(cluster) -> None:
        pause = cluster.view().node("n1").pause
        failures = (DrainFailure(GroupId("web"), "it is locked from moving"),)
        drain = DrainRecord(NodeId("n1"), pause.id, DrainState.FAILED, (GroupId("web"),), failures)
        cluster.write(Draft(cluster.view()).put(drain))

    def rest(cluster) -> None:
        cluster.acts = False

    served.call(rest)
    assert clusterctl("node", "drain", "n1", "--no-wait").code == 2
    served.call(fail)
    result = clusterctl("wait", "--for", "node n1 drained", "-o", "json")
    assert (result.code, result.json["impossible"]) == (1, True)
    assert "web: it is locked from moving" in result.json["conditions"][0]["now"]
    assert "could not leave: web: it is locked from moving" in clusterctl("node", "show", "n1").out


@pytest.mark.usefixtures("web")
def test_a_second_drain_is_refused_with_the_rules_name(clusterctl, served: Served) -> None:
    def rest(cluster) -> None:
        cluster.acts = False

    served.call(rest)
    clusterctl("node", "drain", "n1", "--no-wait")
    result = clusterctl("node", "drain", "n1", "-o", "json")
    assert (result.code, result.error["code"], result.error["rule"]) == (3, "refused", "evacuation-in-progress")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("arguments", "off"),
    [
        (("group", "maintenance", "web"), ("group", "maintenance", "web", "off")),
        (("node", "maintenance", "n1"), ("node", "maintenance", "n1", "off")),
        (("cluster", "maintenance"), ("cluster", "maintenance", "off")),
        (("resource", "maintenance", "web-data"), ("resource", "maintenance", "web-data", "off")),
    ],
)
def test_maintenance_on_and_off(clusterctl, arguments: tuple[str, ...], off: tuple[str, ...]) -> None:
    result = clusterctl(*arguments, "on", "--reason", "new firmware")
    assert result.code == 0, result.err
    assert "maintenance: on (new firmware)" in result.out
    refused = clusterctl("resource", "fail", "web-data", "-o", "json")
    assert (refused.code, refused.error["rule"]) == (3, "hands-off")
    assert refused.error["hint"] == f"end it first: clusterctl {' '.join(off)}"
    assert clusterctl(*off).code == 0
    assert clusterctl("resource", "fail", "web-data").code == 0


@pytest.mark.usefixtures("web")
def test_a_group_in_maintenance_shows_since_when_and_by_whom(clusterctl) -> None:
    clusterctl("group", "maintenance", "web", "on", "--reason", "new firmware")
    shown = clusterctl("group", "show", "web").out
    assert "hands off: group web is in maintenance (new firmware), asked for by an operator" in shown
    assert "in force" in shown
    assert "online, hands-off" in clusterctl("group", "list").out


@pytest.mark.usefixtures("web")
def test_moves_wait_in_a_queue_and_are_taken_back(clusterctl, served: Served) -> None:
    def rest(cluster) -> None:
        cluster.acts = False

    served.call(rest)
    assert clusterctl("group", "move", "web", "n2", "--queue", "--no-wait").code == 2
    shown = clusterctl("group", "show", "web").out
    assert "move to n2: asked for" in shown
    assert clusterctl("group", "move", "web", "--cancel").out.splitlines() == [
        "update group web: move to n2: cancelled"
    ]
    assert clusterctl("group", "move", "web", "n2", "--cancel").code == 64


@pytest.mark.usefixtures("web")
def test_a_locked_group_stays(clusterctl) -> None:
    clusterctl("group", "set", "web", "locked_from_moving=true")
    result = clusterctl("group", "move", "web", "n2")
    assert result.code == 3
    assert "(rule locked-from-moving)" in result.err and "--ignore-lock" in result.err
    assert clusterctl("group", "move", "web", "n2", "--ignore-lock").code == 0


def test_stop_fence_and_quarantine(clusterctl, served: Served) -> None:
    assert clusterctl("node", "clear-quarantine", "n3").out.splitlines() == [
        "nothing to change",
        "note: n3 is not quarantined",
    ]
    assert clusterctl("node", "fence", "n3", "--no-wait").code == 2
    result = clusterctl("node", "stop", "n3")
    assert result.code == 0, result.err
    assert result.out.splitlines()[0] == "stop node n3"
    assert served.cluster.told == [("n3", "stop")]


def test_a_node_that_is_stopped_through_its_own_door_alone(clusterctl, served: Served) -> None:
    def close(cluster) -> None:
        cluster.acts = False
        cluster.when_told = lambda: served.loop.call_later(
            0.2, lambda: served.loop.create_task(served.servers[0].stop())
        )

    served.call(close)
    result = clusterctl("node", "stop", "n2", "--timeout", "20s")
    assert result.code == 0, result.err
    assert result.out.splitlines() == ["stop node n2", "n2 answers no more: it has stopped"]


@pytest.mark.usefixtures("web")
def test_what_is_stuck_is_killed(clusterctl, served: Served) -> None:
    served.call(lambda cluster: cluster.report("web", "web-server", state=ResourceState.FAILED, may_run=True))
    assert "failed, stuck" in clusterctl("status").out
    assert "way out: clusterctl resource kill web-server" in clusterctl("resource", "show", "web-server").out
    assert clusterctl("resource", "kill", "web-server").code == 0
    assert clusterctl("resource", "kill", "web-server").code == 3


@pytest.mark.usefixtures("web")
def test_waiting_for_a_name_that_there_is_not_ends_at_once(clusterctl) -> None:
    result = clusterctl("wait", "--for", "group wob online", "-o", "json")
    assert (result.code, result.error["code"], result.error["hint"]) == (3, "not-found", "did you mean web?")


@pytest.mark.usefixtures("web")
def test_an_apply_of_what_failed_for_good_ends_at_once(clusterctl, served: Served, tmp_path: Path) -> None:
    def fail(cluster) -> None:
        cluster.acts = False
        cluster.report("web", "web-server", state=ResourceState.FAILED, cause="exit code 3")

    served.call(fail)
    path = tmp_path / "web.yaml"
    path.write_text(MANIFEST.replace("threshold: 1", "threshold: 2"), encoding="utf-8")
    result = clusterctl("apply", "-f", str(path), "-o", "json")
    assert result.code == 1
    assert "web failed on n1 and is not tried again now: web-server: exit code 3" in result.error["message"]
