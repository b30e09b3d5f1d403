"""Which texts are definitions, and what is said about those that are not."""

import dataclasses

import pytest

from resource_types.machine_definition import (
    Definition,
    Disk,
    NetworkKind,
    cores,
    fingerprint,
    parse_definition,
    paths_of,
    required_memory_mib,
)
from resource_types.machine_definition.definition import mac_of
from resource_types.virtual_machine.command_line import node_name

WHOLE = """
memory_mib = 512
processors = 2
machine = "q35"
guest_agent = "virtio"
display = true
kernel = "/srv/vmlinuz"
initial_ramdisk = "/srv/initrd"
kernel_arguments = "console=ttyS0"

[[disks]]
id = "system"
path = "/srv/web/system.qcow2"
format = "qcow2"

[[disks]]
id = "data"
volume = "8d0e"
relative_path = "web/data.img"
bus = "scsi"
mode = "shared"

[[networks]]
id = "lan"
kind = "bridge"
bridge = "br0"
mac = "52:54:00:12:34:56"

[[networks]]
id = "out"
"""
DISK = '[[disks]]\nid = "a"\npath = "/a"\n'
NET = '[[networks]]\nid = "a"\n'


def problems(text: str) -> list[str]:
    found = parse_definition(text)
    assert isinstance(found, list), f"it was taken: {found}"
    return [str(each) for each in found]


def two_disks(first: str, second: str) -> str:
    return f"memory_mib = 1\n[[disks]]\nid = '{first}'\npath = '/1'\n[[disks]]\nid = '{second}'\npath = '/2'"


def two_adapters(first: str, second: str) -> str:
    return f"memory_mib = 1\n[[networks]]\nid = 'a'\nmac = '{first}'\n[[networks]]\nid = 'b'\nmac = '{second}'"


def many_disks(count: int, bus: str = "virtio") -> str:
    return "memory_mib = 1\n" + "".join(
        f"[[disks]]\nid = 'd{number}'\npath = '/{number}'\nbus = '{bus}'\n" for number in range(count)
    )


def definition(text: str) -> Definition:
    found = parse_definition(text)
    assert isinstance(found, Definition), found
    return found


def test_whole_definition() -> None:
    read = definition(WHOLE)
    assert (required_memory_mib(read), cores(read)) == (512 + 64, 2)
    assert paths_of(read) == ["/srv/vmlinuz", "/srv/initrd", "/srv/web/system.qcow2"]
    assert [each.id for each in read.disks] == ["system", "data"]
    assert read.networks[0].kind is NetworkKind.BRIDGE


def test_least_definition() -> None:
    assert definition("memory_mib = 1") == Definition(memory_mib=1)


def test_fingerprint_follows_every_value_and_no_formatting() -> None:
    assert fingerprint(definition(WHOLE)) == fingerprint(definition(WHOLE + "\n# a remark\n"))
    assert fingerprint(definition(WHOLE)) != fingerprint(definition(WHOLE.replace("= 512", "= 513")))


def test_fingerprint_is_the_same_wherever_the_volume_is_mounted() -> None:
    read = definition(WHOLE)
    placed = [dataclasses.replace(disk, path=disk.path or "/mnt/n1/web/data.img") for disk in read.disks]
    assert fingerprint(dataclasses.replace(read, disks=tuple(placed))) == fingerprint(read)


