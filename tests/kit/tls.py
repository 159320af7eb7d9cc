"""Certificates for a stand-in upstream, made on the spot: one good, three that must be refused."""

import datetime
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KINDS = ("good", "self-signed", "expired", "wrong-name")


@dataclass(frozen=True)
class Certificate:
    """`pem`: key and certificate. `authority`: what a client must trust to accept a good one."""

    kind: str
    pem: bytes
    authority: bytes
    host: str = "localhost"

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def write_authority(self, folder: Path) -> Path:
        """Writes the authority's certificate as `authority.pem`; returns its path."""
        path = folder / "authority.pem"
        path.write_bytes(self.authority)
        return path


@cache
def certificate(kind: str) -> Certificate:
    """One of KINDS; all but `self-signed` come from one authority, so only one thing is wrong."""
    if kind not in KINDS:
        raise ValueError(f"no certificate of kind {kind!r}; there are {', '.join(KINDS)}")
    ca_key, ca = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    until = now - datetime.timedelta(days=1) if kind == "expired" else now + datetime.timedelta(1)
    name = "somewhere-else.example" if kind == "wrong-name" else "localhost"
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    own = kind == "self-signed"
    made = (
        _builder(name, name if own else "Test authority", key, until)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key if own else ca_key, hashes.SHA256())
    )
    return Certificate(kind, _pem_key(key) + _pem(made), _pem(ca))


@cache
def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        _builder("Test authority", "Test authority", key, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, made


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, until: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - datetime.timedelta(days=30))
        .not_valid_after(until)
    )


def _pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
