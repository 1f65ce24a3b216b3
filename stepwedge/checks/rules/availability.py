"""INV-20: what an archive told about availability is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.matchers import show
from stepwedge.checks.notices import TERMS, Notice, notices
from stepwedge.checks.rules.account import Account, accounts
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_FIRST: Final = tuple(reversed(TERMS))


@rule(
    "INV-20",
    says="what the archive told about the availability of images is what it shows, and names where to get them",
    source="IHE RAD TF-2 RAD-49, RAD-66; PS3.4 table R.3.2-1 and section C.4.1.1.3.2",
)
def availability_is_true(facts: CaseFacts) -> Finding:
    """Compare the last notice about each image with every door, and each notice with what it must hold."""
    told = list(notices(facts.exchanges))
    differences = [found for one in told for found in _content(one)]
    last: dict[str, dict[str, str]] = {}
    for one in told:
        last.setdefault(one.study, {}).update({sop: availability for sop, availability, _ in one.items})
    for study, availability in last.items():
        differences += _shown(facts, study, availability)
    for account in accounts(facts.exchanges):
        if account.withdrawn:
            differences += _handed_out(facts, account)
        for sop, code in sorted(account.withdrawn.items()):
            found = last.get(account.study, {}).get(sop)
            if found not in {None, "UNAVAILABLE"}:
                wanted = f"UNAVAILABLE, being withdrawn with {code}"
                differences.append(Difference(f"last notice on image {sop}", wanted, show(found)))
    withdrawn = sum(len(account.withdrawn) for account in accounts(facts.exchanges))
    return Finding(differences, len(told) + withdrawn)


def _handed_out(facts: CaseFacts, account: Account) -> Iterator[Difference]:
    """Open the study: a refusal is right when nothing is left in it, and a withdrawn image never comes."""
    try:
        back = facts.readback.retrieved(account.study) or []
    except Refused:
        if account.here:
            raise
        return
    for image in back:
        if image.sop in account.withdrawn:
            yield Difference(f"image {image.sop}", "not handed out: it was withdrawn", "came back")


def _content(notice: Notice) -> Iterator[Difference]:
    label = f"#{notice.number:04} notice on study {notice.study}"
    if notice.steps is None:
        yield Difference(
            f"{label}: (0008,1111)", "there, and empty when no step is meant (type 2)", "not there"
        )
    for sop, availability, ae_title in notice.items:
        if availability not in TERMS:
            yield Difference(f"{label}: image {sop}", f"one of {', '.join(TERMS)}", show(availability))
        if not ae_title:
            yield Difference(f"{label}: image {sop}", "a Retrieve AE Title (0008,0054)", "none")


def _shown(facts: CaseFacts, study: str, told: dict[str, str]) -> Iterator[Difference]:
    """Compare what was told of a study with each door: which images are there, and how available they are said to be."""
    there = {sop for sop, availability in told.items() if availability != "UNAVAILABLE"}
    for door in facts.readback.doors():
        shown = {str(each.get("SOPInstanceUID")) for each in facts.readback.instances(door, study)}
        for sop in sorted(there - shown):
            yield Difference(f"{door}: image {sop}", f"there, as was told ({told[sop]})", "not there")
        for sop in sorted(shown & set(told) - there):
            yield Difference(f"{door}: image {sop}", "not there, as was told (UNAVAILABLE)", "there")
        wanted = next((term for term in LEAST_FIRST if term in {told[sop] for sop in there}), "")
        for answer in facts.readback.studies(door, "StudyInstanceUID", study):
            found = str(answer.get("InstanceAvailability") or "")
            if found and wanted and found != wanted:
                yield Difference(f"{door}: (0008,0056) of study {study}", wanted, found)
