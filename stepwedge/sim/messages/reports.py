"""Reports in HL7: ORU^R01 (RAD-28, RAD-128, HL7 chapter 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.model.patient import PersonName
from stepwedge.model.procedure import CODING_SCHEME
from stepwedge.sim.messages.envelope import day_and_time
from stepwedge.sim.messages.patients import pid, visit
from stepwedge.wire.hl7 import HL7Error, Rep

if TYPE_CHECKING:
    from stepwedge.model.encounter import Encounter
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient
    from stepwedge.sim.messages.envelope import Envelope
    from stepwedge.wire.hl7 import Message, Segment
    from stepwedge.wire.hl7_build import Fields, Value, Written

STUDY_CODE: Final = "113014"
"""*DICOM Study* (PS3.16, DCM): an observation that carries the Study Instance UID, as RAD-28 carries UIDs."""
NARRATIVE: Final = ["18782-3", "Radiology Study observation (narrative)", "LN"]
ADDENDUM: Final = "ADT"
"""Suffix of OBX-3.1 for an addendum note (HL7 section 7.2, observation ID suffixes)."""

SR_INSTANCE: Final = ["SRINSTANCEUID", "SR Instance UID", "99IHE"]
"""The observation by which RAD-28 says which structured report is meant (value type HD)."""
DOCUMENT: Final = ["18748-4", "Diagnostic imaging study", "LN"]
"""The report as a file (ED) or as the address where its images are shown (RP)."""
CRITICAL: Final = "AA"
"""HL7 table 0078 (OBX-8): abnormal beyond panic limits."""
ACKNOWLEDGED: Final = ["CRITACK", "Critical result acknowledged", CODING_SCHEME]

_LETTERS: Final = frozenset("PFCX")


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """What one ORU^R01 says about one requested procedure.

    Attributes:
        letter: result status (table 0123) P, F, C, X, or A for a final result with an addendum.
        text: narrative, lines joined by a newline; ``addendum`` what was added to it.
        at: when it was signed, ``YYYYMMDDHHMMSS``.
        author: DICOM PN of the interpreter (OBR-32).
        critical: somebody must be told at once (OBX-8).
        sr: SOP Instance UID of the structured report that says the same.
        pdf: the report as a page, base64 (OBX-5 ED); ``link``: where its images are shown (OBX-5 RP).
    """

    letter: str
    accession: str
    text: str = ""
    addendum: str = ""
    placer: str = ""
    filler: str = ""
    study: str = ""
    procedure: str = ""
    procedure_text: str = ""
    author: str = ""
    at: str = ""
    critical: bool = False
    sr: str = ""
    pdf: str = ""
    link: str = ""
    provider: str = ""


def report_message(
    event: ReportEvent, patient: Patient, envelope: Envelope, encounter: Encounter | None = None
) -> bytes:
    """Write ORU^R01; an addendum repeats the text, and adds its own observation; the result stays final."""
    status = "F" if event.letter == "A" else event.letter
    author: Value = [["", *PersonName.from_dicom(event.author).hl7()]] if event.author else ""
    provider: Value = ["", *PersonName.from_dicom(event.provider).hl7()] if event.provider else ""
    obr: Fields = {
        1: "1",
        2: event.placer,
        3: event.filler,
        4: [event.procedure, event.procedure_text, CODING_SCHEME],
        7: event.at,
        16: provider,
        18: event.accession,
        22: event.at,
        25: status,
        32: author,
    }
    observations: list[tuple[str, Value, Value]] = []
    if event.study:
        observations.append(("HD", [STUDY_CODE, "DICOM Study", "DCM"], event.study))
    if event.sr:
        observations.append(("HD", SR_INSTANCE, event.sr))
    observations.append(("TX", NARRATIVE, Rep(event.text.split("\n"))))
    if event.letter == "A":
        code = [[NARRATIVE[0], ADDENDUM], *NARRATIVE[1:]]
        observations.append(("TX", code, Rep(event.addendum.split("\n"))))
    if event.pdf:
        observations.append(("ED", DOCUMENT, ["", "application", "pdf", "Base64", event.pdf]))
    if event.link:
        observations.append(("RP", DOCUMENT, [event.link, "", "text", "html"]))
    flag = CRITICAL if event.critical else ""
    segments: list[Written] = [
        pid(patient, envelope.version),
        visit(encounter),
        ("ORC", {1: "RE", 2: event.placer, 3: event.filler}),
        ("OBR", obr),
        *(
            (
                "OBX",
                {
                    1: str(number),
                    2: kind,
                    3: code,
                    5: value,
                    8: flag if kind == "TX" else "",
                    11: status,
                    14: event.at,
                },
            )
            for number, (kind, code, value) in enumerate(observations, 1)
        ),
    ]
    return envelope.seal("ORU^R01", segments)


def read_report(message: Message) -> ReportEvent:
    """Read the one report of an ORU^R01."""
    letter = message["OBR-25"]
    if letter not in _LETTERS:
        raise HL7Error(103, "OBR-25", f"result status {letter!r} is none of P, F, C, X (table 0123)")
    study, sr, pdf, link, critical = "", "", "", "", False
    texts, addenda = [], []
    for observation in message.each("OBX"):
        if observation["3.1.1"] == STUDY_CODE:
            study = observation["5.1"]
        elif observation["3.1.1"] == SR_INSTANCE[0] or observation["3.2"] == SR_INSTANCE[1]:
            sr = observation["5.1"]
        elif observation["2"] == "ED" and observation["5.3"].casefold() == "pdf":
            pdf = observation["5.5"]
        elif observation["2"] == "RP":
            link = observation["5.1"]
        elif observation["3.1.2"] == ADDENDUM:
            addenda.append(_lines(observation))
        elif observation["2"] in {"TX", "FT", "ST"}:
            texts.append(_lines(observation))
        critical = critical or CRITICAL in observation.all("8")
    return ReportEvent(
        letter="A" if addenda else letter,
        accession=message["OBR-18.1"],
        text="\n".join(texts),
        addendum="\n".join(addenda),
        placer=message["OBR-2.1"] or message["ORC-2.1"],
        filler=message["OBR-3.1"] or message["ORC-3.1"],
        study=study or message["ZDS-1.1"],
        procedure=message["OBR-4.1"],
        procedure_text=message["OBR-4.2"],
        author=PersonName.from_hl7([message[f"OBR-32.1.{number}"] for number in range(2, 7)]).dicom(),
        at=day_and_time(message["OBR-22.1"] or message["OBX-14.1"]),
        critical=critical,
        sr=sr,
        pdf=pdf,
        link=link,
    )


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody took note of a critical result: who, when, and whether it was read back."""

    by: str
    at: str
    read_back: bool = False


