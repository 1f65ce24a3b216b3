"""Modality worklist: C-FIND by accession number on one open association, one match.

*wire* and *pynetdicom* are a client and a server each that looks the answer up in a dictionary of ready identifiers. *ris* is
the whole simulated RIS, asked by our client: its orders came as HL7 messages, and every query is in its journal before the
answer leaves. *wlmscpfs* (DCMTK) and *Orthanc* (its worklist plug-in) are asked by our client too, and read a folder of files.

TCP_NODELAY is on everywhere; each server is a process of its own; the variants run alternately and the medians are shown.
Quote the ratios, not the figures.

    python -m benchmarks.worklist [--seconds 1.0] [--repeats 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import peers
from stepwedge.model.identifiers import uid
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.services import WORKLIST

SIZES = (100, 1_000, 10_000)
PAIRS = ("wire", "lane", "pynetdicom")
SERVERS = ("ris", "wlmscpfs", "orthanc")


def entry(number: int) -> dict:
    """Make one scheduled procedure step as the RIS offers it."""
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "AccessionNumber": f"SW{number:08}",
        "ReferringPhysicianName": "Grün^Käthe^^Dr.",
        "PatientName": f"Müller^Jörg{number}",
        "PatientID": f"SW{number:08}",
        "IssuerOfPatientID": "STEPWEDGE",
        "PatientBirthDate": "19700131",
        "PatientSex": "M",
        "PatientWeight": "",
        "MedicalAlerts": "",
        "Allergies": "",
        "StudyInstanceUID": uid("benchmark", "study", number),
        "RequestingPhysician": "",
        "RequestedProcedureDescription": "CT chest",
        "RequestedProcedureCodeSequence": [
            {"CodeValue": "CTCHEST", "CodingSchemeDesignator": "SW", "CodeMeaning": "CT"}
        ],
        "ScheduledProcedureStepSequence": [
            {
                "Modality": "CT",
                "ScheduledStationAETitle": "SW_CT1",
                "ScheduledProcedureStepStartDate": "20261124",
                "ScheduledProcedureStepStartTime": "093000",
                "ScheduledPerformingPhysicianName": "",
                "ScheduledProcedureStepDescription": "CT chest",
                "ScheduledProtocolCodeSequence": [],
                "ScheduledProcedureStepID": f"S{number}",
                "ScheduledStationName": "CT1",
            }
        ],
        "RequestedProcedureID": f"RP{number}",
        "RequestedProcedurePriority": "ROUTINE",
    }


# --- servers -----------------------------------------------------------------------------------------------------


async def serve_wire(size: int) -> None:
    from stepwedge.wire.dimse_asyncio import Acceptor, Provider, serve

    index = {f"SW{number:08}": encode(entry(number), explicit=True) for number in range(size)}

    class Worklist(Provider):
        def on_find(self, _peer, _model, identifier):
            found = index.get(identifier.get("AccessionNumber", ""))
            return [found] if found else []

    server = await serve("127.0.0.1", 0, Acceptor("PEER", {WORKLIST: [EXPLICIT_LE, IMPLICIT_LE]}, Worklist()))
    print(server.port, flush=True)
    await asyncio.Event().wait()


async def serve_ris(size: int, folder: Path) -> None:
    """Give the simulated RIS its orders by HL7, and tell the accession numbers it gave them."""
    from benchmarks.hl7 import order, serve_hospital

    host, _ = await serve_hospital("ris", folder)
    door = host.simulators["ris"].doors[0]
    for first in range(0, size, 64):
        door.answers([(order(number), "benchmark:1") for number in range(first, min(first + 64, size))])
    steps = host.simulators["ris"].state.steps.values()
    print(host.directory["ris"].worklist.port, flush=True)
    print(json.dumps([step.accession for step in steps]), flush=True)
    await asyncio.Event().wait()


def no_delay(event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def serve_pynetdicom(size: int) -> None:
    from io import BytesIO

    from pydicom.filereader import read_dataset
    from pynetdicom import AE, evt

    index = {}
    for number in range(size):
        raw = BytesIO(encode(entry(number), explicit=True))
        index[f"SW{number:08}"] = read_dataset(raw, is_implicit_VR=False, is_little_endian=True)

    def find(event):
        found = index.get(event.identifier.AccessionNumber)
        if found is not None:
            yield 0xFF00, found
        yield 0x0000, None

    entity = AE("PEER")
    entity.add_supported_context(WORKLIST, [EXPLICIT_LE, IMPLICIT_LE])
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_CONN_OPEN, no_delay)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    print(server.server_address[1], flush=True)
    while True:
        time.sleep(60)


def worklist_files(folder: Path, size: int) -> None:
    """Write the entries as files, one each, as wlmscpfs and Orthanc read them."""
    from stepwedge.wire import part10
    from stepwedge.wire.results import Instance

    folder.mkdir()
    (folder / "lockfile").touch()
    for number in range(size):
        data = encode(entry(number), explicit=True)
        name = uid("benchmark", "worklist", number)
        (folder / f"{number}.wl").write_bytes(
            part10.write(Instance("1.2.276.0.7230010.3.1.0.1", name, EXPLICIT_LE, data))
        )


@contextlib.contextmanager
def running(name: str, size: int):
    """Run a server and give its port, its AE title and the accession numbers it has."""
    accessions = [f"SW{number:08}" for number in range(size)]
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        if name in {"wlmscpfs", "orthanc"}:
            worklist_files(folder / "PEER", size)
        if name == "wlmscpfs":
            port = peers.free_port()
            with peers.started(["wlmscpfs", "-dfr", "-dfp", kept, str(port)], port, folder):
                yield port, "PEER", accessions
        elif name == "orthanc":
            worklists = {"Enable": True, "Database": str(folder / "PEER")}
            plugin = f"{peers.PLUGINS}/libModalityWorklists.so"
            with peers.orthanc(folder, Plugins=[plugin], Worklists=worklists) as (port, _):
                yield port, "PEER", accessions
        else:
            with child("wire" if name == "lane" else name, size, folder) as output:
                port = int(output.readline())
                if name == "ris":
                    accessions = json.loads(output.readline())
                yield port, "SW_RIS" if name == "ris" else "PEER", accessions


@contextlib.contextmanager
def child(name: str, size: int, folder: Path):
    """Run one of the servers of this file in a process of its own and give its output."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.worklist"),
            *("--serve", name, "--size", str(size), "--folder", str(folder)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        yield process.stdout
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


# --- clients -----------------------------------------------------------------------------------------------------


def query(accession: str) -> dict:
    """Ask as a scanner does: one key, the return keys empty."""
    return {
        "AccessionNumber": accession,
        "PatientName": "",
        "PatientID": "",
        "StudyInstanceUID": "",
        "ScheduledProcedureStepSequence": [{"Modality": "", "ScheduledProcedureStepStartDate": ""}],
    }


def ask_ours(port: int, called: str):
    from stepwedge.wire.dimse_blocking import Association

    association = Association.open("127.0.0.1", port, calling="SW_CT1", called=called, contexts=[WORKLIST])

    def ask(accession: str) -> str:
        answers = association.find(WORKLIST, query(accession))
        assert (len(answers), answers.status) == (1, 0), (len(answers), answers.status)
        assert answers[0]["PatientName"]
        return answers[0]["AccessionNumber"]

    return ask, association.release


def ask_pynetdicom(port: int, called: str):
    from pydicom import Dataset
    from pynetdicom import AE, evt

    entity = AE("SW_CT1")
    entity.add_requested_context(WORKLIST, [EXPLICIT_LE, IMPLICIT_LE])
    association = entity.associate(
        "127.0.0.1", port, ae_title=called, evt_handlers=[(evt.EVT_CONN_OPEN, no_delay)]
    )
    assert association.is_established

    def ask(accession: str) -> str:
        wanted, step = Dataset(), Dataset()
        wanted.AccessionNumber = accession
        wanted.PatientName = wanted.PatientID = wanted.StudyInstanceUID = ""
        step.Modality = step.ScheduledProcedureStepStartDate = ""
        wanted.ScheduledProcedureStepSequence = [step]
        answers = list(association.send_c_find(wanted, WORKLIST))
        assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
        assert answers[0][1].PatientName
        return str(answers[0][1].AccessionNumber)

    return ask, association.release


def ask_lane(port: int, called: str):
    from stepwedge.wire.compiled import CompiledQuery
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.lane import Lane

    association = Association.open("127.0.0.1", port, calling="SW_CT1", called=called, contexts=[WORKLIST])
    lane, keys = Lane(association), CompiledQuery(WORKLIST, query(""), ("AccessionNumber",))

    def ask(accession: str) -> str:
        found = lane.find(keys, {"AccessionNumber": accession})
        assert (len(found), found.status) == (1, 0), (len(found), found.status)
        return found.text(0, "AccessionNumber")

    return ask, association.release


ASK = {"pynetdicom": ask_pynetdicom, "lane": ask_lane}


def measure(ask, accessions: list[str], seconds: float) -> tuple[float, float, float]:
    """Ask for a while; return queries per second, median milliseconds, client CPU milliseconds a query."""
    times, number = [], 0
    cpu, began = time.process_time(), time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        accession = accessions[number % len(accessions)]
        assert ask(accession) == accession
        times.append(time.perf_counter() - now)
        number += 37
    took = time.perf_counter() - began
    return len(times) / took, statistics.median(times) * 1e3, (time.process_time() - cpu) / len(times) * 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--serve", choices=(*PAIRS, "ris"))
    options.add_argument("--size", type=int, default=0)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    if chosen.serve == "wire":
        asyncio.run(serve_wire(chosen.size))
    elif chosen.serve == "ris":
        asyncio.run(serve_ris(chosen.size, chosen.folder))
    elif chosen.serve:
        serve_pynetdicom(chosen.size)
    installed = {"wlmscpfs": "wlmscpfs", "orthanc": "Orthanc"}
    names = [name for name in (*PAIRS, *SERVERS) if shutil.which(installed.get(name, "python3"))]
    print("| worklist entries | server | queries/s | p50 ms | client CPU ms | ris is faster by |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        medians = compare(names, size, chosen.seconds, chosen.repeats)
        for name in names:
            rate, middle, cpu = medians[name]
            ratio = medians["ris"][0] / rate
            print(f"| {size:,} | {name} | {rate:,.0f} | {middle:.3f} | {cpu:.3f} | {ratio:.1f} |", flush=True)


def compare(names: list[str], size: int, seconds: float, repeats: int) -> dict[str, list[float]]:
    """Ask all servers in turn; return the medians of what :func:`measure` returns for each."""
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        asks = {}
        for name in names:
            port, called, accessions = stack.enter_context(running(name, size))
            ask, leave = ASK.get(name, ask_ours)(port, called)
            stack.callback(leave)
            asks[name] = ask, accessions
        for _ in range(repeats):
            for name, (ask, accessions) in asks.items():
                results[name].append(measure(ask, accessions, seconds))
    return {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in results.items()
    }


if __name__ == "__main__":
    main()
