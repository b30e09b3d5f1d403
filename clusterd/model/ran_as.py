"""Is what an owner may run of a group what the group's records say now? Pure.

A record may change while its resource is online, and the resource goes on as it was started: a disk writes to the unit that
it opened, whatever its record names since. So the owner says, as a digest, what it tells each resource to come online with,
and nobody takes the records for what it runs unless they have the same digest.
"""

import json
from collections.abc import Iterable
from hashlib import blake2b

from clusterd.model.ids import key_of
from clusterd.model.records import ReportRecord, ResourceRecord

_SIZE_BYTES = 8


def ran_as(record: ResourceRecord) -> str:
    """All of a record that decides what a resource does to the outside, in a few characters. Never empty."""
    text = json.dumps([record.type, record.private, record.depends_on], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=_SIZE_BYTES).hexdigest()


def difference(resources: Iterable[ResourceRecord], report: ReportRecord | None, owner: str) -> str:
    """Why what `owner` may run is not known to be what these records say; empty: it is. `report`: its last one, of the
    present generation."""
    said = {key_of(each.name): each for each in report.resources} if report is not None else {}
    gone = dict(said)
    for record in resources:
        gone.pop(key_of(record.name), None)
        last = said.get(key_of(record.name))
        if last is None or not last.ran_as:
            return f"{owner} has not reported what {record.name} came online with"
        if last.ran_as != ran_as(record):
            return f"{record.name} was changed since it came online on {owner}"
    if gone:
        names = ", ".join(each.name for each in gone.values())
        return f"{owner} had {names}, which is not in the group any more"
    return ""
