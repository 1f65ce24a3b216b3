"""Identifiers that are ours alone, derived from a seed, and recognisable as synthetic.

DICOM UIDs stand below one UUID-derived root (ITU-T X.667, "2.25."), HL7 and DICOM patient and accession numbers
carry a prefix and an assigning authority that no hospital uses.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UID_ROOT = "2.25.184093201773465019386403297655810417063"
UID_TAIL = 19
"""Digits after the root: every UID has the same length (63), so a compiled message can be patched in place."""

PATIENT_PREFIX = "SW"
ACCESSION_PREFIX = "SW"
ISSUER = "STEPWEDGE"


def digits(count: int, *parts: object) -> str:
    """Return ``count`` decimal digits that depend on all ``parts``, the first never zero."""
    text = "\x1f".join(str(part) for part in parts)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    low = 10 ** (count - 1)
    return str(low + number % (9 * low))


def uid(*parts: object) -> str:
    """Return a UID (PS3.5 section 9, 64 characters at most) that depends on all ``parts``."""
    return f"{UID_ROOT}.{digits(UID_TAIL, *parts)}"


def uids(*parts: object) -> Iterator[str]:
    """Return UIDs without end, counted on from one that depends on all ``parts``: a tenth of the cost of :func:`uid`.

    Two such rows meet when their first UIDs lie closer together than they are long: for two rows of a million, once in 10**12.
    """
    first = int("1" + digits(UID_TAIL - 1, *parts))
    return (f"{UID_ROOT}.{number}" for number in itertools.count(first))


def is_synthetic_uid(value: str) -> bool:
    """Tell whether a UID was made here."""
    return value.startswith(UID_ROOT + ".")


@dataclass
class Mint:
    """Makes identifiers for one case: the same seed and case give the same identifiers in the same order."""

    seed: int
    case: str
    counts: dict[str, int] = field(default_factory=dict)

    def _next(self, kind: str) -> int:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]

    def patient_id(self) -> str:
        """Return a patient ID such as ``SW40718223``."""
        return PATIENT_PREFIX + digits(8, self.seed, self.case, "patient", self._next("patient"))

    def number(self, kind: str, prefix: str, width: int = 8) -> str:
        """Return the next number of a kind (``placer``, ``visit``) as prefix and ``width`` digits."""
        return prefix + digits(width, self.seed, self.case, kind, self._next(kind))

    def uid(self, kind: str) -> str:
        """Return the next UID of a kind (``series``, ``instance``, ``mpps``, ``transaction``)."""
        return uid(self.seed, self.case, kind, self._next(kind))
