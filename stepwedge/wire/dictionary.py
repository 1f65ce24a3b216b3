"""The DICOM data dictionary (PS3.6), taken from pydicom's table without importing pydicom.

Importing pydicom costs 0.3 s at start-up; the table alone costs 5 ms.
"""

from __future__ import annotations

import difflib
import importlib.util
from functools import cache
from pathlib import Path

from stepwedge.errors import LocalProtocolError

AMBIGUOUS = {"OB or OW": "OW", "US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW"}
"""What stands for a VR that depends on other attributes (PS3.5 annex A)."""


@cache
def _table() -> dict[int, tuple[str, str, str, str, str]]:
    package = importlib.util.find_spec("pydicom")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("pydicom is not installed")
    path = Path(package.submodule_search_locations[0]) / "_dicom_dict.py"
    spec = importlib.util.spec_from_file_location("stepwedge_dicom_dictionary", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table: dict[int, tuple[str, str, str, str, str]] = module.DicomDictionary
    return table


@cache
def by_sign() -> frozenset[int]:
    """Return the tags that are US or SS as PixelRepresentation says (PS3.5 annex A)."""
    return frozenset(tag for tag, row in _table().items() if row[0] == "US or SS")


@cache
def by_tag() -> dict[int, tuple[str, str]]:
    """Return tag -> (keyword, VR)."""
    return {
        tag: (row[4] or f"{tag:08X}", AMBIGUOUS.get(row[0], row[0]))
        for tag, row in _table().items()
        if row[0] != "NONE"
    }


@cache
def by_keyword() -> dict[str, tuple[int, str]]:
    """Return keyword -> (tag, VR)."""
    return {keyword: (tag, vr) for tag, (keyword, vr) in by_tag().items()}


def describe(tag: int) -> tuple[str, str]:
    """Return (key, VR) of any tag: the keyword, or eight hexadecimal digits where PS3.6 has none."""
    if known := by_tag().get(tag):
        return known
    element = tag & 0xFFFF
    if element == 0:
        return f"{tag:08X}", "UL"
    if tag >> 16 & 1 and 0x10 <= element <= 0xFF:  # noqa: PLR2004  private creators, PS3.5 section 7.8.1
        return f"{tag:08X}", "LO"
    return f"{tag:08X}", "UN"


def find(key: str) -> tuple[int, str]:
    """Return (tag, VR) of a keyword or of eight hexadecimal digits."""
    if known := by_keyword().get(key):
        return known
    if len(key) == 8:  # noqa: PLR2004  GGGGEEEE
        try:
            tag = int(key, 16)
        except ValueError:
            pass
        else:
            return tag, describe(tag)[1]
    close = difflib.get_close_matches(key, by_keyword(), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise LocalProtocolError(f"{key!r} is not a DICOM keyword (PS3.6){hint}")


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword, such as 0x00100010 for PatientName."""
    return find(keyword)[0]


def vr_of(keyword: str) -> str:
    """Return the value representation of a keyword, such as ``PN`` for PatientName."""
    return find(keyword)[1]
