"""What does a network that loses packets do to a cluster on which nothing else happens? Pure.

Groups run on every node; then packets are lost for a while, on streams and as datagrams alike. No workload may be touched,
and the leader may change once: whoever leads a cluster that can hardly talk is of no matter, but a cluster that goes on
electing decides nothing.
"""

from dataclasses import dataclass

from clusterd.model.events import LEADER_ELECTED
from clusterd.sim.cluster import SimCluster, SimSettings

GROUPS = 6
LEADER_CHANGES_MAX = 1


@dataclass(frozen=True, slots=True)
class Loss:
    """How many packets are lost, and for how long."""

    share: float = 0.4
    duration_ms: int = 90_000
    has_datagrams: bool = True
    is_one_way: bool = False
    """Whether only what the first node sends is lost."""


def loss_breaches(settings: SimSettings, loss: Loss = Loss()) -> list[str]:
    """Every broken promise of one run."""
    cluster = SimCluster(settings)
    cluster.network.dials.has_datagrams = loss.has_datagrams
    cluster.start()
    cluster.run_for(3000)
    names = list(settings.nodes)
    for number in range(GROUPS):
        home = names[number % len(names)]
        cluster.add_group(f"g{number}", {f"s{number}": ""}, preferred=(home, *(each for each in names if each != home)))
    if not cluster.run_until(lambda: all(cluster.is_online(f"g{number}") for number in range(GROUPS))):
        return ["the groups did not come online before any packet was lost"]
    cluster.run_for(2000)
    began_us, runs, noted = cluster.timeline.now_us, len(cluster.ledger.runs), len(cluster.trace)
    cluster.network.dials.packet_loss = loss.share
    cluster.run_for(loss.duration_ms)
    cluster.network.dials.packet_loss = 0.0
    cluster.run_for(10_000)
    ended = [run for run in cluster.ledger.runs if run.ended_us is not None and run.ended_us >= began_us]
    found = [f"{run.resource} was ended on {run.node}" for run in ended]
    found += [f"{run.resource} was started on {run.node}" for run in cluster.ledger.runs[runs:]]
    elected = [each for each in cluster.trace[noted:] if each.note.event is LEADER_ELECTED]
    if len(elected) > LEADER_CHANGES_MAX:
        found.append(f"the leader changed {len(elected)} times")
    return found + [f"two copies: {each}" for each in cluster.overlaps()]
