"""The fast lane: it gives what an association gives, raises what an association raises, and never a success of its own."""

import socket
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from scripted import Scripted

from stepwedge.errors import LinkLost, LocalProtocolError, NoAnswer, Refused, RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire import pdu, pki
from stepwedge.wire.compiled import CompiledQuery, CompiledStudy
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.lane import Lane
from stepwedge.wire.results import Instance
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, STUDY_FIND, VERIFICATION
from stepwedge.wire.tls import Credentials
from stepwedge.wire.tls_asyncio import Gate

CT = "1.2.840.10008.5.1.4.1.1.2"
NAMES = ("SOPInstanceUID", "PatientID", "InstanceNumber")
PIXELS = 300_000


def image(size=PIXELS):
    elements = {
        "SOPClassUID": CT,
        "SOPInstanceUID": "2.25.1",
        "PatientID": "SW1",
        "InstanceNumber": "1",
        "PixelData": bytes(range(250)) * (size // 250),
    }
    return Instance(CT, "2.25.1", EXPLICIT_LE, encode(elements, explicit=True))


def values(number):
    return {"SOPInstanceUID": f"2.25.{number}", "PatientID": f"SW{number}", "InstanceNumber": str(number)}


def opened(port, contexts=(CT,), **more):
    given = {"calling": "SCANNER", "called": "ARCHIVE", "timeout": 5.0, **more}
    return Association.open("127.0.0.1", port, contexts=contexts, **given)


@pytest.fixture(params=["quick", "ordinary", "tls"])
def lane(request, station, tmp_path):
    """Return a lane to an archive, and the archive, by each way that bytes may leave."""
    archive, options = None, {}
    if request.param == "tls":
        pki.make(tmp_path / "pki", ["pacs", "probe"], hosts=("127.0.0.1",))
        archive = station(gate=Gate(Credentials.of_folder(tmp_path / "pki", "pacs")))
        options["context"] = Credentials.of_folder(tmp_path / "pki", "probe").client()
    else:
        archive = station()
        options["ordinary"] = request.param == "ordinary"
    with opened(archive.port, (CT, VERIFICATION, STUDY_FIND), **options) as association:
        yield Lane(association), archive


def test_images_arrive_each_with_its_own_identifiers(lane):
    sends, archive = lane
    study = CompiledStudy([image(), image(1000)], NAMES)
    for number in range(1, 13):
        result = sends.store(study, values(number), number)
        assert (result.status, result.category) == (0, "success")
        assert result.command["AffectedSOPInstanceUID"] == f"2.25.{number}"
    assert sends.association.echo().status == 0  # and the association goes on
    assert sends.store(study, values(13)).status == 0
    for number in range(1, 14):
        found = decode(archive.provider.held[f"2.25.{number}"].load(), explicit=True)
        wanted = decode(image(1000 if number % 2 and number < 13 else PIXELS).data, explicit=True)
        assert found == {**wanted, **values(number)}


def test_a_query_is_answered_as_an_association_is(lane):
    sends, _ = lane
    study = CompiledStudy([image(1000)], NAMES)
    for number in range(1, 31):
        sends.store(study, values(number))
    identifier = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "", "PatientID": ""}
    query = CompiledQuery(STUDY_FIND, identifier, ("PatientID",))
    for wanted, count in (("SW7", 1), ("SW1*", 11), ("", 30), ("SW99", 0)):
        found = sends.find(query, {"PatientID": wanted})
        usual = sends.association.find(STUDY_FIND, {**identifier, "PatientID": wanted})
        assert (len(found), found.status, found.category) == (count, 0, "success")
        assert found.raw == usual.raw
        assert [found[place] for place in range(count)] == usual.identifiers
    found = sends.find(query, {"PatientID": "SW7"})
    assert (found.text(0, "SOPInstanceUID"), found.text(0, "StudyID")) == ("2.25.7", None)


def test_a_failure_is_the_answer_it_is(lane):
    sends, archive = lane
    archive.provider.failing["C-STORE"] = (0xA700, "disk full")
    result = sends.store(CompiledStudy([image(1000)], NAMES), values(1))
    assert (result.status, result.category, result.comment) == (0xA700, "failure", "disk full")
    archive.provider.failing.clear()
    assert sends.store(CompiledStudy([image(1000)], NAMES), values(2)).status == 0


def test_an_ordinary_association_leaves_the_socket_as_it_comes(station):
    archive = station()
    for ordinary in (False, True):
        with opened(archive.port, ordinary=ordinary) as association:
            lane = Lane(association)
            lane.store(CompiledStudy([image(1000)], NAMES), values(1))
            no_delay = association.link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert bool(no_delay) is not ordinary
    assert lane.association.channel.upper.sent.pdus == 4  # association, command, data, release


# --- what no response is -----------------------------------------------------------------------------------------


