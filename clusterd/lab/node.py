"""What can be done to one node of a lab? I/O.

The states that people see are read from the processes themselves; only how a run ended (ordered stop, or not) is
remembered. Whatever is killed stays killed until `start`.
"""

import asyncio
import os
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from clusterd.adapters.configuration import RUN_ID_VARIABLE
from clusterd.adapters.disk_faults import DiskFaults
from clusterd.adapters.fence import FenceAnswer, FenceVerdict
from clusterd.adapters.link_cuts import LinkCuts
from clusterd.lab.cgroups import Cgroup
from clusterd.lab.children import Child, Children
from clusterd.lab.layout import NodeEntry
from clusterd.lab.leftovers import DISK_FOLDER_VARIABLE, MACHINE_FOLDER_VARIABLE, disk_folder, machine_folder
from clusterd.lab.options import LabOptions
from clusterd.lab.processes import ProcessInfo, snapshot
from clusterd.lab.programs import CommandFor, daemon_command, guard_command
from clusterd.lab.run import Run, signal_all
from clusterd.model.errors import ClusterError

DAEMON_STOP_WAIT_MAX_MS = 15_000
GUARD_STOP_WAIT_MAX_MS = 5_000
FAREWELL_MAX_MS = 600
FENCE_KILL_WAIT_MS = 200
RUNS_REMEMBERED_MAX = 1_000
UNWANTED_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "CLUSTERD_LAB_ROOT")
"""Not for nodes: without byte code every start compiles every import; nodes trust their own authority only."""


@dataclass(frozen=True, slots=True)
class LabContext:
    """What all nodes of a lab share."""

    options: LabOptions
    children: Children
    cgroup: Cgroup | None


