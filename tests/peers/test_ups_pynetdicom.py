"""Unified procedure steps over DIMSE with pynetdicom: one pushes, one pulls, one watches and hears events (PS3.4 annex CC)."""

from __future__ import annotations

import queue

import httpx
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
    UPSGlobalSubscriptionInstance,
)

from stepwedge.model.identifiers import uid
from stepwedge.sim.address import Address, Entity

pytestmark = pytest.mark.peer
PUSH = UnifiedProcedureStepPush
KEY = uid("tests", "transaction")


def workitem(patient="SW90000001", **more):
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    step.ScheduledProcedureStepPriority = "MEDIUM"
    step.ProcedureStepLabel = "Segment the liver"
    step.ScheduledProcedureStepStartDateTime = "20261124103000"
    step.InputReadinessState = "READY"
    step.ProcedureStepState = "SCHEDULED"
    step.TransactionUID = ""
    step.PatientID = patient
    step.PatientName = "Müller^Zoë"
    for key, value in more.items():
        setattr(step, key, value)
    return step


def said(**values):
    told = Dataset()
    for key, value in values.items():
        setattr(told, key, value)
    return told


@pytest.fixture
def watcher():
    """A pynetdicom application entity that hears event reports: ``(AE title, port, queue)``."""
    heard = queue.Queue()

    def on_event(event):
        heard.put(
            (
                str(event.request.AffectedSOPClassUID),
                str(event.request.AffectedSOPInstanceUID),
                event.event_type,
                event.event_information,
            )
        )
        return 0x0000, None

    entity = AE("WATCHER")
    entity.add_supported_context(UnifiedProcedureStepEvent, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_event)]
    )
    yield server.socket.getsockname()[1], heard
    server.shutdown()


@pytest.fixture
def archive(town, watcher):
    port, _ = watcher
    with town(pacs={}) as host:
        host.directory["watcher"] = Address(dicom=Entity("WATCHER", "127.0.0.1", port))
        yield host


def calling(host, *classes):
    door = host.directory["pacs"].dicom
    entity = AE("PUSHER")
    for one in classes:
        entity.add_requested_context(one)
    association = entity.associate(door.host, door.port, ae_title=door.ae)
    assert association.is_established
    return association


def test_one_pushes_one_pulls_and_the_web_shows_the_same(archive):
    item = uid("tests", "ups")
    pushing = calling(archive, PUSH)
    status, _ = pushing.send_n_create(workitem(), PUSH, item)
    assert status.Status == 0x0000
    assert pushing.send_n_create(workitem(), PUSH, item)[0].Status == 0x0111
    lacking = workitem()
    del lacking.ProcedureStepLabel
    assert pushing.send_n_create(lacking, PUSH, uid("tests", "ups", 2))[0].Status == 0x0121
    begun = workitem(ProcedureStepState="IN PROGRESS")
    assert pushing.send_n_create(begun, PUSH, uid("tests", "ups", 3))[0].Status == 0xC309
    real = workitem("REAL-4711")
    assert pushing.send_n_create(real, PUSH, uid("tests", "ups", 4))[0].Status == 0x0124
    pushing.release()

    pull = UnifiedProcedureStepPull
    pulling = calling(archive, pull, UnifiedProcedureStepQuery)
    for model in (pull, UnifiedProcedureStepQuery):
        keys = said(ProcedureStepState="SCHEDULED", ProcedureStepLabel="", PatientName="", SOPInstanceUID="")
        answers = list(pulling.send_c_find(keys, model))
        assert [one.Status for one, _ in answers] == [0xFF00, 0x0000]
        assert (answers[0][1].SOPInstanceUID, answers[0][1].PatientName) == (item, "Müller^Zoë")

    def act(state, key=KEY, number=1):
        asked = said(ProcedureStepState=state, TransactionUID=key)
        return pulling.send_n_action(asked, number, PUSH, item, meta_uid=pull)[0].Status

    def change(**values):
        return pulling.send_n_set(said(**values), PUSH, item, meta_uid=pull)[0].Status

    assert act("COMPLETED") == 0xC310
    assert act("IN PROGRESS", key="") == 0xC301
    assert act("IN PROGRESS") == 0x0000
    assert act("IN PROGRESS", key=uid("another")) == 0xC302
    assert act("SCHEDULED") == 0xC303
    assert change(ProcedureStepLabel="Segment the spleen", TransactionUID=uid("another")) == 0xC301
    assert change(ProcedureStepLabel="Segment the spleen", TransactionUID=KEY) == 0x0000
    assert act("COMPLETED") == 0xC304
    done = said(
        PerformedProcedureStepStartDateTime="20261124103000",
        PerformedProcedureStepEndDateTime="20261124103500",
    )
    assert change(UnifiedProcedureStepPerformedProcedureSequence=[done], TransactionUID=KEY) == 0x0000
    assert act("COMPLETED") == 0x0000
    assert act("COMPLETED") == 0xB306
    assert change(ProcedureStepLabel="too late", TransactionUID=KEY) == 0xC300
    status, shown = pulling.send_n_get([0x00741000, 0x00741204], PUSH, item, meta_uid=pull)
    assert (status.Status, shown.ProcedureStepState) == (0x0000, "COMPLETED")
    assert shown.ProcedureStepLabel == "Segment the spleen"
    assert len(shown) == 2
    _, whole = pulling.send_n_get([], PUSH, item, meta_uid=pull)
    assert (whole.PatientID, "TransactionUID" in whole) == ("SW90000001", False)
    assert pulling.send_n_get([], PUSH, uid("nothing"), meta_uid=pull)[0].Status == 0xC307
    pulling.release()
    web = httpx.get(f"{archive.directory['pacs'].web}/workitems/{item}").json()[0]
    assert web["00741000"]["Value"] == ["COMPLETED"]


