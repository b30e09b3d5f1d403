"""What does the cluster do with a disk? The resource type: starts the session, has it claim the disk, mounts, checks, stops.

A disk that is lost fails its resource at once, by an event of the session. Offline in good order is: unmount, flush, release
the claim. Terminate kills the session, after which nothing of this node reaches the disk, and takes away what is left; what
was written to a mount is on the disk before that, wherever the disk still takes it.
"""

import contextlib
import json
import os
import sys
from typing import Any

from clusterd.resource_api import (
    Context,
    Health,
    NotOnThisNode,
    NotReachable,
    ResourceFailed,
    ResourceType,
    UnknownControl,
)
from resource_types.physical_disk import handover, session
from resource_types.physical_disk.back_end import CHALLENGE_INTERVALS
from resource_types.physical_disk.claims import end_claims, tell_claims
from resource_types.physical_disk.file_system import id_problem
from resource_types.physical_disk.leftovers import starting, take_away
from resource_types.physical_disk.looking import look_at_disks
from resource_types.physical_disk.mounting import Mounting, missing, mount_point
from resource_types.physical_disk.places import Places, make_folder, places, remove_folder
from resource_types.physical_disk.properties import EXACTLY_ONE, PROPERTIES, described, kind_and_place
from resource_types.physical_disk.session_link import SessionFailed, SessionLink, SessionSilent
from resource_types.physical_disk.trial import take_part

POLL_MS = 2
PING_WITHIN_MS = 250
ASK_WITHIN_MS = 10_000
SESSION_GRACE_MS = 1000
FLUSH_WITHIN_MS = 3000
"""At a terminate, for which the host allows five seconds."""
MAINTENANCE_MAX = 3


