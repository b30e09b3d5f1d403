"""How does what QEMU draws become a picture that everybody can open? Pure: PPM in, PNG out."""

import struct
import zlib

_PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
_RGB_8_BIT = (8, 2, 0, 0, 0)


def png_of(ppm: bytes) -> bytes:
    """PNG of a binary PPM (P6) with 255 shades. Raises ValueError for anything else."""
    width, height, pixels = _ppm(ppm)
    row_size = 3 * width
    # Each row begins with the number of its filter; 0 is none.
    rows = b"".join(b"\0" + pixels[at : at + row_size] for at in range(0, height * row_size, row_size))
    header = struct.pack(">II5B", width, height, *_RGB_8_BIT)
    return _PNG_BEGIN + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")


def _ppm(ppm: bytes) -> tuple[int, int, bytes]:
    words = ppm.split(maxsplit=3)
    if len(words) != 4 or words[0] != b"P6":
        raise ValueError("it is no binary PPM")
    width, height = int(words[1]), int(words[2])
    shades, _, pixels = ppm[ppm.index(words[2], len(words[0]) + len(words[1]) + 1) + len(words[2]) :].partition(b"\n")
    if not shades.strip():
        shades, _, pixels = pixels.partition(b"\n")
    if shades.strip() != b"255" or len(pixels) < 3 * width * height:
        raise ValueError("it has not 255 shades, or is cut short")
    return width, height, pixels[: 3 * width * height]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
