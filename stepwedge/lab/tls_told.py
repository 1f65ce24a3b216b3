"""What a door that speaks TLS says of itself: version, cipher suite, whose certificate, and how long it lasts."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stepwedge.errors import LinkLost
from stepwedge.wire import tls

if TYPE_CHECKING:
    from stepwedge.sim.address import Address
    from stepwedge.wire.tls import Credentials

SOON_DAYS: Final = 30
"""A certificate that ends earlier is warned of."""
_VERDICT_SECONDS: Final = 0.3
"""How long a server of TLS 1.3 is waited for to refuse our certificate; silence then means that it took it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was negotiated with a door."""

    version: str
    cipher: str
    subject: str
    days: int

    def __str__(self) -> str:
        return f"{self.version}, {self.cipher}, certificate of {self.subject}, {self.days} days left"


def speaks_tls(address: Address, door: str) -> bool:
    """Tell whether an actor's door is written as a secure one."""
    where = getattr(address, door) or (address.dicom if door == "worklist" else None)
    return where.startswith("https:") if isinstance(where, str) else bool(where and where.tls)


def place(address: Address, door: str) -> tuple[str, int]:
    """Return host and port of a door."""
    where = getattr(address, door)
    if isinstance(where, str):
        url = urlsplit(where)
        return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    return where.host, where.port


def seen(address: Address, door: str, credentials: Credentials, timeout: float) -> Seen:
    """Shake hands with a door and say what came of it; raises a WireError when nothing did."""
    from cryptography import x509

    host, port = place(address, door)
    try:
        link = socket.create_connection((host, port), timeout)
    except OSError as error:
        raise LinkLost(f"no connection to {host}:{port}: {error}") from error
    with judged(link, credentials.client(), host) as secure:
        certificate = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
        cipher = secure.cipher() or ("no cipher", "", 0)
        left = certificate.not_valid_after_utc - datetime.now(UTC)
        return Seen(secure.version() or "", cipher[0], certificate.subject.rfc4514_string(), left.days)


def judged(link: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Shake hands and wait whether the server takes our certificate: in TLS 1.3 its refusal comes afterwards."""
    secure = tls.wrap(link, context, host, host)
    allowed = secure.gettimeout()
    secure.settimeout(_VERDICT_SECONDS)
    try:
        with contextlib.suppress(TimeoutError):
            if not secure.recv(1):
                raise LinkLost(f"{host}: closed after the TLS handshake")
    except ssl.SSLError as error:
        secure.close()
        raise tls.trouble(error, host) from error
    secure.settimeout(allowed)
    return secure
