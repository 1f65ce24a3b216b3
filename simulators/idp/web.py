"""The web door of the identity provider: bounded forms in, pages, redirects and JSON out, never a secret into the journal."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from stepwedge.sim.web import note
from stepwedge.wire import smart
from stepwedge.wire.tokens import TokenRefused

from . import authorization, discovery, people, practitioners, tokens
from .authorization import Denied, Page
from .oauth import LARGEST_FORM, Form, OAuthError
from .state import hashed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from .authorization import Asked
    from .provider import Provider
    from .state import Grant, User

COOKIE: Final = "stepwedge_session"
FORM: Final = "application/x-www-form-urlencoded"
_UNCACHED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_STRICT: Final = {
    **_UNCACHED,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_FACTS: Final = ("grant_type", "client_id", "scope", "response_type", "code_challenge_method", "prompt")
"""Parameters that may stand in the journal."""


class Web:
    """The endpoints."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def application(self) -> Starlette:
        """Return the ASGI application."""
        get: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/.well-known/openid-configuration", self._metadata),
            ("/.well-known/oauth-authorization-server", self._metadata),
            ("/.well-known/smart-configuration", self._smart),
            ("/jwks", self._jwks),
            ("/authorize", self._authorize),
            ("/end_session", self._end_session),
            ("/userinfo", self._userinfo),
            ("/fhir/Practitioner/{id}", self._practitioner),
        ]
        post: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/authorize", self._sign_in),
            ("/token", self._token),
            ("/revoke", self._revoke),
            ("/introspect", self._introspect),
            ("/userinfo", self._userinfo),
            ("/end_session", self._end_session),
        ]
        return Starlette(
            routes=[
                *(Route(path, handler, methods=["GET"]) for path, handler in get),
                *(Route(path, handler, methods=["POST"]) for path, handler in post),
            ],
            exception_handlers={OAuthError: _refused, Page: _page},
        )

    # --- what is published

    async def _metadata(self, _: Request) -> Response:
        return _json(discovery.document(self._provider.issuer), cached=True)

    async def _smart(self, _: Request) -> Response:
        return _json(discovery.smart(self._provider.issuer), cached=True)

    async def _jwks(self, _: Request) -> Response:
        return Response(self._provider.signer.published(), media_type="application/jwk-set+json")

    # --- people

    async def _authorize(self, request: Request) -> Response:
        asked, problem = self._asked(request)
        if problem is not None:
            return self._back(asked, problem)
        prompt = asked.form["prompt"].split()
        known = authorization.remembered(self._provider, request.cookies.get(COOKIE, ""))
        wants_patient = "launch/patient" in asked.form["scope"].split() and not asked.patient
        if known is None or "login" in prompt or wants_patient:
            if "none" in prompt:
                return self._back(asked, OAuthError("login_required", "nobody is signed in"))
            return HTMLResponse(_form(asked, wants_patient=wants_patient), headers=_STRICT)
        try:
            return _go(authorization.allow(self._provider, asked, *known))
        except OAuthError as trouble:
            return self._back(asked, trouble)

    async def _sign_in(self, request: Request) -> Response:
        asked, problem = self._asked(request)
        form = await _posted(request)
        if problem is not None:
            return self._back(asked, problem)
        given = (form["username"], form["password"], form["otp"].replace(" ", ""))
        facts = note(request.scope).facts
        facts["user"] = given[0][:64]
        trail = self._provider.bench.trail
        try:
            cookie, session, user = authorization.sign_in(self._provider, given)
        except Denied as denied:
            facts["denied"] = denied.why
            self._tell(denied)
            wants_patient = "launch/patient" in asked.form["scope"].split() and not asked.patient
            return HTMLResponse(_form(asked, people.BAD, wants_patient=wants_patient), 401, headers=_STRICT)
        if trail is not None:
            trail.authentication(user.name, good=True)
        try:
            answer = _go(authorization.allow(self._provider, asked, session, user, form["patient"]))
        except OAuthError as trouble:
            answer = self._back(asked, trouble)
        secure = self._provider.issuer.startswith("https:")
        lifetime = int(self._provider.settings.session)
        answer.set_cookie(COOKIE, cookie, lifetime, path="/", secure=secure, httponly=True, samesite="lax")
        return answer

    def _tell(self, denied: Denied) -> None:
        """Report an attempt to sign in, and that it locked the account (PS3.15 A.5.3.12, A.5.3.11)."""
        if (trail := self._provider.bench.trail) is not None:
            trail.authentication(denied.user[:64] or "?", good=False, why=denied.why)
            if denied.locked:
                trail.locked(denied.user[:64], denied.why)

    def _asked(self, request: Request) -> tuple[Asked, OAuthError | None]:
        """Return the authorization request, and what is wrong with it once it is clear where to say so."""
        facts = note(request.scope).facts
        try:
            form = Form.of(request.query_params.multi_items())
        except OAuthError as trouble:
            raise Page(trouble.description) from None
        facts.update(_told(form))
        asked = authorization.who_asks(self._provider, form)
        try:
            return authorization.what_is_asked(self._provider, asked), None
        except OAuthError as trouble:
            facts["error"] = str(trouble)
            return asked, trouble

    def _back(self, asked: Asked, trouble: OAuthError) -> Response:
        said = {"error": trouble.error, "error_description": trouble.description}
        return _go(asked.back(self._provider.issuer, **said))

    async def _end_session(self, request: Request) -> Response:
        """End the browser's session (OpenID Connect RP-Initiated Logout 1.0)."""
        posted = request.method == "POST"
        form = await _posted(request) if posted else Form.of(request.query_params.multi_items())
        note(request.scope).facts["query"] = ""  # holds an ID token
        provider = self._provider
        cookie = request.cookies.get(COOKIE, "")
        name = hashed(cookie) if cookie else ""
        session = provider.realm.sessions.get(name)
        with provider.bench.change(provider.realm):
            ended = provider.realm.end(name)
        if ended and session is not None and provider.bench.trail is not None:
            provider.bench.trail.authentication(session.user, good=True, out=True)
        answer = self._signed_out(form)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    def _signed_out(self, form: Form) -> Response:
        target, client = form["post_logout_redirect_uri"], self._provider.client(form["client_id"])
        known = client is not None and self._provider.realm.habits.returns_to(client.redirects, target)
        if target and known:
            state = f"?state={form['state']}" if form["state"].isalnum() else ""
            return _go(target + state)
        return HTMLResponse(_html("Signed out", "<p>You are signed out.</p>"), headers=_STRICT)

    # --- programs

    async def _token(self, request: Request) -> Response:
        form = await _posted(request)
        note(request.scope).facts.update(_told(form))
        provider = self._provider
        with provider.bench.change(provider.realm):
            client = provider.authenticate(form, request.headers.get("authorization", ""))
            answer = tokens.exchange(provider, client, form)
        if isinstance(answer, OAuthError):
            raise answer
        facts = note(request.scope).facts
        facts |= {"client_id": client.name, "granted": answer["scope"]}
        return _json(answer)

    async def _revoke(self, request: Request) -> Response:
        form = await _posted(request)
        provider = self._provider
        with provider.bench.change(provider.realm):
            client = provider.authenticate(form, request.headers.get("authorization", ""))
            what = tokens.revoke(provider, client, form)
        note(request.scope).facts |= {"client_id": client.name, "revoked": what}
        return Response(b"", headers=_UNCACHED)

    async def _introspect(self, request: Request) -> Response:
        form = await _posted(request)
        provider = self._provider
        with provider.bench.change(provider.realm):
            client = provider.authenticate(form, request.headers.get("authorization", ""))
        if client.public:
            raise OAuthError("invalid_client", "introspection is for clients that prove who they are", 401)
        told = tokens.introspect(provider, form)
        note(request.scope).facts |= {"client_id": client.name, "active": told["active"]}
        return _json(told)

    async def _userinfo(self, request: Request) -> Response:
        """Say who somebody is (OpenID Connect Core section 5.3)."""
        found = self._bearer(request, "userinfo", "openid")
        if isinstance(found, Response):
            return found
        user, grant = found
        told = {"sub": user.name, "name": user.name, "roles": [user.role]}
        if practitioners.SCOPE in smart.words(grant.scope):
            told["fhirUser"] = self._provider.fhir_user(user.name)
        return _json(told)

    async def _practitioner(self, request: Request) -> Response:
        """Give a person as a Practitioner to an app that the person is signed in to (SMART App Launch 2.2, ``fhirUser``)."""
        found = self._bearer(request, "fhir", practitioners.SCOPE)
        if isinstance(found, Response):
            return found
        person = practitioners.find(self._provider.realm.users.values(), request.path_params["id"])
        if person is None:
            issue = {"severity": "error", "code": "not-found"}
            return _fhir({"resourceType": "OperationOutcome", "issue": [issue]}, 404)
        return _fhir(practitioners.resource(self._provider.issuer, person))

    def _bearer(self, request: Request, realm: str, scope: str) -> tuple[User, Grant] | Response:
        """Return who shows a token of a scope, and the grant it comes from; else what to answer."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return Response(b"", 401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})
        provider = self._provider
        try:
            _, access = tokens.find_access(provider, token.strip())
        except TokenRefused:
            access = None
        grant = provider.realm.grants.get(access.grant) if access else None
        if access is None or grant is None or tokens.revoked(provider, access):
            return Response(b"", 401, {"WWW-Authenticate": f'Bearer realm="{realm}", error="invalid_token"'})
        user = provider.realm.users.get(grant.user)
        if user is None or scope not in smart.words(grant.scope):
            challenge = f'Bearer realm="{realm}", error="insufficient_scope", scope="{scope}"'
            return Response(b"", 403, {"WWW-Authenticate": challenge})
        return user, grant


def _fhir(resource: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(resource), status, _UNCACHED, media_type="application/fhir+json")


async def _posted(request: Request) -> Form:
    """Read a form, bounded; what it holds stays out of the journal."""
    note(request.scope).withheld = True
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"a body of {FORM} is expected")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            raise OAuthError("invalid_request", f"a form of more than {LARGEST_FORM} octets", 413)
    try:
        return Form.parse(body.decode("ascii"))
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "the form is not percent-encoded") from None


def _told(form: Form) -> dict[str, Any]:
    return {name: form[name][:512] for name in _FACTS if form[name]}


async def _refused(request: Request, trouble: Exception) -> Response:
    assert isinstance(trouble, OAuthError)  # noqa: S101 - registered for it
    note(request.scope).facts["error"] = str(trouble)
    answer = _json({"error": trouble.error, "error_description": trouble.description}, trouble.status)
    if trouble.status == 401:  # noqa: PLR2004 - RFC 6749 section 5.2
        answer.headers["WWW-Authenticate"] = 'Basic realm="token"'
    return answer


async def _page(request: Request, trouble: Exception) -> Response:
    note(request.scope).facts["error"] = str(trouble)
    return HTMLResponse(_html("Not possible", f"<p>{escape(str(trouble))}</p>"), 400, headers=_STRICT)


def _go(where: str) -> Response:
    return RedirectResponse(where, 303, headers=_UNCACHED)


def _json(value: dict[str, Any], status: int = 200, *, cached: bool = False) -> Response:
    headers = {} if cached else _UNCACHED
    return Response(json.dumps(value).encode(), status, headers, "application/json")


def _form(asked: Asked, problem: str = "", *, wants_patient: bool = False) -> str:
    """Return the page to sign in on; it posts to the address it came from."""
    said = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    patient = '<label>Patient ID <input name="patient" maxlength="64"></label>' if wants_patient else ""
    name = escape(asked.form["login_hint"][:64], quote=True)
    return _html(
        "Sign in",
        f'{said}<form method="post"><p>{escape(asked.client.name)} asks for: {escape(asked.form["scope"][:512])}</p>'
        f'<label>User name <input name="username" value="{name}" autocomplete="username"></label>'
        '<label>Password <input name="password" type="password" autocomplete="current-password"></label>'
        '<label>One-time password <input name="otp" inputmode="numeric" autocomplete="one-time-code"></label>'
        f"{patient}<button>Sign in</button></form>",
    )


def _html(title: str, body: str) -> str:
    style = "label{display:block;margin:.5em 0}body{font-family:sans-serif;max-width:30em;margin:2em auto}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        f"<body><h1>{title}</h1>{body}</body></html>"
    )