def test_who_watches_hears_of_every_change_however_it_was_made(archive, watcher):
    _, heard = watcher
    watch, item, later = UnifiedProcedureStepWatch, uid("tests", "ups", 5), uid("tests", "ups", 6)
    root = archive.directory["pacs"].web
    association = calling(archive, PUSH, watch)
    assert association.send_n_create(workitem(), PUSH, item)[0].Status == 0

    def act(number, instance, **values):
        return association.send_n_action(said(**values), number, PUSH, instance, meta_uid=watch)[0].Status

    def report():
        sop_class, instance, kind, told = heard.get(timeout=10)
        assert sop_class == PUSH
        return instance, kind, told

    assert act(3, item, ReceivingAE="NOBODY", DeletionLock="FALSE") == 0xC308
    assert act(3, uid("nothing"), ReceivingAE="WATCHER", DeletionLock="FALSE") == 0xC307
    assert act(2, item, ReasonForCancellation="x") == 0x0000, "nobody had claimed it"
    assert act(3, item, ReceivingAE="WATCHER", DeletionLock="FALSE") == 0x0000
    instance, kind, told = report()
    assert (instance, kind, told.ProcedureStepState, told.ReasonForCancellation) == (item, 1, "CANCELED", "x")

    everything = UPSGlobalSubscriptionInstance
    assert act(5, item, ReceivingAE="WATCHER") == 0xC314
    assert act(3, everything, ReceivingAE="WATCHER", DeletionLock="FALSE") == 0x0000
    assert report()[0] == item
    assert association.send_n_create(workitem(), PUSH, later)[0].Status == 0
    instance, kind, told = report()
    assert (instance, kind, told.ProcedureStepState) == (later, 1, "SCHEDULED")
    claim = [{"00741000": {"vr": "CS", "Value": ["IN PROGRESS"]}, "00081195": {"vr": "UI", "Value": [KEY]}}]
    json = {"Content-Type": "application/dicom+json"}
    assert httpx.put(f"{root}/workitems/{later}/state", json=claim, headers=json).status_code == 200
    assert report()[2].ProcedureStepState == "IN PROGRESS"
    assert act(2, later, ReasonForCancellation="wrong patient") == 0x0000
    instance, kind, told = report()
    assert (instance, kind, told.ReasonForCancellation) == (later, 2, "wrong patient")
    assert told.RequestingAE == "PUSHER"

    assert act(5, everything, ReceivingAE="WATCHER") == 0x0000
    assert association.send_n_create(workitem(), PUSH, uid("tests", "ups", 7))[0].Status == 0
    progress = said(ProcedureStepProgress="50")
    change = said(ProcedureStepProgressInformationSequence=[progress], TransactionUID=KEY)
    assert association.send_n_set(change, PUSH, later)[0].Status == 0
    instance, kind, told = report()
    assert (instance, kind) == (later, 3), "nothing of what came after the suspension"
    assert told.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 50
    assert act(4, everything, ReceivingAE="WATCHER") == 0x0000
    assert act(2, later, ReasonForCancellation="again") == 0xC312, "nobody hears of it any more"
    association.release()
    assert heard.empty()
