"""How do two runs of daemons come to keys that only they know? I/O (cryptography; nothing is sent from here).

Each run of a daemon makes an X25519 key and signs it, with its name and run, by the key of its certificate: its
introduction. It goes over the stream that opens, and through a third node where there is none; from two introductions both
ends make the same keys. They belong to that pair of runs and outlive the stream on which they were agreed.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from clusterd.adapters.certificates import Credentials, node_uri
from clusterd.model.errors import BadInput
from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Introduction

_PURPOSE = b"clusterd peer introduction 1"


class NotIntroduced(Exception):
    """An introduction that proves nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """A run of a peer, as it introduced itself."""

    node: NodeId
    daemon_run: str
    started_wall_ms: int
    public_key: bytes


class Introducer:
    """The introduction of this run, and what to make of those of others. Raises BadInput for an unusable key."""

    def __init__(
        self, *, cluster: str, cluster_id: str, node: NodeId, daemon_run: str, credentials: Credentials
    ) -> None:
        self._cluster, self._cluster_id = cluster, cluster_id
        self._authorities = x509.load_pem_x509_certificates(credentials.ca)
        self._private = X25519PrivateKey.generate()
        own = x509.load_pem_x509_certificates(credentials.certificate)[0]
        key = serialization.load_pem_private_key(credentials.key, password=None)
        self.own = Introduction(
            node=node,
            daemon_run=daemon_run,
            public_key=self._private.public_key().public_bytes_raw(),
            started_wall_ms=time.time_ns() // 1_000_000,
            certificate=own.public_bytes(serialization.Encoding.DER),
        )
        self.own.signature = _sign(key, self._signed(self.own))

    def known(self, introduction: Introduction) -> Known:
        """What an introduction proves, whichever way it came. Raises NotIntroduced."""
        try:
            certificate = x509.load_der_x509_certificate(introduction.certificate)
            _verify(certificate.public_key(), introduction.signature, self._signed(introduction))
            self._check(certificate, introduction.node)
        except InvalidSignature:
            raise NotIntroduced("its signature is wrong") from None
        except ValueError as error:
            raise NotIntroduced(f"its certificate cannot be read: {error}") from None
        return Known(
            NodeId(introduction.node),
            introduction.daemon_run,
            introduction.started_wall_ms,
            introduction.public_key,
        )

    def pair_secret(self, peer: Known) -> bytes:
        """What only the two runs know. Raises NotIntroduced for a key that is none."""
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(peer.public_key))
        except ValueError as error:
            raise NotIntroduced(f"its key cannot be used: {error}") from None
        ends = sorted([(self.own.node, self.own.daemon_run), (peer.node, peer.daemon_run)])
        return hmac.digest(
            shared, _joined(_PURPOSE, self._cluster_id, *(each for end in ends for each in end)), "sha256"
        )

    def _check(self, certificate: x509.Certificate, node: str) -> None:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        if node_uri(self._cluster, node) not in uris:
            raise NotIntroduced(f"its certificate is of {', '.join(uris) or 'nobody'}")
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
                return
            except (InvalidSignature, ValueError, TypeError):
                continue
        raise NotIntroduced("its certificate is not of this cluster's authority")

    def _signed(self, introduction: Introduction) -> bytes:
        started = str(introduction.started_wall_ms)
        who = (introduction.node, introduction.daemon_run, started, self._cluster_id)
        return hashlib.sha256(_joined(_PURPOSE, introduction.public_key, introduction.certificate, *who)).digest()


def _sign(key: object, content: bytes) -> bytes:
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(content, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        case _:
            raise BadInput("the node's key cannot sign", hint="issue an RSA or elliptic-curve certificate")


def _verify(key: object, signature: bytes, content: bytes) -> None:
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPublicKey():
            key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        case _:
            raise NotIntroduced("its certificate's key is of a kind that cannot sign")


def _joined(*parts: bytes | str) -> bytes:
    """Unambiguous: each part with its length in front."""
    found = [each.encode() if isinstance(each, str) else each for each in parts]
    return b"".join(len(each).to_bytes(4, "big") + each for each in found)
