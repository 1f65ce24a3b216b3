"""Identifiers, references and times as FHIR R4 writes them, and the keys by which the journal finds a resource."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim import keys
from stepwedge.wire import fhir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.evidence.exchange import Keys
    from stepwedge.wire.fhir import Resource

SYSTEM: Final = "https://stepwedge.example/"
"""Root of our identifier and code systems; ``.example`` belongs to nobody (RFC 2606)."""
V2_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
DICOM_UID: Final = "urn:dicom:uid"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_KEYS: Final = {"MR": "patient", "PLAC": "placer", "FILL": "filler", "ACSN": "accession"}
_STAMPS: Final = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def identifier(type_: str, name: str, value: str) -> Resource:
    """Return an identifier by its type of HL7 table 0203 (``MR PLAC FILL ACSN VN``) and our system for it."""
    coding = {"system": V2_TYPES, "code": type_}
    return {"type": {"coding": [coding]}, "system": SYSTEM + name, "value": value}


def mrn(value: str) -> Resource:
    """Return a patient's identifier."""
    return {"use": "usual", **identifier("MR", "patient", value)}


def placer(value: str) -> Resource:
    """Return a placer order number (ORC-2)."""
    return identifier("PLAC", "placer", value)


def filler(value: str) -> Resource:
    """Return a filler order number (ORC-3)."""
    return identifier("FILL", "filler", value)


def accession(value: str) -> Resource:
    """Return an accession number, (0008,0050)."""
    return identifier("ACSN", "accession", value)


def visit(value: str) -> Resource:
    """Return a visit number (PV1-19)."""
    return identifier("VN", "visit", value)


def study(uid: str) -> Resource:
    """Return a Study Instance UID (hl7.org/fhir/R4/imagingstudy.html: system urn:dicom:uid, value urn:oid:)."""
    return {"system": DICOM_UID, "value": f"urn:oid:{uid}"}


def typed(resource: Resource, type_: str, name: str = "identifier") -> str:
    """Return the value of the identifier of a type (HL7 table 0203); empty when there is none."""
    for one in fhir.at(resource, name):
        if isinstance(one, dict) and type_ in [coding.get("code") for coding in fhir.at(one, "type.coding")]:
            return str(one.get("value", ""))
    return ""


def logical_id(text: str) -> str:
    """Return an identifier as logical id: itself where it can be one, else a name made from it."""
    return text if fhir.ID.fullmatch(text) else f"h{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def refer(kind: str, number: str, named: Resource | None = None, display: str = "") -> Resource:
    """Return a literal reference, with the business identifier by which others know the same thing."""
    found: Resource = {"reference": f"{kind}/{logical_id(number)}", "type": kind}
    found |= {"identifier": named} if named else {}
    return found | ({"display": display} if display else {})


@lru_cache(maxsize=4096)  # most times of a message stand in it more than once, and in the next one too
def date_time(stamp: str) -> str | None:
    """Return ``YYYYMMDDHHMMSS`` of local time as dateTime with its offset, a shorter one as the partial date it is."""
    try:
        moment = datetime.strptime(stamp, _STAMPS[len(stamp)])  # noqa: DTZ007 - made local just below
    except (KeyError, ValueError):
        return None
    if len(stamp) <= len("YYYYMMDD"):
        return stamp[:4] + "".join(f"-{stamp[at : at + 2]}" for at in range(4, len(stamp), 2))
    return moment.astimezone().isoformat()


def stamp(moment: str) -> str:
    """Return a date or dateTime as local ``YYYYMMDD`` or ``YYYYMMDDHHMMSS``."""
    if "T" not in moment:
        return moment.replace("-", "")
    return datetime.fromisoformat(moment).astimezone().strftime("%Y%m%d%H%M%S")


def code(system: str, value: str, display: str = "") -> Resource:
    """Return a CodeableConcept of one coding."""
    coding = {"system": system, "code": value} | ({"display": display} if display else {})
    return {"coding": [coding]} | ({"text": display} if display else {})


def keys_of(resource: Resource) -> Keys:
    """Return the identifiers a resource, or every resource of a bundle, speaks of."""
    found: Keys = {}
    for one in fhir.walk(resource):
        if not isinstance(one.get("value"), str):
            continue
        if one.get("system") == DICOM_UID and one["value"].startswith("urn:oid:"):
            keys.add(found, "study", one["value"].removeprefix("urn:oid:"))
        for coding in fhir.at(one, "type.coding"):
            code = (
                coding.get("code") if isinstance(coding, dict) else None
            )  # nobody has judged the resource yet
            if isinstance(code, str) and (kind := _KEYS.get(code)):
                keys.add(found, kind, one["value"])
    return found


def patients_of(resource: Any) -> Iterator[list[str]]:
    """Yield the identifiers of each patient in a resource: of a Patient itself, and of references to one."""
    for one in fhir.walk(resource):
        if one.get("resourceType") == "Patient":
            yield [str(each.get("value", "")) for each in fhir.at(one, "identifier")]
        named = one.get("identifier")
        if one.get("type") == "Patient" or str(one.get("reference", "")).startswith("Patient/"):
            yield [str(named.get("value", ""))] if isinstance(named, dict) else []
