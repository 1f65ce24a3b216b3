"""Both shells against our server: every service, sub-operations, cancel, events, limits."""

import asyncio
import contextlib
import inspect
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from scripted import Scripted

from stepwedge.errors import LinkLost, LocalProtocolError, NoAnswer, Refused, RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire import dimse_asyncio, negotiation, pdu
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
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
JPEG = "1.2.840.10008.1.2.4.50"
ALL = [VERIFICATION, WORKLIST, MPPS, COMMITMENT, STUDY_FIND, STUDY_MOVE, STUDY_GET, CT]


class Awaited:
    """The asyncio client with the blocking client's face, so that one test reads both."""

    def __init__(self, loop, association):
        self._loop, self._association = loop, association
        self.accepts, self.peer = association.accepts, association.peer

    def __getattr__(self, name):
        def call(*args, **kwargs):
            result = getattr(self._association, name)(*args, **kwargs)
            return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

        return call

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._loop.run_until_complete(self._association.__aexit__(kind, None, None))


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request):
    """Open an association with either shell."""
    loop = asyncio.new_event_loop()

    def open_(port, *, called="ARCHIVE", contexts=ALL, **settings):
        settings = {"calling": "SW_TEST", "called": called, "contexts": contexts, "timeout": 5.0, **settings}
        if request.param == "blocking":
            return Association.open("127.0.0.1", port, **settings)
        return Awaited(loop, loop.run_until_complete(dimse_asyncio.open("127.0.0.1", port, **settings)))

    yield open_
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def image(number, size=300):
    return encode(
        {
            "SOPClassUID": CT,
            "SOPInstanceUID": f"2.25.{number}",
            "PatientID": "SW1",
            "StudyInstanceUID": "2.25.9",
            "PixelData": bytes(size),
        },
        explicit=True,
    )


def fill(association, count):
    for number in range(count):
        assert association.store(CT, f"2.25.{number}", EXPLICIT_LE, image(number)).status == 0


# --- the services ------------------------------------------------------------------------------------------------


def test_echo(connect, station):
    archive = station()
    with connect(archive.port) as association:
        result = association.echo()
    assert (result.status, result.category) == (0, "success")
    assert archive.exchanges[0].kind == "C-ECHO"
    assert archive.exchanges[0].peer.calling == "SW_TEST"


@pytest.mark.parametrize("size", [0, 100, 16384, 131072 - 6, 1_000_000])
def test_store_keeps_every_byte(connect, station, size):
    archive = station()
    data = image(1, size)
    with connect(archive.port) as association:
        assert association.store(CT, "2.25.1", EXPLICIT_LE, data).status == 0
    assert archive.provider.held["2.25.1"].load() == data
    assert archive.exchanges[0].data == data


def test_store_writes_again_for_a_peer_that_only_takes_implicit(connect, station):
    archive = station()
    archive.acceptor.accepts = {CT: [IMPLICIT_LE]}
    with connect(archive.port, contexts=[CT]) as association:
        assert association.store(CT, "2.25.1", EXPLICIT_LE, image(1)).status == 0
    held = archive.provider.held["2.25.1"]
    assert held.transfer_syntax == IMPLICIT_LE
    assert decode(held.load(), explicit=False) == decode(image(1), explicit=True)


def test_store_without_an_accepted_context_is_refused_and_the_association_lives(connect, station):
    archive = station()
    with connect(archive.port, contexts=[VERIFICATION, (CT, [JPEG])]) as association:
        with pytest.raises(Refused, match="no presentation context"):
            association.store(CT, "2.25.1", JPEG, b"")
        assert association.echo().status == 0
        assert not association.accepts(CT)
        assert association.accepts(VERIFICATION)


def test_find(connect, station):
    archive = station()
    with connect(archive.port) as association:
        fill(association, 3)
        answers = association.find(
            STUDY_FIND, {"QueryRetrieveLevel": "IMAGE", "PatientID": "SW*", "SOPInstanceUID": ""}
        )
        none = association.find(STUDY_FIND, {"QueryRetrieveLevel": "IMAGE", "PatientID": "XX"})
    assert [each["SOPInstanceUID"] for each in answers] == ["2.25.0", "2.25.1", "2.25.2"]
    assert (answers.status, answers.category, len(answers)) == (0, "success", 3)
    assert answers[0]["PatientID"] == "SW1"
    assert (len(none), none.status) == (0, 0)
    exchange = archive.exchanges[-2]
    assert len(exchange.answers) == 3
    assert exchange.elements(exchange.data)["PatientID"] == "SW*"
    assert exchange.elements(exchange.answers[0])["SOPInstanceUID"] == "2.25.0"


