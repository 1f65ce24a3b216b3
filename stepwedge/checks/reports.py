"""What report the ward can read (RAD-28, RAD-128)."""

from __future__ import annotations

import hashlib

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.orders import number_of


@check(
    "report.received",
    says="the ward can read the report",
    ihe="RAD-128",
    observes="ask",
    place="at",
    where=only("order", "accession"),
    is_=only(
        "status",
        "text",
        "versions",
        "patient",
        "filler",
        "accession",
        "study",
        "critical",
        "waits",
        "sr",
        "pdf",
        "page",
        "link",
        "acknowledged_by",
    ),
    chosen_by=("order", "accession"),
    requires=("reports",),
)
def received(question: Question) -> Look:
    """Ask the results receiver for the one report of an order: ``status``, ``text`` and all ``versions``."""
    accession = number_of(question.where, "accession")
    report = question.cast[question.at].ask("report", {"accession": accession})
    if matchers.missing(report.get("status")):
        return Look(differences=[Difference("report", f"a report for {accession}", "none")])
    report = {**report, "page": _digest(str(report.get("pdf") or ""))}
    differences = [] if question.is_ is None else matchers.compare("", question.is_, report)
    if question.is_ is None and matchers.missing(report.get("text")):
        differences = [Difference("text", "a report with text", "an empty one")]
    found = Candidate(f"report for {accession}: {report['status']}", report)
    return Look([] if differences else [found], differences, found.label, 1)


def _digest(page: str) -> str:
    """Return the SHA-256 of a page as it came (base64); empty when none came."""
    return hashlib.sha256(page.encode()).hexdigest() if page else ""
