"""Marks and notices between our systems and others': an archive and an archive's messenger that are pynetdicom, a sender that is DCMTK."""

import asyncio
import contextlib
import queue
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stepwedge.model.identifiers import uid
from stepwedge.sim import keyobjects, presentations
from stepwedge.sim.address import Address, Endpoint
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance
from stepwedge.wire.structure import complaints

pytestmark = pytest.mark.peer
AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CASE = Case("marks", 4)
ANSWERED = {
    "STUDY": (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
    ),
    "SERIES": ("SeriesInstanceUID", "Modality", "SeriesNumber"),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "Rows", "Columns"),
}


@pytest.fixture
def foreign_archive(ct_image, tmp_path):
    """Run an archive that is pynetdicom's and holds one image; yields its port and the files it has taken."""
    from pydicom.dataset import Dataset
    from pynetdicom import AE, StoragePresentationContexts, evt
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

    image, taken = ct_image(1), queue.Queue()

    def find(event):
        answer = Dataset()
        level = event.identifier.QueryRetrieveLevel
        for keyword in (*ANSWERED[level], "StudyInstanceUID", "AccessionNumber"):
            setattr(answer, keyword, image.get(keyword, ""))
        answer.SpecificCharacterSet = "ISO_IR 100"
        answer.QueryRetrieveLevel = level
        yield 0xFF00, answer
        yield 0x0000, None

    def store(event):
        file = tmp_path / f"{event.request.AffectedSOPInstanceUID}.dcm"
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        dataset.save_as(file, enforce_file_format=True)
        taken.put((dataset, file))
        return 0x0000

    theirs = AE("THEIRS")
    theirs.supported_contexts = StoragePresentationContexts
    theirs.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_STORE, store)]
    server = theirs.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    yield image, server.socket.getsockname()[1], taken
    server.shutdown()


@pytest.mark.parametrize(
    ("word", "args", "modality"),
    [
        ("mark_key_images", {"text": "look here"}, "KO"),
        ("save_presentation", {"center": 50, "width": 350, "text": "nodule"}, "PR"),
        ("reject_images", {"reason": "113001"}, "KO"),
    ],
)
def test_pynetdicom_keeps_what_a_reader_marks(foreign_archive, tmp_path, word, args, modality):
    """Key image note (RAD-29), presentation state (RAD-19), rejection note (RAD-66): stored in theirs, sound to dciodvfy."""
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")
    image, port, taken = foreign_archive

    async def mark():
        others = {"pacs": Address.parse({"dicom": f"dicom://THEIRS@127.0.0.1:{port}"})}
        host = Host(Plan({"reader": Part("reader")}, others), tmp_path / "state", 7)
        await host.start()
        try:
            study = image["StudyInstanceUID"]
            return await host.simulators["reader"].act(word, {"study": study, **args}, CASE)
        finally:
            await host.stop()

    done = asyncio.run(mark())
    dataset, file = taken.get(timeout=10)
    assert done["status"] == "0000"
    assert (dataset.Modality, dataset.SOPInstanceUID) == (modality, done["sop"])
    assert dataset.StudyInstanceUID == image["StudyInstanceUID"]
    assert str(dataset.PatientName) == image["PatientName"]
    assert image["SOPInstanceUID"] in str(dataset)
    judged = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False)
    assert "Error" not in judged.stdout + judged.stderr, judged.stderr


def test_storescu_brings_marks(program, call, archive, tmp_path, ct_image):
    """An image and its three kinds of mark come by storescu; the archive keeps all, and the rejection hides the image."""
    store, image = program("storescu"), ct_image(1)
    uids = [(uid("tests", "marks", n), uid("tests", "mark", n)) for n in range(3)]
    made = [
        image,
        presentations.presentation(
            image, [image], uids[0], AT, maker="tests", label="AS READ", window=(40.0, 400.0), text="nodule"
        ),
        keyobjects.selection("113000", image, [image], uids[1], AT, maker="tests"),
        keyobjects.selection("113037", image, [image], uids[2], AT, maker="tests", text="wrong side"),
    ]
    files = [tmp_path / f"{number}.dcm" for number, _ in enumerate(made)]
    for file, one in zip(files, made, strict=True):
        data = encode(one, explicit=True)
        file.write_bytes(part10.write(Instance(one["SOPClassUID"], one["SOPInstanceUID"], EXPLICIT_LE, data)))

    async def send():
        async with archive() as (host, entity, _):
            ask, counts = host.simulators["pacs"].ask, []
            for file in files:
                code, said = await call(store, "-aec", entity.ae, entity.host, entity.port, file)
                assert code == 0, said
                counts.append((await ask("study", {"study": image["StudyInstanceUID"]}))["count"])
            state = host.simulators["pacs"].state
            shown = {one.sop for one in state.shown(image["StudyInstanceUID"])}
            return counts, shown, await ask("rejections", {"study": image["StudyInstanceUID"]})

    counts, shown, rejected = asyncio.run(send())
    assert counts == [1, 2, 3, 4]
    assert shown == {uids[0][1], uids[1][1]}  # neither what was rejected for safety nor the note about it
    assert image["SOPInstanceUID"] in str(rejected)


