"""How exams end and begin when something is wrong: every reason, no network, a worklist entry that cannot be."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput, Failed, LinkLost
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case

kit.load_simulator("modality")
from stepwedge_simulators.modality.entries import accepted  # noqa: E402  loaded from its folder just above
from stepwedge_simulators.modality.reasons import ADVERSE, REASONS, reason_of  # noqa: E402
from stepwedge_simulators.modality.settings import Settings  # noqa: E402

CASE = Case("exams", 7)
PATIENT = {"id": "SW1", "issuer": "STEPWEDGE", "name": "DOE^JANE", "birth_date": "19700101", "sex": "F"}
STEP = "ScheduledProcedureStepSequence"
ENTRY = {
    "StudyInstanceUID": "2.25.1",
    "RequestedProcedureID": "RP1",
    "PatientName": "DOE^JANE",
    "PatientID": "SW1",
    "AccessionNumber": "SW1",
    "ReferringPhysicianName": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    STEP: [
        {
            "ScheduledStationAETitle": "SW_CT1",
            "ScheduledProcedureStepStartDate": "20261124",
            "ScheduledProcedureStepStartTime": "100000",
            "Modality": "CT",
            "ScheduledProcedureStepID": "S1",
        }
    ],
}


@contextlib.asynccontextmanager
async def department(folder, **devices):
    parts = {"ehr": Part("ehr"), "ris": Part("ris"), "pacs": Part("pacs")}
    host = Host(Plan(parts | devices), folder, 7, ())
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


CT = Part("modality", {"ae_title": "SW_CT1"})


def judged(entry, acceptance="strict"):
    return accepted(entry, 0, Settings(acceptance=acceptance), "2.25.99999999", "2.25.2")


def test_the_reasons_are_those_of_the_context_group():
    """pydicom's table of CID 9300 is the oracle."""
    from pydicom.sr._concepts_dict import concepts

    for scheme, ours in (("DCM", REASONS), ("SCT", ADVERSE)):
        listed = {
            code: meaning
            for meanings in concepts[scheme].values()
            for code, (meaning, groups) in meanings.items()
            if 9300 in groups
        }
        assert ours == listed


def test_every_reason_reaches_the_department(tmp_path):
    async def talk():
        async with department(tmp_path, ct=CT) as host:
            ct = host.simulators["ct"]
            for code in (*REASONS, *ADVERSE):
                mpps = await ct.act("enter_exam", {"patient": PATIENT}, CASE)
                ended = await ct.act("discontinue_exam", {"mpps": mpps, "reason": code}, CASE)
                assert ended["status"] == "DISCONTINUED"
            return [
                one
                for one in host.journal.after(0)
                if (one.actor, one.direction, one.kind) == ("ris", "in", "N-SET")
            ]

    told = asyncio.run(talk())
    items = [
        one.facts["identifier"]["PerformedProcedureStepDiscontinuationReasonCodeSequence"][0] for one in told
    ]
    wanted = [(code, "DCM") for code in REASONS] + [(code, "SCT") for code in ADVERSE]
    assert [(one["CodeValue"], one["CodingSchemeDesignator"]) for one in items] == wanted
    assert {one.outcome for one in told} == {"0000"}


def test_a_code_that_is_no_reason_is_refused_and_one_of_another_scheme_passes():
    with pytest.raises(BadInput, match="CID 9300"):
        reason_of("123")
    assert reason_of("X1^moved^99SW") == "X1^moved^99SW"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"AccessionNumber": "SW" + "1" * 20}, "AccessionNumber"),
        ({"PatientName": "D" * 65 + "^JANE"}, "PatientName"),
        ({"RequestedProcedureDescription": "x" * 65}, "RequestedProcedureDescription"),
        ({"SpecificCharacterSet": "ISO_IR 999"}, "SpecificCharacterSet"),
    ],
)
def test_values_that_cannot_be_are_refused_by_a_strict_console_and_mended_by_a_lenient_one(change, named):
    entry = ENTRY | change
    with pytest.raises(Failed, match=named):
        judged(entry)
    mended, _, keys = judged(entry, "lenient")
    assert keys == [named]
    assert mended[named] != entry[named]
    assert judged(mended)[0] == mended, "what was mended is fit for a strict console"


def test_a_step_value_that_is_too_long_is_named_and_cut_in_the_step():
    entry = ENTRY | {STEP: [ENTRY[STEP][0] | {"ScheduledProcedureStepID": "S" * 17}]}
    with pytest.raises(Failed, match="ScheduledProcedureStepID"):
        judged(entry)
    assert judged(entry, "lenient")[0][STEP][0]["ScheduledProcedureStepID"] == "S" * 16


