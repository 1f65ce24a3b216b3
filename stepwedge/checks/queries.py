"""What all checks share that ask by DICOM keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepwedge.checks import matchers
from stepwedge.checks.difference import Difference
from stepwedge.wire import matching
from stepwedge.wire.dictionary import vr_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.checks.check import Candidate


def filtered(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``where`` the other side can match: literals are asked for, matchers only as return keys."""
    return {
        key: "" if isinstance(spec, Mapping | list) or spec is None else str(spec)
        for key, spec in where.items()
    }


def judged(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``where`` chooses among the answers; wildcards and ranges did so by being asked for (PS3.4 C.2.2.2)."""
    return {
        key: spec
        for key, spec in where.items()
        if not matchers.missing(spec) and not (isinstance(spec, str) and _pattern(vr_of(key), spec))
    }


def _pattern(vr: str, wanted: str) -> bool:
    return "*" in wanted or "?" in wanted or (vr in matching.RANGED and "-" in wanted)


def unasked(where: Mapping[str, Any], candidates: Sequence[Candidate]) -> list[Difference]:
    """Return a difference for every answer that does not match the keys it was asked by (PS3.4 C.2.2.2)."""
    return [
        Difference(
            f"{candidate.label}: {key}",
            f"{wanted}, as it was asked for",
            matchers.show(candidate.value.get(key)),
        )
        for key, wanted in filtered(where).items()
        for candidate in candidates
        if wanted and not matching.matches(vr_of(key), wanted, candidate.value.get(key))
    ]
