"""Standing rules: silent on a case that conforms, red on each defect, and for its own reason."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stepwedge.checks.rules import judge, rules
from stepwedge.errors import LinkLost, Refused
from stepwedge.evidence.exchange import NOTHING, Payload
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.messages import patient_message

sys.path.insert(0, str(Path(__file__).parent))
from small_case import MPPS, SOPS, STUDY, SmallCase, cast

IDS = ["INV-1", "INV-2", "INV-3", "INV-4", "INV-5", "INV-6", "INV-7", "INV-8", "INV-9", "INV-11", "INV-12"]
RELAYS = ["INV-12.1", "INV-12.2", "INV-12.3"]
"""Reached only where an interface engine stands between: see test_relay_rule.py."""
TRAILS = ["INV-10.1", "INV-10.2", "INV-10.3", "INV-13.1"]
"""Reached only where there is an audit record repository, or a log."""
NOTICES = ["INV-20"]
"""Reached only where an archive tells how available studies are: see test_availability_rule.py."""
DOSES = ["INV-5.1"]
"""Reached only where a dose report was stored: see test_object_checks.py."""


def findings(case):
    return {rule.id: finding for rule, finding in judge(case.facts())}


def red(case):
    return {name for name, finding in findings(case).items() if finding.differences}


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_a_conforming_case_is_green_and_every_rule_is_reached(version):
    found = findings(SmallCase(version))
    assert {
        name: [str(one) for one in each.differences] for name, each in found.items() if each.differences
    } == {}
    assert {name for name, each in found.items() if each.verdict == "passed"} == set(IDS)


def test_every_rule_says_what_it_wants_and_who_demands_it():
    every = [*IDS, *RELAYS, *TRAILS, *NOTICES, *DOSES]
    assert [rule.id for rule in rules()] == sorted(
        every, key=lambda one: [int(part) for part in one[4:].split(".")]
    )
    assert all(rule.says and rule.source and not rule.says.endswith(".") for rule in rules())


def header(case, **changes):
    case.shown.images[0].header.update(changes)


def entry_seen(case):
    return case.find("C-FIND").facts["answers"][0]


def offer_again(case):
    case.shown.entries = [case.entry()]


def second_entry(case):
    case.shown.order_ = {"status": "scheduled"}
    for kind in ("N-CREATE", "N-SET"):
        case.exchanges.remove(case.find(kind))
    case.exchanges = [
        one for one in case.exchanges if b"|IP|" not in one.request.data and b"|CM|" not in one.request.data
    ]
    case.shown.entries = [case.entry(), case.entry()]


def drop_image(case):
    del case.shown.images[1]


def merged(case, *, moved):
    survivor = Patient("SW00000002", PersonName("MÜLLER", "ZOË"), "19800101", "F")
    for to in ("ris", "pacs"):
        raw = patient_message("A40", survivor, case.envelope("ehr", to), prior="SW00000001")
        case.hl7("ehr", to, raw)
    if moved:
        for shown in (*case.shown.studies_, *(image.header for image in case.shown.images)):
            shown["PatientID"] = "SW00000002"


def refuse(case):
    one = case.exchanges[1]
    raw = one.response.data.replace(b"MSA|AA|", b"MSA|AE|")
    case.exchanges[1] = replace(one, outcome="AE", response=replace(one.response, data=raw))


def same_control(case):
    one = case.find("OMG^O19", 1)
    other = one.request.data.replace(b"CT chest", b"CT head")
    case.exchanges.append(replace(one, number=99, at=99, request=replace(one.request, data=other)))


def second_answer(case):
    one = case.find("OMG^O19")
    late = one.keys["control"]
    case.exchanges[-1] = replace(case.exchanges[-1], facts={"late": late})


def told_twice(case):
    one = case.find("OMI^O23")
    case.hl7("ris", "pacs", one.request.data.replace(b"|C4|", b"|C77|"))


def asked_for_one(case):
    case.find("C-FIND").facts["identifier"] = {
        "ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "SW_CT2"}]
    }


DEFECTS = {
    # name: (what is wrong, the rules that must say so)
    "worklist under another number": (lambda c: entry_seen(c).update(PatientID="SW00000009"), {"INV-1"}),
    "worklist without a number": (lambda c: entry_seen(c).update(PatientID=""), {"INV-1"}),
    "image under another number": (lambda c: header(c, PatientID="sw00000001"), {"INV-1"}),
    "another issuer": (lambda c: header(c, IssuerOfPatientID="ELSEWHERE"), {"INV-1"}),
    "report for another patient": (
        lambda c: c.rewrite(c.find("ORU^R01", 1), "SW00000001", "SW00000003"),
        {"INV-1"},
    ),
    "merge left the archive behind": (lambda c: merged(c, moved=False), {"INV-1"}),
    "accents gone": (lambda c: entry_seen(c).update(PatientName="MULLER^ZOE"), {"INV-2"}),
    "name parts swapped": (lambda c: entry_seen(c).update(PatientName="ZOË^MÜLLER"), {"INV-2"}),
    "birth date changed": (lambda c: header(c, PatientBirthDate="19800102"), {"INV-2"}),
    "sex lost": (lambda c: header(c, PatientSex=""), {"INV-2"}),
    "invented character set": (lambda c: entry_seen(c).update(SpecificCharacterSet="ISO IR 100"), {"INV-2"}),
    "accession lost in the image": (lambda c: header(c, AccessionNumber=""), {"INV-3"}),
    "accession cut in the worklist": (lambda c: entry_seen(c).update(AccessionNumber="SW123"), {"INV-3"}),
    "report with another filler number": (
        lambda c: c.rewrite(c.find("ORU^R01", 1), "|P1|F1|", "|P1|F2|"),
        {"INV-3"},
    ),
    "worklist of another stay": (lambda c: entry_seen(c).update(AdmissionID="V2"), {"INV-3"}),
    "worklist without its stay": (lambda c: entry_seen(c).update(AdmissionID=""), {"INV-3"}),
    "image of another stay": (lambda c: header(c, AdmissionID="V2"), {"INV-3"}),
    "report of another stay": (lambda c: c.rewrite(c.find("ORU^R01", 1), "|V1^", "|V2^"), {"INV-3"}),
    "appointment lost": (lambda c: c.shown.appointment_.clear(), {"INV-8"}),
    "appointment twice": (lambda c: c.shown.appointment_.update(count=2), {"INV-8"}),
    "appointment at another time": (
        lambda c: c.shown.appointment_.update(start="20261125100000"),
        {"INV-8"},
    ),
    "appointment cancelled, exam not": (
        lambda c: c.shown.appointment_.update(status="cancelled"),
        {"INV-8"},
    ),
    "appointment for another patient": (
        lambda c: c.rewrite(c.find("SIU^S12"), "SW00000001", "SW00000003"),
        {"INV-1"},
    ),
    "scanner makes its own study": (lambda c: header(c, StudyInstanceUID="2.25.7"), {"INV-4"}),
    "priority lost": (lambda c: entry_seen(c).update(RequestedProcedurePriority="ROUTINE"), {"INV-5"}),
    "alert lost": (lambda c: entry_seen(c).update(MedicalAlerts=""), {"INV-5"}),
    "protocol lost": (
        lambda c: entry_seen(c)["ScheduledProcedureStepSequence"][0].update(ScheduledProtocolCodeSequence=[]),
        {"INV-5"},
    ),
    "another modality": (
        lambda c: entry_seen(c)["ScheduledProcedureStepSequence"][0].update(Modality="MR"),
        {"INV-5"},
    ),
    "request attributes gone": (lambda c: header(c, RequestAttributesSequence=[]), {"INV-5", "INV-7"}),
    "image lost": (drop_image, {"INV-6", "INV-7"}),
    "image doubled": (lambda c: c.shown.images.append(c.shown.images[0]), {"INV-6", "INV-7"}),
    "wrong count": (lambda c: c.shown.studies_[0].update(NumberOfStudyRelatedInstances=3), {"INV-6"}),
    "performed step lists too few": (
        lambda c: (
            c.find("N-SET").facts["identifier"]["PerformedSeriesSequence"][0]["ReferencedImageSequence"].pop()
        ),
        {"INV-6"},
    ),
    "commitment refused for what was stored": (
        lambda c: (
            c.find("commit")
            .facts["result"]
            .update(committed=SOPS[:1], failed=[{"sop": SOPS[1], "reason": "0112"}])
        ),
        {"INV-6"},
    ),
    "committed what was never stored": (
        lambda c: c.find("store_images").facts["result"]["sent"][1].update(status="A700"),
        {"INV-6", "INV-7"},
    ),
    "pixel changed": (
        lambda c: c.shown.images.__setitem__(0, replace(c.shown.images[0], pixels="other")),
        {"INV-7"},
    ),
    "decimal rewritten": (lambda c: header(c, SliceThickness="1.5"), {"INV-7"}),
    "attribute dropped": (lambda c: c.shown.images[0].header.pop("SliceThickness"), {"INV-7"}),
    "still on the worklist": (offer_again, {"INV-8"}),
    "on the worklist twice": (second_entry, {"INV-8"}),
    "ward never told": (lambda c: c.shown.order_.update(status="in progress"), {"INV-8"}),
    "order goes backwards": (lambda c: c.status(c.known, "SC"), {"INV-8"}),
    "performed step changed after its end": (
        lambda c: c.dimse(
            "ct", "ris", "N-SET", sop=MPPS, identifier={"PerformedProcedureStepStatus": "IN PROGRESS"}
        ),
        {"INV-8"},
    ),
    "study gone": (lambda c: c.shown.studies_.clear(), {"INV-8"}),
    "answer of another message": (
        lambda c: c.exchanges.__setitem__(0, replace(c.exchanges[0], response=c.exchanges[1].response)),
        {"INV-9"},
    ),
    "no answer at all": (
        lambda c: c.exchanges.__setitem__(0, replace(c.exchanges[0], response=NOTHING)),
        {"INV-9"},
    ),
    "control ID used for two messages": (
        lambda c: c.rewrite(c.find("ADT^A04", 1), "|C2|", "|C1|"),
        {"INV-9"},
    ),
    "two answers to one message": (second_answer, {"INV-9"}),
    "archive never told of the order": (lambda c: c.exchanges.remove(c.find("OMI^O23")), {"INV-12"}),
    "archive told twice": (told_twice, {"INV-12"}),
    "report not readable on the ward": (lambda c: c.shown.report_.clear(), {"INV-12"}),
    "report cut on the ward": (lambda c: c.shown.report_.update(text="No nod"), {"INV-12"}),
    "series counted wrongly": (lambda c: c.shown.studies_[0].update(NumberOfStudyRelatedSeries=2), {"INV-6"}),
    "worklist of another scanner": (asked_for_one, {"INV-11"}),
    "study of nobody": (
        lambda c: c.shown.studies_.append(
            {**c.shown.studies_[0], "StudyInstanceUID": "2.25.8", "AccessionNumber": ""}
        ),
        {"INV-11"},
    ),
    "image of nobody": (
        lambda c: (
            c.find("C-STORE")
            .facts["dataset"]["header"]
            .update(StudyInstanceUID="2.25.8", AccessionNumber="X")
        ),
        {"INV-11"},
    ),
    "refused without a reason": (refuse, {"INV-12"}),
    "report not passed on": (lambda c: c.exchanges.remove(c.find("ORU^R01", 1)), {"INV-12"}),
    "report passed on twice": (lambda c: c.report("ris", "ehr", "F"), {"INV-12"}),
    "report passed on with another status": (
        lambda c: c.rewrite(c.find("ORU^R01", 1), "|||F\r", "|||C\r"),
        {"INV-12"},
    ),
    "observation passed on with another status": (
        lambda c: c.rewrite(c.find("ORU^R01", 1), "|||F|", "|||C|"),
        {"INV-12"},
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_turns_its_rules_red(name):
    bend, expected = DEFECTS[name]
    case = SmallCase()
    bend(case)
    found = red(case)
    assert expected <= found, (expected, found)


def test_a_merge_that_was_followed_is_green():
    case = SmallCase()
    merged(case, moved=True)
    assert red(case) == set()


def test_an_archive_that_claims_no_merges_may_keep_the_prior_number():
    case = SmallCase()
    case.cast.claims = frozenset({"c-find", "qido-rs", "wado-rs"})
    merged(case, moved=False)
    assert red(case) == set()


@pytest.mark.parametrize(("patient", "expected"), [("", set()), ("SOMEBODY", {"INV-11"})])
def test_an_exam_typed_in_by_hand_needs_no_order_but_its_own_patient(patient, expected):
    case = SmallCase()
    known = case.find("C-STORE").facts["dataset"]["header"]["PatientID"]
    case.act("ct", "enter_exam", {"study": "2.25.8", "patient": patient or known, "uid": "2.25.9"})
    case.dimse(
        "ct", "ris", "N-CREATE", sop="2.25.9",
        identifier={
            "PatientID": known, "PerformedProcedureStepStatus": "IN PROGRESS",
            "ScheduledStepAttributesSequence": [{"StudyInstanceUID": "2.25.8", "AccessionNumber": ""}],
        },
    )  # fmt: skip
    assert ("INV-11" in red(case)) == bool(expected)


def test_both_observers_of_one_exchange_count_once():
    case = SmallCase()
    before = {name: finding.reached for name, finding in findings(case).items()}
    for one in list(case.exchanges):
        if one.protocol != "act":
            case.exchanges.append(
                replace(one, actor=one.peer, peer=one.actor, direction="in", number=one.number + 100)
            )
    after = findings(case)
    assert {name: finding.reached for name, finding in after.items()} == before
    assert red(case) == set()


def test_nothing_seen_is_not_reached_and_never_passed():
    case = SmallCase()
    case.exchanges.clear()
    assert {finding.verdict for finding in findings(case).values()} == {"skipped"}


@pytest.mark.parametrize(
    ("trouble", "verdict"), [(LinkLost("gone"), "inconclusive"), (Refused("no"), "failed")]
)
def test_trouble_while_reading_back_is_never_a_pass(trouble, verdict):
    case = SmallCase()

    def raising(*_):
        raise trouble

    case.shown.studies = raising
    case.shown.worklist = raising
    found = findings(case)
    for name in ("INV-1", "INV-6", "INV-8", "INV-11"):
        assert found[name].verdict == verdict


def test_a_lost_answer_that_was_never_repeated_is_inconclusive():
    case = SmallCase()
    case.exchanges[0] = replace(case.exchanges[0], outcome="lost", response=NOTHING)
    found = findings(case)["INV-12"]
    assert found.verdict == "inconclusive"
    case.exchanges.append(replace(SmallCase().exchanges[0], number=99, at=99))
    assert findings(case)["INV-12"].verdict == "passed"


def test_cancelled_orders_leave_the_worklist_and_say_so():
    case = SmallCase()
    case.shown.order_ = {"status": "scheduled"}
    case.exchanges = [
        one
        for one in case.exchanges
        if one.kind not in {"N-CREATE", "N-SET"} and b"|IP|" not in one.request.data
    ]
    case.exchanges = [one for one in case.exchanges if b"|CM|" not in one.request.data]
    case.shown.entries = [case.entry()]
    assert red(case) == set()
    case.hl7(
        "ris",
        "pacs",
        case.find("OMI^O23").request.data.replace(b"ORC|NW", b"ORC|CA").replace(b"|C4|", b"|C99|"),
    )
    assert red(case) == {"INV-8"}
    case.shown.order_, case.shown.entries = {"status": "cancelled"}, []
    assert red(case) == {"INV-8"}  # the ward still expects the patient
    case.shown.appointment_["status"] = "cancelled"
    assert red(case) == set()


def test_cast_of_the_small_case_is_the_shipped_one():
    assert {player.role for player in cast()} == {"ehr", "ris", "pacs", "modality", "reader"}
    assert STUDY in {one["StudyInstanceUID"] for one in SmallCase().shown.studies_}


def strange_answer(case):
    """Let an order be answered as if it were another message."""
    exchange = case.find("OMG^O19")
    control = exchange.keys["control"][0]
    answer = exchange.response.data.replace(f"|{control}".encode(), b"|X1")
    case.exchanges[case.exchanges.index(exchange)] = replace(exchange, response=Payload.of(answer))
    return control


def test_what_a_fault_made_up_blames_nobody():
    case = SmallCase("2.5.1")
    control = strange_answer(case)
    assert red(case) == {"INV-9"}
    facts = replace(case.facts(), forged=frozenset({control}))
    assert {rule.id for rule, finding in judge(facts) if finding.differences} == set()
    facts = replace(case.facts(), forged=frozenset({"another"}))
    assert {rule.id for rule, finding in judge(facts) if finding.differences} == {"INV-9"}


def test_a_commitment_and_a_patient_that_a_fault_made_up_blame_nobody():
    case = SmallCase("2.5.1")
    act = next(one for one in case.exchanges if one.kind == "commit")
    sop = act.facts["result"]["committed"][0]
    act.facts["result"] |= {"committed": [], "failed": [{"sop": sop, "reason": "0112"}]}
    assert red(case) == {"INV-6"}
    facts = replace(case.facts(), forged=frozenset({act.facts["result"]["transaction"]}))
    assert {rule.id for rule, finding in judge(facts) if finding.differences} == set()
