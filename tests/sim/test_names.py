"""Would two copies be noticed that run for two groups, one of which had the resource before?"""

from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import ResourceRecord
from clusterd.sim import SimCluster, SimSettings


def test_a_name_that_is_taken_too_early_makes_two_copies() -> None:
    """The owner is cut off, and nobody asks whether the name is free."""
    cluster = SimCluster(SimSettings(seed=3))
    cluster.start()
    cluster.run_for(3000)
    leader = cluster.leader()
    owner, other = (each for each in cluster.names if each != leader)
    cluster.add_group("web", {"server": "", "page": ""}, preferred=(owner,))
    cluster.add_group("cache", {"memory": ""}, preferred=(other,))
    assert cluster.run_until(lambda: cluster.is_online("web", on=owner) and cluster.is_online("cache", on=other))
    cluster.isolate(owner)
    cluster.commit(lambda draft: draft.delete("resource/server"))
    server = ResourceRecord(ResourceId("server"), GroupId("cache"), "generic_service")
    cluster.commit(lambda draft: draft.put(server))
    cluster.run_for(1000)
    assert [(each.first.node, each.second.node) for each in cluster.overlaps()] == [(owner, other)]
