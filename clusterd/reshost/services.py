"""What does every resource of a host share? I/O: handles of the host's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterd.adapters.containment import NodeContainment
from clusterd.adapters.kept_output import OutputKeeper
from clusterd.reshost.spawning import SpawnerLink
from clusterd.reshost.threads import CallThreads
from clusterd.reshost.uncontained import Orphans
from clusterd.wire import host_pb2


@dataclass(slots=True)
class HostServices:
    """What every resource of a host shares."""

    cluster: str
    node: str
    host_id: str
    incarnation: str
    containment: NodeContainment
    environment: Mapping[str, str]
    spawner: SpawnerLink
    threads: CallThreads
    orphans: Orphans
    emit: Callable[[host_pb2.ResourceEvent], None]
    keeper: OutputKeeper
    cluster_id: str = ""
    """The daemon tells it: the guard, which starts the host, knows the name only."""
