"""Judge access tokens: JSON Web Tokens (RFC 7519, RFC 9068) signed by somebody whose keys are published (RFC 7517). Sans-io.

Signatures are checked by joserfc; header and claims are read here, bounded, before any of it is believed. The first thing
found wrong is raised as :class:`TokenRefused` with a reason out of :data:`REASONS`; a wrong server forgives some of them.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Refused, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from joserfc.jwk import Key

ALGORITHMS: Final = ("ES256", "RS256")
"""What tokens may be signed with here: asymmetric ones alone (RFC 8725 section 3.1, SMART Backend Services)."""
LONGEST: Final = 8192
"""Characters of a token."""
MOST_KEYS: Final = 32
LARGEST_SET: Final = 1 << 18
"""Octets of a JWK Set."""
LEEWAY: Final = 5.0
"""Seconds by which clocks may differ."""
REASONS: Final = (
    "malformed",
    "algorithm",
    "key",
    "signature",
    "type",
    "issuer",
    "audience",
    "expired",
    "not-yet-valid",
)
_PARTS: Final = 3
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""RFC 9068 section 2.1, and what plain JWTs say of themselves; an ID token must not say ``at+jwt``, see :class:`Policy`."""


class TokenRefused(Refused):
    """A token that does not hold.

    Attributes:
        reason: one of :data:`REASONS`.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Policy:
    """What a token must be to be taken.

    Attributes:
        audience: one of these must be in ``aud``.
        types: media types of ``typ`` that are taken, in lower case; the empty text stands for none.
        leeway: seconds by which clocks may differ.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ALGORITHMS
    types: frozenset[str] = _TYPES
    leeway: float = LEEWAY


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that held.

    Attributes:
        scope: as granted, words separated by spaces.
        expires: seconds since the epoch.
        all: every claim.
    """

    subject: str
    client: str
    scope: str
    expires: float
    all: Mapping[str, Any] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the person; empty for a program."""
        return texts(self.all.get("roles"))

    @property
    def patient(self) -> str:
        """The patient in context (SMART App Launch)."""
        found = self.all.get("patient")
        return found if isinstance(found, str) else ""


def read_keys(document: bytes) -> dict[str, Key]:
    """Read a JWK Set into keys by ``kid``; keys that are private, symmetric or not for signing are left out."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    if len(document) > LARGEST_SET:
        raise RemoteProtocolError(f"a JWK Set of more than {LARGEST_SET} octets")
    try:
        members = json.loads(document)["keys"]
        if not isinstance(members, list) or len(members) > MOST_KEYS:
            raise RemoteProtocolError(f"a JWK Set must have a list of at most {MOST_KEYS} keys")
    except (ValueError, KeyError, TypeError, RecursionError) as trouble:
        raise RemoteProtocolError(f"no JWK Set (RFC 7517 section 5): {trouble!r}") from None
    found: dict[str, Key] = {}
    for one in members:
        if not isinstance(one, dict) or one.get("kty") not in {"EC", "RSA"} or "d" in one:
            continue
        if one.get("use", "sig") != "sig" or not isinstance(one.get("kid"), str):
            continue
        try:
            found[one["kid"]] = jwk.import_key(one)
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # RFC 7517 section 5: keys that are not understood are ignored
    return found


def verify(
    token: str,
    keys: Mapping[str, Key],
    policy: Policy,
    now: float,
    forgives: Callable[[str], bool] = lambda _reason: False,
) -> Claims:
    """Return what a token says, or raise :class:`TokenRefused` for the first thing wrong with it.

    Args:
        token: compact serialization.
        keys: the issuer's, by ``kid``.
        policy: what it must be.
        now: seconds since the epoch.
        forgives: told each reason; True lets the token go on to the next question, as a wrong server would.
    """
    header, claims = open_token(token)
    for reason, text in _problems(token, header, claims, keys, policy, now):
        if not forgives(reason):
            raise TokenRefused(reason, text)
    expires = claims.get("exp")
    return Claims(
        _text(claims.get("sub")),
        _text(claims.get("client_id") or claims.get("azp")),
        _text(claims.get("scope")),
        _seconds(expires, math.inf),
        claims,
    )


def open_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token without believing any of it."""
    if len(token) > LONGEST:
        raise TokenRefused("malformed", f"a token of more than {LONGEST} characters")
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise TokenRefused("malformed", f"{len(parts)} parts instead of three (RFC 7515 section 7.1)")
    return _mapping(parts[0], "header"), _mapping(parts[1], "claims")


def key_named(token: str) -> str:
    """Return the ``kid`` that a token says it is signed with; empty when it says none."""
    return _text(open_token(token)[0].get("kid"))


def _problems(
    token: str,
    header: dict[str, Any],
    claims: dict[str, Any],
    keys: Mapping[str, Key],
    policy: Policy,
    now: float,
) -> list[tuple[str, str]]:
    """Return what is wrong, as (reason, text), the signature first."""
    found = _signature_problems(token, header, keys, policy)
    kind = _text(header.get("typ")).lower()
    if kind not in policy.types:
        found.append(("type", f"typ is {kind or 'missing'}, not one of {', '.join(sorted(policy.types))}"))
    if claims.get("iss") != policy.issuer:
        found.append(("issuer", "issued by somebody else"))
    if not set(texts(claims.get("aud"))) & set(policy.audience):
        found.append(("audience", "made out to somebody else"))
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not _number(expires):
        found.append(("malformed", "no number in exp"))
    elif now >= _seconds(expires) + policy.leeway:
        found.append(("expired", "the token has expired"))
    if not _number(begins):
        found.append(("malformed", "no number in nbf"))
    elif now < _seconds(begins) - policy.leeway:
        found.append(("not-yet-valid", "the token is not valid yet"))
    return found


def _signature_problems(
    token: str, header: dict[str, Any], keys: Mapping[str, Key], policy: Policy
) -> list[tuple[str, str]]:
    from joserfc import jws
    from joserfc.errors import JoseError

    algorithm = header.get("alg")
    if algorithm not in policy.algorithms:
        return [("algorithm", f"not signed with one of {', '.join(policy.algorithms)}")]
    if "crit" in header:
        return [("malformed", "critical header parameters that nobody here understands (RFC 7515 4.1.11)")]
    key = keys.get(_text(header.get("kid")))
    if key is None or key.key_type != ("EC" if algorithm.startswith("ES") else "RSA"):
        return [("key", "signed with a key that the issuer does not publish")]
    try:
        jws.deserialize_compact(token, key, algorithms=list(policy.algorithms))
    except (JoseError, ValueError, TypeError, AttributeError) as trouble:
        return [("signature", f"the signature does not hold: {type(trouble).__name__}")]
    return []


def _mapping(part: str, what: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
        value = json.loads(raw.decode("utf-8"))
    except (ValueError, binascii.Error, RecursionError):
        raise TokenRefused("malformed", f"the {what} are no base64url of JSON") from None
    if not isinstance(value, dict):
        raise TokenRefused("malformed", f"the {what} are no JSON object")
    return value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _seconds(value: Any, otherwise: float = 0.0) -> float:
    return float(value) if _number(value) else otherwise


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def texts(value: Any) -> tuple[str, ...]:
    """Return a text or a list of texts as texts (``aud``, RFC 7519 section 4.1.3)."""
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
