"""Bearer tokens at the web doors of simulated systems (RFC 6750), and how these get theirs: one place for both.

The lab file says it for all systems at once::

    tokens: {issuer: idp}

Then every web door asks for an access token that the issuer signed, made out to this door, not expired, not revoked, whose
scope and role cover what is asked for; and every system that calls a web door gets itself one (SMART Backend Services).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Refused, RemoteProtocolError, WireError
from stepwedge.model import credentials
from stepwedge.model.roles import RIGHTS
from stepwedge.sim.quirks import collect, quirk
from stepwedge.wire import oidc, smart, tokens
from stepwedge.wire.tokens import Policy, TokenRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from joserfc.jwk import Key
    from starlette.types import Scope, Send

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.web_client import Web
    from stepwedge.wire.tokens import Claims

SCOPE: Final = "system/*.cruds"
"""What programs of the lab ask for."""
EARLY: Final = 30.0
"""Seconds before its end that a token is renewed."""
KEYS_LIVE, KEYS_PAUSE = 300.0, 1.0
"""Seconds after which keys are read again, and between two readings that an unknown ``kid`` brings about."""
READING: Final = frozenset("rs")
"""What a token of one patient is good for."""
_OK, _UNAVAILABLE = 200, 503
_FORM: Final = {"Content-Type": oidc.FORM, "Accept": "application/json"}


class BearerHabits:
    """What a door decides about tokens."""

    def forgives(self, reason: str) -> bool:
        """Tell whether a request is served although something is wrong with its token.

        Reasons are those of :data:`stepwedge.wire.tokens.REASONS`, and ``missing revoked scope role patient``.
        """
        del reason
        return False

    def challenge(self, challenge: str) -> str:
        """Return what a refusal tells the client (WWW-Authenticate, RFC 6750 section 3)."""
        return challenge


@dataclass(frozen=True, slots=True)
class Wish:
    """``tokens`` of the settings.

    Attributes:
        issuer: the actor that issues them.
        audience: what tokens must be made out to; the door's own root URL when empty.
        introspect: ask the issuer about every token (RFC 7662), so that revocation counts at once.
        rights: role to rights.
    """

    issuer: str
    audience: str = ""
    introspect: bool = True
    rights: Mapping[str, str] = field(default_factory=lambda: dict(RIGHTS))

    @classmethod
    def read(cls, given: Any, name: str) -> Wish | None:
        """Read ``{issuer, audience, introspect, roles}``; None when there is nothing."""
        if not given:
            return None
        known = {"issuer", "audience", "introspect", "roles"}
        if not isinstance(given, dict) or set(given) - known or not isinstance(given.get("issuer"), str):
            raise BadInput(f"{name}.tokens", "{issuer: ACTOR, audience, introspect, roles}", repr(given))
        rights = RIGHTS | dict(given.get("roles") or {})
        return cls(
            given["issuer"], str(given.get("audience") or ""), bool(given.get("introspect", True)), rights
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        error: of RFC 6750 section 3.1; empty when no token came at all.
        scope: what would have been enough.
    """

    status: int
    error: str = ""
    why: str = ""
    scope: str = ""

    def challenge(self, realm: str) -> str:
        """Return the value of WWW-Authenticate."""
        told = {"realm": realm, "error": self.error, "error_description": self.why, "scope": self.scope}
        return "Bearer " + ", ".join(f'{key}="{value}"' for key, value in told.items() if value)


