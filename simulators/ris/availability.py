"""How available the archive says studies are (RAD-49, PS3.4 annex R): received, kept, and to be asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .notices import Oddity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .state import Ris

Elements = dict[str, Any]

IAN: Final = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification SOP Class."""
TERMS: Final = frozenset({"ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"})
# PS3.7 annex C
INVALID_VALUE: Final = 0x0106
DUPLICATE: Final = 0x0111
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_VALUE: Final = 0x0121
STAMP: Final = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class Available:
    """What was last said about each instance of one study.

    Attributes:
        instances: SOP Instance UID to availability; ``retrieve`` to the AE title it can be had from.
        steps: performed steps that notices were about.
        notices: SOP Instance UIDs of the notices, oldest first.
    """

    study: str
    instances: dict[str, str]
    retrieve: dict[str, str]
    steps: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    at: str = ""


class Unfit(Exception):
    """A notice that cannot be taken: DIMSE status and what is wrong."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status, self.comment = status, comment


def take(ris: Ris, notice: str, attributes: Elements, now: datetime) -> tuple[int, str]:
    """Answer one N-CREATE with status and comment; what it says replaces what was said before, instance by instance."""
    try:
        items = list(_items(attributes))
    except Unfit as unfit:
        return unfit.status, unfit.comment
    study = str(attributes.get("StudyInstanceUID") or "")
    old = ris.available.get(study) or Available(study, {}, {})
    if notice in old.notices:
        return DUPLICATE, "this notice was received before"
    steps = [
        str(item.get("ReferencedSOPInstanceUID") or "")
        for item in attributes["ReferencedPerformedProcedureStepSequence"] or []
    ]
    _flag(ris, study, [sop for sop, _, _ in items if sop not in old.instances], steps, now)
    ris.available[study] = Available(
        study,
        {**old.instances, **{sop: availability for sop, availability, _ in items}},
        {**old.retrieve, **{sop: ae_title for sop, _, ae_title in items}},
        tuple(dict.fromkeys((*old.steps, *filter(None, steps)))),
        (*old.notices, notice),
        now.isoformat(),
    )
    return 0, ""


def _flag(ris: Ris, study: str, new: list[str], steps: list[str], now: datetime) -> None:
    """Put images that came after the report was signed on the exception list (RPT-14)."""
    for order in ris.orders.by("study", study) if new else ():
        report = ris.reports.get(order.filler)
        if report is not None and ris.habits.flags_late(report.status):
            says = f"{len(new)} images of order {order.accession} came after its report was {report.status}"
            ris.oddities[str(ris.next("oddity"))] = Oddity(
                "images after the report",
                says,
                now.strftime(STAMP),
                patient=order.patient,
                accession=order.accession,
                study=study,
                mpps=next(iter(steps), ""),
            )


def _items(attributes: Elements) -> Iterator[tuple[str, str, str]]:
    """Yield instance, availability and Retrieve AE Title; raises Unfit where table R.3.2-1 is not met."""
    if "ReferencedPerformedProcedureStepSequence" not in attributes:
        raise Unfit(MISSING_ATTRIBUTE, "ReferencedPerformedProcedureStepSequence")
    for name in ("StudyInstanceUID", "ReferencedSeriesSequence"):
        if not attributes.get(name):
            raise Unfit(MISSING_VALUE if name in attributes else MISSING_ATTRIBUTE, name)
    for series in attributes["ReferencedSeriesSequence"]:
        if not series.get("SeriesInstanceUID") or not series.get("ReferencedSOPSequence"):
            raise Unfit(MISSING_VALUE, "SeriesInstanceUID, ReferencedSOPSequence")
        for item in series["ReferencedSOPSequence"]:
            for name in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "RetrieveAETitle"):
                if not item.get(name):
                    raise Unfit(MISSING_VALUE if name in item else MISSING_ATTRIBUTE, name)
            if (availability := str(item.get("InstanceAvailability") or "")) not in TERMS:
                raise Unfit(INVALID_VALUE, f"InstanceAvailability {availability}"[:64])
            yield str(item["ReferencedSOPInstanceUID"]), availability, str(item["RetrieveAETitle"])
