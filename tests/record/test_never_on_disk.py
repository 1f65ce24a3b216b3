"""The recorder as a process, between two systems that speak of real people: none of them reaches a file, the terminal or the log."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import stepwedge
from stepwedge.wire import hl7, services
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.mllp import Frame, Framer, frame
from tests.record.canaries import CHARSETS, message

ROOT = Path(stepwedge.__file__).parents[1]
CT = "1.2.840.10008.5.1.4.1.1.2"


class Far(socketserver.ThreadingTCPServer):
    """A receiver that repeats what it heard in its answers, and says nonsense when it is told to."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, aviary):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.aviary = aviary
        self.heard = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answers(socketserver.BaseRequestHandler):
    def handle(self):
        framer, aviary = Framer(), self.server.aviary
        while data := self.request.recv(1 << 16):
            framer.receive_data(data)
            while isinstance(event := framer.next_event(), Frame):
                control = hl7.control_of(event.payload)
                text, where = aviary.text(), aviary.text()
                code = "AE" if self.server.heard % 5 == 4 else "AA"
                lines = [
                    f"MSH|^~\\&|{text}|||||ACK|{where}|P|2.5.1",
                    f"MSA|{code}|{control}|{text}",
                    f"ERR|||207|E||||{text}^{where}",
                ]
                self.request.sendall(frame("\r".join(lines).encode()))
                if self.server.heard == 2:
                    self.request.sendall(frame(aviary.text().encode()) + b"\x0b" + aviary.text().encode())
                    framer = Framer()
                self.server.heard += 1


class Recorder:
    """``stepwedge tap record`` in an environment of its own: every folder it could write to is one we look into."""

    def __init__(self, folder, port, *more, on="ehr->ris", door="hl7"):
        self.folder = folder
        folder.mkdir()
        places = {name: folder / name for name in ("work", "home", "tmp", "state", "cache")}
        for place in places.values():
            place.mkdir()
        self.log = folder / "terminal"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDEVMODE": "1",  # more warnings than anybody wants to see
            "HOME": str(places["home"]),
            "TMPDIR": str(places["tmp"]),
            "XDG_STATE_HOME": str(places["state"]),
            "XDG_CACHE_HOME": str(places["cache"]),
        }
        link = ["--on", on, "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{port}", "--door", door]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stepwedge", "tap", "record", *link, "--out", "drafts", *more],
                cwd=places["work"], env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.port = int(self.until(rb": 127\.0\.0\.1:(\d+) ->"))
        self.until(rb"(Ctrl-C)")

    def until(self, said, seconds=20):
        """Wait until it said something, and return it."""
        end = time.monotonic() + seconds
        while not (found := re.search(said, self.log.read_bytes())):
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return found[1].decode()

    def open_for_writing(self):
        """Return the files that it could write to right now, beside the terminal."""
        found = []
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                flags = int(
                    re.search(
                        r"flags:\s*(\d+)", Path(f"/proc/{self.process.pid}/fdinfo/{link.name}").read_text()
                    )[1],
                    8,
                )
                if (
                    target.startswith("/")
                    and not target.startswith("/dev")
                    and flags & os.O_ACCMODE
                    and Path(target) != self.log
                ):
                    found.append(target)
        return found

    def files(self):
        """Return every file below the folders it could write to."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture
def recorder(tmp_path, aviary):
    started = []
    far = Far(aviary)

    def start(*more, port=far.server_address[1], **link):
        started.append(Recorder(tmp_path / f"recorder{len(started)}", port, *more, **link))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
    far.shutdown()
    far.server_close()


def day(aviary):
    """What a ward says in a day, in every character set, with letters nobody declared and messages nobody can read."""
    for charset in CHARSETS:
        patient, order = aviary.digits(), {"ORC": {1: "NW", 2: aviary.digits()}}
        yield message(aviary, "ADT^A04^ADT_A01", charset, control=aviary.digits(), patient=patient)
        yield message(aviary, "OMG^O19^OMG_O19", charset, control=aviary.digits(), patient=patient, **order)
        yield message(aviary, "ADT^A31^ADT_A05", charset, control=aviary.digits(), patient=patient)
    yield message(aviary, aviary.text(), control=aviary.digits())
    yield f"MSH|^~\\&|{aviary.text()}".encode()
    yield aviary.text().encode()


def say(port, said, *, cut=0):
    """Say something on a connection of its own, and wait for what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        whole = frame(said)
        caller.sendall(whole[:cut] if cut else whole)
        if not cut:
            caller.settimeout(5)
            assert caller.recv(1 << 16)


