"""Commands as the standards draw them, byte for byte; answers that are short or lie are refused."""

import struct

import pytest

from resource_types.physical_disk import cdb
from resource_types.physical_disk.cdb import Malformed, Out, Sense
from resource_types.physical_disk.scsi_link import LinkLost
from resource_types.physical_disk.sg_link import Request, SgLink, answer_of


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("test unit ready", cdb.test_unit_ready(), "000000000000"),
        ("inquiry page 83", cdb.inquiry_page(0x83), "12018300ff00"),
        ("read capacity 16", cdb.read_capacity(), "9e10" + "00" * 8 + "00000020" + "0000"),
        ("read 16", cdb.read_blocks(0x1_0000_0001, 8), "8800000000010000000100000008" + "0000"),
        ("write 16", cdb.write_blocks(2, 1), "8a00000000000000000200000001" + "0000"),
        ("synchronize cache 10", cdb.synchronize_cache(), "35" + "00" * 9),
        ("read keys", cdb.reserve_in(cdb.READ_KEYS), "5e00000000000020" + "0000"),
        ("read reservation", cdb.reserve_in(cdb.READ_RESERVATION), "5e01000000000020" + "0000"),
    ],
)
def test_words(name: str, words: bytes, expected: str) -> None:
    assert words.hex() == expected, name


@pytest.mark.parametrize(
    ("action", "words", "kind"),
    [
        (Out.REGISTER, "5f00", 0),
        (Out.RESERVE, "5f01", 5),
        (Out.RELEASE, "5f02", 5),
        (Out.CLEAR, "5f03", 0),
        (Out.PREEMPT, "5f04", 5),
        (Out.PREEMPT_AND_ABORT, "5f05", 5),
        (Out.REGISTER_AND_IGNORE, "5f06", 0),
    ],
)
def test_reserve_out(action: Out, words: str, kind: int) -> None:
    command, data = cdb.reserve_out(action, key=1, other=2, survives_power_loss=True)
    assert command.hex() == words + f"{kind:02x}" + "0000" + "00000018" + "00"
    assert data.hex() == f"{1:016x}{2:016x}" + "00000000" + "01" + "000000"


def test_unmap() -> None:
    command, data = cdb.unmap(16, 8)
    assert command.hex() == "42000000000000001800"
    assert data.hex() == "0016001000000000" + f"{16:016x}{8:08x}" + "00000000"


def test_answers() -> None:
    assert cdb.parse_capacity(struct.pack(">QI", 99, 4096) + b"\0\0\x80" + bytes(17)) == cdb.Capacity(4096, 100, True)
    assert cdb.parse_keys(struct.pack(">IIQQ", 7, 16, 1, 2)) == (1, 2)
    assert cdb.parse_reservation(bytes(8)) is None
    held = struct.pack(">IIQIBBH", 7, 16, 0xAB, 0, 0, 5, 0)
    assert cdb.parse_reservation(held) == 0xAB


@pytest.mark.parametrize(
    ("name", "parse", "data"),
    [
        ("capacity too short", cdb.parse_capacity, bytes(8)),
        ("blocks of zero bytes", cdb.parse_capacity, bytes(32)),
        ("blocks of an odd size", cdb.parse_capacity, struct.pack(">QI", 9, 520) + bytes(20)),
        ("no key list at all", cdb.parse_keys, b""),
        ("more keys than were sent", cdb.parse_keys, struct.pack(">IIQ", 1, 1600, 1)),
        ("reservation too short", cdb.parse_reservation, struct.pack(">IIQ", 1, 8, 1)),
        (
            "reservation of a type that locks us out",
            cdb.parse_reservation,
            struct.pack(">IIQIBBH", 1, 16, 1, 0, 0, 3, 0),
        ),
    ],
)
def test_answers_that_are_refused(name: str, parse: object, data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)  # type: ignore[operator]


def test_designators() -> None:
    def one(code_set: int, kind: int, body: bytes) -> bytes:
        return bytes((code_set, kind, 0, len(body))) + body

    body = one(2, 1, b"IET  0001 ") + one(1, 3, b"\x60\x01") + one(1, 0x13, b"\xff") + one(1, 2, b"\x02")
    page = bytes((0, 0x83)) + len(body).to_bytes(2, "big") + body
    assert cdb.parse_designators(page) == ["naa.6001", "eui.02", "t10.IET  0001"]
    for cut in range(len(page)):
        cdb.parse_designators(page[:cut])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes.fromhex("7000060000000000000000002a0300"), Sense(6, 0x2A03)),
        (bytes.fromhex("72062a05"), Sense(6, 0x2A05)),
        (b"", None),
        (b"\x70", None),
        (b"\x00" * 20, None),
    ],
)
def test_sense(data: bytes, expected: Sense | None) -> None:
    assert cdb.parse_sense(data) == expected


# ---- the ioctl for local devices: what can be seen without one ----


def test_answer_of_the_kernel() -> None:
    sense = bytes.fromhex("7000060000000000000000002a030000")
    answer = answer_of(Request(status=2, sense_bytes=len(sense)), sense, b"", "/dev/sdx")
    assert (answer.status, answer.sense) == (2, Sense(6, 0x2A03))
    assert answer_of(Request(residual=3), b"", b"12345", "/dev/sdx").data == b"12"
    with pytest.raises(LinkLost, match="host status 7"):
        answer_of(Request(host_status=7), b"", b"", "/dev/sdx")


def test_layout_of_the_request() -> None:
    """As <scsi/sg.h> has it on 64 bits."""
    import ctypes

    assert ctypes.sizeof(Request) == 88
    assert Request.cdb.offset == 24
    assert Request.status.offset == 64


def test_what_is_no_scsi_device() -> None:
    with pytest.raises(LinkLost, match="No such file"):
        SgLink("/dev/no-such-disk")
    with pytest.raises(LinkLost, match="takes no SCSI commands"):
        SgLink("/dev/null").command(cdb.test_unit_ready())
