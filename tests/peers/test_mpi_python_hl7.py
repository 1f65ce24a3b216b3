"""Our patient index, asked by python-hl7."""

import asyncio
import contextlib

import hl7
import pytest
from hl7.client import MLLPClient
from hl7.mllp import start_hl7_server

from stepwedge.sim.address import Address, Endpoint
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire.structure import complaints

pytestmark = pytest.mark.peer

HEAD = "MSH|^~\\&|THEM|X|SW_MPI|STEPWEDGE|20261124093000||%s|%s|P|2.5.1\r"
PERSON = HEAD + "EVN|A28|20261124093000\rPID|||%s||Doe^Jane||19700101|F\rPV1||N\r"


def test_fed_and_asked_by_python_hl7(tmp_path):
    messages = [
        PERSON % ("ADT^A28^ADT_A05", "M1", "SW1^^^STEPWEDGE^PI"),
        PERSON % ("ADT^A28^ADT_A05", "M2", "SW9^^^CLINIC^PI"),
        HEAD % ("QBP^Q23^QBP_Q21", "M3") + "QPD|IHE PIX Query|T1|SW1^^^STEPWEDGE|^^^CLINIC\rRCP|I\r",
        HEAD % ("QBP^Q22^QBP_Q21", "M4") + "QPD|IHE PDQ Query|T2|@PID.5.1.1^DO*\rRCP|I|10^RD\r",
    ]

    def talk(host, port):
        with MLLPClient(host, port) as client:
            return [hl7.parse(client.send_message(one).decode().strip("\x0b\x1c\r")) for one in messages]

    async def go():
        host = Host(Plan({"mpi": Part("mpi", {"domains": ["STEPWEDGE", "CLINIC"]})}), tmp_path, 1)
        await host.start()
        try:
            return await asyncio.to_thread(talk, *host.directory["mpi"].hl7[:2])
        finally:
            await host.stop()

    *fed, known, found = asyncio.run(go())
    assert [str(one["MSA.F1"]) for one in fed] == ["AA", "AA"]
    assert (str(known["QAK.F2"]), str(known["PID.F3.R1.C1"]), str(known["PID.F3.R1.C4"])) == (
        "OK",
        "SW9",
        "CLINIC",
    )
    assert str(found["QAK.F2"]) == "OK"
    assert sorted(str(one[0]) for one in found.segment("PID")[3]) == ["SW1", "SW9"]


def test_python_hl7_hears_that_a_cross_reference_changed(tmp_path):
    """Two domains tell of one person; a consumer that is python-hl7's server is told of both numbers (ITI-10)."""
    heard = []

    async def connected(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not reader.at_eof():
                heard.append(await reader.readmessage())
                writer.writemessage(heard[-1].create_ack())
                await writer.drain()
        writer.close()

    def feed(host, port):
        with MLLPClient(host, port) as client:
            for control, identifier in (("M1", "SW1^^^STEPWEDGE^PI"), ("M2", "SW9^^^CLINIC^PI")):
                client.send_message(PERSON % ("ADT^A28^ADT_A05", control, identifier))

    async def go():
        server = await start_hl7_server(connected, "127.0.0.1", 0)
        consumer = Address(hl7=Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))
        domains = ["STEPWEDGE", "CLINIC"]
        settings = {"domains": domains, "notify": {"ward": domains}}
        host = Host(Plan({"mpi": Part("mpi", settings)}, {"ward": consumer}), tmp_path, 1)
        await host.start()
        try:
            async with server:
                await asyncio.to_thread(feed, *host.directory["mpi"].hl7[:2])
                async with asyncio.timeout(10):
                    while not any("SW9" in str(one) for one in heard):  # noqa: ASYNC110 - python-hl7 tells nobody
                        await asyncio.sleep(0.005)
        finally:
            await host.stop()

    asyncio.run(go())
    last = heard[-1]
    assert (str(last["MSH.F9.R1.C1"]), str(last["MSH.F9.R1.C2"])) == ("ADT", "A31")
    assert sorted(str(one[0]) for one in last.segment("PID")[3]) == ["SW1", "SW9"]
    assert not complaints(str(last).encode())
