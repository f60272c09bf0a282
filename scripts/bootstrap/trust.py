"""A Java trust store of the certificate authorities that Python trusts.

A Java runtime brings its own list, which lacks the authority of a company's proxy. Python uses the system's.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import struct
from pathlib import Path

PASSWORD = "changeit"  # Java's own default: a trust store holds nothing secret

_MAGIC, _VERSION, _TRUSTED_CERTIFICATE = 0xFEEDFEED, 2, 2


def trusted_authorities() -> list[bytes]:
    """Returns the certificates (DER) that Python and pip trust on this machine."""
    context = ssl.create_default_context()
    for variable in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        bundle = os.environ.get(variable)
        if bundle and Path(bundle).is_file():
            context.load_verify_locations(cafile=bundle)
    return sorted(context.get_ca_certs(binary_form=True))


def write_trust_store(path: Path, certificates: list[bytes]) -> None:
    """Writes certificates (DER) as a Java key store (JKS), which every Java reads."""
    entries = b"".join(_entry(number, certificate) for number, certificate in enumerate(certificates))
    body = struct.pack(">III", _MAGIC, _VERSION, len(certificates)) + entries
    # The format ends with a SHA-1 of the password, a fixed phrase and the body.
    seal = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()
    path.write_bytes(body + seal)


def _entry(number: int, certificate: bytes) -> bytes:
    alias = _short_text(f"authority-{number}")
    head = struct.pack(">I", _TRUSTED_CERTIFICATE) + alias + struct.pack(">q", 0)
    return head + _short_text("X.509") + struct.pack(">I", len(certificate)) + certificate


def _short_text(text: str) -> bytes:
    encoded = text.encode("ascii")
    return struct.pack(">H", len(encoded)) + encoded
