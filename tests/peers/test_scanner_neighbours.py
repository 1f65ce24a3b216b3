"""Our scanner in a department that is not ours, and our archive asked for commitment by a scanner that is not ours."""

import asyncio
import socket
import threading

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from stepwedge.sim.address import Address, Entity
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, MPPS, VERIFICATION, WORKLIST

CASE = Case("scanner-neighbours", 3)
CT = "1.2.840.10008.5.1.4.1.1.2"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
STUDY = "2.25.329800735698586629295641978511506172918"


def data_set(**values):
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def entry(station="SW_CT1"):
    step = data_set(
        ScheduledStationAETitle=station,
        ScheduledProcedureStepStartDate="20261124",
        ScheduledProcedureStepStartTime="100000",
        Modality="CT",
        ScheduledProcedureStepDescription="CT chest",
        ScheduledProcedureStepID="SPS1",
        ScheduledProtocolCodeSequence=[
            data_set(CodeValue="CTCHEST", CodingSchemeDesignator="L", CodeMeaning="CT chest")
        ],
    )
    return data_set(
        SpecificCharacterSet="ISO_IR 100",
        AccessionNumber="SW900001",
        ReferringPhysicianName="",
        PatientName="DOE^ZOË",
        PatientID="SW900001",
        PatientBirthDate="19600102",
        PatientSex="F",
        StudyInstanceUID=STUDY,
        RequestedProcedureDescription="CT chest",
        RequestedProcedureCodeSequence=[
            data_set(CodeValue="CTCHEST", CodingSchemeDesignator="L", CodeMeaning="CT chest")
        ],
        ScheduledProcedureStepSequence=[step],
        RequestedProcedureID="RP1",
        RequestedProcedurePriority="ROUTINE",
    )


class Department:
    """A RIS and an archive of pynetdicom in one entity; keeps what it was told."""

    def __init__(self):
        self.seen = {"created": [], "set": [], "stored": {}, "asked": []}
        entity = AE("THEIRS")
        for sop_class in (VERIFICATION, WORKLIST, MPPS, CT, KEY_OBJECTS, COMMITMENT):
            entity.add_supported_context(sop_class, [EXPLICIT_LE, IMPLICIT_LE])
        handlers = [
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.change),
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_N_ACTION, self.commit),
        ]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.address = Entity("THEIRS", "127.0.0.1", self.server.server_address[1])
        self.reports = []

    def stop(self):
        for thread in self.reports:
            thread.join(10)
        self.server.shutdown()

    @staticmethod
    def find(event):
        yield 0xFF00, entry()

    def create(self, event):
        self.seen["created"].append(event.attribute_list)
        return 0, event.attribute_list

    def change(self, event):
        self.seen["set"].append(event.modification_list)
        return 0, event.modification_list

    def store(self, event):
        image = event.dataset
        image.file_meta = event.file_meta
        self.seen["stored"][event.request.AffectedSOPInstanceUID] = image
        return 0

    def commit(self, event):
        asked = event.action_information
        self.seen["asked"].append(asked)
        self.reports.append(threading.Thread(target=self.report, args=(event.assoc, asked)))
        self.reports[-1].start()
        return 0, None

    @staticmethod
    def report(association, asked):
        association.send_n_event_report(asked, 1, COMMITMENT, COMMITMENT_INSTANCE)


@pytest.fixture
def department():
    theirs = Department()
    yield theirs
    theirs.stop()


async def playing(tmp_path, script, others, **parts):
    plan = Plan({name: Part(role, settings) for name, (role, settings) in parts.items()}, others)
    host = Host(plan, tmp_path / "state", 5)
    await host.start()
    try:
        return await script(host)
    finally:
        await host.stop()


