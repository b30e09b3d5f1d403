"""What did a killed run leave on this machine, and how does it go? I/O, by commands in the containment.

A killed session leaves a dead FUSE file, a loop device bound to it and the mount on that; nothing of them reaches the disk
any more. They are found by the path of the device file. A disk that starts holds a lock shared with the other starting
ones; who takes others' leftovers away needs it alone, and leaves that to the next one otherwise.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from clusterd.resource_api import Context, Finished, ResourceFailed
from resource_types.physical_disk import mounts
from resource_types.physical_disk.places import Places, root_folder
from resource_types.physical_disk.session_link import SessionLink

UNMOUNT_WITHIN_MS = 10_000


@contextmanager
def starting(context: Context, own: Places, point: str) -> Iterator[None]:
    """Within it a session is started; before it, what earlier runs left is taken away: ours, then that of the dead."""
    descriptor = os.open(os.path.join(root_folder(), "starting"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for each in _dead(own):
                take_away(context, each, "")
        while not _is_shared(descriptor):
            context.pause(5)
        take_away(context, own, point)
        yield
    finally:
        os.close(descriptor)


def _is_shared(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False


def _dead(own: Places) -> list[Places]:
    """Folders of disks without a session that still have a mount or a loop device."""
    found = [Places(entry.path) for entry in os.scandir(root_folder()) if entry.is_dir() and entry.path != own.folder]
    left = [each for each in found if mounts.mount_at(each.device) is not None or mounts.loops_of(each.device)]
    return [each for each in left if not SessionLink(each.control).is_there()]


def take_away(context: Context, place: Places, point: str) -> None:
    """Whatever a killed run left: its mount, its loop device, its dead FUSE file. The session is known to be gone.

    A mount that somebody still sits in is detached from the tree: what is under it answers with errors only, and the
    kernel forgets it when they leave.
    """
    loops = mounts.loops_of(place.device)
    for each in [each for each in mounts.mounts() if each.source in loops]:
        _unmount_leftover(context, each.point)
    if point and (found := mounts.mount_at(point)) is not None:
        _end_stranger(context, place, found)
    for loop in mounts.loops_of(place.device):
        context.processes.run(["losetup", "--detach", loop], timeout_ms=UNMOUNT_WITHIN_MS)
    if mounts.mount_at(place.device) is not None:
        context.processes.run(["umount", "--lazy", place.device], timeout_ms=UNMOUNT_WITHIN_MS)
    if os.path.lexists(place.device):
        os.unlink(place.device)


def _unmount_leftover(context: Context, point: str) -> None:
    if _is_done(context.processes.run(["umount", point], timeout_ms=UNMOUNT_WITHIN_MS)):
        return
    held = mounts.holders_text(mounts.holders(point))
    context.log.warning(f"{point} was left by an earlier run and is busy, by {held or 'nobody whom we see'}: detached")
    context.processes.run(["umount", "--lazy", point], timeout_ms=UNMOUNT_WITHIN_MS)


def _end_stranger(context: Context, place: Places, found: mounts.Mount) -> None:
    """The mount of a node that died on this very machine may go; everything else at our mount point is somebody's."""
    backing = mounts.backing_of(found.source)
    folder = os.path.dirname(backing)
    if os.path.dirname(folder) != root_folder() or SessionLink(Places(folder).control).is_there():
        raise ResourceFailed(f"{found.point} is in use: {found.source} is mounted there; choose another mount_point")
    _unmount_leftover(context, found.point)
    if folder != place.folder:
        take_away(context, Places(folder), "")


def _is_done(finished: Finished) -> bool:
    return finished.exit is not None and finished.exit.is_success
