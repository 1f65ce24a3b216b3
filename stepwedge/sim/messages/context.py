"""Clinical context in HL7: AL1, PV1-15 and 16, OBR-12 and 30, and observations about the patient."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.model.context import NEEDS, NOTHING, PREGNANT, TRANSPORT, ClinicalContext, kilograms, metres
from stepwedge.sim.messages.envelope import said
from stepwedge.wire.hl7 import Rep

if TYPE_CHECKING:
    from stepwedge.wire.hl7 import Group, Segment
    from stepwedge.wire.hl7_build import Value, Written

WEIGHT: Final = ["29463-7", "Body weight", "LN"]
HEIGHT: Final = ["8302-2", "Body height", "LN"]
PREGNANCY: Final = ["82810-3", "Pregnancy status", "LN"]
_PREGNANCY_VALUES: Final = {
    # LOINC answers of 82810-3
    "pregnant": ["LA15173-0", "Pregnant", "LN"],
    "not pregnant": ["LA26683-5", "Not pregnant", "LN"],
    "unknown": ["LA4489-6", "Unknown", "LN"],
}
_PREGNANCY_READ: Final = {code[0]: word for word, code in _PREGNANCY_VALUES.items()}
_MOST: Final = 50
"""Allergies and observations read from one message."""


def allergies(context: ClinicalContext) -> list[Written]:
    """Return one AL1 for each allergy (HL7 2.5.1 section 3.4.6); DA is a drug allergy (table 0127)."""
    return [
        ("AL1", {1: str(number), 2: "DA", 3: ["", text]}) for number, text in enumerate(context.allergies, 1)
    ]


def observations(context: ClinicalContext, version: str) -> list[Written]:
    """Return OBX of weight, height and pregnancy, in this order, final."""
    coded = "CE" if version < "2.5" else "CWE"
    written: list[tuple[str, Value, Value, Value]] = []
    if context.weight:
        written.append(("NM", WEIGHT, context.weight, ["kg", "", "UCUM"]))
    if context.height:
        written.append(("NM", HEIGHT, context.height, ["m", "", "UCUM"]))
    if context.pregnancy:
        written.append((coded, PREGNANCY, _PREGNANCY_VALUES[context.pregnancy], ""))
    return [
        ("OBX", {1: str(number), 2: kind, 3: code, 5: value, 6: unit, 11: "F"})
        for number, (kind, code, value, unit) in enumerate(written, 1)
    ]


def of_visit(context: ClinicalContext) -> dict[int, Value]:
    """Return what PV1 says: ambulatory status (PV1-15) and VIP indicator (PV1-16)."""
    pregnant = [PREGNANT] if context.pregnancy == "pregnant" else []
    return {15: Rep([*context.needs, *pregnant]), 16: context.confidentiality}


def of_request(context: ClinicalContext) -> dict[int, Value]:
    """Return what OBR says: danger code (OBR-12) and transportation mode (OBR-30)."""
    return {12: ["", context.danger] if context.danger else "", 30: context.transport}


def read_context(message: Group, known: ClinicalContext = NOTHING) -> ClinicalContext:
    """Return ``known`` with what a message says; absent leaves, the null value removes (ITI TF-2 appendix C)."""
    changes: dict[str, Any] = {}
    listed = message.each("AL1")[:_MOST]
    if listed:
        texts = [text for each in listed if (text := said(each, "3.2", "3.1"))]
        changes["allergies"] = tuple(texts)
    if (danger := said(message, "OBR-12.2", "OBR-12.1")) is not None:
        changes["danger"] = danger
    if (confidentiality := said(message, "PV1-16.1")) is not None:
        changes["confidentiality"] = confidentiality
    if (transport := said(message, "OBR-30.1")) is not None:
        changes["transport"] = transport if transport in TRANSPORT else ""
    if said(message, "PV1-15.1") is not None:
        codes = message.each("PV1")[0].all("15")
        changes["needs"] = tuple(code for code in codes if code in NEEDS)
        if PREGNANT in codes:
            changes["pregnancy"] = "pregnant"
    for observation in message.each("OBX")[:_MOST]:
        changes |= _observed(observation)
    return replace(known, **changes) if changes else known


def _observed(observation: Segment) -> dict[str, str]:
    value, unit = observation["5.1"], observation["6.1"]
    match observation["3.1.1"]:
        case "29463-7":
            return {"weight": kilograms(value, unit)}
        case "8302-2":
            return {"height": metres(value, unit)}
        case "82810-3":
            return {"pregnancy": _PREGNANCY_READ.get(value, "unknown")}
    return {}
