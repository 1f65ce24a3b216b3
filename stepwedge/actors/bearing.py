"""Web doors tried with bearer tokens, good ones and others (RFC 6750).

A question is a whole round: a good token is served, the bad one is tried, the good one is served again. Only then does the
failure of the bad one mean that it was refused.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from stepwedge.actors.asking import ASK_SECONDS
from stepwedge.clock import moment
from stepwedge.errors import Broken, Inconclusive, LinkLost, NoAnswer, Refused, Skipped
from stepwedge.evidence.exchange import Exchange
from stepwedge.model.identifiers import uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.actors.cast import Cast
    from stepwedge.actors.wallet import Wallet

DOORS: Final[dict[str, tuple[str, str]]] = {
    "qido-rs": ("GET", "/studies?PatientID=SW-NOBODY&limit=1"),
    "wado-rs": ("GET", f"/studies/{uid('nobody')}"),
    "stow-rs": ("POST", "/studies"),
    "fhir": ("GET", "/AuditEvent?_count=1"),
}
"""One harmless question at each door: nothing is found, nothing is stored."""
FORGED: Final = (
    "expired",
    "not-yet-valid",
    "wrong-audience",
    "wrong-issuer",
    "no-expiry",
    "alg-none",
    "hmac-with-public-key",
    "unknown-key",
    "bad-signature",
    "id-token",
    "unheard-of",
)
"""Tokens that only the issuer can make."""
KINDS: Final = (
    "none",
    "malformed",
    "other-scheme",
    *FORGED,
    "missing-scope",
    "reading-only",
    "wrong-role",
    "revoked",
    "held",
    "unentitled",
)
_NO: Final = {401, 403}
_EXPECTED: Final = {
    "none": (401, ""),
    "other-scheme": (401, ""),
    "missing-scope": (403, "insufficient_scope"),
    "reading-only": (403, "insufficient_scope"),
    "wrong-role": (403, "insufficient_scope"),
    "unentitled": (403, "insufficient_scope"),
}
"""Status and error code of RFC 6750 section 3.1; ``invalid_token`` unless said otherwise."""
_BODY_LIMIT: Final = 1 << 20
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """What a door answered.

    Attributes:
        challenge: WWW-Authenticate, its scheme under ``scheme``.
    """

    status: int
    challenge: dict[str, str]
    evidence: int
    body: bytes = b""

    @property
    def served(self) -> bool:
        """Tell whether whoever asked was let in, whatever the answer was."""
        return self.status not in _NO

    def __str__(self) -> str:
        told = ", ".join(
            f"{key} {value}" for key, value in self.challenge.items() if key != "error_description"
        )
        return f"HTTP {self.status}{f' ({told})' if told else ''}"


def wallet(cast: Cast) -> Wallet:
    """Return the probe's wallet; a lab without tokens has nobody to keep out."""
    if cast.tokens is None:
        raise Skipped("this lab has no tokens: its web doors ask nobody who they are")
    return cast.tokens


def ask(cast: Cast, actor: str, door: str, authorization: str, who: str, path: str = "") -> Answered:
    """Ask a door one harmless question; ``authorization`` is shown as it is, nothing when empty.

    ``path`` asks for something else there.
    """
    method, usual = DOORS[door]
    path = path or usual
    root = cast[actor].address.web
    if root is None:
        raise Broken(f"{actor} has no web address in the lab file")
    place = urlsplit(root)
    headers = {"Accept": "*/*", "User-Agent": f"Stepwedge/{cast.probe}", "Content-Length": "0"}
    headers |= {"Authorization": authorization} if authorization else {}
    began, ticks, outcome = moment(), time.monotonic(), "lost"
    seconds = ASK_SECONDS * cast.patience
    link = _link(cast, place, seconds)
    challenge: dict[str, str] = {}
    body = b""
    number = status = 0
    try:
        link.request(method, place.path + path, headers=headers)
        answer = link.getresponse()
        body = answer.read(_BODY_LIMIT)
        status, outcome = answer.status, str(answer.status)
        challenge = _challenge(answer.getheader("WWW-Authenticate") or "")
    except TimeoutError:
        outcome = "timeout"
        raise NoAnswer(f"{actor} did not answer within {seconds:g} s") from None
    except (OSError, http.client.HTTPException) as trouble:
        raise LinkLost(f"{actor}: {trouble!r}") from trouble
    finally:
        link.close()
        facts: dict[str, Any] = {"who": who, "door": door, "challenge": challenge}
        took, kind = time.monotonic() - ticks, f"{method} {path.partition('?')[0]}"
        number = cast.observe(
            Exchange(0, began, took, "probe", "out", "web", kind, actor, outcome, {}, facts)
        )
    return Answered(status, challenge, number, body)


def _link(cast: Cast, place: SplitResult, seconds: float) -> http.client.HTTPConnection:
    host = place.hostname or ""
    if place.scheme == "https":
        return http.client.HTTPSConnection(host, place.port, timeout=seconds, context=cast.context(tls=True))
    return http.client.HTTPConnection(host, place.port, timeout=seconds)


