"""What does a restless operator do in a storm, and what does he put right when it is over? Pure.

Every wish is written at some node as that node sees the cluster, and nobody waits for the answer: so wishes race with the
leader's decisions, with each other and with the faults.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from clusterd.database import Draft
from clusterd.leader.namesakes import held_names, namesake
from clusterd.model import keys
from clusterd.model.dependencies import parse_dependency
from clusterd.model.ids import GroupId, NodeId, ResourceId, key_of
from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    Json,
    Maintenance,
    MoveRequest,
    NodeRecord,
    PauseRequest,
    ResourceRecord,
    ResumeRequest,
    RuleRecord,
)
from clusterd.model.states import FailbackMode, MembershipState, RuleKind
from clusterd.sim.cluster import SimCluster

RULE = "apart"
PLAIN = "generic_service"
_IN_THE_WAY = ("priority", "locked_from_moving")


class RestlessOperator:
    """Draws wishes from a seed. `put_right` takes back all that would keep a group from running."""

    def __init__(self, cluster: SimCluster, rng: random.Random, groups: Iterable[str]) -> None:
        self._cluster = cluster
        self._rng = rng
        self._groups = sorted(groups)
        self._count = 0
        self._taken_out: list[str] = []
        """Resources that were deleted, and may be made in any group once their names are free."""

    def one_wish(self) -> str:
        """What was wished for; empty: nobody could take it."""
        wishes: list[tuple[int, Callable[[], str]]] = [
            (4, self._drain),
            (2, self._pause),
            (6, self._resume),
            (2, self._maintain_node),
            (2, self._maintain_group),
            (1, self._maintain_cluster),
            (5, self._end_maintenance),
            (4, self._move),
            (2, self._cancel),
            (2, self._set_group),
            (1, self._add_rule),
            (2, self._delete_rule),
            (1, self._fence),
            (1, self._prefer),
            (5, self._take_out),
            (10, self._hand_on),
        ]
        return self._rng.choices([each for _, each in wishes], [weight for weight, _ in wishes])[0]()

    def put_right(self) -> bool:
        """Resume every node, end every maintenance, delete what forbids; rules stay. False: somebody must be asked again."""
        at = self._cluster.leader()
        if at is None:
            return False
        view = self._cluster.view(at)
        clear_id = self._new_id("clear")

        def build(draft: Draft) -> None:
            draft.replace(replace(view.cluster(), maintenance=None))
            for node in view.nodes():
                draft.replace(
                    replace(
                        node,
                        pause=None,
                        resume=ResumeRequest(self._new_id("resume")) if node.pause is not None else node.resume,
                        maintenance=None,
                        clear_quarantine_id=clear_id,
                    )
                )
            for group in view.groups():
                start_id = self._new_id("start")
                properties = {key: value for key, value in group.properties.items() if key not in _IN_THE_WAY}
                draft.replace(replace(group, maintenance=None, move=None, start_id=start_id, properties=properties))
            for resource in view.resources():
                draft.replace(replace(resource, maintenance=None))

        result = self._cluster.commit(build, at=at)
        return result is not None and result.succeeded

    # ---- nodes ----

    def _drain(self) -> str:
        rng = self._rng
        request = PauseRequest(
            self._new_id("pause"),
            is_drain=True,
            target=NodeId(rng.choice(("", "", self._any()))),
            is_forced=rng.random() < 0.2,
            is_retried=rng.random() < 0.5,
        )
        return self._node("drain", lambda node: replace(node, pause=request))

    def _pause(self) -> str:
        request = PauseRequest(self._new_id("pause"))
        return self._node("pause", lambda node: replace(node, pause=request))

    def _resume(self) -> str:
        request = ResumeRequest(self._new_id("resume"), self._rng.choice(tuple(FailbackMode)))
        return self._node("resume", lambda node: replace(node, pause=None, resume=request))

    def _fence(self) -> str:
        """Have the present run of a node ended."""
        name = NodeId(self._any())
        member = self._cluster.view().membership(name)
        if member is None or member.state is not MembershipState.UP:
            return ""
        run = member.incarnation
        return self._node("end the run of", lambda node: replace(node, fence_id=run), name=name)

    # ---- maintenance ----

    def _maintain_node(self) -> str:
        wish = Maintenance(self._new_id("maintenance"))
        return self._node("maintain", lambda node: replace(node, maintenance=wish))

    def _maintain_group(self) -> str:
        wish = Maintenance(self._new_id("maintenance"))
        return self._group("maintain", lambda group: replace(group, maintenance=wish))

    def _maintain_cluster(self) -> str:
        wish = Maintenance(self._new_id("maintenance"))
        return self._cluster_wide("maintain", lambda cluster: replace(cluster, maintenance=wish))

    def _end_maintenance(self) -> str:
        match self._rng.randrange(3):
            case 0:
                return self._node("end maintenance of", lambda node: replace(node, maintenance=None))
            case 1:
                return self._group("end maintenance of", lambda group: replace(group, maintenance=None))
            case _:
                return self._cluster_wide("end maintenance of", lambda cluster: replace(cluster, maintenance=None))

    # ---- groups and rules ----

    def _move(self) -> str:
        rng = self._rng
        move = MoveRequest(
            self._new_id("move"),
            NodeId(rng.choice(("", self._any()))),
            is_queued=rng.random() < 0.6,
            ignores_lock=rng.random() < 0.3,
            ignores_rules=rng.random() < 0.3,
        )
        return self._group(f"move to {move.target or 'the best node'}", lambda group: replace(group, move=move))

    def _cancel(self) -> str:
        return self._group("cancel the move of", lambda group: replace(group, move=None))

    def _set_group(self) -> str:
        name, values = self._rng.choice(
            (
                ("priority", (0, 1000, 2000, 3000)),
                ("locked_from_moving", (False, True)),
                ("auto_failback_type", ("allow", "prevent")),
                ("group_start_delay", (0, 2)),
                ("anti_affinity_class_names", ([], ["x"])),
            )
        )
        value: Json = self._rng.choice(values)  # type: ignore[assignment]  # a list of texts is a value, too
        return self._group(
            f"set {name}={value} of",
            lambda group: replace(group, properties={**group.properties, name: value}),
        )

    def _prefer(self) -> str:
        names = self._cluster.names
        owners = tuple(NodeId(each) for each in self._rng.sample(names, self._rng.randint(0, 2)))
        return self._group(f"prefer {','.join(owners)} for", lambda group: replace(group, preferred_owners=owners))

    def _add_rule(self) -> str:
        kind = self._rng.choice((RuleKind.DIFFERENT_NODE, RuleKind.SAME_NODE))
        members = tuple(GroupId(each) for each in self._rng.sample(self._groups, min(2, len(self._groups))))
        rule = RuleRecord(RULE, kind, members)
        return self._written(f"rule {kind} {','.join(members)}", lambda draft: draft.put(rule))

    def _delete_rule(self) -> str:
        return self._written("delete the rule", lambda draft: draft.delete(keys.rule(RULE)))

    # ---- resources ----

    def _take_out(self) -> str:
        """Delete a resource that nothing depends on, running or not. Its owner must have named it."""
        if self._cluster.leader() is None:
            return ""
        view = self._cluster.view()
        resources = view.resources_of(self._rng.choice(self._groups))
        needed = {key_of(each) for one in resources for each in parse_dependency(one.depends_on).providers}
        free = [each for each in resources if key_of(each.name) not in needed and each.type == PLAIN]
        if len(resources) < 2 or not free:
            return ""
        resource = self._rng.choice(free)
        if not any(
            key_of(each.group) == key_of(resource.group) for each in held_names(view).get(key_of(resource.name), ())
        ):
            return ""

        def build(draft: Draft) -> None:
            draft.delete(keys.resource(resource.name)).expect(keys.assignment(resource.group))
            draft.expect(keys.report(resource.group))

        did = self._written(f"delete resource {resource.name}", build)
        self._taken_out += [resource.name] if did else []
        return did

    def _hand_on(self) -> str:
        """Make what was deleted in another group, or in its own, when its name is free."""
        if self._cluster.leader() is None:
            return ""
        view, group = self._cluster.view(), self._rng.choice(self._groups)
        gone = [each for each in self._taken_out if view.resource(each) is None]
        if not gone or namesake(held_names(view), gone[0], group) is not None:
            return ""
        new = ResourceRecord(ResourceId(gone[0]), GroupId(group), PLAIN)
        return self._written(f"make resource {new.name} in {group}", lambda draft: draft.replace(new))

    # ---- how wishes are written ----

    def _any(self) -> str:
        return self._rng.choice(self._cluster.names)

    def _node(self, what: str, change: Callable[[NodeRecord], NodeRecord], *, name: str = "") -> str:
        name = name or self._any()
        is_asked = self._cluster.change_soon(NodeRecord, keys.node(name), self._any(), change) is not None
        return f"{what} {name}" if is_asked else ""

    def _group(self, what: str, change: Callable[[GroupRecord], GroupRecord]) -> str:
        name = self._rng.choice(self._groups)
        is_asked = self._cluster.change_soon(GroupRecord, keys.group(name), self._any(), change) is not None
        return f"{what} {name}" if is_asked else ""

    def _cluster_wide(self, what: str, change: Callable[[ClusterRecord], ClusterRecord]) -> str:
        is_asked = self._cluster.change_soon(ClusterRecord, keys.CLUSTER, self._any(), change) is not None
        return f"{what} the cluster" if is_asked else ""

    def _written(self, what: str, build: Callable[[Draft], object]) -> str:
        return what if self._cluster.write_soon(self._any(), build) is not None else ""

    def _new_id(self, what: str) -> str:
        self._count += 1
        return f"{what}-{self._count}"
