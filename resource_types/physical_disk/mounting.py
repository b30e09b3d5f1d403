"""How does what the session serves become a mounted file system, and go again? I/O, by commands in the containment.

NBD socket -> `qemu-storage-daemon` serves it as a file (FUSE) -> loop device -> check -> mount. Nothing of that needs more
of the kernel than FUSE and loop devices. What a killed run left is taken away first (leftovers.py).
"""

import os
import shutil
import signal

from clusterd.resource_api import Context, Finished, Process, ResourceFailed
from resource_types.physical_disk import mounts
from resource_types.physical_disk.file_system import CHANGED_MAX, PROBE_BYTES, Check, Volume, checks, id_problem, volume
from resource_types.physical_disk.leftovers import take_away
from resource_types.physical_disk.places import Places

MARKER = ".clusterd-volume"
POLL_MS = 2
DEVICE_WITHIN_MS = 10_000
UNMOUNT_WITHIN_MS = 10_000
COMMAND_WITHIN_MS = 60_000
MARKER_BYTES_MAX = 200
PROGRESS_EVERY_MS = 5000
_CORRECT_ID = "correct volume_id, or the disk that the resource names"
_COMMANDS = ("qemu-storage-daemon", "losetup", "mount", "umount", "e2fsck", "sync")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str:
    """What this node lacks to mount a disk; nothing when it can."""
    if os.geteuid() != 0:
        return "only a node that runs as root can mount; leave mount_point out to hand the disk on as it is (NBD)"
    absent = [each for each in ("/dev/fuse", "/dev/loop-control") if not os.path.exists(each)]
    absent += [each for each in _COMMANDS if shutil.which(each, path=_PATH) is None]
    return f"mounting needs {', '.join(absent)}, which this node does not have" if absent else ""


def mount_point(context: Context) -> str:
    """`{node}` in it is the node's name, for nodes that share one machine."""
    point = context.properties["mount_point"]
    return os.path.normpath(point.replace("{node}", context.node)) if point else ""


