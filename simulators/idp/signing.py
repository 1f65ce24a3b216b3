"""Signing: keys that outlive a restart, published as a JWK Set (RFC 7517), replaced without anybody being turned away."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwk, jwt

from .state import SigningKey

if TYPE_CHECKING:
    from joserfc.jwk import Key

    from .state import Realm

ALGORITHMS: Final = ("ES256", "RS256")
ACCESS, ID = "at+jwt", "JWT"
"""Media types of access tokens (RFC 9068 section 2.1) and of ID tokens."""


class Signer:
    """Signs with the newest key of an algorithm; keys are rows of the realm."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._read: dict[str, Key] = {}

    def ready(self) -> None:
        """Make the first keys; inside ``bench.change``."""
        for algorithm in ALGORITHMS:
            if self._current(algorithm) is None:
                self._make(algorithm)

    def rotate(self, now: float) -> list[str]:
        """Retire the keys in use and make new ones; inside ``bench.change``. Return the new ones' names."""
        for name, key in list(self._realm.keys.items()):
            if not key.retired:
                self._realm.keys[name] = replace(key, retired=now)
        return [self._make(algorithm) for algorithm in ALGORITHMS]

    def forget(self, before: float) -> None:
        """Unpublish keys that were retired before a moment; inside ``bench.change``."""
        for name, key in list(self._realm.keys.items()):
            if key.retired and key.retired < before:
                del self._realm.keys[name]

    def sign(self, claims: dict[str, Any], algorithm: str, kind: str = ACCESS) -> str:
        """Return a signed token."""
        name = self._current(algorithm)
        if name is None:
            raise LookupError(f"no key for {algorithm}")
        return jwt.encode({"alg": algorithm, "typ": kind, "kid": name}, claims, self.key(name), [algorithm])

    def key(self, name: str) -> Key:
        """Return a key, private part and all."""
        if name not in self._read:
            row = self._realm.keys[name]
            told: Any = {"use": "sig", "alg": row.algorithm, "kid": name}
            self._read[name] = jwk.import_key(row.pem, "EC" if row.algorithm == "ES256" else "RSA", told)
        return self._read[name]

    def published(self) -> bytes:
        """Return the JWK Set: public parts of all keys, retired ones too as long as their tokens may live."""
        return json.dumps(
            {"keys": [self.key(name).as_dict(private=False) for name in self._realm.keys]}
        ).encode()

    def public(self) -> dict[str, Key]:
        """Return all keys by name, to verify with."""
        return {name: self.key(name) for name in self._realm.keys}

    def _current(self, algorithm: str) -> str | None:
        fresh = [
            name for name, key in self._realm.keys.items() if key.algorithm == algorithm and not key.retired
        ]
        return fresh[-1] if fresh else None

    def _make(self, algorithm: str) -> str:
        key: Any
        if algorithm == "ES256":
            key = jwk.ECKey.generate_key("P-256", private=True)
        else:
            key = jwk.RSAKey.generate_key(2048, private=True)
        name = str(key.thumbprint())  # RFC 7638
        self._realm.keys[name] = SigningKey(algorithm, key.as_pem(private=True))
        return name