def response(**changes):
    command = {
        "AffectedSOPClassUID": CT,
        "CommandField": 0x8001,
        "MessageIDBeingRespondedTo": 1,
        "CommandDataSetType": 0x0101,
        "Status": 0,
        "AffectedSOPInstanceUID": "2.25.1",
        **changes,
    }
    command = {key: value for key, value in command.items() if value is not None}
    return b"".join(pdu.fragments(1, commands.encode(command), 0, is_command=True))


def in_pieces(raw, size):
    """Cut a response into P-DATA-TF of ``size`` bytes each."""
    return b"".join(pdu.fragments(1, raw[12:], size, is_command=True))


def in_values(raw):
    """Carry the same in one P-DATA-TF of two values."""
    first, second = raw[12:40], raw[40:]
    body = b"".join(
        (len(part) + 2).to_bytes(4) + bytes((1, control)) + part
        for part, control in ((first, 1), (second, 3))
    )
    return b"\4\0" + len(body).to_bytes(4) + body


EVENT = {
    "AffectedSOPClassUID": COMMITMENT,
    "AffectedSOPInstanceUID": COMMITMENT_INSTANCE,
    "CommandField": 0x0100,
    "MessageID": 77,
    "EventTypeID": 1,
    "CommandDataSetType": 1,
}
TOLD = b"".join(
    (
        *pdu.fragments(1, commands.encode(EVENT), 0, is_command=True),
        *pdu.fragments(1, encode({"TransactionUID": "2.25.6"}, explicit=True), 0, is_command=False),
    )
)
UNUSUAL = {
    "in many PDUs": [in_pieces(response(), 17)],
    "in two values": [in_values(response())],
    "byte by byte": [response()[at : at + 1] for at in range(len(response()))],
    "without the instance": [response(AffectedSOPInstanceUID=None)],
    "behind an event": [TOLD + response()],
    "before an event": [response() + TOLD],
}


