"""python-hl7 as peer: its client asks our server, our clients ask its asyncio server."""

import asyncio
from datetime import UTC, datetime

import hl7 as python_hl7
from hl7.client import MLLPClient
from hl7.mllp import open_hl7_connection, start_hl7_server

from stepwedge.wire import hl7
from stepwedge.wire.mllp_asyncio import Client, serve
from stepwedge.wire.mllp_blocking import Link

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def order(control, charset=""):
    return hl7.compose(
        [
            hl7.header(
                "ORM^O01",
                control=control,
                now=NOW,
                version="2.3.1",
                sender=("EHR", "SW"),
                receiver=("RIS", "SW"),
            ),
            (
                "PID",
                {
                    1: 1,
                    3: ["SW1", "", "", "STEPWEDGE"],
                    5: ["Müller" if charset else "Mueller", "J|J"],
                    7: "19600101",
                },
            ),
            ("ORC", {1: "NW", 2: ["P1", "EHR"]}),
            ("OBR", {1: 1, 2: ["P1", "EHR"], 4: ["CTCHEST", "CT chest"]}),
        ],
        charset=charset,
    )


async def answer(raw, _peer):
    return hl7.acknowledgement(hl7.parse(raw), "AA", control="A", now=NOW)


def test_its_blocking_client_asks_our_server():
    def ask(port):
        with MLLPClient("127.0.0.1", port) as client:
            return [client.send_message(order(str(number))) for number in range(5)]

    async def run():
        async with await serve("127.0.0.1", 0, answer) as server:
            return await asyncio.to_thread(ask, server.port)

    for number, reply in enumerate(asyncio.run(run())):
        payload = reply.strip(b"\x0b\x1c\r").decode()
        assert python_hl7.parse(payload)["MSA.F2.R1"] == str(number)


def test_its_asyncio_client_asks_our_server():
    async def run():
        async with await serve("127.0.0.1", 0, answer) as server:
            reader, writer = await open_hl7_connection("127.0.0.1", server.port, encoding="latin-1")
            found = []
            for number in range(5):
                writer.writemessage(python_hl7.parse(order(str(number), "8859/1").decode("latin-1")))
                await writer.drain()
                found.append(await reader.readmessage())
            writer.close()
            return found

    replies = asyncio.run(run())
    assert [str(reply["MSA.F2.R1"]) for reply in replies] == list("01234")
    assert {str(reply["MSH.F18.R1"]) for reply in replies} == {"8859/1"}


def its_server(seen):
    async def connected(reader, writer):
        while not reader.at_eof():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            seen.append(message)
            writer.writemessage(message.create_ack())
            await writer.drain()
        writer.close()

    return start_hl7_server(connected, "127.0.0.1", 0, encoding="latin-1")


def test_our_clients_ask_its_server():
    seen = []

    def ask(port):
        with Link.open("127.0.0.1", port) as link:
            return [link.ask(order(f"B{number}", "8859/1")) for number in range(5)]

    async def run():
        async with await its_server(seen) as server:
            port = server.sockets[0].getsockname()[1]
            blocking = await asyncio.to_thread(ask, port)
            client = Client("127.0.0.1", port)
            replies = [await client.ask(order(f"A{number}", "8859/1")) for number in range(5)]
            await client.close()
            server.close()
            return blocking + replies

    replies = [hl7.parse(reply) for reply in asyncio.run(run())]
    assert [reply["MSA-1"] for reply in replies] == ["AA"] * 10
    assert [reply["MSA-2"] for reply in replies] == [
        f"{letter}{number}" for letter in "BA" for number in range(5)
    ]
    for message in seen:
        assert message["PID.F5.R1.C1"] == "Müller"
        assert message.unescape(str(message.segment("PID")(5)(1)(2))) == "J|J"
