"""An OpenID Connect and OAuth 2 client: what is sent and read (pure), and a blocking shell over httpx.

    with Oidc("http://127.0.0.1:8080", Client("probe", key=key)) as provider:
        tokens = provider.credentials("system/*.rs", resource="http://127.0.0.1:8081/dicom-web")

A definite no is :class:`OAuthRefused` with the protocol's error code; anything that is no answer is the error of the wire.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from stepwedge.errors import LinkLost, NoAnswer, Refused, RemoteProtocolError
from stepwedge.wire import tls
from stepwedge.wire.http_blocking import KEPT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType

    import httpx
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from joserfc.jwk import Key

ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIVES: Final = 240
"""Seconds; SMART Backend Services allows five minutes."""
LARGEST: Final = 1 << 20
"""Octets of an answer that are read."""
FORM: Final = "application/x-www-form-urlencoded"
_ERROR: Final = 400


class OAuthRefused(Refused):
    """The provider said no.

    Attributes:
        error: its error code (RFC 6749 section 5.2); empty when it gave none.
        status: HTTP status; 303 when the no came with a redirection.
    """

    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(
            f"HTTP {status} {error or 'without an error code'}{f': {description}' if description else ''}"
        )
        self.status, self.error, self.description = status, error, description


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to the provider: a secret or a key for what can keep one, neither for a public client."""

    name: str
    secret: str = field(default="", repr=False)
    key: EllipticCurvePrivateKey | None = field(default=None, repr=False)

    def proof(self, audience: str, now: float) -> tuple[dict[str, str], dict[str, str]]:
        """Return the form fields and the headers that say, and prove, who we are."""
        if self.key is not None:
            signed = assertion(self.key, self.name, audience, now)
            return {"client_assertion_type": ASSERTION, "client_assertion": signed}, {}
        if self.secret:
            pair = f"{quote_plus(self.name)}:{quote_plus(self.secret)}".encode()
            return {}, {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
        return {"client_id": self.name}, {}


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token response (RFC 6749 section 5.1); secrets are not shown."""

    access: str = field(repr=False)
    scope: str = ""
    expires_in: float = 0.0
    refresh: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    patient: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    """What stands beside the tokens and is text: the launch context (SMART App Launch)."""


def assertion(
    key: EllipticCurvePrivateKey,
    client: str,
    audience: str,
    now: float,
    number: str = "",
    lives: float = ASSERTION_LIVES,
) -> str:
    """Return a signed statement of a client about itself (RFC 7523 section 2.2); ``number`` is its ``jti``."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from joserfc import jwk, jwt

    claims = {
        "iss": client,
        "sub": client,
        "aud": audience,
        "iat": int(now),
        "exp": int(now + lives),
        "jti": number or uuid.uuid4().hex,
    }
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    told = {"alg": "ES256", "typ": "JWT", "kid": client}
    return jwt.encode(told, claims, jwk.import_key(pem, "EC"), ["ES256"])


def challenge(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def form(fields: Mapping[str, str]) -> bytes:
    """Return fields as ``application/x-www-form-urlencoded``."""
    return urlencode(fields).encode("ascii")


def read(body: bytes, place: str) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteProtocolError(f"{place}: no JSON") from None
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"{place}: no JSON object")
    return value


def read_tokens(status: int, body: bytes, place: str) -> Tokens:
    """Read the answer of a token endpoint."""
    refuse(status, body)
    told = read(body, place)
    access, kind = told.get("access_token"), told.get("token_type")
    if not isinstance(access, str) or not access or not isinstance(kind, str) or kind.lower() != "bearer":
        raise RemoteProtocolError(f"{place}: no bearer token (RFC 6749 section 5.1)")
    lives = told.get("expires_in", 0)
    text = {key: value for key, value in told.items() if isinstance(value, str)}
    return Tokens(
        access,
        text.get("scope", ""),
        float(lives) if isinstance(lives, int | float) else 0.0,
        text.get("refresh_token", ""),
        text.get("id_token", ""),
        text.get("patient", ""),
        {key: value for key, value in text.items() if not key.endswith("_token")},
    )


def refuse(status: int, body: bytes) -> None:
    """Raise what an answer that is a no says."""
    if status < _ERROR:
        return
    try:
        told = json.loads(body)
        error, description = str(told.get("error", "")), str(told.get("error_description", ""))
    except (ValueError, AttributeError, RecursionError):
        error, description = "", ""
    raise OAuthRefused(status, error[:100], description[:300])


@dataclass(frozen=True, slots=True)
class Code:
    """What the authorization endpoint gave, and what it takes to redeem it."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """What a person types in."""

    user: str
    password: str = field(repr=False)
    otp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def _bounded(answer: httpx.Response, place: str) -> _Answer:
    """Read an answer up to the limit."""
    body = bytearray()
    for piece in answer.iter_bytes(1 << 16):
        body += piece
        if len(body) > LARGEST:
            raise RemoteProtocolError(f"{place}: more than {LARGEST} octets")
    return _Answer(answer.status_code, answer.headers, bytes(body))


class Oidc:
    """One provider, as one client and its user's browser see it; it follows no redirect and knows no proxy."""

    def __init__(
        self, issuer: str, client: Client, *, timeout: float = 10.0, context: ssl.SSLContext | None = None
    ) -> None:
        """Talk to the provider at ``issuer``; ``context`` says whom to trust behind ``https``."""
        import httpx

        self.issuer = issuer.rstrip("/")
        self.client = client
        self._timeout = timeout
        self._http = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            verify=context or True,
            limits=httpx.Limits(keepalive_expiry=KEPT),
        )
        self._metadata: dict[str, Any] = {}

    def metadata(self) -> dict[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery 1.0 section 4); its issuer must be who was asked."""
        if not self._metadata:
            place = f"{self.issuer}/.well-known/openid-configuration"
            answer = self._call("GET", place)
            refuse(answer.status, answer.body)
            told = read(answer.body, place)
            if told.get("issuer") != self.issuer:
                raise RemoteProtocolError(f"{place}: the issuer is {told.get('issuer')!r}")
            self._metadata = told
        return self._metadata

    def endpoint(self, name: str) -> str:
        """Return where ``token``, ``authorization``, ``revocation`` or another endpoint is; always at the issuer's own host."""
        where = self.metadata().get(f"{name}_endpoint" if name != "jwks" else "jwks_uri")
        if not isinstance(where, str) or urlsplit(where).netloc != urlsplit(self.issuer).netloc:
            raise RemoteProtocolError(f"{self.issuer} names no {name} endpoint of its own")
        return where

    def keys(self) -> dict[str, Key]:
        """Return the keys that tokens are signed with."""
        from stepwedge.wire.tokens import read_keys

        answer = self._call("GET", self.endpoint("jwks"))
        refuse(answer.status, answer.body)
        return read_keys(answer.body)

    def resource(self, url: str, access: str) -> dict[str, Any]:
        """Return a resource that the provider itself serves, such as what ``fhirUser`` names; nowhere else is the token shown."""
        if urlsplit(url)[:2] != urlsplit(self.issuer)[:2]:
            raise RemoteProtocolError(f"{self.issuer}: {url[:200]!r} is at another host")
        answer = self._call("GET", url, headers={"Authorization": f"Bearer {access}"})
        refuse(answer.status, answer.body)
        return read(answer.body, url)

    # --- people

    def authorize(self, person: Person, scope: str, redirect: str, **changed: str | None) -> Code:
        """Sign a person in and return the code (RFC 6749 section 4.1).

        ``changed`` are parameters of the authorization request that are added or, with None, left out; ``person`` goes into
        the provider's form as ``username``, ``password`` and ``otp``.
        """
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(8)
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.name,
            "redirect_uri": redirect,
            "scope": scope,
            "state": state,
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            **changed,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        where = f"{self.endpoint('authorization')}?{query}"
        form = {"username": person.user, "password": person.password, "otp": person.otp}
        answer = self._call("POST", where, form)
        return Code(self._code(answer, state, str(asked["redirect_uri"])), verifier, redirect)

    def _code(self, answer: _Answer, state: str, redirect: str) -> str:
        target = str(answer.headers.get("location", ""))
        if answer.status not in {302, 303}:
            raise OAuthRefused(answer.status, "", "nobody was signed in")
        if not target.startswith(redirect):
            raise RemoteProtocolError(f"{self.issuer} sends the browser elsewhere")
        told = dict(parse_qsl(urlsplit(target).query))
        if "error" in told:
            raise OAuthRefused(answer.status, told["error"], told.get("error_description", ""))
        if told.get("state") != state or told.get("iss", self.issuer) != self.issuer or not told.get("code"):
            raise RemoteProtocolError(f"{self.issuer} answers an authorization request that was not ours")
        return told["code"]

    def redeem(self, code: Code, **changed: str) -> Tokens:
        """Exchange a code for tokens (RFC 6749 section 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code.code,
            "redirect_uri": code.redirect,
            "code_verifier": code.verifier,
        }
        return self._tokens({**form, **changed})

    def refresh(self, token: str, **changed: str) -> Tokens:
        """Exchange a refresh token for new tokens (RFC 6749 section 6)."""
        return self._tokens({"grant_type": "refresh_token", "refresh_token": token, **changed})

    def end_session(self) -> None:
        """End the browser's session (RP-Initiated Logout)."""
        answer = self._call("GET", self.endpoint("end_session"))
        refuse(answer.status, answer.body)

    # --- programs

    def credentials(self, scope: str, resource: str = "", **changed: str) -> Tokens:
        """Return tokens of our own (RFC 6749 section 4.4), made out to a resource server (RFC 8707)."""
        form = {"grant_type": "client_credentials", "scope": scope} | (
            {"resource": resource} if resource else {}
        )
        return self._tokens({**form, **changed})

    def _tokens(self, form: Mapping[str, str]) -> Tokens:
        where = self.endpoint("token")
        answer = self._proven(where, form)
        return read_tokens(answer.status, answer.body, where)

    def revoke(self, token: str) -> None:
        """Revoke a token (RFC 7009)."""
        answer = self._proven(self.endpoint("revocation"), {"token": token})
        refuse(answer.status, answer.body)

    def introspect(self, token: str) -> dict[str, Any]:
        """Ask what a token is worth (RFC 7662)."""
        where = self.endpoint("introspection")
        answer = self._proven(where, {"token": token})
        refuse(answer.status, answer.body)
        told = read(answer.body, where)
        if not isinstance(told.get("active"), bool):
            raise RemoteProtocolError(f"{where}: active is no boolean (RFC 7662 section 2.2)")
        return told

    def userinfo(self, token: str) -> dict[str, Any]:
        """Ask whose a token is (OpenID Connect Core section 5.3)."""
        where = self.endpoint("userinfo")
        answer = self._call("GET", where, headers={"Authorization": f"Bearer {token}"})
        refuse(answer.status, answer.body)
        return read(answer.body, where)

    def _proven(self, where: str, form: Mapping[str, str]) -> _Answer:
        fields, headers = self.client.proof(self.endpoint("token"), time.time())
        return self._call("POST", where, {**fields, **form}, headers)

    def _call(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        import httpx

        place = f"{method} {url.partition('?')[0]}"
        try:
            with self._http.stream(method, url, data=form, headers=headers) as answer:
                return _bounded(answer, place)
        except httpx.ConnectTimeout:
            raise LinkLost(f"{place}: no connection within {self._timeout:g} s") from None
        except httpx.TimeoutException:
            raise NoAnswer(f"{place}: no answer within {self._timeout:g} s") from None
        except httpx.NetworkError as trouble:
            raise tls.refusal(trouble, place) or LinkLost(
                f"{place}: {trouble or type(trouble).__name__}"
            ) from None
        except httpx.HTTPError as trouble:
            raise RemoteProtocolError(f"{place}: {trouble}") from None

    def close(self) -> None:
        """Close the connection and forget the browser's cookies."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
