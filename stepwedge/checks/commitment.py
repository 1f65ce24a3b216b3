"""What the archive took responsibility for (RAD-10, PS3.4 annex J)."""

from __future__ import annotations

from stepwedge.checks import matchers
from stepwedge.checks.acquired import acquired
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference


@check(
    "commitment.result",
    says="the archive answers for every image",
    ihe="RAD-10",
    observes="value",
    place="none",
    where=only("of", "images"),
    is_=only("transaction", "committed", "failed", "arrived"),
    chosen_by=("of",),
    requires=("storage-commitment",),
)
def committed(question: Question) -> Look:
    """Judge the result of ``commit``: each image of ``images`` committed once, none failed, nothing else named."""
    given = question.where["of"] or {}
    taken = list(given.get("committed") or [])
    refused = {item["sop"]: item.get("reason", "") for item in given.get("failed") or []}
    if not taken and not refused:
        return Look(unsure="the archive's answer names no image, neither committed nor failed")
    differences = [
        Difference(f"image {sop}", "committed", f"failed, reason {why}") for sop, why in refused.items()
    ]
    if (images := question.where.get("images")) is not None:
        wanted = set(acquired(images))
        if not wanted:
            return Look(unsure="no image was acquired, so nothing could be committed")
        named = [*taken, *refused]
        differences += [
            Difference(f"image {sop}", "committed", "not named") for sop in sorted(wanted - set(named))
        ]
        differences += [
            Difference(f"image {sop}", "not named: nobody asked for it", "named")
            for sop in sorted(set(named) - wanted)
        ]
        differences += [
            Difference(f"image {sop}", "named once", f"{named.count(sop)} times")
            for sop in sorted(set(named))
            if named.count(sop) > 1
        ]
    if question.is_ is not None:
        differences += matchers.compare("", question.is_, given)
    found = Candidate(f"{len(taken)} committed, {len(refused)} failed", given)
    return Look([] if differences else [found], differences, found.label, len(taken) + len(refused))
