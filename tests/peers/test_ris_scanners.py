"""The RIS's DICOM door driven by scanners that are not ours: DCMTK's findscu and pynetdicom."""

import asyncio
import re

import pytest

from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case

CASE = Case("peers", 3)


@pytest.fixture
def department(tmp_path):
    """Run ``script(host, order, patient)`` with one two-step order of a patient with accents on the books."""

    def run(script):
        async def session():
            host = Host(Plan({name: Part(name, {}) for name in ("ehr", "ris")}), tmp_path / "state", 5)
            await host.start()
            try:
                ehr = host.simulators["ehr"]
                patient = await ehr.act("register_patient", {"name": "MÜLLER^ZOË"}, CASE)
                order = await ehr.act(
                    "place_order", {"patient": patient, "procedure": "CTABD2", "priority": "stat"}, CASE
                )
                return await script(host, order, patient)
            finally:
                await host.stop()

        return asyncio.run(session())

    return run


@pytest.mark.peer
def test_findscu_reads_the_worklist(department, program, call):
    findscu = program("findscu")

    async def script(host, order, patient):
        door = host.directory["ris"].worklist
        queries = {
            "patient": ["-k", f"PatientID={patient['id']}"],
            "name": ["-k", "PatientName=m*^zo*"],
            "station and day": [
                *("-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=SW_CT1"),
                *(
                    "-k",
                    f"ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate={order['placed'][:8]}-",
                ),
            ],
            "other scanner": ["-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=SW_MR9"],
        }
        asked = ["-k", "AccessionNumber", "-k", "RequestedProcedurePriority", "-k", "StudyInstanceUID"]
        heard = {}
        for name, keys in queries.items():
            code, said = await call(
                findscu, "-v", "-W", "-aec", door.ae, "-aet", "SW_CT1", *keys, *asked, door.host, door.port
            )
            assert code == 0, said
            heard[name] = said
        return order, heard

    order, heard = department(script)
    for name in ("patient", "name", "station and day"):
        assert len(re.findall(r"SH \[STAT\s*\]", heard[name])) == 2
        assert heard[name].count(order["accession"]) == 2
    assert order["accession"] not in heard["other scanner"]


def test_a_pynetdicom_scanner_does_an_exam(department):
    from pydicom.dataset import Dataset
    from pynetdicom import AE
    from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind

    def exam(door, order):
        scanner = AE(ae_title="SW_CT1")
        scanner.add_requested_context(ModalityWorklistInformationFind)
        scanner.add_requested_context(ModalityPerformedProcedureStep)
        association = scanner.associate(door.host, door.port, ae_title=door.ae)
        assert association.is_established
        query = Dataset()
        query.PatientName = ""
        query.AccessionNumber = order["accession"]
        query.StudyInstanceUID = ""
        step = Dataset()
        step.ScheduledProcedureStepID = ""
        query.ScheduledProcedureStepSequence = [step]
        answers = list(association.send_c_find(query, ModalityWorklistInformationFind))
        entries = [identifier for _, identifier in answers if identifier]
        performed = Dataset()
        reference = Dataset()
        reference.StudyInstanceUID = entries[0].StudyInstanceUID
        reference.ScheduledProcedureStepID = (
            entries[0].ScheduledProcedureStepSequence[0].ScheduledProcedureStepID
        )
        performed.ScheduledStepAttributesSequence = [reference]
        performed.PerformedProcedureStepID = "1"
        performed.PerformedStationAETitle = "SW_CT1"
        performed.PerformedProcedureStepStartDate = "20261124"
        performed.PerformedProcedureStepStartTime = "100000"
        performed.PerformedProcedureStepStatus = "IN PROGRESS"
        performed.Modality = "CT"
        uid = "2.25.184093201773465019386403297655810417063.1"
        begun, _ = association.send_n_create(performed, ModalityPerformedProcedureStep, uid)
        again, _ = association.send_n_create(performed, ModalityPerformedProcedureStep, uid)
        final = Dataset()
        final.PerformedProcedureStepStatus = "DISCONTINUED"
        ended, _ = association.send_n_set(final, ModalityPerformedProcedureStep, uid)
        late, _ = association.send_n_set(final, ModalityPerformedProcedureStep, uid)
        association.release()
        return answers[-1][0].Status, entries, [status.Status for status in (begun, again, ended, late)]

    async def script(host, order, patient):
        door = host.directory["ris"].worklist
        status, entries, statuses = await asyncio.to_thread(exam, door, order)
        seen = await host.simulators["ris"].ask("steps", {"order": order})
        return status, [str(entry.PatientName) for entry in entries], statuses, seen["steps"]

    status, names, statuses, steps = department(script)
    assert (status, names) == (0, ["MÜLLER^ZOË"] * 2)
    assert statuses == [0, 0x0111, 0, 0x0110]
    assert sorted(step["status"] for step in steps) == ["DISCONTINUED", "SCHEDULED"]