def test_find_is_cancelled_after_the_limit(connect, station):
    archive = station()

    async def endless(peer, model, identifier):
        number = 0
        while True:
            yield {"PatientID": f"SW{number}"}
            await asyncio.sleep(0)
            number += 1

    archive.provider.on_find = endless
    with connect(archive.port) as association:
        answers = association.find(WORKLIST, {"PatientID": ""}, limit=5)
        assert association.echo().status == 0
    assert (answers.status, answers.category) == (0xFE00, "cancel")
    assert len(answers) >= 5


def test_find_gives_encoded_identifiers_and_plain_iterables(connect, station):
    archive = station()
    archive.provider.on_find = lambda *_: [encode({"PatientID": "SW1"}, explicit=True)] * 100
    for syntax in (EXPLICIT_LE, IMPLICIT_LE):
        with connect(archive.port, contexts=[(WORKLIST, [syntax])]) as association:
            assert list(association.find(WORKLIST, {"PatientID": ""})) == [{"PatientID": "SW1"}] * 100


def test_move_sends_to_a_third_system(connect, station):
    archive, reader = station(), station("READER")
    archive.provider.destinations["READER"] = reader.port
    with connect(archive.port) as association:
        fill(association, 3)
        result = association.move(
            STUDY_MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.9"}, "READER"
        )
    assert (result.status, result.completed, result.failed, result.warning) == (0, 3, 0, 0)
    assert result.pending == 2
    assert sorted(reader.provider.held) == ["2.25.0", "2.25.1", "2.25.2"]
    assert reader.provider.held["2.25.1"].load() == image(1)
    stored = reader.exchanges[0].request
    assert stored["MoveOriginatorApplicationEntityTitle"] == "SW_TEST"
    assert stored["MoveOriginatorMessageID"] == 4
    kinds = [(exchange.direction, exchange.kind) for exchange in archive.exchanges[3:]]
    assert kinds == [("out", "C-STORE")] * 3 + [("in", "C-MOVE")]


def test_move_counts_what_failed_and_names_it(connect, station):
    archive, reader = station(), station("READER")
    archive.provider.destinations["READER"] = reader.port
    original = reader.provider.on_store

    async def picky(peer, sop_class, sop_instance, *rest):
        return 0xA700 if sop_instance == "2.25.1" else await original(peer, sop_class, sop_instance, *rest)

    reader.provider.on_store = picky
    with connect(archive.port) as association:
        fill(association, 3)
        result = association.move(STUDY_MOVE, {"StudyInstanceUID": "2.25.9"}, "READER")
    assert (result.status, result.category) == (0xB000, "warning")
    assert (result.completed, result.failed) == (2, 1)
    assert result.failed_instances == ["2.25.1"]


def test_move_to_unknown_and_to_dead_destinations(connect, station):
    archive = station()
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        dead = placeholder.getsockname()[1]
    archive.provider.destinations["DEAD"] = dead
    with connect(archive.port) as association:
        fill(association, 2)
        unknown = association.move(STUDY_MOVE, {"StudyInstanceUID": "2.25.9"}, "NOBODY")
        gone = association.move(STUDY_MOVE, {"StudyInstanceUID": "2.25.9"}, "DEAD")
    assert (unknown.status, unknown.comment) == (0xA801, "unknown destination")
    assert (gone.status, gone.failed, gone.completed) == (0xA702, 2, 0)
    assert gone.failed_instances == ["2.25.0", "2.25.1"]


def test_move_is_cancelled(connect, station):
    archive, reader = station(), station("READER")
    archive.provider.destinations["READER"] = reader.port
    with connect(archive.port) as association:
        fill(association, 20)
        result = association.move(STUDY_MOVE, {"StudyInstanceUID": "2.25.9"}, "READER", limit=1)
    assert result.status == 0xFE00
    assert 1 <= result.completed < 20
    assert result.command["NumberOfRemainingSuboperations"] + result.completed == 20


