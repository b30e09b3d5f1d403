"""What does the database say, in records rather than bytes? Pure.

A view reads the live database: what it returns is immutable, but two reads with an `await` between them may see
different revisions. Decoded records are kept as long as their revision stands.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

from clusterd.database.store import Database
from clusterd.database.timeline import Timeline
from clusterd.model import codec, keys
from clusterd.model.availability import AvailabilityRecord
from clusterd.model.disk import DiskRecord
from clusterd.model.drains import DrainRecord
from clusterd.model.ids import key_of
from clusterd.model.migrations import MigrationRecord
from clusterd.model.records import (
    AssignmentRecord,
    ClusterRecord,
    EventRecord,
    FenceRecord,
    FormationRecord,
    GroupRecord,
    GroupSetRecord,
    GroupSetStateRecord,
    MembershipRecord,
    NodeFactsRecord,
    NodeRecord,
    Record,
    ReportRecord,
    ResourceRecord,
    ResourceTypeRecord,
    RuleRecord,
    TypeSettingsRecord,
)
from clusterd.model.storage_fences import StorageFenceRecord, StorageFenceReport

R = TypeVar("R", bound=Record)

DECODED_MAX = 4096
PREFIX_OF_RECORD: dict[type, str] = {kind: prefix for prefix, kind in keys.RECORD_OF_PREFIX.items()}


class DatabaseView:
    """Typed reads of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._decoded: dict[str, tuple[int, Record]] = {}
        self._decoded_max = DECODED_MAX
        self._resources_by_group: dict[str, list[ResourceRecord]] = {}
        self._resources_as_of = -1
        self._timeline = Timeline()
        self._items: dict[type, tuple[int, Sequence[tuple[str, Record]]]] = {}
        """What there is of each kind, and as of which change of that kind."""
        self._nodes: tuple[int, list[NodeRecord]] = (-1, [])

    def fork(self) -> "DatabaseView":
        """A view of a copy of the database, to try something on; what is decoded already need not be decoded again."""
        view = DatabaseView(self._database.copy())
        view._decoded = dict(self._decoded)
        # Both views make a new one when resources change; the present one is shared.
        view._resources_by_group, view._resources_as_of = self._resources_by_group, self._resources_as_of
        view._items, view._nodes = dict(self._items), self._nodes
        return view

    def replace(self, database: Database) -> None:
        """Read another database from now on (a snapshot from the leader took the place of this node's)."""
        self._database = database
        self._decoded = {}
        self._resources_as_of = -1
        self._timeline = Timeline()
        self._items, self._nodes = {}, (-1, [])

    @property
    def revision(self) -> int:
        return self._database.revision

    @property
    def database(self) -> Database:
        return self._database

    def revision_of(self, key: str) -> int:
        return self._database.revision_of(key)

    def get(self, kind: type[R], key: str) -> R | None:
        """The record under `key` (built by `model.keys`), or None when there is none."""
        item, known = self._database.get(key), self._decoded.get(key)
        if item is None:
            if known is not None:
                del self._decoded[key]
            return None
        if known is not None and known[0] == item.revision:
            return cast(R, known[1])
        record = codec.decode(kind, item.value)
        self._decoded[key] = (item.revision, record)
        if len(self._decoded) > self._decoded_max:
            self._forget_deleted()
        return record

    def _forget_deleted(self) -> None:
        """Events come and go without anybody asking for them again."""
        self._decoded = {key: known for key, known in self._decoded.items() if self._database.get(key) is not None}
        self._decoded_max = DECODED_MAX + 2 * len(self._decoded)

    def items(self, kind: type[R]) -> Iterator[tuple[str, R]]:
        """Every record of one kind with its key, in key order."""
        changed_at = self._database.changed_at(PREFIX_OF_RECORD[kind])
        known = self._items.get(kind)
        if known is None or known[0] != changed_at:
            found = self._read_items(kind)
            if len(found) > DECODED_MAX:
                return iter(found)
            known = self._items[kind] = (changed_at, found)
        return iter(cast(Sequence[tuple[str, R]], known[1]))

    def _read_items(self, kind: type[R]) -> list[tuple[str, R]]:
        keys_under = self._database.keys_under(PREFIX_OF_RECORD[kind])
        return [(key, record) for key in keys_under if (record := self.get(kind, key)) is not None]

    # ---- shortcuts ----

    def cluster(self) -> ClusterRecord:
        return self.get(ClusterRecord, keys.CLUSTER) or ClusterRecord(id="", name="")

    def node(self, name: str) -> NodeRecord | None:
        return self.get(NodeRecord, keys.node(name))

    def nodes(self) -> list[NodeRecord]:
        """In join order, which breaks ties in placement."""
        changed_at = self._database.changed_at(keys.NODE)
        if self._nodes[0] != changed_at:
            found = sorted((record for _, record in self.items(NodeRecord)), key=lambda each: each.number)
            self._nodes = (changed_at, found)
        return list(self._nodes[1])

    def group(self, name: str) -> GroupRecord | None:
        return self.get(GroupRecord, keys.group(name))

    def groups(self) -> list[GroupRecord]:
        return [record for _, record in self.items(GroupRecord)]

    def resource(self, name: str) -> ResourceRecord | None:
        return self.get(ResourceRecord, keys.resource(name))

    def resources(self) -> list[ResourceRecord]:
        return [record for _, record in self.items(ResourceRecord)]

    def resources_of(self, group_name: str) -> list[ResourceRecord]:
        """The group's resources, in name order."""
        changed_at = self._database.changed_at(keys.RESOURCE)
        if changed_at != self._resources_as_of:
            self._resources_by_group = {}
            for _, record in self.items(ResourceRecord):
                self._resources_by_group.setdefault(key_of(record.group), []).append(record)
            self._resources_as_of = changed_at
        return self._resources_by_group.get(key_of(group_name), [])

    def assignment(self, group_name: str) -> AssignmentRecord | None:
        return self.get(AssignmentRecord, keys.assignment(group_name))

    def assignment_of(self, group: GroupRecord) -> AssignmentRecord | None:
        """The assignment of this very group; that of a deleted one of the same name is none of its."""
        found = self.assignment(group.name)
        return found if found is not None and found.group_id == group.id else None

    def group_of(self, assignment: AssignmentRecord) -> GroupRecord | None:
        """The group that an assignment is about; None when it was deleted, also when another has its name by now."""
        found = self.group(assignment.group)
        return found if found is not None and found.id == assignment.group_id else None

    def report(self, group_name: str) -> ReportRecord | None:
        """The owner's last report. It may be of an older generation than the assignment: see `report_under`."""
        return self.get(ReportRecord, keys.report(group_name))

    def report_under(self, assignment: AssignmentRecord | None) -> ReportRecord | None:
        """What the owner reported under the generation that is assigned; None: nothing yet."""
        report = self.report(assignment.group) if assignment is not None else None
        is_present = report is not None and assignment is not None and report.generation == assignment.generation
        return report if is_present else None

    def migration(self, group_name: str) -> MigrationRecord | None:
        """What the destination last said about a live migration. It may be of an earlier one: compare the number."""
        return self.get(MigrationRecord, keys.migration(group_name))

    def storage_fence(self, group_name: str) -> StorageFenceRecord | None:
        """The storage fence that the leader ordered last, until the group is assigned anew."""
        return self.get(StorageFenceRecord, keys.storage_fence(group_name))

    def storage_fenced(self, group_name: str) -> StorageFenceReport | None:
        """What came of a storage fence. It may be of an earlier order: compare the number."""
        return self.get(StorageFenceReport, keys.storage_fenced(group_name))

    def membership(self, node_name: str) -> MembershipRecord | None:
        return self.get(MembershipRecord, keys.membership(node_name))

    def drain(self, node_name: str) -> DrainRecord | None:
        return self.get(DrainRecord, keys.drain(node_name))

    def formation(self) -> FormationRecord:
        """The last cold start; number 0 when there was none yet."""
        return self.get(FormationRecord, keys.FORMATION) or FormationRecord(0, 0, 0)

    def facts(self, node_name: str) -> NodeFactsRecord | None:
        return self.get(NodeFactsRecord, keys.facts(node_name))

    def availability(self, group_name: str) -> AvailabilityRecord | None:
        """What was measured of the group, or of an earlier one of its name; None: it was never online."""
        return self.get(AvailabilityRecord, keys.availability(group_name))

    def disk(self, node_name: str) -> DiskRecord | None:
        """What the cluster was told of a node's disk last; None: it never was anything but well."""
        return self.get(DiskRecord, keys.disk(node_name))

    def rules(self) -> list[RuleRecord]:
        return [record for _, record in self.items(RuleRecord)]

    def group_sets(self) -> list[GroupSetRecord]:
        return [record for _, record in self.items(GroupSetRecord)]

    def group_set_state(self, name: str) -> GroupSetStateRecord:
        return self.get(GroupSetStateRecord, keys.group_set_state(name)) or GroupSetStateRecord(name)

    def type_settings(self, type_name: str) -> TypeSettingsRecord:
        """What operators set for every resource of a type; empty when nothing."""
        return self.get(TypeSettingsRecord, keys.type_settings(type_name)) or TypeSettingsRecord(type_name)

    def fences(self) -> list[FenceRecord]:
        return [record for _, record in self.items(FenceRecord)]

    def resource_types(self) -> list[ResourceTypeRecord]:
        return [record for _, record in self.items(ResourceTypeRecord)]

    def events(self) -> Iterator[tuple[str, EventRecord]]:
        """The timeline with its keys, oldest first."""
        return self.items(EventRecord)

    def said_before(self, event: EventRecord) -> tuple[str, EventRecord | None]:
        """The newest event that says the same as `event`, not long ago, with its key."""
        self._timeline.look(self._database)
        key = self._timeline.same_as(self._database, event)
        return key, self.get(EventRecord, key) if key else None

    def cause_of(self, event: EventRecord) -> str:
        """The name of the event that led to `event`, which is about to be said; empty when none did."""
        self._timeline.look(self._database)
        return self._timeline.cause_of(self._database, event, self.assignment(event.group) if event.group else None)
