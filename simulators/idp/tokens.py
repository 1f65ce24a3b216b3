"""The token endpoint, and what becomes of tokens afterwards: revocation (RFC 7009) and introspection (RFC 7662)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.wire import smart
from stepwedge.wire import tokens as wire

from .oauth import OAuthError
from .state import Grant, hashed

if TYPE_CHECKING:
    from .oauth import Form
    from .provider import Provider
    from .settings import Client
    from .state import Access, Refresh


def exchange(provider: Provider, client: Client, form: Form) -> dict[str, Any] | OAuthError:
    """Answer a token request; inside ``bench.change``.

    A refusal is returned, not raised, when what it found must stay: a family that was revoked.
    """
    kind = form.need("grant_type")
    answer = {
        "authorization_code": _code,
        "refresh_token": _refresh,
        "client_credentials": _program,
    }.get(kind)
    if answer is None:
        raise OAuthError("unsupported_grant_type", "authorization_code, refresh_token or client_credentials")
    if kind not in client.grants:
        raise OAuthError("unauthorized_client", f"this client has no {kind}")
    provider.realm.prune(provider.now())
    return answer(provider, client, form)


def _code(provider: Provider, client: Client, form: Form) -> dict[str, Any] | OAuthError:
    """RFC 6749 section 4.1.3; a code that comes twice revokes what came from it (4.1.2)."""
    place = hashed(form.need("code"))
    code = provider.realm.codes.get(place)
    grant = provider.realm.live(code.grant) if code else None
    if code is None or grant is None or grant.client != client.name or code.expires < provider.now():
        raise _no_grant("the code is unknown or has expired")
    if provider.realm.habits.spent(used=code.used):
        provider.realm.revoke(code.grant)
        return _no_grant("the code was used before; everything that came from it is revoked")
    if form["redirect_uri"] != code.redirect:
        raise _no_grant("redirect_uri differs from the one the code was sent to")
    verifier = form["code_verifier"]
    if code.challenge and not provider.realm.habits.proves(code.challenge, verifier):
        raise _no_grant("code_verifier does not belong to the code")
    if verifier and not code.challenge:
        raise _no_grant("a code_verifier for a code without a challenge")  # RFC 9700 section 2.1.1
    provider.realm.codes[place] = replace(code, used=True)
    return provider.issue(code.grant)


def _refresh(provider: Provider, client: Client, form: Form) -> dict[str, Any] | OAuthError:
    """RFC 6749 section 6, with rotation: each token once; one that comes again is stolen (RFC 9700 section 4.14.2)."""
    place = hashed(form.need("refresh_token"))
    token = provider.realm.refreshes.get(place)
    grant = provider.realm.live(token.grant) if token else None
    if token is None or grant is None or grant.client != client.name or token.expires < provider.now():
        raise _no_grant("the refresh token is unknown, revoked or has expired")
    if provider.realm.habits.refresh_spent(used=token.used):
        provider.realm.revoke(token.grant)
        return _no_grant("the refresh token was used before; everything that came from it is revoked")
    user = provider.realm.users.get(grant.user)
    if user is None or user.is_locked(provider.now()):
        raise _no_grant("the account is locked")
    scope = smart.words(form["scope"]) if form["scope"] else grant.scope.split()
    if smart.narrow(scope, grant.scope.split()) != scope:
        raise OAuthError("invalid_scope", "more than was granted")
    provider.realm.refreshes[place] = replace(token, used=True)
    return provider.issue(token.grant, " ".join(scope))


def _program(provider: Provider, client: Client, form: Form) -> dict[str, Any]:
    """RFC 6749 section 4.4, SMART Backend Services."""
    if client.public:
        raise OAuthError("unauthorized_client", "a public client cannot act on its own behalf")
    scope = provider.granted(form["scope"], client)
    if not scope:
        raise OAuthError("invalid_scope", "none of the scopes can be granted")
    now = provider.now()
    name = provider.open_grant(
        Grant(
            client.name,
            "",
            " ".join(scope),
            provider.audience(form.resources),
            at=now,
            expires=now + provider.settings.access,
        )
    )
    return provider.issue(name)


def revoke(provider: Provider, client: Client, form: Form) -> str:
    """Revoke a token (RFC 7009): return what it was, empty when nobody knows it; inside ``bench.change``.

    A refresh token takes its whole family along, an access token goes alone (section 2.1).
    """
    token = form.need("token")
    if (refresh := provider.realm.refreshes.get(hashed(token))) is not None:
        _own(provider, client, refresh.grant)
        provider.realm.revoke(refresh.grant)
        return "refresh_token"
    number, access = find_access(provider, token)
    if access is None:
        return ""
    _own(provider, client, access.grant)
    provider.realm.accesses[number] = replace(access, revoked=True)
    return "access_token"


def introspect(provider: Provider, form: Form) -> dict[str, Any]:
    """Tell whether a token is active, and what it says (RFC 7662 section 2.2); of one that is not, nothing more."""
    token = form.need("token")
    refresh = provider.realm.refreshes.get(hashed(token))
    number, found = ("", refresh) if refresh else find_access(provider, token)
    if found is None or found.expires < provider.now():
        return {"active": False}
    grant = provider.realm.grants.get(found.grant)
    if grant is None or not provider.realm.habits.active(revoked=revoked(provider, found)):
        return {"active": False}
    told: dict[str, Any] = {
        "active": True,
        "scope": grant.scope,
        "client_id": grant.client,
        "sub": grant.user or grant.client,
        "iss": provider.issuer,
        "exp": int(found.expires),
    }
    if refresh:
        return told
    claims = wire.open_token(token)[1]
    told |= {key: claims[key] for key in ("aud", "iat", "jti", "scope", "roles", "patient") if key in claims}
    return told | {"token_type": "Bearer", "jti": number} | ({"username": grant.user} if grant.user else {})


def revoked(provider: Provider, token: Access | Refresh) -> bool:
    """Tell whether a token was revoked, by itself, with its grant, with its session, or with the account it belongs to."""
    grant = provider.realm.live(token.grant)
    if grant is None:
        return True
    user = provider.realm.users.get(grant.user) if grant.user else None
    if grant.user and (user is None or user.is_locked(provider.now())):
        return True
    return token.used if hasattr(token, "used") else token.revoked


def find_access(provider: Provider, token: str) -> tuple[str, Access | None]:
    """Return number and row of an access token that is ours."""
    try:
        claims = wire.verify(token, provider.signer.public(), policy(provider, token), provider.now())
    except wire.TokenRefused:
        return "", None
    number = str(claims.all.get("jti", ""))
    return number, provider.realm.accesses.get(number)


def policy(provider: Provider, token: str) -> wire.Policy:
    """Return what a token of ours must be, whomever it is made out to."""
    named = wire.texts(wire.open_token(token)[1].get("aud"))
    return wire.Policy(provider.issuer, named, types=frozenset({"at+jwt"}))


def _own(provider: Provider, client: Client, grant: str) -> None:
    """Refuse a client that speaks of another one's token (RFC 7009 section 2.1)."""
    found = provider.realm.grants.get(grant)
    if found is not None and found.client != client.name:
        raise OAuthError("invalid_grant", "the token was issued to another client")


def _no_grant(why: str) -> OAuthError:
    return OAuthError("invalid_grant", why)
