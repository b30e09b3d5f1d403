"""How is a local SCSI block device spoken to? I/O: the SG_IO ioctl, `/dev/sdX` or `/dev/sgX`.

The kernel's own path to the device is one session with it, so what is registered here holds for everything on this node.
The commands are the tested ones; this way of sending them was not tried on hardware.
"""

import ctypes
import fcntl
import os

from resource_types.physical_disk.cdb import Answer, parse_sense
from resource_types.physical_disk.scsi_link import LinkLost

SG_IO = 0x2285
COMMAND_TIMEOUT_MS = 5000
SENSE_BYTES = 96
_NO_DATA, _TO_DEVICE, _FROM_DEVICE = -1, -2, -3


class Request(ctypes.Structure):
    """`struct sg_io_hdr` of <scsi/sg.h>."""

    _fields_ = (
        ("interface_id", ctypes.c_int),
        ("direction", ctypes.c_int),
        ("cdb_bytes", ctypes.c_ubyte),
        ("sense_bytes_max", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("data_bytes", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("cdb", ctypes.c_void_p),
        ("sense", ctypes.c_void_p),
        ("timeout_ms", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("message_status", ctypes.c_ubyte),
        ("sense_bytes", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("residual", ctypes.c_int),
        ("duration_ms", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )


class SgLink:
    """An open device. Raises LinkLost when it cannot be opened or takes no SCSI commands."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LinkLost(f"{path}: {error.strerror}") from error

    def command(self, cdb: bytes, data: bytes = b"", answer_bytes: int = 0) -> Answer:
        buffer = (
            ctypes.create_string_buffer(data, len(data)) if data else ctypes.create_string_buffer(answer_bytes or 1)
        )
        sense = ctypes.create_string_buffer(SENSE_BYTES)
        words = ctypes.create_string_buffer(cdb, len(cdb))
        request = Request(
            interface_id=ord("S"),
            direction=_TO_DEVICE if data else _FROM_DEVICE if answer_bytes else _NO_DATA,
            cdb_bytes=len(cdb),
            sense_bytes_max=SENSE_BYTES,
            data_bytes=len(data) or answer_bytes,
            data=ctypes.addressof(buffer),
            cdb=ctypes.addressof(words),
            sense=ctypes.addressof(sense),
            timeout_ms=COMMAND_TIMEOUT_MS,
        )
        try:
            fcntl.ioctl(self._descriptor, SG_IO, request)
        except OSError as error:
            raise LinkLost(f"{self._path} takes no SCSI commands: {error.strerror}") from error
        return answer_of(request, sense.raw, buffer.raw[:answer_bytes], self._path)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def answer_of(request: Request, sense: bytes, data: bytes, path: str) -> Answer:
    """What the kernel's answer says. A host status is a failure on the way; the command may have taken effect."""
    if request.host_status:
        raise LinkLost(f"{path}: host status {request.host_status}, the device does not answer")
    found = parse_sense(sense[: request.sense_bytes]) if request.sense_bytes else None
    return Answer(request.status & 0x3E, found, data[: max(len(data) - request.residual, 0)])
