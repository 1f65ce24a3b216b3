"""Wrong behaviours the RIS can be told to have; each names the fact on the wire that betrays it."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.model.patient import PersonName
from stepwedge.sim.quirks import collect, quirk
from stepwedge.wire.hl7_escape import escape

from . import quirks_messages, quirks_order, quirks_reports, quirks_worklist
from .habits import RisHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.model.context import ClinicalContext
    from stepwedge.model.order import Order
    from stepwedge.model.procedure import ScheduledStep
    from stepwedge.wire.elements import Elements
    from stepwedge.wire.fhir import Issue, Resource


@quirk(
    "mwl.keep_cancelled",
    defect="DEF-001",
    severity="S1",
    overrides=RisHabits.offers,
    notices="the scanner still lists an exam that was cancelled (C-FIND answers after CA)",
)
def keep_cancelled(original: Callable[[ScheduledStep], bool], step: ScheduledStep) -> bool:
    """Go on offering a cancelled step."""
    return step.status == "CANCELED" or original(step)


@quirk(
    "mwl.ignore_patient_id_key",
    defect="DEF-003",
    severity="S1",
    overrides=RisHabits.keys,
    notices="asked for one patient, the worklist shows others too (answers with another (0010,0020))",
)
def ignore_patient_id_key(_: Callable[[Elements], Elements], identifier: Elements) -> Elements:
    """Match without the Patient ID."""
    return {key: value for key, value in identifier.items() if key != "PatientID"}


@quirk(
    "len.overflow",
    defect="DEF-253",
    severity="S3",
    overrides=RisHabits.fits,
    notices="a scanner refuses the whole list, or shows nothing, for one long sentence (more than 64 characters in LO)",
)
def len_overflow(_: Callable[[str], str], text: str) -> str:
    """Write the whole text."""
    return text


@quirk(
    "birth.invented",
    defect="DEF-237",
    severity="S2",
    overrides=RisHabits.born,
    notices="a patient of whom only the year is known has a birthday (1950 in PID-7, 19500101 on the worklist)",
)
def birth_invented(original: Callable[[str], str], written: str) -> str:
    """Make the first day of the year or month of what is said in part."""
    missing = {4: "0101", 6: "01"}.get(len(written))
    return original(written + missing) if missing else original(written)


@quirk(
    "mwl.type_1_empty",
    defect="not listed",
    severity="S2",
    overrides=RisHabits.complete,
    notices="some scanners will not start the exam, others start it in a study of their own ((0020,000D) without a value)",
)
def type_1_empty(original: Callable[[Elements], Elements], entry: Elements) -> Elements:
    """Offer entries without a Study Instance UID."""
    return original(entry) | ({"StudyInstanceUID": ""} if "StudyInstanceUID" in entry else {})


@quirk(
    "mwl.priority_vr",
    defect="DEF-012",
    severity="S3",
    overrides=RisHabits.priority_vr,
    notices="some scanners show an empty worklist ((0040,1003) is sent as CS)",
)
def priority_vr(original: Callable[[str], str], vr: str) -> str:
    """Write the priority as a code string."""
    return original(vr).replace("SH", "CS")


@quirk(
    "prio.lost_v25",
    defect="DEF-010",
    severity="S1",
    overrides=RisHabits.priority,
    notices="an emergency ordered in HL7 2.5.1 stands on the worklist as routine ((0040,1003) not STAT)",
)
def lost_v25(original: Callable[[str, str], str], version: str, code: str) -> str:
    """Look for the priority only where 2.3.1 has it."""
    return original(version, code) if version < "2.4" else "routine"


@quirk(
    "charset.strip_accents",
    defect="DEF-041",
    severity="S2",
    overrides=RisHabits.worklist_name,
    notices="MÜLLER is MULLER on the scanner's console (worklist name differs from PID-5)",
)
def strip_accents(_: Callable[[str], str], name: str) -> str:
    """Send the form that was made for searching."""
    return "".join(sign for sign in unicodedata.normalize("NFD", name) if not unicodedata.combining(sign))


@quirk(
    "charset.silent_replace",
    defect="DEF-255",
    severity="S2",
    overrides=RisHabits.worklist_name,
    notices="MÜLLER is M?LLER on the scanner's console (worklist name differs from PID-5)",
)
def silent_replace(_: Callable[[str], str], name: str) -> str:
    """Write what ASCII cannot say as question marks."""
    return name.encode("ascii", "replace").decode()


@quirk(
    "charset.bad_term",
    defect="DEF-043",
    severity="S2",
    overrides=RisHabits.charset,
    notices="the scanner cannot read a name with accents ((0008,0005) is no defined term)",
)
def bad_term(_: Callable[[str], str], term: str) -> str:
    """Write ``ISO IR 100`` for ``ISO_IR 100``."""
    return term.replace("_", " ")


@quirk(
    "id.normalised",
    defect="DEF-208",
    severity="S1",
    overrides=RisHabits.patient_id,
    notices="the patient is not found under the number on the wristband ((0010,0020) differs from PID-3)",
)
def normalised(_: Callable[[str], str], given: str) -> str:
    """Fold the case of patient IDs."""
    return given.lower()


@quirk(
    "name.prefix_suffix_swap",
    defect="DEF-059",
    severity="S2",
    overrides=RisHabits.name,
    notices="Dr. and Jr. have changed places (components 4 and 5 of (0010,0010) against PID-5)",
)
def prefix_suffix_swap(_: Callable[[list[str]], PersonName], components: list[str]) -> PersonName:
    """Copy XPN into PN by position."""
    return PersonName(*components[:5])


@quirk(
    "ha.lost_acked",
    defect="DEF-198",
    severity="S1",
    overrides=RisHabits.keeps,
    notices="the ward was told OK, and nobody expects the patient (AA without a worklist entry)",
)
def lost_acked(_: Callable[[Order], bool], order: Order) -> bool:
    """Acknowledge an order and forget it."""
    return not order.placer


@quirk(
    "order.dup_new_accession",
    defect="DEF-233",
    severity="S2",
    overrides=RisHabits.same_order,
    notices="an order sent twice stands on the worklist twice (two accession numbers for one placer number)",
)
def dup_new_accession(_: Callable[[Order, str], bool], known: Order, placer: str) -> bool:
    """Take every order for a new one."""
    return known.placer != placer


@quirk(
    "cancel.filler_not_told",
    defect="DEF-234",
    severity="S2",
    overrides=RisHabits.answers_cancel,
    notices="the ward never learns whether its cancellation worked (no CR or UC in the answer)",
)
def filler_not_told(_: Callable[[str], str], control: str) -> str:
    """Answer a cancellation with a bare acknowledgement."""
    return control[:0]


@quirk(
    "siu.duplicate_appointment",
    defect="DEF-235",
    severity="S2",
    overrides=RisHabits.rescheduled_id,
    notices="a moved exam stands on the old list and on the new one (two entries for one accession number)",
)
def duplicate_appointment(original: Callable[[ScheduledStep], str], step: ScheduledStep) -> str:
    """Make a new step when an exam moves, and leave the old one."""
    return f"{original(step)}M"


@quirk(
    "mpps.arrived_not_started",
    defect="DEF-016",
    severity="S3",
    overrides=RisHabits.step_event,
    notices="an exam under way is still waiting in the books (order never in progress or completed at the EHR)",
)
def arrived_not_started(original: Callable[[str], str], mpps_event: str) -> str:
    """Take IN PROGRESS for an arrival, so that the step is never started."""
    return "update" if mpps_event == "start" else original(mpps_event)


@quirk(
    "mpps.final_changes",
    defect="DEF-249",
    severity="S2",
    overrides=RisHabits.final,
    notices="an exam that was completed is completed again, with other images",
    needs="taps",
)
def final_changes(_: Callable[..., bool], _status: str) -> bool:
    """Take N-SET of a step that is over; seen as 0000 where 0110 belongs."""
    return False


@quirk(
    "mpps.creator_completes",
    defect="DEF-250",
    severity="S3",
    overrides=RisHabits.all_done,
    notices="an order is done after the first of its two steps (RAD-3 says CM too early)",
)
def creator_completes(_: Callable[[tuple[str, ...]], bool], statuses: tuple[str, ...]) -> bool:
    """Call an order done when anything of it is."""
    return "COMPLETED" in statuses


@quirk(
    "merge.leave_mwl",
    defect="DEF-025",
    severity="S1",
    overrides=RisHabits.moves_with_merge,
    notices="after a merge the exam is still listed for the duplicate record (worklist entry with the prior ID)",
)
def leave_mwl(_: Callable[[Order, str], bool], order: Order, prior: str) -> bool:
    """Leave scheduled exams where they are."""
    return order.patient != prior


@quirk(
    "report.wrong_accession",
    defect="DEF-147",
    severity="S1",
    overrides=RisHabits.reported_accession,
    notices="the report hangs at another exam (OBR-18 of ORU^R01 is not the order's accession number)",
)
def wrong_accession(original: Callable[[str], str], accession: str) -> str:
    """Send a report under the neighbouring accession number."""
    last = original(accession)[-1]
    return original(accession)[:-1] + str((int(last) + 1) % 10)


@quirk(
    "report.status_map",
    defect="DEF-264",
    severity="S3",
    overrides=RisHabits.result_letter,
    notices="a corrected report looks like the one it corrects (OBR-25 is F where the reader sent C)",
)
def status_map(original: Callable[[str], str], letter: str) -> str:
    """Call every signed report final."""
    return "F" if letter == "C" else original(letter)


@quirk(
    "hl7.no_unescape",
    defect="DEF-047",
    severity="S2",
    overrides=RisHabits.reported_text,
    notices="the report says \\T\\ where the radiologist wrote & (escape sequences shown as they are)",
)
def no_unescape(_: Callable[[str], str], text: str) -> str:
    """Take the written form of a text for the text."""
    return "\n".join(escape(line) for line in text.split("\n"))


@quirk(
    "id.change_joins",
    defect="DEF-075",
    severity="S1",
    overrides=RisHabits.refuses_taken,
    notices="two patients became one by a change of number (ADT^A47 onto another patient answered AA)",
)
def change_joins(_: Callable[[str], bool], patient: str) -> bool:
    """Take a change of identifier onto another patient for a merge."""
    return not patient


@quirk(
    "siu.lost",
    defect="not listed",
    severity="S2",
    overrides=RisHabits.notifies,
    notices="the ward never hears when the exam is, or that it moved (no SIU at the EHR)",
)
def siu_lost(_: Callable[[str], bool], trigger: str) -> bool:
    """Tell the ward of nothing but new appointments."""
    return trigger == "S12"


@quirk(
    "encounter.wrong_link",
    defect="DEF-216",
    severity="S2",
    overrides=RisHabits.visit,
    notices="images belong to another stay than the one they were ordered in ((0038,0010) is not PV1-19 of the order)",
)
def wrong_link(_: Callable[[str, Sequence[str]], str], ordered_in: str, of_patient: Sequence[str]) -> str:
    """Look the encounter up by the patient alone, and find another one."""
    return next((visit for visit in of_patient if visit != ordered_in), ordered_in)


@quirk(
    "mwl.held_visible",
    defect="DEF-259",
    severity="S3",
    overrides=RisHabits.withholds,
    notices="the scanner lists an exam that is on hold (C-FIND answers after HD)",
)
def held_visible(original: Callable[[str], bool], order_status: str) -> bool:
    """Go on offering what is on hold."""
    return order_status != "held" and original(order_status)


@quirk(
    "mwl.context_lost",
    defect="not listed",
    severity="S1",
    overrides=RisHabits.context,
    notices="the technologist gives iodine to somebody who is allergic ((0010,2110) empty although AL1 came)",
)
def context_lost(
    original: Callable[[ClinicalContext], ClinicalContext], known: ClinicalContext
) -> ClinicalContext:
    """Leave out what nobody asked for in the first version of the interface."""
    return replace(original(known), allergies=(), pregnancy="not pregnant" if known.pregnancy else "")


@quirk(
    "mpps.wrong_entry_lost",
    defect="not listed",
    severity="S2",
    overrides=RisHabits.gives_back,
    notices="the patient who is still waiting has left the worklist (no entry after 110514)",
)
def wrong_entry_lost(original: Callable[[str], bool], reason: str) -> bool:
    """Take an exam begun by mistake for one that was given up."""
    return not reason and original(reason)


@quirk(
    "accession.truncate16",
    defect="DEF-058",
    severity="S1",
    overrides=RisHabits.issued,
    notices="two exams have one accession number (what is longer than 16 characters cut in silence)",
)
def truncate16(original: Callable[[str], str], accession: str) -> str:
    """Cut an accession number to what SH holds."""
    return original(accession)[:16]


@quirk(
    "mwl.start_epoch",
    defect="DEF-236",
    severity="S3",
    overrides=RisHabits.begins,
    notices="an exam without a time is on the list of 1 January 1970, and on nobody's",
)
def start_epoch(_: Callable[[str], str], _start: str) -> str:
    """Begin with the clock of the machine when nobody said when."""
    return "19700101000000"


@quirk(
    "order.accession_ignored",
    defect="not listed",
    severity="S2",
    overrides=RisHabits.issued,
    notices="the exam has another number than the one it was ordered under ((0008,0050) is not IPC-1)",
)
def accession_ignored(original: Callable[[str], str], accession: str) -> str:
    """Number every exam anew."""
    return original(accession)[:0]


@quirk(
    "report.critical_lost",
    defect="DEF-148",
    severity="S1",
    overrides=RisHabits.flags,
    notices="nobody is called although the radiologist marked the result as critical (OBX-8 missing)",
)
def critical_lost(original: Callable[..., bool], *, critical: bool) -> bool:
    """Send every result as an ordinary one."""
    return original(critical=critical) and not critical


@quirk(
    "mdm.no_parent",
    defect="not listed",
    severity="S2",
    overrides=RisHabits.parent,
    notices="the chart cannot say which document the new one replaces (TXA-13 missing)",
)
def no_parent(original: Callable[[str], str], document: str) -> str:
    """Send every document as if it stood alone."""
    return original(document)[:0]


@quirk(
    "fhir.invalid_date",
    defect="DEF-144",
    severity="S3",
    overrides=RisHabits.refuses,
    notices="a patient is born on a day that does not exist (201 for birthDate 2000-15-31)",
)
def invalid_date(original: Callable[[list[Issue]], list[Issue]], issues: list[Issue]) -> list[Issue]:
    """Take dates that are none."""
    return [issue for issue in original(issues) if not issue.expression.endswith("Date")]


@quirk(
    "fhir.task_stuck",
    defect="not listed",
    severity="S2",
    overrides=RisHabits.task_state,
    notices="who ordered by FHIR never learns that the exam is done (Task.status stays accepted)",
)
def task_stuck(original: Callable[[str], str], status: str) -> str:
    """Never tell by Task that an exam has begun or ended."""
    return "scheduled" if status in {"in progress", "completed"} else original(status)


@quirk(
    "fhir.ignores_if_none_exist",
    defect="not listed",
    severity="S3",
    overrides=RisHabits.there_already,
    notices="the ward hears everything twice after it sent a request again (two subscriptions for one If-None-Exist)",
)
def ignores_if_none_exist(
    _: Callable[[list[Resource]], list[Resource]], matches: list[Resource]
) -> list[Resource]:
    """Make what is there already once more."""
    return matches[:0]


QUIRKS = {
    name: quirk
    for part in (quirks_reports, quirks_order, quirks_worklist, quirks_messages)
    for name, quirk in (collect(globals()) | collect(vars(part))).items()
}
