"""Our patient index, asked by python-hl7."""

import asyncio

import hl7
import pytest
from hl7.client import MLLPClient

from stepwedge.sim.host import Host, Part, Plan

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
            return await asyncio.to_thread(talk, *host.directory["mpi"].hl7)
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
