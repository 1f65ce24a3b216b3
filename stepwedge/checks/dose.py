"""Whether the dose that was given is reported, to the right patient, and the same everywhere (IHE RAD REM; PS3.16 TID 10001, 10011)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.stored import DOORS, made, retrieved
from stepwedge.sim import structured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.elements import Elements

DOSE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.67"
EVENT: Final = "113769"
SUMS: Final = {
    # concept of the total: concept of each event's part, unit in UCUM, and its name in Comments on Radiation Dose
    "113813": ("113838", "mGy.cm", "TotalDLP"),
    "113722": ("122130", "Gy.m2", ""),
    "111637": ("111631", "mGy", "TotalAGD"),
}
_AREA: Final = 1e5  # Gy.m2 to the dGy.cm2 of (0018,115E)
_CLOSE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Report:
    """One dose report as it was stored.

    Attributes:
        step: SOP Instance UID of the performed step whose dose it accumulates.
        events: Irradiation Event UIDs.
        totals: (value, unit) of each total; ``parts`` of each event.
        concept: Code Value of the total, a key of ``SUMS``; empty when it has none.
    """

    sop: str
    step: str
    patient: str
    accession: str
    concept: str
    events: tuple[str, ...] = ()
    totals: tuple[tuple[str, str], ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    header: Elements = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Return the sum of the totals: of both breasts, or the only one."""
        return math.fsum(_number(value) for value, _ in self.totals)


def read(header: Elements) -> Report:
    """Read a dose report (PS3.16 TID 10001, 10011)."""
    concept = next((one for one in SUMS if any(structured.found(header, one))), "")
    part = SUMS[concept][0] if concept else ""
    steps = [
        str(one.get("UID") or "")
        for scope in structured.found(header, "113705")
        for one in structured.found(scope, "121126")
    ]
    return Report(
        str(header.get("SOPInstanceUID") or ""),
        steps[0] if len(steps) == 1 else "",
        str(header.get("PatientID") or ""),
        str(header.get("AccessionNumber") or ""),
        concept,
        tuple(str(one.get("UID") or "") for one in structured.found(header, EVENT)),
        tuple(structured.measured(one) for one in structured.found(header, concept)) if concept else (),
        tuple(structured.measured(one) for one in structured.found(header, part)) if part else (),
        header,
    )


def inconsistent(report: Report) -> Iterator[Difference]:
    """Yield what is wrong inside a report: no total, a unit of its own, a total that is not the sum of its events."""
    if not report.concept:
        yield Difference("total dose", "DLP, dose area product or glandular dose", "none")
        return
    unit = SUMS[report.concept][1]
    for _, found in (*report.totals, *report.parts):
        if found != unit:
            yield Difference("unit of dose", unit, found or "none")
            break
    if len(set(report.events)) != len(report.events) or len(report.parts) != len(report.events):
        yield Difference(
            "irradiation events", f"{len(report.events)}, each with its dose", f"{len(report.parts)}"
        )
    summed = math.fsum(_number(value) for value, _ in report.parts)
    if not math.isclose(report.total, summed, rel_tol=_CLOSE):
        yield Difference("total dose", f"{summed:g}, the sum of its events", f"{report.total:g}")


def against_step(report: Report, attributes: Elements) -> Iterator[Difference]:
    """Yield where a report and the dose told with its performed step differ (PS3.3 C.4.16)."""
    told = attributes.get("TotalNumberOfExposures")
    if told is None:
        yield Difference("TotalNumberOfExposures of the performed step", str(len(report.events)), "none")
    elif int(told) != len(report.events):
        yield Difference("irradiation events", f"{told} as the performed step says", str(len(report.events)))
    value = performed_total(report.concept, attributes)
    if value is None:
        yield Difference("total dose of the performed step", f"{report.total:g}", "none")
    elif not math.isclose(report.total, value, rel_tol=_CLOSE):
        yield Difference("total dose", f"{value:g} as the performed step says", f"{report.total:g}")


