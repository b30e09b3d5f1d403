"""How are messages cut out of a byte stream? Pure.

A frame is a 4-byte big-endian length and that many bytes. The length is checked before anything is kept, so a stream that
is not ours costs at most one header.
"""

import struct

FRAME_SIZE_MAX = 4 << 20
_HEADER = struct.Struct(">I")


class FrameTooLarge(Exception):
    """The stream announced a frame over the bound: it is not ours, or damaged; close it."""


def framed(body: bytes) -> bytes:
    if len(body) > FRAME_SIZE_MAX:
        raise FrameTooLarge(f"{len(body)} bytes, at most {FRAME_SIZE_MAX} fit into a frame")
    return _HEADER.pack(len(body)) + body


class FrameBuffer:
    """Collects what a stream delivers and gives back whole frames."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now. Raises `FrameTooLarge`."""
        self._held += data
        bodies = []
        at = 0
        while len(self._held) - at >= _HEADER.size:
            (size,) = _HEADER.unpack_from(self._held, at)
            if size > FRAME_SIZE_MAX:
                raise FrameTooLarge(f"a frame of {size} bytes was announced, at most {FRAME_SIZE_MAX} are allowed")
            end = at + _HEADER.size + size
            if len(self._held) < end:
                break
            bodies.append(bytes(self._held[at + _HEADER.size : end]))
            at = end
        if at:
            del self._held[:at]
        return bodies
