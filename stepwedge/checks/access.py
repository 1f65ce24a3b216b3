"""Who is let in: tokens at web doors (RFC 6750), and sign-in at the identity provider (OpenID Connect, OAuth 2)."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import bearing, signing_in
from stepwedge.actors.words import did_you_mean
from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, look, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import BadInput
from stepwedge.model.identifiers import uid
from stepwedge.wire import smart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DOORS: Final = {"qido-rs": "qido-rs", "wado-rs": "wado-rs", "stow-rs": "stow-rs", "fhir": "atna"}


@check(
    "access.granted",
    says="the web door serves whoever may be served",
    ihe="RFC 6750",
    observes="wire",
    place="from",
    doors=_DOORS,
    where=only("user"),
    is_=only("status"),
    requires=("tokens",),
)
def granted(question: Question) -> Look:
    """Ask each door with a good token: of ``where: {user}``, who signs in for it, or of the probe itself.

    A person who holds a token goes on with it, so that a second look is no second sign-in.
    """
    cast, actor, user = question.cast, question.from_, _user(question)
    purse, resource = bearing.wallet(cast), str(cast[actor].address.web)
    token = bearing.personal(cast, user, resource) if user else purse.bearer(resource)
    candidates, differences = [], []
    for door in question.through or tuple(_DOORS)[:1]:
        answered = bearing.ask(cast, actor, door, f"Bearer {token}", user or "probe")
        label = f"{user or 'probe'} at {door} of {actor}"
        if not answered.served:
            differences.append(Difference(label, "served", str(answered)))
        value = {"status": answered.status}
        candidates.append(Candidate(f"{label}: {answered}", value, (answered.evidence,)))
    found = look(candidates, {}, question.is_, what="answers")
    return found if not differences else Look([], differences, seen=len(candidates), evidence=found.evidence)


@check(
    "access.refused",
    says="the web door serves nobody whose token is not good, and says why",
    ihe="RFC 6750",
    observes="wire",
    place="from",
    doors=_DOORS,
    where=only("bearer", "user"),
    chosen_by=("bearer",),
    requires=("tokens",),
)
def refused(question: Question) -> Look:
    """Ask each door with a good token, with one of ``where: {bearer: KIND}``, and with the good one again.

    Kinds: ``none``, ``malformed``, ``other-scheme``; tokens the provider signs for this alone: ``expired``, ``not-yet-valid``,
    ``wrong-audience``, ``wrong-issuer``, ``no-expiry``, ``alg-none``, ``hmac-with-public-key``, ``unknown-key``,
    ``bad-signature``, ``id-token``, ``unheard-of``; ``missing-scope``, ``reading-only`` (at ``stow-rs``), ``wrong-role``,
    ``revoked``; ``held``: what ``user`` holds since signing in and what must not hold any longer; ``unentitled``: what ``user``
    holds and what holds, but not for this.
    """
    kind = _kind(question.where["bearer"], bearing.KINDS, "access.refused bearer")
    results = []
    for door in question.through or tuple(_DOORS)[:1]:
        tried, served = bearing.round_of(question.cast, question.from_, door, kind, _user(question))
        label = f"{kind} at {door} of {question.from_}"
        results.append((label, bearing.fault(tried, kind), str(tried), (served.evidence, tried.evidence)))
    return _judged(results)


@check(
    "access.one_patient",
    says="an app that was launched for one patient sees that patient's studies and nobody else's",
    ihe="RFC 6750",
    observes="wire",
    place="from",
    where=only("user", "launch", "study", "foreign"),
    chosen_by=("launch",),
    requires=("tokens", "sign-in"),
)
def one_patient(question: Question) -> Look:
    """Open ``study`` and another patient's one, ``foreign``, with the token of an app launched by ``idp.launch``.

    The other one must look like one that does not exist: found by no search, and answered alike.
    """
    cast, actor, where = question.cast, question.from_, question.where
    token = bearing.launched(cast, actor, _user(question), str(where["launch"]))
    shown = {
        name: bearing.ask(cast, actor, door, f"Bearer {token}", name, path)
        for name, door, path in (
            ("own study, searched", "qido-rs", f"/studies?StudyInstanceUID={where['study']}"),
            ("own study, opened", "wado-rs", f"/studies/{where['study']}/metadata"),
            ("foreign study, searched", "qido-rs", f"/studies?StudyInstanceUID={where['foreign']}"),
            ("foreign study, opened", "wado-rs", f"/studies/{where['foreign']}/metadata"),
            ("no study, searched", "qido-rs", f"/studies?StudyInstanceUID={uid('nobody')}"),
            ("no study, opened", "wado-rs", f"/studies/{uid('nobody')}/metadata"),
        )
    }
    wrong = [
        Difference(f"own study, {how}", "HTTP 200", str(shown[f"own study, {how}"]))
        for how in ("searched", "opened")
        if shown[f"own study, {how}"].status != HTTPStatus.OK
    ]
    for how in ("searched", "opened"):
        foreign, nothing = shown[f"foreign study, {how}"], shown[f"no study, {how}"]
        if (foreign.status, foreign.body) != (nothing.status, nothing.body):
            wrong.append(
                Difference(f"foreign study, {how}", f"as one that is not there, {nothing}", str(foreign))
            )
    evidence = tuple(one.evidence for one in shown.values())
    seen = Candidate("; ".join(f"{name}: {one}" for name, one in shown.items()), None, evidence)
    return Look([] if wrong else [seen], wrong, seen=len(shown), evidence=list(evidence), final=bool(wrong))


@check(
    "sign_in.granted",
    says="the identity provider lets the person in",
    ihe="RFC 6749",
    observes="wire",
    place="from",
    where=only("user"),
    is_=only("scope", "roles", "active"),
    chosen_by=("user",),
    takes=(Parameter("scope", says="scopes that are asked for"),),
    requires=("sign-in",),
)
def signed_in(question: Question) -> Look:
    """Sign in with password, one-time password, code and PKCE, then ask what the token is worth (RFC 7662)."""
    purse, user = bearing.wallet(question.cast), _user(question)
    scope = str(question.args.get("scope") or "openid user/*.cruds offline_access")
    tokens = purse.sign_in(user, scope)
    with purse.oidc(purse.program()) as provider:
        told = provider.introspect(tokens.access)
    found = look([Candidate(f"{user} signed in", _worth(told))], {}, question.is_, what="sign-ins")
    return replace(found, final=bool(found.differences))  # another look would be another sign-in


@check(
    "sign_in.refused",
    says="the identity provider lets nobody in who is not who he says to be",
    ihe="RFC 6749",
    observes="wire",
    place="from",
    where=only("attempt", "user"),
    chosen_by=("attempt",),
    takes=(Parameter("failures", "number", default=5, says="with lockout: after how many failures"),),
    requires=("sign-in",),
)
def not_signed_in(question: Question) -> Look:
    """Have whoever may be let in, then make the attempt of ``where: {attempt: KIND, user}``.

    Kinds: ``wrong-password``, ``wrong-totp``, ``no-totp``, ``replayed-totp``, ``lockout`` (everything right after failures),
    ``locked``; ``no-pkce``, ``plain-pkce``, ``foreign-redirect``, ``wrong-verifier``, ``foreign-code``, ``reused-code``,
    ``reused-refresh``, ``signed-out``, ``held-refresh``; of programs ``wrong-secret``, ``foreign-key``, ``replayed-assertion``,
    ``old-assertion``, ``endless-assertion``.
    """
    kind = _kind(question.where["attempt"], signing_in.ATTEMPTS, "sign_in.refused attempt")
    user = _user(question)
    if signing_in.ATTEMPTS[kind].personal and not user:
        raise BadInput("sign_in.refused", "user: who tries", "none")
    outcome = signing_in.attempt(question.cast, kind, user, int(question.args.get("failures") or 5))
    fault = signing_in.fault(outcome, kind)
    return _judged([(f"{kind} at {question.from_}", fault, str(outcome.refused), (outcome.evidence,))])


@check(
    "token.introspected",
    says="the identity provider tells what a token is worth",
    ihe="RFC 7662",
    observes="wire",
    place="from",
    where=only("user"),
    is_=only("scope", "roles", "active"),
    chosen_by=("user",),
    requires=("sign-in",),
)
def introspected(question: Question) -> Look:
    """Ask about the token that ``user`` holds since signing in."""
    purse, user = bearing.wallet(question.cast), _user(question)
    with purse.oidc(purse.program()) as provider:
        told = provider.introspect(purse.tokens(user).access)
    return look([Candidate(f"token of {user}", _worth(told))], {}, question.is_, what="tokens")


def _worth(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "active": told["active"],
        "scope": sorted(smart.words(str(told.get("scope", "")))),
        "roles": told.get("roles", []),
    }


def _judged(results: Sequence[tuple[str, str, str, tuple[int, ...]]]) -> Look:
    """Return a look over (what was tried, what is wrong, what was answered, evidence)."""
    matched = [
        Candidate(f"{label}: {answer}", None, evidence)
        for label, fault, answer, evidence in results
        if not fault
    ]
    wrong = [Difference(label, "refused, and why is said", fault) for label, fault, _, _ in results if fault]
    evidence = [number for *_, numbers in results for number in numbers]
    return Look(matched, wrong, seen=len(results), evidence=evidence, final=bool(wrong))


def _kind(given: object, known: Iterable[str], place: str) -> str:
    names = list(known)
    if given not in names:
        near = did_you_mean(str(given), names).strip(" ;")
        raise BadInput(place, f"one of {', '.join(names)}", str(given), near)
    return str(given)


def _user(question: Question) -> str:
    """Return whom ``where: {user}`` names: a name, or what ``idp.enroll`` gave."""
    given = question.where.get("user", "")
    return str(given.get("user", "") if isinstance(given, dict) else given)
