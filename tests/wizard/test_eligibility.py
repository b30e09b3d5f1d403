"""Which machines may be protected, and what is said of the others?"""

import msgspec
import pytest
from machines import DISK, PATH, definition, file, hosts, judged, local, missing, on_one_machine, told

from clusterd.wizard import (
    ClusterDisk,
    Eligibility,
    FileFacts,
    HostFacts,
    NodeDefinitions,
    Surroundings,
    Wish,
    eligible,
    with_disks,
)

SHOP_DISK = ClusterDisk("shop-disk", "shop", mount_point="/srv/machines")
RAW_DISK = ClusterDisk("raw-disk", "shop", place="/shared/raw.img")
SERVED = definition(file(PATH, "definition"), FileFacts("disk system", "", served_by="raw-disk"))


def test_a_machine_on_shared_storage_is_eligible_everywhere() -> None:
    found = judged()
    assert (found.refusals, found.warnings, found.owners) == ((), (), ("n1", "n2", "n3"))
    assert (found.memory_mib, found.cores, found.group, found.disks) == (512, 2, "", ())


def with_till(mine: FileFacts, its: FileFacts) -> Eligibility:
    """Two machines that name one image."""
    both = (definition(file(PATH, "definition"), mine), definition(its, path="/srv/machines/till.toml"))
    around = Surroundings(hosts()[:1], protected={"/srv/machines/till.toml": "till-configuration"})
    return eligible(PATH, {"n1": NodeDefinitions("m", both)}, around, Wish())


def test_two_machines_may_read_one_image() -> None:
    reader = msgspec.structs.replace(file(), is_read_only=True)
    assert with_till(reader, reader).refusals == ()


REFUSED: list[tuple[str, Eligibility, str]] = [
    ("no node has it", judged(told(missing())), f"no node has the definition {PATH}"),
    (
        "nobody who answered has it",
        judged(told(missing()), around=Surroundings(hosts(n3=HostFacts("n3", silence="n1 does not hear it")))),
        f"no node has the definition {PATH}; not known of n3 (n1 does not hear it)",
    ),
    ("it is not valid", judged(told(definition(problems=("memory_mib: is required",)))), "memory_mib: is required"),
    (
        "not valid on one node",
        judged(told(n2=definition(problems=("disks: too many",)))),
        f"{PATH} is not valid on n2: disks: too many",
    ),
    (
        "it is protected already",
        judged(around=Surroundings(hosts(), protected={PATH: "shop-configuration"})),
        "resource shop-configuration protects it already",
    ),
    ("different on one node", judged(told(n3=definition(fingerprint="x"))), "says different things"),
    ("one node lacks it", judged(told(n3=missing())), f"definition {PATH} is not to be had on n3"),
    (
        "one node lacks a disk",
        judged(told(n3=definition(file(PATH, "definition"), file(trouble="no such file")))),
        f"disk system {DISK} is not to be had on n3: no such file",
    ),
    (
        "a local disk of the same name everywhere",
        judged(told(definition(file(PATH, "definition"), local()))),
        f"disk system {DISK} is on local storage",
    ),
    (
        "another share on one node",
        judged(told(n2=definition(file(PATH, "definition"), file(source="other:/x")))),
        f"disk system {DISK} is on local storage",
    ),
    (
        "another volume than the definition names",
        judged(told(definition(file(PATH, "definition"), file(wanted_volume="vol-1", volume="vol-2")))),
        "is on volume vol-2 on n1; the definition names volume vol-1",
    ),
    ("it runs", judged(told(n1=definition(file(PATH, "definition"), file(is_in_use=True)))), "--allow-running"),
    ("no bridge on a node", judged(told(n2=definition(missing_bridges=("br0",)))), "there is no bridge br0 on n2"),
    ("no QEMU anywhere", judged(around=Surroundings(tuple(HostFacts(n) for n in ("n1", "n2")))), "no node can run it"),
    (
        "no QEMU on a node that was asked for",
        judged(around=Surroundings(hosts(n2=HostFacts("n2"))), wish=Wish(("n1", "n2"))),
        "n2 cannot own it: it has no QEMU",
    ),
    (
        "no room anywhere",
        judged(around=Surroundings(hosts(**{n: HostFacts(n, "7.2", memory_free_mib=9) for n in ("n1", "n2", "n3")}))),
        "no possible owner has room",
    ),
    (
        "a child on a cluster disk with a local parent",
        judged(
            told(definition(file(PATH, "definition"), file(), file("/base/debian.qcow2", rests_under=DISK))),
            Surroundings(hosts(), (SHOP_DISK,)),
        ),
        f"{DISK} is on disk shop-disk and rests on /base/debian.qcow2",
    ),
    (
        "what would fail at the start on one node",
        judged(told(n2=definition(lacks=("serial_log: there is no folder /var/log/machines",)))),
        "it cannot start on n2: serial_log: there is no folder /var/log/machines",
    ),
    (
        "an image that another machine only reads",
        with_till(file(), msgspec.structs.replace(file(), is_read_only=True)),
        f"disk {DISK} belongs to till-configuration as well",
    ),
    (
        "an image to read that another machine writes to",
        with_till(msgspec.structs.replace(file(), is_read_only=True), file()),
        f"disk {DISK} belongs to till-configuration as well",
    ),
    ("an unknown node", judged(wish=Wish(("n1", "n9"))), "there is no node n9"),
    ("an unknown disk", judged(wish=Wish(disks=("nix",))), "there is no disk nix"),
    (
        "an image of another machine",
        eligible(
            PATH,
            {"n1": NodeDefinitions("m", (definition(), definition(file(), path="/srv/machines/till.toml")))},
            Surroundings(hosts()[:1], protected={"/srv/machines/till.toml": "till-configuration"}),
            Wish(),
        ),
        f"disk {DISK} belongs to till-configuration as well",
    ),
    (
        "disks of two groups",
        judged(
            told(definition(file(PATH, "definition"), file(), file("/data/big.img", "disk data"))),
            Surroundings(hosts(), (SHOP_DISK, ClusterDisk("data", "other", "/data"))),
        ),
        "disks of several groups",
    ),
    (
        "served by a disk that there is not",
        judged(told(SERVED)),
        "disk system is served by disk raw-disk, and there is none of that name: --disk raw-disk:image=",
    ),
    (
        "served by a disk that is mounted",
        judged(told(SERVED), Surroundings(hosts(), (ClusterDisk("raw-disk", "shop", "/mnt"),))),
        "disk system is served by disk raw-disk, which is mounted on /mnt",
    ),
    (
        "served by the disk of another machine",
        eligible(
            PATH,
            {"n1": NodeDefinitions("m", (SERVED, msgspec.structs.replace(SERVED, path="/till.toml")))},
            Surroundings(hosts()[:1], (RAW_DISK,), protected={"/till.toml": "till-configuration"}),
            Wish(),
        ),
        "disk raw-disk belongs to till-configuration as well",
    ),
    (
        "the image of a cluster disk, past its reservation",
        judged(told(definition(file(PATH, "definition"), file("/shared/raw.img"))), Surroundings(hosts(), (RAW_DISK,))),
        'disk system /shared/raw.img is disk raw-disk itself: name it by resource = "raw-disk"',
    ),
    (
        "a mount inside a disk of another group",
        judged(
            told(definition(file(PATH, "definition"))),
            Surroundings(hosts(), (SHOP_DISK, ClusterDisk("outer", "other", "/srv"))),
        ),
        "disk shop-disk (group shop) is mounted inside disk outer, which is in group other",
    ),
]