class Mounting:
    """The way from the session's socket to the mount point. One for each online."""

    def __init__(self, context: Context, place: Places) -> None:
        self._place = place
        self._point = mount_point(context)
        self._may_be_read_only = "ro" in context.properties["mount_options"]
        self._daemon: Process | None = None
        self.loop = ""
        self.volume = Volume()
        self.marker = ""

    # ---- up ----

    def up(self, context: Context, device_ids: list[str]) -> None:
        """Raises ResourceFailed. What was begun is left to `down` or `take_away`."""
        if below := mounts.mounts_below(self._point):
            hint = "this mount would hide it; make its resource depend on this one"
            raise ResourceFailed(f"{below[0]} is mounted below {self._point} already: {hint}")
        self._serve_file(context)
        self.loop = self._run(context, "losetup", "--find", "--show", self._place.device).output.strip()
        self._look(context)
        self._expect_id(context, device_ids)
        for each in checks(context.properties["run_check"], self.volume):
            self._check(context, each)
        os.makedirs(self._point, exist_ok=True)
        options = ["-o", ",".join(context.properties["mount_options"])] if context.properties["mount_options"] else []
        self._run(context, "mount", *options, self.loop, self._point)
        self.marker = self._read_marker()
        if problem := self._id_problem(context, device_ids):
            raise ResourceFailed(f"{problem}; {_CORRECT_ID}")

    def _expect_id(self, context: Context, device_ids: list[str]) -> None:
        """Before anything is repaired. Only what is written inside can still tell that a disk by another id is right."""
        if not self._id_problem(context, device_ids):
            return
        read_only = ["ro", *(["noload"] if self.volume.kind == "ext" else ["norecovery"])]
        os.makedirs(self._point, exist_ok=True)
        self._run(context, "mount", "-o", ",".join(read_only), self.loop, self._point)
        try:
            self.marker = self._read_marker()
        finally:
            self._run(context, "umount", self._point)
        if problem := self._id_problem(context, device_ids):
            raise ResourceFailed(f"{problem}; {_CORRECT_ID}")

    def _id_problem(self, context: Context, device_ids: list[str]) -> str:
        wanted = context.properties["volume_id"] or ""
        return id_problem(wanted, marker=self.marker, file_system=self.volume.uuid, device=device_ids)

    def _serve_file(self, context: Context) -> None:
        """Ends when the file has the disk's size: FUSE is mounted on it then."""
        with open(self._place.device, "w", encoding="utf-8"):
            pass
        command = ["qemu-storage-daemon", "--blockdev"]
        command += [f"driver=nbd,node-name=disk,discard=unmap,server.type=unix,server.path={self._place.nbd}"]
        export = f"type=fuse,id=disk,node-name=disk,mountpoint={self._place.device},writable=on,allow-other=off"
        self._daemon = context.processes.start([*command, "--export", export])
        waited_ms = 0
        while os.stat(self._place.device).st_size == 0:
            if self._daemon.exit is not None or waited_ms > DEVICE_WITHIN_MS:
                raise ResourceFailed(f"qemu-storage-daemon does not serve the disk: {context.processes.output(5)}")
            context.pause(POLL_MS)
            waited_ms += POLL_MS

    def _look(self, context: Context) -> None:
        self.volume = self._probe()
        if self.volume.is_empty and context.properties["format_when_empty"]:
            context.progress("making an ext4 file system on the empty disk")
            self._run(context, "mkfs.ext4", "-q", "-F", self.loop)
            self.volume = self._probe()
        if not self.volume.kind and self.volume.is_empty:
            raise ResourceFailed("the disk is empty: make a file system on it, or set format_when_empty once")

    def _probe(self) -> Volume:
        with open(self.loop, "rb", buffering=0) as file:
            return volume(file.read(PROBE_BYTES) or b"")

    def _check(self, context: Context, check: Check) -> None:
        left = self._e2fsck(context, check.options)
        if left and check.then:
            left = self._e2fsck(context, check.then)
        if not left:
            return
        if not check.may_fail:
            raise ResourceFailed(f"{left}; repair it by hand (e2fsck -f), or choose another run_check")
        context.log.warning(f"{left}; run_check says to go on")

    def _e2fsck(self, context: Context, options: tuple[str, ...]) -> str:
        """However long it takes. Returns what was left uncorrected."""
        words = f"e2fsck {' '.join(options)} {self.loop}"
        context.progress(words)
        running = context.processes.start(["e2fsck", *options, self.loop])
        while (ended := running.wait(PROGRESS_EVERY_MS)) is None:
            context.progress(f"{words} is still at it")
        if ended.status is not None and ended.status <= CHANGED_MAX:
            return ""
        return f"{words} found problems: {' '.join(context.processes.output(3).splitlines())}"

    def _read_marker(self) -> str:
        try:
            with open(os.path.join(self._point, MARKER), encoding="utf-8", errors="replace") as file:
                return file.read(MARKER_BYTES_MAX).strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ResourceFailed(f"{self._point}/{MARKER} cannot be read: {error.strerror}") from error

    def write_marker(self, volume_id: str) -> None:
        """Once: a volume keeps its id."""
        if self.marker and self.marker != volume_id:
            raise ResourceFailed(f"the volume has the id {self.marker} already")
        with open(os.path.join(self._point, MARKER), "w", encoding="utf-8") as file:
            file.write(volume_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.marker = volume_id

    # ---- looking ----

    def problem(self) -> str:
        """What is wrong with the mount now."""
        if self._daemon is not None and self._daemon.exit is not None:
            return f"qemu-storage-daemon {self._daemon.exit}"
        found = mounts.mount_at(self._point)
        if found is None or found.source != self.loop:
            return f"{self._point} is not mounted any more" if found is None else f"{found.source} is mounted over it"
        if found.is_read_only and not self._may_be_read_only:
            return f"{self._point} became read-only: the file system saw an error"
        return ""

    # ---- down ----

    @property
    def is_mounted(self) -> bool:
        """By us, and nothing over it."""
        found = mounts.mount_at(self._point) if self._point and self.loop else None
        return found is not None and found.source == self.loop

    def down(self, context: Context) -> None:
        """In good order. Raises ResourceFailed with who keeps it busy."""
        if self.is_mounted:
            self._unmount(context)
        self._detach(context)

    def flush(self, context: Context, within_ms: int | None = None) -> bool:
        """Whether everything that anybody wrote there so far is on the disk. Without a limit it takes as long as the disk
        needs: one that answers nothing is lost after two intervals, and ends it with errors."""
        words = f"writing what is not yet on the disk ({self._point})"
        running = context.processes.start(["sync", "--file-system", self._point])
        while (ended := running.wait(within_ms or PROGRESS_EVERY_MS)) is None:
            if within_ms is not None:
                return False
            context.progress(words)
        return ended.is_success

    def _unmount(self, context: Context) -> None:
        """Whoever stays in it keeps a mount whose disk is soon gone, so all of it is written before anybody is asked to go:
        what follows a refusal may be the end of the session, and that writes nothing."""
        if not self.flush(context):
            context.log.warning(f"not all of {self._point} could be written: {context.processes.output(1)}")
        finished = context.processes.run(["umount", self._point], timeout_ms=UNMOUNT_WITHIN_MS)
        if _is_done(finished):
            return
        self._end_own_holders(context)
        self.flush(context)
        finished = context.processes.run(["umount", self._point], timeout_ms=UNMOUNT_WITHIN_MS)
        if _is_done(finished):
            return
        if below := mounts.mounts_below(self._point):
            raise ResourceFailed(f"{self._point} is busy: {below[0]} is mounted below it; take that offline first")
        held = mounts.holders_text(mounts.holders(self._point))
        raise ResourceFailed(f"{self._point} is busy: {held or _last(finished)}; end that, or turn the group off")

    def _end_own_holders(self, context: Context) -> None:
        """What the resource itself started and still sits there."""
        own = set(context.processes.members())
        held = [each.pid for each in mounts.holders(self._point) if each.pid in own]
        for number in (signal.SIGTERM, signal.SIGKILL):
            waited_ms = 0
            for pid in held:
                _signal(pid, number)
            while held and waited_ms <= context.properties["stop_grace"]:
                context.pause(POLL_MS)
                waited_ms += POLL_MS
                held = [pid for pid in held if pid in context.processes.members()]

    def _detach(self, context: Context) -> None:
        for loop in mounts.loops_of(self._place.device):
            self._run(context, "losetup", "--detach", loop)
        if self._daemon is not None and self._daemon.exit is None:
            self._daemon.signal(signal.SIGTERM)
            if self._daemon.wait(UNMOUNT_WITHIN_MS) is None:
                self._daemon.signal(signal.SIGKILL)
        take_away(context, self._place, "")

    def _run(self, context: Context, *command: str) -> Finished:
        finished = context.processes.run(command, timeout_ms=COMMAND_WITHIN_MS)
        if not _is_done(finished):
            raise ResourceFailed(f"{' '.join(command)} {finished.exit or 'took too long'}: {_last(finished)}")
        return finished


def _is_done(finished: Finished) -> bool:
    return finished.exit is not None and finished.exit.is_success


def _last(finished: Finished) -> str:
    return " ".join(finished.output.split("\n")[-3:]).strip() or "it wrote nothing"


def _signal(pid: int, number: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
