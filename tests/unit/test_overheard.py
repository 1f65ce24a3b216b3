"""An association heard by a third: every operation once, however its bytes are cut; what cannot be followed is said, not guessed."""

from __future__ import annotations

import hashlib
import random

import pytest

from stepwedge.wire import pdu
from stepwedge.wire.command import NO_DATA_SET
from stepwedge.wire.dimse import Channel, DimseExchange, Message
from stepwedge.wire.dul import Abort, NeedData, Release, Released, UpperLayer
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.negotiation import CALLED_UNKNOWN, Proposal, Role, answer, contexts
from stepwedge.wire.overheard import ACCEPTOR, HEAD, MOST_ANSWERS, REQUESTOR, Incident, Overheard, Part, Room
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, MPPS, VERIFICATION, WORKLIST

CT = "1.2.840.10008.5.1.4.1.1.2"
CLASSES = [VERIFICATION, WORKLIST, MPPS, COMMITMENT, CT]
ECHO, FIND, STEP, COMMIT, IMAGE = 1, 3, 5, 7, 9


class Talk:
    """Two systems, and every byte that passed between them."""

    def __init__(self, *, accept=True):
        self.ends = (Channel(UpperLayer(requestor=True)), Channel(UpperLayer(requestor=False)))
        self.said = []
        proposal = Proposal("SW_CT1", "PACS", contexts(CLASSES), roles=(Role(CT, scu=False, scp=True),))
        self.primitive(REQUESTOR, proposal)
        accepts = dict.fromkeys(CLASSES, (EXPLICIT_LE, IMPLICIT_LE))
        self.primitive(ACCEPTOR, answer(proposal, accepts, 16384) if accept else CALLED_UNKNOWN)

    def pass_on(self, side, raw):
        other = self.ends[1 - side]
        other.upper.receive_data(raw)
        while not isinstance(other.next_event(), NeedData):
            pass
        self.said.append((side, raw))

    def primitive(self, side, primitive):
        self.pass_on(side, self.ends[side].send(primitive))

    def say(self, side, context, data=b"", **command):
        data = encode(data, explicit=True) if isinstance(data, dict) else data
        command = {**command, "CommandDataSetType": 1 if data else NO_DATA_SET}
        raw = b"".join(self.ends[side].send_message(Message(context, command, data)))
        self.pass_on(side, raw)

    def ask(self, side, context, field, number, data=b"", **more):
        self.say(side, context, data, CommandField=field, MessageID=number, **more)

    def reply(self, side, context, field, number, status=0, data=b"", **more):
        self.say(
            side,
            context,
            data,
            CommandField=field | 0x8000,
            MessageIDBeingRespondedTo=number,
            Status=status,
            **more,
        )


