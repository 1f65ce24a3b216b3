"""Persons as HL7 and DICOM name them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from stepwedge.model.identifiers import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARTS = 5
_GROUPS = 3
_CODES = {"ideographic": "I", "phonetic": "P"}


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name of five parts; HL7 XPN puts the suffix fourth, DICOM PN the prefix (PS3.5 section 6.2).

    Attributes:
        ideographic: the name in ideographs, a component group of PN as written (PS3.5 section 6.2.1.1).
        phonetic: the name as it is spoken, likewise.
    """

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""
    ideographic: str = ""
    phonetic: str = ""

    @classmethod
    def from_dicom(cls, text: str) -> Self:
        """Read a PN value, its component groups alphabetic, ideographic, phonetic."""
        alphabetic, ideographic, phonetic = (text.split("=") + [""] * _GROUPS)[:_GROUPS]
        family, given, middle, prefix, suffix = (alphabetic.split("^") + [""] * _PARTS)[:_PARTS]
        return cls(family, given, middle, prefix, suffix, ideographic.rstrip("^"), phonetic.rstrip("^"))

    @classmethod
    def from_hl7(cls, components: list[str]) -> Self:
        """Read the decoded components of an XPN (2.5.1) or PN (2.3.1) repetition."""
        family, given, middle, suffix, prefix = (components + [""] * _PARTS)[:_PARTS]
        return cls(family, given, middle, prefix, suffix)

    @classmethod
    def represented_as(cls, told: Iterable[tuple[str, PersonName]]) -> PersonName:
        """Join the repetitions of one name by their representation code (XPN-8, HL7 table 4000); the first of a kind counts."""
        found: dict[str, PersonName] = {}
        for code, name in told:
            found.setdefault(code if code in {"I", "P"} else "A", name)
        groups = {group: found[code].dicom() for group, code in _CODES.items() if code in found}
        return replace(found.get("A") or cls(), **groups)

    def dicom(self) -> str:
        """Return the PN value without trailing empty components and groups."""
        alphabetic = f"{self.family}^{self.given}^{self.middle}^{self.prefix}^{self.suffix}".rstrip("^")
        if not (self.ideographic or self.phonetic):
            return alphabetic
        return f"{alphabetic}={self.ideographic}={self.phonetic}".rstrip("=")

    def hl7(self) -> list[str]:
        """Return XPN components, not yet escaped, without trailing empty ones."""
        parts = [self.family, self.given, self.middle, self.suffix, self.prefix]
        while parts and not parts[-1]:
            parts.pop()
        return parts

    def represented(self) -> dict[str, list[str]]:
        """Return XPN components by name representation code (HL7 table 4000): A, and I and P where there are such."""
        found = {"A": self.hl7()}
        for code, group in (("I", self.ideographic), ("P", self.phonetic)):
            if group:
                found[code] = PersonName.from_dicom(group).hl7()
        return found

    def spoken(self) -> str:
        """Return the name as a person would write it."""
        return " ".join(p for p in (self.prefix, self.given, self.middle, self.family, self.suffix) if p)


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient as one system knows them.

    Attributes:
        birth_date: ``YYYYMMDD``, or shorter when only year or month is known.
        sex: DICOM and HL7 agree on ``F``, ``M``, ``O``; HL7's ``U`` is unknown.
        merged_into: patient ID of the survivor once this record was merged away (ITI-30, ADT^A40).
    """

    id: str
    name: PersonName
    birth_date: str = ""
    sex: str = ""
    issuer: str = ISSUER
    merged_into: str = ""
