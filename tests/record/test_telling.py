"""What becomes a step, what is expected of it, and what is left for somebody to decide; every draft passes the check."""

from __future__ import annotations

import itertools
import re

import pytest

from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.lab import checking
from stepwedge.lab.recording.drafts import write
from stepwedge.sim import keys
from stepwedge.sim.tap.tap import Edge
from stepwedge.wire import hl7
from stepwedge.wire.services import MPPS, WORKLIST
from tests.record.canaries import ROLES

CT = "1.2.840.10008.5.1.4.1.1.2"


class Day:
    """What is heard, one exchange after the other, and the drafts of it."""

    def __init__(self, recording, folder):
        self.recording, self.folder = recording, folder
        self._clock = itertools.count(1)

    def message(self, on, kind, *segments, outcome="AA"):
        head = f"MSH|^~\\&|A||B||2026||{kind}|C{next(self._clock)}|P|2.5.1"
        raw = "\r".join((head, *segments, "")).encode()
        message = hl7.parse(raw)
        self._hear(on, "hl7", message.type, outcome, keys.of_message(message), {}, raw)

    def dimse(self, on, kind, asked, *, sop_class=CT, sop="", answers=(), outcome="0000"):
        facts = {"sop_class": sop_class, "identifier": asked, "answers": list(answers)}
        self._hear(on, "dimse", kind, outcome, keys.of_dimse(sop_class, sop, [asked, *answers]), facts)

    def _hear(self, on, protocol, kind, outcome, found, facts, raw=b""):
        caller, _, callee = on.partition("->")
        at = float(next(self._clock))
        exchange = Exchange(
            0, at, 0.1, callee, "in", protocol, kind, caller, outcome, found, facts, Payload.of(raw)
        )
        self.recording.hear(exchange, Edge(caller, callee, "hl7" if protocol == "hl7" else "dicom"))

    def ordered(self, patient, number):
        self.message("ehr->ris", "ADT^A04", f"PID|||{patient}^^^KIS||DOE^JANE||19700101|F")
        self.message(
            "ehr->ris", "OMG^O19", f"PID|||{patient}", f"ORC|NW|P{number}", f"OBR|1|P{number}||CTCHEST"
        )
        booked = (
            f"ORC|SC|P{number}|F{number}||SC",
            f"OBR|1|P{number}|F{number}|CTCHEST||||||||||||||A{number}",
        )
        self.message("ris->ehr", "OMG^O19", f"PID|||{patient}", *booked)

    def entry(self, patient, number):
        numbers = {"AccessionNumber": f"A{number}", "PlacerOrderNumberImagingServiceRequest": f"P{number}"}
        return {"PatientID": patient, "StudyInstanceUID": f"1.2.{number}", **numbers}

    def drafts(self):
        """Return the text of each draft; all of them pass the check, and the lines named in the head are those to decide."""
        written = write(self.recording, ROLES, self.folder / "day")
        assert not self.recording.unread
        problems = checking.check([path for path, _ in written], None) if written else []
        assert [str(one) for one in problems if not one.warning] == []
        texts = []
        for path, draft in written:
            lines = path.read_text(encoding="utf-8").splitlines()
            named = [int(line) for line in re.findall(r"^#   line (\d+): ", "\n".join(lines), re.MULTILINE)]
            assert named == [number for number, line in enumerate(lines, 1) if line.startswith("  # DECIDE")]
            assert len(named) == len(draft.decisions)
            texts.append("\n".join(lines))
        return texts


@pytest.fixture
def day(recording, tmp_path):
    return Day(recording, tmp_path)


def test_a_worklist_of_many_patients_makes_no_case_of_them_and_belongs_to_each(day):
    day.ordered("4711", 1)
    day.ordered("4712", 2)
    asked = {"Modality": "CT", "PatientID": "", "AccessionNumber": ""}
    answers = [day.entry("4711", 1), day.entry("4712", 2), day.entry("4713", 3)]
    day.dimse("ct->ris", "C-FIND", asked, sop_class=WORKLIST, answers=answers)
    day.dimse("ct->ris", "C-FIND", asked, sop_class=WORKLIST, answers=answers)  # consoles ask again and again
    drafts = day.drafts()
    assert len(drafts) == 2
    for text in drafts:
        assert text.count("ct.fetch_worklist") == 1
        assert "{expect: result, where: {of: $worklist.count}, is: 1, ihe: RAD-5}" in text