@pytest.mark.parametrize(("says", "found", "expected"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(says: str, found: Eligibility, expected: str) -> None:
    assert not found.is_eligible
    assert any(expected in text for text in found.refusals), found.refusals


WARNED: list[tuple[str, Eligibility, str]] = [
    ("nodes on one machine", judged(on_one_machine(told(definition(local(PATH), local())))), "they are on one machine"),
    (
        "no QEMU on one node",
        judged(around=Surroundings(hosts(n2=HostFacts("n2")))),
        "n2 is no possible owner: it has no",
    ),
    (
        "a silent node",
        judged(around=Surroundings(hosts(n3=HostFacts("n3", silence="n1 does not hear it")))),
        "n3 is no possible owner: n1 does not hear it",
    ),
    ("one possible owner", judged(wish=Wish(("n1",))), "only n1 can run it"),
    ("other QEMU", judged(around=Surroundings(hosts(n2=HostFacts("n2", "8.0", "Intel")))), "different QEMU versions"),
    ("other maker", judged(around=Surroundings(hosts(n2=HostFacts("n2", "7.2", "AMD")))), "different makers"),
    (
        "other features",
        judged(around=Surroundings(hosts(n2=HostFacts("n2", "7.2", "Intel", frozenset({"nx", "avx"}))))),
        "processor features: avx",
    ),
    (
        "it runs and may",
        judged(told(definition(file(PATH, "definition"), file(is_in_use=True))), wish=Wish(allows_running=True)),
        "the group stays offline",
    ),
    (
        "a disk that is mounted does not go live",
        judged(around=Surroundings(hosts(), (SHOP_DISK,))),
        "it moves with an interruption (quick), not live: what is mounted can be on one node only (disk shop-disk)",
    ),
    (
        "no room on one node",
        judged(around=Surroundings(hosts(n2=HostFacts("n2", "7.2", memory_free_mib=9)))),
        "not every possible owner has room: n2 has 9 MiB left",
    ),
]


@pytest.mark.parametrize(("says", "found", "expected"), WARNED, ids=[row[0] for row in WARNED])
def test_warned(says: str, found: Eligibility, expected: str) -> None:
    assert found.is_eligible, found.refusals
    assert any(expected in text for text in found.warnings), found.warnings


def test_a_cluster_disk_is_reached_by_going_along() -> None:
    """Only its owner has it mounted; for the others the files are not there, and need not be."""
    seen = definition(local(PATH, role="definition", volume=""), local())
    found = judged(told(missing(), n1=seen), Surroundings(hosts(), (SHOP_DISK,)))
    assert found.refusals == ()
    assert ([disk.resource for disk in found.disks], found.group) == (["shop-disk"], "shop")


def test_a_disk_by_the_name_of_its_volume() -> None:
    disk = ClusterDisk("shop-disk", "shop", mount_point="/mnt/{node}", volume="vol-1")
    seen = definition(file(PATH, "definition"), local("/mnt/n1/a.img", wanted_volume="vol-1", volume="vol-1"))
    other = definition(
        file(PATH, "definition"), file("a.img", trouble="volume vol-1 is not mounted here", wanted_volume="vol-1")
    )
    found = judged(told(other, n1=seen), Surroundings(hosts(), (disk,)))
    assert found.refusals == ()
    assert [each.resource for each in found.disks] == ["shop-disk"]


def test_a_mount_inside_a_disk_brings_that_disk_along() -> None:
    outer = ClusterDisk("outer", "shop", "/srv")
    found = judged(around=Surroundings(hosts(), (SHOP_DISK, outer)))
    assert sorted(disk.resource for disk in found.disks) == ["outer", "shop-disk"]


def test_a_disk_that_is_mounted_nowhere_hides_what_is_on_it() -> None:
    unseen = definition(file("/etc/m/shop.toml", "definition"), file(trouble="no such file"))
    found = judged(told(unseen), Surroundings(hosts(), (SHOP_DISK,)))
    assert found.refusals == ()
    assert any("no node has that mounted now" in text for text in found.warnings)
    online = ClusterDisk("shop-disk", "shop", "/srv/machines", online_on="n2")
    found = judged(told(unseen), Surroundings(hosts(), (online,)))
    where = f"disk system {DISK} is not to be had on n2, where disk shop-disk is online: no such file"
    assert found.refusals == (where,), "who has it mounted knows"
    found = judged(told(missing()), Surroundings(hosts(), (online,)))
    assert found.refusals == (f"no node has the definition {PATH}",)
    found = judged(told(missing()), Surroundings(hosts(), (SHOP_DISK,)))
    assert found.refusals == (f"no node has the definition {PATH}: it is on disk shop-disk, bring that online first",)


def test_of_a_protected_machine_it_is_no_news_that_it_runs() -> None:
    running = told(n1=definition(file(PATH, "definition"), file(is_in_use=True)))
    found = judged(running, Surroundings(hosts(), protected={PATH: "shop-configuration"}))
    assert found.refusals == ("resource shop-configuration protects it already",)


def test_a_folder_whose_name_begins_alike_is_not_on_the_disk() -> None:
    disk = ClusterDisk("short", "other", "/srv/mach")
    assert judged(around=Surroundings(hosts(), (disk,))).disks == ()


def test_a_base_image_may_be_shared_and_so_may_a_disk_that_says_so() -> None:
    base = file("/base.img", rests_under=DISK)
    quorum = file("/quorum.img", "disk quorum", is_shared=True)
    mine = definition(file(PATH, "definition"), file(), base, quorum)
    other = definition(file("/o.img"), file("/base.img", rests_under="/o.img"), quorum, path="/o.toml")
    answers = {"n1": NodeDefinitions("m", (mine, other))}
    around = Surroundings(hosts()[:1], protected={"/o.toml": "other"})
    assert eligible(PATH, answers, around, Wish()).refusals == ()


def test_names_are_taken_in_any_letters() -> None:
    found = judged(around=Surroundings(hosts(), (SHOP_DISK,)), wish=Wish(("N1", "n2"), ("SHOP-disk",)))
    assert (found.refusals, found.owners) == ((), ("n1", "n2"))


def test_a_single_possible_owner_needs_no_shared_storage() -> None:
    found = judged(told(definition(local(PATH, role="definition"), local())), wish=Wish(("n2",)))
    assert found.refusals == ()


@pytest.mark.parametrize("group", ["shop", ""], ids=["that is there", "that is created with it"])
def test_a_disk_that_the_definition_names_comes_along(group: str) -> None:
    disk = ClusterDisk("Raw-Disk", group, place="/shared/raw.img")
    found = judged(told(SERVED), Surroundings(hosts(), (disk,)))
    assert (found.refusals, found.warnings) == ((), ())
    assert ([each.resource for each in found.disks], found.group) == (["Raw-Disk"], group)


def test_a_disk_that_an_owner_does_not_reach() -> None:
    found = with_disks(judged(), {"n1": {"raw": ""}, "n2": {"raw": "no route"}, "n3": {"raw": "no route"}})
    assert found.refusals == ("disk raw cannot be used from n2, n3: no route",)
    assert with_disks(judged(), {"n1": {"raw": ""}}).refusals == ()


def test_where_no_node_can_run_it_each_one_says_why_and_no_file_is_missed() -> None:
    found = judged(around=Surroundings(tuple(HostFacts(name) for name in ("n1", "n2"))))
    each = tuple(f"{name} is no possible owner: it has no QEMU" for name in ("n1", "n2"))
    assert found.refusals == (*each, "no node can run it")
