"""Conditions on objects as rules of the lab file state them: attribute and shell patterns. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .state import Instance

ATTRIBUTES: Final = {
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "station": "StationName",
    "description": "StudyDescription",
    "protocol": "ProtocolName",
    "sop_class": "SOPClassUID",
}
"""What a condition may ask of an object, beside ``sender``, the AE title it came from."""
NAMES: Final = (*ATTRIBUTES, "sender")


def matches(conditions: Mapping[str, tuple[str, ...]], instance: Instance) -> bool:
    """Tell whether every condition holds: one of its patterns fits the value; no condition takes everything."""
    return all(
        any(fnmatchcase(_value(instance, name), pattern) for pattern in patterns)
        for name, patterns in conditions.items()
    )


def read_conditions(given: Any, place: str) -> dict[str, tuple[str, ...]]:
    """Read ``{modality: [CT, MR], body_part: CHEST}``."""
    known = same_mapping(given, NAMES, place)
    return {name: read_texts(value, f"{place}.{name}") for name, value in known.items()}


def read_texts(given: Any, place: str) -> tuple[str, ...]:
    """Read one text or a list of texts."""
    listed = given if isinstance(given, list | tuple) else [given]
    if not listed or not all(isinstance(one, str) and one for one in listed):
        raise BadInput(place, "a text, or a list of texts", repr(given))
    return tuple(listed)


def same_mapping(given: Any, names: Sequence[str], place: str) -> dict[str, Any]:
    """Return a mapping that has no other keys than ``names``."""
    if not isinstance(given, dict) or (set(given) - set(names)):
        raise BadInput(place, f"a mapping of {', '.join(names)}", repr(given))
    return dict(given)


def _value(instance: Instance, name: str) -> str:
    if name == "sender":
        return instance.sender
    return str(instance.header.get(ATTRIBUTES[name]) or "")
