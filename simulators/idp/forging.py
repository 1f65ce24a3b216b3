"""Tokens that must open no door, made with the provider's own keys where that is the point of them.

Only whoever signs can make a token that is good in everything but one thing; so a check that asks whether a door looks at
that one thing has to be given it. Nothing made here is kept: to introspection it is unknown, except where it should hold.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwk, jwt

from stepwedge.errors import BadInput
from stepwedge.model import credentials

from .state import Access, Grant

if TYPE_CHECKING:
    from .provider import Provider

ELSEWHERE: Final = "https://elsewhere.invalid"
_PAST: Final = 3600.0
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "good": {},
    "expired": {"exp": -_PAST, "iat": -2 * _PAST},
    "not-yet-valid": {"nbf": _PAST},
    "wrong-audience": {"aud": ELSEWHERE},
    "wrong-issuer": {"iss": ELSEWHERE},
    "no-expiry": {"exp": None},
}
"""Claims that differ; numbers are seconds from now, None leaves a claim out."""
KINDS: Final = (
    *CHANGES,
    "alg-none",
    "hmac-with-public-key",
    "unknown-key",
    "bad-signature",
    "id-token",
    "unheard-of",
)


def forge(provider: Provider, kind: str, args: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"token"}`` of a kind; ``args`` hold ``audience``, ``scope`` and, for a person, ``role``.

    The grant behind it is real, so that a door that introspects finds nothing wrong but what is wrong.
    """
    if kind not in KINDS:
        raise BadInput("forged: kind", f"one of {', '.join(KINDS)}", kind)
    claims = _claims(provider, args, kept=kind != "unheard-of")
    for name, change in CHANGES.get(kind, {}).items():
        if change is None:
            del claims[name]
        else:
            claims[name] = int(provider.now() + change) if isinstance(change, float) else change
    return {"token": _signed(provider, kind, claims)}


def _claims(provider: Provider, args: dict[str, Any], *, kept: bool) -> dict[str, Any]:
    realm, now = provider.realm, provider.now()
    scope, audience = str(args.get("scope") or "system/*.cruds"), str(args.get("audience") or provider.issuer)
    expires = now + provider.settings.access
    grant = Grant("probe", "", scope, (audience,), at=now, expires=expires)
    with provider.bench.change(realm):
        name = provider.open_grant(grant)
        claims = provider.claims(name, grant, scope)
        if kept:
            realm.accesses[claims["jti"]] = Access(name, claims["exp"])
        else:
            del realm.grants[name]
    if role := str(args.get("role") or ""):
        claims |= {"roles": [role], "sub": role}
    return claims


def _signed(provider: Provider, kind: str, claims: dict[str, Any]) -> str:
    good = provider.signer.sign(claims, provider.settings.signs)
    header, payload, signature = good.split(".")
    if kind == "alg-none":
        return f"{_part({'alg': 'none', 'typ': 'at+jwt'})}.{payload}."
    if kind == "bad-signature":
        return f"{header}.{_part(claims | {'scope': 'system/*.cruds', 'sub': 'somebody'})}.{signature}"
    name = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    if kind == "hmac-with-public-key":  # algorithm confusion: the published key taken for a shared secret
        key: Any = provider.signer.key(name)
        head = _part({"alg": "HS256", "typ": "at+jwt", "kid": name})
        mac = hmac.digest(key.as_pem(private=False), f"{head}.{payload}".encode(), "sha256")
        return f"{head}.{payload}.{_encoded(mac)}"
    if kind == "unknown-key":
        key = jwk.import_key(_pem(credentials.client_key(provider.realm.seed, "nobody")), "EC")
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "nobody"}, claims, key, ["ES256"])
    if kind == "id-token":
        return provider.signer.sign(claims | {"aud": claims["client_id"]}, "RS256", "JWT")
    return good


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
