"""Acknowledged HL7 round trips of an ORM^O01 on persistent connections: python-hl7's asyncio pair against ours.

    python benchmarks/hl7.py [--messages 2000] [--repeats 5]

Server and client are separate processes; variants take turns within each repeat, medians are printed, and ratios are the
figures to quote. *door* is what a simulated system does at least: parse, duplicate check, commit to SQLite, journal,
acknowledge. *template* asks the server of *wire* with a compiled message (:mod:`stepwedge.wire.hl7_template`), which is written
within the time measured, as are the messages of no other. *ris* is the whole simulated RIS, which takes every order, schedules it and fills its worklist.
"""

# ruff: noqa: E402 - the path is set before anything is imported along it

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: here, hl7 is this file

import hl7 as python_hl7
from hl7.mllp import open_hl7_connection, start_hl7_server

from stepwedge.wire import hl7
from stepwedge.wire.hl7_template import HL7Template, acknowledged
from stepwedge.wire.mllp_asyncio import Client, serve
from stepwedge.wire.mllp_blocking import Link

NOW = datetime.now().astimezone()
CONNECTIONS = (1, 8)
NAMES = ("python-hl7", "wire", "template", "door", "ris")


def order(number):
    """Return one new order of about 1 kB, filled as hospitals fill it."""
    placer, patient, visit = f"P{number:08}", f"SW{number:08}", f"V{number:08}"
    at, doctor = hl7.timestamp(NOW), ["1234", "Welby", "Marcus", "J", "", "Dr", "MD", "", "STEPWEDGE"]
    timing = ["1", "", "", at, "", "R"]
    address, phone = (
        ["12 Main Street", "", "Springfield", "IL", "62701", "USA", "H"],
        ["", "PRN", "PH", "", "1", "217", "5550123"],
    )
    pid = {
        1: 1,
        2: patient,
        3: hl7.Rep([[patient, "", "", "STEPWEDGE", "PI"], ["999990123", "", "", "SSA", "SS"]]),
        5: ["Doe", "Jane", "Q", "", "Dr"],
        6: ["Roe"],
        7: "19600101",
        8: "F",
        10: ["2106-3", "White", "HL70005"],
        11: address,
        13: phone,
        14: phone,
        15: ["en"],
        16: ["M"],
        17: ["CHR"],
        18: [visit, "", "", "STEPWEDGE", "AN"],
        19: "999-99-0123",
    }
    pv1 = {
        1: 1,
        2: "O",
        3: ["RAD", "R1", "B2", "STEPWEDGE"],
        7: doctor,
        8: doctor,
        9: doctor,
        10: "RAD",
        14: "1",
        15: "A0",
        17: doctor,
        18: "OP",
        19: [visit, "", "", "STEPWEDGE", "VN"],
        44: at,
    }
    orc = {
        1: "NW",
        2: [placer, "SW_EHR"],
        5: "IP",
        7: timing,
        9: at,
        10: doctor,
        12: doctor,
        13: ["RAD"],
        14: phone,
        15: at,
        17: ["RAD"],
    }
    obr = {
        1: 1,
        2: [placer, "SW_EHR"],
        4: ["CTCHEST", "CT chest with contrast", "STEPWEDGE", "71260", "CT THORAX W/DYE", "C4"],
        5: "R",
        6: at,
        7: at,
        13: "allergic to penicillin",
        15: ["", "", "", "CHEST"],
        16: doctor,
        17: phone,
        18: placer,
        24: "CT",
        27: timing,
        30: "WALK",
        31: ["R91.1", "Solitary pulmonary nodule", "I10"],
    }
    head = hl7.header(
        "ORM^O01",
        control=f"C{number}",
        now=NOW,
        version="2.3.1",
        sender=("SW_EHR", "SW"),
        receiver=("SW_RIS", "SW"),
    )
    return hl7.compose(
        [
            head,
            ("PID", pid),
            ("PV1", pv1),
            ("ORC", orc),
            ("OBR", obr),
            ("NTE", {1: 1, 3: "Please call the ward before transport."}),
        ]
    )


async def serve_python_hl7():
    """python-hl7 0.4.5, as its documentation shows it."""

    async def connected(reader, writer):
        while not reader.at_eof():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            writer.writemessage(message.create_ack())
            await writer.drain()

    server = await start_hl7_server(connected, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1]


async def serve_wire():
    """Our shells with the least a server may do: parse and acknowledge."""

    def answer(raw, _peer):
        return hl7.acknowledgement(hl7.parse(raw), "AA", control="1", now=NOW)

    return (await serve("127.0.0.1", 0, answer)).port


