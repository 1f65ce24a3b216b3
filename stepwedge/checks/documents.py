"""Reports as documents and objects, and what became of critical results (HL7 chapter 9, PS3.3 A.35.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.actors import asking
from stepwedge.checks import matchers
from stepwedge.checks.check import ANYTHING, Candidate, Look, Question, check, look, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.orders import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.wire.elements import Elements


@check(
    "document.received",
    says="the ward can read the report as a document",
    ihe="MDM",
    observes="ask",
    place="at",
    where=only("order", "accession"),
    is_=only("number", "parent", "completion", "availability", "text", "documents", "count", "readable"),
    chosen_by=("order", "accession"),
    requires=("documents",),
)
def received(question: Question) -> Look:
    """Ask the results receiver for the document of an order that is read now, and for all that ever came."""
    accession = number_of(question.where, "accession")
    document = question.cast[question.at].ask("document", {"accession": accession})
    if not document.get("count"):
        return Look(differences=[Difference("document", f"a document for {accession}", "none")])
    differences = [] if question.is_ is None else matchers.compare("", question.is_, document)
    found = Candidate(f"document {document.get('number') or 'none readable'} for {accession}", document)
    return Look([] if differences else [found], differences, found.label, document["count"])


@check(
    "result.acknowledged",
    says="the report manager knows who took note of the critical result",
    ihe="RAD-128",
    observes="ask",
    place="at",
    where=only("order", "accession"),
    is_=only("acknowledged_by", "acknowledged_at", "read_back", "waits"),
    chosen_by=("order", "accession"),
    requires=("critical-results",),
)
def acknowledged(question: Question) -> Look:
    """Ask the report manager who took note, when, and whether it was read back; nobody is a difference."""
    accession = number_of(question.where, "accession")
    report = question.cast[question.at].ask("report", {"accession": accession})
    if not report.get("acknowledged_by"):
        return Look(
            differences=[Difference("acknowledged_by", "somebody", "nobody")], seen=1 if report else 0
        )
    differences = [] if question.is_ is None else matchers.compare("", question.is_, report)
    found = Candidate(f"report for {accession}: noted by {report['acknowledged_by']}", report)
    return Look([] if differences else [found], differences, found.label, 1)


@check(
    "report.stored",
    says="the report lies in the archive as a structured report beside its images",
    ihe="PS3.3 A.35.1",
    observes="wire",
    place="from",
    where=only("study", "sop"),
    is_=ANYTHING,
    chosen_by=("study",),
    requires=("storage",),
)
def stored(question: Question) -> Look:
    """Take the study and read its structured reports: DICOM keywords, ``text`` (all TEXT items), ``predecessor`` (SOP)."""
    study = str(question.where["study"])
    address = question.cast[question.from_].address
    taken = asking.retrieve(question.cast, question.from_, "wado-rs" if address.web else "c-get", study)
    candidates = [
        Candidate(f"structured report {one.sop}", _view(one.header))
        for one in taken
        if one.header.get("Modality") == "SR"
    ]
    where = {"SOPInstanceUID": question.where["sop"]} if question.where.get("sop") else {}
    return look(candidates, where, question.is_, what="structured reports")


def _view(header: Elements) -> dict[str, Any]:
    former = header.get("PredecessorDocumentsSequence") or []
    named = [
        document.get("ReferencedSOPInstanceUID", "")
        for study in former
        for series in study.get("ReferencedSeriesSequence") or []
        for document in series.get("ReferencedSOPSequence") or []
    ]
    evidence = [
        image.get("ReferencedSOPInstanceUID", "")
        for study in header.get("CurrentRequestedProcedureEvidenceSequence") or []
        for series in study.get("ReferencedSeriesSequence") or []
        for image in series.get("ReferencedSOPSequence") or []
    ]
    return {
        **header,
        "text": "\n".join(_texts(header)),
        "predecessor": named[0] if named else "",
        "evidence": len(evidence),
    }


def _texts(item: Elements) -> Iterator[str]:
    if item.get("ValueType") == "TEXT":
        yield str(item.get("TextValue", ""))
    for child in item.get("ContentSequence") or []:
        yield from _texts(child)
