"""Whether PET images say what an uptake value is computed from, and say it consistently (PS3.3 C.8.9)."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks import matchers
from stepwedge.checks.check import Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.stored import DOORS, made, object_by_object, study_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepwedge.actors.asking import Retrieved
    from stepwedge.wire.elements import Elements

UPTAKE: Final = timedelta(0), timedelta(hours=6)
"""From injection to scan: after it, and while there is activity left to see."""
_CLOSE: Final = 1e-4


@check(
    "pet.quantified",
    says="PET images say activity, weight, injection and decay as an uptake value needs them",
    ihe="RAD-16",
    observes="wire",
    place="from",
    doors=DOORS,
    where=only("images"),
    is_=only("PatientWeight", "PatientSize", "Units", "DecayCorrection", "CorrectedImage"),
    chosen_by=("images",),
)
def quantified(question: Question) -> Look:
    """Take the study to the probe and compute: decay factor from time and half-life, injection before the scan."""
    images = question.where["images"]
    study = study_of(images)
    if not study or not made(images):
        return Look(unsure="no PET image was acquired, so none can be quantified")

    def judged(door: str, said: Mapping[str, Any], held: Retrieved) -> Iterator[Difference]:
        found = [*consistent(held.header)]
        if question.is_ is not None:
            found += matchers.compare("", question.is_, held.header)
        for each in found:
            yield each.below(f"{door}: image {said['sop']}")

    return object_by_object(question, study, "PET images", judged)


def consistent(header: Elements) -> Iterator[Difference]:
    """Yield what keeps an uptake value from being computed: of Bq/ml, corrected to the start of the scan (C.8.9.1)."""
    for key, wanted in (("Units", "BQML"), ("DecayCorrection", "START")):
        if header.get(key) != wanted:
            yield Difference(key, wanted, str(header.get(key) or "none"))
    if not _number(header.get("PatientWeight")):
        yield Difference("PatientWeight", "the patient's, in kg", str(header.get("PatientWeight") or "none"))
    given: Any = (header.get("RadiopharmaceuticalInformationSequence") or [{}])[0]
    half_life, dose = _number(given.get("RadionuclideHalfLife")), _number(given.get("RadionuclideTotalDose"))
    if not half_life or not dose:
        yield Difference("RadiopharmaceuticalInformationSequence", "half-life and dose", "not both")
        return
    yield from _decay(header, half_life)
    yield from _injection(header, given)


def _decay(header: Elements, half_life: float) -> Iterator[Difference]:
    """Compare Decay Factor with what Frame Reference Time (ms) and half-life (s) make of it (PS3.3 C.8.9.4)."""
    wanted = math.exp(math.log(2) * _number(header.get("FrameReferenceTime")) / 1000 / half_life)
    if not math.isclose(_number(header.get("DecayFactor")), wanted, rel_tol=_CLOSE):
        yield Difference("DecayFactor", f"{wanted:.6g}", str(header.get("DecayFactor") or "none"))


def _injection(header: Elements, given: Elements) -> Iterator[Difference]:
    scanned = _moment(str(header.get("AcquisitionDate") or "") + str(header.get("AcquisitionTime") or ""))
    told = str(given.get("RadiopharmaceuticalStartDateTime") or "")
    injected = _moment(told)
    if scanned is None or injected is None:
        yield Difference(
            "RadiopharmaceuticalStartDateTime", "a date and time before the scan", told or "none"
        )
        return
    if not UPTAKE[0] < scanned - injected <= UPTAKE[1]:
        found = f"{told}, {(scanned - injected).total_seconds() / 60:.0f} minutes before it"
        yield Difference("RadiopharmaceuticalStartDateTime", "at most six hours before the scan", found)
    alone = str(given.get("RadiopharmaceuticalStartTime") or told[8:14])
    if alone[:6] != told[8:14]:
        yield Difference("RadiopharmaceuticalStartTime", told[8:14], alone)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S")  # noqa: DTZ007 - both times of one device, its own zone
    except ValueError:
        return None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
