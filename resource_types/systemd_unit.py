"""How is a systemd unit run as a clustered service?

The unit must not start by itself, and systemd must not restart it: two supervisors would fight. Its processes are in a
control group of systemd's; the host adopts that before the start, so that guard and host kill it with everything else. One
gap stays: a start that systemd has accepted and not yet carried out when the run lease ends. A command has no such gap.
"""

import os
from typing import NoReturn

from clusterd.resource_api import Context, Health, NotOnThisNode, ResourceFailed

SYSTEMD_RUNS = "/run/systemd/system"
_CHECK_TIMEOUT_MS = 5000
_KILL_TIMEOUT_MS = 3000
_SHOWN = "LoadState,UnitFileState,ActiveState,Slice,ControlGroup,Restart"


class SystemdUnit:
    """The unit of one call's resource."""

    def __init__(self, context: Context) -> None:
        self._context = context
        given = str(context.properties["unit"])
        self._unit = given if "." in given else f"{given}.service"
        if not os.path.isdir(SYSTEMD_RUNS):
            raise NotOnThisNode(f"unit {self._unit}: systemd does not run on this node; give a command instead")
        if self._unit.startswith("-") or "/" in self._unit:
            self._refuse("that is no unit name")

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
        self._systemctl("start")
        group = self._show().get("ControlGroup", "")
        if group != expected:
            self.kill()
            self._refuse(f"it runs in control group {group or 'none'}, not in {expected}, and could not be contained")

    def stop(self) -> None:
        self._systemctl("stop")

    def kill(self) -> None:
        self._run("kill", "--signal=KILL", self._unit, timeout_ms=_KILL_TIMEOUT_MS)

    def health(self) -> Health:
        state = self._show().get("ActiveState")
        return Health.CANNOT_TELL if state is None else Health.of(state == "active")

    def _show(self) -> dict[str, str]:
        _, output = self._run("show", f"--property={_SHOWN}", self._unit, timeout_ms=_CHECK_TIMEOUT_MS)
        return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    def _systemctl(self, verb: str) -> None:
        is_done, output = self._run(verb, self._unit, timeout_ms=max(self._context.remaining_ms(), 1))
        if not is_done:
            raise ResourceFailed(f"systemctl {verb} {self._unit} did not succeed in time: {output or 'no message'}")

    def _run(self, *arguments: str, timeout_ms: int) -> tuple[bool, str]:
        finished = self._context.processes.run(["systemctl", *arguments], timeout_ms=timeout_ms)
        return finished.exit is not None and finished.exit.is_success, finished.output.strip()

    def _refuse(self, because: str) -> NoReturn:
        raise ResourceFailed(f"unit {self._unit}: {because}")


def _slice_path(name: str) -> str:
    """`a-b.slice` is in `a.slice`: each dash is a level."""
    if name == "-.slice":
        return ""
    words = name.removesuffix(".slice").split("-")
    return "".join(f"/{'-'.join(words[: level + 1])}.slice" for level in range(len(words)))
