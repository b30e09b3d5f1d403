"""Which disks of the cluster does each node reach? I/O: asks the disk type on every node at once; nothing is claimed."""

import asyncio
import json
from collections.abc import Mapping, Sequence

from clusterd.api.port import ClusterPort
from clusterd.model.errors import ClusterError
from clusterd.model.ids import NodeId
from clusterd.model.records import Json
from clusterd.validation import DiskSeen, decode_disks

DISK_TYPE = "physical_disk"
QUESTION = "disks"
DISKS_MAX = 256
LOOK_WITHIN_MS = 12_000


async def disks_seen(
    port: ClusterPort, nodes: Sequence[NodeId], disks: Mapping[str, Mapping[str, Json]]
) -> dict[str, dict[str, DiskSeen]]:
    """By node and disk, for disks given by their properties. A node that cannot be heard is left out."""
    if not disks:
        return {}
    heard = [each for each in nodes if is_heard(port, each)]
    told = await asyncio.gather(*(_ask(port, each, dict(list(disks.items())[:DISKS_MAX])) for each in heard))
    return {str(node): found for node, found in zip(heard, told, strict=True)}


async def _ask(port: ClusterPort, node: NodeId, disks: Mapping[str, Mapping[str, Json]]) -> dict[str, DiskSeen]:
    question = json.dumps({"node": node, "disks": disks}).encode()
    try:
        return decode_disks(await port.ask_type(node, DISK_TYPE, QUESTION, question, LOOK_WITHIN_MS))
    except (ClusterError, ValueError) as error:
        return dict.fromkeys(disks, DiskSeen(f"{node} does not say whether it reaches it: {error}"))


def is_heard(port: ClusterPort, node: NodeId) -> bool:
    """Whether a node can be asked now."""
    peer = next((each for each in port.status().peers if each.node == node), None)
    return peer is None or peer.is_reachable
