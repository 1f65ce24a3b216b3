"""The identifiers an exchange speaks of, by which it is found to belong to a case.

Keys: patient, prior (merged away), accession, placer, filler, study, series, sop, mpps, transaction, control (MSH-10).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from stepwedge.wire.hl7_build import Rep
from stepwedge.wire.hl7_escape import STANDARD, Er7, unescape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stepwedge.evidence.exchange import Keys
    from stepwedge.wire.hl7 import Message, Segment
    from stepwedge.wire.hl7_build import Written

_HL7 = {
    # segment: field and kind of key, always its first component (2.5.1 and 2.3.1; IHE RAD TF-2 appendix B for ZDS and IPC)
    "PID": ((3, "patient"),),
    "MRG": ((1, "prior"),),
    "ORC": ((2, "placer"), (3, "filler")),
    "OBR": ((2, "placer"), (3, "filler"), (18, "accession")),
    "IPC": ((1, "accession"), (3, "study")),
    "ZDS": ((1, "study"),),
    "SCH": ((1, "placer"), (26, "placer"), (27, "filler")),
}
_OBX_STUDY = "113014"  # DCM "DICOM Study": OBX-5 holds a Study Instance UID (IHE RAD TF-2, 4.28)

_NAMES = {
    # DICOM keywords
    "PatientID": "patient",
    "AccessionNumber": "accession",
    "PlacerOrderNumberImagingServiceRequest": "placer",
    "FillerOrderNumberImagingServiceRequest": "filler",
    "StudyInstanceUID": "study",
    "SeriesInstanceUID": "series",
    "SOPInstanceUID": "sop",
    "ReferencedSOPInstanceUID": "sop",
    "TransactionUID": "transaction",
    # words of actors
    "patient": "patient",
    "prior": "prior",
    "accession": "accession",
    "placer": "placer",
    "filler": "filler",
    "study": "study",
    "series": "series",
    "sop": "sop",
    "mpps": "mpps",
    "transaction": "transaction",
}
_SEQUENCES = {
    # a referenced SOP instance in these is not an image
    "ReferencedStudySequence": "study",
    "ReferencedPerformedProcedureStepSequence": "mpps",
    "ReferencedPatientSequence": "",
    "ReferencedVisitSequence": "",
}
MPPS_CLASS = "1.2.840.10008.3.1.2.3.3"
"""Modality Performed Procedure Step SOP Class (PS3.4 annex F.7)."""
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Storage Commitment Push Model SOP Instance, well known, so no key (PS3.4 annex J.3.5)."""
ANSWERS_READ = 500
"""Answers of one query whose identifiers become keys."""


def add(keys: Keys, kind: str, value: str) -> None:
    """Put one value under a kind, once; empty values and wildcards identify nothing."""
    if value and value != '""' and "*" not in value and "?" not in value:
        values = keys.get(kind)
        if values is None:
            keys[kind] = [value]
        elif value not in values:
            values.append(value)


def merge(*several: Keys) -> Keys:
    """Return all keys of several exchanges or parts of one."""
    several = tuple(filter(None, several))
    if len(several) == 1:
        return several[0]
    keys: Keys = {}
    for each in several:
        for kind, values in each.items():
            for value in values:
                add(keys, kind, value)
    return keys


def of_message(message: Message) -> Keys:
    """Return the keys of an HL7 message."""
    keys: Keys = {}
    add(keys, "control", message.control)
    _, component, repetition, escape, _, _ = message.separators
    for segment in message.segments:
        if named := _HL7.get(segment.name):
            fields = segment.fields
            count = len(fields)
            for field, kind in named:
                text = fields[field] if field < count else ""
                if not text:
                    continue
                if repetition in text or escape in text:
                    for value in segment.heads(field):
                        add(keys, kind, value)
                else:
                    add(keys, kind, text.partition(component)[0])
        elif segment.name == "QPD":
            _of_query(segment, keys)
        elif segment.name == "OBX" and segment["3.1"] == _OBX_STUDY:
            add(keys, "study", segment["5"].partition("^")[0])
    return keys


def _of_query(segment: Segment, keys: Keys) -> None:
    """Take whose identifiers are asked for (QPD-3: a CX in ITI-9, field and value in ITI-21)."""
    for asked in segment.all("3"):
        field, _, rest = asked.partition("^")
        if field.startswith("@"):
            if field == "@PID.3.1":
                add(keys, "patient", rest.partition("^")[0])
        else:
            add(keys, "patient", field)


