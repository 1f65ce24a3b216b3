"""Syslog messages and their framing: the RFC's own examples, every split, and what is refused."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwedge.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from stepwedge.wire.syslog import LARGEST_DATAGRAM, NEED_DATA, Framer, Syslog, compose, frame, parse
from stepwedge.wire.syslog_asyncio import Receiver, Sender

EXAMPLE_3 = (  # RFC 5424 section 6.5
    b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
    b'[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] \xef\xbb\xbfAn application event log entry...'
)


def test_the_examples_of_the_rfc_are_read():
    message = parse(EXAMPLE_3)
    assert (message.facility, message.severity, message.host, message.kind) == (
        20,
        5,
        "mymachine.example.com",
        "ID47",
    )
    assert message.at == datetime(2003, 10, 11, 22, 14, 15, 3000, UTC)
    assert message.process == ""
    assert message.data == {
        "exampleSDID@32473": {"iut": "3", "eventSource": "Application", "eventID": "1011"}
    }
    assert message.text == b"An application event log entry..."
    assert (
        parse(b"<34>1 2003-10-11T22:14:15.003Z h su - ID47 - \xef\xbb\xbf'su root' failed").text
        == b"'su root' failed"
    )
    assert parse(b"<0>1 - - - - - -") == Syslog(b"", 0, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<192>1 - - - - - - x",
        b"<1>2 - - - - - - x",
        b"<01>1 - - - - - -",
        b"<34>Oct 11 22:14:15 mymachine su: BSD syslog, RFC 3164",
        b"<1>1 2003-13-11T22:14:15Z - - - - - x",
        b"<1>1 2003-10-11t22:14:15z - - - - - x",
        b"<1>1 2003-10-11T22:14:15 - - - - - x",
        b"<1>1 - - - - - [id a=1] x",
        b'<1>1 - - - - - [id a="]"] x',
        b"<1>1 - - - - - [id][id] x",
        b"<1>1 - - - - - -x",
        b"<1>1 - - - - " + b"k" * 33 + b" - x",
        b"<1>1 - - - - - - " + b"x" * (1 << 20),
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(raw):
    with pytest.raises(RemoteProtocolError):
        parse(raw)


word = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32).filter(
    lambda w: w != "-"
)
name = word.map(lambda text: "".join(c for c in text if c not in '=]"')).filter(bool)


@given(
    st.binary(max_size=50),
    word,
    st.dictionaries(name, st.dictionaries(name, st.text(max_size=9)), max_size=2),
)
@settings(max_examples=150)
def test_what_is_written_is_read_back(text, host, data):
    text = text.removeprefix(b"\xef\xbb\xbf")
    message = Syslog(
        text, 10, 5, datetime(2026, 11, 24, 9, 30, tzinfo=UTC), host, "app", "7", "IHE+RFC-3881", data
    )
    assert parse(compose(message)) == message


@pytest.mark.parametrize("host", ["two words", "Zürich", "h" * 256])
def test_a_header_that_cannot_be_written_is_our_own_fault(host):
    with pytest.raises(LocalProtocolError):
        compose(Syslog(b"", host=host))


def test_a_stream_gives_the_same_messages_wherever_it_is_cut():
    messages = [b"first", b"", b"1 2 3", b"x" * 120]
    messages = [one for one in messages if one]
    stream = b"".join(map(frame, messages))
    for cut in range(len(stream) + 1):
        framer, found = Framer(), []
        for part in (stream[:cut], stream[cut:]):
            framer.receive_data(part)
            while (message := framer.next_event()) is not NEED_DATA:
                found.append(message)
        assert found == messages
        assert not framer.inside
    framer = Framer()
    found = []
    for byte in stream:
        framer.receive_data(bytes([byte]))
        while (message := framer.next_event()) is not NEED_DATA:
            found.append(message)
    assert found == messages


@pytest.mark.parametrize(
    "raw", [b"<34>1 - ", b"05 hello", b" x", b"1048577 ", b"99999999", b"-1 x", b"0 ", b"+5 hello"]
)
def test_a_length_is_judged_before_anything_is_kept(raw):
    framer = Framer()
    framer.receive_data(raw)
    with pytest.raises(RemoteProtocolError):
        framer.next_event()


def receiving(work, **wishes):
    """Run ``work(port, heard, troubles)`` beside a receiver."""

    async def main():
        heard, troubles = [], []
        receiver = Receiver(
            lambda *told: heard.append(told), lambda peer, error: troubles.append((peer, error)), **wishes
        )
        port = await receiver.start("127.0.0.1", 0)
        try:
            await work(port, heard, troubles)
        finally:
            await receiver.stop()

    asyncio.run(main())


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition belongs to the other side
            await asyncio.sleep(0.005)


def test_datagrams_and_streams_arrive_with_their_transport():
    async def work(port, heard, _):
        for transport in ("udp", "tcp"):
            sender = Sender("127.0.0.1", port, transport)
            for number in range(3):
                await sender.send(b"%d" % number)
            await until(lambda: len(heard) == 3)
            assert [(message, how) for message, _, how in heard] == [(b"%d" % n, transport) for n in range(3)]
            heard.clear()
            await sender.close()

    receiving(work)


def test_a_broken_stream_is_told_and_the_next_is_served():
    async def work(port, heard, troubles):
        for raw in (b"<34>1 no length", b"99999999999 x", b"20 half a message"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        await until(lambda: len(troubles) == 3)
        assert [type(error) for _, error in troubles] == [RemoteProtocolError, RemoteProtocolError, LinkLost]
        await Sender("127.0.0.1", port).send(b"still serving")
        await until(lambda: heard)

    receiving(work)


def test_a_receiver_that_is_gone_is_noticed_and_found_again():
    async def main():
        heard = []
        first = Receiver(lambda *told: heard.append(told))
        port = await first.start("127.0.0.1", 0)
        sender = Sender("127.0.0.1", port)
        await sender.send(b"one")
        await until(lambda: heard)
        await first.stop()
        await until(sender._stream[0].at_eof)
        with pytest.raises(LinkLost):
            await sender.send(b"two")
        second = Receiver(lambda *told: heard.append(told))
        await second.start("127.0.0.1", port)
        await sender.send(b"two")
        await until(lambda: len(heard) == 2)
        await sender.close()
        await second.stop()
        assert [message for message, _, _ in heard] == [b"one", b"two"]

    asyncio.run(main())


def test_what_no_datagram_can_carry_is_not_sent():
    async def work(port, heard, _):
        with pytest.raises(LocalProtocolError, match="use a stream"):
            await Sender("127.0.0.1", port, "udp").send(b"x" * (LARGEST_DATAGRAM + 1))
        assert not heard

    receiving(work)
