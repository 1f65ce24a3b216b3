"""C-STORE of CT images of 512 x 512 x 16 bit to DCMTK's ``storescp --ignore``: who sends how many, at what CPU time each.

    python -m benchmarks.send [--images 300] [--repeats 3]

*storescu* is DCMTK's, with a file for each image; what it needs to start and associate is taken off (a run of one image).
*pynetdicom* sends data sets in memory with ``send_c_store``, TCP_NODELAY on. *lane* is a compiled study on a fast lane, *locust*
the same in a Locust user under gevent with an event for each image. *ordinary* is the lane on an association opened as ``ordinary``.

Two receivers: one with Nagle's algorithm off (environment ``TCP_NODELAY=1``), and one as DCMTK is packaged (*stock*), where a
sender whose kernel delays acknowledgements waits 40 ms for each image. PDUs of 16384 bytes, the receiver's default. Each image has
a new SOP instance UID. Senders take turns, each a process of its own; medians. Quote the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM = 20
"""Images before the first that counts."""
QUICK = ("storescu", "pynetdicom", "lane", "locust", "ordinary")
STOCK = ("storescu", "ordinary", "lane")
SLOW = 20
"""Images of a sender that waits for acknowledgements."""


# --- senders in Python: each gives a function that sends one image ------------------------------------------------


@contextlib.contextmanager
def lane(port: int, *, ordinary: bool = False):
    from benchmarks.ingest import CT, STUDY, exam
    from stepwedge.wire.dimse_blocking import Association
    from stepwedge.wire.lane import Lane

    study = STUDY.of(exam(time.time_ns()))
    with Association.open(
        "127.0.0.1", port, calling="SW_CT1", called="PEER", contexts=[CT], ordinary=ordinary
    ) as association:
        sends = Lane(association)
        yield lambda values: sends.store(study, values).status


@contextlib.contextmanager
def pynetdicom(port: int):
    from io import BytesIO

    from pydicom.filereader import read_dataset
    from pydicom.uid import ExplicitVRLittleEndian
    from pynetdicom import AE, evt

    from benchmarks.ingest import CT, exam, image

    made = read_dataset(BytesIO(image()), is_implicit_VR=False, is_little_endian=True)
    made.ensure_file_meta()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in exam(time.time_ns()).items():
        setattr(made, name, value)

    def no_delay(event):
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    entity = AE("SW_CT1")
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    association = entity.associate(
        "127.0.0.1", port, ae_title="PEER", evt_handlers=[(evt.EVT_CONN_OPEN, no_delay)]
    )
    assert association.is_established

    def send(values: dict[str, str]) -> int:
        for name, value in values.items():
            setattr(made, name, value)
        return association.send_c_store(made).Status

    yield send
    association.release()


@contextlib.contextmanager
def ordinary(port: int):
    with lane(port, ordinary=True) as send:
        yield send


SENDERS = {"lane": lane, "pynetdicom": pynetdicom, "ordinary": ordinary}


def timed(send, images: int) -> tuple[float, float]:
    """Send some images that do not count, then those that do; return seconds and CPU seconds."""
    from benchmarks.ingest import own

    warm = min(WARM, images)
    values = own((time.time_ns(),), warm + images)
    for _ in range(warm):
        assert send(next(values)) == 0
    began, used = time.perf_counter(), time.process_time()
    for each in values:
        assert send(each) == 0
    return time.perf_counter() - began, time.process_time() - used


def in_locust(port: int, images: int) -> tuple[float, float]:
    """Send as one user of Locust, who notes each image as a request."""
    from locust import User, events, task  # it patches the standard library, so it comes first
    from locust.env import Environment

    took = []

    class Scanner(User):
        @task
        def scan(self) -> None:
            with lane(port) as send:

                def noted(values: dict[str, str]) -> int:
                    with self.environment.events.request.measure("DIMSE", "C-STORE"):
                        return send(values)

                took.append(timed(noted, images))
            self.environment.runner.quit()

    environment = Environment(user_classes=[Scanner], events=events)
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    runner.greenlet.join()
    assert environment.stats.total.num_failures == 0
    assert environment.stats.total.num_requests >= images
    return took[0]


# --- measuring ---------------------------------------------------------------------------------------------------


def storescu(port: int, files: list[Path]) -> tuple[float, float]:
    """Send files with DCMTK's tool; return seconds and CPU seconds beyond those of a run with one file."""

    def run(some: list[Path]) -> tuple[float, float]:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [peers.dcmtk("storescu"), "-xe", "-aec", "PEER", "127.0.0.1", str(port), *map(str, some)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TCP_NODELAY": "1"})
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    one, many = run(files[:1]), run(files)
    share = len(files) / (len(files) - 1)
    return (many[0] - one[0]) * share, (many[1] - one[1]) * share


def written(folder: Path, count: int) -> list[Path]:
    """Write the images as files, for storescu."""
    from benchmarks.ingest import STUDY, exam, own

    study, paths = STUDY.of(exam(0)), []
    for number, values in enumerate(own((0,), count)):
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(study.file(values))
    return paths


def measure(name: str, port: int, images: int, files: list[Path]) -> tuple[float, float]:
    """Return images per second and CPU milliseconds of the sender an image."""
    if name == "storescu":
        took, cpu = storescu(port, files[:images])
    else:
        command = [sys.executable, "-m", "benchmarks.send", "--as", name, str(port), "--images", str(images)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        took, cpu = json.loads(done.stdout.splitlines()[-1])
    return images / took, cpu / images * 1e3


@contextlib.contextmanager
def receivers() -> Iterator[dict[str, int]]:
    """Run a receiver without Nagle's algorithm and one with it."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for name in ("quick", "stock"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            ports[name] = peers.free_port()
            command = [peers.dcmtk("storescp"), "--ignore", str(ports[name])]
            stack.enter_context(peers.started(command, ports[name], folder, nagle=name == "stock"))
        yield ports


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=300)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--as", dest="sender", nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.sender:
        name, port = chosen.sender
        if name == "locust":
            print(json.dumps(in_locust(int(port), chosen.images)))
            return
        with SENDERS[name](int(port)) as send:
            print(json.dumps(timed(send, chosen.images)))
        return
    rows = [("quick", name) for name in QUICK] + [("stock", name) for name in STOCK]
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {row: [] for row in rows}
    with receivers() as ports, tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder), chosen.images)
        for _ in range(chosen.repeats):
            for receiver, name in rows:
                images = SLOW if receiver == "stock" and name != "lane" else chosen.images
                images = min(images, 60) if name == "pynetdicom" else images
                figures[receiver, name].append(measure(name, ports[receiver], images, files))
    show(
        {
            row: [statistics.median(each) for each in zip(*found, strict=True)]
            for row, found in figures.items()
        }
    )


def show(medians: dict[tuple[str, str], list[float]]) -> None:
    """Print a table; ratios are to the lane at the same receiver."""
    print(
        "| receiver | sender | images/s | sender CPU ms an image | the lane sends more by | at CPU less by |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for (receiver, name), (rate, cpu) in medians.items():
        ours = medians[receiver, "lane"]
        print(
            f"| {receiver} | {name} | {rate:,.0f} | {cpu:.3f} | {ours[0] / rate:.2f} | {cpu / ours[1]:.1f} |"
        )


if __name__ == "__main__":
    main()
