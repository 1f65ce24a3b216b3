"""Modality worklist: C-FIND by accession number on one open association, our pair against a pynetdicom pair.

Both servers look the answer up in an index of ready identifiers, both pairs have TCP_NODELAY on, each server is a process
of its own; the variants run alternately and the medians are shown. Quote the ratios, not the figures.

    python -m benchmarks.worklist [--seconds 1.0] [--repeats 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from stepwedge.model.identifiers import uid
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.services import WORKLIST

SIZES = (100, 1_000, 10_000)
PAIRS = ("stepwedge", "pynetdicom")


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


async def serve_ours(size: int) -> None:
    from stepwedge.wire.dimse_asyncio import Acceptor, Provider, serve

    index = {f"SW{number:08}": encode(entry(number), explicit=True) for number in range(size)}

    class Worklist(Provider):
        def on_find(self, _peer, _model, identifier):
            found = index.get(identifier.get("AccessionNumber", ""))
            return [found] if found else []

    server = await serve("127.0.0.1", 0, Acceptor("RIS", {WORKLIST: [EXPLICIT_LE, IMPLICIT_LE]}, Worklist()))
    print(server.port, flush=True)
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

    entity = AE("RIS")
    entity.add_supported_context(WORKLIST, [EXPLICIT_LE, IMPLICIT_LE])
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_CONN_OPEN, no_delay)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    print(server.server_address[1], flush=True)
    while True:
        time.sleep(60)


@contextlib.contextmanager
def running(pair: str, size: int):
    """Run a server in a process of its own and give its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worklist", "--serve", pair, "--size", str(size)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


# --- clients -----------------------------------------------------------------------------------------------------


def query(number: int) -> dict:
    """Ask as a scanner does: one key, the return keys empty."""
    return {
        "AccessionNumber": f"SW{number:08}",
        "PatientName": "",
        "PatientID": "",
        "StudyInstanceUID": "",
        "ScheduledProcedureStepSequence": [{"Modality": "", "ScheduledProcedureStepStartDate": ""}],
    }


def ask_ours(port: int):
    from stepwedge.wire.dimse_blocking import Association

    association = Association.open("127.0.0.1", port, calling="SW_CT1", called="RIS", contexts=[WORKLIST])

    def ask(number: int) -> str:
        answers = association.find(WORKLIST, query(number))
        assert (len(answers), answers.status) == (1, 0)
        return answers[0]["PatientName"]

    return ask, association.release


def ask_pynetdicom(port: int):
    from pydicom import Dataset
    from pynetdicom import AE, evt

    entity = AE("SW_CT1")
    entity.add_requested_context(WORKLIST, [EXPLICIT_LE, IMPLICIT_LE])
    association = entity.associate(
        "127.0.0.1", port, ae_title="RIS", evt_handlers=[(evt.EVT_CONN_OPEN, no_delay)]
    )
    assert association.is_established

    def ask(number: int) -> str:
        wanted, step = Dataset(), Dataset()
        wanted.AccessionNumber = f"SW{number:08}"
        wanted.PatientName = wanted.PatientID = wanted.StudyInstanceUID = ""
        step.Modality = step.ScheduledProcedureStepStartDate = ""
        wanted.ScheduledProcedureStepSequence = [step]
        answers = list(association.send_c_find(wanted, WORKLIST))
        assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
        return str(answers[0][1].PatientName)

    return ask, association.release


ASK = {"stepwedge": ask_ours, "pynetdicom": ask_pynetdicom}


def measure(ask, size: int, seconds: float) -> tuple[float, float, float]:
    """Ask for a while; return queries per second, median milliseconds, client CPU milliseconds a query."""
    times, number = [], 0
    cpu, began = time.process_time(), time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        assert ask(number % size).startswith("Müller")
        times.append(time.perf_counter() - now)
        number += 37
    took = time.perf_counter() - began
    return len(times) / took, statistics.median(times) * 1e3, (time.process_time() - cpu) / len(times) * 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--serve", choices=PAIRS)
    options.add_argument("--size", type=int, default=0)
    chosen = options.parse_args()
    if chosen.serve == "stepwedge":
        asyncio.run(serve_ours(chosen.size))
    elif chosen.serve:
        serve_pynetdicom(chosen.size)
    print("| worklist entries | pair | queries/s | p50 ms | client CPU ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        results: dict[str, list[tuple[float, float, float]]] = {pair: [] for pair in PAIRS}
        with contextlib.ExitStack() as stack:
            asks = {}
            for pair in PAIRS:
                asks[pair], leave = ASK[pair](stack.enter_context(running(pair, size)))
                stack.callback(leave)
            for _ in range(chosen.repeats):
                for pair in PAIRS:
                    results[pair].append(measure(asks[pair], size, chosen.seconds))
        medians = {
            pair: [statistics.median(column) for column in zip(*rows, strict=True)]
            for pair, rows in results.items()
        }
        for pair in PAIRS:
            rate, middle, cpu = medians[pair]
            ratio = rate / medians["pynetdicom"][0]
            print(f"| {size:,} | {pair} | {rate:,.0f} | {middle:.3f} | {cpu:.3f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
