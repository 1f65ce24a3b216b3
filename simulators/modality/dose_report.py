"""The X-Ray Radiation Dose SR (PS3.3 A.35.8): TID 10011 for CT, TID 10001 for projection and mammography. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim.phantoms.functional import REGIONS
from stepwedge.sim.structured import Code, code, container, dcm, image, moment, number, sct, text, ucum, uid

from .dose import decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .dose import Exposure

Elements = dict[str, Any]
DOSE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.67"
CONTEXT, MODIFIER, PROPERTIES = "HAS OBS CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES"
ENGLISH: Final = ("en", "RFC5646", "English")
_ROOT: Final = dcm("113701", "X-Ray Radiation Dose Report")
_PLANE: Final = code(dcm("113764", "Acquisition Plane"), dcm("113622", "Single Plane"), MODIFIER)
_POINT: Final = code(
    dcm("113780", "Reference Point Definition"), dcm("113860", "15cm from Isocenter toward Source")
)
_BREASTS: Final = {"R": sct("73056007", "Right breast"), "L": sct("80248007", "Left breast")}
_OTHER_REGIONS: Final = {"HEART": ("80891009", "Heart"), "ESOPHAGUS": ("32849002", "Esophagus")}


@dataclass(frozen=True, slots=True)
class Device:
    """Who irradiated: the equipment as it names itself."""

    uid: str
    name: str
    model: str


def content(
    given: Sequence[Exposure], step: str, study: str, device: Device, units: Callable[[str], str], ended: str
) -> Elements:
    """Return the content of a report on the irradiation events of one performed step: the root container's elements.

    ``units`` is how the device writes a unit; ``ended`` is ``YYYYMMDDHHMMSS``.
    """
    ct = given[0].kind == "ct"
    body = [
        code(dcm("121049", "Language of Content Item and Descendants"), ENGLISH, MODIFIER),
        code(dcm("121058", "Procedure reported"), _procedure(given[0].kind), MODIFIER, _intent()),
        *_observer(device),
        *([] if ct else _equipment()),
        moment(dcm("113809", "Start of X-Ray Irradiation"), given[0].started, CONTEXT),
        moment(dcm("113810", "End of X-Ray Irradiation"), ended, CONTEXT),
        _scope(step, study),
        *(_ct(given, device, units) if ct else _projection(given, units)),
        code(dcm("113854", "Source of Dose Information"), dcm("113856", "Automated Data Collection")),
    ]
    return container(_ROOT, *body, relation="", template="10011" if ct else "10001")


def document(
    header: Elements, root: Elements, sop: str, sent: Elements, given: Sequence[Exposure]
) -> Elements:
    """Return the whole object: ``header`` of the series, ``root`` as its content (PS3.3 C.17.1 to C.17.3).

    ``sent`` are the attributes of the performed step's N-CREATE; the images of the events are the evidence (C.17.2).
    """
    at = {"ContentDate": header["StudyDate"], "ContentTime": header["StudyTime"]}
    return {
        **header,
        **root,
        **at,
        "Modality": "SR",
        "SeriesDescription": "Dose report",
        "SOPClassUID": DOSE_SR,
        "SOPInstanceUID": sop,
        "InstanceNumber": "1",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ReferencedRequestSequence": _requests(sent),
        "PerformedProcedureCodeSequence": sent["ProcedureCodeSequence"],
        "CurrentRequestedProcedureEvidenceSequence": _evidence(header["StudyInstanceUID"], given),
    }


def _requests(sent: Elements) -> list[Elements]:
    keys = (
        "StudyInstanceUID",
        "ReferencedStudySequence",
        "AccessionNumber",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "RequestedProcedureDescription",
    )
    return [
        {key: one[key] for key in keys}
        | {"RequestedProcedureDescription": one["RequestedProcedureDescription"] or "Unscheduled"}
        | {"RequestedProcedureCodeSequence": sent["ProcedureCodeSequence"]}
        for one in sent["ScheduledStepAttributesSequence"]
    ]


def _evidence(study: str, given: Sequence[Exposure]) -> list[Elements]:
    series: dict[str, list[Elements]] = {}
    for one in given:
        for sop_class, sop in one.images:
            reference = {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": sop}
            series.setdefault(one.series, []).append(reference)
    listed = [{"SeriesInstanceUID": key, "ReferencedSOPSequence": items} for key, items in series.items()]
    return [{"StudyInstanceUID": study, "ReferencedSeriesSequence": listed}]


def _procedure(kind: str) -> Code:
    return {
        "ct": sct("77477000", "Computed Tomography X-Ray"),
        "projection": dcm("113704", "Projection X-Ray"),
        "mammography": sct("71651007", "Mammography"),
    }[kind]


def _intent() -> Elements:
    return code(sct("363703001", "Has Intent"), sct("261004008", "Diagnostic Intent"), MODIFIER)


def _observer(device: Device) -> list[Elements]:
    """Return Observer Context (PS3.16 TID 1002, 1004): the device itself."""
    return [
        code(dcm("121005", "Observer Type"), dcm("121007", "Device"), CONTEXT),
        uid(dcm("121012", "Device Observer UID"), device.uid, CONTEXT),
        text(dcm("121013", "Device Observer Name"), device.name, CONTEXT),
        text(dcm("121014", "Device Observer Manufacturer"), "Stepwedge", CONTEXT),
        text(dcm("121015", "Device Observer Model Name"), device.model, CONTEXT),
    ]


def _equipment() -> list[Elements]:
    """Return which data there are (PS3.16 TID 10001)."""
    yes, no = sct("373066001", "Yes"), sct("373067005", "No")
    return [
        code(dcm("113945", "X-Ray Detector Data Available"), no, CONTEXT),
        code(dcm("113943", "X-Ray Source Data Available"), yes, CONTEXT),
        code(dcm("113944", "X-Ray Mechanical Data Available"), no, CONTEXT),
    ]


def _scope(step: str, study: str) -> Elements:
    """Return Scope of Accumulation: the performed step (PS3.16 CID 10000, 10001)."""
    return code(
        dcm("113705", "Scope of Accumulation"),
        dcm("113016", "Performed Procedure Step"),
        CONTEXT,
        uid(dcm("121126", "Performed Procedure Step SOP Instance UID"), step, PROPERTIES),
        uid(dcm("110180", "Study Instance UID"), study, PROPERTIES),
    )


def _region(name: str) -> Code:
    return sct(*(REGIONS | _OTHER_REGIONS)[name])


def _ct(given: Sequence[Exposure], device: Device, units: Callable[[str], str]) -> list[Elements]:
    """Return CT Accumulated Dose Data and each CT Acquisition (TID 10012, 10013)."""
    total = decimal(sum(one.dose for one in given))
    return [
        container(
            dcm("113811", "CT Accumulated Dose Data"),
            number(
                dcm("113812", "Total Number of Irradiation Events"),
                str(len(given)),
                ucum("{events}", "events"),
            ),
            number(dcm("113813", "CT Dose Length Product Total"), total, ucum(units("mGy.cm"))),
        ),
        *(_scan(one, device, units) for one in given),
    ]


def _scan(one: Exposure, device: Device, units: Callable[[str], str]) -> Elements:
    head = one.region in {"HEAD", "BRAIN"}
    phantom = (
        dcm("113690", "IEC Head Dosimetry Phantom") if head else dcm("113691", "IEC Body Dosimetry Phantom")
    )
    return container(
        dcm("113819", "CT Acquisition"),
        text(dcm("125203", "Acquisition Protocol"), one.protocol),
        code(dcm("123014", "Target Region"), _region(one.region)),
        code(dcm("113820", "CT Acquisition Type"), sct("116152004", "Spiral Acquisition")),
        uid(dcm("113769", "Irradiation Event UID"), one.uid),
        _parameters(one),
        container(
            dcm("113829", "CT Dose"),
            number(dcm("113830", "Mean CTDIvol"), decimal(one.local), ucum("mGy")),
            code(dcm("113835", "CTDIw Phantom Type"), phantom),
            number(dcm("113838", "DLP"), decimal(one.dose), ucum(units("mGy.cm"))),
        ),
        code(
            dcm("113876", "Device Role in Procedure"),
            dcm("113859", "Irradiating Device"),
            "CONTAINS",
            text(dcm("113878", "Device Manufacturer"), "Stepwedge", PROPERTIES),
            text(dcm("113879", "Device Model Name"), device.model, PROPERTIES),
            text(dcm("113880", "Device Serial Number"), "SW-0001", PROPERTIES),
            uid(dcm("121012", "Device Observer UID"), device.uid, PROPERTIES),
        ),
    )


def _parameters(one: Exposure) -> Elements:
    """Return CT Acquisition Parameters (TID 10013, 10014, 10015)."""
    seconds, mm = ucum("s"), ucum("mm")
    return container(
        dcm("113822", "CT Acquisition Parameters"),
        number(dcm("113824", "Exposure Time"), decimal(one.milliseconds / 1000), seconds),
        number(dcm("113825", "Scanning Length"), decimal(one.length), mm),
        number(dcm("113826", "Nominal Single Collimation Width"), "0.6", mm),
        number(dcm("113827", "Nominal Total Collimation Width"), "38.4", mm),
        number(dcm("113828", "Pitch Factor"), "0.6", ucum("{ratio}", "ratio")),
        number(dcm("113823", "Number of X-Ray Sources"), "1", ucum("{X-Ray sources}", "X-Ray sources")),
        container(
            dcm("113831", "CT X-Ray Source Parameters"),
            text(dcm("113832", "Identification of the X-Ray Source"), "A"),
            number(dcm("113733", "KVP"), str(one.kvp), ucum("kV")),
            number(dcm("113833", "Maximum X-Ray Tube Current"), str(one.current), ucum("mA")),
            number(dcm("113734", "X-Ray Tube Current"), str(one.current), ucum("mA")),
            number(dcm("113834", "Exposure Time per Rotation"), "0.5", seconds),
        ),
    )


def _projection(given: Sequence[Exposure], units: Callable[[str], str]) -> list[Elements]:
    """Return Accumulated X-Ray Dose Data and each Irradiation Event (TID 10002, 10003)."""
    sums = _breasts(given, units) if given[0].kind == "mammography" else _areas(given, units)
    return [
        container(dcm("113702", "Accumulated X-Ray Dose Data"), _PLANE, *sums),
        *(_event(one, units) for one in given),
    ]


def _breasts(given: Sequence[Exposure], units: Callable[[str], str]) -> list[Elements]:
    """Return Accumulated Average Glandular Dose of each breast (TID 10005)."""
    sums: list[Elements] = []
    for side, breast in _BREASTS.items():
        doses = [one.dose for one in given if one.side == side]
        if doses:
            laterality = code(sct("272741003", "Laterality"), breast, MODIFIER)
            concept = dcm("111637", "Accumulated Average Glandular Dose (mammo)")
            sums.append(number(concept, decimal(sum(doses)), ucum(units("mGy")), "CONTAINS", laterality))
    return sums


def _areas(given: Sequence[Exposure], units: Callable[[str], str]) -> list[Elements]:
    """Return the sums over fluoroscopy and acquisition (TID 10004, 10007)."""
    seen = [one for one in given if one.fluoroscopy]
    taken = [one for one in given if not one.fluoroscopy]
    area, gray, seconds = ucum(units("Gy.m2")), ucum(units("Gy")), ucum("s")

    def total(of: Sequence[Exposure], what: str) -> str:
        return decimal(sum(getattr(one, what) for one in of))

    return [
        number(dcm("113722", "Dose Area Product Total"), total(given, "dose"), area),
        number(dcm("113725", "Dose (RP) Total"), total(given, "local"), gray),
        _POINT,
        number(dcm("113726", "Fluoro Dose Area Product Total"), total(seen, "dose"), area),
        number(dcm("113728", "Fluoro Dose (RP) Total"), total(seen, "local"), gray),
        number(dcm("113730", "Total Fluoro Time"), total(seen, "fluoroscopy"), seconds),
        number(dcm("113727", "Acquisition Dose Area Product Total"), total(taken, "dose"), area),
        number(dcm("113729", "Acquisition Dose (RP) Total"), total(taken, "local"), gray),
        number(
            dcm("113855", "Total Acquisition Time"),
            decimal(sum(one.milliseconds for one in taken) / 1000),
            seconds,
        ),
        number(
            dcm("113731", "Total Number of Radiographic Frames"),
            str(sum(one.frames for one in taken)),
            ucum("1", "no units"),
        ),
    ]


def _event(one: Exposure, units: Callable[[str], str]) -> Elements:
    fluoroscopy = sct("44491008", "Fluoroscopy")
    kind = fluoroscopy if one.fluoroscopy else dcm("113611", "Stationary Acquisition")
    return container(
        dcm("113706", "Irradiation Event X-Ray Data"),
        _PLANE,
        uid(dcm("113769", "Irradiation Event UID"), one.uid),
        moment(dcm("111526", "DateTime Started"), one.started),
        code(dcm("113721", "Irradiation Event Type"), kind),
        text(dcm("125203", "Acquisition Protocol"), one.protocol),
        *_where(one),
        *_dose(one, units),
        number(dcm("113733", "KVP"), str(one.kvp), ucum("kV")),
        number(dcm("113734", "X-Ray Tube Current"), str(one.current), ucum("mA")),
        number(dcm("113735", "Exposure Time"), str(one.milliseconds), ucum("ms")),
        *(image(dcm("113795", "Acquired Image"), *reference) for reference in one.images),
    )


def _where(one: Exposure) -> list[Elements]:
    concept = dcm("123014", "Target Region")
    if one.kind == "mammography":
        side = code(sct("272741003", "Laterality"), _SIDES[one.side], MODIFIER)
        return [code(concept, sct("76752008", "Breast"), "CONTAINS", side)]
    return [code(concept, _region(one.region))]


_SIDES: Final = {"R": sct("24028007", "Right"), "L": sct("7771000", "Left")}


def _dose(one: Exposure, units: Callable[[str], str]) -> list[Elements]:
    if one.kind == "mammography":
        return [number(dcm("111631", "Average Glandular Dose"), decimal(one.dose), ucum(units("mGy")))]
    return [
        number(dcm("122130", "Dose Area Product"), decimal(one.dose), ucum(units("Gy.m2"))),
        number(dcm("113738", "Dose (RP)"), decimal(one.local), ucum(units("Gy"))),
        _POINT,
    ]
