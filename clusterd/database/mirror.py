"""How does another process keep a copy of the database? Pure.

It is given what changed since it was asked last, or everything when that is too long ago to know. Everything is taken at one
moment, so that a copy is always the database as it was at one revision; handing it over may take its time.
"""

from dataclasses import dataclass

from clusterd.database.store import Database

Change = tuple[str, bytes | None, int]
"""A key, its value (None: it is gone) and the revision of that."""


@dataclass(frozen=True, slots=True)
class Update:
    """What brings a copy to `revision`; `is_whole`: it begins anew with this."""

    is_whole: bool
    changes: list[Change]
    revision: int
    cluster_ms: int


def update_since(database: Database, revision: int | None) -> Update:
    """What a copy at `revision` lacks; everything for None."""
    changed = database.changes_since(revision) if revision is not None else None
    if changed is None:
        found = sorted(database.all_items(), key=lambda each: each[1].revision)
        changes: list[Change] = [(key, item.value, item.revision) for key, item in found]
        return Update(True, changes, database.revision, database.cluster_ms)
    newest = {key: at for at, key in changed}
    changes = []
    for key, at in sorted(newest.items(), key=lambda each: each[1]):
        item = database.get(key)
        changes.append((key, item.value if item is not None else None, at))
    return Update(False, changes, database.revision, database.cluster_ms)


def finish(database: Database, revision: int, cluster_ms: int) -> None:
    """All changes of an update are taken over: the copy is at its revision."""
    database.revision, database.cluster_ms = revision, cluster_ms
