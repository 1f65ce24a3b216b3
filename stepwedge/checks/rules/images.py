"""INV-6 and INV-7: every image once, and as it was acquired."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.images import altered
from stepwedge.checks.matchers import show
from stepwedge.checks.rules.account import Account, accounts, listed
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import labelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.elements import Elements

COERCED: Final = frozenset(
    # PS3.4 section B.4.1.2 and RAD-12 let an archive bring these up to date; INV-1 to INV-4 judge what they say.
    [
        "SpecificCharacterSet",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "IssuerOfPatientIDQualifiersSequence",
        "OtherPatientIDsSequence",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyInstanceUID",
        "OriginalAttributesSequence",
        "InstanceAvailability",
        "RetrieveAETitle",
        "RetrieveURL",
        "StorageMediaFileSetID",
        "TimezoneOffsetFromUTC",
    ]
)


@rule(
    "INV-6",
    says="as many images everywhere as were acquired: listed, stored, committed, found, retrieved",
    source="IHE RAD TF-2 RAD-7, RAD-8, RAD-10, RAD-14, RAD-16; PS3.4 annexes B, C, F, J; (0020,1208)",
)
def every_image_once(facts: CaseFacts) -> Finding:
    """Compare the sets of SOP Instance UIDs, study by study."""
    differences: list[Difference] = []
    reached = 0
    on_lists = listed(facts.exchanges)
    for account in accounts(facts.exchanges, facts.forged):
        for step, sops in account.by_step.items():
            if step in on_lists:
                reached += 1
                differences += _sets(f"performed step {step} lists", sops, on_lists[step])
        if account.sent:
            reached += 1
            differences += _stored(facts, account)
        for exchange, counts in account.moved:
            reached += 1
            differences += _counted(exchange, *counts)
        if account.committed or account.uncommitted:
            reached += 1
            differences += _answered_for(account)
    unseen = [] if facts.readback.doors() else ["which images the archive shows: it has no query door here"]
    return Finding(differences, reached, unseen=unseen)


def _sets(what: str, wanted: set[str], found: Iterable[str]) -> Iterator[Difference]:
    counts = Counter(found)
    for sop in sorted(wanted - set(counts)):
        yield Difference(what, f"image {sop}", "not there")
    for sop, count in sorted(counts.items()):
        if sop not in wanted:
            yield Difference(what, f"only images of the {len(wanted)} expected", f"image {sop} too")
        elif count > 1:
            yield Difference(what, f"image {sop} once", f"{count} times")


def _stored(facts: CaseFacts, account: Account) -> Iterator[Difference]:
    """Compare what was accepted with what was sent, and with what every door shows."""
    for sop in sorted(account.sent.keys() - account.taken):
        yield Difference(f"image {sop}", "stored by the archive", f"refused with {account.sent[sop]}")
    for door in facts.readback.doors():
        shown = [str(each.get("SOPInstanceUID")) for each in facts.readback.instances(door, account.study)]
        yield from _sets(f"{door}: instances of study {account.study}", account.here, _images(account, shown))
        least, most = account.counts()
        series = len({account.series[sop] for sop in account.here})
        counts = {
            "NumberOfStudyRelatedInstances": (least, most),
            "NumberOfStudyRelatedSeries": (series, series + most - least),
        }
        for answer in facts.readback.studies(door, "StudyInstanceUID", account.study):
            for name, wanted in counts.items():
                if (found := str(answer.get(name, ""))) and not _within(found, *wanted):
                    yield Difference(f"{door}: {name} of study {account.study}", _said(*wanted), show(found))
    if account.here and (back := facts.readback.retrieved(account.study)) is not None:
        sops = _images(account, [image.sop for image in back])
        yield from _sets(f"study {account.study} as retrieved", account.here, sops)


def _images(account: Account, sops: Iterable[str]) -> list[str]:
    """Return what is no other object that was stored into the study and may be shown, such as a key object selection."""
    return [sop for sop in sops if not account.attached.get(sop)]


def _within(found: str, least: int, most: int) -> bool:
    return found.strip().isdigit() and least <= int(found) <= most


def _said(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _counted(exchange: Exchange, least: int, most: int) -> Iterator[Difference]:
    """Compare the counters of a successful retrieval with what the archive had taken (PS3.4 C.4.2.1.6 and C.4.3.1.5)."""
    response = exchange.facts.get("response") or {}
    completed, failed = "NumberOfCompletedSuboperations", "NumberOfFailedSuboperations"
    for name, wanted in ((completed, (least, most)), (failed, (0, 0))):
        if name in response and not _within(str(response[name]), *wanted):
            yield Difference(f"{labelled(exchange)}: {name}", _said(*wanted), str(response[name]))


def _answered_for(account: Account) -> Iterator[Difference]:
    for sop in sorted(account.committed - account.taken):
        yield Difference(
            f"commitment of image {sop}", "not committed: the archive never took it", "committed"
        )
    for sop in sorted(account.uncommitted.keys() & account.taken):
        yield Difference(
            f"commitment of image {sop}", "committed", f"failed, reason {account.uncommitted[sop]}"
        )


@rule(
    "INV-7",
    says="every image comes back with the pixels and attributes it was acquired with",
    source="IHE RAD TF-2 RAD-8, RAD-16; PS3.4 section B.4.1 (level 2 storage); PS3.18 section 10.4",
)
def pixels_unchanged(facts: CaseFacts) -> Finding:
    """Compare SHA-256 of the pixels with the source, and the header with what was first accepted."""
    differences: list[Difference] = []
    reached, changed = 0, False
    unseen: list[str] = []
    for account in accounts(facts.exchanges):
        if not account.here:
            continue
        back = facts.readback.retrieved(account.study)
        if back is None:
            unseen.append(f"study {account.study}: the archive has no door the probe can retrieve through")
            continue
        back = [image for image in back if not account.attached.get(image.sop)]
        reached += len(back)
        source = {sop: digest for sop, digest in account.pixels.items() if sop in account.here}
        changed = changed or any(source.get(image.sop, image.pixels) != image.pixels for image in back)
        differences += altered(source, [{"sop": image.sop, "pixels": image.pixels} for image in back])
        for image in back:
            if (sent := account.headers.get(image.sop)) is not None:
                differences += _rewritten(f"image {image.sop}", sent, image.header)
    return Finding(differences, reached, unseen=unseen, final=changed)


def _rewritten(label: str, sent: Elements, back: Elements) -> Iterator[Difference]:
    """Yield the attributes that were dropped, added or changed, other than those an archive may bring up to date."""
    for key in sorted({*sent, *back} - COERCED):
        left, right = _plain(sent.get(key)), _plain(back.get(key))
        if left != right:
            yield Difference(f"{label}: {key}", show(sent.get(key)), show(back.get(key)))


def _plain(value: object) -> object:
    """Return a value as JSON keeps it, so that what the journal recorded and what came back compare; empty is absent."""
    if isinstance(value, bytes | bytearray):
        return {"InlineBinary": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value] or None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if value == "" else value
