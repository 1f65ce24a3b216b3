"""Black-box questions, asked on the wire by a probe that is nobody's actor.

Each question is one association or one HTTP request. What came back is an :class:`Asked`: the answers and the number
of the exchange that proves them. No answer is an exception (``LinkLost``, ``NoAnswer``, ``Refused``,
``RemoteProtocolError``), never an empty list.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking_web
from stepwedge.actors.witness import Asked, Witness
from stepwedge.errors import Broken, Refused
from stepwedge.evidence.exchange import Payload
from stepwedge.sim import keys as keys_of
from stepwedge.sim.charsets import Charsets, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stepwedge.actors.cast import Cast
    from stepwedge.sim.address import Entity
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.elements import Elements

ASK_SECONDS: Final = 10.0
"""How long one answer may take, before patience scales it."""

WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
STUDY_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
RELATIONAL, FUZZY = 0, 2
"""Options of C-FIND in SOP Class Extended Negotiation, by byte (PS3.4 table C.5-1)."""
TRANSFERS: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")

STEP_KEYS: Final = (
    # PS3.4 table K.6-1, Scheduled Procedure Step module: these stand in the Scheduled Procedure Step Sequence.
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "Modality",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProtocolCodeSequence",
    "PreMedication",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepStatus",
    "RequestedContrastAgent",
)
ENTRY_KEYS: Final = (
    # PS3.4 table K.6-1, the other modules, as RAD-5 asks for them.
    "SpecificCharacterSet",
    "AccessionNumber",
    "ReferringPhysicianName",
    "ReferencedStudySequence",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientSize",
    "PatientWeight",
    "MedicalAlerts",
    "Allergies",
    "PregnancyStatus",
    "SpecialNeeds",
    "PatientState",
    "ConfidentialityConstraintOnPatientDataDescription",
    "StudyInstanceUID",
    "RequestingPhysician",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "CurrentPatientLocation",
    "RequestedProcedureID",
    "RequestedProcedurePriority",
    "ReasonForTheRequestedProcedure",
    "RequestedProcedureComments",
    "PatientTransportArrangements",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)
_PATIENT_KEYS: Final = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
LEVEL_KEYS: Final = {
    # PS3.4 section C.6: what is asked for at each level.
    "PATIENT": (*_PATIENT_KEYS, "NumberOfPatientRelatedStudies"),
    "STUDY": (
        *_PATIENT_KEYS,
        "StudyInstanceUID",
        "AccessionNumber",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "InstanceAvailability",
    ),
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances"),
    "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber"),
}


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One instance as it came back.

    Attributes:
        sop: SOP Instance UID.
        header: the data set without its pixels.
        pixels: SHA-256 of the pixel values, the same in every lossless transfer syntax.
        transfer_syntax: the one it came in.
    """

    sop: str
    header: Elements
    pixels: str
    transfer_syntax: str = ""


def worklist(cast: Cast, actor: str, keys: Mapping[str, Any]) -> Asked:
    """Ask for worklist entries (RAD-5); ``keys`` are DICOM keywords, each put where the standard has it."""
    identifier: dict[str, Any] = dict.fromkeys(ENTRY_KEYS, "")
    step: dict[str, Any] = dict.fromkeys(STEP_KEYS, "")
    for key, value in keys.items():
        (step if key in STEP_KEYS else identifier)[key] = value
    identifier["ScheduledProcedureStepSequence"] = [_sequences(step)]
    address = cast[actor].address
    entity = _door(actor, "worklist", address.worklist or address.dicom)
    with _associated(cast, entity, (WORKLIST_FIND,)) as association:
        return _find(cast, actor, association, WORKLIST_FIND, _sequences(identifier))


def studies(cast: Cast, actor: str, door: str, keys: Mapping[str, Any], *, fuzzy: bool = False) -> Asked:
    """Ask for studies through ``c-find`` or ``qido-rs`` (RAD-14, PS3.18 section 10.6), names ``fuzzy`` where agreed."""
    if door == "qido-rs":
        wanted = {**dict.fromkeys(LEVEL_KEYS["STUDY"], ""), **keys}
        return asking_web.search(cast, actor, "studies", wanted, fuzzy=fuzzy)
    identifier = {"QueryRetrieveLevel": "STUDY", **dict.fromkeys(LEVEL_KEYS["STUDY"], ""), **keys}
    return _optional(cast, actor, identifier, FUZZY if fuzzy else None)


