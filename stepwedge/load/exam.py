"""One exam of a load: the same clinical case as a scenario, on identifiers of its own, from registration to the report at the ward."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import StepwedgeError
from stepwedge.load.ehr import Numbers, Ward, adopt, adopt_merge
from stepwedge.load.reader import Reading
from stepwedge.load.scanner import Scan
from stepwedge.model.order import Order
from stepwedge.model.patient import PersonName

if TYPE_CHECKING:
    from stepwedge.load.arrivals import Arrival
    from stepwedge.load.pictures import Shelf
    from stepwedge.load.site import Site

EXAM: Final = "1"
"""Which identifiers are those of exams (:class:`stepwedge.load.ehr.Numbers`)."""
PLAYED: Final = frozenset(
    {
        "none",
        "cancel",
        "reschedule",
        "no_show",
        "update",
        "merge",
        "unidentified",
        "addendum",
        "corrected",
        "duplicate",
    }
)
"""Exceptions that are played; another one is left out, and said."""
_UNKNOWN: Final = PersonName("Unknown", "Trauma")


@dataclass
class Exam:
    """One exam while it goes on.

    Attributes:
        times: when what happened, in seconds of the run.
        cut: what ended it early; empty when nothing did.
    """

    site: Site
    shelf: Shelf
    arrival: Arrival
    times: dict[str, float] = field(default_factory=dict)
    cut: str = ""
    report: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        facts = self.arrival.facts
        self.numbers = Numbers(self.site.plan.seed, EXAM, self.arrival.number)
        self.exception = str(facts.get("exception", "none"))
        if self.exception not in PLAYED:
            self.site.leave_out(f"exception {self.exception}", "not played by the load")
            self.exception = "none"
        self.group = "STAT" if facts.get("stat") else ""
        self.ward = Ward(self.site, self.numbers, self.numbers.person(), str(facts.get("version", "2.5.1")))
        if self.exception == "unidentified":
            self.ward.patient = replace(self.ward.patient, name=_UNKNOWN)
        code = str(facts.get("procedure") or "CTCHEST")
        known = self.shelf.procedures.get(code)
        priority = "stat" if facts.get("stat") else "routine"
        self.order = Order(
            self.numbers.placer(),
            self.ward.patient.id,
            code,
            known.text if known else code,
            priority=priority,
            version=self.ward.version,
        )
        self.scan = Scan(
            self.site, self.shelf, self.arrival.number, str(facts["modality"]), code, group=self.group
        )
        self.reading = Reading(self.site, self.scan, self.ward, self.order, self.group)

    def play(self) -> None:
        """Play it to its end; whatever it came to, a sampled one is written down for the judge."""
        try:
            self._play()
        except StepwedgeError as trouble:
            self.cut = f"{type(trouble).__name__}: {trouble}"
            raise
        except BaseException as trouble:
            self.cut = repr(trouble)
            raise
        finally:
            if self.arrival.facts.get("sampled"):
                self._write()

    def _play(self) -> None:
        if self._ordered() and self._scanned():
            self._read()

    def _reached(self, name: str) -> float:
        self.times[name] = now = self.site.now()
        return now

    def _wait(self, name: str) -> bool:
        return self.site.wait(float(self.arrival.facts.get("waits", {}).get(name, 0.0)))

    # --- ordered -------------------------------------------------------------------------------------------------

    def _ordered(self) -> bool:
        """Register and order; False when the exam ends here."""
        if not adopt(self.site, self.ward.patient, self.order):
            self.site.leave_out("telling the EHR of orders", "it is a real one and knows only its own")
        self.ward.tell("ADT^A04", "A04", due=self.arrival.at, group=self.group)
        self._reached("registered")
        twice = self.exception == "duplicate"
        self.order = self.ward.order("NW", self.order, group=self.group, twice=twice)
        ordered = self._reached("ordered")
        if not self.scan.find(self.order, ordered):
            self.cut = "the worklist never showed it"
            return False
        if not self.order.accession:
            self.order = replace(self.order, accession=self.scan.accession)
            keys = {"accession": self.scan.accession, "exam": self.arrival.number}
            self.site.ledger.write("order", self.order.placer, "acknowledged", **keys)
        self.reading.order = self.order
        self._reached("on the worklist")
        return self._as_planned()

    def _as_planned(self) -> bool:
        """Play what comes between order and scan; False when there is no scan."""
        if not self._wait("order_to_scan"):
            self.cut = "the run was over"
            return False
        if self.exception == "cancel":
            self.order = self.ward.order("CA", self.order)
            adopt(self.site, self.ward.patient, replace(self.order, status="cancelled"))
            self._reached("cancelled")
            return False
        if self.exception == "reschedule":
            year = self.scan.entry["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepStartDate"]
            self.order = self.ward.order("XO", self.order, start=f"{year}235900")
            self._reached("rescheduled")
            self._look_again()
        if self.exception == "update":
            given = f"{self.ward.patient.name.given}Corrected"
            self.ward.patient = replace(self.ward.patient, name=replace(self.ward.patient.name, given=given))
            self.ward.tell("ADT^A08", "A08")
            self._reached("updated")
            self._look_again()
        return self.exception != "no_show"

    def _look_again(self) -> None:
        """Fetch the worklist once more before the scan, as a console does."""
        self.scan.find(self.order, self.site.now())

    # --- scanned -------------------------------------------------------------------------------------------------

    def _scanned(self) -> bool:
        facts, scan = self.arrival.facts, self.scan
        scan.begin()
        self._reached("begun")
        machine = self.site.plan.day.modalities[scan.modality]
        scan.acquire(int(facts.get("images", 1)), machine.megabytes.value)
        door = str(facts.get("door", "C-STORE")).upper()
        if door == "STOW-RS" and not self.site.can("stow-rs", "storing over the web"):
            door = "C-STORE"
        scan.send(float(facts.get("waits", {}).get("scan", 0.0)), door)
        ended = self._reached("stored")
        scan.complete()
        self._reached("completed")
        readable = self.reading.wait_until_readable(ended)
        if readable:
            self._reached("readable")
        scan.commit()
        self._reached("committed")
        return readable

    # --- read ----------------------------------------------------------------------------------------------------

    def _merged(self) -> None:
        """Find out who the patient is: the record of another person survives (RAD-12, ADT^A40)."""
        prior, survivor = self.ward.patient.id, self.numbers.person(1)
        self.ward.patient = survivor
        adopt_merge(self.site, survivor, prior)
        self.ward.tell("ADT^A04", "A04")
        self.ward.tell("ADT^A40", "A40", prior=prior)
        self.order = replace(self.order, patient=survivor.id)
        self.reading.order = self.order
        self._reached("merged")

    def _read(self) -> None:
        facts, reading = self.arrival.facts, self.reading
        if self.exception in {"merge", "unidentified"}:
            self._merged()
        if not self._wait("scan_to_read"):
            return
        reading.open(int(facts.get("priors", 0)), int(facts.get("clinicians", 0)))
        text = f"Synthetic report of load exam {self.arrival.number}: {self.order.text}, nothing abnormal."
        reading.report("P", text)
        self._reached("preliminary")
        early = float(facts.get("sign_at", 0.0)) - self.site.now()
        if not self._wait("read_to_sign") or (early > 0 and not self.site.wait(early)):
            return
        self._sign("F", text)
        reading.chart()
        if self.exception == "corrected":
            self._sign("C", f"{text} Corrected.")
        elif self.exception == "addendum":
            addendum = "Compared with an earlier study."
            reading.report("A", text, addendum)
            self.report["addendum"] = addendum
            self._reached("addendum")

    def _sign(self, letter: str, text: str) -> None:
        signed = self._reached("signed")
        self.reading.report(letter, text)
        self.report |= {"letter": letter, "text": text}
        if self.reading.wait_until_at_the_ward(signed):
            self._reached("at the ward")

    # --- for the judge -------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Write down everything that is needed to judge this exam."""
        scan, order = self.scan, self.order
        told: dict[str, Any] = {
            "exam": self.arrival.number,
            "case": f"load/{self.arrival.number}",
            "exception": self.exception,
            "facts": self.arrival.facts,
            "patient": order.patient,
            "first_patient": self.numbers.patient_id(),
            "name": self.ward.patient.name.dicom(),
            "placer": order.placer,
            "filler": order.filler,
            "accession": order.accession,
            "procedure": order.procedure,
            "version": order.version,
            "priority": order.priority,
            "study": scan.study if scan.entry else "",
            "series": scan.series,
            "mpps": scan.mpps,
            "entry": scan.entry,
            "instances": [
                {
                    "sop": sop,
                    "sop_class": scan.pictures.sop_class,
                    "pixels": scan.pixels_of(sop),
                    "number": at,
                }
                for at, sop in enumerate(scan.sops, 1)
                if scan.pictures is not None
            ],
            "stored": scan.stored,
            "report": self.report,
            "times": {name: round(at, 4) for name, at in self.times.items()},
            "began": self.site.plan.began,
            "cut": self.cut,
            "ended": round(self.site.now(), 4),
        }
        folder = self.site.folder / "exams"
        folder.mkdir(exist_ok=True)
        part = folder / f"{self.arrival.number:09d}.part"
        part.write_text(json.dumps(told), encoding="utf-8")
        part.replace(part.with_suffix(".json"))
