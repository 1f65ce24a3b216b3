"""What must be known about a patient before an exam: allergies, pregnancy, weight, precautions.

Sources: HL7 2.5.1 tables 0009 (ambulatory status), 0124 (transportation mode), 0099 (VIP indicator); PS3.3 C.2.3, C.2.4 and C.4.11 for
the attributes in which a worklist shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

PREGNANT: Final = "B6"
"""HL7 table 0009."""
NEEDS: Final = {
    # HL7 table 0009, ambulatory status (PV1-15), without pregnancy, which has an attribute of its own.
    "A0": "No functional limitations",
    "A1": "Ambulates with assistive device",
    "A2": "Wheelchair/stretcher bound",
    "A3": "Comatose; non-responsive",
    "A4": "Disoriented",
    "A5": "Vision impaired",
    "A6": "Hearing impaired",
    "A7": "Speech impaired",
    "A8": "Non-English speaking",
    "A9": "Functional level unknown",
    "B1": "Oxygen therapy",
    "B2": "Special equipment (tubes, IVs, catheters)",
    "B3": "Amputee",
    "B4": "Mastectomy",
    "B5": "Paraplegic",
}
TRANSPORT: Final = {"CART": "Cart", "PORT": "Portable", "WALK": "Walk", "WHLC": "Wheelchair"}
"""HL7 table 0124, transportation mode (OBR-30)."""
PREGNANCY: Final = {"pregnant": 3, "not pregnant": 1, "unknown": 4}
"""Pregnancy Status (0010,21C0), PS3.3 C.2.4: 1 not pregnant, 3 definitely pregnant, 4 unknown."""

_TO_KG: Final = {"kg": Decimal(1), "g": Decimal("0.001"), "[lb_av]": Decimal("0.45359237")}
_TO_M: Final = {"m": Decimal(1), "cm": Decimal("0.01"), "[in_i]": Decimal("0.0254")}
"""UCUM units by the factor to what DICOM wants: kilograms (0010,1030) and metres (0010,1020)."""
_LONGEST: Final = 64
"""Characters of one value of VR LO (PS3.5 section 6.2)."""


@dataclass(frozen=True, slots=True)
class ClinicalContext:
    """What is known of one patient; empty where nobody said anything.

    Attributes:
        allergies: what the patient does not tolerate, in words (AL1-3); *No known allergy* is said, not left out.
        pregnancy: a key of :data:`PREGNANCY`.
        weight: kilograms; ``height``: metres; decimal texts.
        danger: precautions for staff, such as isolation (OBR-12, Patient State).
        needs: codes of :data:`NEEDS`.
        confidentiality: VIP indicator (PV1-16, Confidentiality Constraint).
        transport: a code of :data:`TRANSPORT`.
    """

    allergies: tuple[str, ...] = ()
    pregnancy: str = ""
    weight: str = ""
    height: str = ""
    danger: str = ""
    needs: tuple[str, ...] = ()
    confidentiality: str = ""
    transport: str = ""

    def with_more(self, other: ClinicalContext) -> ClinicalContext:
        """Return what two records of one person say: of allergies and needs everything, else ``other`` where it speaks."""
        single = ("pregnancy", "weight", "height", "danger", "confidentiality", "transport")
        said = {name: value for name in single if (value := getattr(other, name))}
        return replace(
            self,
            allergies=tuple(dict.fromkeys((*self.allergies, *other.allergies))),
            needs=tuple(dict.fromkeys((*self.needs, *other.needs))),
            **said,
        )


NOTHING: Final = ClinicalContext()


def kilograms(value: str, unit: str) -> str:
    """Return a weight in kilograms, "" for a unit that is not known: never the number of another unit (PRI-06)."""
    return _measured(value, _TO_KG.get(unit), "0.1")


def metres(value: str, unit: str) -> str:
    """Return a height in metres, "" for a unit that is not known."""
    return _measured(value, _TO_M.get(unit), "0.01")


def _measured(value: str, factor: Decimal | None, places: str) -> str:
    try:
        measured = Decimal(value) * factor if factor else None
    except InvalidOperation:
        return ""
    if measured is None or not measured.is_finite() or not 0 < measured < 1000:  # noqa: PLR2004 - no patient has more
        return ""
    return str(measured.quantize(Decimal(places)))


def described(known: ClinicalContext, given: Mapping[str, Any], place: str) -> ClinicalContext:
    """Return ``known`` with what a word was given; one value of a kind that has several may stand alone."""
    changes: dict[str, Any] = {
        name: str(given[name]) for name in ("danger", "confidentiality") if given.get(name) is not None
    }
    if given.get("allergies") is not None:
        changes["allergies"] = _several(given["allergies"])
        if long := [text for text in changes["allergies"] if len(text) > _LONGEST]:
            raise BadInput(f"{place}: allergies", f"at most {_LONGEST} characters each (VR LO)", long[0])
    if given.get("needs") is not None:
        changes["needs"] = tuple(_one_of(NEEDS, code, f"{place}: needs") for code in _several(given["needs"]))
    for name, table in (("transport", TRANSPORT), ("pregnancy", PREGNANCY)):
        if given.get(name) is not None:
            changes[name] = _one_of(table, str(given[name]), f"{place}: {name}")
    changes |= _measures(given, place)
    return replace(known, **changes)


def _measures(given: Mapping[str, Any], place: str) -> dict[str, str]:
    measures: dict[str, str] = {}
    for name, read, unit in (("weight", kilograms, "kg"), ("height", metres, "m")):
        if given.get(name) is not None:
            number, _, written = str(given[name]).partition(" ")
            measures[name] = read(number, written or unit)
            if not measures[name]:
                says = f"a number, and a UCUM unit such as {unit}"
                raise BadInput(f"{place}: {name}", says, str(given[name]))
    return measures


def _several(value: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in (value if isinstance(value, list | tuple) else [value]) if str(one))


def _one_of(table: Mapping[str, Any], code: str, place: str) -> str:
    if code and code not in table:
        raise BadInput(place, f"one of {', '.join(table)}", code)
    return code