def test_get_brings_instances_on_the_same_association(connect, station):
    archive = station()
    with connect(archive.port, scp_of=[CT]) as association:
        fill(association, 3)
        result = association.get(STUDY_GET, {"StudyInstanceUID": "2.25.9"})
        assert association.echo().status == 0
    assert (result.status, result.completed, len(result.instances)) == (0, 3, 3)
    assert result.instances[1].data == image(1)
    assert result.instances[1].transfer_syntax == EXPLICIT_LE


def test_get_without_a_storage_context_fails_by_count(connect, station):
    archive = station()
    with connect(archive.port) as association:
        fill(association, 2)
    with connect(archive.port, contexts=[STUDY_GET]) as association:
        result = association.get(STUDY_GET, {"StudyInstanceUID": "2.25.9"})
    assert (result.status, result.failed, result.instances) == (0xA702, 2, [])


def test_performed_procedure_step(connect, station):
    archive = station()
    with connect(archive.port) as association:
        created = association.create(MPPS, "2.25.5", {"PerformedProcedureStepStatus": "IN PROGRESS"})
        again = association.create(MPPS, "2.25.5", {"PerformedProcedureStepStatus": "IN PROGRESS"})
        chosen = association.create(MPPS, "", {"PerformedProcedureStepStatus": "IN PROGRESS"})
        changed = association.set(MPPS, "2.25.5", {"PerformedProcedureStepStatus": "COMPLETED"})
        read = association.get_attributes(MPPS, "2.25.5", ["00400252"])
        deleted = association.delete(MPPS, "2.25.5")
    assert (created.status, changed.status, deleted.status) == (0, 0, 0)
    assert (again.status, again.comment, again.category) == (0x0111, "there is one already", "failure")
    assert chosen.command["AffectedSOPInstanceUID"] == "2.25.77"
    assert read.attributes == changed.attributes == {"PerformedProcedureStepStatus": "COMPLETED"}
    assert ("N-GET", ["00400252"]) in archive.provider.calls


def test_commitment_result_on_the_same_association(connect, station):
    archive = station()
    information = {
        "TransactionUID": "2.25.6",
        "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "2.25.1"}],
    }
    with connect(archive.port) as association:
        assert association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, information).status == 0
        event = association.next_event(5)
        assert association.echo().status == 0
    assert (event.type, event.sop_class, event.attributes) == (1, COMMITMENT, information)


def test_commitment_result_on_a_new_association(connect, station):
    modality = station("SW_CT1")
    with connect(modality.port, called="SW_CT1", contexts=[COMMITMENT], scp_of=[COMMITMENT]) as association:
        result = association.report_event(COMMITMENT, COMMITMENT_INSTANCE, 1, {"TransactionUID": "2.25.6"})
    assert result.status == 0
    assert result.command["EventTypeID"] == 1
    assert modality.provider.events == [{"TransactionUID": "2.25.6"}]


def test_handlers_that_fail_answer_so_and_the_association_lives(connect, station):
    archive = station()
    archive.provider.failing = {"C-STORE": (0xA700, "disk full"), "C-FIND": (0xA900, "no such level")}
    archive.provider.on_set = None
    with connect(archive.port) as association:
        stored = association.store(CT, "2.25.1", EXPLICIT_LE, image(1))
        found = association.find(STUDY_FIND, {"PatientID": ""})
        broken = association.set(MPPS, "2.25.1", {"PatientID": "SW1"})
    assert (stored.status, stored.comment, stored.category) == (0xA700, "disk full", "failure")
    assert (found.status, found.comment, found.category) == (0xA900, "no such level", "failure")
    assert broken.status == 0x0110
    assert "TypeError" in archive.exchanges[-1].error


def test_what_nobody_serves_is_refused(connect, station):
    archive = station()
    archive.provider = archive.acceptor.provider = dimse_asyncio.Provider()
    with connect(archive.port) as association:
        assert association.echo().status == 0
        assert association.store(CT, "2.25.1", EXPLICIT_LE, image(1)).status == 0x0122
        assert association.find(WORKLIST, {"PatientID": ""}).status == 0x0122
        assert association.create(MPPS, "2.25.1", {"PatientID": ""}).status == 0x0211


# --- associations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "called", "numbers"),
    [
        ({}, "OTHER", "1/1/7"),
        ({"callers": frozenset({"SW_CT1"})}, "ARCHIVE", "1/1/3"),
        ({"max_associations": 0}, "ARCHIVE", "2/3/2"),
    ],
)
def test_rejections(connect, station, settings, called, numbers):
    archive = station(**settings)
    with pytest.raises(Refused, match=numbers):
        connect(archive.port, called=called)


