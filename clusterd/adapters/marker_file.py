"""Where does a node keep what it promised, apart from its log? I/O.

One small file, by itself or on another device (`marker_dir`): replaced as a whole, with a checksum. A file that cannot be
read says nothing: it is told, and the node goes on by its log and by what its peers remember.
"""

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusterd.adapters import storage_files
from clusterd.consensus.memory import Marker, Position, Remembered
from clusterd.model.errors import BadInput
from clusterd.model.events import MARKER_UNREADABLE, Note, note
from clusterd.model.ids import NodeId

MARKER = "marker"


@dataclass(frozen=True, slots=True)
class MarkerFile:
    """The marker of one node of one cluster."""

    path: Path
    cluster_id: str
    node: str

    def start(self) -> tuple[Marker, tuple[Note, ...]]:
        """The marker as the last daemon left it, with this start counted and written. Raises BadInput for the marker of
        another node or cluster."""
        marker, notes = self._read()
        started = replace(marker, boots=marker.boots + 1)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.write(started)
        return started, notes

    def write(self, marker: Marker) -> None:
        """Durable on return."""
        content = {
            "cluster_id": self.cluster_id,
            "node": self.node,
            "boots": marker.boots,
            "promised": _pair(marker.promised),
            "voted_for": marker.voted_for,
            "committed": _pair(marker.committed),
            "wall_ms": marker.wall_ms,
            "held_index": marker.held_index,
            "peers": {peer: [each.run, each.boots, *_pair(each.position)] for peer, each in marker.peers.items()},
        }
        body = json.dumps(content, sort_keys=True).encode()
        storage_files.write_whole(self.path, body, b"\n%08x\n" % zlib.crc32(body))

    def _read(self) -> tuple[Marker, tuple[Note, ...]]:
        try:
            body, crc, _ = self.path.read_bytes().split(b"\n")
            if crc != b"%08x" % zlib.crc32(body):
                raise ValueError("it has a bad checksum")
            content = json.loads(body)
            marker = _marker(content)
        except FileNotFoundError:
            return Marker(), ()
        except (ValueError, KeyError, TypeError) as error:
            return Marker(), (note(MARKER_UNREADABLE, what=str(self.path), because=str(error)),)
        for what, mine in (("cluster_id", self.cluster_id), ("node", self.node)):
            if content[what] != mine:
                raise BadInput(
                    f"{self.path} belongs to {what} {content[what]!r}, not to {mine!r}",
                    hint="point the daemon at its own directory",
                )
        return marker, ()


def _pair(position: Position) -> list[int]:
    return [position.term, position.index]


def _marker(content: dict[str, Any]) -> Marker:
    peers = {
        NodeId(peer): Remembered(run, boots, Position(term, index))
        for peer, (run, boots, term, index) in content["peers"].items()
    }
    return Marker(
        content["boots"],
        Position(*content["promised"]),
        content["voted_for"],
        Position(*content["committed"]),
        content["wall_ms"],
        peers,
        content["held_index"],
    )
