"""What does the kernel's refusal of a write mean, and what can a person do about it? I/O: error numbers of the machine.

Only bytes that cannot be what was written are damage. Everything here is a refusal: nothing that was durable is lost by it.
"""

import errno
from enum import StrEnum


class Refusal(StrEnum):
    """What a refused write calls for."""

    FULL = "full"
    """No room: it fits again once somebody frees some."""
    PASSING = "passing"
    """Not now, for a reason of the process or the machine that may pass."""
    FAILED = "failed"
    """The disk, the folder or the right to write is gone: nothing goes on by itself."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EINTR})
_HINTS = {
    errno.ENOSPC: "free space on that file system: the node goes on by itself",
    errno.EDQUOT: "free space within the quota, or raise it: the node goes on by itself",
    errno.EFBIG: "raise the limit on the size of files (LimitFSIZE, ulimit -f): the node goes on by itself",
    errno.EMFILE: "raise the limit on open files of the daemon (LimitNOFILE, ulimit -n)",
    errno.ENFILE: "the machine has no open files left: see which process holds them (fs.file-max)",
    errno.ENOMEM: "the machine is out of memory: see which process takes it",
    errno.EROFS: "the file system is read-only, often after an error of its disk: see dmesg, repair it and mount it "
    "writable, then start the node again",
    errno.EIO: "the disk does not work: see dmesg, replace it, then start the node again; it catches up from its peers",
    errno.EACCES: "the daemon may not write there: give the folder back to its user, then start the node again",
    errno.EPERM: "the daemon may not write there: give the folder back to its user, then start the node again",
    errno.ENOENT: "the folder is gone: is its file system mounted?",
    errno.ENOTDIR: "the folder is gone: is its file system mounted?",
    errno.ENODEV: "the disk is gone: attach it again, then start the node again",
    errno.ENXIO: "the disk is gone: attach it again, then start the node again",
    errno.ESTALE: "the network file system lost the folder: mount it again, then start the node again",
    errno.EADDRINUSE: "another process listens on that address: see the addresses in the node's configuration",
    errno.EADDRNOTAVAIL: "this machine does not have that address: see the addresses in the node's configuration",
    errno.ENAMETOOLONG: "choose shorter folders in the node's configuration",
}


def refusal_of(error: OSError) -> Refusal:
    if error.errno in _FULL:
        return Refusal.FULL
    return Refusal.PASSING if error.errno in _PASSING else Refusal.FAILED


def reason_of(error: OSError) -> str:
    """What was refused and by which error, as one line: 'No space left on device (ENOSPC), /var/lib/…'."""
    name = errno.errorcode.get(error.errno, "") if error.errno is not None else ""
    what = error.strerror or str(error) or type(error).__name__
    where = f", {error.filename}" if error.filename else ""
    return f"{what} ({name}){where}" if name else f"{what}{where}"


def hint_of(error: OSError, *, otherwise: str = "") -> str:
    return _HINTS.get(error.errno or 0, otherwise)
