"""Queries to the simulated archive, C-FIND and QIDO-RS, with 100, 10,000 and 100,000 studies in it.

    python -m benchmarks.queries [--repeats 60]

The whole simulated PACS answers: index, habits, journal. Each question is one of the usual ones; dates lie over ten years, so
that a day holds 27 of 100,000 studies. Studies are put into the state directly, which the doors would do more slowly. A
question is asked anew for another patient, accession or day each time; medians, on an open association or connection.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

SIZES = (100, 10_000, 100_000)
FIRST, DAYS = date(2016, 11, 24), 3650
MODALITIES = ("CT", "MR", "CR", "US", "DX")


def day(number: int) -> str:
    return f"{FIRST + timedelta(number * 7919 % DAYS):%Y%m%d}"


def header(number: int) -> dict:
    """Return what the index keeps of the only image of one study."""
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": f"Müller{number:06}^Jörg",
        "PatientID": f"SW{number:08}",
        "PatientBirthDate": "19700131",
        "PatientSex": "M",
        "StudyInstanceUID": f"2.25.1.{number}",
        "SeriesInstanceUID": f"2.25.2.{number}",
        "SOPInstanceUID": f"2.25.3.{number}",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "StudyDate": day(number),
        "StudyTime": "093000",
        "AccessionNumber": f"SWA{number:08}",
        "StudyDescription": "CT chest",
        "Modality": MODALITIES[number % len(MODALITIES)],
        "SeriesNumber": "1",
        "InstanceNumber": "1",
    }


QUESTIONS = {
    "patient": lambda number: {"PatientID": f"SW{number:08}"},
    "accession": lambda number: {"AccessionNumber": f"SWA{number:08}"},
    "day": lambda number: {"StudyDate": day(number)},
    "day and modality": lambda number: {
        "StudyDate": f"{day(number)}-{day(number)}",
        "ModalitiesInStudy": MODALITIES[number % len(MODALITIES)],
    },
    "name prefix": lambda number: {"PatientName": f"müller{number:06}*"},
}


async def serve(size: int, folder: Path) -> None:
    from stepwedge.sim.host import Host, Part, Plan, settle

    host = Host(Plan({"pacs": Part("pacs")}), folder, 1)
    from stepwedge_simulators.pacs.state import (
        Instance,
        patient_key,
    )  # the host has loaded it from its folder

    simulator = host.simulators["pacs"]
    archive, bench = simulator.state, simulator.bench
    for first in range(0, size, 1000):
        with bench.change(archive):
            for number in range(first, min(first + 1000, size)):
                kept = header(number)
                study, series, sop = (f"2.25.{level}.{number}" for level in (1, 2, 3))
                patient = patient_key(kept["PatientID"])
                archive.file(
                    Instance(sop, kept["SOPClassUID"], series, study, patient, "1.2", "", sop, kept), "now"
                )
    await host.start()
    settle()
    address = host.directory["pacs"]
    print(address.dicom.port, address.web, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await host.stop()


def find(port: int):
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.services import STUDY_FIND

    association = Association.open(
        "127.0.0.1", port, calling="SW_CT1", called="SW_PACS", contexts=[STUDY_FIND]
    )
    asked = {"QueryRetrieveLevel": "STUDY", "SpecificCharacterSet": "ISO_IR 100"}
    asked |= dict.fromkeys(
        ("PatientName", "PatientID", "AccessionNumber", "StudyDate", "StudyInstanceUID", "ModalitiesInStudy"),
        "",
    )

    def ask(keys: dict) -> list[dict]:
        answers = association.find(STUDY_FIND, {**asked, **keys})
        assert answers.status == 0
        return list(answers)

    return ask, association.release


def qido(root: str):
    import httpx

    client = httpx.Client()

    def ask(keys: dict) -> list[dict]:
        answer = client.get(f"{root}/studies", params=keys)
        return answer.raise_for_status().json() if answer.status_code != 204 else []

    return ask, client.close


def measure(ask, question, size: int, repeats: int) -> tuple[float, float]:
    """Return the median milliseconds of a question, and how many studies it finds on average."""
    times, found = [], []
    for repeat in range(repeats):
        number = repeat * 104729 % size
        began = time.perf_counter()
        answers = ask(question(number))
        times.append(time.perf_counter() - began)
        found.append(len(answers))
        assert f"2.25.1.{number}" in str(answers)
    return statistics.median(times) * 1e3, statistics.mean(found)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeats", type=int, default=60)
    options.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(serve(chosen.serve, Path(folder)))
        return
    print("| studies | question | studies found | C-FIND ms | QIDO-RS ms |")
    print("| --- | --- | --- | --- | --- |")
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.queries", "--serve", str(size)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        port, root = server.stdout.readline().split()
        (ask_find, leave_find), (ask_qido, leave_qido) = find(int(port)), qido(root)
        for name, question in QUESTIONS.items():
            by_find, found = measure(ask_find, question, size, chosen.repeats)
            by_qido, _ = measure(ask_qido, question, size, chosen.repeats)
            print(f"| {size:,} | {name} | {found:.0f} | {by_find:.1f} | {by_qido:.1f} |", flush=True)
        leave_find()
        leave_qido()
        server.communicate("")


if __name__ == "__main__":
    main()
