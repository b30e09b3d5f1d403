"""Does one line that comes again and again leave room for the others, and is it told how often it came?"""

import pytest
import structlog

from clusterd.adapters.log_folding import KINDS_MAX, LINES_MAX, WITHIN_S, Folding


class Log:
    """A log with a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._folding = Folding(lambda: self.now_s)

    def says(self, **line: object) -> dict | None:
        """The line as it is written; None: it is only counted."""
        try:
            return dict(self._folding(None, "warning", dict(line)))
        except structlog.DropEvent:
            return None


def test_the_same_line_is_written_a_few_times_and_then_counted() -> None:
    log = Log()
    written = [log.says(event="peer.refused", peer="x", number=number) for number in range(1000)]
    assert written[:LINES_MAX] == [{"event": "peer.refused", "peer": "x", "number": each} for each in range(LINES_MAX)]
    assert written[LINES_MAX:] == [None] * (1000 - LINES_MAX)
    log.now_s += WITHIN_S
    assert log.says(event="peer.refused", peer="x") == {"event": "peer.refused", "peer": "x", "folded": 992}
    assert log.says(event="peer.refused", peer="x") == {"event": "peer.refused", "peer": "x"}


def test_what_says_something_else_is_written() -> None:
    log = Log()
    for number in range(100):
        assert log.says(event="resource.state-changed", resource=f"r{number}") is not None
        assert log.says(event="peer.refused", peer=f"p{number}") is not None


def test_what_is_remembered_is_bounded() -> None:
    log = Log()
    for number in range(10 * KINDS_MAX):
        log.says(event="e", peer=str(number))
    assert len(log._folding._kinds) == KINDS_MAX


@pytest.mark.parametrize("traceback", ["exception", "exc_info"])
def test_a_traceback_makes_no_difference(traceback: str) -> None:
    log = Log()
    written = [log.says(event="request.failed", **{traceback: f"line {number}"}) for number in range(100)]
    assert sum(each is not None for each in written) == LINES_MAX
