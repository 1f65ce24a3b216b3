"""pynetdicom as peer: its client to our server, our client to its server."""

import contextlib
import io
import threading

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, _config, build_role, evt

from stepwedge.errors import Refused
from stepwedge.wire import part10
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.results import Instance
from stepwedge.wire.services import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    MPPS,
    STUDY_FIND,
    STUDY_GET,
    STUDY_MOVE,
    VERIFICATION,
    WORKLIST,
)

CT = "1.2.840.10008.5.1.4.1.1.2"


def data_set(**values):
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def image(number, size=40_000):
    elements = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"2.25.{number}",
        "PatientName": "Muster^Max",
        "PatientID": "SW1",
        "StudyInstanceUID": "2.25.9",
        "PixelData": bytes(size),
    }
    return Instance(CT, f"2.25.{number}", EXPLICIT_LE, encode(elements, explicit=True))


@contextlib.contextmanager
def their_association(port, *classes, handlers=(), roles=()):
    entity = AE("PYNETDICOM")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    for sop_class in classes:
        entity.add_requested_context(sop_class, [EXPLICIT_LE, IMPLICIT_LE])
    association = entity.associate(
        "127.0.0.1", port, ae_title="ARCHIVE", ext_neg=list(roles), evt_handlers=list(handlers)
    )
    assert association.is_established
    yield association
    association.release()
    assert association.is_released


def test_their_client_stores_finds_and_echoes(station):
    archive = station()
    with their_association(archive.port, VERIFICATION, CT, STUDY_FIND) as association:
        assert association.send_c_echo().Status == 0
        stored = dcmread(io.BytesIO(part10.write(image(1))))
        assert association.send_c_store(stored).Status == 0
        query = data_set(QueryRetrieveLevel="STUDY", PatientName="muster*", StudyInstanceUID="")
        answers = list(association.send_c_find(query, STUDY_FIND))
    assert [status.Status for status, _ in answers] == [0xFF00, 0]
    assert answers[0][1].StudyInstanceUID == "2.25.9"
    assert archive.provider.held["2.25.1"].load() == image(1).data


def test_their_client_cancels_a_query(station):
    archive = station()

    async def endless(*_):
        import asyncio

        while True:
            yield {"PatientID": "SW1"}
            await asyncio.sleep(0.001)

    archive.provider.on_find = endless
    with their_association(archive.port, WORKLIST) as association:
        answers = association.send_c_find(data_set(PatientID=""), WORKLIST, msg_id=5)
        statuses = [next(answers)[0].Status]
        association.send_c_cancel(5, query_model=WORKLIST)
        statuses += [status.Status for status, _ in answers]
    assert statuses[-1] == 0xFE00
    assert set(statuses[:-1]) == {0xFF00}


def test_their_client_moves_and_gets(station):
    archive, reader = station(), station("READER")
    archive.provider.destinations["READER"] = reader.port
    received = []

    def store(event):
        received.append(event.request.AffectedSOPInstanceUID)
        return 0

    query = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.9")
    with their_association(
        archive.port,
        CT,
        STUDY_MOVE,
        STUDY_GET,
        handlers=[(evt.EVT_C_STORE, store)],
        roles=[build_role(CT, scu_role=True, scp_role=True)],
    ) as association:
        for number in range(3):
            assert association.send_c_store(dcmread(io.BytesIO(part10.write(image(number))))).Status == 0
        moved = [status for status, _ in association.send_c_move(query, "READER", STUDY_MOVE)]
        got = [status for status, _ in association.send_c_get(query, STUDY_GET)]
    for statuses in (moved, got):
        assert [status.Status for status in statuses] == [0xFF00, 0xFF00, 0]
        assert statuses[0].NumberOfRemainingSuboperations == 2
        assert statuses[-1].NumberOfCompletedSuboperations == 3
    assert sorted(received) == sorted(reader.provider.held) == ["2.25.0", "2.25.1", "2.25.2"]


def test_their_client_performs_and_commits(station):
    archive = station()
    events = []
    answered = threading.Event()

    def report(event):
        events.append(event.event_information.TransactionUID)
        return 0, None

    def sent(event):
        if (
            events
        ):  # the next that leaves is the answer; who releases before it did confuses their state machine
            answered.set()

    handlers = [(evt.EVT_N_EVENT_REPORT, report), (evt.EVT_PDU_SENT, sent)]
    with their_association(archive.port, MPPS, COMMITMENT, handlers=handlers) as association:
        step = data_set(PerformedProcedureStepStatus="IN PROGRESS")
        assert association.send_n_create(step, MPPS, "2.25.5")[0].Status == 0
        assert association.send_n_create(step, MPPS, "2.25.5")[0].Status == 0x0111
        status, changed = association.send_n_set(
            data_set(PerformedProcedureStepStatus="COMPLETED"), MPPS, "2.25.5"
        )
        assert (status.Status, changed.PerformedProcedureStepStatus) == (0, "COMPLETED")
        status, read = association.send_n_get([0x00400252], MPPS, "2.25.5")
        assert (status.Status, read.PerformedProcedureStepStatus) == (0, "COMPLETED")
        wanted = data_set(TransactionUID="2.25.6", ReferencedSOPSequence=[])
        assert association.send_n_action(wanted, 1, COMMITMENT, COMMITMENT_INSTANCE)[0].Status == 0
        assert answered.wait(10)
    assert events == ["2.25.6"]


