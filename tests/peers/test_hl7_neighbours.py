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


MERGED = (
    "MSH|^~\\&|WARD|STEPWEDGE|RIS|STEPWEDGE|20261124094000||ADT^A40^ADT_A39|W8|P|2.5.1",
    "EVN|A40|20261124094000",
    PID.replace("SW900001", "SW900009"),
    "MRG|SW900001^^^STEPWEDGE",
)
IDENTITIES = {
    "A28": (*admitted("2.5.1", "W4", "A28")[:2], PID.replace("SW900001", "SW900003"), "PV1|1|N"),
    "A31": (*admitted("2.5.1", "W5", "A31")[:2], PID.replace("DOE", "ROE"), "PV1|1|N"),
    "A47": (
        *admitted("2.5.1", "W6", "A47")[:2],
        PID.replace("SW900001", "SW900007"),
        "MRG|SW900001^^^STEPWEDGE",
    ),
}


@pytest.mark.parametrize("name", ["ris", "pacs"])
def test_patients_are_changed_by_them(tmp_path, name):
    """A28, A31, A47 and A40, one after the other, each answered with its own control ID."""

    async def script():
        async with playing(tmp_path, {}, **{name: {}}) as host:
            await tell(host, name, *admitted("2.5.1"))
            told = [await tell(host, name, *IDENTITIES[event]) for event in ("A28", "A31", "A47")]
            told.append(await tell(host, name, MERGED[0], MERGED[1], MERGED[2], "MRG|SW900007^^^STEPWEDGE"))
            ask = host.simulators[name].ask
            return told, [await ask("patient", {"id": one}) for one in ("SW900003", "SW900009")]

    told, (added, survivor) = asyncio.run(script())
    assert [(str(reply["MSA.F1"]), str(reply["MSA.F2"])) for reply in told] == [
        ("AA", "W4"),
        ("AA", "W5"),
        ("AA", "W6"),
        ("AA", "W8"),
    ]
    assert added["id"] == "SW900003"
    assert survivor["id"] == "SW900009"
    assert not sound(told)


SCHEDULED = (
    "MSH|^~\\&|RIS|STEPWEDGE|PACS|STEPWEDGE|20261124093100||ORM^O01|S1|P|2.3.1",
    PID,
    "PV1|1|O",
    "ORC|NW|P900001^WARD|F900001^RIS||SC||1^^^20261124100000^^R",
    "OBR|1|P900001^WARD|F900001^RIS|CTCHEST^CT chest^L||||||||||||||SW900000000001|RP1|SPS1|||CT",
    "ZDS|2.25.329800735698586629295641978511506172918^STEPWEDGE^Application^DICOM",
)


def test_the_archive_hears_of_procedures(tmp_path):
    cancelled = (
        SCHEDULED[0].replace("|S1|", "|S2|"),
        *SCHEDULED[1:3],
        SCHEDULED[3].replace("NW", "CA").replace("SC", "CA"),
        *SCHEDULED[4:],
    )

    async def script():
        async with playing(tmp_path, {}, pacs={}) as host:
            archive = host.simulators["pacs"]
            first = await tell(host, "pacs", *SCHEDULED)
            expected = await archive.ask("expected", {"accession": "SW900000000001"})
            second = await tell(host, "pacs", *cancelled)
            return first, expected, second, await archive.ask("expected", {"accession": "SW900000000001"})

    first, expected, second, after = asyncio.run(script())
    assert [(str(reply["MSA.F1"]), str(reply["MSA.F2"])) for reply in (first, second)] == [
        ("AA", "S1"),
        ("AA", "S2"),
    ]
    assert expected["study"] == "2.25.329800735698586629295641978511506172918"
    assert after != expected


