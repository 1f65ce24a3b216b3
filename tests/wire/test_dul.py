"""The upper layer: PS3.8 table 9-10, limits, and every stream cut at every byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import command as commands
from stepwedge.wire import negotiation, pdu
from stepwedge.wire.dimse import Channel, Message
from stepwedge.wire.dul import NEED_DATA, Abort, Closed, Data, Release, Released, UpperLayer
from stepwedge.wire.dul_table import ACTIONS, TABLE
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.negotiation import Acceptance, Answer, Context, Proposal, Rejection, Role

ECHO = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
PROPOSAL = Proposal(
    "SW_CT1",
    "PACS",
    (Context(1, ECHO, (EXPLICIT_LE, IMPLICIT_LE)), Context(3, CT, (EXPLICIT_LE,))),
    16384,
    (Role(CT, scu=False, scp=True),),
)
ACCEPTANCE = Acceptance(
    "SW_CT1", "PACS", (Answer(1, 0, EXPLICIT_LE), Answer(3, 3)), 32768, (Role(CT, scu=False, scp=True),)
)
ECHO_RQ = {"AffectedSOPClassUID": ECHO, "CommandField": 0x30, "MessageID": 1, "CommandDataSetType": 0x0101}
STORE_RQ = {
    "AffectedSOPClassUID": CT,
    "CommandField": 1,
    "MessageID": 2,
    "CommandDataSetType": 1,
    "AffectedSOPInstanceUID": "2.25.1",
}


def pair(proposal=PROPOSAL, acceptance=ACCEPTANCE):
    """Return two channels with an established association between them."""
    requestor, acceptor = Channel(UpperLayer(requestor=True)), Channel(UpperLayer(requestor=False))
    acceptor.upper.receive_data(requestor.send(proposal))
    assert acceptor.next_event() == proposal
    requestor.upper.receive_data(acceptor.send(acceptance))
    assert isinstance(requestor.next_event(), Acceptance)
    return requestor, acceptor


def drained(channel):
    """Read all events there are."""
    while channel.next_event() is not NEED_DATA:
        pass


def wire(buffers):
    return b"".join(buffers)


# --- the table ---------------------------------------------------------------------------------------------------


def test_the_table_is_pynetdicoms():
    from pynetdicom.fsm import TRANSITION_TABLE

    theirs = {(int(event[3:]), int(state[3:])): action for (event, state), action in TRANSITION_TABLE.items()}
    assert theirs == TABLE


def test_every_action_is_used_and_leads_to_a_state():
    assert set(TABLE.values()) == set(ACTIONS)
    assert all(1 <= action.next <= 13 for action in ACTIONS.values())


# --- a whole life ------------------------------------------------------------------------------------------------


def test_an_association_from_request_to_release():
    requestor, acceptor = pair()
    assert requestor.upper.state == acceptor.upper.state == 6
    assert requestor.contexts == acceptor.contexts
    assert list(requestor.contexts) == [1]
    assert requestor.upper.send_limit == 32768

    acceptor.upper.receive_data(wire(requestor.send_message(Message(1, ECHO_RQ))))
    assert acceptor.next_event() == Message(1, ECHO_RQ)

    acceptor.upper.receive_data(requestor.send(Release()))
    assert acceptor.next_event() == Release()
    requestor.upper.receive_data(acceptor.send(Released()))
    assert acceptor.upper.artim
    assert requestor.next_event() == Released()
    assert requestor.upper.closing
    acceptor.upper.receive_data(b"")
    assert acceptor.next_event() == Closed(orderly=True)
    assert not acceptor.upper.artim
    assert requestor.upper.state == acceptor.upper.state == 1


def test_release_collision():
    requestor, acceptor = pair()
    from_requestor, from_acceptor = requestor.send(Release()), acceptor.send(Release())
    requestor.upper.receive_data(from_acceptor)
    acceptor.upper.receive_data(from_requestor)
    assert requestor.next_event() == acceptor.next_event() == Release()
    assert (requestor.upper.state, acceptor.upper.state) == (9, 10)
    acceptor.upper.receive_data(requestor.send(Released()))
    assert acceptor.next_event() == Released()
    requestor.upper.receive_data(acceptor.send(Released()))
    assert requestor.next_event() == Released()
    assert (requestor.upper.state, acceptor.upper.state) == (1, 13)


def test_data_may_still_come_after_we_asked_for_release():
    requestor, acceptor = pair()
    requestor.send(Release())
    requestor.upper.receive_data(wire(acceptor.send_message(Message(1, ECHO_RQ))))
    assert requestor.next_event() == Message(1, ECHO_RQ)
    assert requestor.upper.state == 7


def test_rejection():
    requestor, acceptor = Channel(UpperLayer(requestor=True)), Channel(UpperLayer(requestor=False))
    acceptor.upper.receive_data(requestor.send(PROPOSAL))
    acceptor.next_event()
    requestor.upper.receive_data(acceptor.send(negotiation.LIMIT_EXCEEDED))
    event = requestor.next_event()
    assert event == Rejection(2, 3, 2)
    assert str(event) == "association rejected 2/3/2: local limit exceeded (transient)"
    assert requestor.upper.closing
    assert acceptor.upper.artim
    assert acceptor.upper.state == 13


def test_another_protocol_version_is_rejected_by_the_provider():
    acceptor = UpperLayer(requestor=False)
    raw = bytearray(UpperLayer(requestor=True).send(PROPOSAL))
    raw[7] = 2
    acceptor.receive_data(bytes(raw))
    assert acceptor.next_event() is NEED_DATA
    assert acceptor.data_to_send() == pdu.rejection(1, 2, 2)
    assert acceptor.state == 13


@pytest.mark.parametrize("who", ["requestor", "acceptor"])
def test_abort_is_told_with_its_reason(who):
    sides = dict(zip(("requestor", "acceptor"), pair(), strict=True))
    sides[who].upper.receive_data(pdu.abort(2, 6))
    event = sides[who].next_event()
    assert event == Abort(2, 6)
    assert "invalid PDU parameter value" in str(event)
    assert sides[who].upper.closing


def test_a_lost_transport_is_no_orderly_end():
    requestor, _ = pair()
    requestor.upper.receive_data(b"")
    assert requestor.next_event() == Closed(orderly=False)


def test_artim_ends_a_silent_connection():
    upper = UpperLayer(requestor=False)
    assert upper.artim
    upper.artim_expired()
    assert upper.closing
    assert upper.state == 1


# --- who is to blame ---------------------------------------------------------------------------------------------


def test_sending_out_of_turn_is_our_fault():
    requestor, acceptor = pair()
    with pytest.raises(LocalProtocolError, match="Sta6"):
        requestor.send(Released())
    with pytest.raises(LocalProtocolError, match="presentation context 3"):
        requestor.send_message(Message(3, STORE_RQ, b"AB"))
    with pytest.raises(LocalProtocolError, match="not allowed"):
        UpperLayer(requestor=True).send(Release())
    assert acceptor.upper.state == 6


RELEASE, P_DATA = pdu.RELEASE_RQ, wire(pdu.fragments(1, commands.encode(ECHO_RQ), 0, is_command=True))
ILLEGAL = [
    ("P-DATA before association", None, P_DATA, (0, 0)),
    ("release before association", None, RELEASE, (0, 0)),
    (
        "an answer to nothing",
        None,
        UpperLayer(requestor=True).send(PROPOSAL)[:0] + pdu.rejection(1, 1, 1),
        (0, 0),
    ),
    ("unknown PDU before association", None, b"GET / HTTP/1.1\r\n", (0, 0)),
    ("unknown PDU", "pair", b"\x09\0\0\0\0\0", (2, 1)),
    ("a second request", "pair", UpperLayer(requestor=True).send(PROPOSAL), (2, 2)),
    ("a release answer to nothing", "pair", pdu.RELEASE_RP, (2, 2)),
    ("a rejection too late", "pair", pdu.rejection(1, 1, 1), (2, 2)),
    ("length 0xFFFFFFFF", "pair", b"\x04\0\xff\xff\xff\xff", (2, 6)),
    ("P-DATA one byte above our limit", "pair", pdu.HEADER.pack(4, 16385), (2, 6)),
    ("another PDU above its limit", "pair", pdu.HEADER.pack(5, (1 << 20) + 1), (2, 6)),
    ("P-DATA without a value", "pair", pdu.write(pdu.Kind.P_DATA_TF, b""), (2, 6)),
    ("a value that ends in its header", "pair", pdu.write(pdu.Kind.P_DATA_TF, b"\0\0\0\5\1"), (2, 6)),
    ("a value longer than its PDU", "pair", pdu.write(pdu.Kind.P_DATA_TF, b"\0\0\0\x09\1\3AB"), (2, 6)),
    ("a value of length 1", "pair", pdu.write(pdu.Kind.P_DATA_TF, b"\0\0\0\1\1\3AB"), (2, 6)),
    ("a context never proposed", "pair", wire(pdu.fragments(5, b"AB", 0, is_command=True)), (2, 6)),
    ("a context that was refused", "pair", wire(pdu.fragments(3, b"AB", 0, is_command=True)), (2, 6)),
    ("a data set first", "pair", wire(pdu.fragments(1, b"AB", 0, is_command=False)), (0, 0)),
    ("a command set that is none", "pair", wire(pdu.fragments(1, b"AB", 0, is_command=True)), (0, 0)),
    (
        "a command set beyond its bound",
        "pair",
        wire(pdu.fragments(1, bytes(70000), 16384, is_command=True)),
        (0, 0),
    ),
]


@pytest.mark.parametrize(
    ("state", "raw", "reason"), [row[1:] for row in ILLEGAL], ids=[row[0] for row in ILLEGAL]
)
def test_illegal_input_is_the_peers_fault_and_aborted_with_the_right_reason(state, raw, reason):
    channel = Channel(UpperLayer(requestor=False)) if state is None else pair()[1]
    channel.upper.receive_data(raw)
    with pytest.raises(RemoteProtocolError):
        drained(channel)
    assert channel.upper.data_to_send() == pdu.abort(*reason)
    assert channel.upper.state == 13
    assert channel.upper.artim


def test_an_interleaved_command_is_aborted():
    acceptance = Acceptance("SW_CT1", "PACS", (Answer(1, 0, EXPLICIT_LE), Answer(3, 0, EXPLICIT_LE)))
    _, acceptor = pair(acceptance=acceptance)
    acceptor.upper.receive_data(wire(pdu.fragments(3, commands.encode(STORE_RQ), 0, is_command=True)))
    acceptor.upper.receive_data(P_DATA)
    with pytest.raises(RemoteProtocolError, match="interrupts"):
        acceptor.next_event()


def test_after_our_abort_nothing_is_read_any_more():
    _, acceptor = pair()
    acceptor.upper.receive_data(b"\x09\0\0\0\0\0")
    with pytest.raises(RemoteProtocolError):
        acceptor.next_event()
    acceptor.upper.data_to_send()
    acceptor.upper.receive_data(RELEASE)
    acceptor.upper.receive_data(b"")
    assert acceptor.next_event() == Closed(orderly=True)


def test_memory_stays_bounded_before_association():
    reader = pdu.Reader()
    reader.receive_data(pdu.HEADER.pack(1, 0xFFFFFFFF))
    with pytest.raises(pdu.InvalidPdu):
        reader.next_pdu()


def test_a_data_set_beyond_its_bound_is_aborted():
    acceptance = Acceptance("SW_CT1", "PACS", (Answer(1, 0, EXPLICIT_LE), Answer(3, 0, EXPLICIT_LE)))
    _, acceptor = pair(acceptance=acceptance)
    acceptor.max_data = 1000
    acceptor.upper.receive_data(wire(pdu.fragments(3, commands.encode(STORE_RQ), 0, is_command=True)))
    acceptor.upper.receive_data(wire(pdu.fragments(3, bytes(1001), 0, is_command=False)))
    with pytest.raises(RemoteProtocolError, match="bound"):
        acceptor.next_event()


# --- accounts ----------------------------------------------------------------------------------------------------


def test_the_ledger_counts_what_left_whole():
    upper = pair()[0].upper
    upper.sent.wrote(upper.sent.handed)
    before, handed = upper.sent.pdus, upper.sent.handed
    upper.send_limit = 1006
    total = len(wire(upper.send_data(1, bytes(2500), is_command=False)))
    upper.sent.wrote(2 * 1012 + 5)
    assert upper.sent.pdus == before + 2
    assert upper.sent.handed - handed == total == 2500 + 3 * 12


# --- streams -----------------------------------------------------------------------------------------------------


def everything(role, chunks):
    """Feed chunks to one side and list what happened, as comparable text."""
    acceptance = Acceptance("SW_CT1", "PACS", (Answer(1, 0, EXPLICIT_LE), Answer(3, 0, EXPLICIT_LE)), 64)
    channel = Channel(UpperLayer(requestor=role == "requestor"))
    if role == "requestor":
        channel.send(PROPOSAL)
    events = []
    for chunk in chunks:
        channel.upper.receive_data(chunk)
        try:
            while (event := channel.next_event()) is not NEED_DATA:
                events.append(repr(event))
                if isinstance(event, Proposal):
                    channel.send(acceptance)
                elif isinstance(event, Release):
                    channel.send(Released())
        except RemoteProtocolError as error:
            events.append(f"{error} {channel.upper.data_to_send().hex()}")
    return events


def streams():
    acceptance = Acceptance("SW_CT1", "PACS", (Answer(1, 0, EXPLICIT_LE), Answer(3, 0, EXPLICIT_LE)), 64)
    requestor, acceptor = pair(acceptance=acceptance)
    work = wire(
        requestor.send_message(Message(1, ECHO_RQ))
        + requestor.send_message(Message(3, STORE_RQ, bytes(range(256))))
    )
    begin = UpperLayer(requestor=True).send(PROPOSAL)
    accepted = negotiation.write_acceptance(acceptance)
    echo_rsp = {
        "CommandField": 0x8030,
        "MessageIDBeingRespondedTo": 1,
        "CommandDataSetType": 0x0101,
        "Status": 0,
    }
    return {
        "whole life": ("acceptor", begin + work + pdu.RELEASE_RQ),
        "abort": ("acceptor", begin + work[:100] + pdu.abort(0, 0)),
        "garbage": ("acceptor", begin + work + b"\x63garbage"),
        "answer": (
            "requestor",
            accepted + wire(acceptor.send_message(Message(1, echo_rsp))) + pdu.RELEASE_RP,
        ),
        "rejection": ("requestor", pdu.rejection(1, 1, 7)),
    }


STREAMS = streams()


@pytest.mark.parametrize(("role", "raw"), STREAMS.values(), ids=STREAMS.keys())
def test_every_stream_cut_at_every_byte_gives_the_same_events(role, raw):
    whole = everything(role, [raw])
    assert whole
    for at in range(1, len(raw)):
        assert everything(role, [raw[:at], raw[at:]]) == whole


@pytest.mark.parametrize(("role", "raw"), STREAMS.values(), ids=STREAMS.keys())
def test_every_stream_in_single_bytes_gives_the_same_events(role, raw):
    assert everything(role, [raw[at : at + 1] for at in range(len(raw))]) == everything(role, [raw])


@given(st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=150, deadline=None)
def test_any_pieces_give_the_same_events(name, data):
    role, raw = STREAMS[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=12)))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert everything(role, pieces) == everything(role, [raw])


@given(st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=200, deadline=None)
def test_one_flipped_byte_is_understood_or_refused(name, data):
    role, raw = STREAMS[name]
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[at] ^= data.draw(st.integers(1, 255))
    everything(role, [bytes(changed)])


# --- P-DATA ------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=400), st.integers(7, 64))
def test_fragments_fit_and_join(data, limit):
    raw = wire(pdu.fragments(1, data, limit, is_command=False))
    reader = pdu.Reader(max_pdu=limit)
    reader.receive_data(raw)
    values = []
    while (unit := reader.next_pdu()) is not None:
        assert len(unit.body) <= limit
        values += pdu.values(unit.body)
    assert b"".join(value.fragment for value in values) == data
    assert [value.is_last for value in values] == [False] * (len(values) - 1) + [True]


def test_pynetdicom_reads_our_p_data():
    from pynetdicom.pdu import P_DATA_TF

    theirs = P_DATA_TF()
    theirs.decode(P_DATA)
    item = theirs.presentation_data_value_items[0]
    assert item.context_id == 1
    assert item.data == b"\x03" + commands.encode(ECHO_RQ)
    assert theirs.encode() == P_DATA


def test_events_are_values():
    assert Data([]) == Data([])
    assert repr(NEED_DATA)
