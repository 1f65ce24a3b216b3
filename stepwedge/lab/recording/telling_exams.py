"""What scanners and reading workstations said, told as steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.lab.recording.plot import Exam
from stepwedge.wire.services import WORKLIST

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.lab.recording.heard import Heard
    from stepwedge.lab.recording.plot import Plot

MPPS: Final = "1.2.840.10008.3.1.2.3.3"
"""Modality Performed Procedure Step SOP Class (PS3.4 annex F.7)."""
AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification SOP Class (PS3.4 annex R)."""
_NUMBERS: Final = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "StudyInstanceUID",
)
_DOORS: Final = {"C-FIND": "c-find", "C-MOVE": "c-move", "C-GET": "c-get", "C-STORE": "c-store"}


def _find(plot: Plot, heard: Heard) -> bool:
    """Tell a worklist query, narrowed to each order of this case that it found, whatever else the scanner asked for."""
    if heard.sop_class != WORKLIST:
        return False
    found = _entries(plot, heard)
    if not found and (order := plot.known_order(heard)) and not heard.answers:
        found = {order: 0}
    for order, count in found.items():
        before = plot.told.get(("worklist", heard.caller, order))
        if before == [str(count)]:
            continue  # a console that asks again and again
        plot.told["worklist", heard.caller, order] = [str(count)]
        name = _fetch(plot, heard.caller, order, offers=count > 0)
        plot.draft.step("expect", "result", where={"of": f"${name}.count"}, is_=count, ihe="RAD-5")
    return True


def _entries(plot: Plot, heard: Heard) -> dict[str, int]:
    """Return how many answers speak of each order of this case; one patient's only answers may be the first that is heard of one."""
    found: dict[str, int] = {}
    for one in heard.answers:
        numbers = [number for key in _NUMBERS if (number := one.get(key))]
        order = next((plot.orders[number] for number in numbers if number in plot.orders), "")
        if order:
            found[order] = found.get(order, 0) + 1
            for number in numbers:
                plot.orders.setdefault(number, order)
    if not found and heard.answers and len(heard.keys.get("accession", ())) == 1:
        found[plot.order(heard)] = len(heard.answers)
    return found


def _fetch(plot: Plot, scanner: str, order: str, *, offers: bool = True) -> str:
    name = plot.name("worklist")
    if offers:
        plot.worklists[scanner, order] = name
    plot.draft.step(
        "do",
        f"{scanner}.fetch_worklist",
        with_={"AccessionNumber": f"${order}.accession"},
        as_=name,
        ihe="RAD-5",
    )
    return name


def _create(plot: Plot, heard: Heard) -> bool:
    """Tell the start of an exam, of a worklist entry or by hand."""
    name, scanner = plot.name("mpps"), heard.caller
    scheduled = heard.identifier.get("ScheduledStepAttributesSequence") or [{}]
    planned = any(one.get("AccessionNumber") or one.get("ScheduledProcedureStepID") for one in scheduled)
    if not planned:
        with_ = {"patient": f"${plot.patient(heard)}"}
        plot.draft.step("do", f"{scanner}.enter_exam", with_=with_, as_=name, ihe="RAD-6")
    else:
        order = plot.order(heard)
        if (scanner, order) not in plot.worklists:
            plot.draft.remark("not recorded: the scanner was not heard to ask for its worklist")
            _fetch(plot, scanner, order)
        elif any(one.caller == scanner for one in plot.exams.values()):
            plot.draft.decide("which entry and step of the worklist the further exam performs")
        with_ = {"entry": f"${plot.worklists[scanner, order]}.entry"}
        plot.draft.step("do", f"{scanner}.start_exam", with_=with_, as_=name, ihe="RAD-6")
    exam = Exam(scanner, name, whole=len(scheduled) == 1 and bool(planned))
    if len(scheduled) > 1:
        plot.draft.decide("which further entries of the worklist the exam performs (group)")
    for uid in (*heard.keys.get("mpps", ()), *heard.keys.get("study", ())):
        plot.exams[uid] = exam
    return True


def _exam(plot: Plot, heard: Heard) -> Exam | None:
    """Return the exam that an exchange speaks of: by its own UIDs, else by the study of an image that it names."""
    for uid in (*heard.keys.get("mpps", ()), *heard.keys.get("study", ())):
        if uid in plot.exams:
            return plot.exams[uid]
    named = set(heard.keys.get("sop", ()))
    if heard.kind != "C-STORE" and named:
        for one in plot.heard:
            if one.kind == "C-STORE" and not named.isdisjoint(one.keys.get("sop", ())):
                return _exam(plot, one)
    return None


