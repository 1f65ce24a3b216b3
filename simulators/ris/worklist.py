"""The modality worklist (PS3.4 annex K): entries, matching, and answers encoded once.

An index narrows what a query can mean before anything is compared, and an encoded answer lives as long as the rows it was made
of, so that a query costs the same with a hundred entries as with ten thousand.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.context import NEEDS, NOTHING, PREGNANCY, TRANSPORT
from stepwedge.model.identifiers import ISSUER
from stepwedge.model.order import PRIORITY_TO_DICOM
from stepwedge.model.procedure import CODING_SCHEME
from stepwedge.sim.charsets import Charsets, texts
from stepwedge.wire.elements import Elements, match

from .damage import damaged, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.model.context import ClinicalContext
    from stepwedge.model.encounter import Encounter
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.model.procedure import RequestedProcedure, ScheduledStep

    from .state import Ris

SPS: Final = "ScheduledProcedureStepSequence"
ALWAYS: Final = frozenset({"SpecificCharacterSet"})
_SHAPES: Final = 64
"""Different sets of return keys for which answers are kept; a scanner uses one or two."""

_Rows = tuple[
    "ScheduledStep", "Order", "RequestedProcedure", "Patient", "Encounter | None", "ClinicalContext"
]
Shape = tuple[Any, ...]


class Worklist:
    """Answers worklist queries from the books of a RIS."""

    def __init__(self, ris: Ris, charsets: Charsets | None = None) -> None:
        """Read from ``ris``; nothing is kept but encoded answers."""
        self._ris = ris
        self._charsets = charsets or Charsets()
        self._entries: dict[str, tuple[_Rows, Elements]] = {}
        self._encoded: dict[Shape, dict[str, tuple[Elements, str, bytes]]] = {}

    def find(self, identifier: Elements) -> Iterator[Elements]:
        """Yield every matching entry, complete."""
        keys = self._ris.habits.keys(identifier)
        offers = self._ris.habits.offers
        for step in self._candidates(keys):
            if offers(step) and not self._withheld(step) and match(keys, entry := self._entry(step)):
                yield entry

    def _withheld(self, step: ScheduledStep) -> bool:
        ris = self._ris
        return ris.habits.withholds(ris.orders[ris.requested[step.requested].placer].status)

    def answers(self, identifier: Elements) -> Iterator[bytes]:
        """Yield every matching entry in explicit VR little endian, with the attributes that were asked for."""
        shape = _shape(identifier)
        cache = self._cache(shape)
        for entry in self.find(identifier):
            step = entry[SPS][0]["ScheduledProcedureStepID"]
            fault = damage.fault if (damage := self._ris.damages.get(step)) else ""
            kept = cache.get(step)
            if kept is None or kept[0] is not entry or kept[1] != fault:
                kept = cache[step] = (entry, fault, self._encode(_reduced(entry, shape), fault))
            yield kept[2]

    def _cache(self, shape: Shape) -> dict[str, tuple[Elements, str, bytes]]:
        if shape not in self._encoded and len(self._encoded) >= _SHAPES:
            self._encoded.clear()
        return self._encoded.setdefault(shape, {})

    def _encode(self, answer: Elements, fault: str) -> bytes:
        habits = self._ris.habits
        priority = "CS" if fault == "wrong-vr" else habits.priority_vr("SH")
        data = written(damaged(habits.complete(answer), fault), priority)
        term = answer.get("SpecificCharacterSet", "")
        return data.replace(term.encode(), habits.charset(term).encode(), 1) if term else data

    def _candidates(self, keys: Elements) -> Iterable[ScheduledStep]:
        """Return a superset of what matches, from the narrowest index that the keys allow."""
        ris = self._ris
        step: Elements = next(iter(keys.get(SPS) or ()), {})
        if accession := _single(keys.get("AccessionNumber")):
            return ris.steps.by("accession", accession)
        if patient := _single(keys.get("PatientID")):
            return [step for order in ris.orders.by("patient", patient) for step in ris.steps_of(order)]
        station = _single(step.get("ScheduledStationAETitle"))
        day = _single(step.get("ScheduledProcedureStepStartDate"))
        if station and len(day) == 8:  # noqa: PLR2004 - YYYYMMDD, no range
            return ris.steps.by("station and day", f"{station} {day}")
        if station:
            return ris.steps.by("station", station)
        return list(ris.steps.values())

    def _entry(self, step: ScheduledStep) -> Elements:
        """Return the entry of a step, made anew when a row it is made of was replaced."""
        ris = self._ris
        requested = ris.requested[step.requested]
        order = ris.orders[requested.placer]
        patient = ris.patients[order.patient]
        rows: _Rows = (step, order, requested, patient, ris.encounter_of(order), ris.context(patient.id))
        kept = self._entries.get(step.id)
        if kept is not None and all(old is new for old, new in zip(kept[0], rows, strict=True)):
            return kept[1]
        name = ris.habits.worklist_name(patient.name.dicom())
        made = entry(step, order, requested, patient, name, ris.habits.context(rows[5]))
        visits = [one.visit for one in ris.encounters.by("patient", patient.id)]
        made |= stay(rows[4], ris.habits.visit(order.visit, visits))
        made["ReasonForTheRequestedProcedure"] = ris.habits.fits(order.reason)
        if term := self._charsets.for_dicom(texts(made)):
            made["SpecificCharacterSet"] = term
        self._entries[step.id] = (rows, made)
        return made


def _single(value: Any) -> str:
    """Return a key for single value matching; "" when it is universal, a wildcard, a list or a range."""
    text = value if isinstance(value, str) else ""
    return "" if any(sign in text for sign in "*?\\-") else text


def entry(
    step: ScheduledStep,
    order: Order,
    requested: RequestedProcedure,
    patient: Patient,
    name: str,
    context: ClinicalContext = NOTHING,
) -> Elements:
    """Return every attribute a query may ask for (PS3.4 table K.6-1); what we never know has no value."""
    made: Elements = {
        "AccessionNumber": step.accession,
        "ReferringPhysicianName": order.provider,
        "ReferencedStudySequence": [],
        "ReferencedPatientSequence": [],
        "PatientName": name,
        "PatientID": patient.id,
        "IssuerOfPatientID": patient.issuer,
        "PatientBirthDate": patient.birth_date,
        "PatientSex": patient.sex,
        "MedicalAlerts": order.alerts,
        **told_of(context, patient.sex),
        "StudyInstanceUID": requested.study,
        "RequestingPhysician": order.provider,
        "RequestedProcedureDescription": requested.text,
        "RequestedProcedureCodeSequence": [_code(requested.code, requested.text)],
        SPS: [
            {
                "Modality": step.modality,
                "ScheduledStationAETitle": step.station,
                "ScheduledProcedureStepStartDate": step.start[:8],
                "ScheduledProcedureStepStartTime": step.start[8:14],
                "ScheduledPerformingPhysicianName": "",
                "ScheduledProcedureStepDescription": step.text,
                "ScheduledProtocolCodeSequence": [_code(step.code, step.text)],
                "ScheduledProcedureStepID": step.id,
                "ScheduledStationName": step.station,
                "ScheduledProcedureStepLocation": "",
                "PreMedication": "",
                "RequestedContrastAgent": step.contrast,
                "ScheduledProcedureStepStatus": step.status,
            }
        ],
        "RequestedProcedureID": requested.id,
        "ReasonForTheRequestedProcedure": order.reason,
        "RequestedProcedurePriority": PRIORITY_TO_DICOM[order.priority],
        "RequestedProcedureComments": order.comments,
        "PlacerOrderNumberImagingServiceRequest": order.placer,
        "FillerOrderNumberImagingServiceRequest": order.filler,
    }
    return made


def told_of(context: ClinicalContext, sex: str) -> Elements:
    """Return what is known of a patient: PS3.3 C.2.3 and C.2.4 (Patient Medical), C.3.4 (visit), C.4.11 (transport).

    Of a woman of whom nobody said anything pregnancy is unknown (4); it is never said to be excluded (PRI-05).
    """
    pregnancy = context.pregnancy or ("" if sex == "M" else "unknown")
    return {
        "PatientSize": context.height,
        "PatientWeight": context.weight,
        "Allergies": _values(context.allergies),
        "PregnancyStatus": PREGNANCY.get(pregnancy, ""),
        "SpecialNeeds": "; ".join(NEEDS[code] for code in context.needs)[:64],
        "PatientState": context.danger[:64],
        "ConfidentialityConstraintOnPatientDataDescription": context.confidentiality[:64],
        "PatientTransportArrangements": TRANSPORT.get(context.transport, ""),
    }


def _values(texts: Iterable[str]) -> str:
    """Return several values of one LO; the backslash separates them, so none may hold one (PS3.5 section 6.4)."""
    return "\\".join(text.replace("\\", "/")[:64] for text in texts)


def stay(encounter: Encounter | None, visit: str) -> Elements:
    """Return the visit identification and status (PS3.4 table K.6-1); who was discharged is nowhere."""
    here = encounter is not None and encounter.status == "active"
    return {
        "AdmissionID": visit,
        "IssuerOfAdmissionIDSequence": [{"LocalNamespaceEntityID": ISSUER}] if visit else [],
        "CurrentPatientLocation": encounter.location if encounter and here else "",
    }


def _code(value: str, meaning: str) -> Elements:
    return {"CodeValue": value, "CodingSchemeDesignator": CODING_SCHEME, "CodeMeaning": meaning}


def _shape(identifier: Elements) -> Shape:
    """Return which attributes a query asks for: keywords, and what is asked inside a sequence (all, when left empty)."""
    return tuple(
        (key, _shape(value[0]) if isinstance(value, list) and value else ())
        for key, value in sorted(identifier.items())
    )


@lru_cache(maxsize=_SHAPES)
def _wanted(shape: Shape) -> dict[str, Shape]:
    return dict(shape)


def _reduced(entry: Elements, shape: Shape) -> Elements:
    """Leave what was asked for (PS3.4 section C.4.1.1.3.2)."""
    wanted = _wanted(shape)
    return {
        key: [_reduced(item, wanted[key]) for item in value]
        if isinstance(value, list) and wanted.get(key)
        else value
        for key, value in entry.items()
        if key in wanted or key in ALWAYS
    }
