"""What the audit record repository shows: who did what, and whether its records are still what they were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking_audit
from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, look, only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.actors.cast import Cast

CLOCKS_DIFFER: Final = 60.0
"""Seconds by which the clocks of systems may differ here (ITI-1 asks for one)."""
_PARTS: Final = only(
    "patient",
    "study",
    "accession",
    "event",
    "type",
    "action",
    "outcome",
    "source",
    "participant",
    "query",
    "at",
)
_ASKED: Final = {
    "patient": "patient",
    "study": "entity",
    "event": "type",
    "outcome": "outcome",
    "action": "action",
}
"""What is asked of the repository itself, when it stands in ``where`` as a plain value; the rest is compared here."""


@check(
    "audit.recorded",
    says="the audit trail tells who did it, to whose data, and with which outcome",
    ihe="ITI-20",
    observes="wire",
    place="from",
    doors={"fhir": "atna"},
    where=_PARTS,
    is_=_PARTS,
    chosen_by=("patient", "study", "accession", "event"),
    takes=(Parameter("count", "number", says="how many there must be; any number when left out"),),
)
def recorded(question: Question) -> Look:
    """Search the repository for AuditEvents."""
    where = question.where
    wanted = {name: str(where[key]) for key, name in _ASKED.items() if isinstance(where.get(key), str | int)}
    if (
        question.case.exchanges
    ):  # nothing of the case is older than its first exchange; clocks may differ a little
        began = datetime.fromtimestamp(min(one.at for one in question.case.exchanges) - CLOCKS_DIFFER, UTC)
        wanted["date"] = f"ge{began.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
    asked = asking_audit.audit_events(question.cast, question.from_, wanted)
    told = [_told(resource, question.cast) for resource in asked.answers]
    candidates = [Candidate(_label(one), one, asked.evidence) for one in told]
    return look(candidates, where, question.is_, what="audit records", count=question.args.get("count"))


@check(
    "audit.chain",
    says="the audit records are what they were when they came",
    ihe="ITI-20",
    observes="ask",
    place="at",
    is_=only("intact", "broken", "records"),
)
def chain(question: Question) -> Look:
    """Ask the repository to follow the chain of its seals."""
    verdict = question.cast[question.at].ask("verify", {})
    reason = verdict["reason"] or "whole"
    return look(
        [Candidate(f"chain of {verdict['records']} records: {reason}", verdict)],
        {},
        question.is_,
        what="chains",
    )


def _label(one: Mapping[str, Any]) -> str:
    return f"audit record {one['number']}, {one['event']} {one['name']} of {one['source']}"


def _told(resource: Mapping[str, Any], cast: Cast) -> dict[str, Any]:
    """Return the parts of one AuditEvent by the names that scenarios use."""
    entities: list[dict[str, Any]] = resource.get("entity", [])
    details = [detail for one in entities for detail in one.get("detail", ())]
    observer = _identifier(resource.get("source", {}).get("observer", {}))
    return {
        "number": resource.get("id", ""),
        "event": resource.get("type", {}).get("code", ""),
        "name": resource.get("type", {}).get("display", ""),
        "type": [kind.get("code", "") for kind in resource.get("subtype", ())],
        "action": resource.get("action", ""),
        "outcome": resource.get("outcome", ""),
        "at": resource.get("recorded", ""),
        "source": _actor(observer, cast),
        "participant": [_participant(one) for one in resource.get("agent", ())],
        "patient": [
            _identifier(one.get("what", {})) for one in entities if one.get("role", {}).get("code") == "1"
        ],
        "study": [_identifier(one.get("what", {})) for one in entities if _kind(one) == "110180"],
        "accession": [one["valueString"] for one in details if one.get("type") == "Accession"],
        "query": [_identifier(one.get("what", {})) for one in entities if "query" in one],
    }


def _participant(agent: Mapping[str, Any]) -> dict[str, Any]:
    roles = [coding.get("code", "") for role in agent.get("role", ()) for coding in role.get("coding", ())]
    return {
        "user": _identifier(agent.get("who", {})),
        "requestor": agent.get("requestor", False),
        "role": roles,
    }


def _identifier(reference: Mapping[str, Any]) -> str:
    return str(reference.get("identifier", {}).get("value", ""))


def _kind(entity: Mapping[str, Any]) -> str:
    codings = entity.get("what", {}).get("identifier", {}).get("type", {}).get("coding", ())
    return next((str(coding.get("code", "")) for coding in codings), "")


def _actor(application: str, cast: Cast) -> str:
    """Return the actor that calls itself so, or the name itself."""
    return next((one.name for one in cast if one.address.application == application), application)
