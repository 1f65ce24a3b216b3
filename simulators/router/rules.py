"""Which images go where, in which lane, and what is changed on the way. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.elements import IMPLICIT_LE, decode, encode
from stepwedge.wire.encodings import plain, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Elements = dict[str, Any]

LANES: Final = ("stat", "routine")
"""Lanes of a queue, the fastest first."""
CALLING: Final = "calling"
PROCEDURE: Final = "procedure"
PLACES: Final = {
    "calling": CALLING,
    "modality": "Modality",
    "station": "StationName",
    "body_part": "BodyPartExamined",
    "procedure": PROCEDURE,
    "image_type": "ImageType",
}
"""Short words of rules, and the attribute each looks at."""
_CODES: Final = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the routing table.

    Attributes:
        where: place to patterns, of which one must match one value of the attribute.
        hours: from and until, local time; over midnight when the first is later.
        lane: the lane of the image for all its destinations; the fastest of all its rules counts.
        changes: attributes that the destinations of this rule get with another value; ``removed`` not at all.
    """

    name: str
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hours: tuple[int, int] | None = None
    to: tuple[str, ...] = ()
    lane: str = LANES[-1]
    changes: dict[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def takes(self, header: Elements, calling: str, hour: int) -> bool:
        """Tell whether the rule is about an image that came from an AE title at an hour of the day."""
        if self.hours is not None:
            first, last = self.hours
            inside = first <= hour < last if first < last else hour >= first or hour < last
            if not inside:
                return False
        return all(
            any(
                fnmatchcase(value, pattern)
                for value in _values(place, header, calling)
                for pattern in patterns
            )
            for place, patterns in self.where.items()
        )


def _values(place: str, header: Elements, calling: str) -> list[str]:
    if place == CALLING:
        return [calling]
    if place == PROCEDURE:
        return list(_procedures(header))
    value = header.get(place, "")
    return value.split("\\") if isinstance(value, str) else [str(value)]


def _procedures(header: Elements) -> Iterator[str]:
    """Yield the codes of what was done: of the study, and of the requests it answers (PS3.3 C.7.2.1, table 10-9)."""
    for owner in (header, *(header.get("RequestAttributesSequence") or [])):
        for sequence in _CODES:
            yield from (str(item.get("CodeValue", "")) for item in owner.get(sequence) or [])


@dataclass(frozen=True, slots=True)
class Way:
    """Where an image goes, in which lane, by which rules."""

    to: str
    lane: str
    rules: tuple[str, ...]


def ways(rules: Iterable[Rule], header: Elements, calling: str, hour: int) -> list[Way]:
    """Return the destinations of an image, each once, in the order the rules name them."""
    taking = [rule for rule in rules if rule.takes(header, calling, hour)]
    lane = min((rule.lane for rule in taking), key=LANES.index, default=LANES[-1])
    names: dict[str, list[str]] = {}
    for rule in taking:
        for to in rule.to:
            names.setdefault(to, []).append(rule.name)
    return [Way(to, lane, tuple(named)) for to, named in names.items()]


def morphed(data: bytes, transfer_syntax: str, rules: Iterable[Rule], at: str, system: str) -> bytes:
    """Return a data set with what the rules change, and the values before in Original Attributes (PS3.3 C.12.1.1.9).

    ``at`` is a DT, ``system`` names the modifying system. Pixel data keeps every byte; without changes all bytes stay.
    """
    changes: dict[str, str] = {}
    removed: list[str] = []
    for rule in rules:
        changes |= rule.changes
        removed += rule.removed
    if not changes and not removed:
        return data
    opened, encoding = plain(data, transfer_syntax)
    explicit = encoding != IMPLICIT_LE
    elements = decode(opened, explicit=explicit)
    before = {
        key: elements.get(key, "") for key in (*changes, *removed) if elements.get(key) != changes.get(key)
    }
    if not before:
        return data
    item = {
        "SourceOfPreviousValues": "",
        "AttributeModificationDateTime": at,
        "ModifyingSystem": system,
        "ReasonForTheAttributeModification": "COERCE",
        "ModifiedAttributesSequence": [before],
    }
    history = [*(elements.get("OriginalAttributesSequence") or []), item]
    kept = {key: value for key, value in elements.items() if key not in removed}
    changed = encode(kept | changes | {"OriginalAttributesSequence": history}, explicit=explicit)
    return wrapped(changed, transfer_syntax)
