"""What the scanners of a load send: phantoms of a usual size, compiled once for each procedure (:mod:`stepwedge.wire.compiled`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit
from stepwedge.clock import SystemClock
from stepwedge.model.identifiers import uid
from stepwedge.model.procedure import catalogue
from stepwedge.sim import phantoms
from stepwedge.wire.compiled import OF_AN_EXAM, OF_AN_IMAGE, CompiledStudy
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance
from stepwedge.wire.services import MPPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.model.procedure import Procedure

STEP: Final = "ScheduledProcedureStepSequence"
REQUEST: Final = "RequestAttributesSequence"
PERFORMED: Final = "ReferencedPerformedProcedureStepSequence"
USUAL: Final = {
    "CR": "cr-chest",
    "DX": "dx-chest",
    "US": "us-abdomen",
    "CT": "ct-chest",
    "MR": "mr-brain",
    "MG": "mg-screening",
    "RF": "rf-swallow",
    "NM": "nm-bone",
    "XA": "xa-coronary",
    "PT": "pt-torso",
}
_NAMES: Final = (
    *OF_AN_IMAGE,
    *OF_AN_EXAM,
    "StudyID",
    "SeriesDate",
    "SeriesTime",
    "PerformedProcedureStepID",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    f"{REQUEST}.RequestedProcedureID",
    f"{REQUEST}.ScheduledProcedureStepID",
    f"{PERFORMED}.ReferencedSOPInstanceUID",
)
_FEW: Final = 2_000_000
"""Bytes of an image up to which a study has several different ones."""
_DIFFERENT: Final = 4


@dataclass(frozen=True)
class Pictures:
    """The images of one procedure.

    Attributes:
        pixels: SHA-256 of the pixels of each different image; image n has those of n modulo their number.
    """

    study: CompiledStudy
    sop_class: str
    pixels: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class _Images:
    """Images without patient and exam."""

    images: list[dict[str, Any]]
    pixels: tuple[str, ...]
    framed: bool


class Shelf:
    """Keeps what was compiled; memory is that of a few images a procedure, whatever is sent."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kept: dict[str, Pictures] = {}
        self._made: dict[str, _Images] = {}
        self.procedures: dict[str, Procedure] = catalogue(kit.find("fixtures/procedures/catalogue.yaml"))

    def prepare(self, wanted: Iterable[tuple[str, str, float]]) -> None:
        """Make the pixels of procedures (with modality and megabytes of an image) before anything is due."""
        for procedure, modality, megabytes in wanted:
            self._images(procedure, modality, megabytes)

    def _images(self, procedure: str, modality: str, megabytes: float) -> _Images:
        if (found := self._made.get(procedure)) is None:
            known = self.procedures.get(procedure)
            recipe = (known.recipe if known else "") or USUAL.get(modality, "ct-chest")
            found = self._made[procedure] = _made(recipe, megabytes, self._seed)
        return found

    def of(self, procedure: str, modality: str, megabytes: float, entry: dict[str, Any]) -> Pictures:
        """Return the images of a procedure; what its worklist entries have in common is taken from the first."""
        if (found := self._kept.get(procedure)) is None:
            images = self._images(procedure, modality, megabytes)
            found = self._kept[procedure] = _compiled(images, modality, entry)
            del self._made[procedure]
        return found


def _made(recipe: str, megabytes: float, seed: int) -> _Images:
    shape, at = _sized(phantoms.recipe(recipe), megabytes), SystemClock().now()
    different = _DIFFERENT if megabytes * 1e6 <= _FEW else 1
    images = [phantoms.image(shape, number, at, seed, "load") for number in range(1, different + 1)]
    hashes = tuple(phantoms.pixel_hash(image["PixelData"]) for image in images)
    sops = [uid(seed, "load", recipe, number) for number in range(different)]
    for image, sop in zip(images, sops, strict=True):
        image["SOPInstanceUID"] = sop
    return _Images(images, hashes, phantoms.IODS[shape.iod].framed)


def _compiled(made: _Images, modality: str, entry: dict[str, Any]) -> Pictures:
    repeated = _repeated(entry, modality, framed=made.framed)
    instances = [
        Instance(
            one["SOPClassUID"], one["SOPInstanceUID"], EXPLICIT_LE, encode(one | repeated, explicit=True)
        )
        for one in made.images
    ]
    names = (*_NAMES, "FrameOfReferenceUID") if made.framed else _NAMES
    study = CompiledStudy(instances, names)
    return Pictures(study, instances[0].sop_class, made.pixels, len(instances[0].data))


def _sized(shape: phantoms.Recipe, megabytes: float) -> phantoms.Recipe:
    """Return a recipe whose image has about so many bytes: a phantom is small, what it stands for is not."""
    before = len(phantoms.pixels(shape, 1, "size"))
    times = math.sqrt(megabytes * 1e6 / before)
    rows, columns = (max(8, round(side * times / 2) * 2) for side in (shape.rows, shape.columns))
    return replace(shape, rows=rows, columns=columns, pixel_spacing=shape.pixel_spacing / times)


def _repeated(entry: dict[str, Any], modality: str, *, framed: bool) -> dict[str, Any]:
    """Return what all images repeat; what differs from exam to exam has a place here and is written over."""
    scheduled = entry[STEP][0]
    study, accession = entry["StudyInstanceUID"], entry.get("AccessionNumber", "")
    request = {
        "AccessionNumber": accession,
        "StudyInstanceUID": study,
        "RequestedProcedureID": entry.get("RequestedProcedureID"),
        "RequestedProcedureDescription": entry.get("RequestedProcedureDescription"),
        "ScheduledProcedureStepID": scheduled.get("ScheduledProcedureStepID"),
        "ScheduledProcedureStepDescription": scheduled.get("ScheduledProcedureStepDescription"),
        "ScheduledProtocolCodeSequence": scheduled.get("ScheduledProtocolCodeSequence"),
    }
    who = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "IssuerOfPatientID")
    frame = {"FrameOfReferenceUID": study, "PositionReferenceIndicator": ""} if framed else {}
    return {
        "SpecificCharacterSet": entry.get("SpecificCharacterSet") or "ISO_IR 100",
        **{key: entry[key] for key in who if entry.get(key)},
        "StudyInstanceUID": study,
        "StudyDate": "20010101",
        "StudyTime": "010101",
        "StudyID": entry.get("RequestedProcedureID", ""),
        "AccessionNumber": accession,
        "ReferringPhysicianName": entry.get("ReferringPhysicianName", ""),
        "StudyDescription": entry.get("RequestedProcedureDescription", ""),
        "SeriesInstanceUID": study,
        "SeriesNumber": "1",
        "SeriesDate": "20010101",
        "SeriesTime": "010101",
        **frame,
        REQUEST: [{key: value for key, value in request.items() if value}],
        PERFORMED: [{"ReferencedSOPClassUID": MPPS, "ReferencedSOPInstanceUID": study}],
        "PerformedProcedureStepID": "P0",
        "PerformedProcedureStepStartDate": "20010101",
        "PerformedProcedureStepStartTime": "010101",
        "PerformedProcedureStepDescription": scheduled.get("ScheduledProcedureStepDescription", ""),
        "Manufacturer": "Stepwedge",
        "ManufacturerModelName": f"Load {modality}",
        "DeviceSerialNumber": "SW-0001",
        "SoftwareVersions": "0.1.0",
        "StationName": f"LOAD{modality}",
    }
