"""What can be said about a disk, and what becomes of it for the session process? Pure."""

import re
from collections.abc import Mapping
from typing import Any

from clusterd.resource_api import Property, PropertyKind

ISCSI_FIELDS = (
    Property("portal", PropertyKind.TEXT, "address and port of the target, `10.0.0.5:3260`", required=True),
    Property("target", PropertyKind.TEXT, "the target's name, `iqn.…`", required=True),
    Property("unit", PropertyKind.INTEGER, "the logical unit's number (LUN)", required=True, minimum=0, maximum=16383),
    Property(
        "initiator",
        PropertyKind.TEXT,
        "who we are; `{node}` is the node's name. Each node needs its own",
        is_per_node=True,
    ),
)
DEFAULT_INITIATOR = "iqn.2026-01.io.clusterd:{node}"

PROPERTIES = (
    Property(
        "iscsi",
        PropertyKind.MAPPING,
        "a logical unit that is reached over iSCSI, with persistent reservations: the storage itself fences",
        fields=ISCSI_FIELDS,
        is_sole=True,
        sole_by=("target", "unit"),
    ),
    Property(
        "device",
        PropertyKind.TEXT,
        "a local SCSI block device with persistent reservations, by a path that is the same on every node "
        "(`/dev/disk/by-id/…`): the storage itself fences",
        is_sole=True,
    ),
    Property(
        "image",
        PropertyKind.TEXT,
        "an image file on a path that every node sees, with a lease beside it: only our own sessions keep to it",
        is_sole=True,
    ),
    Property(
        "mount_point",
        PropertyKind.TEXT,
        "where to mount it; without one it is served as NBD only, for a virtual machine. `{node}` is the node's name",
        prevents=("live-migration",),
    ),
    Property("mount_options", PropertyKind.LIST, "for mount -o", default=[]),
    Property(
        "volume_id",
        PropertyKind.TEXT,
        "which volume it must be: the UUID of its file system, the device's name (`naa.…`), or the id written on it",
        aliases=("DiskIdGuid",),
    ),
    Property(
        "run_check",
        PropertyKind.INTEGER,
        "check before the mount: 0 normal, everything if something is left; 1 everything if it is not clean; 2 always "
        "everything; 3 look only, and mount anyway; 4 none; 5 look at everything, and stay offline if something is found",
        default=0,
        minimum=0,
        maximum=5,
        aliases=("DiskRunChkDsk",),
    ),
    Property(
        "arb_interval",
        PropertyKind.DURATION,
        "how often the owner defends its reservation. One that does not for two intervals may lose it to a stranger",
        default=3000,
        minimum=1000,
        maximum=60_000,
        unit="s",
        aliases=("DiskArbInterval",),
    ),
    Property(
        "format_when_empty",
        PropertyKind.BOOLEAN,
        "make an ext4 file system when there are only zeroes where one begins",
        default=False,
    ),
    Property(
        "stop_grace",
        PropertyKind.DURATION,
        "at offline, processes of the resource that still use the mount are killed when it is over",
        default=2000,
        minimum=0,
        unit="ms",
    ),
)
EXACTLY_ONE = (("iscsi", "device", "image"),)


def kind_and_place(properties: Mapping[str, Any], *, node: str, resource: str) -> tuple[str, dict[str, Any]]:
    """For the session: which back end, and where its disk is."""
    if (iscsi := properties["iscsi"]) is not None:
        initiator = (iscsi.get("initiator") or DEFAULT_INITIATOR).replace("{node}", _name_part(node))
        where = {key: iscsi[key] for key in ("portal", "target", "unit")}
        return "iscsi", {**where, "initiator": initiator, "session": resource}
    if properties["device"] is not None:
        return "device", {"path": properties["device"]}
    return "image", {"path": properties["image"]}


def described(properties: Mapping[str, Any]) -> str:
    """The disk, for messages."""
    if (iscsi := properties["iscsi"]) is not None:
        return f"unit {iscsi['unit']} of {iscsi['target']} at {iscsi['portal']}"
    return str(properties["device"] or properties["image"])


def _name_part(node: str) -> str:
    """What an iSCSI name may have of a node's name."""
    return re.sub(r"[^a-z0-9.-]", "-", node.lower())
