"""What does an image rest on? I/O: reads the first bytes of image files; QEMU is not needed.

A qcow2 image may name a backing file, which may name another. Every one of them must be there, or the disk has holes.
"""

import os
import struct
from dataclasses import dataclass

from resource_types.machine_definition.definition import ImageFormat
from resource_types.plain_files import open_plain

CHAIN_LENGTH_MAX = 64
_QCOW2_MAGIC = b"QFI\xfb"
_HEADER_SIZE = 104
_CORRUPT, _DATA_FILE = 1 << 1, 1 << 2
_BACKING_FORMAT_EXTENSION = 0xE2792ACA
_NAME_SIZE_MAX = 1023


class ImageTrouble(Exception):
    """An image cannot be used. The message names its path."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a chain, as it says itself."""

    path: str
    format: ImageFormat
    backing_path: str = ""
    backing_format: str = ""


def chain_of(path: str, format_: ImageFormat) -> list[Image]:
    """The image and everything under it, down to the root. Raises ImageTrouble."""
    chain = [_image(path, format_)]
    while chain[-1].backing_path:
        above = chain[-1]
        if any(os.path.realpath(above.backing_path) == os.path.realpath(each.path) for each in chain):
            raise ImageTrouble(f"{above.path} rests on {above.backing_path}, which rests on itself")
        if len(chain) >= CHAIN_LENGTH_MAX:
            raise ImageTrouble(f"{path} rests on more than {CHAIN_LENGTH_MAX} images; merge some of them")
        backing = ImageFormat.QCOW2 if above.backing_format == "qcow2" else ImageFormat.RAW
        try:
            chain.append(_image(above.backing_path, backing))
        except ImageTrouble as trouble:
            raise ImageTrouble(f"{trouble}; {above.path} rests on it") from None
    return chain


def _image(path: str, format_: ImageFormat) -> Image:
    try:
        with open(open_plain(path, or_device=True), "rb") as file:
            head = file.read(4096)
            is_qcow2 = head[:4] == _QCOW2_MAGIC
            if format_ is ImageFormat.RAW and not is_qcow2:
                return Image(path, format_)
            if format_ is ImageFormat.RAW:
                raise ImageTrouble(f"{path} is a qcow2 image but was named raw")
            if not is_qcow2 or len(head) < _HEADER_SIZE:
                raise ImageTrouble(f"{path} is no qcow2 image")
            name_offset, name_size = struct.unpack_from(">QI", head, 8)
            if name_size > _NAME_SIZE_MAX:
                raise ImageTrouble(f"{path} names a backing file of {name_size} characters; it is damaged")
            file.seek(name_offset)
            name = file.read(name_size).decode(errors="surrogateescape") if name_offset else ""
    except OSError as error:
        raise ImageTrouble(f"{path}: {error.strerror}") from error
    _check_features(path, head)
    return Image(path, format_, _backing_path(path, name), _backing_format(head) if name else "")


def _check_features(path: str, head: bytes) -> None:
    if struct.unpack_from(">I", head, 4)[0] < 3:
        return
    features = struct.unpack_from(">Q", head, 72)[0]
    if features & _CORRUPT:
        raise ImageTrouble(f"{path} is marked as damaged; repair it with qemu-img check -r")
    if features & _DATA_FILE:
        raise ImageTrouble(f"{path} keeps its data in another file, which is not supported; convert it with qemu-img")


def _backing_path(path: str, name: str) -> str:
    """Names without a leading / count from the folder of the image that says them."""
    if not name:
        return ""
    if name.startswith("json:") or ":" in name.split("/")[0]:
        raise ImageTrouble(f"{path} rests on {name}, which is no file; only files can be proven")
    return os.path.join(os.path.dirname(path), name)


def _backing_format(head: bytes) -> str:
    """From the header's extensions. An image that does not say it lets QEMU guess, which a guest could exploit: raw then."""
    offset = struct.unpack_from(">I", head, 100)[0] if struct.unpack_from(">I", head, 4)[0] >= 3 else 72
    while offset + 8 <= len(head):
        kind, size = struct.unpack_from(">II", head, offset)
        if kind == 0:
            break
        if kind == _BACKING_FORMAT_EXTENSION:
            return head[offset + 8 : offset + 8 + size].decode(errors="replace")
        offset += 8 + (size + 7) // 8 * 8
    return ""
