"""What an older version wrote, with words where there are codes now, is still read."""

from clusterd.model import codec
from clusterd.model.ids import ResourceId
from clusterd.model.reasons import why_text
from clusterd.model.records import AssignmentRecord, Decision, ReportRecord, ResourceReport, Step
from clusterd.model.states import NextAction, ResourceState
from clusterd.wire import records_pb2


def test_what_comes_next_was_a_word() -> None:
    old = records_pb2.ReportRecord(group="web", node="n1")
    for name, word in (("a", "retry"), ("b", ""), ("c", "rest"), ("d", "contemplate")):
        old.resources.add(name=name, state="failed", cause="it failed (hands off: …)", next_action=word)
    found = codec.decode(ReportRecord, old.SerializeToString())
    said = [each.next_action for each in found.resources]
    assert said[:3] == [NextAction.RETRY, NextAction.NONE, NextAction.REST]
    assert said[0] is NextAction.RETRY
    assert said[3].value == "contemplate", "a word of a newer version is kept"
    assert found.resources[0].left_alone == "", "its cause has it all"
    assert codec.decode(ReportRecord, codec.encode(found)) == found


def test_the_cause_is_told_with_the_maintenance() -> None:
    report = ResourceReport(
        ResourceId("a"), ResourceState.FAILED, cause="it failed", left_alone="hands off: group web is in maintenance"
    )
    assert why_text(report.cause, report.left_alone) == "it failed (hands off: group web is in maintenance)"


def test_steps_and_decisions_without_what_was_added() -> None:
    old = records_pb2.AssignmentRecord(group="web", order="hold")
    old.because.text, old.because.rule = "its owner was lost; no node can take it: n2: it is full", "placement"
    old.because.steps.add(wall_ms=5, text="web-server is failed: exit 3")
    found = codec.decode(AssignmentRecord, old.SerializeToString())
    assert found.because == Decision("placement", old.because.text, (Step(5, "web-server is failed: exit 3"),))
    assert (found.because.brief, found.because.steps[0].resource) == ("", "")
