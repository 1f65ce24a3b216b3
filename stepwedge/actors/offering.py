"""An object with a fault, offered to an archive by the probe: a copy of a stored image with something changed in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking, asking_web
from stepwedge.actors.witness import Witness
from stepwedge.errors import BadInput, Broken, LocalProtocolError, Refused
from stepwedge.wire import part10
from stepwedge.wire.elements import decode, encode
from stepwedge.wire.results import Instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.actors.cast import Cast

_EXPLICIT: Final = asking.TRANSFERS[0]


@dataclass(slots=True)
class Answer:
    """What an archive said to an object: its status in words, and the exchange that shows it.

    Attributes:
        sop: SOP Instance UID of the object.
        taken: whether it was stored.
        said: status or reason.
    """

    sop: str
    taken: bool
    said: str
    evidence: list[int] = field(default_factory=list)


def copy(cast: Cast, actor: str, study: str, header: Mapping[str, Any], cut: int) -> Instance:
    """Take the first image of a study and change it; null takes an element away, ``cut`` bytes are missing at its end of pixels."""
    files = asking_web.take(cast, actor, study, _EXPLICIT)
    if not files:
        raise Broken(f"study {study} has no image that could be copied")
    source = decode(part10.read(files[0]).data, explicit=True)
    fresh = {"SOPInstanceUID": f"{source['SOPInstanceUID'][:58]}.9"}
    changed = source | fresh | dict(header)
    if changed["StudyInstanceUID"] is None:  # what is of no study is of no order either
        changed |= {
            "PatientID": f"{source['PatientID']}0",
            "AccessionNumber": "",
            "SeriesInstanceUID": fresh["SOPInstanceUID"],
        }
        changed |= dict.fromkeys(("ReferencedPerformedProcedureStepSequence", "RequestAttributesSequence"))
    if cut:
        changed["PixelData"] = changed["PixelData"][:-cut]
    made = {key: value for key, value in changed.items() if value is not None}
    sop_class, sop = (
        changed.get("SOPClassUID") or source["SOPClassUID"],
        changed["SOPInstanceUID"] or fresh["SOPInstanceUID"],
    )
    try:
        return Instance(sop_class, sop, _EXPLICIT, encode(made, explicit=True))
    except LocalProtocolError as error:
        raise BadInput(
            "object.refused: header", "elements that can be written", str(dict(header)), str(error)
        ) from error


def offered(cast: Cast, actor: str, door: str, instance: Instance) -> Answer:
    """Offer an object through ``c-store`` or ``stow-rs``; a refused presentation context is a no as well."""
    facts: dict[str, Any] = {"door": door}
    protocol, kind = ("dimse", "offered") if door == "c-store" else ("web", "offered")
    witness = Witness(cast, actor, protocol, kind, facts, {})
    answer = Answer(instance.sop_instance, taken=False, said="")
    try:
        with witness.watching():
            answer.taken, answer.said = (_stored if door == "c-store" else _posted)(cast, actor, instance)
            witness.outcome = answer.said.partition(" ")[0]
    except Refused as refused:
        answer.said = str(refused)
    answer.evidence.append(witness.number)
    return answer


def _stored(cast: Cast, actor: str, instance: Instance) -> tuple[bool, str]:
    from stepwedge.wire.dimse_blocking import Association

    entity = cast[actor].address.dicom
    if entity is None:
        raise Broken(f"{actor} has no dicom address in the lab file")
    with Association.open(
        entity.host,
        entity.port,
        calling=cast.probe,
        called=entity.ae,
        contexts=[(instance.sop_class, [_EXPLICIT])],
        timeout=asking.ASK_SECONDS * cast.patience,
        context=cast.context(tls=entity.tls),
    ) as association:
        result = association.store(instance.sop_class, instance.sop_instance, _EXPLICIT, instance.data)
    return result.category in {"success", "warning"}, f"{result.status:04X} {result.comment}".strip()


def _posted(cast: Cast, actor: str, instance: Instance) -> tuple[bool, str]:
    from stepwedge.wire.dicomweb import DicomWeb

    root = cast[actor].address.web
    if root is None:
        raise Broken(f"{actor} has no web address in the lab file")
    context = cast.context(tls=root.startswith("https:"))
    seconds = asking.ASK_SECONDS * cast.patience
    with DicomWeb(root, timeout=seconds, context=context, bearer=cast.bearer(root)) as web:
        result = web.stow([part10.write(instance)])
    reasons = ", ".join(str(one.reason) for one in result.failed)
    return bool(result.stored), f"{result.status} {reasons}".strip()