def test_reports_and_appointments_pass_through(tmp_path):
    """A report dictated with python-hl7 reaches the ward by way of the RIS; the ward takes it, and an appointment, from python-hl7 too."""
    ward = []

    async def department():
        async with neighbour(ward) as ehr, playing(tmp_path, {"ehr": ehr}, ris={}) as host:
            await tell(host, "ris", *admitted("2.3.1"))
            answer = await tell(host, "ris", *ORDERED["2.3.1"])
            await arrived(ward, 2)
            filler = str(answer["ORC.F3.R1.C1"])
            report = (
                "MSH|^~\\&|READER|STEPWEDGE|RIS|STEPWEDGE|20261124113000||ORU^R01|D1|P|2.3.1",
                PID,
                f"OBR|1|P900001^WARD|{filler}^RIS|CTCHEST^CT chest^L|||20261124110000||||||||||||||||||F",
                "OBX|1|TX|18782-3^Radiology Study observation^LN||No finding.||||||F",
            )
            reply = await tell(host, "ris", *report)
            await arrived(ward, 3)
            return reply

    reply = asyncio.run(department())
    assert (str(reply["MSA.F1"]), str(reply["MSA.F2"])) == ("AA", "D1")
    report = next(message for message in ward if str(message["MSH.F9.R1.C1"]) == "ORU")
    assert "No finding." in str(report)
    assert str(report["OBR.F2.R1.C1"]) == "P900001"
    assert not sound([report])

    orders = []

    async def listens():
        async with neighbour(orders) as ris, playing(tmp_path / "ward", {"ris": ris}, ehr={}) as host:
            ehr = host.simulators["ehr"]
            patient = await ehr.act("register_patient", {"version": "2.3.1"}, CASE)
            order = {"patient": patient, "procedure": "CTCHEST", "version": "2.3.1"}
            placed = await ehr.act("place_order", order, CASE)
            person = f"PID|1||{patient['id']}^^^STEPWEDGE||{patient['name']}"
            booked = (
                "MSH|^~\\&|RIS|STEPWEDGE|EHR|STEPWEDGE|20261124101500||SIU^S12|R8|P|2.3.1",
                f"SCH|{placed['placer']}^EHR|A900^RIS|||||||||^^30^20261126100000^20261126103000||||||||||||||Booked",
                person,
                "RGS|1",
                "AIS|1||CTCHEST^CT chest^L|20261126100000",
            )
            signed = (
                "MSH|^~\\&|RIS|STEPWEDGE|EHR|STEPWEDGE|20261124113000||ORU^R01|R9|P|2.3.1",
                person,
                f"OBR|1|{placed['placer']}^EHR|F900^RIS|CTCHEST^CT chest^L|||20261124110000||||||||||||||||||F",
                "OBX|1|TX|18782-3^Radiology Study observation^LN||No finding.||||||F",
            )
            answers = [await tell(host, "ehr", *lines) for lines in (booked, signed)]
            return answers, await ehr.ask("report", {"placer": placed["placer"]})

    answers, said = asyncio.run(listens())
    assert [(str(one["MSA.F1"]), str(one["MSA.F2"])) for one in answers] == [("AA", "R8"), ("AA", "R9")]
    assert (said["status"], said["text"]) == ("final", "No finding.")


def test_the_department_tells_the_archive_what_changed(tmp_path):
    """Cancelled by python-hl7 at the ward, told on to python-hl7 at the archive (RAD-13)."""
    ward, archive = [], []

    async def script():
        async with (
            neighbour(ward) as ehr,
            neighbour(archive) as pacs,
            playing(tmp_path, {"ehr": ehr, "pacs": pacs}, ris={}) as host,
        ):
            await tell(host, "ris", *admitted("2.5.1"))
            placed = await tell(host, "ris", *ORDERED["2.5.1"])
            again = {"W2": "W3", "ORC|NW": "ORC|CA"}
            cancel = ["\r".join(ORDERED["2.5.1"])]
            for old, new in again.items():
                cancel.append(cancel[-1].replace(old, new))
            answer = await tell(host, "ris", *cancel[-1].split("\r"))
            await arrived(archive, 2)
            return placed, answer

    placed, answer = asyncio.run(script())
    assert (str(answer["MSA.F1"]), str(answer["ORC.F1"])) == ("AA", "CR")
    assert kinds(archive) == ["OMI^O23", "OMI^O23"]
    scheduled, cancelled = archive
    assert (str(cancelled["ORC.F1"]), str(cancelled["ORC.F5"])) == ("CA", "CA")
    filler = str(placed["ORC.F3.R1.C1"])
    assert {str(one["ORC.F3.R1.C1"]) for one in (scheduled, cancelled)} == {filler}
    assert str(scheduled["IPC.F1.R1.C1"]) == str(cancelled["IPC.F1.R1.C1"])
    assert not sound([answer, *archive])


def test_the_ward_tells_of_a_stay_and_of_identities(tmp_path):
    """Admitted, moved, discharged (ITI-31); added, corrected, given another number (ITI-30): all read by python-hl7."""
    heard = []

    async def script():
        async with neighbour(heard) as ris, playing(tmp_path, {"ris": ris}, ehr={}) as host:
            ward = host.simulators["ehr"]
            patient = await ward.act("add_person", {"name": "Doe^Jane", "version": "2.5.1"}, CASE)
            stay = await ward.act(
                "admit", {"patient": patient, "class": "inpatient", "location": "4N^1^A"}, CASE
            )
            await ward.act("transfer", {"visit": stay, "location": "5S^2^B"}, CASE)
            await ward.act("discharge", {"visit": stay}, CASE)
            patient = await ward.act("update_person", {"patient": patient, "name": "Roe^Jane"}, CASE)
            await ward.act("change_identifier", {"patient": patient}, CASE)
            await arrived(heard, 6)
            return stay

    stay = asyncio.run(script())
    assert kinds(heard) == ["ADT^A28", "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A31", "ADT^A47"]
    moved = heard[2]
    assert {str(one["PV1.F19.R1.C1"]) for one in heard[1:4]} == {stay["visit"]}
    assert (str(moved["PV1.F3.R1.C1"]), str(moved["PV1.F6.R1.C1"])) == ("5S", "4N")
    assert str(heard[5]["MRG.F1.R1.C1"]) == str(heard[0]["PID.F3.R1.C1"])
    assert not sound(heard)


