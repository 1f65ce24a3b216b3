"""Performed steps and availability notices with pynetdicom; key objects as DCMTK reads them."""

from __future__ import annotations

import asyncio
import queue
from datetime import UTC, datetime

import pytest

from stepwedge.model.identifiers import uid
from stepwedge.sim import keyobjects
from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

pytestmark = pytest.mark.peer


def ending(image):
    """Return the N-SET that completes a step of one image."""
    from pydicom.dataset import Dataset

    item, series, ended = Dataset(), Dataset(), Dataset()
    item.ReferencedSOPClassUID = image["SOPClassUID"]
    item.ReferencedSOPInstanceUID = image["SOPInstanceUID"]
    series.ReferencedImageSequence = [item]
    ended.PerformedProcedureStepStatus = "COMPLETED"
    ended.PerformedSeriesSequence = [series]
    return ended


def test_pynetdicom_tells_of_a_step_and_hears_what_is_available(tmp_path, ct_image):
    from pydicom.dataset import Dataset
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import (
        CTImageStorage,
        InstanceAvailabilityNotification,
        ModalityPerformedProcedureStep,
    )

    heard = queue.Queue()

    def on_create(event):
        heard.put(event.attribute_list)
        return 0x0000, event.attribute_list

    hearer = AE("HEARER")
    hearer.add_supported_context(InstanceAvailabilityNotification)
    server = hearer.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_CREATE, on_create)])
    image, step = ct_image(1), uid("tests", "mpps")

    def talk(door):
        scanner = AE("SCANNER")
        scanner.add_requested_context(ModalityPerformedProcedureStep)
        scanner.add_requested_context(CTImageStorage, EXPLICIT_LE)
        association = scanner.associate(door.host, door.port, ae_title=door.ae)
        assert association.is_established
        begun = Dataset()
        begun.PerformedProcedureStepStatus = "IN PROGRESS"
        begun.PatientID = image["PatientID"]
        association.send_n_create(begun, ModalityPerformedProcedureStep, step)
        path = tmp_path / "image.dcm"
        data = encode(image, explicit=True)
        path.write_bytes(
            part10.write(Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, data))
        )
        assert association.send_c_store(path).Status == 0
        ended = ending(image)
        status, _ = association.send_n_set(ended, ModalityPerformedProcedureStep, step)
        association.release()
        assert status.Status == 0
        return heard.get(timeout=10)

    async def run():
        port = server.socket.getsockname()[1]
        others = {"ris": Address.parse({"dicom": f"dicom://HEARER@127.0.0.1:{port}"})}
        host = Host(Plan({"pacs": Part("pacs")}, others), tmp_path / "state", 7)
        await host.start()
        try:
            return await asyncio.to_thread(talk, host.directory["pacs"].dicom)
        finally:
            await host.stop()

    try:
        notice = asyncio.run(run())
    finally:
        server.shutdown()
    assert notice.StudyInstanceUID == image["StudyInstanceUID"]
    assert notice.ReferencedPerformedProcedureStepSequence[0].ReferencedSOPInstanceUID == step
    (told,) = notice.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (told.InstanceAvailability, told.ReferencedSOPInstanceUID) == ("ONLINE", image["SOPInstanceUID"])
    assert told.RetrieveAETitle == "SW_PACS"


def test_dcmtk_reads_a_rejection_note(program, call, tmp_path, ct_image):
    images = [ct_image(1), ct_image(2)]
    uids = uid("tests", "series of notes"), uid("tests", "note")
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    note = keyobjects.selection("113037", images[0], images, uids, at, maker="tests", text="wrong side")
    file = tmp_path / "note.dcm"
    data = encode(note, explicit=True)
    file.write_bytes(part10.write(Instance(note["SOPClassUID"], uids[1], EXPLICIT_LE, data)))

    async def read():
        return await call(program("dsr2xml"), file)

    code, said = asyncio.run(read())
    assert code == 0, said
    assert "Rejected for Patient Safety Reasons" in said
    assert all(one["SOPInstanceUID"] in said for one in images)
