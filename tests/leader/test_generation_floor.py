"""No generation is given to an owner under which somebody else's claims were ended on the group's disks."""

from dataclasses import replace

import pytest

from clusterd.model.ids import GroupId, NodeId
from tests.leader.world import World


@pytest.mark.parametrize(
    ("floor", "expected"),
    [(0, 2), (1, 2), (2, 3), (7, 8)],
    ids=["none", "below", "the next one", "above"],
)
def test_the_next_owner_gets_one_above_it(floor: int, expected: int) -> None:
    world = World(1)
    for line in ("nodes n1 n2 n3", "group web preferred=n1,n2"):
        world.do(line)
    world.settle()
    group, before = world.view.group(GroupId("web")), world.view.assignment("web")
    assert group is not None and before is not None and before.generation == 1
    world.snapshot.put(replace(group, generation_floor=floor))
    world.settle()
    assert world.view.assignment("web") == before, "whoever has it keeps it"
    world.lose(NodeId("n1"))
    world.settle()
    after = world.view.assignment("web")
    assert after is not None
    assert (after.owner, after.generation) == ("n2", expected)
