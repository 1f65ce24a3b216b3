"""What the department was told of a performed step (RAD-6, RAD-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, only
from stepwedge.checks.difference import Difference

if TYPE_CHECKING:
    from stepwedge.wire.elements import Elements

REASON = "PerformedProcedureStepDiscontinuationReasonCodeSequence"


@check(
    "performed.step",
    says="the department is told how the exam ended, and why",
    ihe="RAD-7",
    observes="journal",
    place="at",
    where=only("mpps"),
    is_=only("status", "reason", "images", "exposures"),
    chosen_by=("mpps",),
    requires=("mpps",),
    tapped=("dicom", "worklist"),
)
def step(question: Question) -> Look:
    """Look at what the actor accepted of one performed step: N-CREATE and every N-SET after it, the last value standing."""
    mpps: dict[str, Any] = question.where["mpps"] or {}
    uid = str(mpps.get("uid") or "")
    told = [
        one
        for one in question.case.exchanges
        if one.actor == question.at
        and one.direction == "in"
        and one.kind in {"N-CREATE", "N-SET"}
        and one.outcome == "0000"
        and str(one.facts.get("sop") or "") == uid
    ]
    label = f"performed step {uid}"
    if not uid or not told:
        return Look([], [Difference(label, "told", "nothing")], label, 0)
    attributes: Elements = {}
    for one in told:
        attributes |= one.facts.get("identifier") or {}
    value = _summary(attributes)
    evidence = tuple(one.number for one in told)
    differences = matchers.compare("", question.is_, value) if question.is_ is not None else []
    found = Candidate(label, value, evidence)
    closest = f"{label}: {value['status']} {value['reason']}".strip()
    over = value["status"] in {"COMPLETED", "DISCONTINUED"}  # nothing may be said after that (PS3.4 F.7.2)
    return Look(
        [] if differences else [found],
        differences,
        closest,
        len(told),
        list(evidence),
        final=over and bool(differences),
    )


def _summary(attributes: Elements) -> dict[str, Any]:
    items = attributes.get(REASON) or [{}]
    parts = [str(items[0].get(key) or "") for key in ("CodeValue", "CodeMeaning", "CodingSchemeDesignator")]
    series = attributes.get("PerformedSeriesSequence") or []
    return {
        "status": str(attributes.get("PerformedProcedureStepStatus") or ""),
        "reason": "^".join(parts) if parts[0] else "",
        "images": sum(len(one.get("ReferencedImageSequence") or []) for one in series),
        "exposures": int(attributes.get("TotalNumberOfExposures") or 0),
    }


@check(
    "step.told_alike",
    says="two systems were told the same of the exam, in the same order",
    ihe="RAD-6, RAD-7",
    observes="journal",
    place="at",
    where=only("mpps", "other"),
    chosen_by=("mpps",),
    takes=(Parameter("messages", "number", says="how many messages each must have accepted"),),
    requires=("mpps",),
    tapped=("dicom", "worklist"),
)
def told_alike(question: Question) -> Look:
    """Compare attribute by attribute what ``at`` and ``other`` accepted of one performed step."""
    uid = str((question.where["mpps"] or {}).get("uid") or "")
    told = {
        actor: [
            one
            for one in question.case.exchanges
            if (one.actor, one.direction, one.outcome) == (actor, "in", "0000")
            and one.kind in {"N-CREATE", "N-SET"}
            and str(one.facts.get("sop") or "") == uid
        ]
        for actor in (question.at, str(question.where.get("other")))
    }
    label = f"performed step {uid}"
    here, there = told.values()
    wanted = int(question.args.get("messages") or max(len(there), 1))
    differences = [
        Difference(f"{label}: messages at {actor}", str(wanted), str(len(found)))
        for actor, found in told.items()
        if len(found) != wanted
    ]
    for one, other in zip(here, there, strict=False):
        differences += [
            Difference(f"{label}: kind", other.kind, one.kind) for _ in range(one.kind != other.kind)
        ]
        ours, theirs = one.facts.get("identifier") or {}, other.facts.get("identifier") or {}
        differences += [
            Difference(f"{label}: {key}", matchers.show(theirs.get(key)), matchers.show(ours.get(key)))
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]
    evidence = [one.number for found in told.values() for one in found]
    alike = Candidate(label, {"messages": len(here)}, tuple(evidence))
    return Look([] if differences else [alike], differences, label, len(here), evidence)


@check(
    "step.protocol",
    says="the exam says under which protocol it was done",
    ihe="RAD-6",
    observes="journal",
    place="at",
    where=only("mpps"),
    chosen_by=("mpps",),
    requires=("mpps",),
    tapped=("dicom", "worklist"),
)
def protocol(question: Question) -> Look:
    """Compare the code of Performed Protocol Code Sequence (0040,0260) of the N-CREATE that was accepted."""
    uid = str((question.where["mpps"] or {}).get("uid") or "")
    for one in question.case.exchanges:
        if (one.actor, one.direction, one.kind, one.outcome) != (question.at, "in", "N-CREATE", "0000"):
            continue
        if str(one.facts.get("sop") or "") == uid:
            items = (one.facts.get("identifier") or {}).get("PerformedProtocolCodeSequence") or [{}]
            code = str(items[0].get("CodeValue") or "")
            differences = matchers.compare("protocol", question.is_, code)
            found = Candidate(f"protocol {code or 'not said'}", code, (one.number,))
            return Look([] if differences else [found], differences, found.label, 1, [one.number])
    return Look([], [Difference(f"performed step {uid}", "told", "nothing")], "", 0)
