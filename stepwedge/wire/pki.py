"""A public key infrastructure for tests: an authority, a certificate for every actor, and the bad ones.

``make(folder, ["pacs", "ris"])`` writes PEM files whose names never change, and a README that says what each is. It is
for test systems alone: the authority's keys lie beside its certificates, so that more can be issued.

RFC 5280 is the profile of certificates and CRLs; the subject's names stand in the Subject Alternative Name, as
RFC 6125 and RFC 9525 ask.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Kind = Literal["ec", "rsa"]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
ORGANISATION: Final = "Stepwedge test"
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
DAYS: Final = 397
"""How long what is good stays good."""

BAD: Final[Mapping[str, str]] = {
    "expired": "ended a day ago",
    "not-yet-valid": "begins in a year",
    "wrong-name": "good, but for stranger.example alone: neither this host's name nor a known node's",
    "name-in-cn": "good, but its names stand in the Common Name alone (RFC 9525 section 2)",
    "unknown-ca": "issued by an authority that nobody trusts",
    "self-signed": "issued by itself",
    "revoked": "good, but on the authority's revocation list (crl.pem)",
    "weak-key": "an RSA key of 1024 bits",
    "weak-signature": "signed with SHA-1",
    "missing-intermediate": "good, but sent without the intermediate authority's certificate",
    "wrong-usage": "its Extended Key Usage allows code signing alone",
    "not-a-ca": "issued by an actor's certificate, which is no authority's (CA:FALSE)",
    "path-too-long": "issued by an authority below the intermediate one, which may have none below it (pathlen 0)",
}
"""What is wrong with each bad certificate, by the name of its file below ``bad/``."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, its key and the certificates to send along, the issuer's first."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a certificate shall say.

    Attributes:
        name: Common Name.
        names: Subject Alternative Names: host names and IP addresses.
        starts: days from now to its first moment; ``ends`` to its last.
        authority: pathlen of an authority, None for an end entity.
        usage: Extended Key Usage.
    """

    name: str
    names: Sequence[str] = ()
    starts: float = -1
    ends: float = DAYS
    authority: int | None = None
    usage: Sequence[x509.ObjectIdentifier] = (Usage.SERVER_AUTH, Usage.CLIENT_AUTH)


_ISSUING: Final = Wish(f"{ORGANISATION} intermediate", ends=5 * DAYS, authority=0)


class Authority:
    """A root and an intermediate authority that issue what is wished for."""

    def __init__(self, kind: Kind = "ec", now: datetime | None = None, name: str = "") -> None:
        self.kind, self.now = kind, now or datetime.now(UTC)
        self.root = self._issue(Wish(f"{ORGANISATION} {name}root", ends=10 * DAYS, authority=1), None)
        self.intermediate = self._issue(
            replace(_ISSUING, name=f"{ORGANISATION} {name}intermediate"), self.root
        )
        self._on_list: list[x509.RevokedCertificate] = []

    def issue(self, wish: Wish) -> Issued:
        """Issue a certificate."""
        return self._issue(wish, self.intermediate)

    def revoke(self, certificate: x509.Certificate) -> None:
        """Put a certificate on the list."""
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        entry = entry.revocation_date(self.now - timedelta(hours=1))
        self._on_list.append(
            entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False).build()
        )

    def lists(self) -> list[x509.CertificateRevocationList]:
        """Return the revocation lists of the root and of the intermediate authority."""
        return [self._list(self.root, []), self._list(self.intermediate, self._on_list)]

    def bad(self, what: str, name: str, names: Sequence[str]) -> Issued:
        """Issue a certificate that must be refused; why is in :data:`BAD`."""
        wish = Wish(name, names)
        changed = {
            "expired": replace(wish, starts=-DAYS, ends=-1),
            "not-yet-valid": replace(wish, starts=DAYS, ends=2 * DAYS),
            "wrong-name": Wish("stranger.example", ["stranger.example"]),
            "name-in-cn": Wish("localhost"),
            "wrong-usage": replace(wish, usage=[Usage.CODE_SIGNING]),
        }
        if what in changed:
            return self.issue(changed[what])
        if what not in BAD:
            raise BadInput("certificate", f"one of {', '.join(BAD)}", what)
        issued: Issued = getattr(self, f"_{what.replace('-', '_')}")(wish)
        return issued

    def _unknown_ca(self, wish: Wish) -> Issued:
        return Authority(self.kind, self.now, "other ").issue(wish)

    def _self_signed(self, wish: Wish) -> Issued:
        return self._issue(wish, None)

    def _revoked(self, wish: Wish) -> Issued:
        issued = self.issue(wish)
        self.revoke(issued.certificate)
        return issued

    def _weak_key(self, wish: Wish) -> Issued:
        return self._issue(wish, self.intermediate, rsa.generate_private_key(65537, 1024))  # noqa: S505 - weak on purpose

    def _weak_signature(self, wish: Wish) -> Issued:
        old = _new_key("rsa")
        return _signed_with_sha1(self._issue(wish, self._issue(_ISSUING, self.root, old)), old)

    def _missing_intermediate(self, wish: Wish) -> Issued:
        return replace(self.issue(wish), chain=())

    def _not_a_ca(self, wish: Wish) -> Issued:
        return self._issue(wish, self.issue(replace(wish, name="no authority")))

    def _path_too_long(self, wish: Wish) -> Issued:
        below = self._issue(replace(_ISSUING, name=f"{ORGANISATION} below"), self.intermediate)
        return self._issue(wish, below)

    def _issue(self, wish: Wish, issuer: Issued | None, key: Key | None = None) -> Issued:
        key = key or _new_key(self.kind)
        subject = _subject(wish.name)
        signer = issuer.key if issuer else key
        public = key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + timedelta(days=wish.starts))
            .not_valid_after(self.now + timedelta(days=wish.ends))
            .add_extension(x509.BasicConstraints(wish.authority is not None, wish.authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_key_usage(authority=wish.authority is not None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
        )
        if wish.authority is None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(wish.usage), critical=False)
        if wish.names:
            names = x509.SubjectAlternativeName([_general(name) for name in wish.names])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        above = issuer is not None and issuer.certificate.issuer != issuer.certificate.subject
        return Issued(certificate, key, (issuer.certificate, *issuer.chain) if issuer and above else ())

    def _list(self, issuer: Issued, revoked: list[x509.RevokedCertificate]) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(self.now - timedelta(days=1))
            .next_update(self.now + timedelta(days=DAYS))
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
            )
        )
        for entry in revoked:
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(issuer.key, hashes.SHA256())


def make(
    folder: Path,
    actors: Iterable[str],
    *,
    hosts: Sequence[str] = (),
    keys: Kind = "ec",
    now: datetime | None = None,
) -> list[Path]:
    """Write a whole PKI into a folder that has none, and return its files.

    Args:
        folder: made when it does not exist.
        actors: names that get ``NAME.pem`` and ``NAME.key``; the name is also one of the certificate's names, because
            that is what a container of the name is called on its network.
        hosts: further host names and addresses of all of them, besides localhost.
        keys: ``ec`` is P-256, quick to make; ``rsa`` is 2048 bits, for systems that know nothing else.
        now: when validity is counted from.

    Raises:
        BadInput: a PKI is there already, or a name cannot be a file's.
    """
    if (folder / "ca.pem").exists():
        raise BadInput(
            str(folder), "a folder without a PKI", "ca.pem", "name another folder, or use this one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(keys, now)
    written = [
        *_write(folder, "ca", authority.root),
        *_write(folder, "intermediate", authority.intermediate),
    ]
    for name in actors:
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or name in _TAKEN:
            raise BadInput("actor name", "letters, digits, - and _, and none of ours", name)
        written += _write(folder, name, authority.issue(Wish(name, [name, *LOCAL, *hosts])))
    bad = folder / "bad"
    bad.mkdir(exist_ok=True)
    for what in BAD:
        issued = authority.bad(what, what, ["intruder", *LOCAL, *hosts])
        written += _write(bad, what, issued)
    lists = folder / "crl.pem"
    lists.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in authority.lists()))
    readme = folder / "README.md"
    readme.write_text(
        _README + "".join(f"| `bad/{name}.pem` | {why} |\n" for name, why in BAD.items()), encoding="utf-8"
    )
    return [*written, lists, readme]


_TAKEN: Final = frozenset({"ca", "intermediate", "crl", "bad"})
_README: Final = """\
# A PKI for tests