def test_their_client_reports_on_a_new_association(station):
    archive = station()
    with their_association(
        archive.port, COMMITMENT, roles=[build_role(COMMITMENT, scu_role=False, scp_role=True)]
    ) as association:
        information = data_set(TransactionUID="2.25.6")
        status, _ = association.send_n_event_report(information, 1, COMMITMENT, COMMITMENT_INSTANCE)
        assert status.Status == 0
    assert archive.provider.events == [{"TransactionUID": "2.25.6"}]


# --- our client to their server ----------------------------------------------------------------------------------


@pytest.fixture
def theirs(monkeypatch):
    """Start pynetdicom servers: ``theirs(handlers, ...)`` returns the port."""
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    servers = []

    def start(*handlers, called=True):
        entity = AE("ARCHIVE")
        entity.require_called_aet = called
        for sop_class in (VERIFICATION, CT, WORKLIST, STUDY_FIND, STUDY_MOVE, MPPS, COMMITMENT):
            entity.add_supported_context(sop_class, [EXPLICIT_LE, IMPLICIT_LE])
        entity.add_supported_context(STUDY_GET, [EXPLICIT_LE, IMPLICIT_LE])
        for context in entity.supported_contexts:
            if context.abstract_syntax in {CT, COMMITMENT}:
                context.scu_role = context.scp_role = True
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
        servers.append(server)
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()


def ours(port, contexts, **settings):
    return Association.open(
        "127.0.0.1", port, calling="SW_TEST", called="ARCHIVE", contexts=contexts, timeout=10, **settings
    )


def test_our_client_stores_into_theirs(theirs):
    stored = {}

    def store(event):
        stored[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0xB007

    port = theirs((evt.EVT_C_STORE, store))
    with ours(port, [VERIFICATION, CT]) as association:
        assert association.echo().status == 0
        result = association.store(CT, "2.25.1", EXPLICIT_LE, image(1).data)
    assert (result.status, result.category) == (0xB007, "warning")
    assert stored == {"2.25.1": image(1).data}


def test_our_client_queries_theirs(theirs):
    def find(event):
        assert event.identifier.PatientID == "SW*"
        for number in range(3):
            yield 0xFF00, data_set(PatientID=f"SW{number}", PatientName="A^B")
        yield 0x0000, None

    with ours(theirs((evt.EVT_C_FIND, find)), [WORKLIST]) as association:
        answers = association.find(WORKLIST, {"PatientID": "SW*", "PatientName": ""})
    assert [each["PatientID"] for each in answers] == ["SW0", "SW1", "SW2"]
    assert answers.status == 0


def test_our_client_moves_and_gets_from_theirs(theirs, station):
    reader = station("READER")

    def instances():
        for number in range(3):
            yield 0xFF00, dcmread(io.BytesIO(part10.write(image(number))))

    def move(_):
        yield "127.0.0.1", reader.port, {"contexts": contexts}
        yield 3
        yield from instances()

    def get(_):
        yield 3
        yield from instances()

    from pynetdicom import build_context

    contexts = [build_context(CT, [EXPLICIT_LE])]
    port = theirs((evt.EVT_C_MOVE, move), (evt.EVT_C_GET, get))
    reader.acceptor.any_called = True
    with ours(port, [STUDY_MOVE, STUDY_GET, CT], scp_of=[CT]) as association:
        moved = association.move(
            STUDY_MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.9"}, "READER"
        )
        got = association.get(STUDY_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.9"})
    assert (moved.status, moved.completed, moved.failed) == (0, 3, 0)
    assert (got.status, got.completed, len(got.instances)) == (0, 3, 3)
    assert sorted(reader.provider.held) == ["2.25.0", "2.25.1", "2.25.2"]
    assert got.instances[0].data == image(0).data


def test_our_client_performs_in_theirs(theirs):
    seen = {}

    def create(event):
        seen["create"] = event.attribute_list.PerformedProcedureStepStatus
        return 0, event.attribute_list

    def change(event):
        seen["set"] = event.modification_list.PerformedProcedureStepStatus
        return 0x0110, None

    port = theirs((evt.EVT_N_CREATE, create), (evt.EVT_N_SET, change))
    with ours(port, [MPPS]) as association:
        created = association.create(MPPS, "2.25.5", {"PerformedProcedureStepStatus": "IN PROGRESS"})
        changed = association.set(MPPS, "2.25.5", {"PerformedProcedureStepStatus": "COMPLETED"})
    assert (created.status, changed.status, changed.category) == (0, 0x0110, "failure")
    assert seen == {"create": "IN PROGRESS", "set": "COMPLETED"}


def test_our_client_is_rejected_by_theirs(theirs):
    port = theirs()
    with pytest.raises(Refused, match="1/1/7"):
        Association.open(
            "127.0.0.1", port, calling="SW_TEST", called="OTHER", contexts=[VERIFICATION], timeout=10
        )


def test_our_client_hears_their_abort(theirs):
    def store(event):
        event.assoc.abort()
        return 0

    with pytest.raises(Refused, match="aborted"), ours(theirs((evt.EVT_C_STORE, store)), [CT]) as association:
        association.store(CT, "2.25.1", EXPLICIT_LE, image(1).data)
