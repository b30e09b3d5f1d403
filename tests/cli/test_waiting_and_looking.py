"""What people see while they wait, and on one screen."""

from served_cluster import Served

from clusterd.model.states import ResourceState


def test_a_name_that_there_is_not_is_not_waited_for(clusterctl, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    result = clusterctl("wait", "--for", "group web online on n9")
    assert (result.code, result.err.splitlines()[0]) == (3, "error: there is no node n9")


def test_the_status_is_one_screen_although_a_command_said_much(clusterctl, served: Served, manifest: str) -> None:
    clusterctl("apply", "-f", manifest)
    cause = "it wrote: " + "port 8081 is taken " * 40
    served.call(lambda cluster: cluster.report("web", "web-server", state=ResourceState.FAILED, cause=cause))
    rows = [each for each in clusterctl("status").out.splitlines() if each.lstrip().startswith("web")]
    assert rows and max(map(len, rows)) < 220