def series(cast: Cast, actor: str, keys: Mapping[str, Any]) -> Asked:
    """Ask for series of any study by a relational query (PS3.4 C.4.1.2.2.1)."""
    keys = {**dict.fromkeys(("PatientID", "StudyInstanceUID"), ""), **keys}
    return _optional(cast, actor, {**_level("SERIES"), **keys}, RELATIONAL)


def _optional(cast: Cast, actor: str, identifier: dict[str, Any], option: int | None) -> Asked:
    """Ask by C-FIND, with one option of extended negotiation (PS3.4 C.5.1.1); one that is not granted is Refused."""
    entity = _door(actor, "dicom", cast[actor].address.dicom)
    options = {} if option is None else {STUDY_FIND: bytes(number == option for number in range(3))}
    with _associated(cast, entity, (STUDY_FIND,), options=options) as association:
        if option is not None and not association.peer.agreed(STUDY_FIND, option):
            raise Refused(
                f"{actor} did not agree to byte {option + 1} of extended negotiation (PS3.4 C.5.1.1)"
            )
        return _find(cast, actor, association, STUDY_FIND, identifier)


def patients(cast: Cast, actor: str, door: str, keys: Mapping[str, Any]) -> Asked:
    """Ask for patients at the patient level (PS3.4 section C.6.1)."""
    if door != "c-find":
        raise Broken(f"patients cannot be asked for through {door}: DICOMweb has no patient level (PS3.18)")
    identifier = {"QueryRetrieveLevel": "PATIENT", **dict.fromkeys(LEVEL_KEYS["PATIENT"], ""), **keys}
    entity = _door(actor, "dicom", cast[actor].address.dicom)
    with _associated(cast, entity, (PATIENT_FIND,)) as association:
        return _find(cast, actor, association, PATIENT_FIND, identifier)


