"""Ingest of 512 x 512 CT images by C-STORE: the simulated PACS with index and journal against Orthanc, on the same disk.

    python -m benchmarks.ingest [--images 200] [--repeats 5] [--folder DIR]

Sync settings. *pacs*: SQLite in WAL mode with synchronous=NORMAL, files without fsync. *orthanc-nosync* is the same:
``SyncStorageArea`` off (its index is SQLite in WAL mode with synchronous=NORMAL too). *orthanc-tuned* does not compute MD5
sums either, though the PACS computes its SHA-256. *orthanc* is the default, which waits for the disk with every file.

One sender for all, with ready data sets in which only UIDs of constant length are replaced in place, so that every image is
new and none is copied; its own CPU time stands in the table, because it shares the cores with the receiver. It acknowledges at
once (TCP_QUICKACK) and sends without Nagle's delay; both receivers have TCP_NODELAY. PDUs as long as each receiver allows.
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

from benchmarks import peers
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.storage_classes import storage_classes

CT = "1.2.840.10008.5.1.4.1.1.2"
assert CT in storage_classes()
ASSOCIATIONS = (1, 4)
VARIANTS = {
    "pacs": None,
    "orthanc-nosync": {"SyncStorageArea": False},
    "orthanc-tuned": {"SyncStorageArea": False, "StoreMD5ForAttachments": False},
    "orthanc": {},
}
PLACE = "1000000000000"
WARM = 20
"""Images before the first that counts."""


def image() -> bytes:
    """Return one CT image of 512 x 512 x 16 bit whose UIDs end in a placeholder."""
    elements = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": "ORIGINAL\\PRIMARY\\AXIAL",
        "SOPClassUID": CT,
        "SOPInstanceUID": f"2.25.3{PLACE}",
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
        "StudyInstanceUID": f"2.25.1{PLACE}",
        "SeriesInstanceUID": f"2.25.2{PLACE}",
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


class Study:
    """Images of one study, made by replacing digits in a ready data set."""

    def __init__(self, number: int) -> None:
        template = bytearray(image())
        self._places = {
            level: template.find(f"2.25.{level}{PLACE}".encode()) + len(f"2.25.{level}") for level in "123"
        }
        for level in "12":
            at = self._places[level]
            template[at : at + len(PLACE)] = str(int(PLACE) + number).encode()
        self._template = template
        self._number = number

    def image(self, number: int) -> tuple[str, bytearray]:
        """Return SOP instance UID and data set of one image; the next one stands in the same place."""
        digits = str(int(PLACE) + self._number * 100_000 + number)
        at = self._places["3"]
        self._template[at : at + len(PLACE)] = digits.encode()
        return f"2.25.3{digits}", self._template


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
        if (options := VARIANTS[name]) is not None:
            with peers.orthanc(folder, **options) as (port, process):
                yield port, "PEER", process.pid
            return
        command = [sys.executable, "-m", "benchmarks.ingest", "--serve", "--folder", kept]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        yield int(server.stdout.readline()), "SW_PACS", server.pid
        server.communicate("")


def send(port: int, called: str, study: Study, images: int) -> None:
    """Send one study on one association."""
    from stepwedge.wire.dimse_blocking import Association

    with Association.open("127.0.0.1", port, calling="SW_CT1", called=called, contexts=[CT]) as association:
        for number in range(images):
            sop, data = study.image(number)
            assert association.store(CT, sop, EXPLICIT_LE, data).status == 0


def measure(
    port: int, called: str, process: int, associations: int, images: int, first: int
) -> tuple[float, float, float]:
    """Return images per second, and the CPU milliseconds of receiver and sender for one."""
    studies = [Study(first + number) for number in range(associations)]
    share = images // associations
    threads = [threading.Thread(target=send, args=(port, called, study, share)) for study in studies]
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
    options.add_argument("--images", type=int, default=200)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--folder", type=Path, help="below which the receivers keep what they get")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.folder)
        return
    names = [name for name in VARIANTS if name == "pacs" or shutil.which("Orthanc")]
    print(
        "| associations | receiver | images/s | CPU ms an image | sender CPU ms | pacs is faster by | CPU ratio |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for associations in ASSOCIATIONS:
        with contextlib.ExitStack() as stack:
            receivers = {name: stack.enter_context(running(name, chosen.folder)) for name in names}
            results = {name: [] for name in names}
            for receiver in receivers.values():
                measure(*receiver, 1, WARM, 0)
            for repeat in range(chosen.repeats):
                for name, receiver in receivers.items():
                    results[name].append(measure(*receiver, associations, chosen.images, 1 + repeat * 10))
        medians = {
            name: [statistics.median(one) for one in zip(*rows, strict=True)]
            for name, rows in results.items()
        }
        for name in names:
            rate, cpu, own = medians[name]
            ours = medians["pacs"]
            print(
                f"| {associations} | {name} | {rate:,.0f} | {cpu:.2f} | {own:.2f} "
                f"| {ours[0] / rate:.1f} | {cpu / ours[1]:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
