"""Thousands of decisions about clusters drawn at random: they end, break no promise, and the short cut loses nothing."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from clusterd.model.ids import NodeId
from clusterd.model.records import GroupRecord, MoveRequest, NodeRecord, PauseRequest, ResumeRequest
from clusterd.model.states import FailbackMode, MembershipState, Wanted
from tests.decisions.snapshot import MAINTENANCE
from tests.leader.world import World

NODES = "abcde"


def drawn(seed: int) -> World:
    """Nodes, groups, rules and sets of every kind."""
    world = World(seed)
    rng = world.rng
    names = list(NODES[: rng.randint(2, 5)])
    for name in names:
        world.do(f"node {name} memory={rng.choice((2048, 4096, 8192))}")
    settings = [f"auto_balancer_mode={rng.choice(('off', 'always'))}"]
    settings += ["cluster_enforced_anti_affinity=true"] if rng.random() < 0.3 else []
    settings += [f"maximum_parallel_starts={rng.choice((1, 2, 32))}"]
    settings += ["group_dependency_timeout=20"]
    world.do(f"cluster {' '.join(settings)}")
    groups = [f"g{number}" for number in range(rng.randint(2, 7))]
    for group in groups:
        world.do(f"group {group} {_options(rng, names)}")
    for number in range(rng.choice((0, 0, 1, 2))):
        members = rng.sample(groups, 2)
        world.do(f"rule r{number} {rng.choice(('same-node', 'different-node'))} {' '.join(members)}")
    if len(groups) > 3 and rng.random() < 0.4:
        world.do(f"set s1 {groups[0]} startup_setting=online startup_delay=1")
        world.do(f"set s2 {groups[1]} {groups[2]} providers=s1")
    return world


def _options(rng: random.Random, names: Sequence[str]) -> str:
    words = [f"priority={rng.choice((0, 1000, 2000, 3000))}"]
    if rng.random() < 0.7:
        words.append(f"memory={rng.choice((512, 1024, 2048))}")
    if rng.random() < 0.5:
        words.append(f"preferred={','.join(rng.sample(names, rng.randint(1, len(names))))}")
    if rng.random() < 0.5:
        words.append("auto_failback_type=allow")
    if rng.random() < 0.2:
        words.append(f"possible={','.join(rng.sample(names, rng.randint(1, len(names))))}")
    if rng.random() < 0.3:
        words.append(f"classes={rng.choice(('x', 'y'))}")
    if rng.random() < 0.2:
        words.append("group_start_delay=3")
    if rng.random() < 0.2:
        words.append("balancing=always")
    return " ".join(words)


def wish(world: World) -> None:
    """Something befalls the cluster, or is asked of it."""
    if world.rng.random() < 0.25:
        rearrange(world)
    else:
        ask(world)


def rearrange(world: World) -> None:
    """The configuration changes, whatever is under way."""
    rng = world.rng
    groups = [each.name for each in world.view.groups()]
    group = rng.choice(world.view.groups())
    match rng.randrange(8):
        case 0 if len(groups) > 2:
            world.do(f"drop group/{group.name}")
        case 1:
            world.do(f"group g{rng.randrange(9)} {_options(rng, [each.name for each in world.nodes()])}")
        case 2:
            kind = rng.choice(("same-node", "different-node"))
            world.do(f"rule r{rng.randrange(2)} {kind} {' '.join(rng.sample(groups, 2))}")
        case 3 if world.view.rules():
            world.do(f"drop rule/{rng.choice(world.view.rules()).name}")
        case 4:
            world.do(f"group {group.name} priority={rng.choice((0, 1000, 2000, 3000))}")
        case 5:
            owners = ",".join(each.name for each in rng.sample(world.nodes(), rng.randint(1, len(world.nodes()))))
            world.do(f"group {group.name} preferred={owners} auto_failback_type=allow")
        case 6:
            cluster = world.view.cluster()
            world.did.append("the cluster is in maintenance, or no more")
            world.snapshot.put(replace(cluster, maintenance=None if cluster.maintenance else MAINTENANCE))
        case _:
            for each in world.nodes():
                world.do(f"node {each.name} processor={rng.choice((5, 95))} used={rng.choice((5, 95))}")
            world.do("sight is_balancing_due=true")
            world.lead()
            world.do("sight is_balancing_due=no")


def ask(world: World) -> None:
    rng = world.rng
    node, group = rng.choice(world.nodes()), rng.choice(world.view.groups())
    member = world.view.membership(node.name)
    match rng.randrange(14):
        case 0 if member is not None and member.state is MembershipState.UP:
            world.lose(node.name)
        case 0 | 1 if member is not None and member.state is not MembershipState.UP:
            world.bring_back(node.name)
        case 13 if member is not None and member.state is MembershipState.UP:
            world.expel(node.name)
        case 2:
            drain = rng.random() < 0.7
            pause = PauseRequest(
                f"p{rng.random()}", drain, is_forced=rng.random() < 0.2, is_retried=rng.random() < 0.4,
                target=NodeId(rng.choice(("", "", rng.choice(world.nodes()).name))),
            )  # fmt: skip
            put(world, node, replace(node, pause=pause))
        case 3 | 4:
            resume = ResumeRequest(f"r{rng.random()}", rng.choice(tuple(FailbackMode)))
            put(world, node, replace(node, pause=None, resume=resume))
        case 5:
            put(world, node, replace(node, maintenance=rng.choice((None, None, MAINTENANCE))))
        case 6:
            put(world, group, replace(group, maintenance=rng.choice((None, None, MAINTENANCE))))
        case 7 | 8:
            target = NodeId(rng.choice(("", rng.choice(world.nodes()).name)))
            move = MoveRequest(
                f"m{rng.random()}", target, is_queued=rng.random() < 0.5, ignores_rules=rng.random() < 0.1
            )
            put(world, group, replace(group, move=rng.choice((move, move, None))))
        case 9:
            put(world, group, replace(group, wanted=Wanted.OFFLINE))
        case 10:
            put(world, group, replace(group, wanted=Wanted.ONLINE, start_id=f"s{rng.random()}"))
        case 11:
            world.did.append(f"{group.name} is bad on {node.name}")
            world.bad.add((group.name, node.name))
        case _:
            locks = {**group.properties, "locked_from_moving": rng.random() < 0.3}
            put(world, group, replace(group, properties=locks))


def put(world: World, before: GroupRecord | NodeRecord, after: GroupRecord | NodeRecord) -> None:
    changed = [
        f"{field}={getattr(after, field)}"
        for field in before.__dataclass_fields__
        if getattr(before, field) != getattr(after, field)
    ]
    world.did.append(f"{after.name}: {' '.join(changed)}")
    world.snapshot.put(after)


def calm(world: World) -> None:
    """Everything is there again, and nobody asks for anything special."""
    world.bad.clear()
    world.slow.clear()
    world.snapshot.put(replace(world.view.cluster(), maintenance=None))
    for node in world.nodes():
        member = world.view.membership(node.name)
        put(world, node, replace(node, pause=None, maintenance=None, resume=ResumeRequest("calm")))
        if member is None or member.state is not MembershipState.UP:
            world.bring_back(node.name)
    for group in world.view.groups():
        put(world, group, replace(group, maintenance=None, move=None, wanted=Wanted.ONLINE, start_id="calm"))


@pytest.mark.parametrize("seed", range(250))
def test_decisions_come_to_an_end(seed: int) -> None:
    run(seed)


def run(seed: int) -> World:
    world = drawn(seed)
    rng = world.rng
    try:
        for _ in range(rng.randint(3, 14)):
            world.slow = {each.name for each in world.view.groups() if rng.random() < 0.3}
            for _ in range(rng.choice((1, 1, 2, 4))):
                wish(world)
                for _ in range(rng.choice((0, 0, 1, 3))):
                    world.lead()
                    world.obey()
            if rng.random() < 0.6:
                world.settle()
        calm(world)
        world.settle()
    except AssertionError as problem:
        problem.add_note("\n".join(world.did[-90:]))
        raise
    return world