class PhysicalDisk(ResourceType):
    """A disk that one node at a time may use."""

    name = "physical_disk"
    version = "2"
    says = "a disk that one node at a time may write: SCSI with persistent reservations, or an image with a lease"
    properties = PROPERTIES
    exactly_one = EXACTLY_ONE
    abilities = ("live-migration", "storage-fence:iscsi", "storage-fence:device")

    def __init__(self) -> None:
        self._mounting: Mounting | None = None
        self._maintenance = 0
        self._is_standing_by = False
        """A session is connected and claims nothing, until `online` or the end."""

    def online(self, context: Context) -> None:
        place = _place(context)
        link = SessionLink(place.control)
        is_standing_by, self._is_standing_by = self._is_standing_by, False
        if is_standing_by and context.processes.main_is_running():
            self._claim(context, link)
        elif self._mounting is None or not context.processes.main_is_running():
            self._start_session(context, place, link)
            self._claim(context, link)
        if mount_point(context) and not (self._mounting and self._mounting.loop):
            self._mount(context, place, link)
        link.listen(lambda event: self._take_event(context, event))

    def offline(self, context: Context) -> None:
        if self._mounting is not None:
            self._mounting.down(context)
        if context.processes.main_is_running():
            try:
                SessionLink(_place(context).control).ask("release", ASK_WITHIN_MS, tick=lambda: context.pause(0))
            except (SessionSilent, SessionFailed) as error:
                context.log.warning(f"the claim was not released, the next owner will end it: {error}")
        context.processes.stop(grace_ms=SESSION_GRACE_MS)
        self._mounting = None

    def terminate(self, context: Context) -> None:
        """The session first: what waits for the disk gets errors then, and lets go."""
        self._flush_what_can_be(context)
        context.processes.kill()
        self.close(context)

    def close(self, context: Context) -> None:
        self._mounting = None
        if mount_point(context) and os.geteuid() == 0:
            take_away(context, _place(context), "")
        if not SessionLink(_place(context).control).is_there():  # one that listens is not ours
            remove_folder(_place(context))

    def _flush_what_can_be(self, context: Context) -> None:
        """Somebody in the mount may have kept it from an offline in good order, and writes on. A disk that is lost, or a
        session that does not answer, takes nothing any more, and would only be waited for."""
        if self._mounting is None or not self._mounting.is_mounted:
            return
        try:
            standing = SessionLink(_place(context).control).ask("ping", PING_WITHIN_MS)["standing"]
            if standing == session.Standing.HELD and not self._mounting.flush(context, FLUSH_WITHIN_MS):
                context.log.warning(f"not all that was written to {mount_point(context)} may be on the disk")
        except (SessionSilent, SessionFailed, ResourceFailed, OSError) as error:
            context.log.warning(f"what was written to {mount_point(context)} last may not be on the disk: {error}")

    def looks_alive(self, context: Context) -> Health:
        if self._maintenance:
            return Health.YES
        self._expect_healthy(context, "ping", PING_WITHIN_MS)
        return Health.YES

    def is_alive(self, context: Context) -> Health:
        if self._maintenance:
            return Health.YES
        try:
            self._expect_healthy(context, "check", ASK_WITHIN_MS)
        except SessionFailed as error:
            if error.kind == "PathLost":
                # The session waits two intervals for the storage to answer again, and then fails the resource itself.
                return Health.CANNOT_TELL
            raise ResourceFailed(f"{described(context.properties)} was lost: {error}") from error
        return Health.YES

    def control(self, context: Context, verb: str, body: bytes) -> bytes:
        match verb:
            case "status":
                return _json(self._status(context))
            case "preempted":
                seen = self._asked(context, "status")
                return _json({each: seen[each] for each in ("preempted", "guarantee", "generation", "standing")})
            case "maintenance":
                return _json({"maintenance": self._set_maintenance(context, body)})
            case "adopt-volume":
                return _json({"volume_id": self._adopt(body)})
            case _:
                raise UnknownControl(verb)

    @classmethod
    def examine(cls, question: str, body: bytes) -> bytes:
        """`disks`: which of these disks does this node reach, and what does it find there? `trial`: one step of a trial of
        a disk that nobody uses. `claims`: whose claims are on it? `end-claims`: those that are named are ended."""
        match question:
            case "disks":
                return look_at_disks(body)
            case "trial":
                return take_part(body)
            case "claims":
                return tell_claims(body)
            case "end-claims":
                return end_claims(body)
            case _:
                raise UnknownControl(question)

    # ---- taken from an owner that nobody can reach ----

    def fence(self, context: Context) -> str:
        """Claimed, and never served: what is left is the key and the reservation, which outlast the session."""
        if context.properties["image"] is not None:
            raise ResourceFailed(f"{described(context.properties)} is an image: its storage refuses nobody")
        place = _place(context)
        link = SessionLink(place.control)
        try:
            self._start_session(context, place, link, is_to_be_used=False)
            self._expect_volume(context, link)
            self._asked(context, "fence")
            return _fenced_words(self._asked(context, "status"))
        finally:
            context.processes.kill()

    # ---- live migration ----

    def prepare_migration(self, context: Context) -> str:
        """The session is connected and stands by: whatever is asked of its NBD socket is refused. What uses a mounted disk
        cannot be made ready on a node where it is not mounted yet, or would open the files of somebody else's mount."""
        if mount_point(context):
            raise ResourceFailed(f"{described(context.properties)} is mounted, on one node at a time: use a quick move")
        context.processes.kill()
        place = _place(context)
        link = SessionLink(place.control)
        self._start_session(context, place, link)
        self._expect_volume(context, link)
        self._is_standing_by = True
        return handover.seen_by(self._asked(context, "status"), context.node)

    def migrate(self, context: Context, prepared: str) -> None:
        """Who used it has left. Not to be cancelled on the way: a disk is held or it is not."""
        handover.expect_same_disk(prepared, self._asked(context, "status"), described(context.properties))
        context.pause(0)
        try:
            self._asked(context, "release")
        except ResourceFailed as error:
            with contextlib.suppress(ResourceFailed):
                self._asked(context, "resume")
            raise ResourceFailed(f"{described(context.properties)} was not handed over: {error}") from error

    def resume_after_migration(self, context: Context) -> None:
        """Under the generation that it had. Refused when somebody has taken it since."""
        self._asked(context, "resume")

    def abandon_migration(self, context: Context) -> None:
        if self._is_standing_by:
            context.processes.kill()
            self._is_standing_by = False

    # ---- up ----

    def _start_session(self, context: Context, place: Places, link: SessionLink, *, is_to_be_used: bool = True) -> None:
        is_mounted = is_to_be_used and bool(mount_point(context))
        if is_mounted and (lacks := missing()):
            raise NotOnThisNode(lacks)
        if link.is_there():
            raise ResourceFailed(f"another session process serves this disk on {context.node} ({place.folder}): end it")
        try:
            make_folder(place)
        except OSError as error:
            raise ResourceFailed(f"the folder for the disk's sockets cannot be made: {error}") from error
        if not is_mounted:
            self._run_session(context, place, link)
            return
        with starting(context, place, mount_point(context)):
            self._run_session(context, place, link)

    def _run_session(self, context: Context, place: Places, link: SessionLink) -> None:
        """Ends when it listens."""
        kind, where = kind_and_place(context.properties, node=context.node, resource=context.resource)
        config = session.Config(
            kind,
            where,
            context.cluster_id,
            context.node,
            context.generation,
            context.properties["arb_interval"],
            place.folder,
        )
        command = [sys.executable, "-S", "-E", "-I", session.__file__, json.dumps(config._asdict())]
        process = context.processes.start(command, watch=True)
        while not link.is_there():
            if process.exit is not None:
                why = context.processes.output(1)
                raise NotReachable(f"{described(context.properties)} cannot be used from {context.node}: {why}")
            context.pause(POLL_MS)

    def _claim(self, context: Context, link: SessionLink) -> None:
        self._expect_volume(context, link)
        try:
            within_ms = ASK_WITHIN_MS + (CHALLENGE_INTERVALS + 1) * context.properties["arb_interval"]
            link.ask("arbitrate", within_ms, tell=context.progress, tick=lambda: context.pause(0))
        except (SessionFailed, SessionSilent) as error:
            raise ResourceFailed(f"{described(context.properties)} could not be claimed: {error}") from error

    def _expect_volume(self, context: Context, link: SessionLink) -> None:
        """Of a disk that is handed on unmounted; otherwise the volume's own ids count as well, and are seen later."""
        wanted = context.properties["volume_id"]
        if not wanted or mount_point(context):
            return
        ids = self._asked(context, "status")["ids"]
        if problem := id_problem(wanted, marker="", file_system="", device=ids):
            raise ResourceFailed(f"{problem}; correct volume_id, or the disk that the resource names")

    def _mount(self, context: Context, place: Places, link: SessionLink) -> None:
        mounting = Mounting(context, place)
        self._mounting = mounting
        mounting.up(context, self._asked(context, "status")["ids"])

    def _take_event(self, context: Context, event: dict[str, Any]) -> None:
        if event["event"] == "lost":
            context.failed(f"{described(context.properties)} was lost: {event['because']}")

    # ---- looking ----

    def _expect_healthy(self, context: Context, verb: str, within_ms: int) -> None:
        if not context.processes.main_is_running():
            raise ResourceFailed("the disk's session process has ended")
        try:
            seen = SessionLink(_place(context).control).ask(verb, within_ms)
        except SessionSilent as error:
            raise ResourceFailed(str(error)) from error
        if seen["standing"] != session.Standing.HELD:
            raise ResourceFailed(f"{described(context.properties)} is not held any more: it is {seen['standing']}")
        if self._mounting is not None and (problem := self._mounting.problem()):
            raise ResourceFailed(problem)

    def _status(self, context: Context) -> dict[str, Any]:
        place = _place(context)
        kind, _ = kind_and_place(context.properties, node=context.node, resource=context.resource)
        mounting = self._mounting
        return {
            **self._asked(context, "status"),
            "back_end": kind,
            "disk": described(context.properties),
            "nbd": place.nbd_uri,
            "maintenance": self._maintenance,
            "mount_point": mount_point(context) or None,
            "loop": mounting.loop if mounting else None,
            "volume": {"file_system": mounting.volume.uuid, "written": mounting.marker} if mounting else None,
        }

    def _asked(self, context: Context, verb: str) -> dict[str, Any]:
        try:
            return SessionLink(_place(context).control).ask(verb, ASK_WITHIN_MS)
        except (SessionSilent, SessionFailed) as error:
            raise ResourceFailed(f"{verb}: {error}") from error

    # ---- maintenance, and the id on the volume ----

    def _set_maintenance(self, context: Context, body: bytes) -> int:
        """0 none, 1 checks count for nothing, 2 also unmounted, 3 also released. Ends with the next offline."""
        text = body.decode(errors="replace").strip()
        if not text.isdecimal() or int(text) > MAINTENANCE_MAX:
            raise ResourceFailed(f"maintenance is a number from 0 to {MAINTENANCE_MAX}, not {text!r}")
        mode, was = int(text), self._maintenance
        self._maintenance = max(mode, was, 1)
        place = _place(context)
        if mode >= 2 and was < 2:
            self._maintenance = max(was, 1)  # so far it got, should somebody sit in the mount
            if self._mounting is not None:
                self._mounting.down(context)
                self._mounting = None
            self._maintenance = 2
        if mode == 3 and was < 3:
            self._asked(context, "release")
        if mode < 3 and was == 3:
            self._asked(context, "arbitrate")
        if mode < 2 and was >= 2 and mount_point(context):
            self._mount(context, place, SessionLink(place.control))
        self._maintenance = mode
        return mode

    def _adopt(self, body: bytes) -> str:
        volume_id = body.decode(errors="replace").strip()
        if self._mounting is None or not self._mounting.loop:
            raise ResourceFailed("an id is written on a volume while it is mounted")
        if not volume_id or len(volume_id) > 100 or not volume_id.isprintable():
            raise ResourceFailed("an id has 1 to 100 printable characters")
        self._mounting.write_marker(volume_id)
        return volume_id


def _place(context: Context) -> Places:
    return places(context.cluster_id, context.node, context.resource)


def _fenced_words(seen: dict[str, Any]) -> str:
    """What a fence did, of the session's status."""
    ended = [f"key {each['key']} was ended ({each['how']})" for each in seen["preempted"]]
    return "; ".join((*ended, f"it is held under key {seen['key']}"))


def _json(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode()
