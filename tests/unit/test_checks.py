"""Checks: what they conclude from what they see, and that they conclude nothing from silence."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stepwedge.actors import asking, asking_web
from stepwedge.actors.witness import Asked
from stepwedge.checks.check import Question, checks, find
from stepwedge.errors import BadInput, Broken, Inconclusive, LinkLost, NoAnswer, Refused, RemoteProtocolError
from stepwedge.evidence.exchange import Exchange

sys.path.insert(0, str(Path(__file__).parent))
from small_case import MPPS, STUDY, SmallCase, cast

IMAGES = {
    "study": STUDY,
    "mpps": MPPS,
    "instances": [{"sop": "1.1", "pixels": "a"}, {"sop": "1.2", "pixels": "b"}],
}
STEP = {"ScheduledStationAETitle": "SW_CT1", "Modality": "CT"}
ENTRY = {"AccessionNumber": "A1", "PatientID": "SW1", "ScheduledProcedureStepSequence": [STEP]}


@dataclass
class View:
    exchanges: list = field(default_factory=list)
    id: str = "case"
    seed: int = 1


def look(name, *, the_cast=None, case=None, at="", from_="", through=(), where=None, is_=None, **args):
    question = Question(the_cast or cast(), case or View(), at, from_, through, where or {}, is_, args)
    return find(name).look(question)


def answering(monkeypatch, function, answers):
    """Let the probe get these answers: a list, or a list for each door, or an exception."""

    def asked(_cast, _actor, *rest):
        found = answers[rest[0]] if isinstance(answers, dict) else answers
        if isinstance(found, Exception):
            raise found
        return Asked(found, (7,))

    monkeypatch.setattr(asking if hasattr(asking, function) else asking_web, function, asked)


def knowing(**answers):
    """Return a cast whose simulated actors answer questions and acts from ``answers``."""

    class Knows:
        def ask(self, what, _args):
            return answers[what]

        def act(self, word, args, _case):
            found = answers[word]
            result = found[args["door"]] if isinstance(found, dict) and args.get("door") in found else found
            if isinstance(result, Exception):
                raise result
            return result

    found = cast()
    for player in found:
        player.admin = Knows()
    return found


# Every check


def test_every_check_says_what_it_shows():
    assert {check.name for check in checks()} == {
        "message.received",
        "message.answered",
        "query.exactly",
        "images.described",
        "object.refused",
        "object.names",
        "door.stands",
        "worklist.entry",
        "worklist.no_entry",
        "task.found",
        "order.status",
        "appointment.status",
        "access.granted",
        "access.one_patient",
        "launch.context",
        "access.refused",
        "sign_in.granted",
        "sign_in.refused",
        "token.introspected",
        "audit.chain",
        "audit.recorded",
        "availability.notified",
        "images.hidden",
        "study.found",
        "study.absent",
        "patient.found",
        "patient.absent",
        "images.intact",
        "images.say",
        "images.rendered",
        "frames.intact",
        "study.found_by_sound",
        "series.found_relationally",
        "report.received",
        "commitment.result",
        "door.refuses",
        "fhir.resource",
        "fhir.absent",
        "fhir.versions",
        "fhir.study_agrees",
        "fhir.refused",
        "result",
        "images.frames",
        "images.aligned",
        "pet.quantified",
        "dose.reported",
        "performed.step",
        "step.told_alike",
        "step.protocol",
        "relay.dead_letter",
        "relay.unresolved",
        "task.reported",
        "exam.unmatched",
        "exam.settled",
        "reading.display",
        "document.received",
        "result.acknowledged",
        "report.stored",
        "images.overtook",
        "images.arrived",
        "images.served",
        "patient.cross_reference",
        "patient.demographics",
        "patient.not_listed",
    }
    for check in checks():
        assert check.says
        assert not check.says.endswith(".")
        assert check.ihe or check.name == "result"
        assert check.ask.__doc__


def test_an_unknown_check_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match=r"worklist\.entry"):
        find("worklist.entri")


@pytest.mark.parametrize(
    ("name", "step", "words"),
    [
        ("worklist.entry", {"where": {"AccessionNumber": "x"}}, "needs from"),
        ("worklist.entry", {"from": "ris", "at": "ris"}, "takes no 'at'"),
        ("worklist.entry", {"from": "ris", "where": {"AccesionNumber": "x"}}, "AccessionNumber"),
        ("worklist.entry", {"from": "ris", "through": ["qido-rs"]}, "can be asked through nothing"),
        ("worklist.entry", {"from": "ris", "with": {"cuont": 1}}, "did you mean 'count'"),
        ("study.found", {"from": "pacs", "through": ["c-fnd"]}, "did you mean 'c-find'"),
        ("message.received", {"at": "pacs", "where": {"acession": "x"}}, "did you mean 'accession'"),
        ("message.received", {"at": "pacs", "is": {"OBX[0]-5": "x"}}, "no HL7 path"),
        ("message.received", {"at": "pacs", "is": {"control": {"oneof": ["CA"]}}}, "did you mean 'one_of'"),
        ("order.status", {"at": "ehr", "is": "completed"}, "needs order or placer"),
        ("images.intact", {"from": "pacs", "where": {"study": "1.2"}}, "needs images"),
        ("result", {"is": 1}, "needs of"),
        (
            "report.received",
            {"at": "ehr", "where": {"order": "$o"}, "is": {"state": "final"}},
            "none of status",
        ),
    ],
)
def test_a_step_that_can_never_work_is_said_when_the_file_is_checked(name, step, words):
    assert any(words in text for _, text in find(name).problems(step)), list(find(name).problems(step))


def test_a_good_step_has_no_problems():
    step = {
        "at": "pacs",
        "where": {"type": "ORM^O01", "OBX[2]-5.1": "$x"},
        "is": {"control": {"one_of": ["CA"]}},
    }
    assert list(find("message.received").problems(step)) == []


def test_doors_need_their_claims():
    assert find("study.found").needs() == ("c-find",)
    assert find("images.intact").needs(["c-get", "wado-rs"]) == ("c-get", "wado-rs")
    assert find("worklist.entry").needs() == ("mwl",)


WIRE = [
    ("worklist", "worklist.entry", "ris"),
    ("worklist", "worklist.no_entry", "ris"),
    ("studies", "study.found", "pacs"),
    ("studies", "study.absent", "pacs"),
    ("patients", "patient.found", "pacs"),
    ("patients", "patient.absent", "pacs"),
    ("tasks", "task.found", "pacs"),
]


@pytest.mark.parametrize(("function", "name", "actor"), WIRE)
@pytest.mark.parametrize(
    ("trouble", "fault"),
    [(LinkLost("x"), False), (NoAnswer("x"), False), (Refused("x"), True), (RemoteProtocolError("x"), True)],
)
def test_no_answer_is_never_true_and_never_proves_absence(monkeypatch, function, name, actor, trouble, fault):
    answering(monkeypatch, function, trouble)
    found = look(name, from_=actor, where={"PatientID": "SW1"})
    assert (found.holds, found.matched, found.unsure, found.peer_fault) == (False, [], "x", fault)


def test_our_own_trouble_is_not_the_system_under_test(monkeypatch):
    answering(monkeypatch, "worklist", Broken("no address"))
    with pytest.raises(Broken):
        look("worklist.entry", from_="ris")


# Worklist


def test_worklist_entry_reads_the_step_beside_the_entry(monkeypatch):
    answering(monkeypatch, "worklist", [ENTRY])
    found = look(
        "worklist.entry", from_="ris", where={"AccessionNumber": "A1"}, is_={"Modality": "CT"}, count=1
    )
    assert found.holds
    assert found.matched[0].value["ScheduledStationAETitle"] == "SW_CT1"
    assert found.evidence == [7]


@pytest.mark.parametrize(
    ("answers", "is_", "count", "words"),
    [
        ([], None, None, "none among 0"),
        ([ENTRY], {"Modality": "MR"}, None, "Modality: expected MR, found CT"),
        ([ENTRY, ENTRY], None, 1, "exactly 1"),
        ([ENTRY, {**ENTRY, "AccessionNumber": "A2"}], None, None, "A1, as it was asked for"),
    ],
)
def test_worklist_entry_differs(monkeypatch, answers, is_, count, words):
    answering(monkeypatch, "worklist", answers)
    args = {} if count is None else {"count": count}
    found = look("worklist.entry", from_="ris", where={"AccessionNumber": "A1"}, is_=is_, **args)
    assert not found.holds
    assert any(words in str(each) for each in found.differences), found.differences


def test_worklist_no_entry(monkeypatch):
    answering(monkeypatch, "worklist", [])
    assert look("worklist.no_entry", from_="ris", where={"AccessionNumber": "A1"}).holds
    answering(monkeypatch, "worklist", [ENTRY])
    found = look("worklist.no_entry", from_="ris", where={"AccessionNumber": "A1"})
    assert not found.holds
    assert found.matched == []


# Studies


def test_study_found_through_two_doors_that_agree(monkeypatch):
    study = {"StudyInstanceUID": "1.2", "AccessionNumber": "A1", "NumberOfStudyRelatedInstances": "3"}
    answering(
        monkeypatch,
        "studies",
        {"c-find": [study], "qido-rs": [{**study, "NumberOfStudyRelatedInstances": 3}]},
    )
    question = {"where": {"AccessionNumber": "A1"}, "is_": {"NumberOfStudyRelatedInstances": 3}}
    assert look("study.found", from_="pacs", through=("c-find", "qido-rs"), **question).holds


@pytest.mark.parametrize("second", [[], [{"StudyInstanceUID": "1.3", "AccessionNumber": "A1"}]])
def test_doors_that_disagree_are_a_difference(monkeypatch, second):
    study = {"StudyInstanceUID": "1.2", "AccessionNumber": "A1"}
    answering(monkeypatch, "studies", {"c-find": [study], "qido-rs": second})
    found = look("study.found", from_="pacs", through=("c-find", "qido-rs"), where={"AccessionNumber": "A1"})
    assert not found.holds
    assert any("the same answers" in str(each) for each in found.differences)


def test_a_task_must_be_there_as_expected_and_as_often(monkeypatch):
    task = {"SOPInstanceUID": "1.2", "StudyInstanceUID": "1.3", "ProcedureStepState": "IN PROGRESS"}
    answering(monkeypatch, "tasks", [task])
    question = {"from_": "pacs", "where": {"StudyInstanceUID": "1.3"}}
    assert look("task.found", **question, is_={"ProcedureStepState": "IN PROGRESS"}, count=1).holds
    assert not look("task.found", **question, is_={"ProcedureStepState": "SCHEDULED"}).holds
    assert not look("task.found", **question, count=2).holds
    answering(monkeypatch, "tasks", [task, {**task, "StudyInstanceUID": "1.4"}])  # answered what nobody asked
    assert not look("task.found", **question).holds
    answering(monkeypatch, "tasks", [])
    assert not look("task.found", **question).holds


def test_study_absent_asks_every_door(monkeypatch):
    study = {"StudyInstanceUID": "1.2", "PatientID": "SW1"}
    answering(monkeypatch, "studies", {"c-find": [], "qido-rs": [study]})
    assert look("study.absent", from_="pacs", where={"PatientID": "SW1"}).holds
    assert not look(
        "study.absent", from_="pacs", through=("c-find", "qido-rs"), where={"PatientID": "SW1"}
    ).holds


# Images


def back(*pairs):
    return {"instances": [{"sop": sop, "pixels": pixels} for sop, pixels in pairs]}


def test_images_intact():
    the_cast = knowing(
        retrieve={"c-move": back(("1.1", "a"), ("1.2", "b")), "c-get": back(("1.2", "b"), ("1.1", "a"))}
    )
    assert look(
        "images.intact",
        the_cast=the_cast,
        from_="pacs",
        through=("c-move", "c-get"),
        where={"images": IMAGES},
    ).holds


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (back(), "did not come back"),
        (back(("1.1", "a")), "image 1.2: expected comes back once, found did not come back"),
        (back(("1.1", "a"), ("1.2", "b"), ("1.2", "b")), "came 2 times"),
        (back(("1.1", "a"), ("1.2", "x")), "pixels"),
        (back(("1.1", "a"), ("1.2", "")), "found none"),
        (back(("1.1", "a"), ("1.2", "b"), ("1.3", "c")), "nothing that was not acquired"),
    ],
)
def test_images_not_intact(result, words):
    found = look("images.intact", the_cast=knowing(retrieve=result), from_="pacs", where={"images": IMAGES})
    assert not found.holds
    assert any(words in str(each) for each in found.differences), found.differences


@pytest.mark.parametrize("images", [{}, {"study": "1.2", "instances": []}, []])
def test_no_image_is_never_intact(images):
    found = look("images.intact", the_cast=knowing(retrieve=back()), from_="pacs", where={"images": images})
    assert not found.holds
    assert found.unsure


def test_a_retrieval_nobody_can_judge_is_unsure():
    found = look(
        "images.intact",
        the_cast=knowing(retrieve=Inconclusive("gone")),
        from_="pacs",
        where={"images": IMAGES},
    )
    assert (found.holds, found.unsure) == (False, "gone")


# Order, report, commitment, result


def test_order_status():
    the_cast = knowing(order={"status": "completed", "accession": "A1"})
    where = {"order": {"placer": "P1"}}
    assert look("order.status", the_cast=the_cast, at="ehr", where=where, is_="completed").holds
    assert look("order.status", the_cast=the_cast, at="ehr", where=where, is_={"accession": "A1"}).holds
    found = look("order.status", the_cast=the_cast, at="ehr", where=where, is_={"one_of": ["cancelled"]})
    assert [str(each) for each in found.differences] == ["status: expected one of cancelled, found completed"]


@pytest.mark.parametrize("known", [{}, {"status": ""}])
def test_a_missing_status_is_unsure(known):
    found = look(
        "order.status", the_cast=knowing(order=known), at="ehr", where={"placer": "P1"}, is_="completed"
    )
    assert found.unsure
    assert not found.holds


def test_appointment_status():
    booked = {"status": "booked", "start": "20261124100000", "count": 1}
    where = {"order": {"placer": "P1"}}

    def seen(is_, **changes):
        the_cast = knowing(appointment={**booked, **changes})
        return look("appointment.status", the_cast=the_cast, at="ehr", where=where, is_=is_)

    assert seen("booked").holds
    assert seen({"start": "20261124100000", "status": {"one_of": ["booked"]}}).holds
    assert not seen("booked", status="cancelled").holds
    assert not seen({"start": "20261125100000"}).holds
    assert [str(each) for each in seen("booked", count=2).differences] == [
        "appointments: expected one for order P1, found 2"
    ]
    nothing = look("appointment.status", the_cast=knowing(appointment={}), at="ehr", where=where)
    assert not nothing.holds


def test_report_received():
    report = {"status": "final", "text": "No nodule.", "versions": [{"text": "No nodule."}]}
    where = {"order": {"accession": "A1"}}
    the_cast = knowing(report=report)
    assert look("report.received", the_cast=the_cast, at="ehr", where=where, is_={"status": "final"}).holds
    assert look("report.received", the_cast=the_cast, at="ehr", where=where).holds
    assert not look("report.received", the_cast=the_cast, at="ehr", where=where, is_={"text": "other"}).holds
    assert not look("report.received", the_cast=knowing(report={}), at="ehr", where=where).holds
    assert not look(
        "report.received", the_cast=knowing(report={"status": "final"}), at="ehr", where=where
    ).holds


COMMITTED = {"transaction": "1.9", "committed": ["1.1", "1.2"], "failed": [], "arrived": "new"}


def test_commitment_of_every_image():
    where = {"of": COMMITTED, "images": IMAGES}
    assert look("commitment.result", where=where).holds
    assert look("commitment.result", where=where, is_={"arrived": "new"}).holds
    assert not look("commitment.result", where=where, is_={"arrived": "same"}).holds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"committed": ["1.1"]}, "image 1.2: expected committed, found not named"),
        ({"committed": ["1.1"], "failed": [{"sop": "1.2", "reason": "0112"}]}, "failed, reason 0112"),
        ({"committed": ["1.1", "1.2", "1.3"]}, "nobody asked for it"),
        ({"committed": ["1.1", "1.2", "1.2"]}, "2 times"),
    ],
)
def test_commitment_differs(change, words):
    found = look("commitment.result", where={"of": {**COMMITTED, **change}, "images": IMAGES})
    assert not found.holds
    assert any(words in str(each) for each in found.differences)


@pytest.mark.parametrize("given", [{}, None, {"committed": [], "failed": []}])
def test_a_commitment_of_nothing_is_unsure(given):
    assert look("commitment.result", where={"of": given, "images": IMAGES}).unsure


def test_commitment_without_acquired_images_is_unsure():
    assert look("commitment.result", where={"of": COMMITTED, "images": {"instances": []}}).unsure


def test_result():
    assert look("result", where={"of": {"stored": 3}}, is_={"stored": 3}).holds
    assert look("result", where={"of": "CR"}).holds
    assert not look("result", where={"of": {}}).holds
    assert not look("result", where={"of": ""}, is_="CR").holds


# Messages


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_names_hold_across_versions(version):
    view = View(arrived(SmallCase(version)))
    where = {"type": {"one_of": ["ORM^O01", "OMI^O23"]}, "accession": "SW1234"}
    told = {
        "control": "NW",
        "status": "SC",
        "patient": "SW00000001",
        "name": "MÜLLER^ZOË",
        "study": STUDY,
        "step": "STEP1",
        "requested": "RP1",
        "protocol": "CTCHEST1",
        "procedure": "CTCHEST",
        "modality": "CT",
        "station": "SW_CT1",
        "start": "20261124100000",
        "priority": "S",
        "version": version,
        "PID-5.1": "MÜLLER",
    }
    found = look("message.received", case=view, at="pacs", where=where, is_=told)
    assert found.holds, found.differences


def arrived(case):
    """Return the exchanges as their receivers saw them."""
    from dataclasses import replace

    return [replace(one, actor=one.peer, peer=one.actor, direction="in") for one in case.exchanges]


def test_the_closest_message_is_named():
    view = View(arrived(SmallCase()))
    found = look(
        "message.received", case=view, at="pacs", where={"accession": "SW1234"}, is_={"control": "CA"}
    )
    assert not found.holds
    assert found.closest == "#0004 OMI^O23: control = NW"
    assert found.matched == []


def test_a_message_at_another_actor_does_not_count():
    view = View(arrived(SmallCase()))
    assert look("message.received", case=view, at="ehr", where={"type": "ORU^R01"}, count=1).holds
    assert not look("message.received", case=view, at="ehr", where={"type": "ORU^R01"}, count=2).holds
    assert not look("message.received", case=view, at="pacs", where={"type": "ORU^R01"}).holds
    assert not look("message.received", case=View(), at="pacs").holds


def stored(sop, pixels="a", outcome="0000", actor="pacs"):
    facts = {"sop": sop, "dataset": {"pixels": pixels}}
    return Exchange(0, 1.0, 0.1, actor, "in", "dimse", "C-STORE", "ct", outcome, {}, facts)


@pytest.mark.parametrize(
    ("came", "found"),
    [
        ([stored("1.1"), stored("1.2", "b")], {}),
        ([stored("1.1", outcome="A700"), stored("1.1"), stored("1.2", "b")], {}),
        ([stored("1.1")], {"image 1.2": "not sent"}),
        ([stored("1.1"), stored("1.2", "c")], {"image 1.2": "other pixels"}),
        ([stored("1.1", outcome="lost"), stored("1.2", "b")], {"image 1.1": "answered lost"}),
        (
            [stored("1.1", actor="vault"), stored("1.2", "b", "A700")],
            {"image 1.1": "not sent", "image 1.2": "answered A700"},
        ),
    ],
)
def test_images_that_arrive(came, found):
    seen = look("images.arrived", case=View(came), at="pacs", where={"images": IMAGES})
    assert {one.path: one.found for one in seen.differences} == found
    assert seen.holds == (not found)


def test_images_that_nobody_could_read_on_their_way_prove_nothing():
    came = [stored("1.1", ""), stored("1.2", "b")]
    seen = look("images.arrived", case=View(came), at="pacs", where={"images": IMAGES})
    assert "too long" in seen.unsure
    assert look("images.arrived", at="pacs", where={"images": {}}).unsure


def test_what_a_tap_can_show_is_what_the_journal_is_asked_for():
    assert {one.name for one in checks() if one.tapped} == {
        one.name for one in checks() if one.observes == "journal"
    }
