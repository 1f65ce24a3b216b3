"""Checks of frames, alignment, PET quantities and dose: right objects hold, each wrong one is named."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from stepwedge.actors import asking
from stepwedge.actors.asking import Retrieved
from stepwedge.checks import dose, pet
from stepwedge.checks.check import Question, find
from stepwedge.checks.frames import whole
from stepwedge.checks.performed import REASON
from stepwedge.checks.rules.dose import same_dose
from stepwedge.errors import NoAnswer
from stepwedge.sim import phantoms, structured

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def header(name, number=1):
    made = phantoms.image(phantoms.recipe(name), number, AT)
    del made["PixelData"]
    return made | {"PatientWeight": "62", "FrameOfReferenceUID": "2.25.7", "SOPInstanceUID": f"2.25.{number}"}


def told(count=1, frames=1, study="2.25.1"):
    instances = [{"sop": f"2.25.{number}", "pixels": "", "frames": frames} for number in range(1, count + 1)]
    return {"study": study, "instances": instances}


def looked(monkeypatch, name, objects, images):
    """Let one check look at an archive that hands these headers over."""
    held = [Retrieved(one["SOPInstanceUID"], one, "") for one in objects]
    monkeypatch.setattr(asking, "retrieve", lambda *_: held)
    return find(name).look(
        Question(None, SimpleNamespace(exchanges=()), from_="pacs", where={"images": images})
    )


@pytest.mark.parametrize(
    "name", ["ct-chest-enhanced", "mr-brain-enhanced", "mg-tomosynthesis", "nm-bone", "ct-chest"]
)
def test_whole_objects_hold(monkeypatch, name):
    frames = phantoms.recipe(name).frames
    assert list(whole(header(name), frames)) == []
    assert looked(monkeypatch, "images.frames", [header(name)], told(frames=frames)).holds


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("ct-chest-enhanced", {"NumberOfFrames": "11"}, "NumberOfFrames"),
        ("ct-chest-enhanced", {"PerFrameFunctionalGroupsSequence": []}, "PerFrameFunctionalGroupsSequence"),
        ("nm-bone", {"DetectorVector": [1]}, "DetectorVector"),
        ("nm-bone", {"EnergyWindowVector": 1}, "EnergyWindowVector"),
    ],
)
def test_a_lost_frame_is_named(monkeypatch, name, change, named):
    look = looked(
        monkeypatch, "images.frames", [header(name) | change], told(frames=phantoms.recipe(name).frames)
    )
    assert not look.holds
    assert look.final
    assert any(named in one.path for one in look.differences)


def test_an_uneven_stack_is_named():
    one = header("ct-chest-enhanced")
    groups = one["PerFrameFunctionalGroupsSequence"]
    without = one | {"PerFrameFunctionalGroupsSequence": groups[:5] + groups[6:], "NumberOfFrames": "11"}
    assert [found.path for found in whole(without, 11)] == ["image 2.25.1: distance of frames"]


@pytest.mark.parametrize("name", ["images.frames", "images.aligned", "pet.quantified"])
def test_what_cannot_be_seen_is_unsure_and_what_is_not_there_fails(monkeypatch, name):
    assert find(name).look(Question(None, None, from_="pacs", where={"images": told(0)})).unsure
    missing = looked(monkeypatch, name, [], told())
    assert not missing.holds
    assert not missing.final, "it may still come"

    def silent(*_):
        raise NoAnswer("the archive said nothing")

    monkeypatch.setattr(asking, "retrieve", silent)
    asked = find(name).look(Question(None, None, from_="pacs", where={"images": told()}))
    assert (asked.holds, bool(asked.unsure)) == (False, True)


def test_series_in_two_frames_of_reference_or_studies_are_not_aligned(monkeypatch):
    ct, pt = header("ct-torso-attenuation"), header("pt-torso", 2)
    assert looked(monkeypatch, "images.aligned", [ct, pt], told(2)).holds
    apart = looked(monkeypatch, "images.aligned", [ct, pt | {"FrameOfReferenceUID": "2.25.8"}], told(2))
    assert [one.path for one in apart.differences] == ["Frame of Reference UID"]
    assert not looked(monkeypatch, "images.aligned", [ct, pt | {"FrameOfReferenceUID": ""}], told(2)).holds
    assert not looked(monkeypatch, "images.aligned", [ct], [told(), told(study="2.25.2")]).holds


def test_a_pet_image_says_what_an_uptake_value_needs(monkeypatch):
    for number in range(1, 6):
        assert list(pet.consistent(header("pt-torso", number))) == []
    assert looked(monkeypatch, "pet.quantified", [header("pt-torso")], told()).holds


GIVEN = header("pt-torso")["RadiopharmaceuticalInformationSequence"][0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"Units": "CNTS"}, "Units"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection"),
        ({"DecayFactor": "1"}, "DecayFactor"),
        ({"DecayFactor": "nonsense"}, "DecayFactor"),
        ({"PatientWeight": ""}, "PatientWeight"),
        ({"RadiopharmaceuticalInformationSequence": []}, "RadiopharmaceuticalInformationSequence"),
        *(
            ({"RadiopharmaceuticalInformationSequence": [GIVEN | change]}, named)
            for change, named in (
                ({"RadiopharmaceuticalStartDateTime": "20261124093001"}, "RadiopharmaceuticalStartDateTime"),
                ({"RadiopharmaceuticalStartDateTime": "20261123083000"}, "RadiopharmaceuticalStartDateTime"),
                ({"RadiopharmaceuticalStartDateTime": ""}, "RadiopharmaceuticalStartDateTime"),
                ({"RadiopharmaceuticalStartTime": "073000"}, "RadiopharmaceuticalStartTime"),
            )
        ),
    ],
)
def test_a_wrong_quantity_is_named(change, named):
    assert named in [one.path for one in pet.consistent(header("pt-torso") | change)]


def report(doses=(10.0, 20.0), total=30.0, unit="mGy.cm", step="2.25.3"):
    """Return the content of a CT dose report."""

    def number(code, value):
        return structured.number(structured.dcm(code, code), str(value), structured.ucum(unit))

    events = [
        structured.container(
            structured.dcm("113819", "CT Acquisition"),
            structured.uid(structured.dcm("113769", "Irradiation Event UID"), f"2.25.{place}"),
            number("113838", value),
        )
        for place, value in enumerate(doses)
    ]
    scope = structured.code(
        structured.dcm("113705", "Scope"),
        structured.dcm("113016", "Step"),
        "HAS OBS CONTEXT",
        structured.uid(structured.dcm("121126", "Step"), step),
    )
    root = structured.container(structured.dcm("113701", "Report"), scope, number("113813", total), *events)
    return root | {
        "SOPClassUID": dose.DOSE_SR,
        "SOPInstanceUID": "2.25.4",
        "PatientID": "SW1",
        "AccessionNumber": "A1",
    }


TOLD = {"TotalNumberOfExposures": 2, "CommentsOnRadiationDose": "TotalDLP=30 mGy.cm"}


def test_a_report_that_adds_up_and_its_step_agree():
    read = dose.read(report())
    assert (read.step, read.total, len(read.events)) == ("2.25.3", 30.0, 2)
    assert [*dose.inconsistent(read), *dose.against_step(read, TOLD)] == []


@pytest.mark.parametrize(
    ("made", "step", "named"),
    [
        (report(total=20.0), TOLD, "total dose"),
        (report(unit="mGy.m"), TOLD, "unit of dose"),
        (report(doses=(30.0,)), TOLD, "irradiation events"),
        (report(), TOLD | {"CommentsOnRadiationDose": "TotalDLP=31"}, "total dose"),
        (report(), TOLD | {"CommentsOnRadiationDose": "none"}, "total dose of the performed step"),
        (report(), {}, "TotalNumberOfExposures of the performed step"),
        ({"ContentSequence": []}, TOLD, "total dose"),
    ],
)
def test_a_wrong_dose_is_named(made, step, named):
    read = dose.read(made)
    assert named in [one.path for one in (*dose.inconsistent(read), *dose.against_step(read, step))]


@pytest.mark.parametrize(
    ("objects", "named"),
    [
        ([], "dose report of performed step 2.25.3"),
        ([report(step="2.25.9")], "dose report of performed step 2.25.3"),
        ([report(), report()], "dose report of performed step 2.25.3"),
        ([report() | {"PatientID": "SW2"}], "patient of the dose report"),
        ([report() | {"AccessionNumber": ""}], "accession number of the dose report"),
    ],
)
def test_a_dose_report_that_is_not_there_or_of_somebody_else_is_named(monkeypatch, objects, named):
    def asked(held):
        monkeypatch.setattr(asking, "retrieve", lambda *_: [Retrieved("2.25.4", one, "") for one in held])
        mpps = {"uid": "2.25.3", "study": "2.25.1", "patient": "SW1", "accession": "A1"}
        case = SimpleNamespace(exchanges=())
        return find("dose.reported").look(Question(None, case, from_="pacs", where={"mpps": mpps}))

    assert asked([report()]).holds
    assert any(named in one.path for one in asked(objects).differences)


def ended(attributes, kind="N-SET", outcome="0000"):
    facts = {"sop": "2.25.3", "identifier": {"PerformedProcedureStepStatus": "COMPLETED"} | attributes}
    return SimpleNamespace(
        kind=kind, outcome=outcome, facts=facts, actor="ris", direction="in", number=1, protocol="dimse"
    )


def ruled(objects, exchanges):
    """Apply the standing rule to an archive that holds these objects."""
    held = [Retrieved("2.25.4", one, "") for one in objects]
    readback = SimpleNamespace(retrieved=lambda _: held)
    return same_dose(
        SimpleNamespace(exchanges=exchanges, stored_studies=["2.25.1"], emptied=(), readback=readback)
    )


@pytest.mark.parametrize(
    ("objects", "exchanges", "verdict"),
    [
        ([report()], [ended(TOLD)], "passed"),
        ([report()], [], "passed"),
        ([header("ct-chest")], [ended(TOLD)], "skipped"),
        ([report()], [ended({})], "failed"),
        ([report(doses=(30.0,))], [ended(TOLD)], "failed"),
        ([report(total=20.0)], [], "failed"),
        ([report(step="")], [ended(TOLD)], "failed"),
    ],
)
def test_the_standing_rule_holds_a_report_to_its_step(objects, exchanges, verdict):
    assert ruled(objects, exchanges).verdict == verdict


def stepped(exchanges, is_=None):
    question = Question(
        None, SimpleNamespace(exchanges=exchanges), at="ris", where={"mpps": {"uid": "2.25.3"}}, is_=is_
    )
    return find("performed.step").look(question)


def test_how_an_exam_ended_is_what_was_accepted_of_it():
    given_up = {
        "PerformedProcedureStepStatus": "DISCONTINUED",
        REASON: [structured.coded(structured.dcm("110504", "Patient died"))],
    }
    told = [ended({"PerformedProcedureStepStatus": "IN PROGRESS"}, "N-CREATE"), ended(given_up)]
    assert stepped(told, {"status": "DISCONTINUED", "reason": "110504^Patient died^DCM"}).holds
    wrong = stepped(told, {"reason": "110513^Discontinued for unspecified reason^DCM"})
    assert (wrong.holds, wrong.final) == (False, True)
    without = stepped([ended(given_up | {REASON: []})], {"reason": "110504^Patient died^DCM"})
    assert not without.holds
    assert not stepped([ended(given_up, outcome="0110")]).holds, "what was refused was not told"
    assert not stepped([]).holds
    running = stepped(told[:1], {"status": "DISCONTINUED"})
    assert (running.holds, running.final) == (False, False)


def test_reports_nested_without_end_are_not_followed():
    node: dict[str, object] = {}
    for _ in range(5000):
        node = {"ContentSequence": [node]}
    assert list(structured.found(node, "113769")) == []
