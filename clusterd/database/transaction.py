"""How is a change to the database written down, so that the check behind it still holds when it commits? Pure."""

from dataclasses import replace

from clusterd.database.guards import guards_of
from clusterd.database.timeline import Signature, folded, is_foldable, said_again, signature_of
from clusterd.database.view import PREFIX_OF_RECORD, DatabaseView
from clusterd.model import codec, keys
from clusterd.model.availability import AvailabilityRecord
from clusterd.model.disk import DiskRecord
from clusterd.model.drains import DrainRecord
from clusterd.model.errors import invariant
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
    GuardRecord,
    MembershipRecord,
    NodeFactsRecord,
    NodeRecord,
    Record,
    ReportRecord,
    RequestRecord,
    ResourceRecord,
    ResourceTypeRecord,
    RuleRecord,
    TypeSettingsRecord,
)
from clusterd.model.storage_fences import StorageFenceRecord, StorageFenceReport
from clusterd.wire.records_pb2 import Compare, Put, Transaction


def key_for(record: Record) -> str:
    """Where a record lives. Events have no key of their own before they are committed."""
    match record:
        case ClusterRecord():
            return keys.CLUSTER
        case FormationRecord():
            return keys.FORMATION
        case (
            NodeRecord()
            | GroupRecord()
            | ResourceRecord()
            | FenceRecord()
            | RuleRecord()
            | GroupSetRecord()
            | GroupSetStateRecord()
            | TypeSettingsRecord()
            | GuardRecord()
        ):
            return PREFIX_OF_RECORD[type(record)] + record.name.casefold()
        case ResourceTypeRecord():
            return keys.resource_type(record.name, record.node)
        case AssignmentRecord():
            return keys.assignment(record.group)
        case ReportRecord():
            return keys.report(record.group)
        case MigrationRecord():
            return keys.migration(record.group)
        case StorageFenceRecord():
            return keys.storage_fence(record.group)
        case StorageFenceReport():
            return keys.storage_fenced(record.group)
        case MembershipRecord():
            return keys.membership(record.node)
        case DrainRecord():
            return keys.drain(record.node)
        case NodeFactsRecord():
            return keys.facts(record.node)
        case RequestRecord():
            return keys.request(record.id)
        case AvailabilityRecord():
            return keys.availability(record.group)
        case DiskRecord():
            return keys.disk(record.node)
        case EventRecord():
            raise TypeError("an event is added by Draft.event and gets its key at commit")


class Draft:
    """A transaction in the making. Every key that the check read is named by `expect`."""

    def __init__(self, view: DatabaseView) -> None:
        self._view = view
        self._compares: dict[str, int] = {}
        self._puts: dict[str, bytes] = {}
        self.stored: dict[str, Record] = {}
        """What is put, as records."""
        self._deletes: set[str] = set()
        self._events: list[EventRecord] = []
        self._foldable: dict[Signature, int] = {}

    def expect(self, key: str) -> "Draft":
        """Commit only if `key` is still what the view shows (or is still absent)."""
        self._compares[key] = self._view.revision_of(key)
        return self

    def put(self, record: Record) -> "Draft":
        """Store a record, expecting nothing: call `expect` for what the decision rests on."""
        key = key_for(record)
        for guard in guards_of(self._view, key, record):
            self.guard(guard)
        self._puts[key], self.stored[key] = codec.encode(record), record
        return self

    def guard(self, key: str) -> "Draft":
        """Exclude every transaction that expects this guard, without expecting it."""
        self._puts[key] = codec.encode(GuardRecord(key.removeprefix(keys.GUARD)))
        return self

    def replace(self, record: Record) -> "Draft":
        """Store a record and expect that nobody changed it since."""
        return self.expect(key_for(record)).put(record)

    def delete(self, key: str) -> "Draft":
        for guard in guards_of(self._view, key, None):
            self.guard(guard)
        self._deletes.add(key)
        return self.expect(key)

    def drop(self, key: str) -> "Draft":
        """Delete a key whatever it holds by then: several may drop the same one."""
        self._deletes.add(key)
        return self

    def event(self, event: EventRecord) -> "Draft":
        """Say what happened, with its cause. What was said a moment ago already is counted on instead."""
        view = self._view
        if not event.caused_by:
            event = replace(event, caused_by=view.cause_of(event))
        if is_foldable(event):
            signature = signature_of(event)
            number = self._foldable.get(signature)
            if number is not None:
                self._events[number] = said_again(self._events[number], event)
                return self
            self._foldable[signature] = len(self._events)
        key, before = view.said_before(event)
        if before is not None:
            self.delete(key)
            event = folded(event, key, before)
        self._events.append(event)
        return self

    def join(self, other: "Draft") -> "Draft":
        """Take in all of another draft of the same view: both hold, or neither."""
        for key, revision in other._compares.items():
            invariant(self._compares.setdefault(key, revision) == revision, f"two drafts saw another {key}")
        self._puts.update(other._puts)
        self.stored.update(other.stored)
        self._deletes |= other._deletes
        self._events += other._events
        return self

    @property
    def is_empty(self) -> bool:
        return not (self._puts or self._deletes or self._events)

    @property
    def size_bytes(self) -> int:
        """About how large the transaction is, without what surrounds each of its parts."""
        events = sum(len(codec.encode(each)) for each in self._events)
        keys_length = sum(map(len, (*self._puts, *self._compares, *self._deletes)))
        return sum(map(len, self._puts.values())) + events + keys_length

    @property
    def touched(self) -> list[str]:
        return sorted(self._puts.keys() | self._deletes)

    def puts(self, key: str) -> bool:
        """Whether a record is stored under `key`."""
        return key in self._puts

    def build(self, request_id: str) -> Transaction:
        """The finished transaction. The same request id may be committed again without harm."""
        return Transaction(
            request_id=request_id,
            compares=[Compare(key=key, revision=revision) for key, revision in sorted(self._compares.items())],
            puts=[Put(key=key, value=value) for key, value in sorted(self._puts.items())],
            deletes=sorted(self._deletes),
            events=[codec.encode(each) for each in self._events],
        )