class Guard:
    """Judges the requests at one web door."""

    def __init__(self, bench: Bench, wish: Wish, root: str, web: Web, *, compartment: bool) -> None:
        """Judge for a door below ``root``; ``compartment`` ones serve tokens of one patient, see :func:`only_patient`."""
        self._bench = bench
        self._wish = wish
        self._root = root
        self._compartment = compartment
        self._issuer = Issuer(bench, wish.issuer, web)
        self._habits = bench.adopt(BearerHabits())

    async def judge(self, scope: Scope) -> Claims | Refusal | None:
        """Return what the token says, or why the request is not served; None when it needs no token."""
        method, path = scope["method"], scope["path"].removeprefix(self._root)
        need = smart.need_at(self._root, method, path)
        if need is None:
            return None
        written = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if len(written) > 1:
            return Refusal(400, "invalid_request", "more than one Authorization")
        kind, _, token = (written[0] if written else "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            return None if self._habits.forgives("missing") else Refusal(401)
        forgiven: list[str] = []

        def forgives(reason: str) -> bool:
            if self._habits.forgives(reason):
                forgiven.append(reason)
            return reason in forgiven

        try:
            claims = await self._held(token.strip(), forgives)
            if not forgiven and not await self._active(token.strip()) and not forgives("revoked"):
                return Refusal(401, "invalid_token", "the token was revoked")
        except TokenRefused as refused:
            return Refusal(401, "invalid_token", str(refused))
        except WireError as trouble:
            return Refusal(_UNAVAILABLE, why=f"tokens cannot be judged now: {type(trouble).__name__}")
        return self._allowed(scope, claims, need, forgives) or claims

    async def admits(self, scope: Scope, send: Send, facts: dict[str, Any]) -> bool:
        """Tell whether a request goes on to the application; one that does not is answered (RFC 6750 section 3)."""
        judged = await self.judge(scope)
        if not isinstance(judged, Refusal):
            facts |= {"user": judged.subject, "scope": judged.scope} if judged else {}
            return True
        facts["security"] = judged.why or "no token"
        body = f"{judged.why or 'a bearer token is needed'}\n".encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        if judged.status == _UNAVAILABLE:
            headers.append((b"retry-after", b"1"))
        elif challenge := self._habits.challenge(judged.challenge(self._bench.name)):
            headers.append((b"www-authenticate", challenge.encode("latin-1", "replace")))
        await send({"type": "http.response.start", "status": judged.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return False

    async def _held(self, token: str, forgives: Callable[[str], bool]) -> Claims:
        keys = await self._issuer.keys(tokens.key_named(token))
        audience = self._wish.audience or str(self._bench.directory.door(self._bench.name, "web"))
        policy = Policy(self._issuer.name, (audience,))
        return tokens.verify(token, keys, policy, self._bench.clock.now().timestamp(), forgives)

    async def _active(self, token: str) -> bool:
        return not self._wish.introspect or await self._issuer.active(token)

    def _allowed(
        self, scope: Scope, claims: Claims, need: smart.Need, forgives: Callable[[str], bool]
    ) -> Refusal | None:
        """Return why a good token is not enough: its scope, or the role of the person."""
        wanted = f"user/{need.what}.{need.does}"
        covering = {one.who for one in smart.scopes(claims.scope) if one.covers(need)}
        if not self._compartment or not claims.patient or need.does not in READING:
            covering.discard("patient")
        if not covering and not forgives("scope"):
            return Refusal(403, "insufficient_scope", "the scope does not cover this", wanted)
        if claims.roles and not self._role_allows(claims.roles, need) and not forgives("role"):
            return Refusal(403, "insufficient_scope", "the role may not do this", wanted)
        if covering == {"patient"} and not forgives("patient"):
            scope["stepwedge.patient"] = claims.patient
        return None

    def _role_allows(self, roles: tuple[str, ...], need: smart.Need) -> bool:
        rights = [right for role in roles for right in self._wish.rights.get(role, "").split()]
        return any(one.covers(need) for right in rights if (one := smart.Scope.parse(f"user/{right}")))


def only_patient(scope: Scope) -> str:
    """Return the one patient whose data a request may see; empty when its token is not limited to one.

    A door with ``compartment`` must ask this: what belongs to somebody else is not there (no other answer, either).
    """
    return str(scope.get("stepwedge.patient", ""))


class Issuer:
    """The issuer as one system of the lab knows it: its keys, its word about tokens, and a token of our own for each door."""

    def __init__(self, bench: Bench, actor: str, web: Web) -> None:
        self._bench = bench
        self._actor = actor
        self._web = web
        self._keys: dict[str, Key] = {}
        self._read = float("-inf")
        self._reading = asyncio.Lock()
        self._own: dict[str, tuple[str, float]] = {}

    @property
    def name(self) -> str:
        """The issuer identifier."""
        return str(self._bench.directory.door(self._actor, "web"))

    async def keys(self, wanted: str) -> dict[str, Key]:
        """Return the issuer's keys, read again when ``wanted`` is not among those we know."""
        async with self._reading:
            age = time.monotonic() - self._read
            if age > KEYS_LIVE or (wanted not in self._keys and age > KEYS_PAUSE):
                answer = await self._web.ask(self._actor, "GET", "/jwks")
                if answer.status != _OK:
                    raise Refused(f"{self._actor} answers {answer.status} when asked for its keys")
                self._keys = tokens.read_keys(answer.body)
                self._read = time.monotonic()
        return self._keys

    async def active(self, token: str) -> bool:
        """Ask whether a token still holds (RFC 7662)."""
        secret = credentials.client_secret(self._bench.seed, self._bench.name)
        _, headers = oidc.Client(self._bench.name, secret).proof(self.name, 0)
        body = oidc.form({"token": token})
        answer = await self._web.ask(
            self._actor, "POST", "/introspect", headers={**_FORM, **headers}, body=body, withheld=True
        )
        oidc.refuse(answer.status, answer.body)
        told = oidc.read(answer.body, f"{self._actor} /introspect")
        if not isinstance(told.get("active"), bool):
            raise RemoteProtocolError(f"{self._actor}: active is no boolean (RFC 7662 section 2.2)")
        return bool(told["active"])

    async def shown(self, url: str, *, renew: bool = False) -> dict[str, str]:
        """Return the header that shows a door a token of our own; none for what is no door of this lab (RFC 6750 section 5.3)."""
        addresses = self._bench.directory.values()
        doors = [door.rstrip("/") for one in addresses for door in (one.web, one.fhir) if door]
        resource = next((door for door in doors if url == door or url.startswith(f"{door}/")), "")
        return {"Authorization": f"Bearer {await self.token(resource, renew=renew)}"} if resource else {}

    async def token(self, resource: str, *, renew: bool = False) -> str:
        """Return a token of our own for a door, from the issuer when there is none that lasts."""
        kept, until = self._own.get(resource, ("", 0.0))
        now = self._bench.clock.now().timestamp()
        if kept and until > now and not renew:
            return kept
        key = credentials.client_key(self._bench.seed, self._bench.name)
        proof, _ = oidc.Client(self._bench.name, key=key).proof(f"{self.name}/token", now)
        form = {"grant_type": "client_credentials", "scope": SCOPE, "resource": resource, **proof}
        answer = await self._web.ask(
            self._actor, "POST", "/token", headers=_FORM, body=oidc.form(form), withheld=True
        )
        got = oidc.read_tokens(answer.status, answer.body, f"{self._actor} /token")
        self._own[resource] = got.access, now + got.expires_in - min(EARLY, got.expires_in / 2)
        return got.access

    async def close(self) -> None:
        """Close the connections to the issuer."""
        await self._web.close()


def _forgives(name: str, defect: str, severity: str, notices: str, *reasons: str) -> Any:
    """Declare the quirk of a door that does not mind some reasons."""

    def act(original: Callable[[str], bool], reason: str) -> bool:
        return original(reason) or reason in reasons

    return quirk(name, defect=defect, severity=severity, overrides=BearerHabits.forgives, notices=notices)(
        act
    )


not_asked = _forgives(
    "token.not_asked",
    "DEF-179",
    "S1",
    "whoever knows the archive's address reads patients' studies without signing in",
    "missing",
)
expired_accepted = _forgives(
    "token.expired_accepted", "not listed", "S1", "a token from last year still opens the archive", "expired"
)
early_accepted = _forgives(
    "token.early_accepted", "not listed", "S3", "a token opens the archive before its time", "not-yet-valid"
)
audience_ignored = _forgives(
    "token.audience_ignored",
    "not listed",
    "S1",
    "a token given to another system opens the archive as well",
    "audience",
)
issuer_ignored = _forgives(
    "token.issuer_ignored", "not listed", "S1", "another hospital's identity provider is believed", "issuer"
)
alg_none = _forgives(
    "token.alg_none",
    "not listed",
    "S1",
    "anybody can write a token for himself: without a signature, or with the published key for a secret",
    "algorithm",
)
signature_unchecked = _forgives(
    "token.signature_unchecked",
    "not listed",
    "S1",
    "a token whose owner changed its rights is taken",
    "signature",
    "key",
)
scope_ignored = _forgives(
    "token.scope_ignored", "not listed", "S1", "an app that may read reports stores images", "scope"
)
role_ignored = _forgives(
    "token.role_ignored", "not listed", "S1", "an administrator opens patients' images", "role"
)
patient_ignored = _forgives(
    "token.patient_ignored",
    "not listed",
    "S1",
    "a patient's app shows other patients' studies",
    "patient",
)
revoke_ignored = _forgives(
    "token.revoke_ignored",
    "DEF-185",
    "S1",
    "somebody who was signed out goes on reading until the token expires",
    "revoked",
)


@quirk(
    "token.no_challenge",
    defect="not listed",
    severity="S3",
    overrides=BearerHabits.challenge,
    notices="apps stop with an error where they should have the person sign in again (no WWW-Authenticate)",
)
def no_challenge(original: Callable[[str], str], challenge: str) -> str:
    """Say no without saying why."""
    return original(challenge)[:0]


QUIRKS: Final = collect(globals())
"""What any simulated system's web door can do wrong about tokens."""