def performed_total(concept: str, attributes: Elements) -> float | None:
    """Return the total dose an MPPS tells in the unit of the report; None when it tells none."""
    if concept == "113722":
        area = attributes.get("ImageAndFluoroscopyAreaDoseProduct")
        return None if area in {None, ""} else _number(area) / _AREA
    name = SUMS.get(concept, ("", "", ""))[2]
    found = re.search(rf"{name}=([0-9.eE+-]+)", str(attributes.get("CommentsOnRadiationDose") or ""))
    return _number(found[1]) if name and found else None


def ended(exchanges: Iterable[Exchange]) -> dict[str, Elements]:
    """Return the attributes of the last accepted N-SET of each performed step that ended, by its UID."""
    found: dict[str, Elements] = {}
    for exchange in exchanges:
        attributes: Elements = exchange.facts.get("identifier") or {}
        if (
            exchange.kind == "N-SET"
            and exchange.outcome == "0000"
            and attributes.get("PerformedProcedureStepStatus") in {"COMPLETED", "DISCONTINUED"}
        ):
            found[str(exchange.facts.get("sop") or "")] = attributes
    return found


@check(
    "dose.reported",
    says="the dose of the exam is in the archive, under its patient, and is what the scanner told with the exam",
    ihe="RAD-62",
    observes="wire",
    place="from",
    doors=DOORS,
    where=only("mpps", "images"),
    is_=only("events", "total", "unit"),
    chosen_by=("mpps",),
)
def reported(question: Question) -> Look:
    """Take the study to the probe; exactly one dose report of the performed step must be in it, and right."""
    mpps = question.where["mpps"] or {}
    step, study = str(mpps.get("uid") or ""), str(mpps.get("study") or "")
    if not step or not study:
        return Look(unsure="the exam says no performed step or no study, so its dose cannot be looked for")
    told = ended(question.case.exchanges).get(step)
    differences: list[Difference] = []
    seen = 0
    for door, objects in retrieved(question, study):
        reports = [read(one.header) for one in objects if one.header.get("SOPClassUID") == DOSE_SR]
        mine = [one for one in reports if one.step == step]
        seen += len(mine)
        if len(mine) != 1:
            differences.append(
                Difference(f"{door}: dose report of performed step {step}", "one", str(len(mine)))
            )
        for one in mine:
            found = [*_of_exam(one, mpps, question), *inconsistent(one)]
            found += against_step(one, told) if told is not None else []
            differences += (each.below(door) for each in found)
    label = f"{seen} dose reports of performed step {step}"
    return Look([] if differences else [Candidate(label, {"count": seen})], differences, label, seen)


def _of_exam(report: Report, mpps: dict[str, Any], question: Question) -> Iterator[Difference]:
    """Compare a report with the exam: patient, order, images, and what the scenario says of it."""
    for name, wanted, found in (
        ("patient", mpps.get("patient"), report.patient),
        ("accession number", mpps.get("accession"), report.accession),
    ):
        if str(wanted or "") != found:
            yield Difference(f"{name} of the dose report", str(wanted or "none"), found or "none")
    if "images" in question.where:
        wanted_images = {str(one["sop"]) for one in made(question.where["images"])}
        evidence = {
            str(item.get("ReferencedSOPInstanceUID") or "")
            for study in report.header.get("CurrentRequestedProcedureEvidenceSequence") or []
            for series in study.get("ReferencedSeriesSequence") or []
            for item in series.get("ReferencedSOPSequence") or []
        }
        for sop in sorted(wanted_images - evidence):
            yield Difference(f"image {sop}", "in the evidence of the dose report", "not there")
    if question.is_ is not None:
        unit = report.totals[0][1] if report.totals else ""
        values = {"events": len(report.events), "total": report.total, "unit": unit}
        yield from matchers.compare("", question.is_, values)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