def test_names_of_three_groups_have_64_characters_in_each():
    name = "=".join(["A" * 64] * 3)
    assert judged(ENTRY | {"PatientName": name, "SpecificCharacterSet": "ISO_IR 192"})[2] == []


def test_what_was_performed_off_the_network_survives_a_restart_and_is_told_in_order(tmp_path):
    async def away():
        async with department(tmp_path, ct=CT) as host:
            ct = host.simulators["ct"]
            await ct.act("unplug", {}, CASE)
            mpps = await ct.act("enter_exam", {"patient": PATIENT}, CASE)
            assert mpps["pending"]
            images = await ct.act("acquire", {"mpps": mpps, "images": 1}, CASE)
            with pytest.raises(LinkLost, match="off the network"):
                await ct.act("store_images", {"images": images}, CASE)
            with pytest.raises(LinkLost, match="off the network"):
                await ct.act("store_images", {"images": images, "door": "stow-rs"}, CASE)
            with pytest.raises(LinkLost, match="off the network"):
                await ct.act("fetch_worklist", {"PatientID": "SW1"}, CASE)
            with pytest.raises(LinkLost, match="off the network"):
                await ct.act("show_worklist", {"PatientID": "SW1"}, CASE)
            await ct.act("complete_exam", {"mpps": mpps, "images": images}, CASE)
            return mpps, images

    async def back(images):
        async with department(tmp_path, ct=CT) as host:
            ct = host.simulators["ct"]
            before = len(host.journal.after(0))
            assert await ct.act("plug_in", {}, CASE) == {"sent": 2, "waiting": 0}
            assert await ct.act("plug_in", {}, CASE) == {"sent": 0, "waiting": 0}
            assert (await ct.act("store_images", {"images": images}, CASE))["stored"] == 1
            return [one for one in host.journal.after(before) if (one.actor, one.direction) == ("ris", "in")]

    mpps, images = asyncio.run(away())
    told = asyncio.run(back(images))
    assert [(one.kind, one.facts["sop"], one.outcome) for one in told] == [
        ("N-CREATE", mpps["uid"], "0000"),
        ("N-SET", mpps["uid"], "0000"),
    ]


def test_several_devices_work_at_once_and_nothing_is_mixed_up(tmp_path):
    kinds = {"ct": "CT", "mr": "MR", "us": "US", "xa": "XA"}
    devices = {
        name: Part("modality", {"ae_title": f"SW_{kind}1", "modality": kind}) for name, kind in kinds.items()
    }

    async def exam(host, name):
        device, case = host.simulators[name], Case(f"case of {name}", 7)
        patient = PATIENT | {"id": f"SW{name.upper()}"}
        mpps = await device.act("enter_exam", {"patient": patient}, case)
        images = await device.act("acquire", {"mpps": mpps, "images": 2}, case)
        assert (await device.act("store_images", {"images": images}, case))["stored"] == 2
        assert len((await device.act("commit", {"images": images}, case))["committed"]) == 2
        await device.act("complete_exam", {"mpps": mpps, "images": images}, case)
        return mpps["study"]

    async def talk():
        async with department(tmp_path, **devices) as host:
            studies = await asyncio.gather(*(exam(host, name) for name in kinds))
            headers = [
                one.facts["dataset"]["header"]
                for one in host.journal.after(0)
                if one.actor == "pacs" and one.kind == "C-STORE"
            ]
            return studies, headers

    studies, headers = asyncio.run(talk())
    assert len(set(studies)) == len(kinds)
    assert len(headers) == 2 * len(kinds)
    for name, study in zip(kinds, studies, strict=True):
        mine = [one for one in headers if one["StudyInstanceUID"] == study]
        assert {(one["PatientID"], one["Modality"]) for one in mine} == {(f"SW{name.upper()}", kinds[name])}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"PatientBirthDate": "1970-01-01"}, "PatientBirthDate"),
        ({"PatientBirthDate": "19701301"}, "PatientBirthDate"),
        ({"PatientSex": "female"}, "PatientSex"),
        ({"StudyInstanceUID": "1.2.x"}, "StudyInstanceUID"),
    ],
)
def test_what_is_no_value_of_its_vr_is_refused_or_emptied(change, named):
    entry = ENTRY | change
    with pytest.raises(Failed, match=named):
        judged(entry)
    mended, _, keys = judged(entry, "lenient")
    assert named in keys
    assert mended[named] != entry[named]
    assert judged(mended)[2] == []


def test_a_key_of_type_2_must_be_there_and_may_be_empty():
    entry = {key: value for key, value in ENTRY.items() if key != "AccessionNumber"}
    with pytest.raises(Failed, match=r"lacks AccessionNumber \(type 2"):
        judged(entry)
    mended, _, keys = judged(entry, "lenient")
    assert (mended["AccessionNumber"], keys) == ("", ["AccessionNumber"])
    assert judged(mended)[2] == []
