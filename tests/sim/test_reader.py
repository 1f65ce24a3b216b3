"""The reading workstation in a whole small hospital: find, open, sign, add."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from stepwedge.errors import BadInput, Failed, Refused
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire.hl7 import parse

CASE = Case("tests", 7)


@contextlib.asynccontextmanager
async def read_study(state, quirks=()):
    """Start a hospital with one study in its archive: host, order, images."""
    parts = {"ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"}
    plan = Plan(
        {name: Part(role, {"ae_title": "SW_CT1"} if name == "ct" else {}) for name, role in parts.items()}
    )
    host = Host(plan, state, 7, quirks)
    await host.start()
    try:
        patient = await act(host, "ehr", "register_patient")
        order = await act(host, "ehr", "place_order", patient=patient, procedure="CTCHEST")
        fetched = await act(host, "ct", "fetch_worklist", AccessionNumber=order["accession"])
        mpps = await act(host, "ct", "start_exam", entry=fetched["entry"])
        images = await act(host, "ct", "acquire", mpps=mpps, images=3)
        await act(host, "ct", "store_images", images=images)
        await act(host, "ct", "complete_exam", mpps=mpps, images=images)
        yield host, order, images
    finally:
        await host.stop()


def act(host, actor, word, **args):
    return host.simulators[actor].act(word, args, CASE)


@pytest.mark.parametrize("door", ["c-find", "qido-rs"])
def test_a_study_is_found_through_either_door(tmp_path, door):
    async def talk():
        async with read_study(tmp_path) as (host, order, images):
            found = await act(host, "reader", "find_study", accession=order["accession"], door=door)
            assert (found["count"], found["study"]) == (1, images["study"])
            (study,) = found["studies"]
            assert study["PatientID"] == order["patient"]
            assert study["NumberOfStudyRelatedInstances"] == "3"
            nothing = await act(host, "reader", "find_study", study="1.2.3", door=door)
            assert nothing == {"studies": [], "count": 0}

    asyncio.run(talk())


@pytest.mark.parametrize("door", ["c-move", "c-get", "wado-rs"])
def test_a_study_comes_whole_through_every_door(tmp_path, door):
    async def talk():
        async with read_study(tmp_path) as (host, _, images):
            got = await act(host, "reader", "retrieve", study=images["study"], door=door)
            assert got["count"] == 3
            assert [(one["sop"], one["pixels"]) for one in got["instances"]] == [
                (one["sop"], one["pixels"]) for one in images["instances"]
            ]

    asyncio.run(talk())


@pytest.mark.parametrize("door", ["c-move", "c-get", "wado-rs"])
@pytest.mark.parametrize(
    "quirk", ["img.missing_slice_ok", "img.undeclared_lossy", "img.pixels_lost_transcode"]
)
def test_an_archive_that_cheats_is_visible_here(tmp_path, door, quirk):
    async def talk():
        async with read_study(tmp_path, [quirk]) as (host, _, images):
            got = await act(host, "reader", "retrieve", study=images["study"], door=door)
            assert [one["pixels"] for one in got["instances"]] != [
                one["pixels"] for one in images["instances"]
            ]
            assert host.simulators["pacs"].bench.quirks.acted[quirk] > 0

    asyncio.run(talk())


def test_a_study_that_is_not_there(tmp_path):
    async def talk():
        async with read_study(tmp_path) as (host, _, _):
            with pytest.raises(Refused, match="404"):
                await act(host, "reader", "retrieve", study="1.2.3", door="wado-rs")
            assert (await act(host, "reader", "retrieve", study="1.2.3"))["count"] == 0
            with pytest.raises(Failed, match="no studies with AccessionNumber SW0"):
                await act(host, "reader", "sign_report", accession="SW0", text="x")
            with pytest.raises(BadInput):
                await act(host, "reader", "retrieve", study="1.2.3", door="c-stroe")

    asyncio.run(talk())


def test_a_report_and_its_addendum_reach_the_ris(tmp_path):
    async def talk():
        async with read_study(tmp_path) as (host, order, images):
            report = await act(host, "reader", "sign_report", order=order, text="Normal.\nNo nodule.")
            assert (report["accession"], report["status"], report["answer"]) == (
                order["accession"],
                "F",
                "AA",
            )
            await act(host, "reader", "add_addendum", report=report, text="Small nodule.")
            received = [
                e
                for e in host.journal.after(0)
                if e.kind == "ORU^R01" and e.actor == "ris" and e.direction == "in"
            ]
            first, second = (parse(e.request.read()) for e in received)
            assert first["OBR-18"] == second["OBR-18"] == order["accession"]
            assert first["PID-3.1"] == order["patient"]
            assert first["OBR-3.1"] == order["filler"]
            assert images["study"] in first.all("OBX-5") + [one["5"] for one in first.each("OBX")]
            assert "Small nodule." in [one["5"] for one in second.each("OBX")]

    asyncio.run(talk())


def test_a_report_of_another_patient_is_not_taken(tmp_path):
    async def talk():
        async with read_study(tmp_path) as (host, order, _):
            pacs = host.simulators["pacs"]
            with pacs.bench.change(pacs.state):  # the archive has filed the study under somebody else
                study = next(iter(pacs.state.studies.values()))
                for sop, one in list(pacs.state.instances.items()):
                    if one.study == study.uid:
                        pacs.state.instances[sop] = replace(one, patient="SW00000001^^^STEPWEDGE")
            with pytest.raises(Refused, match="not taken"):
                await act(host, "reader", "sign_report", order=order, text="Normal.")

    asyncio.run(talk())
