"""What a system under test can claim to support, and which roles a claim binds.

A scenario or a step says ``requires: [mwl]``. In a lab where the roles that the claim binds are simulated it holds by
itself; where one of them is real, the lab file must claim it under ``sut.claims``, or the step is left out with that
reason. Nothing is ever expected of a system that did not claim it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise, by the roles that must keep it."""

    roles: tuple[str, ...]
    says: str


CLAIMS: Final[dict[str, Claim]] = {
    "orders": Claim(("ris",), "takes imaging orders and answers them (RAD-2)"),
    "order-status": Claim(("ris",), "tells the order placer how its order fares (RAD-3)"),
    "procedure-scheduled": Claim(
        ("ris", "pacs"), "the archive learns what was scheduled and changed (RAD-4, RAD-13)"
    ),
    "mwl": Claim(("ris",), "serves a modality worklist (RAD-5)"),
    "mpps": Claim(("ris",), "takes modality performed procedure steps (RAD-6, RAD-7)"),
    "storage": Claim(("pacs",), "stores images sent with C-STORE (RAD-8)"),
    "storage-commitment": Claim(("pacs",), "takes responsibility for stored images (RAD-10)"),
    "commitment-same-association": Claim(
        ("pacs",), "reports commitment on the association that asked (RAD-10)"
    ),
    "commitment-new-association": Claim(
        ("pacs",), "reports commitment on an association of its own (RAD-10)"
    ),
    "duplicate-refused": Claim(("pacs",), "refuses another object under a SOP Instance UID it already holds"),
    "c-find": Claim(("pacs",), "answers study queries with C-FIND (RAD-14)"),
    "c-move": Claim(("pacs",), "sends studies to a third system with C-MOVE (RAD-16)"),
    "c-get": Claim(("pacs",), "hands studies over with C-GET (RAD-16)"),
    "qido-rs": Claim(("pacs",), "answers study queries over DICOMweb (PS3.18 section 10.6)"),
    "qido-names": Claim(
        ("pacs",), "finds names outside ASCII by QIDO-RS, their UTF-8 percent-encoded (RFC 3986 section 2.5)"
    ),
    "wado-rs": Claim(("pacs",), "hands studies over over DICOMweb (PS3.18 section 10.4)"),
    "archive-scrubbing": Claim(("pacs",), "compares what is on its disk with what came"),
    "strict-objects": Claim(
        ("pacs",),
        "refuses objects without proper UIDs, of unknown kind or with half their pixels (PS3.4 B.2.3)",
    ),
    "exact-matching": Claim(
        ("pacs",), "matches keys letter by letter, and wildcards as PS3.4 C.2.2.2 has them, at every door"
    ),
    "idle-peers": Claim(("pacs",), "serves others beside peers that connect and say nothing (PS3.8 ARTIM)"),
    "stow-rs": Claim(("pacs",), "stores images sent over DICOMweb (PS3.18 section 10.5)"),
    "transcoding": Claim(
        ("pacs",), "takes and delivers images in every lossless transfer syntax, pixels unchanged (PS3.5)"
    ),
    "wado-frames": Claim(
        ("pacs",), "gives single frames over DICOMweb, and 404 for one that is not there (PS3.18 10.4.1.1.6)"
    ),
    "wado-rendered": Claim(("pacs",), "renders images over DICOMweb (PS3.18 section 10.4.1.1.5)"),
    "original-attributes": Claim(
        ("pacs",), "says in (0400,0561) what it changed in an object (PS3.3 C.12.1.1.9)"
    ),
    "relational-queries": Claim(("pacs",), "negotiates and answers relational queries (PS3.4 C.5.1.1)"),
    "fuzzy-names": Claim(("pacs",), "negotiates fuzzy matching of names and matches so (PS3.4 C.5.1.1)"),
    "availability-notice": Claim(
        ("pacs",), "tells how available studies are, and when that changes (RAD-49)"
    ),
    "rejection-notes": Claim(("pacs",), "takes images out of sight that a rejection note names (RAD-66)"),
    "storage-tiers": Claim(("pacs",), "moves studies nearline and offline, and recalls them ((0008,0056))"),
    "deletion": Claim(("pacs",), "deletes studies for good, on demand"),
    "media": Claim(("pacs",), "takes images in from media (PS3.10), on demand"),
    "retention": Claim(
        ("pacs",), "deletes studies that were kept long enough, unless a legal hold keeps them"
    ),
    "mpps-forwarding": Claim(("ris",), "tells the archive of performed steps (RAD-6, RAD-7)"),
    "reading-tasks": Claim(
        ("pacs",),
        "makes a reading task for each exam and lets one reader claim it (UPS-RS, PS3.18 section 11)",
    ),
    "task-events": Claim(
        ("pacs",), "tells who watches a reading task of its changes (UPS, PS3.4 CC.2.3, CC.2.4)"
    ),
    "prefetch": Claim(
        ("pacs",), "fetches priors ahead by rule, when an exam is ordered or the patient comes"
    ),
    "archive-routing": Claim(("pacs",), "sends new images on to other systems by rule"),
    "patient-update": Claim(("ris", "pacs"), "follows corrected demographics (RAD-12, ADT^A08)"),
    "unusual-messages": Claim(
        ("ris",),
        "takes what is legal and unusual (other delimiters, every priority, reports that fit no order), and lets us see how it went on",
    ),
    "patient-merge": Claim(("ris", "pacs"), "follows merged patients (RAD-12, ADT^A40)"),
    "patient-identifier": Claim(("ris", "pacs"), "follows a changed patient ID (ITI-30, ADT^A47)"),
    "persons": Claim(("ris",), "follows persons who are in no encounter (ITI-30, ADT^A28, A31)"),
    "encounters": Claim(
        ("ris",), "follows encounters and shows the visit number (ITI-31, PV1-19, (0038,0010))"
    ),
    "filler-orders": Claim(
        ("ris",), "makes orders of its own and asks for their placer number (RAD-3, SN and NA)"
    ),
    "exam-reconciliation": Claim(
        ("ris", "pacs"), "attaches an exam that nobody ordered to an order afterwards (IHE PIR)"
    ),
    "clinical-context": Claim(
        ("ris",), "shows allergies, pregnancy, weight and precautions to the scanner (AL1, OBX, PS3.4 K.6)"
    ),
    "placer-numbers": Claim(
        ("ris",), "takes accession number and study that the placer issued (OMI^O23, IPC-1, IPC-3)"
    ),
    "order-changes": Claim(("ris",), "takes changes of an order (RAD-2, ORC-1 XO)"),
    "order-holds": Claim(("ris",), "holds and releases orders (ORC-1 HD, RL)"),
    "appointments": Claim(("ris",), "tells the ward when an exam takes place (RAD-48, SIU)"),
    "critical-results": Claim(
        ("ris",), "passes critical results on as such (OBX-8) and takes the news that they were noted"
    ),
    "documents": Claim(("ris",), "sends reports as documents (MDM^T02, T06, T10, T04)"),
    "pix": Claim(("mpi",), "knows who is who under which identifier (ITI-9, ITI-10, ITI-30)"),
    "pdq": Claim(("mpi",), "answers searches for patients (ITI-21)"),
    "reports": Claim(("ris",), "passes reports on to the order placer (ORU^R01)"),
    "tls": Claim(
        ("ehr", "ris", "pacs", "modality", "reader", "engine"),
        "speaks TLS with mutual authentication and keeps strangers out (ITI-19, PS3.15 annex B)",
    ),
    "atna": Claim(
        ("ehr", "ris", "pacs"), "keeps an audit trail and sends it to the audit record repository (ITI-20)"
    ),
    "fhir": Claim(("ehr",), "shows patients, orders, appointments and results as FHIR R4 resources"),
    "fhir-orders": Claim(
        ("ris",),
        "takes orders as FHIR R4 ServiceRequest with Task and tells the placer by Task how they fare",
    ),
    "fhir-imaging-study": Claim(("pacs",), "shows its studies as FHIR R4 ImagingStudy"),
    "tokens": Claim(
        ("pacs",), "asks for bearer tokens at its web doors and judges them (RFC 6750, SMART App Launch)"
    ),
    "sign-in": Claim(
        ("idp",), "signs people and programs in, and takes it back (OpenID Connect, OAuth 2, PKCE, TOTP)"
    ),
    "addenda": Claim(("ris",), "passes on addenda to a final report (ORU^R01)"),
}


def effective(claimed: Iterable[str], real_roles: Collection[str]) -> frozenset[str] | None:
    """Return every claim that holds in a lab whose ``real_roles`` claim ``claimed``; ``None`` when none is real."""
    if not real_roles:
        return None
    said = set(claimed)
    return frozenset(
        name for name, claim in CLAIMS.items() if name in said or not set(claim.roles) & set(real_roles)
    )