def test_the_limit_is_transient_and_frees_itself(connect, station):
    archive = station(max_associations=1)
    with connect(archive.port) as first:
        with pytest.raises(Refused, match=r"2/3/2.*transient"):
            connect(archive.port)
        assert first.echo().status == 0
    deadline = time.monotonic() + 5
    while archive.server.associations and time.monotonic() < deadline:
        time.sleep(0.005)
    with connect(archive.port) as second:
        assert second.echo().status == 0


def test_any_called_title_when_told_so(connect, station):
    archive = station(any_called=True)
    with connect(archive.port, called="WHOEVER") as association:
        assert association.echo().status == 0


def test_nobody_listens(connect):
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    with pytest.raises(LinkLost, match="no connection"):
        connect(port)


def test_a_server_that_closes_ends_its_associations(connect, station):
    archive = station()
    association = connect(archive.port)
    assert association.echo().status == 0
    archive.run(archive.server.close())
    with pytest.raises((LinkLost, Refused)):
        association.echo()


def test_an_association_that_is_over_says_so(connect, station):
    archive = station()
    with connect(archive.port) as association:
        association.echo()
    with pytest.raises((LocalProtocolError, LinkLost)):
        association.echo()


# --- bad peers: a scripted server --------------------------------------------------------------------------------


def response(**changes):
    command = {
        "AffectedSOPClassUID": VERIFICATION,
        "CommandField": 0x8030,
        "MessageIDBeingRespondedTo": 1,
        "CommandDataSetType": 0x0101,
        "Status": 0,
        **changes,
    }
    command = {key: value for key, value in command.items() if value is not None}
    return b"".join(pdu.fragments(1, commands.encode(command), 0, is_command=True))


BAD_PEERS = {
    "no status": (["read", response(Status=None)], RemoteProtocolError, "0000,0900"),
    "another message": (["read", response(MessageIDBeingRespondedTo=9)], RemoteProtocolError, "Message ID 9"),
    "no message id": (
        ["read", response(MessageIDBeingRespondedTo=None)],
        RemoteProtocolError,
        "Message ID None",
    ),
    "another service": (["read", response(CommandField=0x8020)], RemoteProtocolError, "C-FIND-RSP"),
    "a request instead": (
        ["read", response(CommandField=0x0030, MessageID=1)],
        RemoteProtocolError,
        "C-ECHO-RQ",
    ),
    "garbage": (["read", b"HTTP/1.1 200 OK\r\n\r\n"], RemoteProtocolError, "PDU type"),
    "a giant PDU": (["read", b"\x04\0\xff\xff\xff\xff"], RemoteProtocolError, "4294967295"),
    "silence": (["read"], NoAnswer, "in time"),
    "half an answer": (["read", response()[:20]], NoAnswer, "in time"),
    "closes": (["read", "close"], LinkLost, "closed|ended|broke"),
    "closes in an answer": (["read", response()[:20], "close"], LinkLost, "closed|ended|broke"),
    "aborts": (["read", pdu.abort(0, 0), "close"], Refused, "application"),
    "aborts as provider": (["read", pdu.abort(2, 2), "close"], Refused, "unexpected PDU"),
    "releases": (["read", pdu.RELEASE_RQ], Refused, "released"),
}


@pytest.mark.parametrize(("says", "error", "hint"), BAD_PEERS.values(), ids=BAD_PEERS.keys())
def test_no_answer_is_ever_invented(connect, says, error, hint):
    peer = Scripted(*says)
    recorded = []
    association = connect(peer.port, contexts=[VERIFICATION], timeout=0.5, observer=recorded.append)
    with pytest.raises(error, match=hint):
        association.echo()
    words = {RemoteProtocolError: "protocol", NoAnswer: "timeout", LinkLost: "lost", Refused: "refused"}
    assert [(each.outcome, each.status) for each in recorded] == [(words[error], None)]
    with pytest.raises((LinkLost, LocalProtocolError, NoAnswer, Refused, RemoteProtocolError)):
        association.echo()
    association.abort()
    peer.close()
    if error in {RemoteProtocolError, NoAnswer}:
        assert b"\x07\0\0\0\0\4\0\0" in peer.received


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ([], NoAnswer),
        (["close"], LinkLost),
        (["read", "close"], LinkLost),
        (["read", b"220 ftp ready\r\n"], RemoteProtocolError),
        (["read", pdu.abort(2, 1), "close"], Refused),
        (["read", pdu.rejection(1, 1, 7), "close"], Refused),
        (["read", pdu.RELEASE_RP], RemoteProtocolError),
    ],
)
def test_association_answers_that_are_none(connect, says, error):
    peer = Scripted(*says, associate=False)
    with pytest.raises(error):
        connect(peer.port, timeout=0.5)
    peer.close()


