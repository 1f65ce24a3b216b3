"""INV-10.3: what leaves the hospital on media, and what comes in by media, has its audit record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules.audit import watched
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.wire.audit_schema import EVENTS

if TYPE_CHECKING:
    from stepwedge.evidence.exchange import Exchange

_ACTS: Final = {"export_images": "110106", "import_media": "110107"}


@rule(
    "INV-10.3",
    says="whatever leaves on media or comes in by media has its audit record, about every patient on it",
    source="PS3.15 A.5.3.4 (Export) and A.5.3.5 (Import)",
)
def carried(facts: CaseFacts) -> Finding:
    """Give each export and import of the case a record of its own from whoever did it."""
    if not watched(facts.cast):
        return Finding()
    records = [one for one in facts.exchanges if one.protocol == "syslog" and one.facts.get("event")]
    differences, reached = [], 0
    for act in facts.exchanges:
        event = _ACTS.get(act.kind) if act.protocol == "act" and act.outcome == "passed" else None
        if event is None:
            continue
        reached += 1
        found = next((one for one in records if _is_of(one, act, event, facts)), None)
        if found is None:
            place = f"#{act.number:04} {act.kind} at {act.actor}: audit record"
            about = ", ".join(sorted(act.keys.get("study", ())))
            differences.append(Difference(place, f"{event} {EVENTS[event].name} of study {about}", "never"))
        else:
            records.remove(found)
    return Finding(differences, reached)


def _is_of(record: Exchange, act: Exchange, event: str, facts: CaseFacts) -> bool:
    """Tell whether a record is of an act: its event, its source, success, its studies, and none without a patient."""
    told = record.facts
    return (
        told["event"] == event
        and told["source"] == facts.cast[act.actor].address.application
        and told["outcome"] == 0
        and set(act.keys.get("study", ())) <= set(record.keys.get("study", ()))
        and bool(told["patients"])
        and set(act.keys.get("patient", ())) <= set(told["patients"])
    )
