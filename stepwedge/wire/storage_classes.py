"""Storage SOP classes (PS3.4 table B.5-1), taken from pydicom's UID dictionary without importing pydicom."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

COMPRESSED: Final = (
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)
"""Transfer syntaxes of encapsulated images (PS3.5 section A.4) whose data sets are explicit VR little endian."""

_ROOT: Final = "1.2.840.10008.5.1.4."
_INDUSTRY: Final = ("1.2.840.10008.5.1.4.1.1.501.", "1.2.840.10008.5.1.4.1.1.601.")
"""DICOS and eddy current."""
_THERAPY: Final = ("1.2.840.10008.5.1.4.1.1.481.", "1.2.840.10008.5.1.4.34.", "1.2.840.10008.5.1.4.1.1.200.")
_COMMON: Final = ("Image", "SR Storage", "Presentation State", "Key Object", "Encapsulated PDF")
_NO_OBJECT: Final = (
    "Commitment",
    "Hanging Protocol",
    "Color Palette",
    "Implant ",
    "Inventory",
    "Hardcopy",
    "Print",
)
"""Storage that has no patient, or is none."""
_NEWER: Final = tuple(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("9.100.1", "9.100.2", "66.7", "66.8"))
"""Classes that the dictionary does not have yet."""


@cache
def storage_classes() -> tuple[str, ...]:
    """Return the SOP Class UIDs of composite objects of a patient, retired ones too: old devices still send them.

    An association has room for 128 of them (PS3.8 section 9.3.2.2), so what hospitals use most stands first: images, then
    reports and the like, then radiotherapy, then what is retired or made for industry.
    """
    package = importlib.util.find_spec("pydicom")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("pydicom is not installed")
    path = Path(package.submodule_search_locations[0]) / "_uid_dict.py"
    spec = importlib.util.spec_from_file_location("stepwedge_uid_dictionary", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = {
        uid: (
            bool(retired) or uid.startswith(_INDUSTRY),
            uid.startswith(_THERAPY),
            not any(x in name for x in _COMMON),
        )
        for uid, (name, kind, _, retired, *_) in module.UID_dictionary.items()
        if kind == "SOP Class"
        and uid.startswith(_ROOT)
        and "Storage" in name
        and not any(x in name for x in _NO_OBJECT)
    }
    return (*sorted(known, key=lambda uid: known[uid]), *_NEWER)
