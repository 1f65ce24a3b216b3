"""What the scanner makes: series of phantom images, and the report of the dose they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, LocalProtocolError
from stepwedge.model.identifiers import uid
from stepwedge.sim import phantoms
from stepwedge.sim.files import Files, name_of
from stepwedge.wire.dictionary import vr_of
from stepwedge.wire.elements import decode, encode

from . import dose_report
from .dose import exposures
from .entries import shown_time
from .settings import USUAL
from .state import Picture, image_header

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .settings import Settings
    from .state import Exam, Scanner

Args = dict[str, Any]
_BYTES = frozenset({"OB", "OW", "UN"})
IMAGES = 256
"""Images that one acquisition may have."""


class Acquisition:
    """The words by which objects come to be."""

    def __init__(self, bench: Bench, scanner: Scanner, settings: Settings) -> None:
        self._bench = bench
        self._scanner = scanner
        self._settings = settings
        self._disk = Files(bench.folder / "disk")

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {"acquire": self.acquire, "report_dose": self.report_dose}

    async def acquire(self, args: Args, case: Case) -> Args:
        """Make a series of phantom images and keep it on the disk."""
        exam = self._scanner.exam(args["mpps"])
        count = int(args.get("images") or 3)
        if not 0 < count <= IMAGES:
            raise BadInput("acquire: images", f"1 to {IMAGES}", repr(count))
        shape = phantoms.recipe(args.get("recipe") or self._protocol(exam))
        shape = phantoms.reframed(shape, int(args.get("frames") or shape.frames))
        with self._bench.change(self._scanner):
            own = written(args.get("header") or {})
            if args.get("copy_of"):
                pictures = self._copies(exam, self._scanner.chosen(args["copy_of"]), case)
            else:
                now = shown_time(args, self._bench.clock.now())
                pictures = self._series(exam, shape, count, args.get("aligned_with"), own, now, case)
        return told(exam, pictures)

    def _copies(self, exam: Exam, originals: Sequence[Picture], case: Case) -> list[Picture]:
        """Make the images anew for another exam: the same pixels under new UIDs, its patient and its order (RAD-74)."""
        mint = self._scanner.mint(case.id, case.seed)
        series, made = mint.uid("series"), []
        for one in originals:
            old = decode(self._disk.read(one.file), explicit=True)
            frame = str(old.get("FrameOfReferenceUID", ""))
            header = image_header(exam, self._bench.name, series, self._scanner.series_number(exam), frame)
            elements = old | header | {"SOPInstanceUID": mint.uid("instance")}
            made.append(self._kept(exam, elements, one.number, one.pixels, one.frames))
        return made

    def _series(
        self,
        exam: Exam,
        shape: phantoms.Recipe,
        count: int,
        beside: Any,
        own: Args,
        now: datetime,
        case: Case,
    ) -> list[Picture]:
        scanner = self._scanner
        mint = scanner.mint(case.id, case.seed)
        series = mint.uid("series")
        frame = scanner.habits.frame(self._frame_of(beside), mint.uid("frame"))
        repeated = image_header(
            exam,
            self._bench.name,
            series,
            scanner.series_number(exam),
            frame if phantoms.IODS[shape.iod].framed else "",
        )
        seed = self._bench.seed if case.seed is None else case.seed
        sop_class = phantoms.IODS[shape.iod].sop_class
        sops = [mint.uid("instance") for _ in range(count)]
        events = exposures(
            shape,
            exam.uid,
            series,
            now,
            [mint.uid("irradiation event") for _ in range(count)],
            [(sop_class, sop) for sop in sops],
            len(scanner.exposures.by("exam", exam.uid)),
        )
        event_of = {sop: one.uid for one in events for _, sop in one.images}
        for one in events:
            scanner.exposures[one.uid] = one
        pictures = []
        for number, sop in enumerate(sops, 1):
            image = phantoms.image(shape, number, now, seed, series)
            if sop in event_of:
                image = phantoms.irradiated(image, event_of[sop])
            elements = scanner.habits.image(image | repeated | {"SOPInstanceUID": sop})
            elements = {key: value for key, value in (elements | own).items() if value is not None}
            digest = phantoms.pixel_hash(image["PixelData"])
            pictures.append(self._kept(exam, elements, number, digest, shape.frames))
        return pictures

    def _kept(self, exam: Exam, elements: Args, number: int, pixels: str, frames: int) -> Picture:
        """Keep an object on the disk; the caller's change makes it durable."""
        data = encode(elements, explicit=True)
        picture = Picture(
            elements["SOPInstanceUID"],
            elements["SOPClassUID"],
            elements["SeriesInstanceUID"],
            exam.study,
            exam.uid,
            number,
            pixels,
            name_of(data),
            frames=frames,
        )
        self._disk.keep(picture.file, data)
        self._scanner.pictures[picture.sop] = picture
        return picture

    def _frame_of(self, images: Any) -> str:
        """Return the Frame of Reference UID of images acquired before; "" when none are named."""
        pictures = self._scanner.chosen(images) if images else []
        if not pictures:
            return ""
        header = decode(self._disk.read(pictures[0].file), explicit=True, stop_before_pixels=True)
        if not (frame := str(header.get("FrameOfReferenceUID", ""))):
            raise BadInput("acquire: aligned_with", "images that have a frame of reference", pictures[0].sop)
        return frame

    def _protocol(self, exam: Exam) -> str:
        """Return the phantom of the scheduled protocol, or the usual one of this scanner."""
        codes = [item.get("CodeValue", "") for item in exam.sent["PerformedProtocolCodeSequence"] or []]
        book = self._settings.protocols
        return next((book[code] for code in codes if code in book), USUAL[self._settings.modality])

    async def report_dose(self, args: Args, case: Case) -> Args:
        """Write the X-Ray Radiation Dose SR of an exam and keep it on the disk, to be stored like any image."""
        exam = self._scanner.exam(args["mpps"])
        given = self._scanner.exposures.by("exam", exam.uid)
        if not given:
            raise BadInput("report_dose: mpps", "an exam in which radiation was given", exam.uid)
        if not self._scanner.habits.reports_dose():
            return told(exam, [])
        with self._bench.change(self._scanner):
            picture = self._report(exam, given, case)
        return told(exam, [picture])

    def _report(self, exam: Exam, given: Sequence[Any], case: Case) -> Picture:
        scanner, habits, now = self._scanner, self._scanner.habits, self._bench.clock.now()
        mint = scanner.mint(case.id, case.seed)
        header = image_header(exam, self._bench.name, mint.uid("series"), scanner.series_number(exam), "")
        device = dose_report.Device(
            uid(self._bench.seed, "device", self._bench.name),
            header["StationName"],
            header["ManufacturerModelName"],
        )
        root = dose_report.content(
            habits.summed(list(given)), exam.uid, exam.study, device, habits.dose_unit, f"{now:%Y%m%d%H%M%S}"
        )
        made = dose_report.document(header, root, mint.uid("instance"), exam.sent, given)
        before = [one for one in scanner.exams.values() if one.patient != exam.patient]
        made = habits.dose_report(made, before[-1].entry if before else {})
        return self._kept(exam, made, 1, "", 1)


def written(header: Args) -> Args:
    """Return elements as a device writes them that has its own ways: text of a VR of bytes becomes bytes (PS3.5 section 7.8)."""
    made: Args = {}
    for key, value in header.items():
        try:
            vr = vr_of(str(key))
        except LocalProtocolError as error:
            raise BadInput(
                "acquire: header", "DICOM keywords (PS3.6) or GGGGEEEE", str(key), str(error)
            ) from error
        made[str(key)] = value.encode() if vr in _BYTES and isinstance(value, str) else value
    return made


def told(exam: Exam, pictures: Sequence[Picture]) -> Args:
    """Return what a word says of the objects it made."""
    return {
        "series": pictures[0].series if pictures else "",
        "study": exam.study,
        "instances": [
            {
                "sop": one.sop,
                "sop_class": one.sop_class,
                "pixels": one.pixels,
                "number": one.number,
                "frames": one.frames,
            }
            for one in pictures
        ],
        "count": len(pictures),
        "mpps": exam.uid,
    }
