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
