"""Persons as HL7 and DICOM name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from stepwedge.model.identifiers import ISSUER

_PARTS = 5


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name of five parts; HL7 XPN puts the suffix fourth, DICOM PN the prefix (PS3.5 section 6.2)."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""

    @classmethod
    def from_dicom(cls, text: str) -> Self:
        """Read the alphabetic group of a PN value."""
        parts = (text.split("=", maxsplit=1)[0].split("^") + [""] * _PARTS)[:_PARTS]
        return cls(*parts)

    @classmethod
    def from_hl7(cls, components: list[str]) -> Self:
        """Read the decoded components of an XPN (2.5.1) or PN (2.3.1) repetition."""
        family, given, middle, suffix, prefix = (components + [""] * _PARTS)[:_PARTS]
        return cls(family, given, middle, prefix, suffix)

    def dicom(self) -> str:
        """Return the PN value without trailing empty components."""
        return f"{self.family}^{self.given}^{self.middle}^{self.prefix}^{self.suffix}".rstrip("^")

    def hl7(self) -> list[str]:
        """Return XPN components, not yet escaped, without trailing empty ones."""
        parts = [self.family, self.given, self.middle, self.suffix, self.prefix]
        while parts and not parts[-1]:
            parts.pop()
        return parts

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
