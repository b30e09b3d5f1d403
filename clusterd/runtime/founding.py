"""What does a node's storage hold at its very first start, and what when it is damaged? I/O.

Every node of a new cluster founds the same database from its configuration, so they agree before they have ever spoken. A
node whose storage is damaged sets it aside and re-syncs from its peers; until then it neither votes nor acknowledges.
"""

from collections.abc import Callable
from pathlib import Path

from clusterd.adapters.configuration import Bootstrap, NodeConfiguration
from clusterd.adapters.storage import Storage
from clusterd.adapters.storage_files import IDENTITY
from clusterd.consensus import Snapshot
from clusterd.database import Database, DatabaseView, Draft
from clusterd.model.errors import DamagedStorage
from clusterd.model.events import STORAGE_DAMAGED, Note, note
from clusterd.model.ids import NodeId
from clusterd.model.records import ClusterRecord, NodeRecord
from clusterd.wire.consensus_pb2 import Configuration, SnapshotMeta


def open_storage(configuration: NodeConfiguration, bootstrap: Bootstrap, log: Callable[[Note], None]) -> Storage:
    """The node's durable state, created when there is none. Raises BadInput for another cluster's directory."""
    directory = Path(configuration.data_dir) / "database"
    cluster_id, node = configuration.cluster_id, configuration.node
    if not (directory / IDENTITY).exists():
        Storage.create(
            directory, cluster_id=cluster_id, node=node, snapshot=founding_snapshot(configuration, bootstrap)
        )
    try:
        storage = Storage.open(directory, cluster_id=cluster_id, node=node)
    except DamagedStorage as damage:
        aside = Storage.set_aside(directory)
        hint = f"kept for inspection in {aside}; the node catches up from its peers before it votes again"
        log(note(STORAGE_DAMAGED, what=damage.message, hint=hint))
        snapshot = founding_snapshot(configuration, bootstrap)
        Storage.create(directory, cluster_id=cluster_id, node=node, snapshot=snapshot, is_amnesiac=True)
        storage = Storage.open(directory, cluster_id=cluster_id, node=node)
    for each in storage.notes:
        log(each)
    return storage


def founding_snapshot(configuration: NodeConfiguration, bootstrap: Bootstrap) -> Snapshot:
    """The first database: the cluster, its nodes, its power switches. Equal on every node of the cluster."""
    draft = Draft(DatabaseView(Database()))
    draft.put(ClusterRecord(configuration.cluster_id, configuration.cluster, bootstrap.cluster_properties))
    for each in configuration.nodes:
        draft.put(NodeRecord(NodeId(each.name), each.number, each.peer, each.api))
    for fence in bootstrap.fence_records:
        draft.put(fence)
    database = Database()
    database.apply(draft.build("founding"), 1)
    voters = [each.name for each in configuration.nodes]
    meta = SnapshotMeta(index=1, term=1, configuration=Configuration(index=1, term=1, voters=voters))
    return Snapshot(meta, database.snapshot())
