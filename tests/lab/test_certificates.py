"""A node's certificate says which node it is, and only its own cluster believes it."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from clusterd.adapters import certificates
from clusterd.model.errors import BadInput


def issue(folder: Path, authority: certificates.Authority, node: str) -> tuple[Path, Path, Path]:
    files = (folder / f"{node}-ca.pem", folder / f"{node}.pem", folder / f"{node}.key")
    ca, certificate, key = files
    certificates.write_node(certificates.issue_node(authority, node), ca=ca, certificate=certificate, key=key)
    return files


def shake_hands(server: tuple[Path, Path, Path], client: tuple[Path, Path, Path], name: str) -> str | None:
    """Mutual TLS in memory; the version that both agreed on."""
    contexts = []
    for purpose, (ca, certificate, key) in ((ssl.PROTOCOL_TLS_SERVER, server), (ssl.PROTOCOL_TLS_CLIENT, client)):
        context = ssl.SSLContext(purpose)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca)
        context.load_cert_chain(certificate, key)
        contexts.append(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        contexts[1].wrap_bio(to_client, to_server, server_hostname=name),
        contexts[0].wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].version()


def test_both_ends_agree_on_tls_1_3(tmp_path: Path) -> None:
    authority = certificates.create_authority("demo")
    one, two = issue(tmp_path, authority, "n1"), issue(tmp_path, authority, "n2")
    assert shake_hands(one, two, "n1.demo.clusterd") == "TLSv1.3"


def test_another_node_is_not_believed(tmp_path: Path) -> None:
    authority = certificates.create_authority("demo")
    one, two = issue(tmp_path, authority, "n1"), issue(tmp_path, authority, "n2")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"n3\.demo\.clusterd"):
        shake_hands(one, two, "n3.demo.clusterd")


def test_another_cluster_of_the_same_name_is_not_believed(tmp_path: Path) -> None:
    one = issue(tmp_path, certificates.create_authority("demo"), "n1")
    two = issue(tmp_path, certificates.create_authority("demo"), "n2")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(one, two, "n1.demo.clusterd")


def test_names_and_file_modes(tmp_path: Path) -> None:
    ca, certificate, key = issue(tmp_path, certificates.create_authority("demo"), "N_1")
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["clusterd://demo/node/N_1"]
    assert names.get_values_for_type(x509.DNSName) == ["n_1.demo.clusterd"]
    assert not names.get_values_for_type(x509.IPAddress)
    assert key.stat().st_mode & 0o777 == 0o600
    assert certificates.load_credentials(ca=ca, certificate=certificate, key=key).ca == ca.read_bytes()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ca, certificate, key = issue(tmp_path, certificates.create_authority("demo"), "n1")
    key.chmod(0o640)
    with pytest.raises(BadInput, match="read by others"):
        certificates.load_credentials(ca=ca, certificate=certificate, key=key)
    key.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        certificates.load_credentials(ca=ca, certificate=certificate, key=key)


def test_long_names_fit(tmp_path: Path) -> None:
    credentials = certificates.issue_node(certificates.create_authority("c" * 40), "n" * 63)
    assert credentials.certificate.startswith(b"-----BEGIN")
