"""Known wrong behaviours of scanners, each in the place of one habit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import collect, quirk

from .habits import ModalityHabits

if TYPE_CHECKING:
    from collections.abc import Callable

Elements = dict[str, Any]


@quirk(
    "mwl.stale_cache",
    defect="DEF-202",
    severity="S2",
    overrides=ModalityHabits.worklist,
    notices="the console still shows the exam as it was scheduled before",
)
def stale_cache(_: Callable[..., Any], answers: list[Elements], before: list[Elements]) -> list[Elements]:
    """Show the list that was fetched first; seen as a start time, or an exam, that the RIS has changed since."""
    return before or answers


@quirk(
    "mwl.takes_anything",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.acceptance,
    notices="a scanner that should refuse a faulty entry scans under numbers that it made up",
)
def takes_anything(_: Callable[..., str], _set_to: str) -> str:
    """Mend what should be refused; seen as an exam that begins from an entry without a Study Instance UID."""
    return "lenient"


@quirk(
    "mwl.mended_in_silence",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.noted,
    notices="nobody at the console learns that numbers were made up or cut",
)
def mended_in_silence(_: Callable[..., list[str]], keys: list[str]) -> list[str]:
    """Mend without a word; seen as an exam begun from a faulty entry with nothing filled in."""
    return keys[:0]


@quirk(
    "mwl.old_as_new",
    defect="DEF-202",
    severity="S2",
    overrides=ModalityHabits.shown_as_old,
    notices="the console shows yesterday's list as if it were today's, and nobody knows that the RIS is down",
)
def old_as_new(_: Callable[..., bool]) -> bool:
    """Show the list fetched last without a mark; seen as a list that is not stale while the RIS cannot be asked."""
    return False


@quirk(
    "modality.regen_suid",
    defect="DEF-024",
    severity="S1",
    overrides=ModalityHabits.study,
    notices="the images lie in the archive, and the order waits for them for ever",
)
def own_study(_: Callable[..., str], _scheduled: str, own: str) -> str:
    """Make a Study Instance UID of its own; seen as (0020,000D) unlike the worklist's."""
    return own


@quirk(
    "rqattr.first_only",
    defect="DEF-204",
    severity="S2",
    overrides=ModalityHabits.request_attributes,
    notices="the second of two scheduled steps never finds its images",
)
def first_request_only(
    _: Callable[..., Any], items: list[Elements], earlier: list[Elements]
) -> list[Elements]:
    """Repeat the first step's item for the whole study; seen as (0040,0275) without the later step's ID."""
    return (earlier or items)[:1]


@quirk(
    "mpps.short_list",
    defect="DEF-250",
    severity="S3",
    overrides=ModalityHabits.performed,
    notices="the RIS believes that fewer images exist than the archive holds",
)
def short_list(_: Callable[..., Any], references: list[Elements]) -> list[Elements]:
    """Leave the last image out of the completed step; seen as a Referenced Image Sequence short by one."""
    return references[:-1]


@quirk(
    "modality.planes_swapped",
    defect="DEF-113",
    severity="S2",
    overrides=ModalityHabits.image,
    notices="blood flows the wrong way: red and blue have changed places",
)
def planes_swapped(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Swap the red and the blue plane of colour images; seen as a pixel hash unlike the acquired one's."""
    if elements["PhotometricInterpretation"] != "RGB":
        return elements
    data = bytearray(elements["PixelData"])
    data[0::3], data[2::3] = data[2::3], data[0::3]
    return elements | {"PixelData": bytes(data)}


@quirk(
    "modality.last_frame",
    defect="DEF-121",
    severity="S2",
    overrides=ModalityHabits.image,
    notices="the run ends one frame early",
)
def last_frame_lost(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Count frames from 0 and leave the last one out; seen as one frame less, and as another pixel hash."""
    frames = int(elements.get("NumberOfFrames") or 1)
    if frames == 1:
        return elements
    data = elements["PixelData"]
    return elements | {
        "NumberOfFrames": str(frames - 1),
        "PixelData": data[: len(data) // frames * (frames - 1)],
    }


@quirk(
    "modality.deletes_uncommitted",
    defect="DEF-231",
    severity="S1",
    overrides=ModalityHabits.may_delete,
    notices="the scanner has freed its disk, and the archive does not have the images",
)
def deletes_uncommitted(_: Callable[..., bool], _status: str) -> bool:
    """Free the disk of whatever is there; seen as images deleted before any commitment."""
    return True


@quirk(
    "mwl.part_as_whole",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.whole,
    notices="exams are missing on the console, and nothing says that the list is cut short",
    needs="taps",
)
def part_as_whole(_: Callable[..., bool], _category: str) -> bool:
    """Show whatever came before the query ended; seen as a list although it ended with FE00."""
    return True


@quirk(
    "mwl.cuts_long_list",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.worklist,
    notices="the console shows the first hundred exams of the day and nothing says that there are more",
    needs="taps",
)
def cuts_long_list(_: Callable[..., Any], answers: list[Elements], _before: list[Elements]) -> list[Elements]:
    """Show a hundred entries at most; seen as a list shorter than what was answered."""
    return answers[:100]


@quirk(
    "modality.refused_is_stored",
    defect="not listed",
    severity="S1",
    overrides=ModalityHabits.taken,
    notices="the scanner says that all images were sent, and the archive refused some",
    needs="taps",
)
def refused_is_stored(_: Callable[..., bool], _category: str) -> bool:
    """Count every answered image as stored; seen as none refused where the archive refused one."""
    return True


@quirk(
    "modality.warning_is_refusal",
    defect="not listed",
    severity="S3",
    overrides=ModalityHabits.taken,
    notices="the scanner sends images again and again that the archive has",
    needs="taps",
)
def warning_is_refusal(_: Callable[..., bool], category: str) -> bool:
    """Take a warning (Bxxx) for a failure; seen as images refused that are in the archive."""
    return category == "success"


@quirk(
    "mpps.refusal_ignored",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.goes_on,
    notices="the exam is under way at the scanner, and the RIS knows nothing of it",
    needs="taps",
)
def refusal_ignored(_: Callable[..., bool], _category: str) -> bool:
    """Go on whatever the RIS answered; seen as an exam that begins although N-CREATE was refused."""
    return True


QUIRKS = collect(globals())