def acknowledged_message(told: Acknowledged, order: Order, patient: Patient, envelope: Envelope) -> bytes:
    """Write the acknowledgement of a critical result as ORU^R01 with one observation of our own coding scheme.

    No IHE transaction carries it; what is said here is agreed among these systems.
    """
    obr: Fields = {
        1: "1",
        2: order.placer,
        3: order.filler,
        4: [order.procedure, order.text, CODING_SCHEME],
        18: order.accession,
        25: "F",
    }
    said = (told.by, "read back" if told.read_back else "not read back")
    segments: list[Written] = [
        pid(patient, envelope.version),
        ("ORC", {1: "RE", 2: order.placer, 3: order.filler}),
        ("OBR", obr),
        *(
            ("OBX", {1: str(number), 2: "ST", 3: ACKNOWLEDGED, 5: text, 11: "F", 14: told.at})
            for number, text in enumerate(said, 1)
        ),
    ]
    return envelope.seal("ORU^R01", segments)


def read_acknowledged(message: Message) -> Acknowledged | None:
    """Read the acknowledgement of a critical result; None when an ORU^R01 is none."""
    found = [each for each in message.each("OBX") if each["3.1.1"] == ACKNOWLEDGED[0]]
    if not found:
        return None
    if not (by := found[0]["5.1"]):
        raise HL7Error(101, "OBX-5", "an acknowledgement needs somebody who gave it")
    return Acknowledged(by, day_and_time(found[0]["14.1"]), found[-1]["5.1"] == "read back")


def _lines(observation: Segment) -> str:
    return "\n".join(observation.lines("5"))