def test_derived_address_is_stable_and_of_its_owner() -> None:
    out = definition(WHOLE).networks[1]
    assert mac_of(out, "web") == mac_of(out, "web") != mac_of(out, "db")
    assert mac_of(out, "web").startswith("52:54:00:")


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("", "memory_mib", "is required"),
        ("memory_mib = ", "", "it is no TOML"),
        ("memory_mib = 1\nmemory_mib = 2", "", "it is no TOML"),
        ('memory_mib = "512"', "memory_mib", "expected an integer, not '512'"),
        ("memory_mib = 0", "memory_mib", "at least 1"),
        ("memory = 512", "memory", "did you mean memory_mib?"),
        ("memory_mib = 1\nprocesors = 2", "procesors", "did you mean processors?"),
        ("memory_mib = 1\nprocessors = 1000", "processors", "at most 255"),
        ("memory_mib = 1\nprocessors = true", "processors", "expected an integer"),
        ('memory_mib = 1\nguest_agent = "yes"', "guest_agent", "none of none, virtio, serial"),
        ('memory_mib = 1\nfirmware = "uefi"', "firmware", "bios or an absolute path"),
        ('memory_mib = 1\nmachine = "pc,accel=kvm"', "machine", "without options"),
        ('memory_mib = 1\nprocessor_model = "max,+x"', "processor_model", "without options"),
        ('memory_mib = 1\nkernel_arguments = "quiet"', "kernel", "is required where"),
        ('memory_mib = 1\nserial_log = "log"', "serial_log", "an absolute path"),
        ("memory_mib = 1\ndisks = 3", "disks", "expected tables"),
        ("memory_mib = 1\n[disks]\nid = 'a'", "disks", "expected tables"),
        ("memory_mib = 1\n[[disk]]\nid = 'a'", "disk", "did you mean [[disks]]?"),
        ("memory_mib = 1\n[[disks]]\npath = '/a'", "disks[0].id", "is required"),
        ("memory_mib = 1\n[[disks]]\nid = 'a'", "disks[0].path", "either path, or relative_path"),
        ("memory_mib = 1\n[[disks]]\nid = 'a'\npath = 'a.img'", "disks[0].path", "an absolute path, not 'a.img'"),
        ("memory_mib = 1\n[[disks]]\nid = 'a b'\npath = '/a'", "disks[0].id", "expected a letter"),
        ("memory_mib = 1\n[[disks]]\nid = 'a'\nrelative_path = 'a'", "disks[0].volume", "is required"),
        (
            "memory_mib = 1\n[[disks]]\nid = 'a'\nvolume = 'v'\nrelative_path = '../a'",
            "disks[0].relative_path",
            "within the volume",
        ),
        (f"memory_mib = 1\n{DISK}resource = 'd'", "disks[0].path", "or resource must be given"),
        ("memory_mib = 1\n[[disks]]\nid = 'a'\nresource = 'd'\nformat = 'qcow2'", "disks[0].resource", "is raw"),
        (f"memory_mib = 1\n{DISK}format = 'qcow'", "disks[0].format", "did you mean qcow2?"),
        (f"memory_mib = 1\n{DISK}fromat = 'raw'", "disks[0].fromat", "did you mean format?"),
        (f"memory_mib = 1\n{DISK}bus = 'sata'", "disks[0].bus", "none of virtio, ide, scsi"),
        (f"memory_mib = 1\n{DISK}mode = 'shared'\nformat = 'qcow2'", "disks[0].format", "must be raw"),
        (f"memory_mib = 1\n{DISK}mode = 'shared'\ncache = 'writeback'", "disks[0].cache", "page cache"),
        (f"memory_mib = 1\n{DISK}{DISK}", "disks.id", "'a' is there twice"),
        (f"memory_mib = 1\n{DISK}[[disks]]\nid = 'b'\npath = '/a'", "disks.path", "/a is there twice"),
        (f"memory_mib = 1\n{NET}kind = 'bridge'", "networks[0].bridge", "the name of a bridge"),
        (f"memory_mib = 1\n{NET}bridge = 'br0'", "networks[0].bridge", "has no meaning"),
        (f"memory_mib = 1\n{NET}mac = '52:54'", "networks[0].mac", "six bytes"),
        (f"memory_mib = 1\n{NET}mac = '01:54:00:00:00:01'", "networks[0].mac", "a group address"),
        (f"memory_mib = 1\n{NET}allow_address_change = 'no'", "networks[0].allow_address_change", "true or false"),
        ("memory_mib = 1\n" + "a" * (256 << 10), "", "at most 262144 characters"),
        (two_disks("a" * 20 + "1", "a" * 20 + "2"), "disks[1].id", f"begins like {'a' * 20}1: the guest sees 20"),
        (f"memory_mib = 1\n{NET}kind = 'bridge'\nbridge = 'br0123456789abcd'", "networks[0].bridge", "15 characters"),
        (f"memory_mib = 1\nkernel = '/k'\nkernel_arguments = '{'x' * 2048}'", "kernel_arguments", "at most 2047"),
        (two_adapters("52:54:00:00:00:01", "52:54:00:00:00:01"), "networks[1].mac", "is there twice"),
        (many_disks(31), "disks", "take 31 of 30 places"),
        (f"{many_disks(30)}{NET}", "disks", "take 31 of 30 places"),
    ],
)
def test_what_is_refused(text: str, path: str, words: str) -> None:
    found = parse_definition(text)
    assert isinstance(found, list), f"it was taken: {found}"
    assert any(each.path == path and words in each.message for each in found), problems(text)


def test_everything_wrong_is_told_at_once() -> None:
    assert len(problems("memry = 1\nprocessors = 0\n[[disks]]\nid = 3\n[[networks]]\nkind = 'x'")) == 6


def test_disk_defaults() -> None:
    assert definition(f"memory_mib = 1\n{DISK}").disks == (Disk("a", "/a"),)


def test_many_disks_share_one_place() -> None:
    assert len(definition(many_disks(64, "scsi")).disks) == 64
    assert len(definition(many_disks(30)).disks) == 30


@pytest.mark.parametrize(("first", "second"), [("a" * 31, "a" * 30 + "b"), ("system", "systen")])
def test_no_two_disks_have_one_name_for_qemu(first: str, second: str) -> None:
    """Also those that only a definition of an older version has: it was taken then."""
    names = [node_name(Disk(each, "/a")) for each in (first, second)]
    assert names[0] != names[1]
    assert all(len(each) <= 31 for each in names)
