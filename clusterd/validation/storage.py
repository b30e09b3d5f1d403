"""Does storage keep what it is given, and only from its owner? Pure."""

from collections import Counter
from typing import assert_never

from clusterd.validation.facts import DiskSeen, Filesystem
from clusterd.validation.situation import Disk, DiskTrial, Situation, TrialOutcome
from clusterd.validation.verdicts import Category, Finding, Test, failed, passed, warned

FREE_LEAST_MIB = 200
FREE_WARNING_MIB = 1024
READ_WARNING_MS = 1000
_VOLATILE = frozenset({"tmpfs", "ramfs"})
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.glusterfs", "fuse.sshfs"})


def _sync_latency(situation: Situation) -> list[Finding]:
    """A node acknowledges after `fdatasync`; what takes longer than a heartbeat delays every commit."""
    delay_ms = situation.cluster.delay_ms
    found = []
    for node, machine in situation.machines():
        data = machine.data
        if data.trouble or data.sync_median_us is None or data.sync_worst_us is None:
            advice = f"see {data.path}: permissions, free space, errors in the kernel's log"
            found.append(failed(node, data.trouble or "it could not be measured", advice))
            continue
        saw = f"{data.sync_median_us / 1000:.1f} ms, worst {data.sync_worst_us / 1000:.1f} ms ({data.path})"
        if data.sync_median_us / 1000 >= situation.cluster.silence_max_ms / 4:
            found.append(failed(node, saw, "elections cannot keep their times: put the data folder on another disk"))
        elif data.sync_worst_us / 1000 >= delay_ms:
            found.append(
                warned(node, saw, f"that is longer than a heartbeat ({delay_ms} ms): look what else writes there")
            )
        else:
            found.append(passed(node, saw))
    return found


