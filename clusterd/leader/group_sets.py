"""Which groups wait for which, and is what they wait for ready? Pure. Group sets order starts between groups.

A set is ready when enough of its groups have come as far as its startup setting asks, plus its startup delay. Of a set
that wants all its groups, those that nobody wants online do not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from clusterd.database import DatabaseView, Draft
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.leader.standing import Standing, standing_of
from clusterd.model import keys
from clusterd.model.events import GROUP_SET_READIED
from clusterd.model.ids import key_of
from clusterd.model.records import EventRecord, GroupSetRecord, GroupSetStateRecord
from clusterd.model.settings import GroupSetSettings, group_set_settings


@dataclass(frozen=True, slots=True)
class Unready:
    """A set that a group waits for. `ready_at_cluster_ms` is known only while its startup delay runs."""

    name: str
    text: str
    ready_at_cluster_ms: int = 0


class GroupSets:
    """All sets, as one pass sees them."""

    def __init__(self, view: DatabaseView, sight: Sight) -> None:
        self._view = view
        self._sight = sight
        self._sets = {key_of(each.name): each for each in view.group_sets()}
        self._settings = {name: group_set_settings(each) for name, each in self._sets.items()}
        self._set_of = {key_of(group): name for name, each in self._sets.items() for group in each.groups}

    def unready_providers(self, group: str) -> list[Unready]:
        """The sets that `group` has to wait for, in name order."""
        if not self._sets:
            return []
        found = (self._unready(name) for name in sorted(self._providers_of(group)))
        return [each for each in found if each is not None]

    def decide(self) -> list[Proposal]:
        """Write down which sets have become ready, or are so no more."""
        return [found for name in sorted(self._sets) if (found := self._decide(name)) is not None]

    def deadlines_cluster_ms(self) -> Iterator[int]:
        for name, settings in self._settings.items():
            since = self._view.group_set_state(name).ready_since_cluster_ms
            if since and since + settings.startup_delay_ms > self._sight.cluster_ms:
                yield since + settings.startup_delay_ms

    # ---- which sets ----

    def _providers_of(self, group: str) -> set[str]:
        own = self._set_of.get(key_of(group))
        direct = {key_of(each) for each in self._sets[own].providers} if own is not None else set()
        globals_ = {
            name
            for name, settings in self._settings.items()
            if settings.is_global and name != own and own not in self._below(name)
        }
        return (direct | globals_) & self._sets.keys()

    def _below(self, name: str) -> set[str]:
        """The sets that a set depends on, directly or not: a global one must not hold up what it waits for itself."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for each in self._sets[waiting.pop()].providers:
                provider = key_of(each)
                if provider not in found and provider in self._sets:
                    found.add(provider)
                    waiting.append(provider)
        return found

    # ---- how far a set is ----

    def _unready(self, name: str) -> Unready | None:
        record, settings = self._sets[name], self._settings[name]
        since = self._view.group_set_state(name).ready_since_cluster_ms
        if since and self._sight.cluster_ms >= since + settings.startup_delay_ms:
            return None
        if since:
            left_ms = since + settings.startup_delay_ms - self._sight.cluster_ms
            text = f"set {record.name} is ready in {(left_ms + 999) // 1000} s (startup_delay)"
            return Unready(record.name, text, since + settings.startup_delay_ms)
        have, needed = self._progress(record, settings)
        what = "online" if settings.startup_setting == "online" else "coming online"
        return Unready(record.name, f"{have} of {needed} groups of set {record.name} are {what}")

    def _progress(self, record: GroupSetRecord, settings: GroupSetSettings) -> tuple[int, int]:
        """How many groups have come far enough, and how many must."""
        standings = [
            standing_of(self._view, group, 1) for each in record.groups if (group := self._view.group(each)) is not None
        ]
        wanted = [each for each in standings if each.is_wanted]
        have = sum(_has_come(each, settings) for each in wanted)
        needed = len(wanted) if settings.startup_count is None else settings.startup_count
        return have, max(1, needed)

    def _decide(self, name: str) -> Proposal | None:
        record, settings = self._sets[name], self._settings[name]
        before = self._view.group_set_state(name)
        have, needed = self._progress(record, settings)
        is_ready, was_ready = have >= needed, bool(before.ready_since_cluster_ms)
        if is_ready == was_ready:
            return None
        since = max(1, self._sight.cluster_ms) if is_ready else 0
        draft = Draft(self._view).replace(GroupSetStateRecord(record.name, since)).expect(keys.group_set(record.name))
        if is_ready:
            message = f"set {record.name} is ready"
            because = f"{have} of {needed} groups have come far enough"
            draft.event(
                EventRecord(
                    self._sight.wall_ms,
                    GROUP_SET_READIED.name,
                    GROUP_SET_READIED.level,
                    message=message,
                    because=because,
                )
            )
        return Proposal(f"set/{record.name}", draft)


def _has_come(standing: Standing, settings: GroupSetSettings) -> bool:
    return standing.is_online if settings.startup_setting == "online" else standing.is_coming_online
