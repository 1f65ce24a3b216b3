"""What every endpoint of the identity provider stands on: who it is, whom it knows, and how tokens are made."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from joserfc import jwk

from stepwedge.model import credentials
from stepwedge.wire import smart, tokens

from . import practitioners
from .oauth import OAuthError
from .settings import program
from .signing import ID
from .state import Access, Grant, Refresh, Seen, hashed

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

    from .oauth import Form
    from .settings import Client, Settings
    from .signing import Signer
    from .state import Realm

PROBE: Final = "probe"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION: Final = 305.0
"""Seconds that an assertion may live: five minutes (SMART Backend Services), and what clocks may differ."""
OFFLINE: Final = frozenset({"offline_access", "online_access"})


@dataclass
class Provider:
    """One issuer."""

    bench: Bench
    realm: Realm
    settings: Settings
    signer: Signer

    @property
    def issuer(self) -> str:
        """The issuer identifier: the address of the web door."""
        return str(self.bench.directory.door(self.bench.name, "web"))

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self.bench.clock.now().timestamp()

    def client(self, name: str) -> Client | None:
        """Return a client that is known: of the settings, or an actor of the lab, or the probe."""
        if (found := self.settings.clients.get(name)) is not None:
            return found
        known = name == PROBE or (name in self.bench.directory and name != self.bench.name)
        return program(name) if known else None

    # --- who calls (RFC 6749 section 2.3, RFC 7523 section 2.2)

    def authenticate(self, form: Form, header: str) -> Client:
        """Return the client that sent a form; inside ``bench.change``, since an assertion is used up."""
        named, right = self._named(form, header)
        client = self.client(named)
        if client is None:
            raise _no_client()
        if client.public:
            if header or form["client_secret"] or form["client_assertion"]:
                raise _no_client()
            return client
        if not self.realm.habits.proves_client(right=right):
            raise _no_client()
        return client

    def _named(self, form: Form, header: str) -> tuple[str, bool]:
        """Return whom a form says to be from, and whether it proves it; one way of proof at a time."""
        ways = [bool(header), bool(form["client_secret"]), bool(form["client_assertion"])]
        if sum(ways) > 1:
            raise OAuthError("invalid_request", "more than one way of client authentication")
        if form["client_assertion"]:
            return self._asserted(form)
        name, secret = _basic(header) if header else (form["client_id"], form["client_secret"])
        if form["client_id"] not in {"", name}:
            raise OAuthError("invalid_request", "client_id differs from who authenticates")
        expected = credentials.client_secret(self.realm.seed, name)
        return name, bool(secret) and hmac.compare_digest(secret.encode(), expected.encode())

    def _asserted(self, form: Form) -> tuple[str, bool]:
        if form["client_assertion_type"] != ASSERTION:
            raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION}")
        assertion = form["client_assertion"]
        try:
            name = str(tokens.open_token(assertion)[1].get("sub", ""))
            key = credentials.client_key(self.realm.seed, name).public_key()
            keys = {tokens.key_named(assertion): jwk.import_key(_pem(key), "EC")}
            policy = tokens.Policy(
                name,
                (f"{self.issuer}/token", self.issuer),
                ("ES256",),
                types=frozenset({"jwt", ""}),
            )
            claims = tokens.verify(assertion, keys, policy, self.now())
        except tokens.TokenRefused:
            raise _no_client() from None
        if form["client_id"] not in {"", name}:
            raise OAuthError("invalid_request", "client_id differs from who authenticates")
        number = claims.all.get("jti")
        if not isinstance(number, str) or not number or claims.expires > self.now() + LONGEST_ASSERTION:
            raise _no_client()
        place = hashed(f"{name} {number}")
        if self.realm.habits.spent(used=place in self.realm.assertions):
            raise _no_client()
        self.realm.assertions[place] = Seen(claims.expires + tokens.LEEWAY)
        return name, True

    # --- what may be granted

    def granted(self, asked: str, client: Client, role: str = "") -> list[str]:
        """Return what of the scopes asked for client and role may have."""
        words = smart.words(asked)
        allowed = smart.narrow(words, client.scopes)
        if role:
            rights = self.settings.rights.get(role, "").split()
            limits = [f"{who}/{right}" for who in ("user", "patient") for right in rights]
            resource = [word for word in allowed if smart.Scope.parse(word)]
            allowed = [word for word in allowed if word not in resource] + smart.narrow(resource, limits)
        return self.realm.habits.grants(words, allowed)

    def audience(self, resources: tuple[str, ...]) -> tuple[str, ...]:
        """Return the resource servers a token is made out to (RFC 8707); all must be doors of this lab."""
        doors = ((address.web, address.fhir) for address in self.bench.directory.values())
        known = {door.rstrip("/") for pair in doors for door in pair if door}
        cleaned = tuple(one.rstrip("/") for one in resources)
        if strange := next((one for one in cleaned if one not in known), None):
            raise OAuthError("invalid_target", f"{strange[:200]} is no resource server here")
        return cleaned or (self.issuer,)

    # --- what is issued; all inside ``bench.change``

    def open_grant(self, grant: Grant) -> str:
        """Keep a grant; return its name."""
        name = uuid.uuid4().hex
        self.realm.grants[name] = grant
        return name

    def issue(self, name: str, scope: str = "") -> dict[str, Any]:
        """Return a token response for a grant (RFC 6749 section 5.1), ``scope`` narrower than the grant's when given."""
        grant, now = self.realm.grants[name], self.now()
        scope = scope or grant.scope
        claims = self.claims(name, grant, scope)
        self.realm.accesses[claims["jti"]] = Access(name, claims["exp"])
        told: dict[str, Any] = {
            "access_token": self.signer.sign(claims, self.settings.signs),
            "token_type": "Bearer",
            "expires_in": int(self.settings.access),
            "scope": scope,
        }
        words = set(grant.scope.split())
        if grant.user and words & OFFLINE:
            told["refresh_token"] = self._refresh(name, grant)
        if grant.user and "openid" in words:
            told["id_token"] = self.signer.sign(self._id_claims(grant, now), "RS256", ID)
        if grant.patient:
            told["patient"] = grant.patient
            told["need_patient_banner"] = True
        return self.realm.habits.context(told, grant.context)

    def claims(self, name: str, grant: Grant, scope: str) -> dict[str, Any]:
        """Return the claims of a new access token (RFC 9068 section 2.2)."""
        now = self.now()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": grant.user or grant.client,
            "aud": list(grant.audience) if len(grant.audience) > 1 else grant.audience[0],
            "client_id": grant.client,
            "scope": scope,
            "iat": int(now),
            "exp": int(now + self.settings.access),
            "jti": uuid.uuid4().hex,
            "grant": name,
        }
        if user := self.realm.users.get(grant.user):
            claims["roles"] = [user.role]
        if grant.patient:
            claims["patient"] = grant.patient
        return claims

    def _refresh(self, name: str, grant: Grant) -> str:
        token = secrets.token_urlsafe(32)
        until = grant.at + self.settings.refresh
        self.realm.refreshes[hashed(token)] = Refresh(name, until)
        return token

    def _id_claims(self, grant: Grant, now: float) -> dict[str, Any]:
        """Return the claims of an ID token (OpenID Connect Core section 2)."""
        session = self.realm.sessions.get(grant.session)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": grant.user,
            "aud": grant.client,
            "iat": int(now),
            "exp": int(now + self.settings.access),
            "auth_time": int(session.began if session else grant.at),
            "amr": ["pwd", "otp", "mfa"],  # RFC 8176
            "sid": hashed(grant.session)[:32],
            "roles": [self.realm.users[grant.user].role] if grant.user in self.realm.users else [],
        }
        if practitioners.SCOPE in grant.scope.split():
            claims["fhirUser"] = self.fhir_user(grant.user)
        return claims | ({"nonce": grant.nonce} if grant.nonce else {})

    def fhir_user(self, name: str) -> str:
        """Return the resource that is a person, as an absolute URL (SMART App Launch 2.2)."""
        return practitioners.url_of(self.issuer, self.realm.habits.is_user(name, list(self.realm.users)))


def _basic(header: str) -> tuple[str, str]:
    """Read ``Basic`` credentials, each part form-encoded (RFC 6749 section 2.3.1)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise _no_client()
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        raise _no_client() from None
    name, _, secret = text.partition(":")
    return unquote_plus(name), unquote_plus(secret)


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _no_client() -> OAuthError:
    return OAuthError("invalid_client", "the client is unknown or did not prove who it is", 401)
