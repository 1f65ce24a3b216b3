"""What a tap costs: acknowledged HL7 round trips and bytes a second, through a tap and past it, in turns within one run.

    python benchmarks/tap.py [--messages 3000] [--repeats 5] [--connections 8]

Caller, tap and receiver are three processes; the receiver is the one that every simulated system has, with an empty handler, and so
the fastest there is: a real receiver makes the ratio better, not worse. *witnessed* also reads every message into a journal. The
ratios are the figures to quote.
"""

# ruff: noqa: E402 - the path is set before anything is imported along it

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from stepwedge.evidence.journal import Journal
from stepwedge.sim.address import Directory
from stepwedge.sim.bench import Bench
from stepwedge.sim.ports import Ports
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.sim.tap.witness_hl7 import Hl7Witness
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp_asyncio import Client, serve

BULK = 64 << 20


def message(number):
    """Return a registration of about 500 bytes."""
    return (
        f"MSH|^~\\&|RIS||PACS||20261124093000||ADT^A04|{number}|P|2.5.1\r"
        f"PID|1||SW{number:08}^^^STEPWEDGE||DOE^JANE||19600101|F\rPV1|1|O|||||||||||{'x' * 380}\r"
    ).encode()


async def receiver():
    """Answer messages, and swallow bulk on a second port."""

    def answer(raw, _peer):
        return acknowledgement(parse(raw), "AA", control="A", now=datetime.now(UTC))

    async def swallow(reader, writer):
        left = BULK
        while left > 0 and (data := await reader.read(1 << 18)):
            left -= len(data)
        writer.write(b"x")
        await writer.drain()
        writer.close()

    hl7 = await serve("127.0.0.1", 0, answer)
    bulk = await asyncio.start_server(swallow, "127.0.0.1", 0)
    print(hl7.port, bulk.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def tap(hl7, bulk, folder):
    """Stand before the receiver: plain, witnessed, and for bulk."""
    folder = Path(folder)
    bench = Bench(
        "pacs", "tap", {}, folder / "pacs", 1, Journal(folder), Directory(), Ports(folder / "ports.json")
    )
    edge = Edge("ris", "pacs", "hl7")
    taps = [
        Tap(edge, ("127.0.0.1", hl7)),
        Tap(edge, ("127.0.0.1", hl7), lambda _: Hl7Witness(bench, edge)),
        Tap(Edge("ct", "pacs", "dicom"), ("127.0.0.1", bulk)),
    ]
    for one in taps:
        await one.listen()
    print(*(one.port for one in taps), flush=True)
    await asyncio.Event().wait()


async def round_trips(port, messages, connections):
    """Return acknowledged messages a second."""

    async def talk(first):
        client = Client("127.0.0.1", port)
        for number in range(first, first + messages // connections):
            await client.ask(message(number))
        await client.close()

    began = time.perf_counter()
    await asyncio.gather(*(talk(one * 1_000_000) for one in range(connections)))
    return messages / (time.perf_counter() - began)


async def megabytes(port):
    """Return megabytes a second of bulk."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    piece = bytes(1 << 20)
    for _ in range(BULK >> 20):
        writer.write(piece)
        await writer.drain()
    await reader.readexactly(1)
    writer.close()
    return BULK / 1e6 / (time.perf_counter() - began)


def start(*arguments):
    """Start one of the other processes; return it and the ports it told."""
    process = subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    return process, [int(port) for port in process.stdout.readline().split()]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        far, (hl7, bulk) = start("receiver")
        between, (plain, witnessed, large) = start("tap", hl7, bulk, folder)
        try:
            ways = {
                "HL7 messages/s": {"direct": hl7, "tap": plain, "witnessed": witnessed},
                "bulk MB/s": {"direct": bulk, "tap": large},
            }
            for unit, ports in ways.items():
                figures = {name: [] for name in ports}
                for _ in range(given.repeats):
                    for name, port in ports.items():
                        work = (
                            megabytes(port)
                            if "MB" in unit
                            else round_trips(port, given.messages, given.connections)
                        )
                        figures[name].append(asyncio.run(work))
                middle = {name: statistics.median(one) for name, one in figures.items()}
                for name, figure in middle.items():
                    print(f"{unit:16} {name:10} {figure:10.0f}   ratio {figure / middle['direct']:.2f}")
        finally:
            for process in (between, far):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["receiver"]:
        asyncio.run(receiver())
    elif sys.argv[1:2] == ["tap"]:
        asyncio.run(tap(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
    else:
        main()