def test_a_recorded_day_leaves_nobody_behind(aviary, recorder):
    one = recorder("--for", "10min")
    for number, said in enumerate(day(aviary)):
        say(one.port, said)
        say(one.port, said, cut=len(said) // 2)  # and the connection is lost in the middle of it
        if number % 6 == 0:
            assert not one.open_for_writing()
            assert one.files() == [one.log]
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(30) == 0, one.log.read_text()
    names = {path.name for path in one.files()}
    assert {"recorded.md", "drafts-001.yaml", f"drafts-{len(CHARSETS):03}.yaml"} <= names, one.log.read_text()
    for path in one.files():
        assert not aviary.found_in(path.read_bytes() + str(path.relative_to(one.folder)).encode()), path
    assert b"wrote drafts/drafts-001.yaml" in one.log.read_bytes()
    draft = (one.folder / "work" / "drafts" / "drafts-001.yaml").read_text()
    assert "ehr.register_patient" in draft
    assert "ehr.place_order" in draft
    assert "# DECIDE: what ADT^A31 ehr->ris" in draft
    checked = subprocess.run(
        [sys.executable, "-m", "stepwedge", "check", str(one.folder / "work" / "drafts")],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_a_recorder_that_is_killed_leaves_nothing_at_all(aviary, recorder):
    one = recorder()
    for said in list(day(aviary))[:7]:
        say(one.port, said)
    with socket.create_connection(("127.0.0.1", one.port), timeout=5) as caller:
        caller.sendall(frame(message(aviary, "ADT^A04"))[:-50])
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
    assert one.files() == [one.log]
    assert not aviary.found_in(one.log.read_bytes())


def test_it_ends_after_so_many_messages_and_never_writes_over_something(aviary, recorder):
    one = recorder("--messages", "2")
    for said in list(day(aviary))[:2]:
        say(one.port, said)
    assert one.process.wait(30) == 0, one.log.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "stepwedge", "tap", "record", "--on", "ehr->ris", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9",
         "--door", "hl7", "--out", str(one.folder / "work" / "drafts")],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "a folder that is not there or empty" in done.stderr


def instance(aviary, number):
    """A data set with a canary in everything that could say who it is, in private and nested places and in its pixels."""
    letters = "KÄNÁRIEN"
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.{aviary.digits()}.{number}",
        "StudyInstanceUID": f"1.2.{aviary.digits()}",
        "SeriesInstanceUID": f"1.2.{aviary.digits()}.{number}",
        "Modality": "CT",
        "PatientName": f"{aviary.text(letters)}^{aviary.text(letters)}",
        "PatientID": aviary.digits(),
        "PatientBirthDate": aviary.date(),
        "PatientSex": "F",
        "AccessionNumber": aviary.digits(),
        "InstitutionName": aviary.text(letters),
        "ReferringPhysicianName": aviary.text(letters),
        "StudyDescription": aviary.text(letters),
        "DeviceSerialNumber": aviary.digits(),
        "ImageComments": aviary.text(letters),
        "OtherPatientIDsSequence": [{"PatientID": aviary.digits(), "PatientName": aviary.text(letters)}],
        "RequestAttributesSequence": [{"RequestedProcedureID": aviary.digits(), "00411001": aviary.text().encode()}],
        "00410010": aviary.text(),
        "00411001": aviary.text().encode() + b" ",
        "PixelData": aviary.text().encode() * 400,
    }  # fmt: skip


def test_images_and_worklists_leave_nobody_behind(aviary, recorder, station):
    archive = station()
    one = recorder(port=archive.port, on="ct->pacs", door="dicom")
    for number in range(3):
        elements = instance(aviary, number)
        contexts = [CT, services.WORKLIST, services.MPPS]
        with Association.open(
            "127.0.0.1", one.port, calling="CANARY05", called="ARCHIVE", contexts=contexts, timeout=10
        ) as link:
            asked = {"PatientName": aviary.text(), "PatientID": elements["PatientID"], "AccessionNumber": ""}
            link.find(services.WORKLIST, asked)
            step = {
                key: elements[key] for key in ("SpecificCharacterSet", "PatientName", "PatientID", "Modality")
            }
            scheduled = {
                "AccessionNumber": elements["AccessionNumber"],
                "StudyInstanceUID": elements["StudyInstanceUID"],
            }
            attributes = {
                **step,
                "PerformedProcedureStepStatus": "IN PROGRESS",
                "ScheduledStepAttributesSequence": [scheduled],
            }
            link.create(services.MPPS, f"1.2.{aviary.digits()}", attributes)
            assert not one.open_for_writing()
            stored = link.store(CT, elements["SOPInstanceUID"], EXPLICIT_LE, encode(elements, explicit=True))
            assert stored.status == 0
        assert one.files() == [one.log]
    assert len(archive.provider.held) == 3  # every byte went on
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(30) == 0, one.log.read_text()
    drafts = sorted((one.folder / "work" / "drafts").glob("*.yaml"))
    assert len(drafts) == 3
    for path in one.files():
        assert not aviary.found_in(path.read_bytes()), path
    assert "ct.store_images" in drafts[0].read_text()