@pytest.mark.parametrize("says", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_a_response_may_come_in_any_form(says):
    peer = Scripted("read", *says, "read", response(MessageIDBeingRespondedTo=2), "read")
    association = opened(peer.port)
    lane, study = Lane(association), CompiledStudy([image(1000)], NAMES)
    assert lane.store(study, values(1)).status == 0
    assert lane.store(study, values(1)).status == 0
    if TOLD in b"".join(says):
        assert association.next_event(1).attributes == {"TransactionUID": "2.25.6"}
    association.abort()
    peer.close()


BAD_PEERS = {
    "no status": ([response(Status=None)], RemoteProtocolError, "0000,0900"),
    "another message": ([response(MessageIDBeingRespondedTo=9)], RemoteProtocolError, "Message ID 9"),
    "another service": ([response(CommandField=0x8020)], RemoteProtocolError, "C-FIND-RSP"),
    "another instance": ([response(AffectedSOPInstanceUID="2.25.99")], RemoteProtocolError, "2.25.99"),
    "a request instead": ([response(CommandField=1, MessageID=1)], RemoteProtocolError, "C-STORE-RQ"),
    "an empty PDU": ([b"\4\0\0\0\0\0"], RemoteProtocolError, "without a presentation"),
    "an empty command": (
        [b"".join(pdu.fragments(1, b"", 0, is_command=True))],
        RemoteProtocolError,
        "Command Field",
    ),
    "a broken command": (
        [response()[:-10] + b"\xff\xff\xff\x7f" + response()[-6:]],
        RemoteProtocolError,
        "announces",
    ),
    "a data set only": (
        [b"".join(pdu.fragments(1, b"12", 0, is_command=False))],
        RemoteProtocolError,
        "interleaved",
    ),
    "another context": (
        [response()[:10] + b"\5" + response()[11:]],
        RemoteProtocolError,
        "context 5",
    ),
    "garbage": ([b"HTTP/1.1 200 OK\r\n\r\n"], RemoteProtocolError, "PDU type"),
    "a giant PDU": ([b"\x04\0\xff\xff\xff\xff"], RemoteProtocolError, "4294967295"),
    "silence": ([], NoAnswer, "in time"),
    "half an answer": ([response()[:20]], NoAnswer, "in time"),
    "closes": (["close"], LinkLost, "closed|ended|broke"),
    "closes in an answer": ([response()[:20], "close"], LinkLost, "closed|ended|broke"),
    "aborts": ([pdu.abort(0, 0), "close"], Refused, "application"),
    "aborts as provider": ([pdu.abort(2, 2), "close"], Refused, "unexpected PDU"),
    "releases": ([pdu.RELEASE_RQ], Refused, "released"),
}


@pytest.mark.parametrize("ordinary", [False, True])
@pytest.mark.parametrize(("says", "error", "hint"), BAD_PEERS.values(), ids=BAD_PEERS.keys())
def test_no_answer_is_ever_invented(says, error, hint, ordinary):
    peer = Scripted("read", *says)
    association = opened(peer.port, timeout=0.4, ordinary=ordinary)
    lane, study = Lane(association), CompiledStudy([image(1000)], NAMES)
    with pytest.raises(error, match=hint):
        lane.store(study, values(1))
    with pytest.raises(LocalProtocolError, match="over"):
        lane.store(study, values(1))
    peer.close()


def test_a_pending_answer_without_identifier_and_an_endless_query_are_refused():
    pending = response(CommandField=0x8020, Status=0xFF00, AffectedSOPInstanceUID=None)
    peer = Scripted("read", pending)
    lane = Lane(opened(peer.port, (STUDY_FIND,)))
    with pytest.raises(RemoteProtocolError, match="identifier"):
        lane.find(CompiledQuery(STUDY_FIND, {"PatientID": ""}, ("PatientID",)), {"PatientID": "SW1"})
    peer.close()


def test_a_query_without_its_final_status_is_never_an_answer():
    pending = response(
        CommandField=0x8020, Status=0xFF00, AffectedSOPInstanceUID=None, CommandDataSetType=1
    ) + b"".join(pdu.fragments(1, encode({"PatientID": "SW1"}, explicit=True), 0, is_command=False))
    peer = Scripted("read", pending, "close")
    lane = Lane(opened(peer.port, (STUDY_FIND,)))
    with pytest.raises(LinkLost):
        lane.find(CompiledQuery(STUDY_FIND, {"PatientID": ""}, ("PatientID",)), {"PatientID": "SW1"})
    peer.close()


@pytest.mark.parametrize("ordinary", [False, True])
def test_a_peer_that_stops_reading_is_no_answer_and_one_that_goes_is_lost(ordinary):
    big = CompiledStudy([image(30_000_000)], NAMES)
    peer = Scripted("read", "close")
    lane = Lane(opened(peer.port, ordinary=ordinary))
    with pytest.raises(LinkLost, match=r"after \d+ PDUs \(\d+ of 30\d+ bytes\) were sent"):
        lane.store(big, values(1))
    peer.close()
    peer = Scripted("hold")
    lane = Lane(opened(peer.port, timeout=0.5, ordinary=ordinary))
    with pytest.raises(NoAnswer, match=r"after [1-9]\d* PDUs"):
        lane.store(big, values(1))
    peer.close()


# --- the oracle: pynetdicom receives -----------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", [EXPLICIT_LE, IMPLICIT_LE])
@pytest.mark.parametrize("max_pdu", [4096, 16384, 131072])
def test_pynetdicom_gets_what_pydicom_would_have_sent(transfer, max_pdu):
    from pydicom.filebase import DicomFileLike
    from pydicom.filereader import read_dataset
    from pydicom.filewriter import write_dataset
    from pynetdicom import AE, evt

    held = []

    def store(event):
        held.append((event.request.AffectedSOPInstanceUID, event.request.DataSet.getvalue()))
        return 0

    entity = AE("ARCHIVE")
    entity.maximum_pdu_size = max_pdu
    entity.add_supported_context(CT, transfer)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    explicit = transfer == EXPLICIT_LE
    try:
        with opened(server.server_address[1], [(CT, [transfer])], timeout=20) as association:
            lane, study = Lane(association), CompiledStudy([image()], NAMES)
            for number in (3, 44, 555):
                assert lane.store(study, values(number)).status == 0
    finally:
        server.shutdown()
    for (sop, raw), number in zip(held, (3, 44, 555), strict=True):
        wanted = read_dataset(BytesIO(image().data), is_implicit_VR=False, is_little_endian=True)
        for name, value in values(number).items():
            setattr(wanted, name, value)
        written = DicomFileLike(BytesIO())
        written.is_little_endian, written.is_implicit_VR = True, not explicit
        write_dataset(written, wanted)
        assert (sop, raw) == (f"2.25.{number}", written.parent.getvalue())


# --- gevent, threads ---------------------------------------------------------------------------------------------


def test_many_lanes_share_one_study_under_gevent(station):
    pytest.importorskip("gevent")
    archive = station()
    script = f"""
from gevent import monkey; monkey.patch_all()
import sys, gevent
sys.path.append({str(Path(__file__).parent)!r})
from test_lane import CompiledStudy, Lane, NAMES, image, opened, values
study = CompiledStudy([image()], NAMES)
def work(number):
    with opened({archive.port}, timeout=20) as association:
        lane = Lane(association)
        for each in range(5):
            assert lane.store(study, values(number * 10 + each)).status == 0
gevent.joinall([gevent.spawn(work, number) for number in range(1, 9)], raise_error=True, timeout=40)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    check_all(archive)


def test_many_lanes_share_one_study_in_threads(station):
    archive, study = station(), CompiledStudy([image()], NAMES)

    def work(number):
        with opened(archive.port, timeout=20) as association:
            lane = Lane(association)
            for each in range(5):
                assert lane.store(study, values(number * 10 + each)).status == 0

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_all(archive)


def check_all(archive):
    """Find 40 images, each with identifiers that belong together."""
    assert len(archive.provider.held) == 40
    for sop, held in archive.provider.held.items():
        found = decode(held.load(), explicit=True)
        assert (found["SOPInstanceUID"], found["PatientID"]) == (sop, f"SW{sop[5:]}")
