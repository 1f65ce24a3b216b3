"""Each simulated system between neighbours that are python-hl7: what it says is read, and what it is told is written, by them."""

import asyncio
import contextlib

import hl7 as python_hl7
import pytest
from hl7.mllp import open_hl7_connection, start_hl7_server

from stepwedge.sim.address import Address, Endpoint
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire.structure import complaints

CASE = Case("neighbours", 11)
PID = "PID|1||SW900001^^^STEPWEDGE||DOE^JANE||19600102|F"
ORDERED = {
    "2.3.1": (
        "MSH|^~\\&|WARD|STEPWEDGE|RIS|STEPWEDGE|20261124093000||ORM^O01|W2|P|2.3.1",
        PID,
        "PV1|1|I|4N^412^A",
        "ORC|NW|P900001^WARD|||||1^^^20261124100000^^R",
        "OBR|1|P900001^WARD||CTCHEST^CT chest^L|||||||||||||||||||||||1^^^20261124100000^^R",
    ),
    "2.5.1": (
        "MSH|^~\\&|WARD|STEPWEDGE|RIS|STEPWEDGE|20261124093000||OMG^O19^OMG_O19|W2|P|2.5.1",
        PID,
        "PV1|1|I|4N^412^A",
        "ORC|NW|P900001^WARD|||||||20261124093000",
        "TQ1|1||||||20261124100000||R^^HL70485",
        "OBR|1|P900001^WARD||CTCHEST^CT chest^L",
    ),
}


def admitted(version, control="W1", event="A04"):
    return (
        f"MSH|^~\\&|WARD|STEPWEDGE|RIS|STEPWEDGE|20261124092900||ADT^{event}|{control}|P|{version}",
        f"EVN|{event}|20261124092900",
        PID,
        "PV1|1|O",
    )


@contextlib.asynccontextmanager
async def neighbour(seen):
    """Listen with python-hl7's server, answer with its acknowledgement, keep every message."""

    async def connected(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not reader.at_eof():
                message = await reader.readmessage()
                seen.append(message)
                writer.writemessage(message.create_ack())
                await writer.drain()
        writer.close()

    server = await start_hl7_server(connected, "127.0.0.1", 0, encoding="latin-1")
    async with server:
        yield Address(hl7=Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))


@contextlib.asynccontextmanager
async def playing(tmp_path, others, **parts):
    plan = Plan({name: Part(name, settings) for name, settings in parts.items()}, others)
    host = Host(plan, tmp_path / "state", 5)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


async def tell(host, name, *lines):
    """Send one message with python-hl7's client; return its answer as python-hl7 reads it."""
    endpoint = host.directory[name].hl7
    reader, writer = await open_hl7_connection(endpoint.host, endpoint.port, encoding="latin-1")
    writer.writemessage(python_hl7.parse("\r".join(lines)))
    await writer.drain()
    answer = await asyncio.wait_for(reader.readmessage(), 10)
    writer.close()
    return answer


async def arrived(seen, count):
    async with asyncio.timeout(10):
        while len(seen) < count:  # noqa: ASYNC110 - python-hl7 tells nobody
            await asyncio.sleep(0.005)


def kinds(seen):
    return [str(message["MSH.F9.R1.C1"]) + "^" + str(message["MSH.F9.R1.C2"]) for message in seen]