def _challenge(written: str) -> dict[str, str]:
    """Read ``Bearer realm="x", error="y"`` (RFC 9110 section 11.6.1)."""
    scheme, _, rest = written.partition(" ")
    told = parse_keqv_list([one for one in parse_http_list(rest) if "=" in one])
    return ({"scheme": scheme} if scheme else {}) | {key.lower(): value for key, value in told.items()}


def round_of(cast: Cast, actor: str, door: str, kind: str, user: str) -> tuple[Answered, Answered]:
    """Try a door with a token of a kind; return what it got and what a good one gets.

    Raises:
        Inconclusive: the good one is not served, so nothing is known of the other's reason.
    """
    good = f"Bearer {wallet(cast).bearer(str(cast[actor].address.web))}"
    before = _served(cast, actor, door, good, "before")
    tried = ask(cast, actor, door, _shown(cast, actor, door, kind, user), kind)
    _served(cast, actor, door, good, "after")
    return tried, before


def fault(tried: Answered, kind: str) -> str:
    """Return what is wrong with how a token was refused; empty when nothing is."""
    status, error = _EXPECTED.get(kind, (401, "invalid_token"))
    if tried.served:
        if tried.status >= _SERVER_ERROR:
            raise Inconclusive(f"the door did not say no but {tried}")
        return f"served: {tried}"
    if tried.status != status:
        return f"refused with {tried}, not {status}"
    if tried.challenge.get("scheme", "").lower() != "bearer":
        return f"{tried} without WWW-Authenticate: Bearer (RFC 6750 section 3)"
    if tried.challenge.get("error", "") != error:
        return f"{tried}, its error code not {error or 'left out'} (RFC 6750 section 3.1)"
    return ""


def _served(cast: Cast, actor: str, door: str, good: str, when: str) -> Answered:
    answered = ask(cast, actor, door, good, f"control {when}")
    if not answered.served or answered.status >= _SERVER_ERROR:
        raise Inconclusive(f"a good token is not served {when} the other: {answered}")
    return answered


def _shown(cast: Cast, actor: str, door: str, kind: str, user: str) -> str:
    """Return the Authorization of a kind."""
    resource = str(cast[actor].address.web)
    if kind in FORGED:
        return f"Bearer {forged(cast, kind, audience=resource)}"
    if kind == "wrong-role":
        role = {"role": "administrator", "scope": "user/*.cruds"}
        return f"Bearer {forged(cast, 'good', audience=resource, **role)}"
    if kind == "held":
        return f"Bearer {wallet(cast).tokens(user).access}"
    if kind == "unentitled":
        return f"Bearer {personal(cast, user, resource)}"
    make: dict[str, Callable[[], str]] = {
        "none": lambda: "",
        "malformed": lambda: "Bearer not.a.token",
        "other-scheme": lambda: "Basic cHJvYmU6cHJvYmU=",
        "missing-scope": lambda: _scoped(cast, "system/Observation.rs", resource),
        "reading-only": lambda: _scoped(cast, "system/*.rs", resource),
        "revoked": lambda: _revoked(cast, actor, door),
    }
    return make[kind]()


def launched(cast: Cast, actor: str, user: str, launch: str) -> str:
    """Return the token of an app that an EHR launched for one patient (SMART App Launch): it may see that one alone."""
    scope = "launch openid patient/*.rs"
    tokens = wallet(cast).sign_in(user, scope, str(cast[actor].address.web), launch=launch)
    if not tokens.patient:
        raise Refused("the token response names no patient (SMART App Launch, launch context)")
    return tokens.access


def personal(cast: Cast, user: str, resource: str) -> str:
    """Return the access token that a person holds; who holds none signs in for the door."""
    purse = wallet(cast)
    if user not in purse.held:
        purse.sign_in(user, resource=resource)
    return purse.tokens(user).access


def _scoped(cast: Cast, scope: str, resource: str) -> str:
    return f"Bearer {wallet(cast).fetch(scope, resource).access}"


def _revoked(cast: Cast, actor: str, door: str) -> str:
    """Return a token that was served once and then revoked (RFC 7009)."""
    purse = wallet(cast)
    token = purse.fetch("system/*.cruds", str(cast[actor].address.web)).access
    _served(cast, actor, door, f"Bearer {token}", "before it was revoked, with")
    with purse.oidc(purse.program()) as provider:
        provider.revoke(token)
    return f"Bearer {token}"


def forged(cast: Cast, kind: str, **args: str) -> str:
    """Return a token that only the issuer could make; a real one makes none for us."""
    issuer = cast[wallet(cast).issuer]
    if not issuer.simulated:
        raise Skipped(
            f"{issuer.name} is a real identity provider: nobody can have it sign a token that is {kind}"
        )
    return str(issuer.ask("forged", {"kind": kind, **args})["token"])
