"""How is a state of the cluster written down in a few lines? Each line puts records, so lines may follow on decisions.

    nodes a b c                                  several nodes, up and well
    node a [down|joining|expelling] [leaving|other-run] [paused|drained] [maintenance] [memory=MiB] [cores=N] [domain=…]
           [quarantined=LOSSES] [types=x,y] [live=x,y] [disks=x,y] [processor=%] [used=%] [property=value …]
    cluster [maintenance] [property=value …]
    group web [on=a] [state=online] [wanted=offline] [preferred=a,b] [possible=a,b] [type=t] [memory=MiB] [cores=N]
              [resources=data,server(data)|none] [classes=x,y] [order=run] [to=b] [status=…] [move=b|best]
              [maintenance] [id=…] [property=value …]        another id: it was deleted and made anew
    resource data [type=t] [possible=a,b] [wanted=offline] [property=value …]
    rule name kind web db … [disabled]           kind: same-node, different-node, same-fault-domain, different-fault-domain
    set name web db … [providers=x,y] [property=value …]
    assignment web field=value …                 any field of a record that is there, or of a new one
    report web … / membership a … / drain a … / formation …
    sight field=value …                          what the leader sees besides
    time 2h                                      so much later
    drop group/web                               a key goes

A group that is `on` a node was given to it in generation 1, and reports what `state` says of every resource.
Times that end in `_cluster_ms` may be written as -5min or +2s from now.
"""

from dataclasses import fields, replace
from typing import Any, get_type_hints

from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader import Sight
from clusterd.leader.sight import NodeLoad
from clusterd.membership import Detector
from clusterd.membership.detector import Heartbeat
from clusterd.model import keys
from clusterd.model.drains import DrainRecord
from clusterd.model.durations import parse_duration
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.ran_as import ran_as
from clusterd.model.records import (
    AssignmentRecord,
    ClusterRecord,
    Decision,
    FormationRecord,
    GroupRecord,
    GroupSetRecord,
    Maintenance,
    MembershipRecord,
    MoveRequest,
    NodeFactsRecord,
    NodeRecord,
    PauseRequest,
    Record,
    ReportRecord,
    ResourceRecord,
    ResourceReport,
    ResourceTypeRecord,
    RuleRecord,
)
from clusterd.model.settings import cluster_settings
from clusterd.model.settings_catalogue import Scope
from clusterd.model.settings_check import check_properties
from clusterd.model.states import DrainState, MembershipState, Order, ResourceState, RuleKind, Wanted

BEGIN_CLUSTER_MS = 100_000_000
BEGIN_WALL_MS = 1_767_268_800_000  # 2026-01-01 12:00 UTC
MAINTENANCE = Maintenance("m1", asked_by="ann", asked_wall_ms=BEGIN_WALL_MS)


class BadCase(Exception):
    """A line that says nothing known."""


