"""What a resource type says of its failures goes into reports, events and logs: without the secrets that commands print."""

import pytest

from clusterd.reshost.answers import MESSAGE_LENGTH_MAX, answered, failure_of
from clusterd.reshost.context import Names, ResourceLog
from clusterd.resource_api import ResourceFailed

MARK = "hunter2"
KEY = f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"psql: cannot connect to postgres://app:{MARK}@db/app",
            "psql: cannot connect to postgres://app:(secret)@db/app",
        ),
        (f"exit 1\nDB_PASSWORD={MARK}\nbye", "exit 1 | DB_PASSWORD=(secret) | bye"),
        (f"curl --token {MARK} failed", "curl --token (secret) failed"),
        (f"its key is\n{KEY}\nand wrong", "its key is | (secret) | and wrong"),
        ("the valve is closed", "the valve is closed"),
    ],
)
def test_what_a_failing_command_prints_is_told_without_its_secrets(said: str, told: str) -> None:
    assert answered(said) == told
    assert failure_of("online of r", ResourceFailed(said)).message == f"online of r: {told}"
    assert failure_of("online of r", ValueError(said)).message == f"online of r: ValueError: {told}"


def test_a_text_is_cut_after_its_secrets_are_covered() -> None:
    before = "x" * (MESSAGE_LENGTH_MAX - len("://app:hunter2"))
    assert "hunter" not in answered(f"{before} ://app:{MARK}{MARK}@db")


@pytest.mark.parametrize("how", ["debug", "info", "warning"])
def test_a_resource_type_logs_without_secrets(how: str, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[bool] = []
    log = ResourceLog(Names("c", "id", "n1", "g", "r", 1), lambda _message, *, is_warning: told.append(is_warning))
    getattr(log, how)(f"DB_PASSWORD={MARK}")
    assert "DB_PASSWORD=(secret)" in (written := capfd.readouterr().err) and MARK not in written
