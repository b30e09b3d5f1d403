"""The loss of one node costs no other node anything."""

import pytest

from clusterd.sim import SimCluster, SimSettings


@pytest.mark.parametrize("has_fence", [True, False], ids=["fence", "no fence"])
def test_the_survivors_of_a_lost_node_keep_their_runs(has_fence: bool) -> None:
    # A heartbeat that was sent in the very millisecond in which the peer's own had arrived named it as never heard.
    cluster = SimCluster(SimSettings(nodes=("n1", "n2", "n3"), has_fence=has_fence))
    cluster.start()
    assert cluster.run_until(lambda: cluster.leader() is not None)
    cluster.run_for(2000)
    before = {name: cluster.view().membership(name).incarnation for name in ("n1", "n2")}  # type: ignore[union-attr]
    cluster.kill("n3")
    cluster.run_for(20_000)
    after = {name: cluster.view().membership(name).incarnation for name in ("n1", "n2")}  # type: ignore[union-attr]
    assert after == before