def test_pynetdicom_tells_our_department_what_is_available(tmp_path, ct_image):
    """An archive that is pynetdicom says what of a study is online (RAD-49); a notice without a status is refused."""
    from pydicom.dataset import Dataset
    from pynetdicom import AE
    from pynetdicom.sop_class import InstanceAvailabilityNotification

    image = ct_image(1)

    def notice(availability):
        item, series, told = Dataset(), Dataset(), Dataset()
        item.ReferencedSOPClassUID = image["SOPClassUID"]
        item.ReferencedSOPInstanceUID = image["SOPInstanceUID"]
        item.InstanceAvailability = availability
        item.RetrieveAETitle = "THEIRS"
        series.SeriesInstanceUID = image["SeriesInstanceUID"]
        series.ReferencedSOPSequence = [item]
        told.StudyInstanceUID = image["StudyInstanceUID"]
        told.ReferencedPerformedProcedureStepSequence = []
        told.ReferencedSeriesSequence = [series]
        return told

    def talk(door):
        theirs = AE("THEIRS")
        theirs.add_requested_context(InstanceAvailabilityNotification)
        association = theirs.associate(door.host, door.port, ae_title=door.ae)
        assert association.is_established
        statuses = [
            association.send_n_create(
                notice(term), InstanceAvailabilityNotification, uid("tests", "ian", term)
            )[0]
            for term in ("ONLINE", "SOMEWHERE")
        ]
        association.release()
        return [one.Status for one in statuses]

    async def run():
        host = Host(Plan({"ris": Part("ris")}), tmp_path / "state", 7)
        await host.start()
        try:
            statuses = await asyncio.to_thread(talk, host.directory["ris"].worklist)
            study = {"study": image["StudyInstanceUID"]}
            return statuses, await host.simulators["ris"].ask("availability", study)
        finally:
            await host.stop()

    statuses, known = asyncio.run(run())
    assert statuses == [0x0000, 0x0106]
    assert image["SOPInstanceUID"] in str(known)
    assert "ONLINE" in str(known)


def test_a_report_goes_from_their_archive_to_their_department(foreign_archive, tmp_path):
    """The reader finds a study at pynetdicom and tells python-hl7 what it saw (RAD-128)."""
    from hl7.mllp import start_hl7_server

    image, port, _ = foreign_archive
    heard = []

    async def connected(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not reader.at_eof():
                heard.append(await reader.readmessage())
                writer.writemessage(heard[-1].create_ack())
                await writer.drain()
        writer.close()

    async def report():
        server = await start_hl7_server(connected, "127.0.0.1", 0, encoding="latin-1")
        others = {
            "pacs": Address.parse({"dicom": f"dicom://THEIRS@127.0.0.1:{port}"}),
            "ris": Address(hl7=Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])),
        }
        host = Host(Plan({"reader": Part("reader")}, others), tmp_path / "state", 7)
        await host.start()
        try:
            async with server:
                told = {"accession": image["AccessionNumber"], "text": "No finding."}
                return await host.simulators["reader"].act("sign_report", told, CASE)
        finally:
            await host.stop()

    done = asyncio.run(report())
    (message,) = heard
    assert done["status"] == "F"
    assert (str(message["MSH.F9.R1.C1"]), str(message["MSH.F9.R1.C2"])) == ("ORU", "R01")
    assert str(message["PID.F3.R1.C1"]) == image["PatientID"]
    assert {"No finding.", image["StudyInstanceUID"]} <= {str(one[5]) for one in message.segments("OBX")}
    assert not complaints(str(message).encode())
