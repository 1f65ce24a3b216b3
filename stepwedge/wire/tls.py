"""Transport security: what a system presents and whom it trusts, as contexts of the standard library.

    security = Credentials.of_folder(Path("pki"), "pacs")     # what `stepwedge certs` made
    security.server()                                         # for listeners: mutual authentication
    security.client()                                         # for calls: the server's name is compared as well

Profiles are those of PS3.15 annex B: ``bcp195`` is section B.12, BCP 195 RFC 8996, 9325 TLS Secure Transport Connection
Profile; ``bcp195-modified`` is section B.13, Modified BCP 195 RFC 8996, 9325. Both begin at TLS 1.2 and prefer 1.3. Both
sides show a certificate, as IHE ITI-19 (Authenticate Node) asks, unless ``mutual`` is off. No session tickets are given and no
early data is taken. TLS 1.2 may resume by session ID what the same context has judged; replaced files make a new context,
which knows no session of the old one, so every connection is judged by today's lists.

The asyncio shells stand in :mod:`stepwedge.wire.tls_asyncio`; ``wrap`` and ``trouble`` serve blocking sockets.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from stepwedge.errors import BadInput, LinkLost, NoAnswer, Refused, RemoteProtocolError, WireError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

Profile = Literal["bcp195", "bcp195-modified"]
CIPHERS: Final[Mapping[str, str]] = {
    # RFC 9325 section 4.2 recommends these four for TLS 1.2; TLS 1.3 has none but good ones.
    "bcp195": "ECDHE+AESGCM:@SECLEVEL=2",
    # B.13 asks for keys of 256 bits in ECDHE; the larger cipher comes first, and the server's order counts.
    "bcp195-modified": "ECDHE+AES256:-SHA1:-SHA256:-SHA384:ECDHE+AESGCM:@SECLEVEL=2",
}
PROFILES: Final[Mapping[str, str]] = {
    "bcp195": "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)",
    "bcp195-modified": "Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.13)",
}
PORT: Final = 2762
"""Registered for DICOM over TLS, ``dicom-tls``."""

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the library has no name for."""
_DEEP: Final = 8
LENIENT: Final = frozenset(
    {"expired", "revoked", "unknown-ca", "no-certificate", "old-versions", "weak-ciphers"}
)
"""What a wrong server may put up with; simulated systems have it as quirks."""


class TlsRefused(Refused):
    """One side ended the handshake.

    Attributes:
        by: ``peer`` when the other side refused us, ``us`` when we refused the other side.
        reason: the alert's name in RFC 8446 section 6 when the peer said it (``certificate expired``), or what we found.
    """

    def __init__(self, by: Literal["us", "peer"], reason: str, where: str = "") -> None:
        who = (
            "the peer refused us in the TLS handshake"
            if by == "peer"
            else "we refused the peer in the TLS handshake"
        )
        super().__init__(f"{where}: {who}: {reason}" if where else f"{who}: {reason}")
        self.by, self.reason = by, reason


_ALERT: Final = re.compile(r"^(?:SSLV3|TLSV1|TLSV13)_ALERT_(.+)$")
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "BAD_RECORD_TYPE", "UNEXPECTED_MESSAGE"})  # fmt: skip
_OURS: Final = {
    "UNSUPPORTED_PROTOCOL": "protocol version",
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "UNSUPPORTED_SSL_VERSION": "protocol version",
    "VERSION_TOO_LOW": "protocol version",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "no signature algorithm in common",
    "NO_PROTOCOLS_AVAILABLE": "no protocol version left to offer",
}


def trouble(error: Exception, where: str = "") -> WireError:
    """Say what an error of a connection means: who refused whom and why, or that the link is gone."""
    if isinstance(error, WireError):
        return error
    prefix = f"{where}: " if where else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsRefused("us", error.verify_message or str(error.reason), where)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return LinkLost(f"{prefix}the connection ended inside TLS")
    if isinstance(error, ssl.SSLError) and error.reason:
        if found := _ALERT.match(error.reason):
            return TlsRefused("peer", found[1].lower().replace("_", " "), where)
        if error.reason in _OURS:
            return TlsRefused("us", _OURS[error.reason], where)
        if error.reason in _NOT_TLS:
            return RemoteProtocolError(f"{prefix}the peer does not speak TLS here ({error.reason})")
        return RemoteProtocolError(f"{prefix}TLS: {error.reason.lower().replace('_', ' ')}")
    if isinstance(error, TimeoutError):
        return NoAnswer(f"{prefix}no answer in time")
    return LinkLost(f"{prefix}{getattr(error, 'strerror', None) or error}")


