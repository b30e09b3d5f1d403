"""How is one packet between two runs closed, and how is it opened? I/O (nothing is sent from here).

    key id (8) | sequence number (8) | content | proof (16)

The key is made for one purpose, one direction and one pair of runs, so a proof holds for nothing else; the id names the key
without telling whose it is. A sequence number is taken once.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

from clusterd.model.ids import NodeId

KEY_ID_BYTES = 8
HEAD_BYTES = KEY_ID_BYTES + 8
PROOF_BYTES = 16
WINDOW = 1024
"""How far a packet may lag behind the newest one and still be taken."""


class Purpose(StrEnum):
    DATAGRAM = "datagram"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one node's daemon."""

    node: NodeId
    daemon_run: str


class SealingKey:
    """Closes what this run says to one run of a peer."""

    def __init__(self, secret: bytes, purpose: Purpose, *, source: Run, target: Run) -> None:
        self._key = _direction_key(secret, purpose, source, target)
        self._id = _key_id(self._key)
        self._sequence = 0

    def seal(self, content: bytes) -> bytes:
        self._sequence += 1
        closed = self._id + self._sequence.to_bytes(8, "big") + content
        return closed + _proof(self._key, closed)


class OpeningKey:
    """Opens what one run of a peer says to this run."""

    def __init__(self, secret: bytes, purpose: Purpose, *, source: Run, target: Run) -> None:
        self._key = _direction_key(secret, purpose, source, target)
        self.id = _key_id(self._key)
        self.source = source
        self._newest = 0
        self._taken: set[int] = set()

    def open(self, packet: bytes) -> bytes | None:
        """The content; None for what was changed, was for somebody else, or was taken before."""
        closed, proof = packet[:-PROOF_BYTES], packet[-PROOF_BYTES:]
        if len(closed) < HEAD_BYTES or not hmac.compare_digest(proof, _proof(self._key, closed)):
            return None
        if not self._is_first(int.from_bytes(closed[KEY_ID_BYTES:HEAD_BYTES], "big")):
            return None
        return closed[HEAD_BYTES:]

    def _is_first(self, sequence: int) -> bool:
        if sequence <= self._newest - WINDOW or sequence in self._taken:
            return False
        self._taken.add(sequence)
        self._newest = max(self._newest, sequence)
        if len(self._taken) > 2 * WINDOW:
            self._taken = {each for each in self._taken if each > self._newest - WINDOW}
        return True


def key_id_of(packet: bytes) -> bytes:
    return packet[:KEY_ID_BYTES]


def _direction_key(secret: bytes, purpose: Purpose, source: Run, target: Run) -> bytes:
    parts = (purpose.value, source.node, source.daemon_run, target.node, target.daemon_run)
    return hmac.digest(
        secret, b"".join(len(each.encode()).to_bytes(4, "big") + each.encode() for each in parts), "sha256"
    )


def _key_id(key: bytes) -> bytes:
    return hmac.digest(key, b"id", "sha256")[:KEY_ID_BYTES]


def _proof(key: bytes, closed: bytes) -> bytes:
    """Keyed BLAKE2b (RFC 7693), which is made for this and takes a third of the time of an HMAC."""
    return hashlib.blake2b(closed, key=key, digest_size=PROOF_BYTES).digest()
