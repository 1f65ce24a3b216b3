"""Passwords, one-time password secrets and client keys of people and programs that do not exist, derived from the seed.

Whoever knows the hospital's seed knows them all: they open the doors of simulated systems and nothing else. So the lab file
holds no secret, and the probe can sign in as anybody without being told.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (FIPS 186-5, SP 800-186): private keys are 1 to one less."""


def password(seed: int, user: str) -> str:
    """Return the password of a synthetic person."""
    return _text(seed, "password", user)


def totp_secret(seed: int, user: str) -> str:
    """Return the secret that a synthetic person's authenticator holds: 160 bits in base 32 (RFC 4226 section 4, R6)."""
    return base64.b32encode(_digest(seed, "totp", user)[:20]).decode("ascii")


def client_secret(seed: int, client: str) -> str:
    """Return the secret of a program that shows one to the identity provider."""
    return _text(seed, "client", client)


def client_key(seed: int, client: str) -> EllipticCurvePrivateKey:
    """Return the P-256 key of a program that signs assertions (RFC 7523)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    number = int.from_bytes(_digest(seed, "key", client), "big")
    return ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def _text(seed: int, kind: str, name: str) -> str:
    return base64.urlsafe_b64encode(_digest(seed, kind, name)[:24]).decode("ascii")


def _digest(seed: int, kind: str, name: str) -> bytes:
    return hashlib.sha256("\x1f".join(("credential", str(seed), kind, name)).encode()).digest()
