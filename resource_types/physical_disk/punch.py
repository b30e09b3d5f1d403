"""How does a file give up the space of a part that is not needed any more? I/O: fallocate(2), which Python does not have."""

import ctypes

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def punch_hole(descriptor: int, offset: int, length: int) -> bool:
    """False where the file system cannot."""
    return bool(_LIBC.fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, offset, length) == 0)
