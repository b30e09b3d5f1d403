"""How does a node prove who it is? I/O.

Creating a cluster makes its certificate authority; each node gets one certificate whose names say cluster and node:
`DNS:<node>.<cluster>.clusterd` for the caller to verify while it dials an address, `URI:clusterd://<cluster>/node/<node>`
for the called side to compare with what the peer claims. No IP names: an address must never decide identity.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterd.model.errors import BadInput

VALID_DAYS = 3650
COMMON_NAME_LENGTH_MAX = 64
BACKDATED = timedelta(hours=1)
"""Machines disagree about the wall clock; a certificate made on one must hold on another at once."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM bytes as gRPC wants them: the authority to trust, the own chain, the own private key."""

    ca: bytes
    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """A cluster's certificate authority, able to sign."""

    cluster: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def dns_name(cluster: str, node: str) -> str:
    """The name that a caller verifies."""
    return f"{node}.{cluster}.clusterd".lower()


def node_uri(cluster: str, node: str) -> str:
    """The name that the called side verifies."""
    return f"clusterd://{cluster}/node/{node}"


def create_authority(cluster: str) -> Authority:
    """A new authority for `cluster`, in memory."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{cluster} cluster authority")
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(cluster, certificate, key)


def issue_node(authority: Authority, node: str) -> Credentials:
    """A new key and certificate for `node`, good for both ends of a connection."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.DNSName(dns_name(authority.cluster, node)),
        x509.UniformResourceIdentifier(node_uri(authority.cluster, node)),
    ]
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(_name(node), authority.certificate.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Credentials(authority.pem, certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def write_authority(authority: Authority, *, certificate: Path, key: Path) -> None:
    """Store the authority; the key so that only its owner reads it."""
    certificate.write_bytes(authority.pem)
    write_secret(key, _key_pem(authority.key))


def write_node(credentials: Credentials, *, ca: Path, certificate: Path, key: Path) -> None:
    """Store a node's credentials where its configuration names them."""
    ca.write_bytes(credentials.ca)
    certificate.write_bytes(credentials.certificate)
    write_secret(key, credentials.key)


def load_credentials(*, ca: Path, certificate: Path, key: Path) -> Credentials:
    """What `write_node` stored. Raises BadInput for a missing file or a key that others may read."""
    if key.exists() and key.stat().st_mode & 0o077:
        raise BadInput(f"{key} can be read by others", hint=f"chmod 600 {key}, and issue a new certificate")
    try:
        return Credentials(ca.read_bytes(), certificate.read_bytes(), key.read_bytes())
    except OSError as error:
        raise BadInput(f"{error.filename} cannot be read: {error.strerror}", hint="see [tls] in node.toml") from error


def write_secret(path: Path, content: bytes) -> None:
    """Store `content` in a file that was never readable by others, not even for a moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
    )


def _name(text: str) -> x509.Name:
    """A readable subject; nothing is decided by it, so a long one is cut to what X.509 allows."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:COMMON_NAME_LENGTH_MAX])])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
