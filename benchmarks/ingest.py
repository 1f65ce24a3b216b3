"""Ingest of 512 x 512 CT images by C-STORE: the simulated PACS with index and journal against Orthanc, on the same disk.

    python -m benchmarks.ingest [--images 100] [--repeats 3] [--folder DIR]

Sync settings. *pacs*: SQLite in WAL mode with synchronous=NORMAL, files without fsync. *orthanc-nosync* is the same:
``SyncStorageArea`` off (its index is SQLite in WAL mode with synchronous=NORMAL too). *orthanc-tuned* does not compute MD5
sums either, though the PACS computes its SHA-256. *orthanc* is the default, which waits for the disk with every file.

*storescp* is DCMTK's, which writes each data set as it comes and keeps no index; a process for each association, whose CPU time is
not told.

One sender for all, a compiled study on a fast lane; its own CPU time stands in the table, because it shares the cores with the
receiver. It acknowledges at once (TCP_QUICKACK) and sends without Nagle's delay; all receivers have TCP_NODELAY. PDUs as long as each receiver allows.
1 and 4 associations at once, after a first few images for whatever is loaded late; the variants take turns, medians.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers
from stepwedge.model.identifiers import uid, uids
from stepwedge.wire.compiled import CompiledStudy
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.lane import Lane
from stepwedge.wire.results import Instance
from stepwedge.wire.storage_classes import storage_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

CT = "1.2.840.10008.5.1.4.1.1.2"
assert CT in storage_classes()
ASSOCIATIONS = (1, 4)
VARIANTS = {
    "pacs": None,
    "orthanc-nosync": {"SyncStorageArea": False},
    "orthanc-tuned": {"SyncStorageArea": False, "StoreMD5ForAttachments": False},
    "orthanc": {},
    "storescp": None,
}
WARM = 20
"""Images before the first that counts."""


def image() -> bytes:
    """Return one CT image of 512 x 512 x 16 bit."""
    elements = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
        "SOPClassUID": CT,
        "SOPInstanceUID": uid("benchmark", "sop"),
        "StudyDate": "20261124",
        "SeriesDate": "20261124",
        "StudyTime": "093000",
        "AccessionNumber": "SW00000001",
        "Modality": "CT",
        "Manufacturer": "Stepwedge",
        "ReferringPhysicianName": "Grün^Käthe^^Dr.",
        "StudyDescription": "CT chest",
        "SeriesDescription": "axial",
        "PatientName": "Müller^Jörg",
        "PatientID": "SW00000001",
        "PatientBirthDate": "19700131",
        "PatientSex": "M",
        "SliceThickness": "1.25",
        "KVP": "120",
        "StudyInstanceUID": uid("benchmark", "study"),
        "SeriesInstanceUID": uid("benchmark", "series"),
        "StudyID": "1",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "ImagePositionPatient": "-150\\-150\\0",
        "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 512,
        "Columns": 512,
        "PixelSpacing": "0.6\\0.6",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "PixelData": bytes(range(256)) * 2048,
    }
    return encode(elements, explicit=True)


STUDY = CompiledStudy([Instance(CT, uid("benchmark", "sop"), EXPLICIT_LE, image())])


def serve(folder: Path) -> None:
    import asyncio

    async def run() -> None:
        from stepwedge.sim.host import Host, Part, Plan, settle

        host = Host(Plan({"pacs": Part("pacs")}), folder, 1)
        await host.start()
        settle()
        print(host.directory["pacs"].dicom.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await host.stop()

    asyncio.run(run())


@contextlib.contextmanager
def running(name: str, where: Path | None):
    """Run a receiver with a folder of its own; give its port, its AE title and its process number."""
    with tempfile.TemporaryDirectory(dir=where) as kept:
        folder = Path(kept)
        if name == "storescp":
            port = peers.free_port()
            command = [peers.dcmtk("storescp"), "+B", "--fork", "-pdu", "131072", "-od", kept, str(port)]
            with peers.started(command, port, folder) as process:
                yield port, "PEER", process.pid
            return
        if (options := VARIANTS[name]) is not None:
            with peers.orthanc(folder, **options) as (port, process):
                yield port, "PEER", process.pid
            return
        command = [sys.executable, "-m", "benchmarks.ingest", "--serve", "--folder", kept]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        yield int(server.stdout.readline()), "SW_PACS", server.pid
        server.communicate("")


def exam(*parts: object) -> dict[str, str]:
    """Return what all images of a study have; its UIDs depend on ``parts``."""
    return {
        "StudyInstanceUID": uid("benchmark", "study", *parts),
        "SeriesInstanceUID": uid("benchmark", "series", *parts),
        "PatientID": "SW00000001",
        "PatientName": "Müller^Jörg",
        "PatientBirthDate": "19700131",
        "PatientSex": "M",
        "AccessionNumber": "SW00000001",
        "StudyDate": "20261124",
        "StudyTime": "093000",
    }


def own(parts: tuple[object, ...], images: int) -> Iterator[dict[str, str]]:
    """Yield what each image of a study has of its own."""
    for number, sop in zip(range(1, images + 1), uids("benchmark", "sop", *parts), strict=False):
        yield {"SOPInstanceUID": sop, "InstanceNumber": str(number)}


def send(port: int, called: str, number: int, images: int) -> None:
    """Send one study on one association."""
    parts = (time.time_ns(), number)
    study = STUDY.of(exam(*parts))
    with Association.open("127.0.0.1", port, calling="SW_CT1", called=called, contexts=[CT]) as association:
        lane = Lane(association)
        for values in own(parts, images):
            assert lane.store(study, values).status == 0


def measure(
    port: int, called: str, process: int, associations: int, images: int
) -> tuple[float, float, float]:
    """Return images per second, and the CPU milliseconds of receiver and sender for one."""
    share = images // associations
    threads = [
        threading.Thread(target=send, args=(port, called, number, share)) for number in range(associations)
    ]
    used, own, began = peers.cpu_seconds(process), time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    sent = share * associations
    ours = time.process_time() - own
    return sent / took, (peers.cpu_seconds(process) - used) / sent * 1e3, ours / sent * 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=100)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--folder", type=Path, help="below which the receivers keep what they get")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.folder)
        return
    names = [name for name in VARIANTS if not name.startswith("orthanc") or shutil.which("Orthanc")]
    print(
        "| associations | receiver | images/s | CPU ms an image | sender CPU ms | pacs is faster by | CPU ratio |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for associations in ASSOCIATIONS:
        with contextlib.ExitStack() as stack:
            receivers = {name: stack.enter_context(running(name, chosen.folder)) for name in names}
            results = {name: [] for name in names}
            for receiver in receivers.values():
                measure(*receiver, 1, WARM)
            for _ in range(chosen.repeats):
                for name, receiver in receivers.items():
                    results[name].append(measure(*receiver, associations, chosen.images))
        medians = {
            name: [statistics.median(one) for one in zip(*rows, strict=True)]
            for name, rows in results.items()
        }
        for name in names:
            rate, cpu, sender = medians[name]
            ours = medians["pacs"]
            known = name != "storescp"
            print(
                f"| {associations} | {name} | {rate:,.0f} | {f'{cpu:.2f}' if known else '–'} | {sender:.2f} "
                f"| {ours[0] / rate:.1f} | {f'{cpu / ours[1]:.1f}' if known else '–'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
