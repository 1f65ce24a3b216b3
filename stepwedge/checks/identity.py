"""Who is who, as a patient index says when the probe asks it (ITI-9, ITI-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking_identity as asking
from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, look, only
from stepwedge.checks.difference import Difference
from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.messages.identity import Identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS: Final = {
    "family": "@PID.5.1.1",
    "given": "@PID.5.2",
    "birth_date": "@PID.7.1",
    "sex": "@PID.8",
    "id": "@PID.3.1",
    "domain": "@PID.3.4.1",
}
_DOMAINS: Final = Parameter(
    "domains", "list", says="assigning authorities that are asked for; all when left out"
)


def whose(where: Mapping[str, Any]) -> Identifier:
    """Return the identifier that ``patient`` (a patient, or an ID) and ``domain`` name."""
    patient = where.get("patient")
    if isinstance(patient, dict):
        return Identifier(str(where.get("domain") or patient.get("issuer") or ISSUER), str(patient.get("id")))
    return Identifier(str(where.get("domain") or ISSUER), str(patient))


@check(
    "patient.cross_reference",
    says="the patient index knows the patient's other identifiers",
    ihe="ITI-9",
    observes="wire",
    place="from",
    where=only("patient", "domain"),
    is_=only("status", "identifiers", "count", "acknowledged", "code", "where"),
    chosen_by=("patient",),
    takes=(_DOMAINS,),
    requires=("pix",),
)
def cross_reference(question: Question) -> Look:
    """Ask for the other identifiers of one person; ``identifiers`` are ``ID^^^DOMAIN``, in no order."""
    asked = whose(question.where)
    answer, evidence = asking.cross_reference(
        question.cast, question.from_, asked, question.args.get("domains") or ()
    )
    found = sorted(str(one) for one in answer.identifiers)
    value = {
        "status": answer.status,
        "identifiers": found,
        "count": len(found),
        "acknowledged": answer.acknowledged,
        "code": answer.code,
        "where": answer.where,
    }
    said = question.is_ or {"status": "OK"}
    if isinstance(said.get("identifiers"), list):
        said = {**said, "identifiers": sorted(said["identifiers"])}
    label = f"{asked.id} in {asked.domain}: {answer.status}, {', '.join(found) or 'no other identifier'}"
    candidate = Candidate(label, value, evidence)
    differences = matchers.compare("", said, value)
    return Look([] if differences else [candidate], differences, label, 1, list(evidence))


@check(
    "patient.demographics",
    says="the patient index finds the patient",
    ihe="ITI-21",
    observes="wire",
    place="from",
    where=only(*_KEYS),
    is_=only("name", "birth_date", "sex", "identifiers"),
    chosen_by=tuple(_KEYS),
    takes=(
        _DOMAINS,
        Parameter("count", "number", says="how many patients there must be; any number when left out"),
        Parameter("most", "number", says="patients in one answer; the rest is asked for as well"),
    ),
    requires=("pdq",),
)
def demographics(question: Question) -> Look:
    """Ask for everybody who matches ``where``, in as many answers as the index takes."""
    keys = {field: str(question.where[name]) for name, field in _KEYS.items() if name in question.where}
    domains, most = question.args.get("domains") or (), int(question.args.get("most") or 0)
    people, evidence = asking.demographics(question.cast, question.from_, keys, domains, most)
    candidates = [Candidate(f"{one['name']} {one['birth_date']}", one, evidence) for one in people]
    return look(candidates, {}, question.is_, what="patients", count=question.args.get("count"))


@check(
    "patient.not_listed",
    says="the patient index finds no such patient",
    ihe="ITI-21",
    observes="wire",
    place="from",
    where=only(*_KEYS),
    chosen_by=tuple(_KEYS),
    takes=(_DOMAINS,),
    requires=("pdq",),
)
def not_listed(question: Question) -> Look:
    """Ask for everybody who matches ``where``; nobody may."""
    keys = {field: str(question.where[name]) for name, field in _KEYS.items() if name in question.where}
    people, evidence = asking.demographics(
        question.cast, question.from_, keys, question.args.get("domains") or ()
    )
    if not people:
        return Look([Candidate("nobody", None, evidence)], evidence=list(evidence))
    differences = [Difference("patients", "nobody", f"{one['name']} {one['birth_date']}") for one in people]
    return Look([], differences, differences[0].found, len(people), list(evidence))