def test_a_pynetdicom_department_takes_a_whole_exam(tmp_path, department):
    async def exam(host):
        scanner = host.simulators["ct"]
        fetched = await scanner.act("fetch_worklist", {"PatientID": "SW900001"}, CASE)
        started = await scanner.act("start_exam", {"entry": fetched["entry"]}, CASE)
        acquired = await scanner.act("acquire", {"mpps": started}, CASE)
        await scanner.act("store_images", {"images": acquired}, CASE)
        committed = await scanner.act("commit", {"images": acquired}, CASE)
        await scanner.act("complete_exam", {"mpps": started, "images": acquired}, CASE)
        rejected = await scanner.act("reject_images", {"images": acquired, "reason": "113001"}, CASE)
        return started, committed, rejected

    theirs = Address(dicom=department.address, worklist=department.address)
    others = {"ris": theirs, "pacs": theirs}
    scanner = {"ct": ("modality", {"ae_title": "SW_CT1"})}
    started, committed, rejected = asyncio.run(playing(tmp_path, exam, others, **scanner))
    seen = department.seen
    (created,), (done,), (asked,) = seen["created"], seen["set"], seen["asked"]
    note = seen["stored"].pop(rejected["sop"])
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert created.PerformedProcedureStepStatus == "IN PROGRESS"
    assert str(created.PatientName) == "DOE^ZOË"
    (scheduled,) = created.ScheduledStepAttributesSequence
    assert (scheduled.StudyInstanceUID, scheduled.AccessionNumber) == (STUDY, "SW900001")
    assert scheduled.ScheduledProcedureStepID == "SPS1"
    assert done.PerformedProcedureStepStatus == "COMPLETED"
    listed = {
        image.ReferencedSOPInstanceUID
        for series in done.PerformedSeriesSequence
        for image in series.ReferencedImageSequence
    }
    assert len(listed) > 1
    assert (
        listed == set(seen["stored"]) == {one.ReferencedSOPInstanceUID for one in asked.ReferencedSOPSequence}
    )
    for image in seen["stored"].values():
        assert (image.StudyInstanceUID, image.AccessionNumber) == (STUDY, "SW900001")
        (referred,) = image.ReferencedPerformedProcedureStepSequence
        assert referred.ReferencedSOPInstanceUID == started["uid"]
        assert image.pixel_array.shape == (image.Rows, image.Columns)
    assert set(committed["committed"]) == listed


@pytest.mark.peer
def test_our_scanner_reads_wlmscpfs(tmp_path, program):
    folder = tmp_path / "worklists" / "THEIRS"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    written = entry()
    written.file_meta = None
    from pydicom.dataset import FileMetaDataset

    written.file_meta = FileMetaDataset()
    written.file_meta.TransferSyntaxUID = EXPLICIT_LE
    written.file_meta.MediaStorageSOPClassUID = WORKLIST
    written.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    written.save_as(folder / "one.wl", enforce_file_format=True)
    other = entry("SW_MR9")
    other.AccessionNumber = "SW900002"
    other.file_meta = written.file_meta
    other.save_as(folder / "two.wl", enforce_file_format=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    async def script(host):
        command = [program("wlmscpfs"), "-csk", "-dfp", str(folder.parent), str(port)]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(20):
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.02)
                    else:
                        writer.close()
                        break
            keys = {"ScheduledStationAETitle": "SW_CT1"}
            return await host.simulators["ct"].act("fetch_worklist", keys, CASE)
        finally:
            process.terminate()
            await process.wait()

    theirs = {"ris": Address(worklist=Entity("THEIRS", "127.0.0.1", port))}
    fetched = asyncio.run(
        playing(tmp_path, script, theirs, ct=("modality", {"ae_title": "SW_CT1", "archive": "ris"}))
    )
    assert fetched["count"] == 1
    assert fetched["entry"]["AccessionNumber"] == "SW900001"
    assert fetched["entry"]["PatientName"] == "DOE^ZOË"


def test_a_pynetdicom_scanner_asks_our_archive_to_commit(tmp_path):
    events, arrived = [], threading.Event()

    def report(event):
        events.append((event.event_type, event.event_information))
        arrived.set()
        return 0, None

    def commit(door):
        scanner = AE("SW_CT1")
        scanner.add_requested_context(CT, [EXPLICIT_LE])
        scanner.add_requested_context(COMMITMENT, [EXPLICIT_LE])
        association = scanner.associate(
            door.host, door.port, ae_title=door.ae, evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)]
        )
        image = data_set(
            SOPClassUID=CT,
            SOPInstanceUID="2.25.41",
            StudyInstanceUID=STUDY,
            SeriesInstanceUID="2.25.42",
            PatientID="SW900001",
            PatientName="DOE^JANE",
            Modality="CT",
        )
        from pydicom.dataset import FileMetaDataset

        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = EXPLICIT_LE
        stored = association.send_c_store(image).Status
        known = data_set(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="2.25.41")
        unknown = data_set(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="2.25.43")
        asked = data_set(TransactionUID="2.25.44", ReferencedSOPSequence=[known, unknown])
        answered = association.send_n_action(asked, 1, COMMITMENT, COMMITMENT_INSTANCE)[0].Status
        assert arrived.wait(10)
        association.release()
        return stored, answered

    async def script(host):
        return await asyncio.to_thread(commit, host.directory["pacs"].dicom)

    scanner = {"ct": Address(dicom=Entity("SW_CT1", "127.0.0.1", 1))}
    statuses = asyncio.run(playing(tmp_path, script, scanner, pacs=("pacs", {"event_pause": 0.05})))
    assert statuses == (0, 0)
    ((kind, said),) = events
    assert kind == 2
    assert said.TransactionUID == "2.25.44"
    assert [one.ReferencedSOPInstanceUID for one in said.ReferencedSOPSequence] == ["2.25.41"]
    (failed,) = said.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("2.25.43", 0x0112)
