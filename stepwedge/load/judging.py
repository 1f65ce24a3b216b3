"""What an archive promised against what it shows: nothing acknowledged lost, nothing doubled, nothing altered, nothing invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.load.doors import Held
    from stepwedge.load.intents import Image, Study

RULES: Final = {
    "lost": "I1: what was acknowledged is there",
    "unreadable": "I1: what is listed can be opened",
    "invented": "I2: what is there was sent",
    "refused yet there": "I3: what was refused is not there",
    "still unknown": "I4: what is sent again under the same UID is there",
    "doubled": "I5: each is there once",
    "altered": "I6: it is what was sent",
    "not recovered": "I11: it serves again afterwards",
}


@dataclass(frozen=True)
class Finding:
    """One promise that was broken.

    Attributes:
        what: one of :data:`RULES`.
        by: the door it was seen through.
        when: ``before`` or ``after`` what was unknown was sent again, or at the ``end`` of all rounds.
    """

    round: int
    what: str
    sop: str
    by: str
    when: str
    said: str


def judge(number: int, study: Study, held: Held, by: str, when: str) -> Iterator[Finding]:
    """Yield what is wrong with what is held of a study."""

    def found(what: str, sop: str, said: str) -> Finding:
        return Finding(number, what, sop, by, when, said)

    for sop in sorted((held.listed.keys() | held.opened.keys()) - {one.sop for one in study.images}):
        yield found("invented", sop, "an instance that was never sent")
    for image in study.images:
        listed, opened = held.listed[image.sop], held.opened.get(image.sop, [])
        there = bool(listed or opened)
        if image.state == "acknowledged" and not there:
            yield found(
                "lost",
                image.sop,
                f"it was acknowledged ({image.status}), and is neither listed nor retrieved",
            )
        if image.state == "refused" and there:
            yield found("refused yet there", image.sop, f"it was refused ({image.status})")
        if not image.state and there:
            yield found("invented", image.sop, "it was not sent yet")
        if there and not (listed and opened):
            seen = "listed and cannot be retrieved" if listed else "retrieved and not listed"
            yield found("unreadable", image.sop, seen)
        if listed > 1 or len(opened) > 1:
            yield found("doubled", image.sop, f"listed {listed} times, retrieved {len(opened)} times")
        if opened and (changed := _changed(image, opened[0])):
            yield found("altered", image.sop, f"another value of {changed}")


def unresolved(number: int, study: Study, by: str) -> Iterator[Finding]:
    """Yield what nobody can tell of, after it was sent again."""
    for image in study.images:
        if image.state != "acknowledged":
            said = f"sent again, it is {image.state or 'not sent'} ({image.status or 'no answer'})"
            yield Finding(number, "still unknown", image.sop, by, "after", said)


def _changed(image: Image, found: dict[str, object]) -> str:
    """Return the attributes that are not what was sent; pixels too."""
    sent = image.elements
    keys = sorted(key for key in sent.keys() | found.keys() if sent.get(key) != found.get(key))
    return ", ".join(keys[:5])
