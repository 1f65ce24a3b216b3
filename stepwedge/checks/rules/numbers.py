"""INV-3, INV-4 and INV-11: each order owns its numbers, and everything belongs to exactly one order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.checks.difference import Difference
from stepwedge.checks.matchers import show
from stepwedge.checks.rules.ledger import NUMBERS, linked
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import REQUIRED, labelled, once
from stepwedge.wire.dictionary import vr_of
from stepwedge.wire.matching import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.checks.rules.sightings import Sighting
    from stepwedge.wire.elements import Elements

_EXACT = frozenset(
    # Keys whose matching leaves no room: identifiers, dates, codes. Names may be matched more loosely.
    [
        "PatientID",
        "AccessionNumber",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "Modality",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
    ]
)
_NAMED = {
    "accession": "accession number",
    "study": "Study Instance UID",
    "placer": "placer order number",
    "filler": "filler order number",
    "visit": "visit number",
}


def _everywhere(facts: CaseFacts, *names: str) -> Finding:
    """Compare numbers of every sighting with those of the order it speaks of."""
    differences, reached = [], 0
    for sighting, order in linked(facts.ledger, [*facts.seen, *facts.afterwards]):
        for name in names:
            wanted = order.numbers.get(name, "")
            must = name in REQUIRED.get(sighting.kind, ())
            # What was done before it was ordered (IHE PIR) had no number yet; a wrong one it must not have.
            must = must and sighting.at >= order.placed
            if not wanted or not (sighting[name] or must):
                continue
            reached += 1
            strange = [value for value in sighting.twins.get(name, ()) if value != wanted]
            if sighting[name] != wanted or strange:
                found = strange[0] if strange else show(sighting.values.get(name))
                differences.append(
                    Difference(f"{sighting.label}: {_NAMED[name]}", f"{wanted} of {order}", found)
                )
    return Finding(differences, reached)


@rule(
    "INV-3",
    says="one accession number, placer, filler and visit number everywhere for one order",
    source="IHE RAD TF-2 RAD-4, RAD-5, RAD-6, RAD-8 and appendix A; IPC-1, OBR-18, (0008,0050); PV1-19, (0038,0010)",
)
def one_accession(facts: CaseFacts) -> Finding:
    """Compare accession, placer and filler numbers, and the visit number where the order was placed in an encounter."""
    names = ["accession", "placer", "filler", *(["visit"] if facts.cast.claimed("encounters") else [])]
    return _everywhere(facts, *names)


@rule(
    "INV-4",
    says="one Study Instance UID everywhere for one order, made by the order filler",
    source="IHE RAD TF-2 RAD-4 (ZDS-1, IPC-3), RAD-5, RAD-8 appendix A; (0020,000D)",
)
def one_study(facts: CaseFacts) -> Finding:
    """Compare Study Instance UIDs."""
    return _everywhere(facts, "study")


@rule(
    "INV-11",
    says="no orphan and no mix-up: every image, study, performed step and report belongs to exactly one order",
    source="IHE RAD TF-1 3.3 (scheduled workflow), RAD TF-2 RAD-6 and RAD-8",
)
def no_orphan(facts: CaseFacts) -> Finding:
    """Link everything to orders, ask the archive for further studies of the patients, and compare."""
    differences, reached = [], 0
    typed = _typed(facts)
    for sighting in [*facts.seen, *facts.afterwards]:
        if sighting.kind not in {"mpps", "image", "study", "report", "worklist", "schedule"}:
            continue
        owners = facts.ledger.owners(sighting)
        if not owners and not _about_us(facts, sighting):
            continue
        reached += 1
        if not owners and _by_hand(typed, sighting):
            continue
        numbers = (
            ", ".join(f"{_NAMED[name]} {sighting[name]}" for name in NUMBERS if sighting[name])
            or "no number at all"
        )
        if not owners:
            differences.append(Difference(sighting.label, "belongs to an order of the case", numbers))
        elif len(owners) > 1:
            mixed = " and ".join(str(order) for order in owners)
            differences.append(Difference(sighting.label, "numbers of one order", f"{numbers}: of {mixed}"))
    if reached:
        differences += [*_strange_studies(facts), *_unasked(facts)]
    return Finding(differences, reached)


def _typed(facts: CaseFacts) -> dict[str, str]:
    """Return study to patient of the exams that were typed in by hand: nobody ordered them, and the case says so."""
    results = [one.facts.get("result") or {} for one in facts.exchanges if one.kind == "enter_exam"]
    return {str(one["study"]): str(one["patient"]) for one in results if one.get("study")}


def _by_hand(typed: Mapping[str, str], sighting: Sighting) -> bool:
    """Tell whether something belongs to an exam typed in by hand: that study, that patient, and no order's number."""
    return (
        typed.get(sighting["study"]) == sighting["patient"]
        and not sighting["accession"]
        and not any(all(pair) for pair in sighting.steps)
    )


def _about_us(facts: CaseFacts, sighting: Sighting) -> bool:
    """Tell whether a sighting without a known number speaks of one of our patients; others are not our business."""
    return sighting["patient"] in facts.people.records or sighting.kind == "image"


def _unasked(facts: CaseFacts) -> Iterator[Difference]:
    """Yield the answers to worklist and study queries that do not have the key they were asked by (PS3.4 C.2.2.2)."""
    for exchange in once(facts.exchanges):
        if exchange.kind != "C-FIND":
            continue
        asked = _flat(exchange.facts.get("identifier") or {})
        for number, answer in enumerate(exchange.facts.get("answers") or [], 1):
            found = _flat(answer)
            for key in _EXACT & asked.keys():
                if asked[key] and not matches(vr_of(key), asked[key], found.get(key)):
                    label = f"{labelled(exchange)}, answer {number}: {key}"
                    yield Difference(label, f"{asked[key]}, as it was asked for", show(found.get(key)))


def _flat(elements: Elements) -> Elements:
    """Return a data set with the attributes of its one scheduled step beside its own."""
    steps = elements.get("ScheduledProcedureStepSequence") or []
    return {**elements, **(steps[0] if len(steps) == 1 else {})}


def _strange_studies(facts: CaseFacts) -> Iterator[Difference]:
    """Yield the studies the archive shows for our patients or accession numbers that no order knows."""
    known = {*facts.ledger.known("study"), *_typed(facts)}
    keys = [("PatientID", record) for record in facts.people.records]
    keys += [("AccessionNumber", accession) for accession in sorted(facts.ledger.known("accession"))]
    for door in facts.readback.doors():
        for key, value in keys:
            for answer in facts.readback.studies(door, key, value):
                if (study := str(answer.get("StudyInstanceUID"))) not in known:
                    yield Difference(
                        f"{door} for {key} {value}", "studies of our orders only", f"study {study}"
                    )
