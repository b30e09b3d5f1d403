"""What is in the database now, and what does a committed transaction make of it? Pure.

Invariants: applying the same transactions in the same order gives the same state and digest everywhere; a transaction
whose compares fail changes nothing but the table of answers; a request id that was answered gets the same answer again.
"""

import zlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from clusterd.model import keys
from clusterd.model.errors import invariant
from clusterd.wire.records_pb2 import AnsweredRequest, DatabaseSnapshot, StoredItem, Transaction, TransactionResult

EVENTS_KEPT_MAX = 2000
ANSWERS_KEPT_MAX = 8192
CHANGES_KEPT_MAX = 16384


class Item(NamedTuple):
    """A key's value, the revision of its last change, and its share of the digest."""

    value: bytes
    revision: int
    digest: int


class Database:
    """The state after `revision`. One writer feeds it; readers use a `DatabaseView`."""

    def __init__(self) -> None:
        self.revision = 0
        self.cluster_ms = 0
        self._items: dict[str, Item] = {}
        self._kinds: dict[str, set[str]] = {}
        self._order: dict[str, list[str]] = {}
        self._changed_at: dict[str, int] = {}
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        """By request id, as they stand in a snapshot: thousands made into messages at once would hold up the node."""
        self._event_keys: dict[str, None] = {}  # oldest first
        self._changes: deque[tuple[int, str]] = deque(maxlen=CHANGES_KEPT_MAX)
        self._changes_complete_after = 0
        self._digest = 0

    # ---- reading ----

    def get(self, key: str) -> Item | None:
        return self._items.get(key)

    def revision_of(self, key: str) -> int:
        """The revision of the key's last change; 0 when it is absent."""
        item = self.get(key)
        return item.revision if item else 0

    def keys_under(self, prefix: str) -> list[str]:
        """Every key of one kind (`keys.GROUP`, …), in order."""
        order = self._order.get(prefix)
        if order is None:
            order = self._order[prefix] = sorted(self._kinds.get(prefix, ()))
        return order

    @property
    def key_count(self) -> int:
        """How much there is to look through: without events and kept answers, which are only asked for by their keys."""
        return len(self._items) - len(self._event_keys) - self.count_under(keys.REQUEST)

    def count_under(self, prefix: str) -> int:
        """How many keys of one kind there are."""
        return len(self._kinds.get(prefix, ()))

    def changed_at(self, prefix: str) -> int:
        """The last revision that changed anything under `prefix`."""
        return self._changed_at.get(prefix, 0)

    def changes_since(self, after_revision: int) -> list[tuple[int, str]] | None:
        """(revision, key) of every change after `after_revision`, in order; None when that is too long ago to know."""
        if after_revision < self._changes_complete_after:
            return None
        found = list(takewhile(lambda change: change[0] > after_revision, reversed(self._changes)))
        found.reverse()
        return found

    @property
    def digest(self) -> int:
        """A checksum of every key, value and revision: equal at equal revisions on every replica."""
        return self._digest

    # ---- writing ----

    def apply(self, transaction: Transaction, revision: int) -> TransactionResult:
        """Apply a committed transaction. `revision` is its position in the log and rises with every call."""
        invariant(revision > self.revision, f"revision {revision} applied after {self.revision}")
        self.revision = revision
        self.cluster_ms = max(self.cluster_ms, transaction.cluster_ms)
        answered = self._answers.get(transaction.request_id) if transaction.request_id else None
        if answered is not None:
            return _repeat_of(answered)
        result = self._conflict(transaction) or self._change(transaction)
        if transaction.request_id:
            self._remember(transaction.request_id, result)
        return result

    def skip(self, revision: int) -> None:
        """Pass over an entry that holds no transaction (a new leader's first one, a voter configuration)."""
        invariant(revision > self.revision, f"revision {revision} skipped after {self.revision}")
        self.revision = revision

    def _conflict(self, transaction: Transaction) -> TransactionResult | None:
        for compare in transaction.compares:
            present = self.revision_of(compare.key)
            if present != compare.revision:
                return TransactionResult(
                    succeeded=False,
                    revision=self.revision,
                    conflict_key=compare.key,
                    conflict_revision=present,
                )
        return None

    def _change(self, transaction: Transaction) -> TransactionResult:
        for key in transaction.deletes:
            self._delete(key)
        for put in transaction.puts:
            self._put(put.key, put.value)
        for number, value in enumerate(transaction.events):
            key = keys.event(self.revision, number)
            self._put(key, value)
            self._event_keys[key] = None
        while len(self._event_keys) > EVENTS_KEPT_MAX:
            self._delete(next(iter(self._event_keys)))
        return TransactionResult(succeeded=True, revision=self.revision)

    def _remember(self, request_id: str, result: TransactionResult) -> None:
        self._answers[request_id] = _answer_bytes(AnsweredRequest(request_id=request_id, result=result))
        while len(self._answers) > ANSWERS_KEPT_MAX:
            self._answers.popitem(last=False)

    def _put(self, key: str, value: bytes) -> None:
        prefix, revision = keys.prefix_of(key), self.revision
        before = self._items.get(key)
        if before is None:
            self._kinds.setdefault(prefix, set()).add(key)
            self._order.pop(prefix, None)
        else:
            self._digest ^= before.digest
        digest = _item_digest(key, value, revision)
        self._items[key] = Item(value, revision, digest)
        self._digest ^= digest
        self._note_change(prefix, key)

    def _delete(self, key: str) -> None:
        prefix = keys.prefix_of(key)
        before = self._items.pop(key, None)
        if before is not None:
            self._kinds[prefix].discard(key)
            self._digest ^= before.digest
            self._order.pop(prefix, None)
            self._event_keys.pop(key, None)
            self._note_change(prefix, key)

    def _note_change(self, prefix: str, key: str) -> None:
        self._changed_at[prefix] = self.revision
        if len(self._changes) == CHANGES_KEPT_MAX:
            self._changes_complete_after = self._changes[0][0]
        self._changes.append((self.revision, key))

    # ---- snapshots ----

    def snapshot(self) -> bytes:
        """Everything, as of `revision`, in one deterministic message."""
        return DatabaseSnapshot(
            revision=self.revision,
            cluster_ms=self.cluster_ms,
            items=[StoredItem(key=key, value=item.value, revision=item.revision) for key, item in self._all_items()],
        ).SerializeToString(deterministic=True) + b"".join(self._answers.values())

    @classmethod
    def restore(cls, data: bytes, revision: int) -> "Database":
        """The database of `snapshot`, taken when the log was applied up to `revision`."""
        stored = DatabaseSnapshot.FromString(data)
        database = cls()
        database.revision = revision
        database.cluster_ms = stored.cluster_ms
        database._changes_complete_after = revision
        for each in stored.items:
            prefix = keys.prefix_of(each.key)
            item = Item(each.value, each.revision, _item_digest(each.key, each.value, each.revision))
            database._items[each.key] = item
            database._kinds.setdefault(prefix, set()).add(each.key)
            database._changed_at[prefix] = revision
            database._digest ^= item.digest
        database._event_keys.update(dict.fromkeys(database.keys_under(keys.EVENT)))
        for answered in stored.answered:
            database._answers[answered.request_id] = _answer_bytes(answered)
        return database

    def all_items(self) -> list[tuple[str, Item]]:
        """Every key with what it holds, as of now; what comes later changes nothing of the list."""
        return list(self._items.items())

    def take_over(self, changes: Iterable[tuple[str, bytes | None, int]]) -> None:
        """Bring a copy up to its original: (key, its value or None when it is gone, revision of that), oldest first."""
        for key, value, revision in changes:
            self.revision = revision
            if value is None:
                self._delete(key)
                continue
            self._put(key, value)
            if keys.prefix_of(key) == keys.EVENT:
                self._event_keys[key] = None

    def copy(self) -> "Database":
        """The same records and revisions, to try something on. It knows no earlier changes and no answered requests."""
        database = Database()
        database.revision = database._changes_complete_after = self.revision
        database.cluster_ms = self.cluster_ms
        database._items = dict(self._items)
        database._kinds = {prefix: set(kind) for prefix, kind in self._kinds.items()}
        database._order = dict(self._order)
        database._changed_at = dict(self._changed_at)
        database._event_keys = dict(self._event_keys)
        database._digest = self._digest
        return database

    def _all_items(self) -> Iterator[tuple[str, Item]]:
        for prefix in sorted(self._kinds):
            for key in self.keys_under(prefix):
                yield key, self._items[key]


def _answer_bytes(answered: AnsweredRequest) -> bytes:
    """A snapshot with nothing but this answer in it; such pieces one after the other are one snapshot with all of them."""
    return DatabaseSnapshot(answered=[answered]).SerializeToString()


def _repeat_of(first: bytes) -> TransactionResult:
    (answered,) = DatabaseSnapshot.FromString(first).answered
    again: TransactionResult = answered.result
    again.is_repeat = True
    return again


def _item_digest(key: str, value: bytes, revision: int) -> int:
    return zlib.crc32(value, zlib.crc32(f"{key}@{revision}".encode()))
