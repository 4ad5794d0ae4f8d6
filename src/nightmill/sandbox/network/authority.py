"""A certificate authority that one sandbox trusts and nobody else does. Its key is in memory and nowhere else."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority"]

EARLY, LIFE, LEAF_LIFE, SPARE = timedelta(hours=1), timedelta(days=90), timedelta(days=2), timedelta(hours=6)
"""How far before now certificates begin; how long they hold; what a leaf that is used must have left."""

NAMES = 64
"""Names whose certificates are kept: as many as connections at once."""


class Authority:
    """Makes server certificates, one per name, for the side of the proxy that faces the sandbox."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._key, self._leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = f"nightmill sandbox {x509.random_serial_number():x}"[:64]  # tools find authorities by their name
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._contexts: dict[str, tuple[datetime, ssl.SSLContext]] = {}
        self._certificate = self._sign(
            self._name,
            self._key.public_key(),
            LIFE,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_usage(signs_certificates=True), True),
            (x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False),
        )

    @property
    def certificate(self) -> bytes:
        """What the sandbox trusts, in PEM."""
        return self._certificate.public_bytes(Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """How the proxy speaks TLS as *host*, to those who ask for *host* by name."""
        now = self._moment()
        ends, context = self._contexts.get(host, (now, None))
        if context is None or ends - now < SPARE:
            while len(self._contexts) >= NAMES:  # below a wildcard there is no end of names
                del self._contexts[next(iter(self._contexts))]
            ends, context = now + LEAF_LIFE, self._context(host)
            self._contexts[host] = ends, context
        return context

    def _context(self, host: str) -> ssl.SSLContext:
        leaf = self._sign(
            x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "nightmill sandbox")]),
            self._leaf_key.public_key(),
            LEAF_LIFE,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.SubjectAlternativeName([x509.DNSName(host)]), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        key = self._leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _load(context, key + leaf.public_bytes(Encoding.PEM))

        def check(_: Any, name: str | None, __: ssl.SSLContext) -> int | None:
            return (
                None
                if name is not None and name.lower() == host
                else ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            )

        context.sni_callback = check
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        life: timedelta,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> x509.Certificate:
        now = self._moment()
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - EARLY).not_valid_after(now + life)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, SHA256())

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(context: ssl.SSLContext, chain: bytes) -> None:
    """Give *context* its key: the ssl module reads it from files only, so from one that has no name on any disk."""
    fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(fd, chain)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
