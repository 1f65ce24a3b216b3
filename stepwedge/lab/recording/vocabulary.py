"""Values that may stay: closed lists out of the standards. A value that is not on the list of its place does not stay."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from stepwedge import kit
from stepwedge.model.procedure import Procedure, catalogue


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SEX: Final = _words("F M O U A N")
"""HL7 table 0001; DICOM (0010,0040) has the first three."""
CONTROL: Final = _words(
    "AF CA CH CN CR DC DE DF DR FU HD HR LI NA NR NW OC OD OE OF OH OK OP OR PA PR PY RE RF RL RO RP RQ RR RU SC SN SR SS UA UC "
    "UD UF UH UM UN UR UX XO XR XX"
)
"""HL7 table 0119."""
ORDER_STATUS: Final = _words("A CA CM DC ER HD IP RP SC")
"""HL7 table 0038."""
RESULT_STATUS: Final = _words("O I S A P C R F X Y Z")
"""HL7 table 0123."""
OBSERVATION_STATUS: Final = _words("C D F I N O P R S U W X")
"""HL7 table 0085."""
FILLER_STATUS: Final = _words(
    "Pending Waitlist Booked Started Complete Cancelled Dc Deleted Blocked Overbook Noshow"
)
"""HL7 table 0278."""
PRIORITY: Final = _words("S A R P C T STAT HIGH ROUTINE MEDIUM LOW")
"""HL7 table 0485, and the terms of (0040,1003)."""
PATIENT_CLASS: Final = _words("E I O P R B C N U")
"""HL7 table 0004."""
ACKNOWLEDGED: Final = _words("AA AE AR CA CE CR")
"""HL7 table 0008."""
VALUE_TYPE: Final = _words(
    "AD CE CF CK CN CP CWE CX DT ED FT HD MO NM PN RP SN ST TM TN TS TX XAD XCN XON XPN XTN"
)
"""HL7 table 0125."""
SEVERITY: Final = _words("E W I F")
"""HL7 table 0516."""
MESSAGES: Final = _words(
    "ACK ADT BAR DFT MDM MFN MFK OMG OMI OMP OML ORA ORF ORG ORI ORL ORM ORR ORU OSQ OSR QBP QCK QRY RDE RSP RRI SIU SRM SRR VXU"
)
"""Message codes of HL7 table 0076 that a radiology meets."""
VERSIONS: Final = _words("2.1 2.2 2.3 2.3.1 2.4 2.5 2.5.1 2.6 2.7 2.7.1 2.8 2.8.1 2.8.2 2.9")
"""HL7 table 0104."""
PROCESSING: Final = frozenset("DPT")
"""HL7 table 0103."""
ERRORS: Final = frozenset(str(code) for code in (0, *range(100, 105), *range(200, 208)))
"""HL7 table 0357."""
MODALITIES: Final = _words(
    "AR AU BDUS BI BMD CR CT CTPROTOCOL DG DOC DX ECG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP "
    "OPM OPT OPV OSS OT PLAN PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTPLAN RTRECORD RTSTRUCT RWV SC SEG SM SMR SR SRF STAIN TG US VA "
    "XA XC"
)
"""Defined terms of (0008,0060), PS3.3 C.7.3.1.1.1."""
PERFORMED: Final = frozenset(("IN PROGRESS", "COMPLETED", "DISCONTINUED"))
"""(0040,0252), PS3.3 C.4.14."""
LEVELS: Final = _words("PATIENT STUDY SERIES IMAGE")
AVAILABILITY: Final = _words("ONLINE NEARLINE OFFLINE UNAVAILABLE")
YES_NO: Final = frozenset(("YES", "NO"))
PHOTOMETRIC: Final = frozenset(
    ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
)
REASONS: Final = frozenset(str(code) for code in range(110500, 110530)) | {
    "111526",
    "113001",
    "113037",
    "113038",
    "113039",
}
"""Why a step was discontinued (PS3.16 CID 9300) or images were withdrawn (CID 7011), codes of DCM."""
WORDS: Final = _words(
    "C-STORE C-FIND C-MOVE C-GET C-ECHO N-CREATE N-SET N-GET N-ACTION N-DELETE N-EVENT-REPORT A-ASSOCIATE"
)
"""DIMSE services (PS3.7 table 9.1-1 and 10.1-1)."""
TROUBLE: Final = _words("lost timeout refused garbled")
"""What an exchange without an answer ended with."""
_TYPE: Final = re.compile(r"([A-Z]{3})\^([A-Z]\d\d)")
_WEB: Final = re.compile(
    r"(GET|POST|PUT|DELETE) ((?:/(?:studies|series|instances|frames|metadata|rendered|workitems|\{\}))+)"
)


def kind(protocol: str, said: str) -> str:
    """Return what an exchange was, such as ``ADT^A04``, ``C-STORE`` or ``GET /studies/{}``; empty when it has no name here."""
    if protocol == "dimse":
        return said if said in WORDS else ""
    if protocol == "hl7":
        found = _TYPE.match(said)
        return found[0] if found and found[1] in MESSAGES else "ACK" if said == "ACK" else ""
    found = _WEB.fullmatch(said)
    return found[0] if found else ""


def outcome(said: str) -> str:
    """Return what came of an exchange: a code of its protocol, or a word for no answer; empty when it is none of them."""
    coded = re.fullmatch(r"[0-9A-F]{4}|[1-5]\d\d", said)
    return said if coded or said in ACKNOWLEDGED or said in TROUBLE else ""


@cache
def procedures() -> dict[str, Procedure]:
    """Return the procedures that the simulated department offers, by code."""
    return catalogue(kit.find("fixtures/procedures/catalogue.yaml"))
