"""How is a file opened that somebody named, who may have put anything there? I/O.

To open a FIFO for reading waits until somebody writes to it, and a terminal or a socket is no file either: whoever opened it
in a thread of the host's would hold that thread for good. So it is opened without waiting, looked at, and only then read.
"""

import errno
import os
import stat

_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
}


def open_plain(path: str, flags: int = os.O_RDONLY, *, or_device: bool = False, mode: int = 0o600) -> int:
    """A descriptor of a regular file, or of a block device if that will do. Raises OSError, which says what is there."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, mode)
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind == stat.S_IFREG or (or_device and kind == stat.S_IFBLK):
        os.set_blocking(descriptor, True)
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'something else')}, and no file", path)


def read_plain(path: str, size_max: int) -> bytes:
    """The beginning of a regular file. Raises OSError."""
    with open(open_plain(path), "rb") as file:
        return file.read(size_max)