class Snapshot:
    """A database, and what the leader sees besides."""

    def __init__(self) -> None:
        self.database = Database()
        self.view = DatabaseView(self.database)
        self._elapsed_ms = 0
        self._sight: dict[str, Any] = {}
        self._leaving: set[str] = set()
        self._other_run: set[str] = set()
        self._loads: dict[NodeId, NodeLoad] = {}
        self.put(ClusterRecord("c1", "demo"))

    # ---- reading ----

    def sight(self) -> Sight:
        names = [node.name for node in self.view.nodes()]
        now_ms = BEGIN_CLUSTER_MS + self._elapsed_ms
        detector = Detector(names[0], 0)
        for name in names:
            member = self.view.membership(name)
            if member is None or member.state is not MembershipState.UP:
                continue
            run = Incarnation("another") if name in self._other_run else member.incarnation
            heard = dict.fromkeys(names, 0)
            beat = Heartbeat(now_ms, "d", run, (), "run", 0, heard, name in self._leaving)
            detector.hear(name, beat, is_direct=True)
        given: dict[str, Any] = {
            "me": names[0],
            "now_ms": now_ms,
            "wall_ms": BEGIN_WALL_MS + self._elapsed_ms,
            "cluster_ms": now_ms,
            "voters": tuple(names[:3]),
            "detector": detector,
            "settings": cluster_settings(self.view.cluster()),
            "configuration_learned_ms": 0,
            "loads": self._loads,
        }
        return Sight(**{**given, **self._sight})

    def see(self, **given: Any) -> None:
        """The leader sees this from now on."""
        self._sight.update(given)

    # ---- writing ----

    def put(self, *records: Record) -> None:
        draft = Draft(self.view)
        for record in records:
            draft.put(record)
        self.commit(draft)

    def commit(self, draft: Draft) -> None:
        result = self.database.apply(draft.build(""), self.database.revision + 1)
        if not result.succeeded:
            raise BadCase(f"the transaction failed: {result.conflict_key} has changed")

    def tell(self, line: str) -> bool:
        """Carry out a line; False when it is none of these."""
        word, *rest = line.split()
        act = getattr(self, f"_put_{word}", None)
        if act is None:
            return False
        flags = [each for each in rest if "=" not in each]
        values = dict(each.split("=", 1) for each in rest if "=" in each)
        act(flags, {name.replace("-", "_"): value for name, value in values.items()})
        return True

    def _put_nodes(self, names: list[str], _: dict[str, str]) -> None:
        for name in names:
            self._put_node([name], {})

    def _put_node(self, flags: list[str], given: dict[str, str]) -> None:
        name = NodeId(flags[0])
        before = self.view.node(name)
        record = before or NodeRecord(name, len(self.view.nodes()) + 1, "")
        words = set(flags[1:])
        renamed = {"domain": "fault_domain", "memory": "memory_capacity", "cores": "core_capacity"}
        given = {renamed.get(key, key): value for key, value in given.items()}
        if facts := _taken(given, "memory_found", "cores_found"):
            self.put(NodeFactsRecord(name, int(facts.get("memory_found", 0)), int(facts.get("cores_found", 0))))
        live, disks = _list(given.pop("live", "")), _list(given.pop("disks", ""))
        for kind in sorted({*_list(given.pop("types", "")), *live, *disks}):
            can = {"live-migration": kind in live, "storage-fence": kind in disks}
            self.put(ResourceTypeRecord(kind, name, abilities=tuple(each for each in can if can[each])))
        load = _taken(given, "processor", "used")
        if load:
            self._loads[name] = NodeLoad(int(load.get("processor", 0)), int(load.get("used", 0)))
        losses = int(given.pop("quarantined", 0))
        pause = PauseRequest("p1", "drained" in words, asked_wall_ms=BEGIN_WALL_MS, asked_by=given.pop("by", "ann"))
        record = replace(
            record,
            pause=pause if words & {"paused", "drained"} else None if "resumed" in words else record.pause,
            maintenance=MAINTENANCE if "maintenance" in words else record.maintenance,
            properties={**record.properties, **_properties(Scope.NODE, given)},
        )
        self._leaving |= {name} & ({name} if "leaving" in words else set())
        self._other_run |= {name} & ({name} if "other-run" in words else set())
        self.put(record)
        states = [MembershipState(each) for each in words & {each.value for each in MembershipState}]
        if before is None or states or losses:
            member = self.view.membership(name) or MembershipRecord(
                name, MembershipState.UP, Incarnation(f"i-{name}"), "run"
            )
            if losses:
                until = self.sight().cluster_ms + 3_600_000
                member = replace(member, exits=(1,) * losses, quarantined_until_cluster_ms=until)
            self.put(replace(member, state=states[0] if states else member.state))

    def _put_cluster(self, flags: list[str], given: dict[str, str]) -> None:
        record = self.view.cluster()
        self.put(
            replace(
                record,
                properties={**record.properties, **_properties(Scope.CLUSTER, given)},
                maintenance=MAINTENANCE if "maintenance" in flags else record.maintenance,
            )
        )

    def _put_group(self, flags: list[str], given: dict[str, str]) -> None:
        name = GroupId(flags[0])
        before = self.view.group(name)
        placed = _taken(given, "on", "state", "order", "to", "status", "generation")
        members = _taken(given, "resources", "type", "possible", "memory", "cores")
        record = before or GroupRecord(name)
        if "classes" in given:
            given["anti_affinity_class_names"] = given.pop("classes")
        move = given.pop("move", "")
        if move:
            record = replace(
                record, move=MoveRequest(f"m-{move}", NodeId("" if move == "best" else move), asked_by="ann")
            )
        if preferred := given.pop("preferred", ""):
            record = replace(record, preferred_owners=tuple(NodeId(each) for each in _list(preferred)))
        record = replace(
            record,
            wanted=Wanted(given.pop("wanted", record.wanted)),
            maintenance=MAINTENANCE if "maintenance" in flags else record.maintenance,
            start_id=given.pop("start_id", record.start_id),
            id=given.pop("id", record.id),
            generation_floor=int(given.pop("floor", record.generation_floor)),
        )
        self.put(replace(record, properties={**record.properties, **_properties(Scope.GROUP, given)}))
        if before is None or members:
            self._put_members(name, members)
        if "on" in placed:
            self._assign(name, placed, is_hands_off="maintenance" in flags)

    def _put_members(self, group: GroupId, given: dict[str, str]) -> None:
        """Its resources; the demands are the first one's."""
        demands = {f"{each}_demand": given[each] for each in ("memory", "cores") if each in given}
        demands = {key.replace("cores", "core"): value for key, value in demands.items()}
        names = given.get("resources", group)
        if names == "none":
            return
        for number, text in enumerate(names.split(",")):
            name, _, provider = text.rstrip(")").partition("(")
            self.put(
                ResourceRecord(
                    ResourceId(name),
                    group,
                    given.get("type", "service"),
                    depends_on=f"[{provider}]" if provider else "",
                    possible_owners=tuple(NodeId(each) for each in _list(given.get("possible", ""))),
                    properties=_properties(Scope.RESOURCE, demands) if number == 0 else {},
                )
            )

    def _assign(self, name: GroupId, given: dict[str, str], *, is_hands_off: bool) -> None:
        owner = NodeId(given["on"])
        group = self.view.group(name)
        is_wanted = group is not None and group.wanted is Wanted.ONLINE
        target = NodeId(given.get("to", ""))
        order = Order(given.get("order", Order.RELEASE if target else Order.RUN if is_wanted else Order.HOLD))
        generation = int(given.get("generation", 1))
        member = self.view.membership(owner)
        run = member.incarnation if member else Incarnation(f"i-{owner}")
        self.put(
            AssignmentRecord(
                name, owner, run, generation, order,
                Decision("placement: first placement", f"{name} goes to {owner}: it had no owner yet"),
                target=target,
                status=tuple(_list(given.get("status", ""))),
                group_id=group.id if group is not None else "",
            )
        )  # fmt: skip
        state = ResourceState(given.get("state", "online" if order is not Order.HOLD else "offline"))
        resources = tuple(
            ResourceReport(each.name, state, 1, may_run=state is not ResourceState.OFFLINE, ran_as=ran_as(each))
            for each in self.view.resources_of(name)
        )
        was_online = state is ResourceState.ONLINE
        self.put(
            ReportRecord(name, owner, run, generation, resources, was_online=was_online, is_hands_off=is_hands_off)
        )

    def _put_resource(self, flags: list[str], given: dict[str, str]) -> None:
        record = self.view.resource(flags[0])
        if record is None:
            raise BadCase(f"there is no resource {flags[0]}")
        possible = given.pop("possible", None)
        unit, depends = given.pop("unit", None), given.pop("depends", None)
        record = replace(
            record,
            private=record.private if unit is None else {"unit": unit},
            depends_on=record.depends_on if depends is None else depends,
            type=given.pop("type", record.type),
            wanted=Wanted(given.pop("wanted", record.wanted)),
            possible_owners=record.possible_owners if possible is None else tuple(NodeId(n) for n in _list(possible)),
            maintenance=MAINTENANCE if "maintenance" in flags else record.maintenance,
        )
        self.put(replace(record, properties={**record.properties, **_properties(Scope.RESOURCE, given)}))

    def _put_rule(self, flags: list[str], _: dict[str, str]) -> None:
        name, kind, *groups = (each for each in flags if each != "disabled")
        members = tuple(GroupId(each) for each in groups)
        self.put(RuleRecord(name, RuleKind(kind), members, "disabled" not in flags))

    def _put_set(self, flags: list[str], given: dict[str, str]) -> None:
        providers = tuple(_list(given.pop("providers", "")))
        groups = tuple(GroupId(each) for each in flags[1:])
        self.put(GroupSetRecord(flags[0], groups, providers, _properties(Scope.GROUP_SET, given)))

    # ---- any field of what the leader and the owners write ----

    def _put_assignment(self, flags: list[str], given: dict[str, str]) -> None:
        name = GroupId(flags[0])
        new = AssignmentRecord(name, NodeId(""), Incarnation(""), 1, Order.HOLD, Decision("", "no node took it"))
        self.put(self._with(self.view.assignment(name) or new, given))

    def _put_report(self, flags: list[str], given: dict[str, str]) -> None:
        """`state=` and `ran_as=` are said of every resource; `released` stands for the owner's promise."""
        name = GroupId(flags[0])
        record = self.view.report(name)
        if record is None:
            raise BadCase(f"nobody reported on {name}")
        if "state" in given:
            state = ResourceState(given.pop("state"))
            is_there = state is not ResourceState.OFFLINE
            resources = tuple(replace(each, state=state, may_run=is_there) for each in record.resources)
            record = replace(record, resources=resources)
        if "ran_as" in given:
            told = given.pop("ran_as")
            record = replace(record, resources=tuple(replace(each, ran_as=told) for each in record.resources))
        self.put(self._with(replace(record, is_released=record.is_released or "released" in flags), given))

    def _put_membership(self, flags: list[str], given: dict[str, str]) -> None:
        record = self.view.membership(flags[0])
        self.put(self._with(record or MembershipRecord(NodeId(flags[0]), MembershipState.JOINING), given))

    def _put_drain(self, flags: list[str], given: dict[str, str]) -> None:
        new = DrainRecord(NodeId(flags[0]), "p1", DrainState.IN_PROGRESS)
        self.put(self._with(self.view.drain(flags[0]) or new, given))

    def _put_formation(self, _: list[str], given: dict[str, str]) -> None:
        began = FormationRecord(1, BEGIN_CLUSTER_MS + self._elapsed_ms, BEGIN_WALL_MS + self._elapsed_ms)
        self.put(self._with(began, given))

    def _put_sight(self, _: list[str], given: dict[str, str]) -> None:
        hints = get_type_hints(Sight)
        self._sight.update({name: self._value(hints[name], name, value) for name, value in given.items()})

    def _put_time(self, flags: list[str], _: dict[str, str]) -> None:
        self._elapsed_ms += parse_duration(flags[0], unit="ms")
        self.database.cluster_ms = BEGIN_CLUSTER_MS + self._elapsed_ms

    def _put_drop(self, flags: list[str], _: dict[str, str]) -> None:
        draft = Draft(self.view)
        for key in flags:
            draft.delete(key)
            if key.startswith(keys.GROUP):
                for resource in self.view.resources_of(key.removeprefix(keys.GROUP)):
                    draft.delete(keys.resource(resource.name))
        self.commit(draft)

    def _with(self, record: Any, given: dict[str, str]) -> Any:
        hints = get_type_hints(type(record))
        unknown = set(given) - {each.name for each in fields(record)}
        if unknown:
            raise BadCase(f"{type(record).__name__} has no {', '.join(sorted(unknown))}")
        return replace(record, **{name: self._value(hints[name], name, value) for name, value in given.items()})

    def _value(self, kind: Any, name: str, text: str) -> Any:
        if kind is bool:
            return text in ("yes", "true")
        if kind is int:
            if name.endswith("_cluster_ms") and text[0] in "+-":
                away_ms = parse_duration(text[1:], unit="ms")
                return self.sight().cluster_ms + (away_ms if text[0] == "+" else -away_ms)
            return int(text)
        if getattr(kind, "__origin__", None) is tuple:
            return tuple(int(each) if int in kind.__args__ else each for each in _list(text))
        return kind(text) if isinstance(kind, type) else text


def _list(text: str) -> list[str]:
    return [each for each in text.split(",") if each]


def _taken(given: dict[str, str], *names: str) -> dict[str, str]:
    return {name: given.pop(name) for name in names if name in given}


def _properties(scope: Scope, given: dict[str, str]) -> dict[str, Any]:
    lists = {"anti_affinity_class_names"}
    values: dict[str, Any] = {name: _list(text) if name in lists else _plain(text) for name, text in given.items()}
    checked = check_properties(scope, values)
    if checked.problems:
        raise BadCase("; ".join(each.text for each in checked.problems))
    return dict(checked.values)


def _plain(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text
