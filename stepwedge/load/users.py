"""The people and machines of a busy hour, as Locust users. The only module that imports Locust, which must come first.

``STEPWEDGE_HOSPITAL`` names the ``hospital.json`` of a running hospital, or the plan of systems that run apart;
``STEPWEDGE_LEDGER`` the folder of the ledger, ``STEPWEDGE_SEED`` the seed: identifiers are unique to a run, a machine, a process
and a user.
"""

from __future__ import annotations

from locust import User, constant_throughput, events, task  # isort: skip  # it patches the standard library for gevent

import itertools
import json
import os
import queue
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from stepwedge.errors import Failed, LinkLost
from stepwedge.load.ledger import Ledger
from stepwedge.model.identifiers import Mint
from stepwedge.model.order import Order
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim.address import Address
from stepwedge.sim.messages import Answer, Envelope, order_message, patient_message, read_answer
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.mllp_blocking import Link

WORKLIST = "1.2.840.10008.5.1.4.31"
"""Modality Worklist Information Model - FIND (PS3.4 annex K)."""
_TIMEOUT = 10.0
_numbers = itertools.count(1)
_scheduled: queue.Queue[str] = queue.Queue()
"""Accession numbers that a scanner of this process has not looked for yet."""


def ris() -> Address:
    """Return where the RIS of the running hospital is."""
    told = json.loads(Path(os.environ["STEPWEDGE_HOSPITAL"]).read_text(encoding="utf-8"))
    return Address.parse(
        told["directory"]["ris"] if "directory" in told else told["actors"]["ris"]["address"]
    )


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def leave_a_mark(environment: Any, **_: Any) -> None:
    """As a worker, write down when we ended: one that is killed cannot (see :mod:`stepwedge.load.spread`)."""
    if environment.runner is not None and type(environment.runner).__name__ == "WorkerRunner":
        folder = Path(os.environ["STEPWEDGE_LEDGER"]).parent
        mark = folder / f"ended-{socket.gethostname()}-{os.getpid()}.json"
        mark.with_suffix(".part").write_text(json.dumps({"at": time.time()}), encoding="utf-8")
        mark.with_suffix(".part").replace(mark)


class Ward(User):  # type: ignore[misc]  # Locust is untyped
    """A ward that registers a patient and orders a chest CT, over and over (RAD-1, RAD-2)."""

    wait_time = constant_throughput(float(os.environ.get("STEPWEDGE_RATE", "5")))
    link: Link | None = None

    def on_start(self) -> None:
        """Take a name of its own, so that identifiers never meet."""
        self.mint = Mint(
            int(os.environ["STEPWEDGE_SEED"]), f"load/{socket.gethostname()}/{os.getpid()}/{next(_numbers)}"
        )
        self.ledger = Ledger(Path(os.environ["STEPWEDGE_LEDGER"]))
        self.address = ris()

    @task  # type: ignore[untyped-decorator]
    def place_order(self) -> None:
        """Register, order, and hand the accession number to the scanners."""
        patient = Patient(self.mint.patient_id(), PersonName("LOAD", "TEST"), "19700101", "O")
        order = Order(self.mint.number("placer", "LP", 10), patient.id, "CTCHEST", "CT chest")
        registered = self._ask("ADT^A04", patient_message("A04", patient, self._envelope()))
        if registered is None or registered.code != "AA":
            return
        self.ledger.write("order", order.placer, "attempted")
        answer = self._ask("OMG^O19", order_message("NW", order, patient, self._envelope()))
        if answer is None:
            return  # unknown: the ledger still says attempted
        accession = next((item.accession for item in answer.items if item.accession), "")
        if answer.code != "AA" or not accession:
            self.ledger.write("order", order.placer, "refused")
            return
        self.ledger.write("order", order.placer, "acknowledged", accession=accession)
        _scheduled.put(accession)

    def _envelope(self) -> Envelope:
        control = self.mint.number("control", "L", 15)
        return Envelope("SW_EHR", "SW_RIS", control, datetime.now().astimezone(), "2.5.1")

    def _ask(self, name: str, raw: bytes) -> Answer | None:
        """Return the answer, whatever it says, or None when there was none; Locust counts, and keeps the exception."""
        answer = None
        with self.environment.events.request.measure("HL7", name) as measured:
            if self.link is None:
                assert self.address.hl7 is not None  # noqa: S101  # the RIS has an HL7 door
                self.link = Link.open(*self.address.hl7[:2], _TIMEOUT)
            try:
                reply = self.link.ask(raw)
            except LinkLost:
                self.link = None
                raise
            measured["response_length"] = len(reply)
            answer = read_answer(reply)
            if answer.code != "AA":
                raise Failed(f"{name} was answered {answer.code}")
        return answer

    def on_stop(self) -> None:
        """Hang up."""
        if self.link is not None:
            self.link.close()


class Scanner(User):  # type: ignore[misc]  # Locust is untyped
    """A scanner that looks for newly ordered patients on its worklist (RAD-5)."""

    wait_time = constant_throughput(float(os.environ.get("STEPWEDGE_RATE", "5")))

    def on_start(self) -> None:
        """Find the worklist."""
        self.worklist = ris().worklist

    @task  # type: ignore[untyped-decorator]
    def fetch_worklist(self) -> None:
        """Associate, ask for one accession number, and expect exactly one entry."""
        try:
            accession = _scheduled.get_nowait()
        except queue.Empty:
            return
        if self.worklist is None:
            raise Failed("the RIS has no worklist")
        ae, host, port = self.worklist[:3]
        with (
            self.environment.events.request.measure("DIMSE", "C-FIND worklist") as measured,
            Association.open(
                host, port, calling="SW_LOAD", called=ae, contexts=[WORKLIST], timeout=_TIMEOUT
            ) as link,
        ):
            keys: dict[str, Any] = {
                "AccessionNumber": accession,
                "PatientID": "",
                "ScheduledProcedureStepSequence": [{}],
            }
            found = list(link.find(WORKLIST, keys))
            measured["response_length"] = len(found)
            if len(found) != 1:
                raise Failed(f"{len(found)} worklist entries for accession {accession}")
