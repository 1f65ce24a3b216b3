"""Code tables, proprietary segments and an operator's corrections: what an engine changes in a message. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, LocalProtocolError
from stepwedge.wire.hl7 import HL7Error, parse
from stepwedge.wire.hl7_edit import Draft
from stepwedge.wire.hl7_path import path

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHERWISE: Final = ("keep", "refuse")


@dataclass(frozen=True, slots=True)
class Table:
    """A code table: what stands at some places is replaced by what the rows say.

    Attributes:
        version: 1 for the rows of the lab file, one more with each reload.
        at: HL7 paths whose values are looked up.
        rows: their code to the receiver's; ``""`` as a key stands for a place that is not valued.
        otherwise: what becomes of a code without a row: ``keep`` it, or ``refuse`` to pass the message on.
    """

    name: str
    at: tuple[str, ...]
    rows: dict[str, str] = field(default_factory=dict)
    otherwise: str = "keep"
    version: int = 1


@dataclass(frozen=True, slots=True)
class Normal:
    """How proprietary segments become standard ones.

    Attributes:
        move: path of a proprietary place to the standard place that takes its value when it has one.
        drop: segments that are not passed on.
    """

    move: dict[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()


def apply(draft: Draft, table: Table) -> None:
    """Replace the codes a table knows; a code it must know and does not is an error 103."""
    why = f"table {table.name} version {table.version}"
    for place in (one for named in table.at for one in draft.each(named)):
        value = draft.get(place)
        code = value or ""
        if code in table.rows:
            if table.rows[code] != code:
                draft.put(place, table.rows[code], why)
        elif value is not None and table.otherwise == "refuse":
            raise HL7Error(103, place, f"{why} has no row for {code!r}")


def normalise(draft: Draft, normal: Normal) -> None:
    """Move proprietary values to their standard places, then leave out the proprietary segments."""
    for source, target in normal.move.items():
        if (value := draft.get(source)) is not None:
            draft.put(target, value, f"moved from {source}")
    for name in normal.drop:
        draft.drop(name, "dropped as proprietary")


def correct(draft: Draft, corrections: Mapping[str, str]) -> None:
    """Write what an operator says; it has the last word."""
    for place, value in corrections.items():
        draft.put(place, value, "corrected by an operator")


def place(text: Any, where: str) -> str:
    """Return a path that names a field of a segment, or say what is wrong with it."""
    try:
        found = path(text) if isinstance(text, str) else None
    except LocalProtocolError:
        found = None
    if found is None or not found.segment or not found.field:
        raise BadInput(
            where, "an HL7 path with segment and field", repr(text), "write it like PID-8 or OBX[2]-5.1"
        )
    return str(text)


def rows(given: Any, where: str) -> dict[str, str]:
    """Return the rows of a code table, or say what is wrong with them."""
    if not isinstance(given, dict):
        raise BadInput(where, "rows, a mapping of their code to ours", repr(given), "write rows: {U: O}")
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise BadInput(
                f"{where}.{key}", "a text for a text", f"{key!r}: {value!r}", 'put numbers in quotes: "7"'
            )
    return dict(given)


def corrections(given: Any, raw: bytes, where: str) -> dict[str, str]:
    """Return an operator's corrections, tried on the message they are for."""
    if not isinstance(given, dict):
        raise BadInput(where, "a mapping of HL7 path to value", repr(given), 'write correct: {PID-8: "F"}')
    found = {place(key, where): str(value) for key, value in given.items()}
    try:
        correct(Draft(parse(raw)), found)
    except HL7Error as error:
        raise BadInput(
            where, "places the message has", str(error), "look at the message: ask trail"
        ) from error
    return found