def sound(seen):
    """Every message also fits the structure that its version has for it."""
    return [complaint for message in seen for complaint in complaints(str(message).encode("latin-1"))]


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_the_ward_is_read(tmp_path, version):
    department, archive = [], []

    async def script():
        async with (
            neighbour(department) as ris,
            neighbour(archive) as pacs,
            playing(tmp_path, {"ris": ris, "pacs": pacs}, ehr={}) as host,
        ):
            ward = host.simulators["ehr"]
            patient = await ward.act("register_patient", {"name": "Doe^Jane", "version": version}, CASE)
            changed = {"patient": patient, "name": "Roe^Jane", "version": version}
            patient = await ward.act("update_patient", changed, CASE)
            order = {"patient": patient, "procedure": "CTCHEST", "version": version}
            await ward.act("place_order", order, CASE)
            await arrived(department, 3)
            await arrived(archive, 2)

    asyncio.run(script())
    ordered = "ORM^O01" if version == "2.3.1" else "OMG^O19"
    assert kinds(department) == ["ADT^A04", "ADT^A08", ordered]
    assert kinds(archive) == ["ADT^A04", "ADT^A08"]
    assert [str(message["PID.F5.R1.C1"]) for message in department] == ["Doe", "Roe", "Roe"]
    assert len({str(message["PID.F3.R1.C1"]) for message in [*department, *archive]}) == 1
    assert str(department[2]["ORC.F1"]) == "NW"
    assert not sound([*department, *archive])


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_the_department_is_told_and_read(tmp_path, version):
    ward, archive = [], []

    async def script():
        async with (
            neighbour(ward) as ehr,
            neighbour(archive) as pacs,
            playing(tmp_path, {"ehr": ehr, "pacs": pacs}, ris={}) as host,
        ):
            assert str((await tell(host, "ris", *admitted(version)))["MSA.F1"]) == "AA"
            answer = await tell(host, "ris", *ORDERED[version])
            await arrived(archive, 1)
            await arrived(ward, 2)
            return answer

    answer = asyncio.run(script())
    assert kinds([answer]) == ["ORR^O02" if version == "2.3.1" else "ORG^O20"]
    assert (str(answer["MSA.F1"]), str(answer["MSA.F2"])) == ("AA", "W2")
    filler = str(answer["ORC.F3.R1.C1"])
    assert filler.startswith("F")
    assert kinds(archive) == ["ORM^O01" if version == "2.3.1" else "OMI^O23"]
    assert sorted(kinds(ward)) == sorted(["ORM^O01" if version == "2.3.1" else "OMG^O19", "SIU^S12"])
    for message in (*archive, *ward):
        assert str(message["PID.F3.R1.C1"]) == "SW900001"
    assert str(archive[0]["ORC.F3.R1.C1"]) == filler
    assert not sound([answer, *archive, *ward])


def test_the_archive_is_told(tmp_path):
    async def script():
        async with playing(tmp_path, {}, pacs={}) as host:
            first = await tell(host, "pacs", *admitted("2.3.1"))
            renamed = admitted("2.3.1", "W3", "A08")
            second = await tell(host, "pacs", *renamed[:2], PID.replace("DOE", "ROE"), renamed[3])
            return first, second, await host.simulators["pacs"].ask("patient", {"id": "SW900001"})

    first, second, patient = asyncio.run(script())
    assert [(str(reply["MSA.F1"]), str(reply["MSA.F2"])) for reply in (first, second)] == [
        ("AA", "W1"),
        ("AA", "W3"),
    ]
    assert patient["name"] == "ROE^JANE"
    assert not sound([first, second])


def test_the_ward_is_told(tmp_path):
    department = []

    async def script():
        async with neighbour(department) as ris, playing(tmp_path, {"ris": ris}, ehr={}) as host:
            ward = host.simulators["ehr"]
            patient = await ward.act("register_patient", {"version": "2.3.1"}, CASE)
            order = {"patient": patient, "procedure": "CTCHEST", "version": "2.3.1"}
            placed = await ward.act("place_order", order, CASE)
            status = (
                "MSH|^~\\&|RIS|STEPWEDGE|EHR|STEPWEDGE|20261124101500||ORM^O01|R7|P|2.3.1",
                f"PID|1||{patient['id']}^^^STEPWEDGE||{patient['name']}",
                f"ORC|SC|{placed['placer']}^EHR|F900^RIS||IP",
                f"OBR|1|{placed['placer']}^EHR|F900^RIS|CTCHEST^CT chest^L",
            )
            answer = await tell(host, "ehr", *status)
            strange = await tell(host, "ehr", *(line.replace(placed["placer"], "P0") for line in status))
            return answer, strange, await ward.ask("order", {"placer": placed["placer"]})

    answer, strange, order = asyncio.run(script())
    assert (str(answer["MSA.F1"]), str(answer["MSA.F2"])) == ("AA", "R7")
    assert str(strange["MSA.F1"]) == "AE"
    assert (order["status"], order["filler"]) == ("in progress", "F900")


def test_the_engine_stands_between_two_of_them(tmp_path):
    department = []
    routes = {"routes": [{"name": "patients", "type": "ADT", "to": ["ris"]}]}

    async def script():
        async with neighbour(department) as ris, playing(tmp_path, {"ris": ris}, engine=routes) as host:
            answer = await tell(host, "engine", *admitted("2.3.1"))
            refused = await tell(host, "engine", *ORDERED["2.3.1"])
            await arrived(department, 1)
            return answer, refused

    answer, refused = asyncio.run(script())
    assert (str(answer["MSA.F1"]), str(answer["MSA.F2"])) == ("AA", "W1")
    assert str(refused["MSA.F1"]) == "AR"
    assert kinds(department) == ["ADT^A04"]
    assert str(department[0]["PID.F3.R1.C1"]) == "SW900001"
