"""What does this node tell the cluster about itself? Pure. Its resource types and what its machine has, when they differ.

A type is what the hosts that run now offer. Where two of them offer different versions (a plug-in was updated after one
of them had begun), the newest counts, and that is told once. What no host offers any more is taken back: by the word of
the shared host, which every node has and which is started again whenever it ends, so that nothing comes and goes with
it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.events import PLUGIN_REFUSED, PROPOSAL_REFUSED, TYPE_VERSIONS_DIFFER, Event, note
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import EventRecord, NodeFactsRecord, ResourceTypeRecord
from clusterd.model.versions import version_rank
from clusterd.node.proposals import ForTypes
from clusterd.owner.commands import SHARED_HOST

if TYPE_CHECKING:
    from clusterd.node.node import Node

BATCH_BYTES_MAX = 256 * 1024
REFUSED_AGAIN_MS = 60_000
TROUBLES_MAX, TROUBLE_LENGTH_MAX = 16, 400
"""What is told of plug-ins that are not loaded; there may be as many as files in a folder."""


class Publishing:
    """Records that only this node writes, and that change rarely."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._offers: dict[str, dict[str, ResourceTypeRecord]] = {}
        """By host, in the order in which they came up: what it can run, by key."""
        self._told: set[tuple[str, tuple[str, ...]]] = set()
        """Of which types it was told that there are several versions, and which."""
        self._facts: NodeFactsRecord | None = None
        """What the machine has; what its hosts cannot load stands apart."""
        self._troubles: tuple[str, ...] | None = None
        """None: no shared host of this run has said anything yet."""
        self._is_in_flight = False
        self._not_before_ms = 0
        self._published: tuple[int, int] | None = None
        """As of which changes of the cluster's types and facts there was nothing to tell; None: something is new here."""

    def know_types(self, host: str, types: Iterable[ResourceTypeRecord], troubles: Sequence[str] = ()) -> None:
        """A host of this node can run them. `troubles`: what it could not load; the word of the shared host counts."""
        self._offers.pop(host, None)
        self._published = None
        if host == SHARED_HOST:
            self._troubles = tuple(_shortened(each) for each in troubles[:TROUBLES_MAX])
        self._offers[host] = {keys.resource_type(each.name, each.node): each for each in types}

    def forget_host(self, host: str) -> None:
        self._offers.pop(host, None)
        self._published = None

    def forget_hosts(self) -> None:
        self._offers = {}
        self._published = None

    def know_machine(self, *, memory_mib: int, cores: int) -> bool:
        """What the machine has. True when that is news."""
        facts = NodeFactsRecord(self._node.me, memory_mib, cores)
        is_news = facts != self._facts
        self._facts, self._published = facts, None
        return is_news

    def settled(self, refused: str, now_ms: int) -> None:
        """`refused`: why it can never be taken as it is. It is not offered again before a while, and that is told."""
        self._is_in_flight = False
        if refused:
            self._not_before_ms = now_ms + REFUSED_AGAIN_MS
            self._node.say(note(PROPOSAL_REFUSED, what="the resource types of this node", because=refused))

    def publish(self, now_ms: int) -> bool:
        """Tell the cluster when it knows something else. True when something was proposed."""
        if self._is_in_flight or now_ms < self._not_before_ms:
            return False
        database = self._node.replica.database
        known = (database.changed_at(keys.RESOURCE_TYPE), database.changed_at(keys.FACTS))
        if known == self._published:
            return False
        draft = self._node.draft()
        names: list[str] = []
        self._publish_facts(draft, names, now_ms)
        if SHARED_HOST in self._offers:
            self._publish_types(draft, names, now_ms)
        if draft.is_empty:
            self._published = known
            return False
        self._is_in_flight = True
        self._node.submit(ForTypes(tuple(names)), draft.build(self._node.next_request_id()), now_ms)
        return True

    def _publish_facts(self, draft: Draft, names: list[str], now_ms: int) -> None:
        if self._facts is None:
            return
        known = self._node.replica.view.facts(self._node.me)
        before = known.plugin_troubles if known is not None else ()
        facts = replace(self._facts, plugin_troubles=before if self._troubles is None else self._troubles)
        if facts == known:
            return
        draft.put(facts)
        names.append(facts.node)
        for trouble in facts.plugin_troubles:
            if trouble not in before:
                message, because = f"{self._node.me} does not load a plug-in: {trouble}", "its types cannot run there"
                draft.event(_event(PLUGIN_REFUSED, self._node.me, message, because, self._node.now(now_ms).wall_ms))
                self._node.say(note(PLUGIN_REFUSED, because=trouble))

    def _publish_types(self, draft: Draft, names: list[str], now_ms: int) -> None:
        view = self._node.replica.view
        offered = self._newest()
        for key, record in offered.items():
            if view.get(ResourceTypeRecord, key) != record and draft.size_bytes < BATCH_BYTES_MAX:
                draft.put(record)
                names.append(record.name)
        for key, known in view.items(ResourceTypeRecord):
            if key_of(known.node) == key_of(self._node.me) and key not in offered:
                draft.delete(key)
                names.append(known.name)
        self._tell_versions(draft, now_ms)

    def _newest(self) -> dict[str, ResourceTypeRecord]:
        """Of each type the newest version; of one version what the host says that came up last."""
        found: dict[str, ResourceTypeRecord] = {}
        for types in self._offers.values():
            for key, record in types.items():
                before = found.get(key)
                if before is None or version_rank(record.version) >= version_rank(before.version):
                    found[key] = record
        return found

    def _tell_versions(self, draft: Draft, now_ms: int) -> None:
        hosts: dict[str, dict[str, str]] = {}
        for host, types in self._offers.items():
            for key, record in types.items():
                hosts.setdefault(key, {})[host] = record.version
        for key, versions in hosts.items():
            several = tuple(sorted(set(versions.values()), key=version_rank))
            if len(several) < 2 or (key, several) in self._told:
                continue
            self._told.add((key, several))
            name = self._newest()[key].name
            texts = ", ".join(f"{version or 'none'} in host {host}" for host, version in versions.items())
            text = f"{self._node.me} has several versions of {name}: {texts}"
            because = f"{several[-1]} counts; a host takes the newest when it is started again"
            wall_ms = self._node.now(now_ms).wall_ms
            draft.event(_event(TYPE_VERSIONS_DIFFER, self._node.me, text, because, wall_ms))
            self._node.say(note(TYPE_VERSIONS_DIFFER, type=name, versions=", ".join(several)))


def _shortened(text: str) -> str:
    return text if len(text) <= TROUBLE_LENGTH_MAX else f"{text[:TROUBLE_LENGTH_MAX].rstrip()} …"


def _event(kind: Event, node: NodeId, message: str, because: str, wall_ms: int) -> EventRecord:
    return EventRecord(wall_ms, kind.name, kind.level, node=node, message=message, because=because)
