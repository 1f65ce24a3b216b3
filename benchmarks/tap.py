"""What a tap costs: what passes through one and past it, in turns within one run.

    python -m benchmarks.tap [--repeats 11] [--messages 400] [--images 12] [--requests 80] [--only empty,simulated,orthanc]

Caller, tap and receiver are three processes. The receivers are

- *empty*: the servers that every simulated system has, with handlers that do nothing: the fastest there is;
- *simulated*: a simulated RIS (HL7) and PACS (C-STORE, QIDO), with their journals: taps do not read what passes to them;
- *orthanc*: Orthanc with its DICOMweb plug-in (C-STORE, QIDO), as a real archive: taps read what passes.

*read* is through a tap that has it read into the journal by a process of its own, *here* through one that reads itself, *through* is through
one that does not read. What is still to be read at the end is read before the next measurement. The ratio is the median of those to
what passed in a second past the tap just before, and the figure to quote. The CPU time of the tap's process for each message, image or request stands beside it, and
that of caller and receiver together: on cores that are all busy the ratio cannot be better than what these say.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.ingest import CT, Study
from stepwedge.evidence.journal import Journal
from stepwedge.sim.address import Directory
from stepwedge.sim.bench import Bench
from stepwedge.sim.host import Host, Part, Plan, settle
from stepwedge.sim.ports import Ports
from stepwedge.sim.tap.apart import Apart
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.sim.tap.witness import Behind
from stepwedge.sim.tap.witnesses import Witnesses
from stepwedge.sim.web import WebServer
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp_asyncio import Client, serve

NUMBERS = itertools.count(int(time.time() * 1000) % 10**8 * 1000)
STUDIES = itertools.count(1)
CONNECTIONS = 8


def message(number):
    """Return a registration of about 500 bytes."""
    return (
        f"MSH|^~\\&|EHR||RIS||20261124093000||ADT^A04^ADT_A01|{number}|P|2.5.1\r"
        f"EVN||20261124093000\rPID|1||SW{number % 10**8:08}^^^STEPWEDGE||DOE^JANE||19600101|F\r"
        f"PV1|1|O|||||||||||{'x' * 380}\r"
    ).encode()


# --- the receivers and the tap, each a process -----------------------------------------------------------------------


class Taker(dimse_asyncio.Provider):
    """Takes every image and keeps none."""

    async def on_store(self, *_):
        return 0


async def nothing_found(scope, _receive, send):
    """Answer every request with an empty list, as fast as can be."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/dicom+json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"[]"})


async def empty():
    """Serve the three protocols and do nothing."""

    def answer(raw, _peer):
        return acknowledgement(parse(raw), "AA", control="A", now=datetime.now(UTC))

    hl7 = await serve("127.0.0.1", 0, answer)
    acceptor = dimse_asyncio.Acceptor("PEER", {CT: [EXPLICIT_LE]}, Taker())
    dicom = await dimse_asyncio.serve("127.0.0.1", 0, acceptor)
    web, port = WebServer(nothing_found), peers.free_port()
    await web.start("127.0.0.1", port)
    settle()
    print(hl7.port, dicom.port, port, flush=True)
    await asyncio.Event().wait()


async def simulated(folder):
    """Play a RIS and a PACS."""
    plan = Plan({"ris": Part("ris"), "pacs": Part("pacs", {"ae_title": "PEER"})})
    host = Host(plan, Path(folder), 1)
    await host.start()
    settle()
    ris, pacs = host.directory["ris"], host.directory["pacs"]
    print(ris.hl7.port, pacs.dicom.port, pacs.web.rsplit(":", 1)[1].split("/")[0], flush=True)
    await asyncio.Event().wait()


