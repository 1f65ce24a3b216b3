"""INV-1 and INV-2: whoever is spoken of is who was registered, under the number and name that hold at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.matchers import show
from stepwedge.checks.rules.ledger import linked
from stepwedge.checks.rules.people import DEMOGRAPHICS
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import REQUIRED, same_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.checks.rules.people import Version
    from stepwedge.checks.rules.sightings import Sighting

CHARACTER_SETS: Final = frozenset(
    # PS3.3 section C.12.1.1.2, defined terms of (0008,0005) in tables C.12-2 to C.12-5.
    ["", "ISO_IR 6", "ISO 2022 IR 6", "ISO_IR 192", "GB18030", "GBK", "ISO_IR 13", "ISO_IR 166", "ISO_IR 203"]
    + [f"ISO_IR {number}" for number in (100, 101, 109, 110, 126, 127, 138, 144, 148)]
    + [
        f"ISO 2022 IR {number}"
        for number in (13, 58, 87, 100, 101, 109, 110, 126, 127, 138, 144, 148, 149, 159, 166, 203)
    ]
)
_FOLLOWERS: Final = {"ris": "patient-update", "pacs": "patient-update", "ehr": ""}
"""Roles that take ADT messages, with the claim by which a real one promises to follow them."""


def _follows(facts: CaseFacts, source: str) -> bool:
    role = facts.cast[source].role if source in facts.cast else ""
    if role not in _FOLLOWERS:
        return False
    claim = _FOLLOWERS[role]
    return not claim or (facts.cast.claimed(claim) and facts.cast.claimed("patient-merge"))


def _compared(facts: CaseFacts) -> Iterator[tuple[Sighting, list[Version]]]:
    """Yield every sighting of an order's patient with the versions of the record it may show."""
    told: dict[str, Sighting] = {}
    for sighting, order in linked(facts.ledger, [*facts.seen, *facts.afterwards]):
        if sighting.kind == "mpps":
            first = told.setdefault(sighting.uid, sighting)
            if first.source != sighting.source and _alike(first, sighting):
                continue  # passed on as it came (RAD TF-2 4.6): what it says is the scanner's word
        if order.patient not in facts.people.records or sighting["patient"] in facts.forged:
            continue  # registered before the case began, so that nothing here says who it is; or made up by a fault
        follows = _follows(facts, sighting.source)
        versions = facts.people.acceptable(
            order.patient, sighting.source, sighting.at, final=sighting.final, follows=follows
        )
        if sighting.written:  # it waited for its receiver: what held when it was written it may say, too
            written = facts.people.acceptable(
                order.patient, sighting.source, sighting.written, final=False, follows=follows
            )
            versions = [*(one for one in written if one not in versions), *versions]
        if versions and ("patient" in sighting.values or _must(sighting, "patient")):
            yield sighting, versions


def _alike(one: Sighting, other: Sighting) -> bool:
    return all(one[name] == other[name] for name in ("patient", "issuer", *DEMOGRAPHICS))


def _must(sighting: Sighting, name: str) -> bool:
    return name in REQUIRED.get(sighting.kind, ())


@rule(
    "INV-1",
    says="one patient number everywhere: orders, worklist, performed step, images, answers, reports",
    source="IHE RAD TF-1 3.3 and RAD-12; ITI-30 3.30.6.4 (merge); PID-3, (0010,0020), (0010,0021)",
)
def one_patient_key(facts: CaseFacts) -> Finding:
    """Compare patient ID and issuer of every sighting with the registration that holds for its source then."""
    differences, reached = [], 0
    for sighting, versions in _compared(facts):
        reached += 1
        allowed = {version.id for version in versions}
        if sighting["patient"] not in allowed:
            wanted = " or ".join(sorted(allowed))
            differences.append(
                Difference(f"{sighting.label}: patient ID", wanted, show(sighting.values.get("patient")))
            )
            continue
        issuers = {
            version.issuer for version in versions if version.id == sighting["patient"] and version.issuer
        }
        if sighting["issuer"] and issuers and sighting["issuer"] not in issuers:
            wanted = " or ".join(sorted(issuers))
            differences.append(
                Difference(f"{sighting.label}: issuer of patient ID", wanted, sighting["issuer"])
            )
    strangers = _merged_away(facts)
    return Finding([*differences, *strangers], reached)


def _merged_away(facts: CaseFacts) -> Iterator[Difference]:
    """Yield what the archive still shows under a patient ID that it agreed to merge away (ITI-30 3.30.6.4.2)."""
    pacs = facts.readback.player("pacs")
    if pacs is None or not facts.cast.claimed("patient-merge"):
        return
    for record, history in facts.people.records.items():
        if not any(version.merged and pacs.name in version.taken for version in history):
            continue
        for door in facts.readback.doors():
            for answer in facts.readback.studies(door, "PatientID", record):
                study = str(answer.get("StudyInstanceUID"))
                yield Difference(
                    f"{door} for patient {record}", "nothing: the record was merged away", f"study {study}"
                )


@rule(
    "INV-2",
    says="one name, birth date and sex everywhere, letter by letter",
    source="IHE RAD TF-2 appendix B; PS3.5 section 6.2 (PN) and 6.1 (character sets); PID-5, PID-7, PID-8, MSH-18",
)
def one_name(facts: CaseFacts) -> Finding:
    """Compare demographics of every sighting with one version of the registration, as a whole."""
    differences, reached = [], 0
    for sighting, versions in _compared(facts):
        same_id = [version for version in versions if version.id == sighting["patient"]] or versions
        reached += 1
        ways: list[list[Difference]] = [list(_unlike(sighting, version)) for version in same_id]
        nearest = min(ways, key=len)
        differences += nearest
        differences += _charset(sighting)
    return Finding(differences, reached)


def _unlike(sighting: Sighting, version: Version) -> Iterator[Difference]:
    """Yield the demographics that differ; what was not said at all is missing only where it must stand."""
    for name in DEMOGRAPHICS:
        wanted = version.values.get(name, "")
        if name not in sighting.values and not (wanted and _must(sighting, name)):
            continue
        found = sighting[name]
        fine = same_name(found, wanted) if name == "name" else found[: len(wanted) or None] == wanted
        if not fine:
            yield Difference(f"{sighting.label}: {name.replace('_', ' ')}", wanted or "nothing", show(found))


def _charset(sighting: Sighting) -> Iterator[Difference]:
    said = sighting.raw.get("SpecificCharacterSet")
    for term in str(said or "").split("\\"):
        if term.strip() not in CHARACTER_SETS:
            yield Difference(
                f"{sighting.label}: SpecificCharacterSet", "a defined term of PS3.3 C.12.1.1.2", term
            )