def _images(plot: Plot, heard: Heard, exam: Exam) -> str:
    """Return the binding of an exam's images; they are acquired when something first needs them."""
    if not exam.images:
        sent = [one for one in plot.heard if _sends(plot, one) and _exam(plot, one) is exam]
        pictures = {sop for one in sent or [heard] for sop in one.keys.get("sop", ())}
        exam.images = plot.name("images")
        count = exam.count = max(1, len(pictures))
        plot.draft.step(
            "do", f"{exam.caller}.acquire", with_={"mpps": f"${exam.name}", "images": count}, as_=exam.images
        )
    return exam.images


def _sends(plot: Plot, heard: Heard) -> bool:
    return heard.kind in {"C-STORE", "POST /studies"} and plot.roles.get(heard.caller) == "modality"


def _set(plot: Plot, heard: Heard) -> bool:
    """Tell the end of an exam."""
    status = heard.identifier.get("PerformedProcedureStepStatus", "")
    exam = _exam(plot, heard)
    if exam is None or status not in {"COMPLETED", "DISCONTINUED"}:
        return exam is not None and not status  # in between: the scanner adds to what it said
    if status == "COMPLETED":
        with_ = {"mpps": f"${exam.name}", "images": f"${_images(plot, heard, exam)}"}
        plot.draft.step("do", f"{exam.caller}.complete_exam", with_=with_, ihe="RAD-7")
    else:
        reason = heard.identifier.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or [{}]
        with_ = {"mpps": f"${exam.name}"}
        if code := reason[0].get("CodeValue"):
            with_["reason"] = code
        if exam.images or heard.keys.get("sop"):
            with_["images"] = f"${_images(plot, heard, exam)}"
        plot.draft.step("do", f"{exam.caller}.discontinue_exam", with_=with_, ihe="RAD-7")
    plot.draft.step(
        "expect",
        "performed.step",
        at=heard.callee,
        where={"mpps": f"${exam.name}"},
        is_={"status": status},
        ihe="RAD-7",
    )
    return True


def _store(plot: Plot, heard: Heard) -> bool:
    """Tell that images were sent, all of one exam in one step, with how many were refused."""
    exam = _exam(plot, heard)
    if exam is None:
        plot.draft.remark("not recorded: the scanner was not heard to start the exam")
        order = plot.order(heard)
        if (heard.caller, order) not in plot.worklists:
            _fetch(plot, heard.caller, order)
        exam = Exam(heard.caller, plot.name("mpps"))
        entry = f"${plot.worklists[heard.caller, order]}.entry"
        plot.draft.step(
            "do", f"{heard.caller}.start_exam", with_={"entry": entry}, as_=exam.name, ihe="RAD-6"
        )
        for study in heard.keys.get("study", ("",)):
            plot.exams[study] = exam
    plot.draft.drawn_on = plot.draft.drawn_on or heard.drawn_on
    if exam.stored:
        return True
    exam.stored = True
    name, stored = _images(plot, heard, exam), plot.name("stored")
    with_ = {"images": f"${name}"} | ({"door": "stow-rs"} if heard.protocol == "web" else {})
    plot.draft.step("do", f"{exam.caller}.store_images", with_=with_, as_=stored, ihe="RAD-8")
    sent = [one for one in plot.heard if _sends(plot, one) and _exam(plot, one) is exam]
    if refused := sum(not one.taken for one in sent):
        plot.draft.decide(f"why {refused} of {len(sent)} images were not taken, such as {heard}")
    else:
        plot.draft.step("expect", "result", where={"of": f"${stored}.refused"}, is_=0, ihe="RAD-8")
    return True


def _commit(plot: Plot, heard: Heard) -> bool:
    """Tell that the archive was asked to answer for the images, and what it answered."""
    exam = _exam(plot, heard)
    if exam is None or not heard.key("transaction"):
        return False
    images, name = _images(plot, heard, exam), plot.name("commitment")
    answers = [
        one
        for one in plot.heard
        if one.kind == "N-EVENT-REPORT" and one.key("transaction") == heard.key("transaction")
    ]
    event = "new" if any(one.callee == exam.caller for one in answers) else "same"
    with_ = {"images": f"${images}", "event": event}
    plot.draft.step("do", f"{exam.caller}.commit", with_=with_, as_=name, ihe="RAD-10")
    failed = sum(len(one.identifier.get("FailedSOPSequence") or ()) for one in answers)
    if failed:
        plot.draft.decide(f"why the archive did not answer for {failed} images (${name}.failed)")
    elif answers:
        plot.draft.step(
            "expect", "commitment.result", where={"of": f"${name}", "images": f"${images}"}, ihe="RAD-10"
        )
    return True


