"""Under which key does each record live? Pure.

Names are folded (`ids.key_of`), so a key exists once for every name that people would call the same.
"""

from functools import lru_cache

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

CLUSTER = "cluster"
NODE = "node/"
GROUP = "group/"
RESOURCE = "resource/"
FENCE = "fence/"
RESOURCE_TYPE = "resource_type/"
TYPE_SETTINGS = "type_settings/"
RULE = "rule/"
GROUP_SET = "group_set/"
GROUP_SET_STATE = "group_set_state/"
ASSIGNMENT = "assignment/"
REPORT = "report/"
MIGRATION = "migration/"
STORAGE_FENCE = "storage_fence/"
STORAGE_FENCED = "storage_fenced/"
MEMBERSHIP = "membership/"
DRAIN = "drain/"
FORMATION = "formation"
FACTS = "facts/"
DISK = "disk/"
AVAILABILITY = "availability/"
GUARD = "guard/"
GUARD_PLACEMENT = GUARD + "placement"
"""Put with every placement of a group that shares a limit or a rule with others."""
GUARD_LIMITS = GUARD + "limits"
"""Put with every change to what placements rest on: rules, capacity, classes, pauses. All placements expect it."""
EVENT = "event/"
REQUEST = "request/"

RECORD_OF_PREFIX: dict[str, type[Record]] = {
    CLUSTER: ClusterRecord,
    NODE: NodeRecord,
    GROUP: GroupRecord,
    RESOURCE: ResourceRecord,
    FENCE: FenceRecord,
    RESOURCE_TYPE: ResourceTypeRecord,
    TYPE_SETTINGS: TypeSettingsRecord,
    RULE: RuleRecord,
    GROUP_SET: GroupSetRecord,
    GROUP_SET_STATE: GroupSetStateRecord,
    ASSIGNMENT: AssignmentRecord,
    REPORT: ReportRecord,
    MIGRATION: MigrationRecord,
    STORAGE_FENCE: StorageFenceRecord,
    STORAGE_FENCED: StorageFenceReport,
    MEMBERSHIP: MembershipRecord,
    DRAIN: DrainRecord,
    FORMATION: FormationRecord,
    FACTS: NodeFactsRecord,
    DISK: DiskRecord,
    AVAILABILITY: AvailabilityRecord,
    GUARD: GuardRecord,
    EVENT: EventRecord,
    REQUEST: RequestRecord,
}


@lru_cache(maxsize=65536)
def prefix_of(key: str) -> str:
    """The prefix that says which record a key holds: 'group/web' → 'group/'."""
    return key[: key.find("/") + 1] or key


def node(name: str) -> str:
    return NODE + key_of(name)


def group(name: str) -> str:
    return GROUP + key_of(name)


def resource(name: str) -> str:
    return RESOURCE + key_of(name)


def fence(name: str) -> str:
    return FENCE + key_of(name)


def resource_type(name: str, node_name: str) -> str:
    return f"{RESOURCE_TYPE}{key_of(name)}/{key_of(node_name)}"


def type_settings(name: str) -> str:
    return TYPE_SETTINGS + key_of(name)


def rule(name: str) -> str:
    return RULE + key_of(name)


def group_set(name: str) -> str:
    return GROUP_SET + key_of(name)


def group_set_state(name: str) -> str:
    return GROUP_SET_STATE + key_of(name)


def assignment(group_name: str) -> str:
    return ASSIGNMENT + key_of(group_name)


def report(group_name: str) -> str:
    return REPORT + key_of(group_name)


def migration(group_name: str) -> str:
    return MIGRATION + key_of(group_name)


def storage_fence(group_name: str) -> str:
    return STORAGE_FENCE + key_of(group_name)


def storage_fenced(group_name: str) -> str:
    return STORAGE_FENCED + key_of(group_name)


def membership(node_name: str) -> str:
    return MEMBERSHIP + key_of(node_name)


def drain(node_name: str) -> str:
    return DRAIN + key_of(node_name)


def facts(node_name: str) -> str:
    return FACTS + key_of(node_name)


def request(request_id: str) -> str:
    """Ids of requests are no names: 'A1' and 'a1' are two."""
    return REQUEST + request_id


def disk(node_name: str) -> str:
    return DISK + key_of(node_name)


def availability(group_name: str) -> str:
    return AVAILABILITY + key_of(group_name)


def event(revision: int, number: int) -> str:
    """Fixed width, so that text order is time order."""
    return f"{EVENT}{revision:016x}.{number:03x}"
