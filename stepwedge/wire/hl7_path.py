"""Places in an HL7 message: ``PID-3``, ``OBX[2]-5``, ``PID-3[2].4.1``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from stepwedge.errors import LocalProtocolError

_PATH: Final = re.compile(
    r"(?:([A-Z][A-Z0-9]{2})(?:\[([1-9]\d*)\])?(?:-|$))?(?:([1-9]\d*)(?:\[([1-9]\d*)\])?(?:\.([1-9]\d*))?(?:\.([1-9]\d*))?)?"
)


class Path(NamedTuple):
    """One place, all numbers from 1 as in the standard; 0 means *not said*."""

    segment: str = ""
    occurrence: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0


@lru_cache(maxsize=4096)
def path(text: str) -> Path:
    """Read a path; inside one segment the segment's name is left out: ``3[2].4``."""
    found = _PATH.fullmatch(text)
    if not text or found is None or text.endswith("-"):
        raise LocalProtocolError(f"{text!r} is no HL7 path; write it like PID-3, OBX[2]-5 or PID-3[2].4.1")
    segment, *numbers = found.groups()
    return Path(segment or "", *(int(number or 0) for number in numbers))
