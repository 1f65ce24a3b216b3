"""Black-box questions, asked on the wire by a probe that is nobody's actor.

Each question is one association or one HTTP request. What came back is an :class:`Asked`: the answers and the number
of the exchange that proves them. No answer is an exception (``LinkLost``, ``NoAnswer``, ``Refused``,
``RemoteProtocolError``), never an empty list.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.lending import lent
from stepwedge.errors import Broken, LinkLost, NoAnswer, Refused, RemoteProtocolError, StepwedgeError
from stepwedge.evidence.exchange import NOTHING, Exchange, Payload
from stepwedge.sim import keys as keys_of
from stepwedge.sim.charsets import Charsets, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from stepwedge.actors.cast import Cast
    from stepwedge.sim.address import Entity
    from stepwedge.wire.dicomweb import DicomWeb
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.elements import Elements

ASK_SECONDS: Final = 10.0
"""How long one answer may take, before patience scales it."""
RETRIEVE_SECONDS: Final = 60.0

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
class Asked:
    """What came back, and the numbers of the exchanges that prove it."""

    answers: list[Elements]
    evidence: tuple[int, ...]


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
        return _qido(cast, actor, "studies", wanted, fuzzy=fuzzy)
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
        return _qido(cast, actor, "instances", dict.fromkeys(LEVEL_KEYS["IMAGE"][1:], ""), study)
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
        return [_opened(part10) for part10 in _wado(cast, actor, study, transfer_syntax)]
    if door != "c-get":
        raise Broken(f"the probe takes studies through wado-rs or c-get, not {door}")
    return _get(cast, actor, study, (transfer_syntax,) if transfer_syntax else TRANSFERS)


def opened(cast: Cast, actor: str, study: str, *, limit: int, wanted: set[str]) -> list[Elements]:
    """Take a study over WADO-RS in explicit little endian and return the first ``wanted`` data sets, pixels and all."""
    from stepwedge.wire import part10
    from stepwedge.wire.elements import decode

    files = (part10.read(part) for part in _wado(cast, actor, study, TRANSFERS[0]))
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


@dataclass(slots=True)
class Witness:
    """Tells the cast of one exchange the probe made, whatever became of it."""

    cast: Cast
    actor: str
    protocol: Any
    kind: str
    facts: dict[str, Any]
    keys: dict[str, list[str]]
    request: Payload = NOTHING
    response: Payload = NOTHING
    outcome: str = ""
    number: int = 0

    @contextmanager
    def watching(self) -> Iterator[Witness]:
        """Record the exchange when the block ends, with what went wrong in it."""
        began, ticks = time.time(), time.monotonic()
        try:
            yield self
        except StepwedgeError as trouble:
            word = next((word for kind, word in _WORDS.items() if isinstance(trouble, kind)), "broken")
            self.outcome = self.outcome or word
            self.facts["error"] = str(trouble)
            raise
        finally:
            took = time.monotonic() - ticks
            self.number = self.cast.observe(
                Exchange(
                    0,
                    began,
                    took,
                    "probe",
                    "out",
                    self.protocol,
                    self.kind,
                    self.actor,
                    self.outcome,
                    self.keys,
                    self.facts,
                    self.request,
                    self.response,
                )
            )


_WORDS: Final[dict[type[StepwedgeError], str]] = {
    LinkLost: "lost",
    NoAnswer: "timeout",
    Refused: "refused",
    RemoteProtocolError: "garbled",
}


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
        _associated(cast, entity, (STUDY_GET, *classes), RETRIEVE_SECONDS, classes, syntaxes) as association,
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


def _qido(
    cast: Cast, actor: str, level: str, keys: dict[str, Any], study: str = "", *, fuzzy: bool = False
) -> Asked:
    path = f"/studies/{study}/{level}" if study else f"/{level}"
    facts: dict[str, Any] = {"path": path, "query": keys}
    witness = Witness(cast, actor, "web", f"GET {path}", facts, keys_of.of_values(keys))
    with witness.watching(), _web(cast, actor, witness) as client:
        matching = {key: value for key, value in keys.items() if value}
        fields = [key for key in keys if key not in matching]
        answers = client.qido(level, matching, study=study, fields=fields, fuzzy=fuzzy)
        witness.keys = keys_of.of_values([{"study": study}, keys, answers])
        facts["answers"] = answers
    return Asked(answers, (witness.number,))


def tasks(cast: Cast, actor: str, keys: Mapping[str, Any]) -> Asked:
    """Search the worklist service for workitems (UPS-RS, PS3.18 section 11.9)."""
    matching = {key: str(value) for key, value in keys.items() if value}
    facts: dict[str, Any] = {"path": "/workitems", "query": matching}
    witness = Witness(cast, actor, "web", "GET /workitems", facts, keys_of.of_values(matching))
    with witness.watching(), _web(cast, actor, witness) as client:
        answers = client.workitems(matching)
        facts["answers"] = answers
    return Asked(answers, (witness.number,))


def _wado(cast: Cast, actor: str, study: str, transfer_syntax: str = "") -> list[bytes]:
    path = f"/studies/{study}"
    witness = Witness(cast, actor, "web", f"GET {path}", {"path": path}, {"study": [study]})
    with witness.watching(), _web(cast, actor, witness) as client:
        parts = client.wado(study, transfer_syntax=transfer_syntax or "*")
        witness.facts["instances"] = len(parts)
    return parts


def picture(cast: Cast, actor: str, place: tuple[str, str, str], query: Mapping[str, str]) -> bytes:
    """Let an image (study, series, instance) be rendered as PNG (PS3.18 section 10.4.1.1.5)."""
    path = "/studies/{}/series/{}/instances/{}/rendered".format(*place)
    witness = Witness(
        cast, actor, "web", f"GET {path}", {"path": path, "query": dict(query)}, {"sop": [place[2]]}
    )
    with witness.watching(), _web(cast, actor, witness) as client:
        return client.rendered(*place, query=list(query.items()))


def frames(cast: Cast, actor: str, place: tuple[str, str, str], numbers: Sequence[int]) -> list[bytes]:
    """Take frames of an image (study, series, instance) by number, from 1, decoded (PS3.18 section 10.4.1.1.6)."""
    path = "/studies/{}/series/{}/instances/{}/frames".format(*place)
    facts = {"path": path, "frames": list(numbers)}
    witness = Witness(cast, actor, "web", f"GET {path}", facts, {"sop": [place[2]]})
    with witness.watching(), _web(cast, actor, witness) as client:
        return client.frames(*place, numbers)


def _web(cast: Cast, actor: str, witness: Witness) -> AbstractContextManager[DicomWeb]:
    from stepwedge.wire.dicomweb import DicomWeb

    return lent(DicomWeb, cast, actor, "web", "DICOMweb", RETRIEVE_SECONDS, witness)


def _opened(data: bytes) -> Retrieved:
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
