"""What do all commands share: the client, the form of output, and how a change is carried out and waited for? I/O."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from clusterd.cli.client import Client
from clusterd.cli.connection import find_doors
from clusterd.cli.failures import PENDING_EXIT, GivenUp, RefusedLater, Unreachable, WaitRanOut
from clusterd.cli.foreseen import foreseen_lines
from clusterd.cli.output import plain, show_document
from clusterd.model.durations import parse_duration

WAIT_DEFAULT = "60s"
WAIT_STEP_MS = 10_000
READ_STEP_MS = 1_000
PROGRESS_STEP_MS = 250
ASK_AGAIN_MS = 250
PROGRESS_LENGTH_MAX = 110

F = TypeVar("F", bound=Callable[..., Any])


def client_of(ctx: click.Context) -> Client:
    """The client for this command, made on first use."""
    shared = ctx.find_root().obj
    if "client" not in shared:
        shared["client"] = Client(find_doors(endpoint=shared["endpoint"], lab=shared["lab"]))
    client = shared["client"]
    assert isinstance(client, Client)
    return client


def output_of(ctx: click.Context) -> str:
    return str(ctx.find_root().obj["output"])


def show(ctx: click.Context, document: Mapping[str, Any], text: Callable[[Any], list[str]]) -> None:
    """The document for programs, or the lines that `text` makes of it for people."""
    if output_of(ctx) == "table":
        for line in text(document):
            click.echo(line)
    else:
        show_document(document, output_of(ctx))


class Milliseconds(click.ParamType[int]):
    """A length of time; a bare number counts seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from clusterd.model.durations import BadDuration

        if isinstance(value, int):
            return value
        try:
            is_bare = str(value).replace(".", "", 1).isdigit()
            return parse_duration(f"{value}s" if is_bare else str(value), unit="ms")
        except BadDuration as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


def mutating(command: F) -> F:
    """The options of every command that changes something."""
    options = (
        click.option("--plan", is_flag=True, help="Say what would follow; change nothing."),
        click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has come true."),
        click.option("--timeout", type=Milliseconds(), default=WAIT_DEFAULT, show_default=True, help="Longest wait."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def carry_out(
    ctx: click.Context,
    method: str,
    path: str,
    body: Any = None,
    *,
    plan: bool,
    wait: bool,
    timeout: int,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    extra_s: float = 0.0,
    is_followed: bool = False,
) -> None:
    """Ask for a change, wait for what follows from it, show both. Ends the command with its exit code. `extra_s` is for
    changes that a node looks at for longer than others. `is_followed`: how far it is shows on a terminal while it waits."""
    client = client_of(ctx)
    begin_ms = _now_ms()
    given = {**({"plan": "1"} if plan else {}), **(query or {})}
    outcome = client.change(method, path, body, headers=headers, extra_s=extra_s, **given)
    conditions = outcome["wait_for"]
    if plan or not conditions:
        show(ctx, outcome, plan_lines)
        return
    left_ms = max(0, timeout - (_now_ms() - begin_ms)) if wait else 0
    if output_of(ctx) == "table":
        for line in plan_lines(outcome):
            click.echo(line)
    show_progress = _show_progress if is_followed and output_of(ctx) == "table" and sys.stderr.isatty() else None
    waited = wait_for(
        ctx, conditions, longest_ms=left_ms, after_revision=outcome["revision"], show_progress=show_progress
    )
    outcome = {**outcome, "waited": waited}
    if output_of(ctx) == "table":
        for line in now_lines(waited, is_failure_told=wait):
            click.echo(line)
    else:
        show_document(outcome, output_of(ctx))
    if waited["impossible"]:
        raise_given_up(waited)
    if not waited["reached"]:
        if not wait:
            ctx.exit(PENDING_EXIT)
        raise_ran_out(waited, timeout, outcome["request_id"])


def now_lines(waited: Mapping[str, Any], *, is_failure_told: bool = True) -> list[str]:
    """How each condition stands. What the error that follows says is not said here too."""
    is_open = is_failure_told and not waited["reached"]
    return [plain(each["now"]) for each in waited["conditions"] if each["reached"] or not is_open]


def raise_given_up(waited: Mapping[str, Any]) -> None:
    """What cannot come true any more, and the command that says why, and how to try again."""
    hopeless = next((str(each["for"]) for each in waited["conditions"] if each["impossible"]), "")
    kind, name, *wanted = [*hopeless.split(), "", ""]
    hint = "clusterctl events says what happened"
    if kind in ("group", "resource", "node"):
        hint = f"clusterctl explain {kind} {name}"
    if kind == "group" and wanted[0] in ("online", "settled"):
        hint = f"{hint}; when the cause is mended: clusterctl group online {name}"
    is_refused = any(each.get("refused") for each in waited["conditions"])
    raise (RefusedLater if is_refused else GivenUp)(_nows(waited, "impossible"), hint=hint)


def raise_ran_out(waited: Mapping[str, Any], timeout_ms: int, request_id: str = "") -> None:
    plan_id = f" (plan {request_id})" if request_id else ""
    raise WaitRanOut(
        f"after {timeout_ms / 1000:g} s it is not true yet{plan_id}: {_nows(waited, 'open')}",
        hint="the work goes on; look again with clusterctl status, or wait longer with --timeout",
    )


def wait_for(
    ctx: click.Context,
    conditions: list[str],
    *,
    longest_ms: int,
    after_revision: int,
    show_progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Ask again and again, at whatever node answers, until it is true, impossible or late. A node that does not answer yet
    may be starting, so it is waited for as well."""
    client = client_of(ctx)
    until_ms = _now_ms() + longest_ms
    while True:
        left_ms = until_ms - _now_ms()
        step_ms = max(0, min(left_ms, WAIT_STEP_MS if show_progress is None else PROGRESS_STEP_MS))
        try:
            found = client.wait(conditions, longest_ms=step_ms, after_revision=after_revision)
        except Unreachable:
            if left_ms <= 0:
                raise
            time.sleep(min(left_ms, ASK_AGAIN_MS) / 1000)
            continue
        is_over = found["reached"] or found["impossible"] or left_ms <= step_ms
        if show_progress is not None:
            show_progress("" if is_over else _nows(found, "open"))
        if is_over:
            return found


def _show_progress(text: str) -> None:
    """One line that is written over; empty: it is taken away."""
    click.echo(f"\r\x1b[K{text[:PROGRESS_LENGTH_MAX]}", nl=False, err=True)


def _nows(waited: Mapping[str, Any], which: str) -> str:
    chosen = [
        each for each in waited["conditions"] if (each["impossible"] if which == "impossible" else not each["reached"])
    ]
    return "; ".join(plain(each["now"]) for each in chosen) or "the node that answers has not heard of the change yet"


def plan_lines(outcome: Mapping[str, Any]) -> list[str]:
    """What changes, or would change; of a plan also what would follow, and how to carry it out."""
    verb = "would " if outcome["plan_only"] else ""
    lines = [
        f"{verb}{each['action']} {each['kind']} {plain(each['name'])}"
        + (f": {plain('; '.join(each['details']))}" if each["details"] else "")
        for each in outcome["changes"]
    ]
    lines = lines or ["nothing to change"]
    lines += [f"note: {plain(each)}" for each in outcome["notes"]]
    if outcome["plan_only"] and outcome.get("foresight"):
        lines += foreseen_lines(outcome["foresight"])
    if outcome["plan_only"] and outcome.get("plan_id"):
        lines.append(f"to carry it out: clusterctl plan apply {outcome['plan_id']}")
    return lines


def _now_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