async def taps(folder, *ports):
    """Stand before a receiver, for each protocol once without and once with a witness."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    bench = Bench(
        "pacs", "tap", {}, folder / "pacs", 1, Journal(folder), Directory(), Ports(folder / "ports.json")
    )
    witnesses, behind, told = Witnesses(lambda _: bench), Behind(), []
    apart = Apart(Witnesses(lambda _: bench), lambda _: bench, bench.journal)
    for door, port in zip(("hl7", "dicom", "web"), map(int, ports), strict=True):
        edge = Edge("caller", "pacs", door)
        here, there = (one.of(edge, "http://127.0.0.1/dicom-web", sealed=False) for one in (witnesses, apart))
        for tap in (
            Tap(edge, ("127.0.0.1", port)),
            Tap(edge, ("127.0.0.1", port), there, behind=apart),
            Tap(edge, ("127.0.0.1", port), here, behind=behind),
        ):
            if port:
                await tap.listen()
            told.append(tap.port)
    await witnesses.ready()
    await apart.start()
    settle()
    print(*told, apart.process, flush=True)
    await asyncio.Event().wait()


# --- the caller ------------------------------------------------------------------------------------------------------


def ask_hl7(port, count):
    """Send messages on several connections at once and wait for each acknowledgement."""

    async def talk(share):
        client = Client("127.0.0.1", port)
        for _ in range(share):
            assert b"|AA|" in await client.ask(message(next(NUMBERS)))
        await client.close()

    async def run():
        await asyncio.gather(*(talk(count // CONNECTIONS) for _ in range(CONNECTIONS)))

    asyncio.run(run())


def store(port, count):
    """Send images of half a megabyte on one association."""
    study = Study(next(STUDIES))
    with Association.open(
        "127.0.0.1", port, calling="CALLER", called="PEER", contexts=[(CT, [EXPLICIT_LE])], timeout=60
    ) as association:
        for number in range(count):
            sop, data = study.image(number)
            assert association.store(CT, sop, EXPLICIT_LE, bytes(data)).status == 0


def find(port, count):
    """Search for a patient who is not there, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(count):
        headers = {"Accept": "application/dicom+json"}
        connection.request("GET", "/dicom-web/studies?PatientID=SWNOBODY", headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {200, 204}
    connection.close()


@contextlib.contextmanager
def started(*arguments):
    """Run one of the other processes; give its ports and its number."""
    command = [sys.executable, "-m", "benchmarks.tap", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield [int(port) for port in process.stdout.readline().split()], process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def receiver(name, folder):
    """Run a receiver; give its ports (0 where it has no such door) and its number."""
    folder.mkdir()
    if name != "orthanc":
        with started(name, *([folder / "state"] if name == "simulated" else [])) as told:
            yield told
        return
    web = peers.free_port()
    options = {"HttpPort": web, "AuthenticationEnabled": False, "DicomAet": "PEER"}
    options |= {"Plugins": [f"{peers.PLUGINS}/libOrthancDicomWeb.so"], "SyncStorageArea": False}
    with peers.orthanc(folder, **options) as (dicom, process):
        yield [0, dicom, web], process.pid


def quiet(process):
    """Wait until a process does nothing, so that what it still has to do is not in the next measurement; return its CPU time."""
    before = -1.0
    while (now := peers.cpu_seconds(process)) != before:
        before = now
        time.sleep(0.05)
    return now


def measured(do, count, port, far, between, reader):
    """Return operations a second, and microseconds of CPU for each: of caller and receiver, of the tap, of what reads for it."""
    read = quiet(reader)
    quiet(between)
    before = [peers.cpu_seconds(process) for process in (far, between)]
    own, began = sum(os.times()[:2]), time.perf_counter()
    do(port, count)
    took, own = time.perf_counter() - began, sum(os.times()[:2]) - own
    ends, tap = (
        peers.cpu_seconds(process) - cpu for process, cpu in zip((far, between), before, strict=True)
    )
    read = quiet(reader) - read
    return (count / took, *(cpu / count * 1e6 for cpu in (own + ends, tap, read)))


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--requests", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--only", default="empty,simulated,orthanc")
    given = parser.parse_args()
    work = {
        "HL7 messages": (ask_hl7, given.messages),
        "C-STORE images": (store, given.images),
        "HTTP requests": (find, given.requests),
    }
    print(
        f"{'what':16}{'receiver':12}{'way':10}{'per second':>11}{'ratio':>8}{'tap us':>9}{'reader us':>10}{'ends us':>9}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only.split(","):
            with (
                receiver(name, Path(folder) / name) as (ports, far),
                started("taps", Path(folder) / f"taps-{name}", *ports) as (through, between),
            ):
                for at, (what, (do, count)) in enumerate(work.items()):
                    if not ports[at]:
                        continue
                    own = through[3 * at : 3 * at + 3]
                    ways = dict(zip(("past", "through", "read", "here"), (ports[at], *own), strict=True))
                    if name == "simulated":
                        del ways["read"], ways["here"]
                    figures = {way: [] for way in ways}
                    do(ports[at], max(count // 10, CONNECTIONS))
                    for _ in range(given.repeats):
                        for way, port in ways.items():
                            figures[way].append(measured(do, count, port, far, between, through[-1]))
                    for way, all_ in figures.items():
                        speed = statistics.median(one[0] for one in all_)
                        pairs = zip(all_, figures["past"], strict=True)
                        ratio = statistics.median(one[0] / past[0] for one, past in pairs)
                        ends, tap, reads = (
                            statistics.mean(one[column] for one in all_) for column in (1, 2, 3)
                        )
                        print(
                            f"{what:16}{name:12}{way:10}{speed:11.0f}{ratio:8.2f}{tap:9.0f}{reads:10.0f}{ends:9.0f}",
                            flush=True,
                        )


if __name__ == "__main__":
    others = {"empty": empty, "simulated": simulated, "taps": taps}
    if sys.argv[1:2] and sys.argv[1] in others:
        asyncio.run(others[sys.argv[1]](*sys.argv[2:]))
    else:
        main()