def test_a_pending_answer_without_identifier_is_refused(connect):
    pending = response(CommandField=0x8020, AffectedSOPClassUID=WORKLIST, Status=0xFF00)
    peer = Scripted("read", pending)
    with pytest.raises(RemoteProtocolError, match="identifier"):
        connect(peer.port, contexts=[WORKLIST], timeout=0.5).find(WORKLIST, {"PatientID": ""})
    peer.close()


def test_a_find_without_its_final_status_is_never_an_answer(connect):
    pending = response(CommandField=0x8020, AffectedSOPClassUID=WORKLIST, Status=0xFF00, CommandDataSetType=1)
    match = b"".join(pdu.fragments(1, encode({"PatientID": "SW1"}, explicit=True), 0, is_command=False))
    peer = Scripted("read", pending + match, "close")
    recorded = []
    association = connect(peer.port, contexts=[WORKLIST], timeout=0.5, observer=recorded.append)
    with pytest.raises(LinkLost):
        association.find(WORKLIST, {"PatientID": ""})
    assert len(recorded[0].answers) == 1
    assert recorded[0].outcome == "lost"
    peer.close()


def test_an_answer_about_another_instance_is_refused(connect):
    said = response(CommandField=0x8001, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="2.25.99")
    peer = Scripted("read", said)
    with pytest.raises(RemoteProtocolError, match=r"2\.25\.99"):
        connect(peer.port, contexts=[CT], timeout=0.5).store(CT, "2.25.1", EXPLICIT_LE, image(1))
    peer.close()


def test_a_commitment_result_may_come_before_the_answer(connect):
    event = {
        "AffectedSOPClassUID": COMMITMENT,
        "AffectedSOPInstanceUID": COMMITMENT_INSTANCE,
        "CommandField": 0x0100,
        "MessageID": 77,
        "EventTypeID": 1,
    }
    information = encode({"TransactionUID": "2.25.6"}, explicit=True)
    early = [
        *pdu.fragments(1, commands.encode({**event, "CommandDataSetType": 1}), 0, is_command=True),
        *pdu.fragments(1, information, 0, is_command=False),
    ]
    late = response(CommandField=0x8130, AffectedSOPClassUID=COMMITMENT)
    peer = Scripted("read", b"".join(early), late)
    association = connect(peer.port, contexts=[COMMITMENT], timeout=1)
    assert association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, {"TransactionUID": "2.25.6"}).status == 0
    assert association.next_event(1).attributes == {"TransactionUID": "2.25.6"}
    association.abort()
    peer.close()


def test_a_lost_link_tells_what_was_sent():
    peer = Scripted("read", "close")
    association = Association.open("127.0.0.1", peer.port, calling="A", called="B", contexts=[CT], timeout=2)
    with pytest.raises(LinkLost, match=r"after \d+ PDUs \(\d+ of \d+ bytes\) were sent"):
        association.store(CT, "2.25.1", EXPLICIT_LE, bytes(30_000_000))
    peer.close()


# --- bad peers of the server -------------------------------------------------------------------------------------


def raw_association(archive, contexts=(VERIFICATION, CT, WORKLIST)):
    peer = socket.create_connection(("127.0.0.1", archive.port), 5)
    proposal = negotiation.Proposal("SW_RAW", "ARCHIVE", negotiation.contexts(contexts))
    peer.sendall(negotiation.write_proposal(proposal))
    assert peer.recv(65536)[0] == 2
    return peer