Made by `stepwedge certs`. Trust `ca.pem` in test systems alone: its private key lies here, for everybody to see.

| file | is |
| --- | --- |
| `ca.pem` | the authority to trust; give it to every system |
| `intermediate.pem` | the authority that issued all else; every system sends it along |
| `crl.pem` | the revocation lists of both |
| `NAME.pem`, `NAME.key` | what the actor NAME presents, as server and as client: its certificate followed by the intermediate one, and its private key |
| `bad/*.pem`, `bad/*.key` | what must be refused: |
"""


def _write(folder: Path, name: str, issued: Issued) -> list[Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    encoding = serialization.Encoding.PEM
    certificate.write_bytes(
        b"".join(one.public_bytes(encoding) for one in (issued.certificate, *issued.chain))
    )
    private = issued.key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private)
    return [certificate, key]


def _new_key(kind: Kind) -> Key:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def _signed_with_sha1(issued: Issued, issuer: Key) -> Issued:
    """Sign a certificate again with SHA-1, which the library refuses to do: RFC 8017 A.2.4 gives both names one length."""
    assert isinstance(issuer, rsa.RSAPrivateKey)  # noqa: S101 - the caller made it
    certificate, now, then = (
        issued.certificate,
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05",
    )
    body = certificate.tbs_certificate_bytes.replace(now, then)
    signature = issuer.sign(body, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - weak on purpose
    whole = certificate.public_bytes(serialization.Encoding.DER).replace(now, then)
    return replace(
        issued, certificate=x509.load_der_x509_certificate(whole.replace(certificate.signature, signature))
    )


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