def refusal(error: BaseException | None, where: str) -> WireError | None:
    """Find what TLS said below an error of a library that hides it (httpx)."""
    seen = 0
    while error is not None and seen < _DEEP:
        if isinstance(error, ssl.SSLError):
            return trouble(error, where)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one system presents, and whom it trusts.

    Attributes:
        ca: certificates of the authorities to trust; never the system's own list.
        certificate: PEM, its issuers' certificates after it; None for a client that shows none.
        key: its private key.
        crl: revocation lists of every authority of a chain; None looks at none.
        mutual: as a server, ask for the client's certificate and insist on it.
        verify: as a client, judge the server's certificate and name. Off is for diagnosis alone.
        profile: PS3.15 annex B.
        known: names or SHA-256 fingerprints of the nodes that may call; all that the authorities vouch for when empty.
        passphrase_from: name of the environment variable that holds the key's passphrase.
        lenient: what a wrong server puts up with, out of ``LENIENT``.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    crl: Path | None = None
    mutual: bool = True
    verify: bool = True
    profile: Profile = "bcp195"
    known: tuple[str, ...] = ()
    passphrase_from: str = ""
    lenient: frozenset[str] = frozenset()

    @classmethod
    def of_folder(cls, folder: Path, name: str, **further: Any) -> Self:
        """Take what :func:`stepwedge.wire.pki.make` wrote for an actor."""
        crl = folder / "crl.pem"
        return cls(
            folder / "ca.pem",
            folder / f"{name}.pem",
            folder / f"{name}.key",
            crl if crl.exists() else None,
            **further,
        )

    @classmethod
    def parse(cls, written: Mapping[str, Any], name: str, place: str = "tls") -> Self:
        """Read ``{"folder": ...}`` or ``{"ca", "cert", "key", "crl"}`` with ``mutual``, ``verify``, ``profile``, ``known``."""
        keys = {
            "folder",
            "ca",
            "cert",
            "key",
            "crl",
            "mutual",
            "verify",
            "profile",
            "known",
            "passphrase_from",
        }
        if unknown := set(written) - keys:
            raise BadInput(place, f"keys out of {', '.join(sorted(keys))}", ", ".join(sorted(unknown)))
        further: dict[str, Any] = {
            key: written[key] for key in ("mutual", "verify", "profile", "passphrase_from") if key in written
        }
        if further.get("profile", "bcp195") not in CIPHERS:
            raise BadInput(f"{place}.profile", f"one of {', '.join(CIPHERS)}", str(further["profile"]))
        further["known"] = tuple(written.get("known", ()))
        if "folder" in written:
            made = cls.of_folder(Path(written["folder"]), name, **further)
        elif "ca" in written:
            made = cls(Path(written["ca"]), **further)
        else:
            raise BadInput(
                place, "folder, or ca with cert and key", "neither", "stepwedge certs makes a folder"
            )
        paths = {"ca": "ca", "certificate": "cert", "key": "key", "crl": "crl"}
        given: dict[str, Any] = {
            field: Path(written[key]) for field, key in paths.items() if written.get(key)
        }
        return replace(made, **given)

    def server(self) -> ssl.SSLContext:
        """Return a context for listeners.

        Raises:
            BadInput: a file cannot be used; names it and says what to do.
        """
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        if self.certificate is None:
            raise BadInput("tls", "a certificate and its key for a server", "none", "give cert and key")
        self._present(context)
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 0
        if self.mutual and "no-certificate" not in self.lenient:
            self._trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> ssl.SSLContext:
        """Return a context for calls: the server must be vouched for, and be called what we call it."""
        context = self._context(ssl.PROTOCOL_TLS_CLIENT)
        if self.certificate is not None:
            self._present(context)
        if self.verify:
            context.hostname_checks_common_name = False
            self._trust(context)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def stranger(self, certificate: Mapping[str, Any], der: bytes) -> str:
        """Return why a node whose certificate is good may not call, ``""`` when it may."""
        if not self.known:
            return ""
        names = [
            value for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}
        ]
        print_ = hashlib.sha256(der).hexdigest()
        known = {entry.replace(":", "").lower() for entry in self.known}
        if print_ in known or known & {name.lower() for name in names}:
            return ""
        return f"not a known node: {', '.join(names) or 'a certificate without names'}"

    def _context(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        old = "old-versions" in self.lenient
        context.minimum_version = ssl.TLSVersion.TLSv1 if old else ssl.TLSVersion.TLSv1_2
        weak = old or "weak-ciphers" in self.lenient
        context.set_ciphers("ALL:@SECLEVEL=0" if weak else CIPHERS[self.profile])
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        """Trust the authorities of our file and nobody else."""
        text = _read(self.ca, "tls.ca")
        if not _pem(text, "CERTIFICATE"):
            raise BadInput(
                str(self.ca),
                "at least one CERTIFICATE in PEM",
                f"none in {len(text)} bytes",
                "an empty list trusts nobody; give the authority's certificate, such as ca.pem of stepwedge certs",
            )
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _load(context, self.ca, "certificates of authorities in PEM")
        if self.crl is not None and "revoked" not in self.lenient:
            if not _pem(_read(self.crl, "tls.crl"), "X509 CRL"):
                raise BadInput(
                    str(self.crl), "at least one X509 CRL in PEM", "none", "leave crl out to look at none"
                )
            _load(context, self.crl, "revocation lists in PEM")
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if "expired" in self.lenient:
            context.verify_flags |= _NO_CHECK_TIME
        if "unknown-ca" in self.lenient:
            _load(context, self.ca.parent / "bad" / "unknown-ca.pem", "the authority nobody trusts")
            context.verify_flags = (
                context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN
            ) & ~ssl.VERIFY_CRL_CHECK_CHAIN

    def _present(self, context: ssl.SSLContext) -> None:
        """Load our certificate, its chain and key, and say what is wrong with them."""
        certificate, key = self.certificate, self.key
        assert certificate is not None  # noqa: S101 - the callers looked
        if key is None:
            raise BadInput("tls", f"the key of {certificate}", "none", "give key")
        _in_order(certificate)
        if b"PRIVATE KEY" not in _read(key, "tls.key"):
            raise BadInput(str(key), "a PRIVATE KEY in PEM", "none", "name the .key file")
        try:
            context.load_cert_chain(certificate, key, self._secret)
        except ssl.SSLError as error:
            raise _unloadable(error, certificate, key) from None

    def _secret(self) -> str:
        """Return the key's passphrase; OpenSSL asks only when the key is encrypted."""
        if not self.passphrase_from:
            raise BadInput(
                str(self.key),
                "a key that is not encrypted, or the name of the variable with its passphrase",
                "an encrypted key",
                "write passphrase_from: NAME, and set the environment variable NAME",
            )
        if (secret := os.environ.get(self.passphrase_from)) is None:
            raise BadInput(
                "tls.passphrase_from", f"the environment variable {self.passphrase_from} to be set", "none"
            )
        return secret


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 fingerprint of the first certificate of a file, as ``known`` takes it."""
    return hashlib.sha256(
        ssl.PEM_cert_to_DER_cert(_pem(_read(certificate, "certificate"), "CERTIFICATE")[0])
    ).hexdigest()


def wrap(link: socket.socket, context: ssl.SSLContext, host: str, where: str) -> ssl.SSLSocket:
    """Do the handshake of a client on a connected socket, within the socket's timeout.

    A server of TLS 1.3 judges our certificate after our side is done: its refusal is the first thing read afterwards.

    Raises:
        TlsRefused: one side refused the other.
        LinkLost, NoAnswer, RemoteProtocolError: as their names say; the socket is closed.
    """
    try:
        return context.wrap_socket(link, server_hostname=host)
    except (OSError, ValueError) as error:
        link.close()
        raise trouble(error, where) from error


def _read(path: Path, place: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            place, "a file that can be read", f"{path} ({error.strerror})", "stepwedge certs makes one"
        ) from None


def _pem(text: bytes, label: str) -> list[str]:
    """Return the PEM blocks with a label; line ends of every system are taken."""
    blocks = re.findall(
        rf"-----BEGIN {label}-----.*?-----END {label}-----", text.decode("latin-1"), re.DOTALL
    )
    return [block.replace("\r\n", "\n").replace("\r", "\n") for block in blocks]


def _load(context: ssl.SSLContext, path: Path, expected: str) -> None:
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        said = getattr(error, "reason", None) or str(error)
        raise BadInput(
            str(path), expected, f"what OpenSSL calls {said}", "make it anew, or export it as PEM"
        ) from None


def _in_order(path: Path) -> None:
    """Refuse a chain whose order peers need not put right (RFC 5246 section 7.4.2: each certifies the one before)."""
    from cryptography import x509

    blocks = _pem(_read(path, "tls.cert"), "CERTIFICATE")
    if not blocks:
        raise BadInput(
            str(path), "a CERTIFICATE in PEM", "none", "name the .pem file, not the .key or a DER file"
        )
    try:
        chain = [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError as error:
        raise BadInput(str(path), "certificates in PEM", str(error)[:80], "export it anew as PEM") from None
    for at, (lower, upper) in enumerate(pairwise(chain), 1):
        if lower.issuer != upper.subject:
            raise BadInput(
                str(path),
                f"as certificate {at + 1} the issuer of the one before it, {lower.issuer.rfc4514_string()}",
                upper.subject.rfc4514_string(),
                "put the system's own certificate first, then its issuer, then the issuer's issuer",
            )


def _unloadable(error: ssl.SSLError, certificate: Path, key: Path) -> BadInput:
    match error.reason or "":
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH":
            remedy = "give the key the certificate was made with"
            return BadInput(str(key), f"the key of {certificate}", "the key of another certificate", remedy)
        case "EE_KEY_TOO_SMALL" | "CA_MD_TOO_WEAK" | "CA_KEY_TOO_SMALL":
            found = "a key or signature below 112 bits of strength"
            return BadInput(
                str(certificate), "RSA of 2048 bits or P-256, and SHA-256", found, "issue a new certificate"
            )
        case reason:
            found = f"what OpenSSL calls {reason or error}"
            return BadInput(
                f"{certificate}, {key}",
                "a certificate and its private key in PEM",
                found,
                "export both as PEM",
            )