class LabNode:
    """One node: its present run, and the runs that are known to have ended."""

    def __init__(self, entry: NodeEntry, context: LabContext) -> None:
        self.entry = entry
        self._context = context
        self._run: Run | None = None
        self._ended: deque[str] = deque(maxlen=RUNS_REMEMBERED_MAX)
        self._changing = asyncio.Lock()

    @property
    def links_file(self) -> Path:
        return Path(self.entry.dir) / "links.json"

    @property
    def disk_file(self) -> Path:
        return Path(self.entry.dir) / "disk.json"

    @property
    def log_files(self) -> dict[str, str]:
        return {name: str(Path(self.entry.dir) / f"{name}.log") for name in ("daemon", "guard")}

    # ---- start, stop, kill ----

    async def start(self) -> str:
        """Start what is missing, and say what that was. A fully stopped node gets a new run."""
        async with self._changing:
            run = self._run
            if run is not None and run.daemon is not None and not run.has_living_guard:
                # A node that leaves in order ends its guard first, and then its daemon says goodbye.
                await run.daemon.wait_ended(wait_max_ms=FAREWELL_MAX_MS)
            if run is None or not (run.has_living_guard or run.has_living_daemon):
                await self._end_old_run()
                run = self._new_run()
            started = []
            if not run.has_living_guard:
                await run.kill_leftovers()
                run.guard = self._spawn(run, "guard", guard_command)
                started.append("guard")
            if not run.has_living_daemon:
                run.daemon = self._spawn(run, "daemon", daemon_command)
                started.append("daemon")
            run.end_word = ""
            return " and ".join(started) or "nothing: it is running"

    async def stop(self) -> None:
        """An orderly end: the daemon first, then the guard; what does not obey in time is killed."""
        async with self._changing:
            run = self._run
            if run is None or self._is_over(run):
                return
            run.end_word = "stopped"
            run.continue_all()
            for child, wait_max_ms in ((run.daemon, DAEMON_STOP_WAIT_MAX_MS), (run.guard, GUARD_STOP_WAIT_MAX_MS)):
                if child is not None and child.is_alive:
                    child.signal(Signals.SIGTERM)
                    await child.wait_ended(wait_max_ms=wait_max_ms)
            await self._kill_run(run)

    async def kill(self, what: str) -> str:
        """SIGKILL, and say what was hit. `node` returns when it is proven that nothing of it is left."""
        run = self._run
        if run is None or self._is_over(run):
            return "nothing: it is not running"
        if what == "node":
            run.end_word = "killed"
            if not await self._kill_run(run):
                raise ClusterError(f"some processes of {self.entry.name} survive SIGKILL", hint="see lab status")
            return "everything it ran"
        if what == "host":
            return self._signal_part(run, what, Signals.SIGKILL)
        child = self._child(run, what)
        if child is None or not child.is_alive:
            return f"nothing: it has no {what}"
        run.note_members()
        child.signal(Signals.SIGKILL)  # what a dead guard leaves behind is for its own arrangements to end
        await child.wait_ended(wait_max_ms=GUARD_STOP_WAIT_MAX_MS)
        return f"{what} {child.pid}"

    async def pause(self, what: str) -> str:
        """SIGSTOP; `node` means everything it runs, workloads too."""
        run = self._run
        if run is None or self._is_over(run):
            return "nothing: it is not running"
        if what == "node":
            if not await run.stop_all():
                raise ClusterError(f"not everything of {self.entry.name} stopped in time", hint="try again")
            return "everything it runs"
        return self._signal_part(run, what, Signals.SIGSTOP)

    async def resume(self, what: str) -> str:
        """SIGCONT."""
        run = self._run
        if run is None or self._is_over(run):
            return "nothing: it is not running"
        if what == "node":
            run.continue_all()
            return "everything it runs"
        return self._signal_part(run, what, Signals.SIGCONT)

    @property
    def has_daemon(self) -> bool:
        return self._run is not None and self._run.has_living_daemon

    # ---- the power switch ----

    async def fence_status(self, run_id: str) -> FenceAnswer:
        """Whether that run still executes anything. A kill under way is given a moment to finish."""
        run = self._run
        if run_id in self._ended:
            return FenceAnswer(FenceVerdict.ENDED, "the launcher saw it end")
        if run is None or run.run_id != run_id:
            return FenceAnswer(FenceVerdict.UNKNOWN, "the launcher never started such a run")
        await run.wait_kill(wait_max_ms=FENCE_KILL_WAIT_MS)
        self._context.children.reap()
        if self._is_over(run):
            return FenceAnswer(FenceVerdict.ENDED, "nothing of it is left")
        return FenceAnswer(FenceVerdict.RUNNING, "processes of it are alive")

    async def fence_off(self, run_id: str) -> FenceAnswer:
        """End exactly that run; a later one is never touched."""
        run = self._run
        if run is None or run.run_id != run_id or self._is_over(run):
            return await self.fence_status(run_id)
        run.end_word = "killed"
        if await self._kill_run(run):
            return FenceAnswer(FenceVerdict.ENDED, "everything of it was killed")
        return FenceAnswer(FenceVerdict.RUNNING, "some processes of it survive SIGKILL")

    # ---- what others see ----

    def set_cuts(self, cuts: LinkCuts) -> None:
        """Tell the daemon which links it has lost; one that starts later reads the file."""
        cuts.write(self.links_file)
        self._hang_up()

    @property
    def disk(self) -> DiskFaults:
        """What is wrong with its disk now."""
        return DiskFaults.load(self.disk_file)

    def set_disk(self, faults: DiskFaults) -> None:
        """Tell the daemon how its disk is; one that starts later reads the file."""
        if faults != self.disk:
            faults.write(self.disk_file)
            self._hang_up()

    def _hang_up(self) -> None:
        if self._run is not None and self._run.daemon is not None:
            self._run.daemon.signal(Signals.SIGHUP)

    def status(self) -> dict[str, Any]:
        """The node as `lab status` shows it."""
        seen = snapshot()
        run = self._run
        members = [] if run is None or self._is_over(run) else run.members(seen)
        by_pid = {each.pid: each for each in members}
        guard, daemon = (run.guard, run.daemon) if run else (None, None)
        hosts = run.hosts(seen, self._context.options.programs.host_mark) if run else []
        known = {each.pid for each in hosts} | {child.pid for child in (guard, daemon) if child}
        known |= run.own_parts(members, self._context.options.programs.spawner_mark) if run else set()
        return {
            "name": self.entry.name,
            "state": self._state(members),
            "daemon_state": _part_state(daemon, by_pid, run),
            "guard_state": _part_state(guard, by_pid, run),
            "pid": _pid(daemon),
            "guard_pid": _pid(guard),
            "host_pids": sorted(each.pid for each in hosts),
            "workload_pids": sorted(pid for pid in by_pid if pid not in known),
            "run_id": run.run_id if run else None,
            "api": self.entry.api_url,
            "peer": self.entry.peer,
            "netns": None,
            "data_dir": self.entry.data_dir,
            "disk": {"slow_ms": self.disk.slow_ms, "full": self.disk.is_full, "broken": self.disk.is_broken},
            "logs": self.log_files,
        }

    def early_end(self) -> str | None:
        """Why the node cannot come up: a process that ended by itself."""
        run = self._run
        for child in (run.daemon, run.guard) if run and not run.end_word else ():
            if child is not None and not child.is_alive:
                return f"the {child.name} of {self.entry.name} ended with status {child.exit_code}"
        return None

    # ---- inside ----

    def _new_run(self) -> Run:
        run_id = secrets.token_hex(8)
        parent = self._context.cgroup
        cgroup = parent.child(f"{self.entry.name}-{run_id}") if parent else None
        self._run = Run(self.entry.name, run_id, self._context.children, cgroup)
        return self._run

    async def _end_old_run(self) -> None:
        if self._run is not None and not self._is_over(self._run) and not await self._kill_run(self._run):
            raise ClusterError(
                f"the last run of {self.entry.name} cannot be ended: some processes survive SIGKILL",
                hint="see workload_pids in lab status",
            )

    async def _kill_run(self, run: Run) -> bool:
        if not await run.kill():
            return False
        self._note_over(run)
        return True

    def _is_over(self, run: Run) -> bool:
        """Whether nothing of it is left; once proven it stays so."""
        if run.run_id in self._ended:
            return True
        if run.has_living_guard or run.has_living_daemon or run.members():
            return False
        self._note_over(run)
        return True

    def _note_over(self, run: Run) -> None:
        if run.run_id not in self._ended:
            self._ended.append(run.run_id)
            run.forget()

    def _spawn(self, run: Run, name: str, make: CommandFor) -> Child:
        log = Path(self.entry.dir) / f"{name}.log"
        if log.exists():
            os.replace(log, log.with_suffix(".log.1"))
        arguments = make(self._context.options, self.entry, run.run_id)
        return self._context.children.spawn(
            arguments, environment=self._environment(run.run_id), log=log, cgroup=run.cgroup
        )

    def _environment(self, run_id: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in UNWANTED_VARIABLES}
        base = Path(self.entry.run_dir).parents[1]
        folders = {DISK_FOLDER_VARIABLE: str(disk_folder(base)), MACHINE_FOLDER_VARIABLE: str(machine_folder(base))}
        return {**kept, RUN_ID_VARIABLE: run_id, **folders}

    def _signal_part(self, run: Run, what: str, number: Signals) -> str:
        if what == "host":
            hosts = run.hosts(snapshot(), self._context.options.programs.host_mark)
            signal_all(hosts, number)
            return _pids("host", hosts)
        child = self._child(run, what)
        if child is None or not child.is_alive:
            return f"nothing: it has no {what}"
        child.signal(number)
        return f"{what} {child.pid}"

    def _child(self, run: Run, what: str) -> Child | None:
        return run.daemon if what == "daemon" else run.guard

    def _state(self, members: list[ProcessInfo]) -> str:
        run = self._run
        if not members:
            return "stopped" if run is None else _end_state(run, run.guard)
        return "paused" if all(each.is_stopped for each in members) else "running"


def _part_state(child: Child | None, by_pid: Mapping[int, ProcessInfo], run: Run | None) -> str:
    if child is None or run is None:
        return "stopped"
    if child.is_alive and child.pid in by_pid:
        return "paused" if by_pid[child.pid].is_stopped else "running"
    return _end_state(run, child)


def _end_state(run: Run, child: Child | None) -> str:
    """Ended on order, or by a clean exit of its own: stopped. Anything else: killed."""
    if run.end_word:
        return run.end_word
    return "stopped" if child is None or child.exit_code == 0 else "killed"


def _pid(child: Child | None) -> int | None:
    return child.pid if child is not None and child.is_alive else None


def _pids(word: str, found: list[ProcessInfo]) -> str:
    return f"{word} {', '.join(str(each.pid) for each in found)}" if found else f"nothing: it has no {word}"