def _free_space(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        for name, place in (("data", machine.data), ("run", machine.run)):
            found.append(_space_of(node, name, place))
    return found


def _space_of(node: str, name: str, place: Filesystem) -> Finding:
    saw = f"{name} folder {place.path}: {place.free_mib} MiB free of {place.size_mib}"
    if name == "run" and place.free_mib >= 16:
        return passed(node, saw)
    if place.free_mib < FREE_LEAST_MIB:
        return failed(node, saw, "a full disk stops the node: free space")
    if place.free_mib < FREE_WARNING_MIB:
        return warned(node, saw, "logs and snapshots need more: free space")
    return passed(node, saw)


def _file_system(situation: Situation) -> list[Finding]:
    found = []
    for node, machine in situation.machines():
        kind = machine.data.kind
        saw = f"{machine.data.path} is on {kind or 'an unknown file system'}"
        if kind in _VOLATILE:
            advice = "a reboot forgets the vote that this node gave: move the data folder to a disk"
            found.append(failed(node, saw, advice))
        elif kind in _NETWORK:
            advice = "a node must not wait for a network for its own log: use a local disk"
            found.append(warned(node, saw, advice))
        else:
            found.append(passed(node, saw))
    return found


def _reservations(situation: Situation) -> list[Finding]:
    return [_reservation(each) for each in situation.cluster.disks]


def _reservation(disk: Disk) -> Finding:
    about = f"{disk.resource} (group {disk.group})"
    if disk.state != "online":
        return Finding(passed("", "").verdict, about, f"it is {disk.state}, so nothing holds it")
    if disk.trouble:
        return warned(about, disk.trouble, f"see clusterctl explain resource {disk.resource}")
    if not disk.is_reserved:
        return failed(
            about, "it is online without a reservation of its owner's", "look who took it, and take it offline"
        )
    return passed(about, f"reserved by {disk.holder}" if disk.holder else "reserved by its owner")


def _reachable(situation: Situation) -> list[Finding]:
    """A takeover needs the way to the disk at the worst moment: it is tried now, beside whoever uses it."""
    return [each for disk in situation.cluster.disks for each in _reached(disk)]


def _reached(disk: Disk) -> list[Finding]:
    seen = {node: disk.seen[node] for node in disk.possible_owners if node in disk.seen}
    names = Counter(_identity(each) for each in seen.values() if not each.trouble)
    usual = names.most_common(1)[0][0] if names else ""
    found = []
    for node, each in seen.items():
        about = f"{disk.resource} from {node}"
        if each.trouble:
            advice = "a takeover there would fail: mend the way to it, or take the node out of the possible owners"
            found.append(failed(about, each.trouble, advice))
        elif _identity(each) != usual:
            saw = f"{_identity(each)}, where most nodes find {usual}"
            found.append(failed(about, saw, "it is another disk there: correct the path, or what is connected to it"))
        else:
            found.append(passed(about, usual))
    return found


def _identity(seen: DiskSeen) -> str:
    """What must be the same on every node. An image has no name of its own: its claim tells it from others."""
    size = f"{seen.size_bytes // (1 << 20)} MiB"
    if seen.ids:
        return f"{seen.ids[0]}, {size}"
    return f"{size}, claimed by {seen.holder}" if seen.holder else f"{size}, claimed by nobody"


def _read_latency(situation: Situation) -> list[Finding]:
    found = []
    for disk in situation.cluster.disks:
        for node, each in disk.seen.items():
            if each.read_us is None or each.trouble:
                continue
            about, saw = f"{disk.resource} from {node}", f"{each.read_us / 1000:.1f} ms for one read"
            if each.read_us >= READ_WARNING_MS * 1000:
                found.append(warned(about, saw, "guests stand still meanwhile: look at the storage and the way to it"))
            else:
                found.append(passed(about, saw))
    return found


def _guarantees(situation: Situation) -> list[Finding]:
    found = []
    for disk in situation.cluster.disks:
        about = f"{disk.resource} (group {disk.group})"
        if disk.guarantee == "storage":
            found.append(passed(about, "the storage refuses the writes of an owner that was preempted"))
        elif disk.guarantee:
            advice = (
                "only a SCSI disk with persistent reservations or a fence agent covers a machine that froze as a whole"
            )
            saw = f"only its own sessions keep to the reservation ({disk.guarantee})"
            found.append(warned(about, saw, advice))
    return found


def _arbitration(situation: Situation) -> list[Finding]:
    """A takeover needs more than the way to the disk: claims that outlast their session and refuse whoever lost."""
    return [each for disk in situation.cluster.disks if disk.trial for each in _tried(disk, disk.trial)]


def _tried(disk: Disk, trial: DiskTrial) -> list[Finding]:
    found = [passed(f"{disk.resource}: {pair}", saw) for pair, saw in trial.steps]
    match trial.outcome:
        case TrialOutcome.PASSED:
            return found or [passed(disk.resource, trial.says)]
        case TrialOutcome.IN_USE:
            return [passed(disk.resource, f"{trial.says}, so it was not tried; group verify does that for real")]
        case TrialOutcome.GAVE_UP:
            return [*found, passed(disk.resource, f"the trial gave up and left it alone: {trial.says}")]
        case TrialOutcome.CLAIMED:
            advice = f"when nobody uses it any more, end that claim: clusterctl resource clear-claim {disk.resource}"
            return [warned(disk.resource, f"{trial.says}, so it was not tried", advice)]
        case TrialOutcome.NOT_TRIED:
            return [warned(disk.resource, f"not tried: {trial.says}", "mend that, and validate again")]
        case TrialOutcome.BROKEN:
            advice = "a takeover would fail like this: see what the storage logs, and the way to it"
            return [*found, failed(disk.resource, trial.says, advice)]
        case TrialOutcome.UNFIT:
            return [*found, failed(disk.resource, trial.says, _UNFIT_ADVICE[trial.is_refused_by_storage])]
        case _:
            assert_never(trial.outcome)


_UNFIT_ADVICE = {
    True: "it does not keep SCSI-3 reservations: do not use it without a fence agent",
    False: "nodes do not see each other's leases in time there: mount the share without caches and with locks that reach "
    "the server, or use a disk with SCSI-3 reservations",
}

TESTS = (
    Test(
        "sync-latency",
        Category.STORAGE,
        "Latency of the data folder",
        "Sixteen small writes with fdatasync into a file of its own.",
        _sync_latency,
    ),
    Test("free-space", Category.STORAGE, "Free space", "For logs, snapshots and sockets.", _free_space),
    Test("file-system", Category.STORAGE, "File system of the data folder", "It must survive a reboot.", _file_system),
    Test(
        "reservations",
        Category.STORAGE,
        "Reservations of cluster disks",
        "What the owners of disks that are online say; no disk is touched.",
        _reservations,
    ),
    Test(
        "disks-reachable",
        Category.STORAGE,
        "Disks from every possible owner",
        "Each opens the disk beside whoever uses it, and says which one it finds; nothing is claimed or written.",
        _reachable,
    ),
    Test(
        "disk-arbitration",
        Category.STORAGE,
        "Takeover of cluster disks that nobody uses",
        "Each possible owner claims, defends, loses and takes the disk; what it writes too late must be refused.",
        _arbitration,
    ),
    Test(
        "disk-latency",
        Category.STORAGE,
        "Latency of cluster disks",
        "One read from each possible owner.",
        _read_latency,
    ),
    Test(
        "disk-guarantees",
        Category.STORAGE,
        "Who refuses late writes",
        "Timers cannot stop a machine that is frozen as a whole; only storage or a power switch can.",
        _guarantees,
    ),
)
