"""What a host runs and no assignment claims is stopped, and again after a pause when it did not stop."""

from clusterd.model.ids import GroupId, Incarnation, ResourceId
from clusterd.model.states import ResourceState
from clusterd.owner.adoption import ORPHAN_AGAIN_MS, Adoption
from clusterd.owner.commands import SHARED_HOST, CallAnswer, CallOutcome, HostCall, Hosted
from clusterd.owner.hosts import Hosts


def test_an_orphan_that_does_not_stop_is_stopped_again() -> None:
    hosted = Hosted(ResourceId("old"), GroupId("web"), "t", 3, ResourceState.ONLINE, 9)
    hosts, adoption = Hosts(), Adoption()
    hosts.came_up(SHARED_HOST, 7, (hosted,), 0)
    adoption.found([hosted])

    def asked(now_ms: int) -> list[HostCall]:
        return adoption.orphan_calls({}, hosts, Incarnation("i"), now_ms)

    [call] = asked(0)
    assert asked(1) == []
    hosts.answered(call.call_id)
    assert adoption.ended(call, CallAnswer(CallOutcome.STILL_RUNNING, "pid 9"), 10)
    assert adoption.next_look_ms(10) == 10 + ORPHAN_AGAIN_MS
    assert asked(9 + ORPHAN_AGAIN_MS) == []
    assert adoption.next_look_ms(10 + ORPHAN_AGAIN_MS) is None, "what is due is looked at now, not again and again"
    [again] = asked(10 + ORPHAN_AGAIN_MS)
    hosts.answered(again.call_id)
    assert adoption.ended(again, CallAnswer(CallOutcome.DONE), 5000)
    assert asked(99_999) == [] and adoption.next_look_ms(99_999) is None
    assert not adoption.ended(again, CallAnswer(CallOutcome.DONE), 5000)
