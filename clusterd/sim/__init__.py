"""Pure. Whole clusters of `Node` in virtual time, with a network, disks, guards, hosts and a power switch that have dials.

The same seed gives the same run. Workloads write a ledger, and `checkers` judge it: two copies at once are found here first.
"""

from clusterd.sim.cluster import SimCluster, SimSettings

__all__ = ["SimCluster", "SimSettings"]
