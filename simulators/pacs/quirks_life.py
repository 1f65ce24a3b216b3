"""Known wrong behaviours in the life of objects: withdrawn, announced, moved, sent on; collected by :mod:`.quirks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import quirk

from .habits_life import LifeHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

STEPS = "ReferencedPerformedProcedureStepSequence"


@quirk(
    "iocm.scope",
    defect="DEF-252",
    severity="S2",
    overrides=LifeHabits.rejects,
    notices="one bad image was withdrawn, and the whole study is gone",
)
def scope(_: Callable[..., Sequence[str]], _named: Sequence[str], here: Sequence[str]) -> Sequence[str]:
    """Withdraw everything that is there and nothing that is still to come; seen as 0 or 3 images instead of 2."""
    return here


@quirk(
    "iocm.ignored",
    defect="not listed",
    severity="S1",
    overrides=LifeHabits.takes_note,
    notices="images that were withdrawn are read as if they were good",
)
def ignored(_: Callable[[str], bool], _code: str) -> bool:
    """Store a rejection note like any object; seen as withdrawn images in queries and retrievals."""
    return False


@quirk(
    "iocm.resend_shows",
    defect="not listed",
    severity="S1",
    overrides=LifeHabits.readmits,
    notices="withdrawn images are back after the scanner sent them again",
)
def resend_shows(_: Callable[[str], bool], _code: str) -> bool:
    """Forget a rejection when the instance comes again; seen as withdrawn images in queries."""
    return True


@quirk(
    "ian.content",
    defect="DEF-166",
    severity="S3",
    overrides=LifeHabits.notice,
    notices="the RIS cannot tell which exam became available, nor fetch it",
)
def notice_content(_: Callable[..., dict[str, Any]], attributes: dict[str, Any]) -> dict[str, Any]:
    """Leave an empty performed step sequence out; seen as a type 2 attribute that is not there (the receiver refuses it)."""
    return {key: value for key, value in attributes.items() if value or key != STEPS}


@quirk(
    "ian.claims_online",
    defect="not listed",
    severity="S2",
    overrides=LifeHabits.notice,
    notices="the reading list offers images that were withdrawn",
)
def claims_online(_: Callable[..., dict[str, Any]], attributes: dict[str, Any]) -> dict[str, Any]:
    """Say ONLINE of every image; seen as a notice unlike what the archive shows."""
    return attributes | {
        "ReferencedSeriesSequence": [
            {
                **series,
                "ReferencedSOPSequence": [
                    {**item, "InstanceAvailability": "ONLINE"} for item in series["ReferencedSOPSequence"]
                ],
            }
            for series in attributes["ReferencedSeriesSequence"]
        ]
    }


@quirk(
    "tier.false_online",
    defect="DEF-157",
    severity="S2",
    overrides=LifeHabits.tier,
    notices="a study that the list shows as there cannot be opened",
)
def false_online(_: Callable[[str], str], _tier: str) -> str:
    """Say ONLINE of a study that lies nearline or offline; seen as (0008,0056) unlike where the study was moved."""
    return "ONLINE"


@quirk(
    "retention.ignores_hold",
    defect="DEF-150",
    severity="S1",
    overrides=LifeHabits.held,
    notices="images that a court asked for were deleted",
    needs="retention",
)
def ignores_hold(_: Callable[[bool], bool], _hold: bool) -> bool:
    """Delete what a legal hold protects; seen as a held study that is found no more."""
    return False


@quirk(
    "retention.too_early",
    defect="DEF-155",
    severity="S1",
    overrides=LifeHabits.expires,
    notices="images that had to be kept are gone",
    needs="retention",
)
def too_early(_: Callable[..., bool], _last: date | None, _today: date) -> bool:
    """Delete whatever the operator points at; seen as a study that is gone although its term was not over."""
    return True


@quirk(
    "route.everywhere_else",
    defect="not listed",
    severity="S2",
    overrides=LifeHabits.routed_to,
    notices="the other archive does not have the study that belongs there",
    needs="routes",
)
def routed_nowhere(_: Callable[..., Sequence[str]], named: Sequence[str]) -> Sequence[str]:
    """Forget the destinations of a rule; seen as a study that its destination does not have."""
    return named[:0]


@quirk(
    "prefetch.too_late",
    defect="not listed",
    severity="S3",
    overrides=LifeHabits.fetches,
    notices="the priors come while the radiologist is reading already",
    needs="prefetch",
)
def prefetch_too_late(_: Callable[..., bool], _wanted: str, moment: str) -> bool:
    """Fetch priors when the new images come; seen as priors that are not there after the order."""
    return moment == "stored"


@quirk(
    "prefetch.wrong_patient",
    defect="not listed",
    severity="S1",
    overrides=LifeHabits.whose,
    notices="the prior that hangs beside the new study is another patient's",
    needs="prefetch",
)
def prefetch_wrong_patient(
    _: Callable[..., Sequence[str]], own: Sequence[str], everybody: Sequence[str]
) -> Sequence[str]:
    """Fetch the priors of everybody else; seen as a study of another patient at the destination."""
    return [key for key in everybody if key not in own]


@quirk(
    "prefetch.ignores_merge",
    defect="not listed",
    severity="S2",
    overrides=LifeHabits.whose,
    notices="the prior under the patient's old number is not there, and nobody misses it",
    needs="prefetch",
)
def prefetch_ignores_merge(
    _: Callable[..., Sequence[str]], own: Sequence[str], _everybody: Sequence[str]
) -> Sequence[str]:
    """Fetch priors under the number of the order only; seen as a prior that is not there after a merge."""
    return own[:1]


@quirk(
    "ups.events_missing",
    defect="DEF-195",
    severity="S3",
    overrides=LifeHabits.tells,
    notices="who waits for a study to be read is never told that it is (no N-EVENT-REPORT after a claim)",
)
def events_missing(_: Callable[[list[str]], list[str]], receivers: list[str]) -> list[str]:
    """Tell how things stand at the subscription and nothing afterwards."""
    return receivers[:0]


@quirk(
    "ups.two_holders",
    defect="not listed",
    severity="S2",
    overrides=LifeHabits.free_to_claim,
    notices="two radiologists read the same study, and neither knows",
)
def two_holders(_: Callable[[str], bool], _state: str) -> bool:
    """Let a task be claimed again that somebody holds; seen as 200 where 409 belongs."""
    return True


@quirk(
    "ups.no_lock",
    defect="not listed",
    severity="S2",
    overrides=LifeHabits.has_lock,
    notices="a task was completed by somebody who never claimed it",
)
def no_lock(_: Callable[[bool], bool], _shown: bool) -> bool:
    """Change the state of a task without its Transaction UID; seen as 200 where 400 belongs."""
    return True


@quirk(
    "ups.final_changes",
    defect="not listed",
    severity="S3",
    overrides=LifeHabits.task_is_over,
    notices="the record of what was read, and when, changed afterwards",
)
def final_changes(_: Callable[[bool], bool], _ended: bool) -> bool:
    """Let completed tasks be changed; seen as 200 where 409 belongs."""
    return False


@quirk(
    "ups.no_task",
    defect="not listed",
    severity="S2",
    overrides=LifeHabits.makes_task,
    notices="an exam waits to be read, and stands on nobody's worklist",
)
def no_task(_: Callable[[bool], bool], _wanted: bool) -> bool:
    """Make no reading task; seen as a worklist without the exam."""
    return False


@quirk(
    "iocm.export_old_uids",
    defect="DEF-168",
    severity="S1",
    overrides=LifeHabits.passes_note_on,
    notices="the other archive goes on showing images that were withdrawn here (no rejection note sent after them)",
    needs="routes",
)
def export_old_uids(_: Callable[[Sequence[str]], Sequence[str]], went: Sequence[str]) -> Sequence[str]:
    """Carry out a withdrawal in one's own archive alone."""
    return went[:0]


@quirk(
    "tier.export_purged_fails",
    defect="DEF-158",
    severity="S2",
    overrides=LifeHabits.brings_back,
    notices="an old study is listed and cannot be opened (C-MOVE of what lies nearline fails)",
)
def export_purged_fails(_: Callable[[str], bool], _tier: str) -> bool:
    """Send from the first store alone."""
    return False


@quirk(
    "export.complete_on_failure",
    defect="DEF-151",
    severity="S1",
    overrides=LifeHabits.insists,
    notices="the second archive lacks what was stored while it was down, and nobody sends it again",
    needs="routes",
)
def complete_on_failure(_: Callable[[str], bool], _word: str) -> bool:
    """Call a copy done after one try."""
    return False


@quirk(
    "prefetch.duplicates",
    defect="DEF-161",
    severity="S3",
    overrides=LifeHabits.fetches,
    notices="the reading room gets its priors at every turn (fetched when ordered, when arrived and when stored)",
    needs="prefetch",
)
def duplicates(_: Callable[[str, str], bool], _wanted: str, _moment: str) -> bool:
    """Fetch ahead whenever there is a reason."""
    return True
