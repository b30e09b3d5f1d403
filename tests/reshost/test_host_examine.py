"""What does a resource type answer that is asked about its node, and what harm can a bad answer do?"""

from clusterd.wire import host_pb2
from tests.reshost.conftest import Bench

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED


async def ask(bench: Bench, type_name: str, question: str, body: bytes = b"") -> host_pb2.CallResult:
    call = host_pb2.ResourceCall(verb=host_pb2.VERB_CONTROL, type=type_name, control_verb=question, control_body=body)
    return await bench.host.link.call(call)


async def test_a_type_answers_without_any_resource(bench: Bench) -> None:
    answer = await ask(bench, "curious", "echo", b"hello")
    assert (answer.outcome, answer.control_body) == (DONE, b"hello")
    assert await bench.inventory() == {}


async def test_what_goes_wrong_is_told_and_harms_nobody(bench: Bench) -> None:
    for type_name, question, words in (
        ("curious", "break", "break of curious: ZeroDivisionError: a defect of the type"),
        ("curious", "refuse", "refuse of curious: the shelf is empty"),
        ("curious", "weather", "weather of curious: the resource type has no such control"),
        ("dial", "echo", "echo of dial: the resource type has no such control"),
        ("nothing", "echo", "there is no resource type nothing"),
    ):
        answer = await ask(bench, type_name, question)
        assert answer.outcome != DONE and words in answer.message
    assert (await ask(bench, "curious", "echo", b"still here")).control_body == b"still here"


async def test_the_ability_is_declared(bench: Bench) -> None:
    inventory = await bench.host.link.hello(cluster="trial", node="n1", daemon_run="again")
    able = {each.name for each in inventory.types if "examine" in each.abilities}
    assert "curious" in able and "dial" not in able
