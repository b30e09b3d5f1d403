"""A question to a resource type that ended its host is blamed, and waits before it is put again."""

import pytest

from clusterd.model.ids import ResourceId
from clusterd.owner.commands import CallInHost, HostEnd
from clusterd.runtime.type_questions import KNOWN_MAX, PAUSES_MS, Question, TypeQuestions

CLAIMS, OTHER = Question("physical_disk", "claims", "data"), Question("physical_disk", "claims", "logs")
DEFINITIONS = Question("virtual_machine_configuration", "definitions", "")


def end(*types: str, resource: str = "", host: str = "shared", is_told: bool = True) -> HostEnd:
    calls = [CallInHost(ResourceId(""), f"examine {each}") for each in types]
    calls += [CallInHost(ResourceId(resource), "is_alive")] if resource else []
    return HostEnd(host, "signal 11", are_workloads_gone=True, calls=tuple(calls) if is_told else None)


@pytest.mark.parametrize(
    ("ended", "blamed"),
    [
        pytest.param(end("physical_disk"), [CLAIMS], id="the question"),
        pytest.param(end("physical_disk", resource="web"), [CLAIMS], id="beside a call"),
        pytest.param(end(resource="web"), [], id="a call alone"),
        pytest.param(end(), [], id="killed from outside"),
        pytest.param(end(is_told=False), [CLAIMS, DEFINITIONS], id="nothing was written down"),
        pytest.param(end("physical_disk", host="own-web"), [], id="another host"),
    ],
)
def test_who_is_blamed(ended: HostEnd, blamed: list[Question]) -> None:
    questions = TypeQuestions()
    for each in (CLAIMS, DEFINITIONS):
        questions.began("shared", each)
    assert questions.host_ended(ended, 0) == blamed
    assert [each for each in (CLAIMS, OTHER, DEFINITIONS) if questions.refusal(each, 1)] == blamed


def test_each_end_makes_the_pause_longer_and_an_answer_ends_it() -> None:
    questions, now_ms = TypeQuestions(), 0
    for number, pause_ms in enumerate((*PAUSES_MS, PAUSES_MS[-1]), 1):
        questions.began("shared", CLAIMS)
        assert questions.host_ended(end("physical_disk"), now_ms) == [CLAIMS]
        refusal = questions.refusal(CLAIMS, now_ms + pause_ms - 1)
        assert (
            "claims of physical_disk about data ended this node's resource host" in refusal and "signal 11" in refusal
        )
        assert (number < 3) or f"{number} times" in refusal
        now_ms += pause_ms
        assert not questions.refusal(CLAIMS, now_ms)
    questions.answered(questions.began("shared", CLAIMS))
    questions.began("shared", CLAIMS)
    questions.host_ended(end("physical_disk"), now_ms)
    assert not questions.refusal(CLAIMS, now_ms + PAUSES_MS[0]), "it begins anew"


def test_what_is_known_is_bounded_and_nothing_is_left_under_way() -> None:
    questions = TypeQuestions()
    for number in range(KNOWN_MAX + 10):
        questions.began("shared", Question("physical_disk", "claims", f"d{number}"))
        assert len(questions.host_ended(end("physical_disk"), 0)) == 1
    assert not questions.refusal(Question("physical_disk", "claims", "d0"), 1)
    assert questions.refusal(Question("physical_disk", "claims", f"d{KNOWN_MAX}"), 1)
    questions.given_up(questions.began("shared", CLAIMS))
    assert questions.host_ended(end("physical_disk"), 0) == []
    questions.began("shared", CLAIMS)
    questions.hosts_closed()
    assert questions.host_ended(end("physical_disk"), 0) == []