def _studies(plot: Plot, heard: Heard) -> bool:
    """Tell that somebody looked a study up in the archive."""
    if heard.identifier.get("QueryRetrieveLevel", "STUDY") != "STUDY":
        return bool(plot.exams)  # on the way to opening what was found
    door = "qido-rs" if heard.protocol == "web" else "c-find"
    order = plot.known_order(heard)
    exam = next((plot.exams[uid] for uid in heard.keys.get("study", ()) if uid in plot.exams), None)
    args: dict[str, Any] = {"door": door} if door != "c-find" else {}
    if heard.identifier.get("AccessionNumber") and order:
        args["accession"] = f"${order}.accession"
    elif exam is not None:
        args["study"] = f"${exam.name}.study"
    else:
        return False
    asked = ("find_study", heard.caller, *map(str, args.values()), str(len(heard.answers)))
    if asked in plot.told:
        return True
    plot.told[asked] = []
    name = plot.name("found")
    plot.draft.step("do", f"{heard.caller}.find_study", with_=args, as_=name, ihe="RAD-14")
    if heard.answers:
        plot.draft.step(
            "expect", "result", where={"of": f"${name}.count"}, is_=len(heard.answers), ihe="RAD-14"
        )
    return True


def _retrieve(plot: Plot, heard: Heard) -> bool:
    """Tell that somebody opened a study."""
    exam = next((plot.exams[uid] for uid in heard.keys.get("study", ()) if uid in plot.exams), None)
    if exam is None:
        return False
    door = "wado-rs" if heard.protocol == "web" else _DOORS[heard.kind]
    name = plot.name("opened")
    plot.draft.step(
        "do",
        f"{heard.caller}.retrieve",
        with_={"study": f"${exam.name}.study", "door": door},
        as_=name,
        ihe="RAD-16",
    )
    if heard.brought is not None and heard.brought == exam.count:
        where, is_ = {"of": f"${name}.count"}, f"${exam.images}.count"
        plot.draft.step("expect", "result", where=where, is_=is_, ihe="RAD-16")
    elif heard.brought is not None:
        plot.draft.decide(f"why {heard.brought} instances came, and not the {exam.count} of the exam")
    return True


def _look(plot: Plot, heard: Heard) -> bool:
    return _studies(plot, heard) if heard.sop_class != WORKLIST else False


EXAMS: Final[dict[str, Callable[[Plot, Heard], bool]]] = {
    "C-FIND": _find,
    "N-CREATE": _create,
    "N-SET": _set,
    "C-STORE": _store,
    "POST /studies": _store,
    "N-ACTION": _commit,
}
"""What a scanner says, by kind; a function tells whether it knew what to make of it."""
READING: Final[dict[str, Callable[[Plot, Heard], bool]]] = {
    "C-FIND": _look,
    "GET /studies": _studies,
    "C-MOVE": _retrieve,
    "C-GET": _retrieve,
    "GET /studies/{}": _retrieve,
}
"""What a reading workstation says, by kind."""


def followed(plot: Plot, heard: Heard) -> bool:
    """Tell that a performed step was handed on, as the RIS does to the archive, or that images were announced (RAD-7, RAD-49)."""
    if heard.sop_class == AVAILABILITY:
        exam = next((plot.exams[uid] for uid in heard.keys.get("study", ()) if uid in plot.exams), None)
        if exam is not None:
            where = {"study": f"${exam.name}.study"}
            plot.draft.step("expect", "availability.notified", at=heard.callee, where=where, ihe="RAD-49")
        return exam is not None
    exam = next((plot.exams[uid] for uid in heard.keys.get("mpps", ()) if uid in plot.exams), None)
    if exam is None or heard.sop_class != MPPS:
        return False
    status = heard.identifier.get("PerformedProcedureStepStatus", "")
    if status in {"COMPLETED", "DISCONTINUED"}:
        where = {"mpps": f"${exam.name}"}
        is_ = {"status": status}
        plot.draft.step("expect", "performed.step", at=heard.callee, where=where, is_=is_, ihe="RAD-7")
    return True
