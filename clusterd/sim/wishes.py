"""What can an operator of a simulated cluster wish for, and what is claimed of the answer? Pure. Commands of scenarios.

    pause n1 | drain n1 [target=n2] [force] [retry] | resume n1 [failback=none|immediate|policy] | clear-quarantine n1
    fence-node n1                                               end its present run
    delete-node n1                                              take it out of the configuration
    maintain cluster | node n1 | group web | resource a         end-maintenance …the same
    set cluster|node n1|group web|resource a|group-set s|type generic_service  name=value …
    rule apart different-node web,db [disabled]                 delete-rule apart
    group-set backend groups=db,cache [providers=front] [startup_setting=online …]      delete-group-set backend
    move web [n2] [live|quick|shutdown|turn-off] [queue] [ignore-lock] [ignore-rules]
    cancel-move web | online web | offline web | offline-resource server
    create-resource server cache                                refused while another group's owner may still run one

Each writes what the API would write, and waits for the commit; `move`, `online` and `offline` leave that to the next wish.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from clusterd.database import DatabaseView, Draft
from clusterd.leader.namesakes import held_names, namesake
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId, ResourceId, key_of
from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    GroupSetRecord,
    Maintenance,
    MoveRequest,
    NodeRecord,
    PauseRequest,
    Properties,
    Record,
    ResourceRecord,
    ResumeRequest,
    RuleRecord,
)
from clusterd.model.settings_catalogue import Scope
from clusterd.model.settings_check import check_properties, find_setting
from clusterd.model.states import FailbackMode, MigrationState, MoveKind, RuleKind, Wanted
from clusterd.sim.cluster import COMMIT_PATIENCE_MS, SimCluster

R = TypeVar("R", bound=Record)
BY = "an operator"


class Wishes:
    """An operator, who numbers every wish."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._count = 0
        self._unanswered: int | None = None

    def find(self, word: str) -> Callable[..., None] | None:
        """The command called `word`."""
        found: Callable[..., None] | None = getattr(self, f"_do_{word.replace('-', '_')}", None)
        return found

    # ---- groups ----

    def _do_move(self, group: str, *words: str) -> None:
        kinds = [kind for kind in MoveKind if kind and kind.value in words]
        options = ("queue", "ignore-lock", "ignore-rules", *MoveKind)
        target = "".join(word for word in words if word not in options)
        move = MoveRequest(
            self._new_id("move"),
            NodeId(target),
            is_queued="queue" in words,
            ignores_lock="ignore-lock" in words,
            ignores_rules="ignore-rules" in words,
            kind=kinds[0] if kinds else MoveKind.UNSAID,
        )
        self._change_group_soon(group, lambda record: replace(record, move=move))

    def _do_cancel_move(self, group: str) -> None:
        self._change_group_soon(group, lambda record: replace(record, move=None))

    def _do_offline(self, group: str) -> None:
        self._change_group_soon(group, lambda record: replace(record, wanted=Wanted.OFFLINE))

    def _do_online(self, group: str) -> None:
        start_id = self._new_id("start")
        self._change(
            GroupRecord, keys.group(group), lambda record: replace(record, wanted=Wanted.ONLINE, start_id=start_id)
        )

    def _do_offline_resource(self, name: str) -> None:
        self._change(ResourceRecord, keys.resource(name), lambda record: replace(record, wanted=Wanted.OFFLINE))

    def _do_create_resource(self, name: str, group: str) -> None:
        def build(draft: Draft, view: DatabaseView) -> None:
            holder = namesake(held_names(view), name, group)
            if holder is not None:
                raise ValueError(f"{holder.owner} has not given up the {name} of {holder.group} yet")
            draft.replace(ResourceRecord(ResourceId(name), GroupId(group), "generic_service"))

        self._commit(build)

    def _change_group_soon(self, name: str, change: Callable[[GroupRecord], GroupRecord]) -> None:
        self._finish()
        at = self._cluster.leader()
        self._unanswered = self._cluster.change_group_soon(GroupId(name), at, change) if at is not None else None
        if self._unanswered is None:
            raise ValueError("there is no leader that could take the change, or no such group")

    def _finish(self) -> None:
        """One wish after the other: a later one would be planned on what an earlier one is about to change."""
        context, self._unanswered = self._unanswered, None
        if context is not None:
            self._cluster.run_until(lambda: self._cluster.is_answered(context), patience_ms=COMMIT_PATIENCE_MS)

    # ---- nodes ----

    def _do_pause(self, name: str) -> None:
        request = PauseRequest(self._new_id("pause"), asked_wall_ms=self._cluster.wall_ms(), asked_by=BY)
        self._change(NodeRecord, keys.node(name), lambda node: replace(node, pause=request))

    def _do_drain(self, name: str, *words: str) -> None:
        target = next((word.removeprefix("target=") for word in words if word.startswith("target=")), "")
        request = PauseRequest(
            self._new_id("pause"),
            is_drain=True,
            target=NodeId(target),
            is_forced="force" in words,
            is_retried="retry" in words,
            asked_wall_ms=self._cluster.wall_ms(),
            asked_by=BY,
        )
        self._change(NodeRecord, keys.node(name), lambda node: replace(node, pause=request))

    def _do_resume(self, name: str, option: str = "failback=none") -> None:
        mode = FailbackMode(option.removeprefix("failback="))
        request = ResumeRequest(self._new_id("resume"), mode, self._cluster.wall_ms(), BY)
        self._change(NodeRecord, keys.node(name), lambda node: replace(node, pause=None, resume=request))

    def _do_clear_quarantine(self, name: str) -> None:
        clear_id = self._new_id("clear")
        self._change(NodeRecord, keys.node(name), lambda node: replace(node, clear_quarantine_id=clear_id))

    def _do_delete_node(self, name: str) -> None:
        self._commit(lambda draft, view: draft.delete(keys.node(name)))

    def _do_fence_node(self, name: str) -> None:
        member = self._cluster.view().membership(name)
        if member is None:
            raise ValueError(f"{name} has no run")
        self._change(NodeRecord, keys.node(name), lambda node: replace(node, fence_id=member.incarnation))

    # ---- maintenance ----

    def _do_maintain(self, kind: str, name: str = "") -> None:
        wish = Maintenance(self._new_id("maintenance"), asked_wall_ms=self._cluster.wall_ms(), asked_by=BY)
        self._set_maintenance(kind, name, wish)

    def _do_end_maintenance(self, kind: str, name: str = "") -> None:
        self._set_maintenance(kind, name, None)

    def _set_maintenance(self, kind: str, name: str, wish: Maintenance | None) -> None:
        scope = Scope(kind)
        change: Callable[[Any], Any] = lambda record: replace(record, maintenance=wish)  # noqa: E731
        self._change(_RECORD_OF_SCOPE[scope], _key(scope, name), change)

    # ---- configuration ----

    def _do_set(self, kind: str, *words: str) -> None:
        scope = Scope.RESOURCE_TYPE if kind == "type" else Scope(kind.replace("-", " "))
        name, given = ("", words) if scope is Scope.CLUSTER else (words[0], words[1:])
        values = checked(scope, dict(word.split("=", 1) for word in given))
        if scope is Scope.RESOURCE_TYPE:
            self._commit(lambda draft, view: draft.put(_with(view.type_settings(name), values)))
        else:
            self._change(_RECORD_OF_SCOPE[scope], _key(scope, name), lambda record: _with(record, values))

    def _do_rule(self, name: str, kind: str, groups: str, word: str = "enabled") -> None:
        members = tuple(GroupId(each) for each in groups.split(","))
        record = RuleRecord(name, RuleKind(kind), members, is_enabled=word == "enabled")
        self._commit(lambda draft, view: draft.put(record))

    def _do_delete_rule(self, name: str) -> None:
        self._commit(lambda draft, view: draft.delete(keys.rule(name)))

    def _do_group_set(self, name: str, *words: str) -> None:
        given = dict(word.split("=", 1) for word in words)
        groups = tuple(GroupId(each) for each in given.pop("groups", "").split(",") if each)
        providers = tuple(each for each in given.pop("providers", "").split(",") if each)
        record = GroupSetRecord(name, groups, providers, checked(Scope.GROUP_SET, given))
        self._commit(lambda draft, view: draft.put(record))

    def _do_delete_group_set(self, name: str) -> None:
        self._commit(lambda draft, view: draft.delete(keys.group_set(name)))

    # ---- how wishes are written ----

    def _change(self, kind: type[R], key: str, change: Callable[[R], R]) -> None:
        def build(draft: Draft, view: DatabaseView) -> None:
            record = view.get(kind, key)
            if record is None:
                raise ValueError(f"there is no {key}")
            draft.replace(change(record))

        self._commit(build)

    def _commit(self, build: Callable[[Draft, DatabaseView], object]) -> None:
        self._finish()
        at = self._cluster.leader()
        if at is None:
            raise ValueError("there is no leader that could take the change")
        result = self._cluster.commit(lambda draft: build(draft, self._cluster.view(at)), at=at)
        if result is None or not result.succeeded:
            raise ValueError("the change was not committed")

    def _new_id(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"


_RECORD_OF_SCOPE: dict[Scope, type[Any]] = {
    Scope.CLUSTER: ClusterRecord,
    Scope.NODE: NodeRecord,
    Scope.GROUP: GroupRecord,
    Scope.RESOURCE: ResourceRecord,
    Scope.GROUP_SET: GroupSetRecord,
}


def _key(scope: Scope, name: str) -> str:
    return {
        Scope.CLUSTER: lambda name: keys.CLUSTER,
        Scope.NODE: keys.node,
        Scope.GROUP: keys.group,
        Scope.RESOURCE: keys.resource,
        Scope.GROUP_SET: keys.group_set,
    }[scope](name)


def _with(record: Any, values: Properties) -> Any:
    return replace(record, properties={**record.properties, **values})


def checked(scope: Scope, given: dict[str, str]) -> Properties:
    """Values as they are stored. Raises ValueError for a name or value that an operator could not set."""
    found = check_properties(scope, dict(given))
    if found.problems:
        raise ValueError("; ".join(each.text for each in found.problems))
    return found.values


def group_options(given: dict[str, str]) -> tuple[dict[str, str], Properties]:
    """What is said of a group's resources, and the group's own properties."""
    own = {key: value for key, value in given.items() if find_setting(Scope.GROUP, key) and key != "description"}
    return {key: value for key, value in given.items() if key not in own}, checked(Scope.GROUP, own)


def claim(cluster: SimCluster, words: tuple[str, ...]) -> Callable[[], bool] | None:
    """What a scenario may claim of wishes and what became of them; None: something else is claimed.

    group web migration ready | migration failed | fence ordered|done|failed|none
    group web nowhere | status WORD | no-status WORD | hands-off | order run|hold|release | generation N
    resource server free
    node n1 paused | drain STATE | quarantined
    """
    match words:
        case ("resource", name, "free"):
            return lambda: key_of(name) not in held_names(cluster.view())
        case ("group", name, "nowhere"):
            return lambda: (found := cluster.view().assignment(name)) is not None and not found.owner
        case ("group", name, "migration", "ready"):
            return lambda: _is_ready(cluster, name)
        case ("group", name, "migration", "failed"):
            return lambda: bool((found := cluster.view().report(name)) and found.migration and found.migration.failed)
        case ("group", name, "fence", word):
            return lambda: _fence(cluster, name) == word
        case ("group", name, "status", word):
            return lambda: word in _status(cluster, name)
        case ("group", name, "no-status", word):
            return lambda: word not in _status(cluster, name)
        case ("group", name, "hands-off"):
            return lambda: (found := cluster.view().report(name)) is not None and found.is_hands_off
        case ("group", name, "order", order):
            return lambda: (found := cluster.view().assignment(name)) is not None and found.order == order
        case ("group", name, "generation", number):
            return lambda: (found := cluster.view().assignment(name)) is not None and found.generation == int(number)
        case ("node", name, "paused"):
            return lambda: (found := cluster.view().node(name)) is not None and found.pause is not None
        case ("node", name, "drain", state):
            return lambda: (found := cluster.view().drain(name)) is not None and found.state == state
        case ("node", name, "quarantined"):
            return lambda: _is_quarantined(cluster, name)
        case _:
            return None


def _is_ready(cluster: SimCluster, group: str) -> bool:
    found, assignment = cluster.view().migration(group), cluster.view().assignment(group)
    is_present = found is not None and assignment is not None and found.number == assignment.migration
    return found is not None and is_present and found.state is MigrationState.READY


def _fence(cluster: SimCluster, group: str) -> str:
    """What has become of the storage fence that was ordered last."""
    order, said = cluster.view().storage_fence(group), cluster.view().storage_fenced(group)
    if order is None:
        return "none"
    return said.state if said is not None and said.number == order.number else "ordered"


def _status(cluster: SimCluster, group: str) -> tuple[str, ...]:
    assignment = cluster.view().assignment(group)
    return assignment.status if assignment is not None else ()


def _is_quarantined(cluster: SimCluster, name: str) -> bool:
    member, leader = cluster.view().membership(name), cluster.leader()
    machine = cluster.machines[NodeId(leader)] if leader is not None else None
    if member is None or machine is None or machine.node is None:
        return False
    return member.quarantined_until_cluster_ms > machine.node.now(machine.clock_ms()).cluster_ms
