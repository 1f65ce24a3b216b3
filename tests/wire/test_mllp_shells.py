"""The asyncio and blocking shells of MLLP: order, matching by MSA-2, and what every kind of trouble is called."""

import asyncio
import contextlib
import socket
import threading
from datetime import UTC, datetime

import pytest

from stepwedge.errors import LinkLost, LocalProtocolError, NoAnswer, RemoteProtocolError
from stepwedge.wire import hl7
from stepwedge.wire.mllp import Frame, Framer, frame
from stepwedge.wire.mllp_asking import Asking
from stepwedge.wire.mllp_asyncio import Client, Together, serve
from stepwedge.wire.mllp_blocking import Link

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def message(control, more=""):
    return hl7.compose([hl7.header("ADT^A04", control=control, now=NOW), ("NTE", {3: more})])


def ack(raw, code="AA"):
    return hl7.acknowledgement(hl7.parse(raw), code, control="A", now=NOW)


async def answer(raw, _peer):
    return ack(raw)


async def answer_after_others(raw, _peer):
    await asyncio.sleep(0)
    return ack(raw)


def answer_at_once(raw, _peer):
    return ack(raw)


every_kind = pytest.mark.parametrize("handler", [answer, answer_after_others, answer_at_once])


@contextlib.contextmanager
def scripted(*steps):
    """Serve one connection: after each read send one step's bytes; ``None`` closes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listening.accept()
        with connection:
            for step in steps:
                if not connection.recv(1 << 16):
                    return
                if step is None:
                    return
                connection.sendall(step)
            with contextlib.suppress(OSError):
                connection.recv(1 << 16)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        thread.join(5)


def ask_blocking(port, *raws, timeout=5.0):
    with Link.open("127.0.0.1", port, timeout) as link:
        return [link.ask(raw) for raw in raws]


def ask_asyncio(port, *raws, timeout=5.0):
    async def run():
        client = Client("127.0.0.1", port)
        try:
            return [await client.ask(raw, timeout) for raw in raws]
        finally:
            await client.close()

    return asyncio.run(run())


both = pytest.mark.parametrize("ask", [ask_blocking, ask_asyncio])
ONE, TWO = message("1"), message("2")


@both
def test_answers_in_order(ask):
    with scripted(frame(ack(ONE)), frame(ack(TWO))) as port:
        assert ask(port, ONE, TWO) == [ack(ONE), ack(TWO)]


@both
def test_nobody_listens(ask):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LinkLost, match="no connection"):
        ask(port, ONE)


@both
def test_accepts_and_says_nothing(ask):
    with scripted(b"") as port, pytest.raises(NoAnswer, match=r"no answer within 0\.1 s"):
        ask(port, ONE, timeout=0.1)


@both
def test_closes_without_an_answer(ask):
    with scripted(None) as port, pytest.raises(LinkLost, match="without an answer"):
        ask(port, ONE)


@both
def test_closes_inside_the_answer(ask):
    listening = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listening.accept()
        connection.recv(1 << 16)
        connection.sendall(frame(ack(ONE))[:-1])
        connection.close()

    threading.Thread(target=run, daemon=True).start()
    with listening, pytest.raises(RemoteProtocolError, match="closed inside"):
        ask(listening.getsockname()[1], ONE)


@both
@pytest.mark.parametrize(
    ("said", "match"),
    [
        (frame(ack(TWO)), r"MSA-2 = '2', asked was MSH-10 = '1'"),
        (frame(ONE), "MSA-2 = ''"),
        (frame(b"hello"), "no MSH segment"),
        (frame(b""), "no MSH segment"),
        (b"HTTP/1.1 400 Bad Request\r\n" * 200, "does not speak MLLP"),
        (b"\x0b" + ack(ONE) + b"\x1c\n", "0x1C is followed by"),
    ],
)
def test_an_answer_to_something_else_is_no_answer(ask, said, match):
    with scripted(said) as port, pytest.raises(RemoteProtocolError, match=match):
        ask(port, ONE)


def test_a_late_answer_is_recognised_by_blocking():
    with scripted(b"", frame(ack(ONE)) + frame(ack(TWO))) as port, Link.open("127.0.0.1", port) as link:
        with pytest.raises(NoAnswer):
            link.ask(ONE, timeout=0.05)
        assert link.ask(TWO) == ack(TWO)
        assert link.late == [ack(ONE)]


def test_a_late_answer_is_recognised_by_asyncio():
    async def run(port):
        client = Client("127.0.0.1", port)
        with pytest.raises(NoAnswer):
            await client.ask(ONE, 0.05)
        assert await client.ask(TWO) == ack(TWO)
        assert client.late == [ack(ONE)]
        assert client.take_late() == [ack(ONE)]
        assert client.late == []
        await client.close()

    with scripted(b"", frame(ack(ONE)) + frame(ack(TWO))) as port:
        asyncio.run(run(port))


@both
def test_a_second_answer_is_not_taken_for_the_next_questions(ask):
    with scripted(frame(ack(ONE, "CA")) + frame(ack(ONE)), frame(ack(TWO))) as port:
        assert ask(port, ONE, TWO) == [ack(ONE, "CA"), ack(TWO)]


def test_an_application_answer_after_the_commit_answer_is_kept():
    asking = Asking()
    asking.ask(ONE)
    assert asking.receive_data(frame(ack(ONE, "CA"))) == ack(ONE, "CA")
    assert asking.receive_data(frame(ack(ONE))) is None
    assert list(asking.late) == [ack(ONE)]


def test_a_retry_with_the_same_control_id_takes_whichever_answer_comes():
    asking = Asking()
    asking.ask(ONE)
    asking.give_up()
    asking.ask(ONE)
    assert asking.receive_data(frame(ack(ONE))) == ack(ONE)
    assert asking.receive_data(frame(ack(ONE))) is None


def test_one_question_at_a_time():
    asking = Asking()
    asking.ask(ONE)
    with pytest.raises(LocalProtocolError, match="still unanswered"):
        asking.ask(TWO)


def test_the_client_connects_anew_and_never_repeats():
    seen = []

    async def fickle(raw, _peer):
        seen.append(hl7.parse(raw).control)
        if len(seen) == 1:
            raise ValueError("a handler fails")
        return ack(raw)

    async def run():
        troubles = []
        async with await serve(
            "127.0.0.1", 0, fickle, trouble=lambda peer, error: troubles.append(error)
        ) as server:
            client = Client("127.0.0.1", server.port)
            with pytest.raises(LinkLost):
                await client.ask(ONE)
            assert await client.ask(TWO) == ack(TWO)
            await client.close()
        assert [type(each) for each in troubles] == [ValueError]

    asyncio.run(run())
    assert seen == ["1", "2"]


def test_many_askers_share_one_client_in_turn():
    async def run():
        async with await serve("127.0.0.1", 0, answer) as server:
            client = Client("127.0.0.1", server.port)
            raws = [message(str(number)) for number in range(50)]
            assert await asyncio.gather(*map(client.ask, raws)) == list(map(ack, raws))
            await client.close()

    asyncio.run(run())


def talk(server, *pieces):
    """Send pieces on one connection from a thread and return every frame that came until the server closed."""

    def run():
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            framer = Framer()
            with contextlib.suppress(ConnectionResetError):
                while data := connection.recv(1 << 16):
                    framer.receive_data(data)
            found = []
            while isinstance(event := framer.next_event(), Frame):
                found.append(event.payload)
            return found

    return asyncio.to_thread(run)


def serve_and(*talks, handler=answer, **options):
    """Run a server, hold the conversations one after the other, and return frames and troubles."""

    async def run():
        troubles = []
        async with await serve(
            "127.0.0.1", 0, handler, trouble=lambda _, error: troubles.append(error), **options
        ) as server:
            found = [await talk(server, *pieces) for pieces in talks]
        return found, troubles

    return asyncio.run(run())


@every_kind
def test_frames_in_one_segment_are_each_answered_once_and_in_order(handler):
    raws = [message(str(number)) for number in range(200)]
    found, troubles = serve_and([b"".join(map(frame, raws))], handler=handler)
    assert found == [list(map(ack, raws))]
    assert troubles == []


@every_kind
def test_one_byte_at_a_time_and_junk_before(handler):
    stream = b"\r\njunk" + frame(ONE)
    found, troubles = serve_and([stream[at : at + 1] for at in range(len(stream))], handler=handler)
    assert (found, troubles) == ([[ack(ONE)]], [])


@pytest.mark.parametrize(
    "broken", [b"\x0bMSH|1" + frame(TWO), b"\x0bMSH|1\x1cX", frame(b"A" * 5000), b"\x0bMSH|"]
)
def test_a_broken_frame_ends_its_connection_and_no_other(broken):
    found, troubles = serve_and([frame(ONE) + broken], [frame(TWO)], limit=4000)
    assert found == [[ack(ONE)], [ack(TWO)]]
    assert [type(each) for each in troubles] == [RemoteProtocolError]


def test_a_handler_that_fails_acknowledges_nothing_and_the_server_goes_on():
    def fails(raw, _peer):
        if hl7.parse(raw).control == "1":
            raise ValueError("bad day")
        return ack(raw)

    found, troubles = serve_and([frame(ONE) + frame(TWO)], [frame(TWO)], handler=fails)
    assert found == [[], [ack(TWO)]]
    assert [type(each) for each in troubles] == [ValueError]


def test_a_peer_that_takes_no_answers_is_not_read_without_end():
    text, taken, count = hl7.Er7("A" * (1 << 20)), [], 40

    def verbose(raw, _peer):
        taken.append(raw)
        return hl7.acknowledgement(hl7.parse(raw), "AA", control="A", now=NOW, segments=[("NTE", {3: text})])

    async def run():
        async with await serve("127.0.0.1", 0, verbose) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 16)
            writer.write(b"".join(frame(message(str(number))) for number in range(count)))
            while all(served._writable for served in server._connections):  # noqa: ASYNC110 - asyncio tells no one else
                await asyncio.sleep(0)
            assert len(taken) < count
            framer, found = Framer(), []
            while len(found) < count:
                framer.receive_data(await reader.read(1 << 20))
                while isinstance(event := framer.next_event(), Frame):
                    found.append(hl7.control_of(event.payload))
            writer.close()

    asyncio.run(run())
    assert [hl7.control_of(raw) for raw in taken] == [str(number) for number in range(count)]


def test_too_many_connections():
    async def run():
        troubles = []
        async with await serve(
            "127.0.0.1", 0, answer, trouble=lambda _, error: troubles.append(error), connections=1
        ) as server:
            first = Client("127.0.0.1", server.port)
            await first.ask(ONE)
            with pytest.raises(LinkLost):
                await Client("127.0.0.1", server.port).ask(TWO)
            assert await first.ask(TWO) == ack(TWO)
            await first.close()
        assert len(troubles) == 1

    asyncio.run(run())


def test_ten_megabytes_there_and_back():
    big = message("1", "A" * (10 << 20))

    async def echo(raw, _peer):
        return hl7.acknowledgement(
            hl7.parse(raw), "AA", control="A", now=NOW, segments=[("NTE", {3: hl7.parse(raw).copy("NTE-3")})]
        )

    async def run():
        async with await serve("127.0.0.1", 0, echo) as server:
            client = Client("127.0.0.1", server.port)
            reply = await client.ask(big, 30)
            await client.close()
            return hl7.parse(reply)["NTE-3"]

    assert asyncio.run(run()) == "A" * (10 << 20)


def test_connections_are_served_side_by_side():
    async def run():
        gate = asyncio.Event()

        async def slow(raw, _peer):
            if hl7.parse(raw).control == "1":
                await gate.wait()
            return ack(raw)

        async with await serve("127.0.0.1", 0, slow) as server:
            first, second = Client("127.0.0.1", server.port), Client("127.0.0.1", server.port)
            waiting = asyncio.create_task(first.ask(ONE))
            assert await second.ask(TWO) == ack(TWO)
            gate.set()
            assert await waiting == ack(ONE)
            await first.close()
            await second.close()

    asyncio.run(run())


def test_a_handler_may_stay_silent():
    async def silent(_raw, _peer):
        return None

    assert serve_and([frame(ONE)], handler=silent) == ([[]], [])


def together(groups, hold=None):
    def handle(messages):
        groups.append([peer for _, peer in messages])
        if hold is not None:
            hold(messages)
        return [ack(raw) for raw, _ in messages]

    return Together(handle)


def test_what_several_connections_sent_is_handled_at_once_and_answered_on_each_in_order():
    groups = []

    async def run():
        async with await serve("127.0.0.1", 0, together(groups)) as server:
            links = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
            for _, writer in links:  # nothing is read by the server before this turn of the loop is over
                writer.write(frame(ONE) + frame(TWO))
            answers = [
                await asyncio.wait_for(reader.readexactly(len(frame(ack(ONE)) + frame(ack(TWO)))), 5)
                for reader, _ in links
            ]
            for _, writer in links:
                writer.close()
            return answers

    assert asyncio.run(run()) == [frame(ack(ONE)) + frame(ack(TWO))] * 3
    assert sum(map(len, groups)) == 6
    assert max(len(set(group)) for group in groups) > 1


def test_many_messages_at_once_are_all_answered_in_bounded_groups():
    groups = []

    async def run():
        async with await serve("127.0.0.1", 0, together(groups)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"".join(frame(message(str(number))) for number in range(500)))
            framer, found = Framer(), []
            while len(found) < 500:
                framer.receive_data(await asyncio.wait_for(reader.read(1 << 16), 5))
                while isinstance(event := framer.next_event(), Frame):
                    found.append(hl7.parse(event.payload)["MSA-2"])
            writer.close()
            return found

    assert asyncio.run(run()) == [str(number) for number in range(500)]
    assert max(map(len, groups)) <= 64


def test_messages_before_the_end_of_the_stream_are_answered_together():
    async def run():
        async with await serve("127.0.0.1", 0, together([])) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(frame(ONE) + frame(TWO))
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 5)

    assert asyncio.run(run()) == frame(ack(ONE)) + frame(ack(TWO))


def test_a_handler_of_many_that_fails_answers_none_of_them_and_the_server_goes_on():
    heard, failing = [], [True]

    def hold(_messages):
        if failing:
            raise RuntimeError("the journal is full")

    async def run():
        handler = together([], hold)
        async with await serve(
            "127.0.0.1", 0, handler, trouble=lambda *what: heard.append(str(what[1]))
        ) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(frame(ONE))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            failing.clear()
            client = Client("127.0.0.1", server.port)
            answer = await client.ask(TWO, 5)
            await client.close()
            return answer

    assert asyncio.run(run()) == ack(TWO)
    assert heard == ["the journal is full"]


def test_a_further_answer_is_waited_for_whether_it_came_at_once_or_not():
    accepted = ack(ONE).replace(b"MSA|AA", b"MSA|CA")

    async def slowly(raw, _peer):
        await asyncio.sleep(0)
        return (raw.replace(ONE, accepted), ack(raw)) if raw == ONE else ack(raw)

    async def in_turn():
        yield accepted
        await asyncio.sleep(0.05)
        yield ack(ONE)

    async def run(handler):
        async with await serve("127.0.0.1", 0, handler) as server:
            client = Client("127.0.0.1", server.port)
            found = [await client.ask(ONE, 5), await client.ask_again(ONE, 5), await client.ask(TWO, 5)]
            with pytest.raises(NoAnswer):
                await client.ask_again(TWO, 0.05)
            await client.close()
            return found

    for handler in (slowly, lambda raw, _: in_turn() if raw == ONE else ack(raw)):
        assert asyncio.run(run(handler)) == [accepted, ack(ONE), ack(TWO)]
