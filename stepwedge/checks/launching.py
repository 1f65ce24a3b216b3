"""What apps learn that are launched from a patient's record (SMART App Launch)."""

from __future__ import annotations

from typing import Any

from stepwedge.actors import launching
from stepwedge.checks.check import Candidate, Look, Question, check, look, only
from stepwedge.checks.difference import Difference


@check(
    "launch.context",
    says="an app launched from a record knows whose record it is and who is at the screen",
    ihe="RFC 6749",
    observes="wire",
    place="from",
    where=only("user", "launch"),
    is_=only("patient", "encounter", "intent"),
    chosen_by=("launch",),
    requires=("sign-in",),
)
def context(question: Question) -> Look:
    """Sign ``user`` in to an app launched with ``launch``; the resource that ``fhirUser`` names must be that person."""
    user = question.where["user"]
    name = str(user.get("user", "") if isinstance(user, dict) else user)
    known, evidence = launching.told(question.cast, name, str(question.where["launch"]))
    wrong = [
        Difference(path, expected, found or "nothing")
        for path, expected, found in (
            ("ID token: sub", name, known["user"]),
            ("fhirUser: resource", "Practitioner", str(known["person"].get("resourceType", ""))),
            ("fhirUser: identifier", name, _identifier(known["person"])),
        )
        if expected != found
    ]
    seen = Candidate(f"{name} in the record of {known['patient'] or 'nobody'}", known, (evidence,))
    found = look([seen], {}, question.is_, what="launches")
    differences = [*wrong, *found.differences]
    return Look(
        [] if differences else [seen],
        differences,
        closest=seen.label,
        seen=1,
        evidence=[evidence],
        final=bool(differences),  # another look would be another sign-in
    )


def _identifier(person: dict[str, Any]) -> str:
    """Return the identifier of a resource as it says it."""
    listed = person.get("identifier")
    first = listed[0] if isinstance(listed, list) and listed else {}
    return str(first.get("value", "")) if isinstance(first, dict) else ""