def whole_talk():
    talk = Talk()
    talk.ask(REQUESTOR, ECHO, 0x30, 1, AffectedSOPClassUID=VERIFICATION)
    talk.reply(ACCEPTOR, ECHO, 0x30, 1, AffectedSOPClassUID=VERIFICATION)
    talk.ask(REQUESTOR, FIND, 0x20, 2, {"AccessionNumber": "A1"}, AffectedSOPClassUID=WORKLIST, Priority=0)
    for patient in ("SW1", "SW2"):
        talk.reply(ACCEPTOR, FIND, 0x20, 2, 0xFF00, {"PatientID": patient})
    talk.reply(ACCEPTOR, FIND, 0x20, 2)
    talk.ask(
        REQUESTOR,
        STEP,
        0x140,
        3,
        {"PerformedProcedureStepStatus": "IN PROGRESS"},
        AffectedSOPClassUID=MPPS,
        AffectedSOPInstanceUID="1.2.3",
    )
    talk.reply(ACCEPTOR, STEP, 0x140, 3, AffectedSOPInstanceUID="1.2.3")
    image = {"SOPInstanceUID": "1.9", "PatientID": "SW1", "PixelData": bytes(range(256)) * 300}
    talk.ask(REQUESTOR, IMAGE, 1, 4, image, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.9", Priority=0)
    talk.reply(ACCEPTOR, IMAGE, 1, 4, 0xA700, AffectedSOPInstanceUID="1.9")
    talk.ask(
        REQUESTOR,
        COMMIT,
        0x130,
        5,
        {"TransactionUID": "1.7"},
        RequestedSOPClassUID=COMMITMENT,
        RequestedSOPInstanceUID=COMMITMENT_INSTANCE,
        ActionTypeID=1,
    )
    talk.reply(ACCEPTOR, COMMIT, 0x130, 5)
    talk.ask(
        ACCEPTOR,
        COMMIT,
        0x100,
        1,
        {"TransactionUID": "1.7"},
        AffectedSOPClassUID=COMMITMENT,
        AffectedSOPInstanceUID=COMMITMENT_INSTANCE,
        EventTypeID=1,
    )
    talk.reply(REQUESTOR, COMMIT, 0x100, 1)
    talk.primitive(REQUESTOR, Release())
    talk.primitive(ACCEPTOR, Released())
    return talk


def heard(said, room=None, cut=lambda data: [data]):
    association, told = Overheard(room or Room()), []
    for at, (side, data) in enumerate(said):
        for piece in cut(data):
            told += association.heard(side, piece, float(at))
    return [*told, *association.over(float(len(said)))]


def summary(told):
    return [
        (one.kind, one.direction, one.status, one.data, tuple(one.answers))
        if isinstance(one, DimseExchange)
        else one
        for one in told
    ]


def test_every_operation_both_ways():
    told = heard(whole_talk().said)
    assert [(one.kind, one.direction, one.status) for one in told] == [
        ("C-ECHO", "in", 0),
        ("C-FIND", "in", 0),
        ("N-CREATE", "in", 0),
        ("C-STORE", "in", 0xA700),
        ("N-ACTION", "in", 0),
        ("N-EVENT-REPORT", "out", 0),
    ]
    _, find, create, store, _, event = told
    assert find.elements(find.data)["AccessionNumber"] == "A1"
    assert [find.elements(one)["PatientID"] for one in find.answers] == ["SW1", "SW2"]
    assert create.request["AffectedSOPInstanceUID"] == "1.2.3"
    assert store.elements(store.data, stop_before_pixels=False)["PixelData"][:3] == b"\0\1\2"
    assert store.context.transfer == EXPLICIT_LE
    assert store.took == 1.0
    assert (event.peer.calling, event.peer.called) == ("SW_CT1", "PACS")


@pytest.mark.parametrize("seed", range(5))
def test_how_bytes_are_cut_changes_nothing(seed):
    rng = random.Random(seed)  # noqa: S311 - it must be repeatable, not secret

    def cut(data):
        while data:
            size = rng.choice((1, 2, 5, 7, 100, 16390, 70000))
            yield data[:size]
            data = data[size:]

    said = whole_talk().said
    assert summary(heard(said, cut=cut)) == summary(heard(said))


def test_what_is_too_long_to_hold_is_hashed_and_counted():
    talk, pixels = Talk(), bytes(3 << 20)
    image = {"SOPInstanceUID": "1.9", "PatientID": "SW1", "PixelData": pixels}
    raw = encode(image, explicit=True)
    talk.ask(REQUESTOR, IMAGE, 1, 4, raw, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.9", Priority=0)
    talk.reply(ACCEPTOR, IMAGE, 1, 4)
    room = Room(10 << 20, each=2 << 20)
    (store, _) = heard(talk.said, room)
    assert isinstance(store.data, Part)
    assert (len(store.data), store.data.size) == (HEAD, len(raw))
    assert store.data.sha256 == hashlib.sha256(raw).hexdigest()
    assert store.elements(store.data)["PatientID"] == "SW1"
    assert room.left == 10 << 20


def test_room_is_given_back_whatever_happens():
    talk = whole_talk()
    room = Room(50_000)  # an image does not fit
    told = heard(talk.said, room)
    assert isinstance(told[3].data, Part)
    assert room.left == 50_000
    for count in range(1, len(talk.said)):
        said = [*talk.said[:count], (talk.said[count][0], talk.said[count][1][:-1])]
        heard(said, room)
        assert room.left == 50_000


def test_answers_are_bounded_and_counted():
    talk = Talk()
    talk.ask(REQUESTOR, FIND, 0x20, 2, {"AccessionNumber": ""}, AffectedSOPClassUID=WORKLIST, Priority=0)
    for _ in range(MOST_ANSWERS + 20):
        talk.reply(ACCEPTOR, FIND, 0x20, 2, 0xFF00, {"PatientID": "SW1"})
    talk.reply(ACCEPTOR, FIND, 0x20, 2)
    find, _ = heard(talk.said)
    assert len(find.answers) == MOST_ANSWERS + 20
    assert sum(map(bool, find.answers)) == MOST_ANSWERS


def test_a_rejection_an_abort_and_a_loss():
    (rejected,) = heard(Talk(accept=False).said)
    assert (rejected.kind, rejected.outcome) == ("A-ASSOCIATE", "refused")
    assert "called AE title not recognized" in rejected.error

    talk = Talk()
    talk.ask(REQUESTOR, ECHO, 0x30, 1, AffectedSOPClassUID=VERIFICATION)
    (echo, lost) = [*heard(talk.said), None]
    assert (echo.outcome, echo.status, lost) == ("lost", None, None)

    talk.pass_on(ACCEPTOR, talk.ends[ACCEPTOR].send(Abort(0, 0)))
    echo, aborted = heard(talk.said)
    assert (echo.outcome, aborted.kind, aborted.side) == ("refused", "A-ABORT", ACCEPTOR)
    assert "PACS" in aborted.error

    (idle,) = heard(Talk().said)
    assert (idle.kind, idle.outcome) == ("A-ASSOCIATE", "lost")


def test_a_message_cut_off_is_told_without_a_data_set():
    talk = whole_talk()
    at = next(number for number, (_, data) in enumerate(talk.said) if len(data) > 50_000)
    *_, cut = heard([*talk.said[:at], (REQUESTOR, talk.said[at][1][:40_000])])
    assert isinstance(cut, Incident)
    assert (cut.kind, cut.outcome, cut.command["AffectedSOPInstanceUID"]) == ("C-STORE", "lost", "1.9")


@pytest.mark.parametrize(
    "bad",
    [
        (REQUESTOR, b"GET / HTTP/1.1\r\n\r\n"),
        (REQUESTOR, b"\x16\x03\x01\x02\x00\x01"),
        (ACCEPTOR, pdu.write(pdu.Kind.P_DATA_TF, b"")),
        (REQUESTOR, pdu.write(pdu.Kind.P_DATA_TF, b"\0\0\0\4\x63\3ab")),
        (ACCEPTOR, pdu.write(pdu.Kind.ASSOCIATE_RQ, bytes(68))),
        (REQUESTOR, b"\4\0\xff\xff\xff\xff"),
        (ACCEPTOR, pdu.write(pdu.Kind.ABORT, b"")),
    ],
)
def test_what_cannot_be_followed_is_said_once(bad):
    association, talk = Overheard(Room()), Talk()
    for side, data in talk.said:
        assert list(association.heard(side, data, 0.0)) == []
    (told,) = association.heard(*bad, 1.0)
    assert (told.kind, told.outcome) == ("unreadable", "garbled")
    assert told.error
    assert list(association.heard(*bad, 2.0)) == []
    assert list(association.over(3.0)) == []


def test_an_answer_to_nothing_is_told_and_the_rest_is_read():
    talk = Talk()
    talk.reply(ACCEPTOR, ECHO, 0x30, 9)
    talk.ask(REQUESTOR, ECHO, 0x30, 1, AffectedSOPClassUID=VERIFICATION)
    talk.reply(ACCEPTOR, ECHO, 0x30, 1)
    stray, echo, _ = heard(talk.said)
    assert (stray.kind, stray.outcome) == ("C-ECHO-RSP", "garbled")
    assert echo.status == 0


def test_thousands_of_broken_streams_raise_nothing():
    rng, said = random.Random(7), b"".join(data for side, data in whole_talk().said if side == REQUESTOR)  # noqa: S311 - it must be repeatable, not secret
    said = said[:3000]
    for _ in range(3000):
        data = bytearray(said)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        association = Overheard(Room(1 << 20))
        list(association.heard(REQUESTOR, bytes(data), 0.0))
        list(association.heard(ACCEPTOR, bytes(data[1:]), 0.0))
        list(association.over(1.0))
