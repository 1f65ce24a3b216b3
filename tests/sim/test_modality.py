"""The scanner in a whole small hospital: worklist, exam, images, commitment; durable disk."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput, Failed, LinkLost, Refused
from stepwedge.model.lifecycles import IllegalTransition
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case

modality = kit.load_simulator("modality")
from stepwedge_simulators.modality.acts import worklist_query  # noqa: E402  loaded from its folder just above

CASE = Case("tests", 7)
PARTS = {
    "ehr": Part("ehr"),
    "ris": Part("ris"),
    "pacs": Part("pacs"),
    "ct": Part("modality", {"ae_title": "SW_CT1"}),
    "reader": Part("reader"),
}


@contextlib.asynccontextmanager
async def hospital(state, quirks=(), **settings):
    parts = {name: Part(part.role, part.settings | settings.get(name, {})) for name, part in PARTS.items()}
    host = Host(Plan(parts), state, 7, quirks)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def act(host, actor, word, **args):
    return host.simulators[actor].act(word, args, CASE)


async def scheduled(host, procedure="CTCHEST", **options):
    """Order an exam and fetch it; return order and entries."""
    patient = await act(host, "ehr", "register_patient", **options)
    order = await act(host, "ehr", "place_order", patient=patient, procedure=procedure)
    fetched = await act(host, "ct", "fetch_worklist", AccessionNumber=order["accession"])
    return order, fetched


async def exam(host, images=2):
    """Do an exam up to its images; return order, mpps and images."""
    order, fetched = await scheduled(host)
    mpps = await act(host, "ct", "start_exam", entry=fetched["entry"])
    return order, mpps, await act(host, "ct", "acquire", mpps=mpps, images=images)


def test_broad_and_patient_based_worklist_query():
    broad = worklist_query({}, "SW_CT1", "20261124")
    (step,) = broad["ScheduledProcedureStepSequence"]
    assert (step["Modality"], step["ScheduledStationAETitle"]) == ("CT", "SW_CT1")
    assert step["ScheduledProcedureStepStartDate"] == "20261124"
    based = worklist_query({"PatientID": "SW1", "Modality": "CT"}, "SW_CT1", "20261124")
    (step,) = based["ScheduledProcedureStepSequence"]
    assert based["PatientID"] == "SW1"
    assert (step["Modality"], step["ScheduledStationAETitle"]) == ("CT", "")
    assert "Modality" not in based


def test_an_exam_repeats_the_worklist_in_mpps_and_images(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            order, mpps, images = await exam(host)
            assert (mpps["accession"], mpps["patient"]) == (order["accession"], order["patient"])
            created = next(e for e in host.journal.after(0) if e.kind == "N-CREATE" and e.actor == "ris")
            (step,) = created.facts["identifier"]["ScheduledStepAttributesSequence"]
            entry = mpps["entry"]
            assert step["StudyInstanceUID"] == entry["StudyInstanceUID"] == images["study"]
            assert step["AccessionNumber"] == order["accession"]
            sent = await act(host, "ct", "store_images", images=images)
            assert (sent["stored"], sent["refused"]) == (2, 0)
            got = await act(host, "reader", "retrieve", study=images["study"])
            assert [one["pixels"] for one in got["instances"]] == [
                one["pixels"] for one in images["instances"]
            ]
            for one in got["instances"]:
                header = one["header"]
                for key in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"):
                    assert header[key] == entry[key]
                (request,) = header["RequestAttributesSequence"]
                assert request["RequestedProcedureID"] == entry["RequestedProcedureID"]
                (scheduled_step,) = entry["ScheduledProcedureStepSequence"]
                assert request["ScheduledProcedureStepID"] == scheduled_step["ScheduledProcedureStepID"]
                (performed,) = header["ReferencedPerformedProcedureStepSequence"]
                assert performed["ReferencedSOPInstanceUID"] == mpps["uid"]
            done = await act(host, "ct", "complete_exam", mpps=mpps, images=images)
            assert done["status"] == "COMPLETED"
            ended = next(e for e in host.journal.after(0) if e.kind == "N-SET" and e.actor == "ris")
            (series,) = ended.facts["identifier"]["PerformedSeriesSequence"]
            listed = [item["ReferencedSOPInstanceUID"] for item in series["ReferencedImageSequence"]]
            assert listed == [one["sop"] for one in images["instances"]]

    asyncio.run(talk())


@pytest.mark.parametrize("name", ["SMITH^JOHN", "MÜLLER^ZOË", "ŁUKASZ^Ömer"])
def test_dciodvfy_finds_no_error_in_scanner_images(tmp_path, name):
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")

    async def talk():
        async with hospital(tmp_path) as host:
            _, fetched = await scheduled(host, name=name)
            mpps = await act(host, "ct", "start_exam", entry=fetched["entry"])
            images = await act(host, "ct", "acquire", mpps=mpps, images=1)
            await act(host, "ct", "store_images", images=images)
            got = await act(host, "reader", "retrieve", study=images["study"])
            assert got["instances"][0]["header"]["PatientName"] == name
            return next(
                e for e in host.journal.after(0) if e.kind == "C-STORE" and e.actor == "pacs"
            ).request.read()

    file = tmp_path / "image.dcm"
    file.write_bytes(asyncio.run(talk()))
    done = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False)
    assert "CTImage" in done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr


@pytest.mark.parametrize("event", ["same", "new"])
def test_commitment_arrives_where_it_is_awaited_and_tells_what_is_missing(tmp_path, event):
    async def talk():
        async with hospital(tmp_path) as host:
            _, _, images = await exam(host)
            await act(host, "ct", "store_images", images=images)
            result = await act(host, "ct", "commit", images=images, event=event, extra=2)
            assert result["arrived"] == event
            assert sorted(result["committed"]) == sorted(one["sop"] for one in images["instances"])
            assert [one["reason"] for one in result["failed"]] == ["0112", "0112"]

    asyncio.run(talk())


def test_a_result_that_crosses_the_release_comes_again_on_a_new_association(tmp_path):
    async def talk():
        async with hospital(tmp_path, pacs={"event_pause": 0.0}) as host:
            _, _, images = await exam(host)
            await act(host, "ct", "store_images", images=images)
            for _ in range(5):  # the archive reports at once, just when the scanner hangs up
                result = await act(host, "ct", "commit", images=images, event="new")
                assert result["arrived"] == "new"
                assert len(result["committed"]) == 2

    asyncio.run(talk())


def test_a_result_that_never_comes_is_the_archives_failure(tmp_path):
    async def talk():
        async with hospital(tmp_path, ["stgcmt.same_assoc_only"], ct={"commitment": 0.3}) as host:
            _, _, images = await exam(host)
            await act(host, "ct", "store_images", images=images)
            with pytest.raises(Failed, match="reported no result"):
                await act(host, "ct", "commit", images=images, event="new")

    asyncio.run(talk())


def test_the_same_pixels_again_are_taken_and_other_pixels_are_not(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, _, images = await exam(host)
            for door in ("c-store", "stow-rs", "c-store"):
                assert (await act(host, "ct", "store_images", images=images, door=door))["stored"] == 2
            for door in ("c-store", "stow-rs"):
                altered = await act(host, "ct", "store_images", images=images, door=door, alter="pixels")
                assert {one["status"] for one in altered["sent"]} == {"C201"}
            got = await act(host, "reader", "retrieve", study=images["study"], door="wado-rs")
            assert [one["pixels"] for one in got["instances"]] == [
                one["pixels"] for one in images["instances"]
            ]

    asyncio.run(talk())


def test_a_discontinued_exam_tells_why_and_cannot_go_on(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, fetched = await scheduled(host)
            mpps = await act(host, "ct", "start_exam", entry=fetched["entry"])
            reason = "110514^Incorrect worklist entry selected^DCM"
            done = await act(host, "ct", "discontinue_exam", mpps=mpps, reason=reason)
            assert done["status"] == "DISCONTINUED"
            ended = next(e for e in host.journal.after(0) if e.kind == "N-SET")
            (code,) = ended.facts["identifier"]["PerformedProcedureStepDiscontinuationReasonCodeSequence"]
            assert (code["CodeValue"], code["CodingSchemeDesignator"]) == ("110514", "DCM")
            with pytest.raises(IllegalTransition, match="not allowed in state 'DISCONTINUED'"):
                await act(host, "ct", "discontinue_exam", mpps=mpps)

    asyncio.run(talk())


def test_disk_and_exam_survive_a_restart(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, mpps, images = await exam(host)
        async with hospital(tmp_path) as host:
            assert (await act(host, "ct", "store_images", images=images))["stored"] == 2
            assert (await act(host, "ct", "complete_exam", mpps=mpps, images=images))["status"] == "COMPLETED"
            again = await act(host, "ct", "acquire", mpps=mpps, images=1)
            assert again["series"] != images["series"]

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("word", "args"),
    [
        ("fetch_worklist", {"AcessionNumber": "1"}),
        ("start_exam", {"entry": {"ScheduledProcedureStepSequence": []}}),
        ("acquire", {"mpps": "1.2.3"}),
        ("store_images", {"images": {"instances": [{"sop": "1.2.3"}]}}),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path, word, args):
    async def talk():
        async with hospital(tmp_path) as host:
            with pytest.raises(BadInput):
                await act(host, "ct", word, **args)

    asyncio.run(talk())


def test_an_archive_that_is_away_is_no_refusal(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, _, images = await exam(host)
            await host.simulators["pacs"].doors[1].stop()
            with pytest.raises(LinkLost):
                await act(host, "ct", "store_images", images=images)
            picture = host.simulators["ct"].state.pictures[images["instances"][0]["sop"]]
            assert picture.status == "acquired"

    asyncio.run(talk())


def test_an_end_that_the_ris_refuses_is_said(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, mpps, images = await exam(host)
            await act(host, "ct", "complete_exam", mpps=mpps, images=images)
            ct = host.simulators["ct"]
            with ct.bench.change(ct.state):  # the scanner forgets that it has ended the exam
                ct.state.exams[mpps["uid"]] = replace(ct.state.exams[mpps["uid"]], status="IN PROGRESS")
            with pytest.raises(Refused, match="N-SET 0110"):
                await act(host, "ct", "complete_exam", mpps=mpps, images=images)

    asyncio.run(talk())


@pytest.mark.parametrize("modality_", ["MR", "US", "NM", "XA"])
def test_a_device_of_another_kind_repeats_the_worklist_too(tmp_path, modality_):
    async def talk():
        async with hospital(tmp_path, ct={"modality": modality_, "ae_title": f"SW_{modality_}1"}) as host:
            procedure = {"MR": "MRBRAIN", "US": "USABD", "NM": "NMBONE", "XA": "XACORO"}[modality_]
            order, fetched = await scheduled(host, procedure)
            broad = await act(host, "ct", "fetch_worklist", Modality=modality_)
            assert order["accession"] in [one["AccessionNumber"] for one in broad["entries"]]
            mpps = await act(host, "ct", "start_exam", entry=fetched["entry"])
            created = next(e for e in host.journal.after(0) if e.kind == "N-CREATE" and e.actor == "ris")
            assert created.facts["identifier"]["Modality"] == modality_
            images = await act(host, "ct", "acquire", mpps=mpps, images=1)
            assert (await act(host, "ct", "store_images", images=images))["stored"] == 1
            for door in ("c-move", "c-get", "wado-rs"):
                got = await act(host, "reader", "retrieve", study=images["study"], door=door)
                assert [one["pixels"] for one in got["instances"]] == [images["instances"][0]["pixels"]]
                assert got["instances"][0]["header"]["Modality"] == modality_

    asyncio.run(talk())


def stripped(entry):
    """Return a worklist entry without values for three keys of type 1."""
    (step,) = entry["ScheduledProcedureStepSequence"]
    step = step | {"ScheduledProcedureStepID": ""}
    return entry | {"StudyInstanceUID": "", "PatientID": "", "ScheduledProcedureStepSequence": [step]}


def test_a_strict_scanner_refuses_an_incomplete_entry_and_names_what_lacks(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, fetched = await scheduled(host)
            with pytest.raises(Failed, match="StudyInstanceUID, PatientID, ScheduledProcedureStepID"):
                await act(host, "ct", "start_exam", entry=stripped(fetched["entry"]))
            assert not [e for e in host.journal.after(0) if e.kind == "N-CREATE"]

    asyncio.run(talk())


def test_a_lenient_scanner_fills_in_and_says_so(tmp_path):
    async def talk():
        async with hospital(tmp_path, ct={"acceptance": "lenient"}) as host:
            _, fetched = await scheduled(host)
            whole = await act(host, "ct", "start_exam", entry=fetched["entry"])
            assert whole["filled"] == []
            mpps = await act(host, "ct", "start_exam", entry=stripped(fetched["entry"]))
            assert mpps["filled"] == ["StudyInstanceUID", "PatientID", "ScheduledProcedureStepID"]
            assert mpps["study"]
            assert mpps["patient"]

    asyncio.run(talk())


@pytest.mark.parametrize("setting", [{"modality": "XX"}, {"acceptance": "mild"}])
def test_a_setting_that_is_none_is_said(tmp_path, setting):
    with pytest.raises(BadInput, match="one of"):
        Host(Plan({"ct": Part("modality", setting)}), tmp_path, 7, ())


def test_an_exam_typed_in_by_hand_has_no_order_and_is_an_exception_at_the_ris(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            patient = await act(host, "ehr", "register_patient", name="MÜLLER^ZOË")
            mpps = await act(host, "ct", "enter_exam", patient=patient, description="CT head, resuscitation")
            assert (mpps["accession"], mpps["patient"]) == ("", patient["id"])
            images = await act(host, "ct", "acquire", mpps=mpps, images=1)
            assert (await act(host, "ct", "store_images", images=images))["stored"] == 1
            done = await act(host, "ct", "complete_exam", mpps=mpps, images=images)
            assert done["status"] == "COMPLETED"
            kinds = [one.kind for one in host.simulators["ris"].state.oddities.values()]
            assert kinds == ["unscheduled exam"]
            got = await act(host, "reader", "retrieve", study=mpps["study"])
            assert got["instances"][0]["header"]["PatientName"] == "MÜLLER^ZOË"

    asyncio.run(talk())


def test_a_group_names_every_scheduled_step_in_mpps_and_images(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, fetched = await scheduled(host, "CTABD2")
            first, second = fetched["entries"]
            mpps = await act(host, "ct", "start_exam", entry=first, group=[second])
            created = next(e for e in host.journal.after(0) if e.kind == "N-CREATE" and e.actor == "ris")
            wanted = [
                one["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"]
                for one in (first, second)
            ]
            named = created.facts["identifier"]["ScheduledStepAttributesSequence"]
            assert [item["ScheduledProcedureStepID"] for item in named] == wanted
            images = await act(host, "ct", "acquire", mpps=mpps, images=1)
            await act(host, "ct", "store_images", images=images)
            got = await act(host, "reader", "retrieve", study=mpps["study"])
            named = got["instances"][0]["header"]["RequestAttributesSequence"]
            assert [item["ScheduledProcedureStepID"] for item in named] == wanted

    asyncio.run(talk())


def test_a_wrong_entry_is_corrected(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, wrong = await scheduled(host)
            right_order, right = await scheduled(host)
            mistaken = await act(host, "ct", "start_exam", entry=wrong["entry"])
            mpps = await act(host, "ct", "correct_exam", mpps=mistaken, entry=right["entry"])
            assert (mpps["wrong"], mpps["accession"]) == (mistaken["uid"], right_order["accession"])
            ended = next(e for e in host.journal.after(0) if e.kind == "N-SET")
            (code,) = ended.facts["identifier"]["PerformedProcedureStepDiscontinuationReasonCodeSequence"]
            assert (code["CodeValue"], code["CodingSchemeDesignator"]) == ("110514", "DCM")

    asyncio.run(talk())


def test_images_are_deleted_when_the_archive_answers_for_them_and_not_before(tmp_path):
    async def talk():
        async with hospital(tmp_path) as host:
            _, _, images = await exam(host)
            await act(host, "ct", "store_images", images=images)
            early = await act(host, "ct", "delete_images", images=images)
            assert (early["deleted"], early["kept"]) == (0, 2)
            await act(host, "ct", "commit", images=images)
            assert (await act(host, "ct", "delete_images", images=images))["deleted"] == 2
            with pytest.raises(BadInput, match="still on this scanner's disk"):
                await act(host, "ct", "store_images", images=images)
            assert not [path for path in (tmp_path / "ct").rglob("disk/*/*") if path.is_file()]

    asyncio.run(talk())


def test_every_reason_of_cid_9300_and_no_other():
    from pydicom.sr.codedict import codes
    from stepwedge_simulators.modality.reasons import REASONS, reason_of

    known = {
        one.value: one.meaning for one in codes.CID9300.concepts.values() if one.scheme_designator == "DCM"
    }
    assert known == REASONS
    for code, meaning in REASONS.items():
        assert reason_of(code) == reason_of(f"{code}^{meaning}^DCM") == f"{code}^{meaning}^DCM"
    assert reason_of("422400008^Vomiting^SCT") == "422400008^Vomiting^SCT"
    with pytest.raises(BadInput, match="CID 9300"):
        reason_of("110199")