def of_segments(segments: Iterable[Written]) -> Keys:
    """Return the keys in segments that were written here, as ``wire.hl7.compose`` takes them: nothing is read back."""
    keys: Keys = {}
    for name, fields in segments:
        for field, kind in _HL7.get(name, ()):
            for one in _repetitions(fields.get(field)):
                add(keys, kind, _head(one))
    return keys


def _repetitions(value: Any) -> Iterable[Any]:
    """Return the repetitions of a field as it is written."""
    if isinstance(value, Er7):
        return map(Er7, value.split(STANDARD.repetition))
    return value if isinstance(value, Rep) else (value,)


def _head(value: Any) -> str:
    """Return the first component of one of them."""
    while isinstance(value, list | tuple):
        value = value[0] if value else ""
    if isinstance(value, Er7):
        head = value.partition(STANDARD.component)[0]
        return unescape(head) if STANDARD.escape in head else head
    return "" if value is None else str(value)


def of_values(value: Any) -> Keys:
    """Return the keys in JSON-like values: arguments and results of acts, data sets, the query of a URL."""
    keys: Keys = {}
    _walk(value, "", keys)
    return keys


def of_dimse(sop_class: str, instance: str, datasets: Iterable[Mapping[str, Any]]) -> Keys:
    """Return the keys of a DIMSE exchange from its command's SOP class and instance, and its data sets."""
    keys: Keys = {}
    if instance != COMMITMENT_INSTANCE:
        add(keys, "mpps" if sop_class == MPPS_CLASS else "sop", instance)
    for number, dataset in enumerate(datasets):
        if number >= ANSWERS_READ:
            break
        _walk(dataset, "", keys)
    return keys


_PATH = re.compile(r"/studies/([^/]+)(?:/series/([^/]+))?(?:/instances/([^/]+))?")


def of_url(path: str, query: str) -> Keys:
    """Return the keys in a DICOMweb URL (PS3.18 section 10): its path and its matching parameters."""
    keys: Keys = {}
    if found := _PATH.search(path):
        for kind, value in zip(("study", "series", "sop"), found.groups(), strict=True):
            add(keys, kind, unquote(value or ""))
    for name, value in parse_qsl(query):
        keyword = _TAGS.get(name.upper(), name)
        if named := _NAMES.get(keyword.rpartition(".")[2]):
            for part in re.split(r"[\\,]", value):
                add(keys, named, part)
    return keys


_TAGS = {
    "00100020": "PatientID",
    "00080050": "AccessionNumber",
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
    "00080018": "SOPInstanceUID",
}


def of_json_model(datasets: Any) -> Keys:
    """Return the keys of a DICOM JSON model document (PS3.18 annex F), read without a data dictionary."""
    keys: Keys = {}
    for dataset in datasets[:ANSWERS_READ] if isinstance(datasets, list) else [datasets]:
        _walk_model(dataset, keys)
    return keys


_MODEL = {**{tag: _NAMES[keyword] for tag, keyword in _TAGS.items()}, "00081155": "sop"}


def _walk_model(dataset: Any, keys: Keys) -> None:
    if not isinstance(dataset, dict):
        return
    for tag, element in dataset.items():
        for value in element.get("Value", ()) if isinstance(element, dict) else ():
            if isinstance(value, dict):
                _walk_model(value, keys)
            elif (kind := _MODEL.get(tag)) and isinstance(value, str):
                add(keys, kind, value)


def _walk(value: Any, name: str, keys: Keys) -> None:
    """Collect from ``value``, which stands under ``name``."""
    if isinstance(value, str):
        if kind := _NAMES.get(name):
            for part in value.split("\\"):
                add(keys, kind, part.strip())
    elif isinstance(value, list | tuple):
        for item in value:
            _walk(item, name, keys)
    elif isinstance(value, dict):
        _walk_object(value, name, keys)


def _walk_object(value: dict[str, Any], name: str, keys: Keys) -> None:
    if "issuer" in value and isinstance(value.get("id"), str):  # a patient
        add(keys, "prior" if name == "prior" else "patient", value["id"])
    if name == "ModifiedAttributesSequence":  # what an object said before it was corrected (PS3.3 C.12.1.1.9)
        before: Keys = {}
        for key, item in value.items():
            _walk(item, key, before)
        for patient in before.get("patient", ()):
            add(keys, "prior", patient)
        return
    if isinstance(value.get("uid"), str) and "entry" in value:  # a performed procedure step
        add(keys, "mpps", value["uid"])
    referenced = _SEQUENCES.get(name)
    for key, item in value.items():
        if referenced is None or key != "ReferencedSOPInstanceUID":
            _walk(item, key, keys)
        elif referenced and isinstance(item, str):
            add(keys, referenced, item)
