"""The authorization endpoint: who asks for what, and what becomes of it (RFC 6749 section 4.1.1, RFC 7636, RFC 9207)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from stepwedge.evidence.redact import refusal

from . import people
from .oauth import OAuthError
from .state import Code, Grant, Session, hashed

if TYPE_CHECKING:
    from .oauth import Form
    from .provider import Provider
    from .settings import Client
    from .state import Launch, User

_CHALLENGE: Final = 43
"""Characters of a S256 challenge: base64url of 32 octets (RFC 7636 section 4.2)."""


class Page(Exception):
    """A request that must not send the browser anywhere: the person is told (RFC 6749 section 4.1.2.1)."""


class Denied(Exception):
    """Nobody signed in; ``why`` is for journal and audit trail alone, and ``locked`` tells that the account was locked for it."""

    def __init__(self, user: str, why: str, *, locked: bool) -> None:
        super().__init__(why)
        self.user, self.why, self.locked = user, why, locked


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorization request that may go on.

    Attributes:
        context: what else it was launched with: encounter, intent.
        patient: the patient it was launched with; empty when the person must choose or none is wanted.
    """

    client: Client
    redirect: str
    form: Form
    audience: tuple[str, ...] = ()
    patient: str = ""
    context: dict[str, str] = field(default_factory=dict)

    def back(self, issuer: str, **answer: str) -> str:
        """Return where the browser goes with the answer."""
        parts = urlsplit(self.redirect)
        told = {**answer, "iss": issuer} | ({"state": self.form["state"]} if self.form["state"] else {})
        query = "&".join(part for part in (parts.query, urlencode(told)) if part)
        return urlunsplit(parts._replace(query=query))


def who_asks(provider: Provider, form: Form) -> Asked:
    """Return the client and where to answer it; anything wrong here is told to the person alone."""
    client = provider.client(form["client_id"])
    if client is None or not client.redirects:
        raise Page("this app is not known here")
    redirect = form["redirect_uri"]
    if len(redirect) > 2000 or not provider.realm.habits.returns_to(client.redirects, redirect):  # noqa: PLR2004 - a URI
        raise Page("the address to return to is not one that is registered for this app")
    if urlsplit(redirect).scheme not in {"http", "https"} or any(sign.isspace() for sign in redirect):
        raise Page("the address to return to is none")
    return Asked(client, redirect, form)


def what_is_asked(provider: Provider, asked: Asked) -> Asked:
    """Judge the rest of a request; what is wrong goes back to the client."""
    form, client = asked.form, asked.client
    if form["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code")
    if "authorization_code" not in client.grants:
        raise OAuthError("unauthorized_client", "this client has no authorization_code")
    if "request" in form.fields or "request_uri" in form.fields:
        raise OAuthError("request_not_supported", "request objects are not supported")
    challenge, method = form["code_challenge"], form["code_challenge_method"]
    if provider.realm.habits.wants_challenge(challenge, method, public=client.public):
        raise OAuthError("invalid_request", "code_challenge with code_challenge_method S256 is required")
    if challenge and method == "S256" and len(challenge) != _CHALLENGE:
        raise OAuthError("invalid_request", "code_challenge is no base64url of a SHA-256")
    if not form["scope"].strip():
        raise OAuthError("invalid_scope", "scope is missing")
    audience = provider.audience(form.resources)
    launch = _launched(provider, form)
    if launch is None:
        return Asked(client, asked.redirect, form, audience)
    return Asked(client, asked.redirect, form, audience, launch.patient, launch.context)


def _launched(provider: Provider, form: Form) -> Launch | None:
    """Return what an EHR launched the app with."""
    if not form["launch"]:
        return None
    launch = provider.realm.launches.get(hashed(form["launch"]))
    if launch is None or launch.expires < provider.now():
        raise OAuthError("invalid_request", "launch is unknown or too old")
    return launch


def remembered(provider: Provider, cookie: str) -> tuple[str, User] | None:
    """Return the session a browser shows, and whose it is."""
    name = hashed(cookie) if cookie else ""
    session = provider.realm.sessions.get(name)
    if session is None or session.ended or session.expires < provider.now():
        return None
    user = provider.realm.users.get(session.user)
    return None if user is None or user.is_locked(provider.now()) else (name, user)


def sign_in(provider: Provider, given: tuple[str, str, str]) -> tuple[str, str, User]:
    """Begin a session for whoever proves to be somebody: return the cookie, its session and the person.

    The failure is counted and durable before :class:`Denied` is raised. The cookie is new each time, whatever the browser
    showed before: nobody can prepare a session for somebody else.
    """
    realm, now = provider.realm, provider.now()
    with provider.bench.change(realm):
        realm.prune(now)
        user, why = people.sign_in(realm, provider.settings, given, now)
        if user is not None:
            cookie = secrets.token_urlsafe(32)
            name = hashed(cookie)
            realm.sessions[name] = Session(user.name, now, now + provider.settings.session)
    if user is None:
        raise Denied(given[0], why, locked=why.endswith(people.LOCKED))
    return cookie, name, user


def allow(provider: Provider, asked: Asked, session: str, user: User, chosen: str = "") -> str:
    """Give the client a code for what the person may allow; return where the browser goes."""
    scope = provider.granted(asked.form["scope"], asked.client, user.role)
    if not scope:
        raise OAuthError("invalid_scope", "none of the scopes can be granted")
    patient = _context(provider, asked, scope, chosen)
    now, code = provider.now(), secrets.token_urlsafe(32)
    grant = Grant(
        asked.client.name,
        user.name,
        " ".join(scope),
        asked.audience,
        patient,
        session,
        now,
        now + provider.settings.refresh,
        asked.form["nonce"][:512],
        context=asked.context,
    )
    with provider.bench.change(provider.realm):
        provider.realm.prune(now)
        name = provider.open_grant(grant)
        provider.realm.codes[hashed(code)] = Code(
            name, asked.redirect, asked.form["code_challenge"], now + provider.settings.code
        )
    return asked.back(provider.issuer, code=code)


def _context(provider: Provider, asked: Asked, scope: list[str], chosen: str) -> str:
    """Return the patient in context; scopes of one patient need one."""
    patient = asked.patient or (chosen[:64] if "launch/patient" in scope else "")
    if why := refusal(provider.bench.identity, patients=[patient]):
        raise OAuthError("invalid_request", why)
    if not patient and any(word.startswith("patient/") for word in scope):
        raise OAuthError("invalid_request", "scopes of a patient, and no patient was chosen")
    return patient
