"""When does a cluster begin, and what does a node's storage hold when it starts? I/O.

`found` begins a cluster, once, on one node, by order of whoever sets it up; the last rename of it makes it done. A daemon
calls `open_storage` and founds nothing: where it finds no data, or none that can be read, its node has lost what it had.
It starts with nothing, as an amnesiac: it takes the log from the others, and neither votes nor acknowledges nor serves
before they have put it out of the voters and in again. A node that was never a member comes in by the same way.

| found in the folder | what follows |
|---|---|
| a founding, or anything that a daemon wrote | it goes on from there |
| nothing; no `database/` | amnesiac |
| a log without its identity file; anything damaged | set aside for inspection, amnesiac |
| the data of another node or cluster | refused: nothing is touched |
"""

from collections.abc import Callable
from pathlib import Path

from clusterd.adapters.configuration import Bootstrap, NodeConfiguration
from clusterd.adapters.disk_faults import SpoiltDisk
from clusterd.adapters.marker_file import MARKER, MarkerFile
from clusterd.adapters.storage import Storage
from clusterd.adapters.storage_files import IDENTITY
from clusterd.consensus import Restored, Snapshot
from clusterd.consensus.memory import Marker
from clusterd.database import Database, DatabaseView, Draft
from clusterd.model.errors import DamagedStorage
from clusterd.model.events import STORAGE_DAMAGED, STORAGE_MISSING, Note, note
from clusterd.model.ids import NodeId
from clusterd.model.records import ClusterRecord, NodeRecord
from clusterd.wire.consensus_pb2 import Configuration, SnapshotMeta

DATABASE = "database"


def found(configuration: NodeConfiguration, bootstrap: Bootstrap) -> None:
    """Begin the cluster on this node, its first voter; the other members learn. Raises BadInput where there is data."""
    Storage.create(
        Path(configuration.data_dir) / DATABASE,
        cluster_id=configuration.cluster_id,
        node=configuration.node,
        snapshot=founding_snapshot(configuration, bootstrap),
    )


def open_storage(configuration: NodeConfiguration, log: Callable[[Note], None], disk: SpoiltDisk) -> Storage:
    """The node's durable state, as the table above says. Raises BadInput for another node's or cluster's data. `disk` is
    what it writes and syncs with."""
    directory = Path(configuration.data_dir) / DATABASE
    if not (directory / IDENTITY).exists():
        _begin_with_nothing(configuration, directory, log)
    cluster_id, node = configuration.cluster_id, configuration.node
    try:
        storage = Storage.open(directory, cluster_id=cluster_id, node=node, sync=disk.sync, write=disk.write)
    except DamagedStorage as damage:
        aside = Storage.set_aside(directory)
        log(
            note(
                STORAGE_DAMAGED,
                what=damage.message,
                hint=f"kept for inspection in {aside}; {_what_follows(configuration)}",
            )
        )
        _create_empty(configuration, directory)
        storage = Storage.open(directory, cluster_id=cluster_id, node=node, sync=disk.sync, write=disk.write)
    for each in storage.notes:
        log(each)
    return storage


def open_marker(configuration: NodeConfiguration, storage: Storage, log: Callable[[Note], None]) -> Marker:
    """What the node's last daemon wrote down of its promises; `storage` keeps it up to date from here on. Raises BadInput
    for another node's or cluster's."""
    path = Path(configuration.marker_dir or configuration.data_dir) / MARKER
    file = MarkerFile(path, configuration.cluster_id, configuration.node)
    marker, notes = file.start()
    for each in notes:
        log(each)
    storage.keep_marker(file)
    return marker


def _begin_with_nothing(configuration: NodeConfiguration, directory: Path, log: Callable[[Note], None]) -> None:
    what = f"{directory} holds no data of {configuration.node}"
    hint = _what_follows(configuration)
    if Storage.has_data(directory):
        aside = Storage.set_aside(directory)
        what = f"{directory} has a log, but the file that says whose it is is gone"
        hint = f"kept for inspection in {aside}; {hint}"
    log(note(STORAGE_MISSING, what=what, hint=hint))
    _create_empty(configuration, directory)


def _create_empty(configuration: NodeConfiguration, directory: Path) -> None:
    cluster_id, node = configuration.cluster_id, configuration.node
    nothing = Restored.nothing().snapshot
    Storage.create(directory, cluster_id=cluster_id, node=node, snapshot=nothing, is_amnesiac=True)


def _what_follows(configuration: NodeConfiguration) -> str:
    if len(configuration.nodes) == 1:
        return f"no other node has it: stop the daemon, put a copy of {configuration.data_dir} back, and start it again"
    return "the node takes the log from the others and votes again once they have admitted it"


def founding_snapshot(configuration: NodeConfiguration, bootstrap: Bootstrap) -> Snapshot:
    """The first database: the cluster, its nodes, its power switches. Its founder votes, the others are to be admitted."""
    draft = Draft(DatabaseView(Database()))
    draft.put(ClusterRecord(configuration.cluster_id, configuration.cluster, bootstrap.cluster_properties))
    for each in configuration.nodes:
        draft.put(NodeRecord(NodeId(each.name), each.number, each.peer, each.api))
    for fence in bootstrap.fence_records:
        draft.put(fence)
    database = Database()
    database.apply(draft.build("founding"), 1)
    me = configuration.member.name
    learners = [each.name for each in configuration.nodes if each.name != me]
    meta = SnapshotMeta(index=1, term=1, configuration=Configuration(index=1, term=1, voters=[me], learners=learners))
    return Snapshot(meta, database.snapshot())