@pytest.mark.parametrize("name", ["ris", "pacs", "mpi"])
def test_a_stay_is_told_by_them(tmp_path, name):
    """Admitted, moved, discharged by python-hl7 (ITI-31); discharged twice is refused by who keeps encounters."""

    def event(number, trigger, location, former=""):
        structure = {"A01": "ADT_A01", "A02": "ADT_A02", "A03": "ADT_A03"}[trigger]
        head = admitted("2.5.1", f"V{number}", trigger)
        visit = f"PV1|1|I|{location}|||{former}" + "|" * 13 + "V900001^^^STEPWEDGE"
        return (head[0].replace(f"ADT^{trigger}", f"ADT^{trigger}^{structure}"), head[1], PID, visit)

    async def script():
        async with playing(tmp_path, {}, **{name: {}}) as host:
            told = [
                await tell(host, name, *event(1, "A01", "4N^1^A")),
                await tell(host, name, *event(2, "A02", "5S^2^B", "4N^1^A")),
                await tell(host, name, *event(3, "A03", "5S^2^B")),
                await tell(host, name, *event(4, "A03", "5S^2^B")),
            ]
            ask = host.simulators[name].ask
            kept = await ask("encounter", {"visit": "V900001"}) if name == "ris" else None
            return told, kept

    told, kept = asyncio.run(script())
    assert [str(one["MSA.F1"]) for one in told[:3]] == ["AA"] * 3
    assert str(told[3]["MSA.F1"]) == ("AE" if name == "ris" else "AA")
    if name == "ris":
        assert kept["status"] == "discharged"
    assert not sound(told)


def test_the_ward_asks_and_hears_an_index(tmp_path):
    """An index that is python-hl7 answers who somebody is (ITI-9, ITI-21), and tells that a cross reference changed (ITI-10)."""
    asked = []
    known = "PID|||SW900001^^^STEPWEDGE^PI~SWC77^^^SWCLINIC^PI||%s"

    def answered(message):
        kind = str(message["MSH.F9.R1.C2"])
        answer = "K23" if kind == "Q23" else "K22"
        structure = answer if kind == "Q23" else "K21"
        person = known % ("~^^^^^^S" if kind == "Q23" else "Doe^Jane||19600102|F")
        return python_hl7.parse(
            "\r".join(
                (
                    f"MSH|^~\\&|INDEX|STEPWEDGE|WARD|STEPWEDGE|20261124093000||RSP^{answer}^RSP_{structure}|R{len(asked)}|P|2.5.1",
                    f"MSA|AA|{message['MSH.F10']}",
                    f"QAK|{message['QPD.F2']}|OK",
                    str(message.segment("QPD")),
                    person,
                )
            )
        )

    async def connected(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not reader.at_eof():
                asked.append(await reader.readmessage())
                writer.writemessage(answered(asked[-1]))
                await writer.drain()
        writer.close()

    async def script():
        server = await start_hl7_server(connected, "127.0.0.1", 0, encoding="latin-1")
        index = Address(hl7=Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))
        async with server, playing(tmp_path, {"mpi": index}, ehr={}) as host:
            ward = host.simulators["ehr"]
            crossed = await ward.act("cross_reference", {"patient": "SW900001"}, CASE)
            found = await ward.act("find_patient", {"family": "DOE"}, CASE)
            head = "MSH|^~\\&|INDEX|STEPWEDGE|WARD|STEPWEDGE|20261124093000||ADT^A31^ADT_A05|N1|P|2.5.1"
            told = await tell(host, "ehr", head, "EVN|A31|20261124093000", known % "~^^^^^^S", "PV1|1|N")
            return crossed, found, told, await ward.ask("known_as", {"id": "SW900001"})

    crossed, found, told, kept = asyncio.run(script())
    assert kinds(asked) == ["QBP^Q23", "QBP^Q22"]
    assert crossed["status"] == "OK"
    assert any("SWC77" in one for one in crossed["identifiers"])
    assert (found["count"], found["answers"]) == (1, 1)
    assert str(told["MSA.F1"]) == "AA"
    assert any("SWC77" in one for one in kept["identifiers"])
    assert not sound([*asked, told])
