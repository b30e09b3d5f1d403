"""How is a systemd unit run as a clustered service?

The unit must not start by itself, and systemd must not restart it: two supervisors would fight. Its processes are in a
control group of systemd's; the host adopts that before the start, so that guard and host kill it with everything else. One
gap stays: a start that systemd has accepted and not yet carried out when the run lease ends. A command has no such gap.

A unit that reloads its configuration runs; one that stays active without a process (a one-shot) has nothing to be contained.
When systemd does not answer, nothing is known of the unit.
"""

import os
from typing import NoReturn

from clusterd.resource_api import CannotTell, Context, Finished, Health, NotOnThisNode, ResourceFailed, StartRefused

SYSTEMD_RUNS = "/run/systemd/system"
POLL_MS = 100
_CHECK_TIMEOUT_MS = 5000
_KILL_TIMEOUT_MS = 3000
_STOP_LEEWAY_MS = 5000
_SHOWN = "LoadState,UnitFileState,ActiveState,SubState,Slice,ControlGroup,Restart,TimeoutStopUSec"
_RUNS = ("active", "reloading", "refreshing")
_CHANGES = ("activating", "deactivating", "maintenance")
"""Somebody is at it: nothing is known until it is over."""
_SPAN_UNITS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1000, "ms": 1, "us": 0, "w": 7 * 86_400_000}


class SystemdUnit:
    """The unit of one call's resource."""

    def __init__(self, context: Context, runs_at: str = SYSTEMD_RUNS) -> None:
        self._context = context
        given = str(context.properties["unit"])
        self._unit = given if "." in given else f"{given}.service"
        if not os.path.isdir(runs_at):
            raise NotOnThisNode(f"unit {self._unit}: systemd does not run on this node; give a command instead")
        if self._unit.startswith("-") or "/" in self._unit:
            self._refuse("that is no unit name")

    @classmethod
    def runs_here(cls, context: Context) -> str:
        """What there is of it on this node, in words; empty: nothing. Raises CannotTell."""
        try:
            unit = cls(context)
            unit.health()
        except (NotOnThisNode, ResourceFailed):
            return ""
        return f"unit {unit._unit} is active"

    def start(self) -> None:
        shown = self._show()
        if shown.get("LoadState") != "loaded":
            raise NotOnThisNode(f"there is no unit {self._unit} on this node: {shown.get('LoadState', 'no answer')}")
        if shown.get("UnitFileState") == "enabled":
            self._refuse("it is enabled, so that systemd starts it on every node; systemctl disable it")
        if shown.get("Restart", "no") != "no":
            self._refuse(
                f"systemd restarts it (Restart={shown['Restart']}), and two supervisors would fight; set it to no"
            )
        expected = f"{_slice_path(shown.get('Slice', 'system.slice'))}/{self._unit}"
        self._context.processes.adopt(expected)
        self._do("start", timeout_ms=max(self._context.remaining_ms(), 1))
        shown = self._show()
        group = shown.get("ControlGroup", "")
        if shown.get("ActiveState") not in _RUNS:
            self._refuse(f"it is {_state_words(shown)} after its start")
        if group != expected and not (group == "" and shown.get("SubState") == "exited"):
            self.kill()
            self._refuse(f"it runs in control group {group or 'none'}, not in {expected}, and could not be contained")

    def stop(self) -> None:
        """As long as the unit's own limit allows: the pending time-out does not run meanwhile."""
        limit_ms = _span_ms(self._show().get("TimeoutStopUSec", ""))
        self._do("stop", "--no-block", timeout_ms=_CHECK_TIMEOUT_MS)
        self._wait_for_end(limit_ms + _STOP_LEEWAY_MS)

    def kill(self) -> None:
        self._run("kill", "--signal=KILL", self._unit, timeout_ms=_KILL_TIMEOUT_MS)

    def health(self) -> Health:
        """Raises CannotTell."""
        try:
            finished = self._run("show", f"--property={_SHOWN}", self._unit, timeout_ms=_CHECK_TIMEOUT_MS)
        except StartRefused as error:
            raise CannotTell(f"unit {self._unit}: systemctl could not be run: {error}") from error
        shown = _properties(finished)
        state = shown.get("ActiveState")
        if state is None:
            raise CannotTell(f"unit {self._unit}: systemd did not answer: {finished.output.strip() or 'no message'}")
        if state in _CHANGES:
            raise CannotTell(f"unit {self._unit} is {_state_words(shown)}")
        if state not in _RUNS:
            raise ResourceFailed(f"unit {self._unit} is {_state_words(shown)}")
        return Health.YES

    def _show(self) -> dict[str, str]:
        return _properties(self._run("show", f"--property={_SHOWN}", self._unit, timeout_ms=_CHECK_TIMEOUT_MS))

    def _do(self, verb: str, *options: str, timeout_ms: int) -> None:
        finished = self._run(verb, *options, self._unit, timeout_ms=timeout_ms)
        if finished.exit is None or not finished.exit.is_success:
            said = finished.output.strip() or "no message"
            raise ResourceFailed(f"systemctl {verb} {self._unit} did not succeed in time: {said}")

    def _wait_for_end(self, limit_ms: int) -> None:
        limit_ms = min(limit_ms, self._context.longest_ms())
        waited_ms = 0
        while (shown := self._show()).get("ActiveState") not in ("inactive", "failed"):
            if waited_ms >= limit_ms:
                self._refuse(f"it is {_state_words(shown)} still, {waited_ms} ms after it was told to stop")
            self._context.pause(POLL_MS)
            waited_ms += POLL_MS
            self._context.progress(f"waiting for systemd to stop {self._unit}, {max(limit_ms - waited_ms, 0)} ms more")

    def _run(self, *arguments: str, timeout_ms: int) -> Finished:
        return self._context.processes.run(["systemctl", *arguments], timeout_ms=timeout_ms, ends_all=True)

    def _refuse(self, because: str) -> NoReturn:
        raise ResourceFailed(f"unit {self._unit}: {because}")


def _properties(finished: Finished) -> dict[str, str]:
    if finished.exit is None or not finished.exit.is_success:
        return {}
    return dict(line.split("=", 1) for line in finished.output.splitlines() if "=" in line)


def _state_words(shown: dict[str, str]) -> str:
    return f"{shown.get('ActiveState', 'unknown')} ({shown.get('SubState', 'unknown')})"


def _span_ms(text: str) -> int:
    """systemd's '1min 30s'; `infinity`, or what is none, is bounded by the call."""
    total = 0
    for word in text.split():
        number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = word[len(number) :]
        if unit not in _SPAN_UNITS or not number.replace(".", "", 1).isdecimal():
            return 24 * 3_600_000
        total += round(float(number) * _SPAN_UNITS[unit])
    return total if text else 24 * 3_600_000


def _slice_path(name: str) -> str:
    """`a-b.slice` is in `a.slice`: each dash is a level."""
    if name == "-.slice":
        return ""
    words = name.removesuffix(".slice").split("-")
    return "".join(f"/{'-'.join(words[: level + 1])}.slice" for level in range(len(words)))
