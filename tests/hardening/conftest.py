"""Systems under fire: a host in a process of its own, whose memory, sockets and log are looked at from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.address import Address
from stepwedge.sim.messages import Envelope, ReportEvent, order_message, patient_message, report_message

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MIB = 1 << 20


class Victim:
    """One host process on a state folder of its own; killed, it comes back at the same addresses."""

    def __init__(self, folder, actors, directory=None, before="", quirks=()):
        self.folder, self.before = folder, before
        folder.mkdir(exist_ok=True)
        plan = {
            "actors": {
                name: {"role": given.get("role", name), "settings": given} for name, given in actors.items()
            },
            "directory": directory or {},
        }
        for part in plan["actors"].values():
            part["settings"] = {key: value for key, value in part["settings"].items() if key != "role"}
        (folder / "plan.json").write_text(json.dumps(plan))
        self.options = ["--actors", folder / "plan.json", "--state", folder / "state", "--seed", "7"]
        self.options += [part for quirk in quirks for part in ("--quirk", quirk)]

    def start(self):
        ready = self.folder / "state" / "hospital.json"
        ready.unlink(missing_ok=True)
        script = (
            f"import sys; {self.before}; from stepwedge.sim.command import main; sys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", script, "--hospital", *map(str, self.options)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)
        self.told = json.loads(ready.read_text())["actors"]
        return self

    def address(self, name):
        return Address.parse(self.told[name]["address"])

    def kill(self):
        """End it as power does."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def peak(self):
        """Return the largest resident set it ever had, in bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    def sockets(self):
        """Return how many sockets it has open."""
        count = 0
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += each.readlink().name.startswith("socket:")
            except FileNotFoundError:
                continue
        return count

    def settles(self, sockets):
        """Wait until no more sockets are open than there were."""
        deadline = time.monotonic() + 10
        while self.sockets() > sockets:
            assert time.monotonic() < deadline, f"{self.sockets()} sockets where {sockets} were"
            time.sleep(0.02)

    def unharmed(self):
        """Tell that it runs and that nothing in it failed in a way that nobody meant."""
        assert self.process.poll() is None, self.log()
        log = self.log()
        for word in ("Traceback", "never retrieved", "never awaited", "Unhandled"):
            assert word not in log, log[-3000:]


@pytest.fixture
def victim(tmp_path):
    """Start hosts: ``victim(ris={}, pacs={})``; ``before`` is a statement that runs in the process first."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of a process is read from /proc")
    started = []

    def start(*, directory=None, before="pass", quirks=(), folder="host", **actors):
        started.append(Victim(tmp_path / folder, actors, directory, before, quirks))
        return started[-1].start()

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


class Writer:
    """Writes the messages that the systems understand, all from one sender."""

    def envelope(self, control, receiver="SW_RIS", sender="SW_EHR", version="2.5.1"):
        return Envelope(sender, receiver, control, NOW, version)

    def patient(self, number):
        return Patient(f"SW{number:08}", PersonName(f"Family{number}", "Anna"), "19700101", "F")

    def admission(self, control, number, event="A04", prior=""):
        return patient_message(event, self.patient(number), self.envelope(control), prior=prior)

    def order(self, control, placer, number, version="2.5.1"):
        order = Order(placer, f"SW{number:08}", "CTCHEST", text="CT chest", version=version)
        return order_message("NW", order, self.patient(number), self.envelope(control, version=version))

    def report(self, control, accession, number, text="No nodule.", letter="F"):
        event = ReportEvent(letter, accession, text)
        return report_message(event, self.patient(number), self.envelope(control, sender="SW_READER"))


@pytest.fixture
def writer():
    return Writer()


# --- what is done to good bytes ------------------------------------------------------------------------------------

EXTREMES = (
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xfe",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\0",
    b"\x80\0\0\0",
    b"\xfe\xff\xff\xff",
)


def mutate(dice, raw, separators=b"", words=()):  # noqa: C901, PLR0912 - one way to go wrong after the other
    """Return good bytes gone wrong: flipped, cut, doubled, moved, blown up, or with a part that means something elsewhere."""
    raw = bytearray(raw)
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        if not raw:
            break
        at = dice.randrange(len(raw))
        match dice.randrange(9):
            case 0:
                raw[at] ^= 1 << dice.randrange(8)
            case 1:
                for _ in range(dice.randrange(1, 12)):
                    raw[dice.randrange(len(raw))] = dice.randrange(256)
            case 2:
                del raw[at:]
            case 3:
                del raw[at : at + dice.randrange(1, 40)]
            case 4:
                raw[at : at + 4] = dice.choice(EXTREMES)
            case 5:
                raw[at:at] = bytes(dice.randrange(1, 8))
            case 6:
                raw[at:at] = raw[dice.randrange(len(raw)) :][: dice.randrange(1, 600)]
            case 7 if words:
                raw[at:at] = dice.choice(words)
            case 8 if separators:
                mark = bytes((dice.choice(separators),))
                parts = bytes(raw).split(mark)
                parts = _moved(dice, parts)
                raw = bytearray(mark.join(parts))
            case _:
                raw[at:at] = dice.randbytes(dice.randrange(1, 30))
    return bytes(raw)


def _moved(dice, parts):
    """Remove, double, swap or repeat one of several parts."""
    at = dice.randrange(len(parts))
    match dice.randrange(4):
        case 0:
            return parts[:at] + parts[at + 1 :]
        case 1:
            return parts[:at] + [parts[at]] * 2 + parts[at + 1 :]
        case 2:
            other = dice.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
            return parts
    return parts[:at] + [parts[at]] * dice.randrange(2, 300) + parts[at + 1 :]


@pytest.fixture
def wrong():
    """Return the mutator: ``wrong(dice, raw, separators, words)``."""
    return mutate
