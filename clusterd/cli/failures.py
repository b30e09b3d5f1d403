"""How does a command end when it did not go well? I/O. One table of exit codes, one shape of message."""

import json
import sys
from typing import Any

from clusterd.model.errors import CODES, ClusterError, Code

USAGE_EXIT = 64
PENDING_EXIT = 2
TIMEOUT_EXIT = 6


class Unreachable(ClusterError):
    """No daemon answered. Whether it acted on the request is not known unless nothing was sent."""

    code = "unreachable"
    retryable = True


class Answered(ClusterError):
    """An error that the API answered with."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", "the API answered with an error")), hint=str(error.get("hint", "")))
        self.code = str(error.get("code", "error"))
        self.retryable = bool(error.get("retryable", False))
        self.problems = error.get("problems")
        self.rule = error.get("rule")


class WaitRanOut(ClusterError):
    """What was asked for is accepted and goes on; it did not become true in time."""

    code = "timeout"


class GivenUp(ClusterError):
    """What was waited for cannot become true any more."""

    code = "given-up"


class RefusedLater(GivenUp):
    """The request was taken, and the leader found that a rule or a setting forbids it. Nothing was changed."""

    code = "refused"


def exit_code_of(error: ClusterError) -> int:
    if isinstance(error, WaitRanOut):
        return TIMEOUT_EXIT
    return CODES.get(error.code, Code(500, 1)).exit_code


def show_failure(error: ClusterError, output: str) -> None:
    """On standard error: what happened, and what to do."""
    if output == "json":
        told: dict[str, Any] = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
        }
        for part in ("rule", "problems"):
            if getattr(error, part, None):
                told[part] = getattr(error, part)
        print(json.dumps({"error": told}, ensure_ascii=False), file=sys.stderr)
        return
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"try: {error.hint}", file=sys.stderr)
