"""Attempts at an identity provider that must fail, each after one that must succeed.

Every attempt is wrong in one thing alone, and what is wrong with it is what RFC 6749, 6238, 7523, 7636 and 9700 want refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.actors.bearing import wallet
from stepwedge.actors.wallet import APP, PERSONAL_SCOPE, PROGRAM_SCOPE, REDIRECT
from stepwedge.clock import moment
from stepwedge.errors import Inconclusive, WireError
from stepwedge.evidence.exchange import Exchange
from stepwedge.model import credentials
from stepwedge.wire.oidc import Client, OAuthRefused, assertion, challenge

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.actors.cast import Cast
    from stepwedge.actors.wallet import Wallet
    from stepwedge.wire.oidc import Tokens

FOREIGN: Final = "http://127.0.0.1.elsewhere.invalid/callback"
CONFIDENTIAL: Final = "portal"
_SERVER_ERROR: Final = 500
NOBODY, REQUEST, GRANT, CLIENT = "", "invalid_request", "invalid_grant", "invalid_client"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        error: the error code that must come back; empty when the person is asked again, without any.
        run: makes the attempt: ``(wallet, user, failures)``; returns when it was served.
        personal: whether it needs a person.
        fresh: whether the person signs in well before: not where what was held before is what is tried.
    """

    error: str
    run: Callable[[Wallet, str, int], object]
    personal: bool = True
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt: ``served`` when it was, else the refusal."""

    refused: OAuthRefused | None
    evidence: int


def attempt(cast: Cast, kind: str, user: str, failures: int) -> Outcome:
    """Make one attempt, after the same person or program was served.

    Raises:
        Inconclusive: whoever should be served was not, or the provider answered with a fault of its own.
    """
    purse, one = wallet(cast), ATTEMPTS[kind]
    if one.fresh:
        try:
            purse.sign_in(user) if one.personal else purse.fetch(PROGRAM_SCOPE, "")
        except OAuthRefused as trouble:
            raise Inconclusive(f"who should be let in is not: {trouble}") from trouble
    began, ticks, outcome = moment(), time.monotonic(), "served"
    refused: OAuthRefused | None = None
    try:
        one.run(purse, user, failures)
    except OAuthRefused as trouble:
        refused, outcome = trouble, str(trouble.status)
    except WireError:
        outcome = "lost"
        raise
    finally:
        took, facts = time.monotonic() - ticks, {"attempt": kind, "user": user, "error": str(refused or "")}
        number = cast.observe(
            Exchange(0, began, took, "probe", "out", "web", "sign in", purse.issuer, outcome, {}, facts)
        )
    if refused is not None and refused.status >= _SERVER_ERROR:
        raise Inconclusive(f"the provider did not say no but {refused}")
    return Outcome(refused, number)


def fault(outcome: Outcome, kind: str) -> str:
    """Return what is wrong with how an attempt was answered; empty when nothing is."""
    expected, refused = ATTEMPTS[kind].error, outcome.refused
    if refused is None:
        return "served"
    return "" if refused.error == expected else f"refused with {refused}, not {expected or 'by asking again'}"


def _typed(
    password: str | None, otp: Callable[[Wallet, str], str | None]
) -> Callable[[Wallet, str, int], object]:
    """Sign in with something else typed in."""

    def run(purse: Wallet, user: str, _: int) -> object:
        with purse.oidc(Client(APP)) as provider:
            return provider.authorize(
                purse.person(user, otp(purse, user), password), PERSONAL_SCOPE, REDIRECT
            )

    return run


def _right(_purse: Wallet, _user: str) -> None:
    return None


def _lockout(purse: Wallet, user: str, failures: int) -> object:
    """Fail as often as it takes, then do everything right."""
    for _ in range(failures):
        try:
            _WRONG_PASSWORD(purse, user, 0)
        except OAuthRefused:
            continue
        return "a wrong password"
    return _locked(purse, user, 0)


def _locked(purse: Wallet, user: str, _: int) -> object:
    """Do everything right."""
    try:
        return purse.sign_in(user)
    except OAuthRefused:
        purse.give_back(user)
        raise


_WRONG_PASSWORD: Final = _typed("not-the-password", lambda purse, user: purse.wrong_otp(user))


def _asking(**changed: str | None) -> Callable[[Wallet, str, int], object]:
    """Sign in well with another authorization request."""

    def run(purse: Wallet, user: str, _: int) -> object:
        with purse.oidc(Client(APP)) as provider:
            return purse.code(provider, user, PERSONAL_SCOPE, "", **changed)

    return run


def _redeeming(
    verifier: str | None = None, client: Client | None = None
) -> Callable[[Wallet, str, int], object]:
    """Redeem a good code as somebody who intercepted it could."""

    def run(purse: Wallet, user: str, _: int) -> object:
        with purse.oidc(Client(APP)) as provider:
            code = purse.code(provider, user)
        thief = client or Client(APP)
        if client is not None:
            thief = Client(client.name, credentials.client_secret(purse.seed, client.name))
        with purse.oidc(thief) as provider:
            return provider.redeem(code, **({"code_verifier": verifier} if verifier else {}))

    return run


def _code_twice(purse: Wallet, user: str, _: int) -> object:
    """Redeem a code twice; what the first brought must be over then (RFC 6749 section 4.1.2)."""
    with purse.oidc(Client(APP)) as provider:
        code = purse.code(provider, user)
        first = provider.redeem(code)
        return _twice(lambda: provider.redeem(code), lambda: provider.refresh(first.refresh))


def _refresh_twice(purse: Wallet, user: str, _: int) -> object:
    """Use a refresh token twice; the one that replaced it must be over then (RFC 9700 section 4.14.2)."""
    first = purse.tokens(user)
    with purse.oidc(Client(APP)) as provider:
        second = provider.refresh(first.refresh)
        return _twice(lambda: provider.refresh(first.refresh), lambda: provider.refresh(second.refresh))


def _twice(again: Callable[[], Tokens], after: Callable[[], Tokens]) -> object:
    try:
        again()
    except OAuthRefused as refused:
        first = refused
    else:
        return "the second time"
    try:
        after()
    except OAuthRefused:
        raise first from None
    return "the family lives on"


def _ended(purse: Wallet, user: str, _: int) -> object:
    """Sign out, and go on with the refresh token."""
    with purse.oidc(Client(APP)) as provider:
        tokens = provider.redeem(purse.code(provider, user))
        provider.end_session()
        return provider.refresh(tokens.refresh)


def _held(purse: Wallet, user: str, _: int) -> object:
    """Go on with what is held from before."""
    with purse.oidc(Client(APP)) as provider:
        return provider.refresh(purse.tokens(user).refresh)


def _secret(purse: Wallet, _user: str, _: int) -> object:
    with purse.oidc(Client("probe", "not-the-secret")) as provider:
        return provider.credentials(PROGRAM_SCOPE)


def _foreign_key(purse: Wallet, _user: str, _: int) -> object:
    with purse.oidc(Client("probe", key=credentials.client_key(purse.seed, "somebody else"))) as provider:
        return provider.credentials(PROGRAM_SCOPE)


def _asserting(lives: float, times: int = 1) -> Callable[[Wallet, str, int], object]:
    """Show an assertion of our own as often as that."""

    def run(purse: Wallet, _user: str, _: int) -> object:
        key = credentials.client_key(purse.seed, "probe")
        with purse.oidc(Client("")) as provider:
            signed = assertion(key, "probe", provider.endpoint("token"), time.time(), lives=lives)
            proof = {
                "client_id": "probe",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": signed,
            }
            return [provider.credentials(PROGRAM_SCOPE, **proof) for _ in range(times)]

    return run


ATTEMPTS: Final[dict[str, Attempt]] = {
    "wrong-password": Attempt(NOBODY, _typed("not-the-password", _right)),
    "wrong-totp": Attempt(NOBODY, _typed(None, lambda purse, user: purse.wrong_otp(user))),
    "no-totp": Attempt(NOBODY, _typed(None, lambda _purse, _user: "")),
    "replayed-totp": Attempt(NOBODY, _typed(None, lambda purse, user: purse.last_otp(user))),
    "lockout": Attempt(NOBODY, _lockout),
    "locked": Attempt(NOBODY, _locked, fresh=False),
    "no-pkce": Attempt(REQUEST, _asking(code_challenge=None, code_challenge_method=None)),
    "plain-pkce": Attempt(REQUEST, _asking(code_challenge=challenge("x"), code_challenge_method="plain")),
    "foreign-redirect": Attempt(NOBODY, _asking(redirect_uri=FOREIGN)),
    "wrong-verifier": Attempt(GRANT, _redeeming(verifier="x" * 43)),
    "foreign-code": Attempt(GRANT, _redeeming(client=Client(CONFIDENTIAL))),
    "reused-code": Attempt(GRANT, _code_twice),
    "reused-refresh": Attempt(GRANT, _refresh_twice),
    "signed-out": Attempt(GRANT, _ended),
    "held-refresh": Attempt(GRANT, _held, fresh=False),
    "wrong-secret": Attempt(CLIENT, _secret, personal=False),
    "foreign-key": Attempt(CLIENT, _foreign_key, personal=False),
    "replayed-assertion": Attempt(CLIENT, _asserting(240, times=2), personal=False),
    "old-assertion": Attempt(CLIENT, _asserting(-240), personal=False),
    "endless-assertion": Attempt(CLIENT, _asserting(86_400), personal=False),
}
