"""Known wrong behaviours in what scanners make: frames, frames of reference, PET quantities, dose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim.quirks import collect, quirk

from .habits import ModalityHabits

if TYPE_CHECKING:
    from collections.abc import Callable

Elements = dict[str, Any]
PET: Final = "1.2.840.10008.5.1.4.1.1.128"
_RADIOPHARMACEUTICAL: Final = "RadiopharmaceuticalInformationSequence"
_GROUPS: Final = "PerFrameFunctionalGroupsSequence"


@quirk(
    "multiframe.groups_lost",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.image,
    notices="the last slice of the stack has no place in the patient",
)
def groups_lost(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Leave out the functional groups of the last frame; seen as one item less than there are frames."""
    return elements | {_GROUPS: elements[_GROUPS][:-1]} if _GROUPS in elements else elements


@quirk(
    "multiframe.place_twice",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.image,
    notices="two slices of the stack claim the same place",
)
def place_twice(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Give the last frame the place of the one before; seen as Dimension Index Values that occur twice."""
    if len(groups := elements.get(_GROUPS) or []) < 2:  # noqa: PLR2004 - a place is taken twice by two
        return elements
    return elements | {_GROUPS: [*groups[:-1], groups[-2]]}


@quirk(
    "nm.vector_short",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.image,
    notices="nobody can tell which detector took the last view",
)
def vector_short(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Leave the last value out of the Detector Vector; seen as fewer values than there are frames (PS3.3 C.8.4.8)."""
    vector = elements.get("DetectorVector")
    return elements | {"DetectorVector": vector[:-1]} if vector else elements


@quirk(
    "petct.own_frame",
    defect="not listed",
    severity="S1",
    overrides=ModalityHabits.frame,
    notices="the hot spot cannot be laid over the CT, or is laid over the wrong place",
)
def own_frame(_: Callable[..., str], _shared: str, own: str) -> str:
    """Give the PET series a frame of reference of its own; seen as (0020,0052) unlike that of the CT."""
    return own


@quirk(
    "pet.counts",
    defect="not listed",
    severity="S1",
    overrides=ModalityHabits.image,
    notices="uptake values are computed from counts as if they were Bq/ml",
)
def counts(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Say that the values are counts; seen as Units CNTS in images that are corrected and scaled as activity."""
    return elements | {"Units": "CNTS"} if elements.get("SOPClassUID") == PET else elements


@quirk(
    "pet.injection_clock",
    defect="not listed",
    severity="S1",
    overrides=ModalityHabits.image,
    notices="uptake values are wrong by the difference of two clocks",
)
def injection_clock(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Note the injection by a clock that is half a day ahead; seen as an injection after the scan."""
    if elements.get("SOPClassUID") != PET:
        return elements
    given = elements[_RADIOPHARMACEUTICAL][0]
    moment = given["RadiopharmaceuticalStartDateTime"]
    ahead = f"{int(moment[:8]) + 1:08d}{moment[8:]}"
    return elements | {_RADIOPHARMACEUTICAL: [given | {"RadiopharmaceuticalStartDateTime": ahead}]}


@quirk(
    "pet.decay_uncorrected",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.image,
    notices="later bed positions look colder than they are",
)
def decay_uncorrected(_: Callable[..., Elements], elements: Elements) -> Elements:
    """Write a Decay Factor of 1 for every bed position; seen as a factor unlike what time and half-life make of it."""
    return elements | {"DecayFactor": "1"} if elements.get("SOPClassUID") == PET else elements


@quirk(
    "dose.not_reported",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.reports_dose,
    notices="the dose register has a gap",
)
def not_reported(_: Callable[..., bool]) -> bool:
    """Write no dose report; seen as an irradiating performed step without one in the archive."""
    return False


@quirk(
    "dose.last_event_only",
    defect="not listed",
    severity="S2",
    overrides=ModalityHabits.summed,
    notices="the dose of an exam with several scans is that of its last one",
)
def last_event_only(_: Callable[..., list[Any]], exposures: list[Any]) -> list[Any]:
    """Report the last irradiation event alone; seen as fewer events, and a smaller total, than the performed step has."""
    return exposures[-1:]


@quirk(
    "dose.wrong_unit",
    defect="not listed",
    severity="S1",
    overrides=ModalityHabits.dose_unit,
    notices="the dose register shows a hundredth, or a thousandfold, of what was given",
)
def wrong_unit(_: Callable[..., str], unit: str) -> str:
    """Write the value of one unit under another; seen as a unit that the template does not have."""
    return {"mGy.cm": "mGy.m", "Gy.m2": "mGy.cm2"}.get(unit, unit)


@quirk(
    "dose.other_patient",
    defect="not listed",
    severity="S1",
    overrides=ModalityHabits.dose_report,
    notices="the dose of one patient is in the record of the one before",
)
def other_patient(_: Callable[..., Elements], report: Elements, before: Elements) -> Elements:
    """Keep the header of the patient before; seen as a Patient ID unlike that of the exam."""
    keys = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
    return report | {key: before[key] for key in keys if key in before}


@quirk(
    "mpps.no_dose",
    defect="DEF-250",
    severity="S3",
    overrides=ModalityHabits.performed_dose,
    notices="the RIS has no dose to book",
)
def no_dose(_: Callable[..., Elements], _told: Elements) -> Elements:
    """Tell no dose with the end of the exam; seen as a dose report whose performed step has none."""
    return {}


@quirk(
    "mpps.reason_lost",
    defect="not listed",
    severity="S3",
    overrides=ModalityHabits.reason,
    notices="nobody knows why the exam was broken off",
)
def reason_lost(_: Callable[..., str], _reason: str) -> str:
    """Discontinue without a reason; seen as an N-SET without (0040,0281)."""
    return ""


QUIRKS = collect(globals())
