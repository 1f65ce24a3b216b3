"""What goes on in a hospital whatever is examined: foreign ADT messages, and scanners that poll their worklist."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stepwedge.errors import Refused
from stepwedge.load.ehr import Numbers, Ward
from stepwedge.load.pictures import STEP
from stepwedge.load.scanner import BY_STATION
from stepwedge.wire.lane import Lane
from stepwedge.wire.services import WORKLIST

if TYPE_CHECKING:
    from stepwedge.load.arrivals import Arrival
    from stepwedge.load.site import Site

ADT = "2"
"""Which identifiers are those of the background (:class:`stepwedge.load.ehr.Numbers`)."""


def adt(site: Site, arrival: Arrival) -> None:
    """Register somebody who will never be examined, or correct the one before."""
    numbers = Numbers(site.plan.seed, ADT, arrival.number)
    Ward(site, numbers, numbers.person()).tell("ADT background", "A04", due=arrival.at)


def poll(site: Site, arrival: Arrival) -> None:
    """Fetch the worklist of one scanner for today, as it does every half minute (RAD-5)."""
    modality = str(arrival.facts.get("modality", "CT"))
    entity = site.door("ris", "worklist") or site.door("ris", "dicom")
    if entity is None:
        raise Refused("the RIS has no worklist")
    with (
        site.request("C-FIND worklist", due=arrival.at, group="poll") as asked,
        site.associate(entity, [WORKLIST], site.modality(modality)) as association,
    ):
        today = f"{datetime.now().astimezone():%Y%m%d}"
        keys = {f"{STEP}.Modality": modality, f"{STEP}.ScheduledProcedureStepStartDate": today}
        found = Lane(association).find(BY_STATION, keys)
        asked.bytes = sum(map(len, found.raw))
        if found.category != "success":
            asked.outcome = "refused"