async def serve_hospital(role, folder):
    """One simulated system with its journal and its SQLite state."""
    from stepwedge.sim.host import Host, Part, Plan, settle

    host = Host(Plan({role: Part(role)}), folder, 1)
    await host.start()
    settle()
    return host, host.directory[role].hl7.port


async def serve_door(folder):
    """A door whose handler only says yes: commit, journal and acknowledgement are those of every simulated system."""
    from stepwedge.evidence.journal import Journal
    from stepwedge.sim.address import Directory
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.hl7 import Hl7Door, Reply
    from stepwedge.sim.host import settle
    from stepwedge.sim.ports import Ports
    from stepwedge.sim.tables import State

    bench = Bench("ris", "ris", {}, folder, 1, Journal(folder), Directory({}), Ports(folder / "ports.json"))
    door = Hl7Door(bench, State(1, "ris"), {"ORM^O01": lambda *_: Reply("AA")})
    port = (await door.start()).hl7.port
    settle()
    return bench, door, port


def child(name):
    """Serve until standard input ends, then say how much CPU time that took."""

    async def run(folder):
        kept = ()
        if name == "python-hl7":
            port = await serve_python_hl7()
        elif name == "wire":
            port = await serve_wire()
        else:
            *kept, port = await (serve_door(folder) if name == "door" else serve_hospital(name, folder))
        print(port, flush=True)
        began = time.process_time()
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(time.process_time() - began), flush=True)
        return kept

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def drive_python_hl7(port, messages):
    reader, writer = await open_hl7_connection("127.0.0.1", port)
    for message in messages:
        writer.writemessage(message)
        await writer.drain()
        answer = await reader.readmessage()
        assert str(answer["MSA.F1.R1"]) == "AA"
    writer.close()


def drive_link(port, messages):
    """Ask over our blocking shell, as checks and load do."""
    with Link.open("127.0.0.1", port) as link:
        for message in messages:
            answer = hl7.parse(link.ask(message))
            assert answer["MSA-1"] == "AA", answer.raw


def identifiers(number):
    """Return what differs from one order to the next."""
    return {
        "control": f"C{number}",
        "placer": f"P{number:08}",
        "patient": f"SW{number:08}",
        "visit": f"V{number:08}",
    }


def drive_template(port, numbers):
    """Ask with compiled messages, as load does."""
    template = HL7Template.of(order(99_999_999), identifiers(99_999_999))
    with Link.open("127.0.0.1", port) as link:
        for number in numbers:
            answer = acknowledged(link.ask(template.render(identifiers(number))))
            assert answer.code == "AA", answer


async def drive_client(port, messages):
    """Ask over our asyncio shell, as simulated systems do."""
    client = Client("127.0.0.1", port)
    for message in messages:
        answer = hl7.parse(await client.ask(message))
        assert answer["MSA-1"] == "AA", answer.raw
    await client.close()


def measure(name, connections, messages):
    """Return messages per second and the server's CPU time per message in microseconds."""
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", "wire" if name == "template" else name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(server.stdout.readline())
    raws = [order(number) for number in range(messages)]
    drive = drive_client
    if name == "python-hl7":
        drive, raws = drive_python_hl7, [python_hl7.parse(raw.decode()) for raw in raws]

    async def run():
        await asyncio.gather(*(drive(port, raws[each::connections]) for each in range(connections)))

    began = time.perf_counter()
    if name == "template":
        with ThreadPoolExecutor(connections) as threads:
            list(
                threads.map(
                    lambda each: drive_template(port, range(each, messages, connections)), range(connections)
                )
            )
    elif connections == 1 and name != "python-hl7":
        drive_link(port, raws)
    else:
        asyncio.run(run())
    took = time.perf_counter() - began
    cpu = float(server.communicate("")[0])
    return messages / took, cpu / messages * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        child(given.serve)
        return
    names = NAMES
    print(f"one message: {len(order(1))} bytes")
    print(f"{'pair':<12}{'connections':>12}{'messages/s':>12}{'ratio':>8}{'server us':>11}{'ratio':>8}")
    for connections in CONNECTIONS:
        figures = {name: [] for name in names}
        for _ in range(given.repeats):
            for name in names:
                figures[name].append(measure(name, connections, given.messages))
        base_rate, base_cpu = (statistics.median(column) for column in zip(*figures[names[0]], strict=True))
        for name in names:
            rate, cpu = (statistics.median(column) for column in zip(*figures[name], strict=True))
            print(
                f"{name:<12}{connections:>12}{rate:>12.0f}{rate / base_rate:>8.1f}{cpu:>11.0f}{base_cpu / cpu:>8.1f}"
            )


if __name__ == "__main__":
    main()