def until_closed(peer):
    peer.settimeout(5)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := peer.recv(65536):
            received += data
    return received


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x04\0\xff\xff\xff\xff", (2, 6)),
        (b"GET / HTTP/1.1\r\n\r\n", (2, 1)),
        (pdu.RELEASE_RP, (2, 2)),
        (b"".join(pdu.fragments(9, b"AB", 0, is_command=True)), (2, 6)),
        (b"".join(pdu.fragments(1, b"AB", 0, is_command=False)), (0, 0)),
        (response(), (0, 0)),
        (response(CommandField=0x0030, MessageIDBeingRespondedTo=None, Status=None), (0, 0)),
    ],
    ids=[
        "giant",
        "http",
        "release answer",
        "context",
        "data first",
        "a response to nothing",
        "no message id",
    ],
)
def test_the_server_aborts_with_the_reason_and_goes_on_serving(station, raw, reason):
    archive = station(artim=0.2)
    peer = raw_association(archive)
    peer.sendall(raw)
    assert until_closed(peer) == pdu.abort(*reason)
    peer.close()
    with Association.open(
        "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[VERIFICATION]
    ) as good:
        assert good.echo().status == 0


@pytest.mark.parametrize(
    "raw", [b"", b"\x01", b"\x01\0\0\0", b"\x01\0\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_a_silent_or_wrong_caller_is_dropped_by_artim(station, raw):
    archive = station(artim=0.2)
    with socket.create_connection(("127.0.0.1", archive.port), 5) as peer:
        peer.sendall(raw)
        began = time.monotonic()
        until_closed(peer)
        assert time.monotonic() - began < 3
    with Association.open(
        "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[VERIFICATION]
    ) as good:
        assert good.echo().status == 0


def test_an_idle_association_is_dropped(station):
    archive = station(idle=0.1, artim=0.1)
    assert until_closed(raw_association(archive)) == pdu.abort(0, 0)


def test_requests_with_missing_parts_are_answered_with_a_failure(station):
    archive = station()
    peer = raw_association(archive)
    missing = {
        "store without data set": (
            3,
            {"CommandField": 1, "AffectedSOPClassUID": CT, "AffectedSOPInstanceUID": "2.25.1"},
        ),
        "find without identifier": (5, {"CommandField": 0x20, "AffectedSOPClassUID": WORKLIST}),
        "store of another class": (3, {"CommandField": 1, "AffectedSOPClassUID": WORKLIST}),
        "no class": (1, {"CommandField": 0x30}),
        "unknown operation": (1, {"CommandField": 0x0999, "AffectedSOPClassUID": VERIFICATION}),
    }
    statuses = []
    for context_id, command in missing.values():
        command |= {"MessageID": 1, "CommandDataSetType": 0x0101}
        peer.sendall(b"".join(pdu.fragments(context_id, commands.encode(command), 0, is_command=True)))
        statuses.append(commands.decode(peer.recv(65536)[12:])["Status"])
    peer.close()
    assert statuses == [0xC000, 0xC000, 0x0122, 0x0110, 0x0211]


def test_a_reader_that_does_not_read_holds_nobody_else_up(station):
    archive = station()
    answer = encode({"PatientID": "SW1", "PatientComments": "x" * 10000}, explicit=True)
    archive.provider.on_find = lambda *_: [answer] * 20000
    peer = raw_association(archive)
    command = {"CommandField": 0x20, "AffectedSOPClassUID": WORKLIST, "MessageID": 1, "CommandDataSetType": 1}
    buffers = [*pdu.fragments(5, commands.encode(command), 0, is_command=True)]
    buffers += pdu.fragments(5, encode({"PatientID": ""}, explicit=True), 0, is_command=False)
    peer.sendall(b"".join(buffers))
    with Association.open(
        "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[VERIFICATION]
    ) as good:
        began = time.monotonic()
        assert good.echo().status == 0
        assert time.monotonic() - began < 1
    peer.close()


def test_comments_that_the_wire_cannot_carry_do_no_harm(station):
    archive = station()
    archive.provider.failing = {"C-ECHO": (0x0110, "Müller → " + "x" * 100)}
    with Association.open(
        "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[VERIFICATION]
    ) as good:
        assert good.echo().comment == "M?ller ? " + "x" * 55


def test_a_handler_that_cannot_reach_another_system_answers_so(station):
    archive = station()

    async def forward(*_):
        raise LinkLost("no connection to 127.0.0.1:1")

    archive.provider.on_store = forward
    with Association.open(
        "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[CT, VERIFICATION]
    ) as good:
        assert good.store(CT, "2.25.1", EXPLICIT_LE, image(1)).status == 0x0110
        assert good.echo().status == 0


def test_a_lost_scanner_is_recorded_as_lost(station):
    archive = station()
    begun = threading.Event()

    async def slow(*_):
        begun.set()
        for _ in range(1000):
            yield {"PatientID": "SW1"}
            await asyncio.sleep(0.001)

    archive.provider.on_find = slow
    peer = raw_association(archive)
    command = {"CommandField": 0x20, "AffectedSOPClassUID": WORKLIST, "MessageID": 1, "CommandDataSetType": 1}
    peer.sendall(b"".join(pdu.fragments(5, commands.encode(command), 0, is_command=True)))
    peer.sendall(b"".join(pdu.fragments(5, encode({"PatientID": ""}, explicit=True), 0, is_command=False)))
    assert begun.wait(5)
    peer.close()
    deadline = time.monotonic() + 5
    while not archive.exchanges and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [(each.outcome, each.status) for each in archive.exchanges] == [("lost", None)]


def test_an_observer_that_fails_ends_only_its_association(station):
    archive = station()
    archive.acceptor.observer = lambda _: 1 / 0
    with pytest.raises((LinkLost, Refused)):
        Association.open(
            "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[VERIFICATION]
        ).echo()
    archive.acceptor.observer = None
    with Association.open(
        "127.0.0.1", archive.port, calling="A", called="ARCHIVE", contexts=[VERIFICATION]
    ) as good:
        assert good.echo().status == 0


def test_another_application_context_is_rejected(station):
    archive = station()
    proposal = negotiation.Proposal(
        "A", "ARCHIVE", negotiation.contexts([VERIFICATION]), application_context="1.2.840.10008.3.1.1.2"
    )
    with socket.create_connection(("127.0.0.1", archive.port), 5) as peer:
        peer.sendall(negotiation.write_proposal(proposal))
        assert peer.recv(100) == pdu.rejection(1, 1, 2)


def test_large_requests_at_once_are_held_back(station):
    archive = station()
    data = bytes(30_000_000)
    command = {
        "CommandField": 1,
        "AffectedSOPClassUID": CT,
        "AffectedSOPInstanceUID": "2.25.1",
        "CommandDataSetType": 1,
    }
    raw = b"".join(
        b"".join(pdu.fragments(3, commands.encode({**command, "MessageID": number}), 0, is_command=True))
        + b"".join(pdu.fragments(3, data, 131072, is_command=False))
        for number in range(1, 6)
    )
    peer = raw_association(archive)
    threading.Thread(target=peer.sendall, args=(raw,), daemon=True).start()
    reader, statuses = pdu.Reader(), []
    while len(statuses) < 5:
        reader.receive_data(peer.recv(65536))
        while (unit := reader.next_pdu()) is not None:
            statuses.append(commands.decode(unit.body[6:])["Status"])
    peer.close()
    assert statuses == [0] * 5


def test_many_requests_at_once_are_served_in_order(station):
    archive = station()
    peer = raw_association(archive)
    raw = b""
    for number in range(1, 201):
        command = {"CommandField": 0x30, "AffectedSOPClassUID": VERIFICATION, "MessageID": number}
        command["CommandDataSetType"] = 0x0101
        raw += b"".join(pdu.fragments(1, commands.encode(command), 0, is_command=True))
    peer.sendall(raw)
    reader, answered = pdu.Reader(), []
    while len(answered) < 200:
        reader.receive_data(peer.recv(65536))
        while (unit := reader.next_pdu()) is not None:
            answered.append(commands.decode(unit.body[6:])["MessageIDBeingRespondedTo"])
    peer.close()
    assert answered == list(range(1, 201))


# --- gevent ------------------------------------------------------------------------------------------------------


def test_the_blocking_shell_works_under_gevent(station):
    pytest.importorskip("gevent")
    archive = station()
    script = f"""
from gevent import monkey; monkey.patch_all()
import gevent
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.services import VERIFICATION
active = most = 0
def work(number):
    global active, most
    active += 1; most = max(most, active)
    with Association.open("127.0.0.1", {archive.port}, calling="LOAD", called="ARCHIVE",
                          contexts=[VERIFICATION, "{CT}"], timeout=10) as association:
        for n in range(5):
            assert association.echo().status == 0
            data = bytes(200_000)
            assert association.store("{CT}", f"2.25.{{number}}{{n}}", "{EXPLICIT_LE}", data).status == 0
    active -= 1
jobs = [gevent.spawn(work, number) for number in range(8)]
gevent.joinall(jobs, raise_error=True, timeout=30)
print("most at once", most)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "most at once 8" in done.stdout
    assert len(archive.provider.held) == 40
