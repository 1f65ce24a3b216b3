"""What a scanner acquired: the source that everything behind it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def acquired(images: Any) -> dict[str, str]:
    """Return SOP Instance UID -> SHA-256 of the pixels for one result of ``acquire`` or a list of them."""
    several = images if isinstance(images, list) else [images]
    return {
        instance["sop"]: instance["pixels"]
        for one in several
        if isinstance(one, Mapping)
        for instance in one.get("instances") or []
    }


def study_of(images: Any) -> str:
    """Return the Study Instance UID of the images; empty when they say none or more than one."""
    several = images if isinstance(images, list) else [images]
    studies = {str(one.get("study") or "") for one in several if isinstance(one, Mapping)}
    return studies.pop() if len(studies) == 1 else ""
