"""A conforming day, recorded through taps, is replayed by its drafts against a fresh hospital, and all of it passes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stepwedge
from stepwedge.lab import checking
from stepwedge.lab.recording.drafts import write
from stepwedge.lab.recording.ear import Recording
from stepwedge.lab.recording.surrogates import Surrogates
from stepwedge.sim.host import Host, Plan
from stepwedge.sim.simulator import Case
from stepwedge.sim.tap import apart
from tests.record.canaries import ROLES

SPOKEN = (
    "ehr->ris", "ehr->pacs", "ris->ehr", "ris->pacs", "reader->ris", "reader->pacs", "ct->ris", "ct->pacs", "pacs->ct", "pacs->ris", "pacs->reader",
)  # fmt: skip


class Hospital(Host):
    """Our own hospital with a recorder on its links, instead of what reads real systems into the journal."""

    def __init__(self, state, recording, links=SPOKEN):
        actors = {
            name: {"role": role, "settings": {"ae_title": "SW_CT1"} if name == "ct" else {}}
            for name, role in ROLES.items()
        }
        taps = [{"on": link} for link in links]
        super().__init__(Plan.parse({"actors": actors, "taps": taps}, "test"), state, 4711)
        self._witness = recording.bench

    async def start(self):
        """Let the taps be read in this process: the recorder is here."""
        with pytest.MonkeyPatch.context() as here:
            here.setattr(apart, "POSSIBLE", False)
            return await super().start()

    async def do(self, actor, word, **args):
        """Tell an actor to do something, as a scenario does."""
        return await self.simulators[actor].act(word, args, Case("day", 1))

    async def until(self, actor, kind, count=1):
        """Wait until so many messages of a kind arrived somewhere."""

        def arrived():
            seen = [(one.actor, one.direction, one.kind) for one in self.journal.after(0)]
            return seen.count((actor, "in", kind))

        async with asyncio.timeout(10):
            while arrived() < count:  # noqa: ASYNC110 - a journal tells nobody
                await asyncio.sleep(0.02)


async def _routine(hospital, name="ÅKERLUND^ZOË"):
    """A patient from the order to the report, with an unclear correction on the way."""
    patient = await hospital.do("ehr", "register_patient", name=name)
    order = await hospital.do("ehr", "place_order", patient=patient, procedure="CTHEAD", priority="stat")
    await hospital.until("ehr", "SIU^S12")
    await hospital.until("pacs", "OMI^O23")
    worklist = await hospital.do("ct", "fetch_worklist", PatientID=patient["id"])
    mpps = await hospital.do("ct", "start_exam", entry=worklist["entry"])
    images = await hospital.do("ct", "acquire", mpps=mpps, images=2)
    await hospital.do("ct", "store_images", images=images)
    await hospital.do("ct", "commit", images=images, event="new")
    await hospital.do("ct", "complete_exam", mpps=mpps, images=images)
    await hospital.until("ehr", "OMG^O19", 3)
    await hospital.do("reader", "find_study", accession=order["accession"])
    await hospital.do("reader", "retrieve", study=mpps["study"], door="c-move")
    await hospital.do(
        "reader", "sign_report", order=order, study=mpps["study"], text="Mrs Åkerlund has no nodule."
    )
    await hospital.until("ehr", "ORU^R01")
    return patient


async def _corrected_and_cancelled(hospital):
    """A correction, a merge, an order that is cancelled: old dialect."""
    patient = await hospital.do("ehr", "register_patient", version="2.3.1")
    await hospital.do("ehr", "update_patient", patient=patient, name="NEW^NAME", version="2.3.1")
    twin = await hospital.do("ehr", "register_patient", version="2.3.1")
    await hospital.do("ehr", "merge_patients", survivor=patient, prior=twin, version="2.3.1")
    order = await hospital.do("ehr", "place_order", patient=patient, procedure="CTCHEST", version="2.3.1")
    await hospital.until("pacs", "ORM^O01")
    await hospital.do("ehr", "cancel_order", order=order)
    await hospital.until("pacs", "ORM^O01", 2)
    return patient


def recorded(folder, day, links=SPOKEN):
    """Let a day pass in a hospital of its own; return what was recorded and what the day gave."""
    recording = Recording(Surrogates())

    async def whole():
        hospital = Hospital(folder, recording, links)
        await hospital.start()
        try:
            return await day(hospital)
        finally:
            await hospital.stop()

    return recording, asyncio.run(asyncio.wait_for(whole(), 60))


@pytest.fixture(scope="module")
def drafts(tmp_path_factory):
    """The drafts of three recordings: everything; corrections; and one link alone."""
    folder = tmp_path_factory.mktemp("drafts")
    made = {}
    for name, day, links in (
        ("routine", _routine, SPOKEN),
        ("cancelled", _corrected_and_cancelled, SPOKEN),
        ("alone", _routine, ("ris->pacs",)),
    ):
        recording, patient = recorded(folder / f"{name}-state", day, links)
        assert not recording.unread
        ((path, draft),) = write(recording, ROLES, folder / name)
        made[name] = (path, draft, patient)
    return made


def test_the_drafts_pass_the_check(drafts):
    assert [str(one) for one in checking.check([path for path, _, _ in drafts.values()], None)] == []


def test_the_words_are_recognised(drafts):
    path, draft, patient = drafts["routine"]
    text = path.read_text(encoding="utf-8")
    for word in (
        "ehr.register_patient", "ehr.place_order", "ct.fetch_worklist", "ct.start_exam", "ct.acquire", "ct.store_images", "ct.commit",
        "ct.complete_exam", "reader.find_study", "reader.retrieve", "reader.sign_report", "message.received", "report.received",
    ):  # fmt: skip
        assert f": {word}," in text, word
    assert "procedure: CTHEAD, priority: stat" in text
    assert "images: 2" in text
    assert draft.decisions == []
    for told in (patient["id"], patient["birth_date"], "KERLUND", "nodule"):
        assert told.casefold() not in text.casefold()


def test_what_was_not_heard_is_assumed_and_said(drafts):
    path, _, _ = drafts["alone"]
    text = path.read_text(encoding="utf-8")
    assert (
        "# not recorded: nobody was heard who registered the patient\n  - {given: ehr.register_patient"
        in text
    )
    assert "# not recorded: nobody was heard who placed the order\n  - {given: ehr.place_order" in text
    assert "at: pacs" in text


def test_correction_merge_and_cancellation_are_told(drafts):
    text = drafts["cancelled"][0].read_text(encoding="utf-8")
    for word in ("ehr.update_patient", "ehr.merge_patients", "ehr.cancel_order"):
        assert f"do: {word}" in text
    assert "NEW^NAME" not in text


def test_a_fresh_hospital_passes_every_draft(drafts, tmp_path):
    files = [str(path) for path, _, _ in drafts.values()]
    root = Path(stepwedge.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "stepwedge", "run", *files, "--evidence", str(tmp_path / "run"), "-q"],
        check=False, capture_output=True, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["verdict"] == "passed"
    assert summary["counts"]["passed"] == len(files)


def test_the_same_patient_is_one_invention_in_a_recording_and_another_in_the_next(tmp_path):
    async def twice(hospital):
        patient = await hospital.do("ehr", "register_patient", name="ÅKERLUND^ZOË", birth_date="19700101")
        await hospital.do("ehr", "update_patient", patient=patient, sex="O")
        return patient

    names = []
    for number in (1, 2):
        recording, patient = recorded(tmp_path / f"state{number}", twice)
        said = {(one.said("patient"), one.said("name"), one.said("birth_date")) for one in recording.heard}
        assert len(said) == 1
        names += said
        assert patient["id"] not in str(names)
    assert names[0][0] != names[1][0]
    assert names[0][1:] != names[1][1:]
