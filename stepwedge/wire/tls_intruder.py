"""Clients that a secure door must not serve: with bad certificates, old versions, weak suites, or no TLS at all.

What a server answers to each is told by the alerts of RFC 8446 section 6.2; RFC 5246 section 7.2.2 has the same names.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stepwedge.errors import Skipped
from stepwedge.wire.pki import BAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.wire.tls import Credentials


@dataclass(frozen=True, slots=True)
class Intruder:
    """One client to be refused.

    Attributes:
        says: what is wrong with it.
        alerts: the alerts that name its fault; empty when TLS itself has nothing against it.
        certificate: file below ``bad/``; None shows the probe's own good one.
        version: the only version it offers.
        ciphers: the only suites of TLS 1.2 it offers.
    """

    says: str
    alerts: frozenset[str] = frozenset()
    certificate: str | None = None
    version: ssl.TLSVersion | None = None
    ciphers: str = ""


_ANY: Final = frozenset({"bad certificate", "certificate unknown"})
"""What a server may say of any certificate without saying more."""
_ALERTS: Final[Mapping[str, frozenset[str]]] = {
    "expired": _ANY | {"certificate expired"},
    "not-yet-valid": _ANY | {"certificate expired"},
    "unknown-ca": _ANY | {"unknown ca"},
    "self-signed": _ANY | {"unknown ca"},
    "revoked": _ANY | {"certificate revoked"},
    "weak-key": _ANY | {"unsupported certificate", "insufficient security"},
    "weak-signature": _ANY | {"unsupported certificate", "insufficient security", "unknown ca"},
    "missing-intermediate": _ANY | {"unknown ca"},
    "wrong-usage": _ANY | {"unsupported certificate"},
    "not-a-ca": _ANY | {"unknown ca"},
    "path-too-long": _ANY | {"unknown ca"},
}
_VERSION: Final = frozenset({"protocol version", "handshake failure", "insufficient security"})
_SUITE: Final = frozenset({"handshake failure", "insufficient security"})
# RFC 8446 section 6.2 has certificate_required; before TLS 1.3 it was handshake_failure (RFC 5246 section 7.4.6).
_NO_CERTIFICATE: Final = frozenset({"certificate required", "handshake failure", "bad certificate"})
NOBODY: Final = ""

INTRUDERS: Final[Mapping[str, Intruder]] = {
    **{
        name: Intruder(f"its certificate {why}", _ALERTS.get(name, frozenset()), name)
        for name, why in BAD.items()
    },
    "no-certificate": Intruder("it shows no certificate", _NO_CERTIFICATE, NOBODY),
    "tls-1-0": Intruder("it speaks TLS 1.0 alone", _VERSION, version=ssl.TLSVersion.TLSv1),
    "tls-1-1": Intruder("it speaks TLS 1.1 alone", _VERSION, version=ssl.TLSVersion.TLSv1_1),
    "cbc-sha1": Intruder(
        "it offers suites with CBC and SHA-1 alone",
        _SUITE,
        version=ssl.TLSVersion.TLSv1_2,
        ciphers="ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA",
    ),
    "no-encryption": Intruder(
        "it offers suites without encryption alone",
        _SUITE,
        version=ssl.TLSVersion.TLSv1_2,
        ciphers="ECDHE-ECDSA-NULL-SHA:ECDHE-RSA-NULL-SHA:NULL-SHA256",
    ),
}
"""Every intruder by name; those without alerts are refused by the protocol above TLS, as no known node."""


def context(own: Credentials, intruder: Intruder, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Return what an intruder connects with: it judges nobody, and has no scruples of its own.

    Raises:
        Skipped: there are no bad certificates beside the authority's; ``stepwedge certs`` makes them.
    """
    shown = own
    if intruder.certificate == NOBODY:
        shown = replace(own, certificate=None, key=None)
    elif intruder.certificate is not None:
        bad = own.ca.parent / "bad" / intruder.certificate
        if not bad.with_suffix(".pem").exists():
            raise Skipped(f"there is no {bad}.pem: bad certificates come with those of stepwedge certs")
        shown = replace(own, certificate=None, key=None)
    made = replace(shown, verify=False).client()
    made.set_ciphers(f"{intruder.ciphers or 'ALL:eNULL'}:@SECLEVEL=0")
    if intruder.certificate:
        made.load_cert_chain(bad.with_suffix(".pem"), bad.with_suffix(".key"))
    elif shown.certificate is not None:
        made.load_cert_chain(shown.certificate, shown.key)
    if only := version or intruder.version:
        made.minimum_version = made.maximum_version = only
    return made