def instances(cast: Cast, actor: str, door: str, study: str) -> Asked:
    """Ask which instances a study has; C-FIND goes down level by level, as a strict archive wants it (C.4.1.2)."""
    if door == "qido-rs":
        return asking_web.search(cast, actor, "instances", dict.fromkeys(LEVEL_KEYS["IMAGE"][1:], ""), study)
    entity = _door(actor, "dicom", cast[actor].address.dicom)
    with _associated(cast, entity, (STUDY_FIND,)) as association:
        series = _find(cast, actor, association, STUDY_FIND, _level("SERIES", StudyInstanceUID=study))
        found, evidence = [], [*series.evidence]
        for each in series.answers:
            uid = each.get("SeriesInstanceUID", "")
            wanted = _level("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=uid)
            images = _find(cast, actor, association, STUDY_FIND, wanted)
            found += images.answers
            evidence += images.evidence
    return Asked(found, tuple(evidence))


def retrieve(cast: Cast, actor: str, door: str, study: str, transfer_syntax: str = "") -> list[Retrieved]:
    """Take a whole study to the probe itself through ``wado-rs`` or ``c-get``, headers and pixel hashes.

    With ``transfer_syntax`` nothing but that one is accepted.
    """
    if door == "wado-rs":
        return [open_part10(part10) for part10 in asking_web.take(cast, actor, study, transfer_syntax)]
    if door != "c-get":
        raise Broken(f"the probe takes studies through wado-rs or c-get, not {door}")
    return _get(cast, actor, study, (transfer_syntax,) if transfer_syntax else TRANSFERS)


def opened(cast: Cast, actor: str, study: str, *, limit: int, wanted: set[str]) -> list[Elements]:
    """Take a study over WADO-RS in explicit little endian and return the first ``wanted`` data sets, pixels and all."""
    from stepwedge.wire import part10
    from stepwedge.wire.elements import decode

    files = (part10.read(part) for part in asking_web.take(cast, actor, study, TRANSFERS[0]))
    sets = (decode(file.data, explicit=True) for file in files if file.sop_instance in wanted)
    return [one for one, _ in zip(sets, range(limit), strict=False)]


def _level(level: str, **keys: str) -> dict[str, str]:
    return {"QueryRetrieveLevel": level, **dict.fromkeys(LEVEL_KEYS[level], ""), **keys}


def _sequences(keys: dict[str, Any]) -> dict[str, Any]:
    """Turn universal keys of sequences into empty sequences."""
    return {key: [] if value == "" and key.endswith("Sequence") else value for key, value in keys.items()}


def _door(actor: str, name: str, entity: Entity | None) -> Entity:
    if entity is None:
        raise Broken(f"{actor} has no {name} address in the lab file, so it cannot be asked")
    return entity


@contextmanager
def _associated(
    cast: Cast,
    entity: Entity,
    classes: Sequence[str],
    seconds: float = ASK_SECONDS,
    stored: Sequence[str] = (),
    syntaxes: Sequence[str] = TRANSFERS,
    options: Mapping[str, bytes] | None = None,
) -> Iterator[Association]:
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.negotiation import Extended

    with Association.open(
        entity.host,
        entity.port,
        calling=cast.probe,
        called=entity.ae,
        contexts=[(name, syntaxes if name in stored else TRANSFERS) for name in classes],
        timeout=seconds * cast.patience,
        scp_of=stored,
        context=cast.context(tls=entity.tls),
        extended=[Extended(name, wanted) for name, wanted in (options or {}).items()],
    ) as association:
        yield association


def _find(cast: Cast, actor: str, association: Association, model: str, identifier: dict[str, Any]) -> Asked:
    from stepwedge.wire import status
    from stepwedge.wire.elements import encode

    if term := Charsets().for_dicom(texts(identifier)):  # keys outside the default repertoire (PS3.4 C.2.2.2)
        identifier = {**identifier, "SpecificCharacterSet": term}
    facts: dict[str, Any] = {"model": model, "identifier": identifier}
    request = Payload.of(encode(identifier, explicit=True))
    witness = Witness(cast, actor, "dimse", "C-FIND", facts, keys_of.of_values(identifier), request)
    with witness.watching():
        found = association.find(model, identifier)
        facts["answers"] = found.identifiers
        witness.keys = keys_of.of_values([identifier, found.identifiers])
        witness.response = Payload.of(b"".join(found.raw))
        witness.outcome = f"{found.status:04X}"
        if found.category != "success":
            raise Refused(
                f"{actor} ended the C-FIND with {status.describe(found.status, 'C-FIND')} {found.comment}"
            )
    return Asked(found.identifiers, (witness.number,))


def _get(cast: Cast, actor: str, study: str, syntaxes: Sequence[str]) -> list[Retrieved]:
    from stepwedge.wire import status

    entity = _door(actor, "dicom", cast[actor].address.dicom)
    classes = sorted({answer["SOPClassUID"] for answer in instances(cast, actor, "c-find", study).answers})
    facts: dict[str, Any] = {"model": STUDY_GET, "identifier": _unique(study), "accepted": list(syntaxes)}
    witness = Witness(cast, actor, "dimse", "C-GET", facts, {"study": [study]})
    with (
        _associated(
            cast, entity, (STUDY_GET, *classes), asking_web.RETRIEVE_SECONDS, classes, syntaxes
        ) as association,
        witness.watching(),
    ):
        got = association.get(STUDY_GET, _unique(study))
        witness.outcome = f"{got.status:04X}"
        facts["completed"], facts["failed"] = got.completed, got.failed
        if got.category != "success":
            raise Refused(
                f"{actor} ended the C-GET with {status.describe(got.status, 'C-GET')} {got.comment}"
            )
    return [_split(one.data, one.transfer_syntax) for one in got.instances]


def _unique(study: str) -> dict[str, str]:
    return {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}


def open_part10(data: bytes) -> Retrieved:
    """Read a Part 10 file as it was retrieved: header and hash of the pixels."""
    from stepwedge.wire import part10

    file = part10.read(data)
    return _split(file.data, file.transfer_syntax)


def _split(dataset: bytes, transfer_syntax: str) -> Retrieved:
    from stepwedge.wire import encodings, pixels
    from stepwedge.wire.elements import IMPLICIT_LE, decode

    data, plain = encodings.plain(dataset, transfer_syntax)
    header = decode(data, explicit=plain != IMPLICIT_LE)
    digest = pixels.digest(header, transfer_syntax)
    header.pop("PixelData", None)
    return Retrieved(header.get("SOPInstanceUID", ""), header, digest, transfer_syntax)
