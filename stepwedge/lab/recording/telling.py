"""What was heard, told as steps: what a ward, a scanner or a reader said is done again, what followed from it is expected.

One function a kind of exchange; what no function knows becomes a comment at whose line somebody must decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.lab.recording.draft import Draft
from stepwedge.lab.recording.plot import Plot, version
from stepwedge.lab.recording.telling_exams import EXAMS, READING, followed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stepwedge.lab.recording.heard import Heard

ORDERS: Final = frozenset(("ORM^O01", "OMG^O19", "OMI^O23"))
PASSED_OVER: Final = frozenset(("C-ECHO", "A-ASSOCIATE", "N-GET"))
"""What says nothing about a case."""
_STATUS: Final = {"P": "preliminary", "F": "final", "C": "corrected"}


def tell(name: str, heard: Sequence[Heard], roles: Mapping[str, str]) -> Draft:
    """Return the draft of one case.

    Args:
        name: of the draft, such as ``recorded-001``.
        heard: the case, in order.
        roles: role of each actor of the lab.
    """
    links = list(dict.fromkeys(f"{one.caller}->{one.callee}" for one in heard))
    draft = Draft(
        name,
        f"A recorded case over {', '.join(links)}",
        f"{len(heard)} exchanges were heard. What were they about?",
    )
    plot = Plot(draft, roles, heard)
    for one in heard:
        if one.kind in PASSED_OVER:
            continue
        if not _one(plot, one):
            draft.decide(f"what {one} means here", one.shown())
    return draft


def _one(plot: Plot, heard: Heard) -> bool:
    role = plot.roles.get(heard.caller, "")
    if heard.protocol == "hl7":
        if heard.message is None:
            return False
        return _message(plot, heard, role)
    if role == "modality":
        known = EXAMS.get(heard.kind)
        return bool(known and known(plot, heard))
    if role == "reader":
        known = READING.get(heard.kind)
        return bool(known and known(plot, heard))
    if heard.kind == "C-STORE":
        return True  # what a retrieval brings; how much, the step that asked for it says
    if heard.kind == "N-EVENT-REPORT":
        return bool(heard.key("transaction"))  # told with the request it answers
    return heard.kind in {"N-CREATE", "N-SET"} and followed(plot, heard)


def _message(plot: Plot, heard: Heard, role: str) -> bool:
    """Tell an HL7 message: an act when its sender is one that acts, and then what arrived as what is expected."""
    if role in ACTS:
        if (act := ACTS[role].get(heard.kind)) is None:
            return False
        whose = plot.numbers(heard) or heard.keys.get("patient", [])
        same = (heard.caller, heard.kind, heard.said("control"), heard.said("OBR-25"), *sorted(whose))
        callees = plot.told.setdefault(same, [])
        if not callees or heard.callee in callees:  # to another callee it is the same act
            callees.clear()
            if not act(plot, heard):
                return False
        callees.append(heard.callee)
    return _arrived(plot, heard)


def _arrived(plot: Plot, heard: Heard) -> bool:
    """Expect what arrived: by its type, whose it is, and what of it may stay."""
    control = heard.said("control")
    if heard.kind in ORDERS and control in {"NW", "SC"}:
        plot.order(heard)
    if plot.roles.get(heard.caller) not in ACTS and not _caused(plot, heard):
        return False
    order = plot.known_order(heard)
    patient = plot.patients.get(heard.key("patient"), "")
    number = next((kind for kind in ("accession", "placer", "filler") if heard.said(kind)), "")
    if order and heard.kind == "ORU^R01" and plot.roles.get(heard.callee) == "ehr":
        said = _STATUS.get(heard.said("OBR-25"))
        is_ = {"status": said} if said else None
        plot.draft.step(
            "expect", "report.received", at=heard.callee, where={"order": f"${order}"}, is_=is_, ihe="RAD-128"
        )
    elif order and number:
        stated = {"control": control, "status": heard.said("status")}
        where = {
            "type": heard.kind,
            number: f"${order}.{number}",
            **{key: one for key, one in stated.items() if one},
        }
        is_ = {"patient": f"${patient}.id"} if patient else None
        plot.draft.step("expect", "message.received", at=heard.callee, where=where, is_=is_)
    elif patient and not plot.numbers(heard):
        where = {"type": heard.kind, "patient": f"${patient}.id"}
        plot.draft.step("expect", "message.received", at=heard.callee, where=where)
    else:
        return False
    if not heard.taken:
        plot.draft.decide(f"whether {heard.callee} should have taken it: {heard}")
    return True


def _caused(plot: Plot, heard: Heard) -> bool:
    """Tell whether something that was told can have led to a message; what a department does by itself, somebody must decide."""
    if heard.kind == "ORU^R01":
        status = heard.said("OBR-25")
        said = [one.said("OBR-25") for one in plot.heard if _signs(plot, one)]
        if not said and status in {"P", "F"}:
            plot.draft.remark("not recorded: nobody was heard who signed the report")
            return _reported(plot, heard, "given")
        return status in said and status in {"P", "F"}
    if heard.kind.startswith("SIU^"):
        return heard.kind == "SIU^S12" or (heard.kind == "SIU^S15" and plot.cancelled)
    if heard.kind in ORDERS:
        control, status = heard.said("control"), heard.said("status")
        if status in {"IP", "CM", "DC"}:
            return bool(plot.exams) and all(one.whole for one in plot.exams.values())
        return plot.cancelled if status == "CA" or control in {"CA", "OC", "CR"} else control in {"NW", "SC"}
    return heard.kind.startswith("ADT^")


def _signs(plot: Plot, heard: Heard) -> bool:
    return heard.kind == "ORU^R01" and plot.roles.get(heard.caller) == "reader"


def _registered(plot: Plot, heard: Heard) -> bool:
    if heard.key("patient") in plot.patients:
        return _corrected(plot, heard)
    plot.register("do", heard, plot.described(heard))
    plot.known[heard.key("patient")] = _known(heard)
    return True


def _known(heard: Heard) -> tuple[str, str, str]:
    return heard.said("name"), heard.said("birth_date"), heard.said("sex")


def _corrected(plot: Plot, heard: Heard) -> bool:
    patient = plot.patient(heard)
    before, now = plot.known.get(heard.key("patient")), plot.described(heard)
    changed = {
        key: value
        for key, value in now.items()
        if before is None or value != dict(zip(("name", "birth_date", "sex"), before, strict=True))[key]
    }
    if not changed:
        plot.draft.decide("what was corrected; it is nothing that a draft keeps")
    plot.known[heard.key("patient")] = _known(heard)
    with_ = {"patient": f"${patient}", **changed, **_version(heard)}
    plot.draft.step("do", f"{heard.caller}.update_patient", with_=with_, ihe="RAD-12")
    return True


def _merged(plot: Plot, heard: Heard) -> bool:
    if not heard.key("prior") or not heard.key("patient"):
        return False
    survivor = plot.patient(heard)
    prior = plot.patients.get(heard.key("prior"), "")
    if not prior:
        plot.draft.remark("not recorded: nobody was heard who registered the duplicate")
        prior = plot.name("patient")
        plot.patients[heard.key("prior")] = prior
        plot.draft.step("given", f"{heard.caller}.register_patient", as_=prior, ihe="RAD-1")
    with_ = {"survivor": f"${survivor}", "prior": f"${prior}", **_version(heard)}
    plot.draft.step("do", f"{heard.caller}.merge_patients", with_=with_, ihe="RAD-12")
    return True


def _version(heard: Heard) -> dict[str, str]:
    return {"version": "2.3.1"} if version(heard) == "2.3.1" else {}


def _ordered(plot: Plot, heard: Heard) -> bool:
    control, order = heard.said("control"), plot.known_order(heard)
    if control == "NW" and not order:
        plot.place("do", heard, plot.patient(heard))
        return True
    if control == "NW":
        plot.draft.step("do", f"{heard.caller}.resend_order", with_={"order": f"${order}"}, ihe="RAD-2")
        return True
    if control in {"CA", "OC"}:
        with_ = {"order": f"${plot.order(heard)}"}
        plot.draft.step("do", f"{heard.caller}.cancel_order", with_=with_, ihe="RAD-2")
        plot.cancelled = True
        return True
    return False


def _reported(plot: Plot, heard: Heard, kind: str = "do") -> bool:
    status = heard.said("OBR-25")
    if status not in {"P", "F"}:
        return False
    order = plot.order(heard)
    exam = next((plot.exams[uid] for uid in heard.keys.get("study", ()) if uid in plot.exams), None)
    with_ = {
        "order": f"${order}",
        "text": f"A text that was {'not kept' if status == 'F' else 'a draft, and not kept'}.",
    }
    if exam is not None:
        with_["study"] = f"${exam.name}.study"
    if status == "P":
        with_["status"] = "P"
    reader = heard.caller if _signs(plot, heard) else plot.actor("reader")
    plot.draft.step(kind, f"{reader}.sign_report", with_=with_, ihe="RAD-128")
    return True


ACTS: Final[dict[str, dict[str, Callable[[Plot, Heard], bool]]]] = {
    "ehr": {
        "ADT^A04": _registered,
        "ADT^A08": _corrected,
        "ADT^A40": _merged,
        "ORM^O01": _ordered,
        "OMG^O19": _ordered,
        "OMI^O23": _ordered,
    },
    "reader": {"ORU^R01": _reported},
}
"""What is done by whom, by role and message; whatever else arrives is expected."""