def test_what_is_not_on_the_worklist_any_more_is_expected_not_to_be(day):
    day.ordered("4711", 1)
    day.dimse(
        "ct->ris", "C-FIND", {"AccessionNumber": "A1"}, sop_class=WORKLIST, answers=[day.entry("4711", 1)]
    )
    day.message("ehr->ris", "OMG^O19", "PID|||4711", "ORC|CA|P1", "OBR|1|P1||CTCHEST")
    day.message(
        "ris->ehr", "OMG^O19", "PID|||4711", "ORC|SC|P1|F1||CA", "OBR|1|P1|F1|CTCHEST||||||||||||||A1"
    )
    day.dimse("ct->ris", "C-FIND", {"AccessionNumber": "A1"}, sop_class=WORKLIST)
    (text,) = day.drafts()
    assert "{do: ehr.cancel_order" in text
    assert "status: CA" in text
    assert "{of: $worklist2.count}, is: 0" in text


def test_what_a_department_does_by_itself_is_left_to_decide(day):
    day.ordered("4711", 1)
    day.message(
        "ris->pacs", "OMI^O23", "PID|||4711", "ORC|XO|P1|F1||SC", "OBR|1|P1|F1|CTCHEST||||||||||||||A1"
    )
    day.message("ehr->ris", "ADT^A02", "PID|||4711^^^KIS")
    day.message("ehr->ris", "ADT^A04", "PID|||4799^^^KIS||X^Y", outcome="AE")
    text = "\n".join(day.drafts())
    assert "# DECIDE: what OMI^O23 ris->pacs, answered AA means here\n  #   MSH|" in text
    assert "# DECIDE: what ADT^A02 ehr->ris" in text
    assert "# DECIDE: whether ris should have taken it: ADT^A04 ehr->ris, answered AE" in text
    assert "control: XO" not in text


def test_images_that_were_refused_are_left_to_decide(day):
    day.ordered("4711", 1)
    step = {**day.entry("4711", 1), "ScheduledStepAttributesSequence": [day.entry("4711", 1)]}
    day.dimse("ct->ris", "N-CREATE", step, sop_class=MPPS, sop="1.2.9")
    for number, outcome in enumerate(("0000", "A700")):
        header = {**day.entry("4711", 1), "Modality": "US"}
        day.dimse("ct->pacs", "C-STORE", header, sop=f"1.2.1.{number}", outcome=outcome)
    (text,) = day.drafts()
    assert "# not recorded: the scanner was not heard to ask for its worklist" in text
    assert "{do: ct.acquire, with: {mpps: $mpps, images: 2}, as: images}" in text
    assert "# DECIDE: why 1 of 2 images were not taken" in text


def test_a_report_alone_is_signed_by_somebody(day):
    report = (
        "ORC|RE|P1|F1",
        "OBR|1|P1|F1|CTCHEST||||||||||||||A1|||||||F",
        "OBX|1|TX|||Mrs Doe is well||||||F",
    )
    day.message("ris->ehr", "ORU^R01", "PID|||4711^^^KIS||DOE^JANE", *report)
    (text,) = day.drafts()
    assert "Doe" not in text.split("steps:")[1]
    day_of = [
        text.index(word)
        for word in ("given: ehr.register_patient", "given: ehr.place_order", "given: reader.sign_report")
    ]
    assert day_of == sorted(day_of)
    assert (
        "{expect: report.received, at: ehr, where: {order: $order}, is: {status: final}, ihe: RAD-128}"
        in text
    )


def test_what_belongs_to_nobody_is_listed_beside_the_drafts(day):
    day.message("ehr->ris", "ADT^A31", "PID|||4711^^^KIS")
    assert day.drafts() == []
    assert "- ADT^A31 ehr->ris, answered AA, 1 times" in (day.folder / "day" / "recorded.md").read_text()
