"""A load run made by hand: a folder as the generator leaves it, in which one thing or another may be a lie."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge.load import case, day, gates, limits
from stepwedge.load.ledger import Account, Ledger
from stepwedge.load.measures import Measures, Series
from stepwedge.load.plan import Plan, resolve

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "ADT^A04",
    "ORM^O01",
    "OMG^O19",
    "ADT background",
    "C-FIND worklist",
    "C-STORE",
    "ORU^R01",
    "sign to EHR",
)


@dataclass
class Made:
    """One run: :meth:`write` lays it down."""

    folder: Path
    plan: Plan
    took: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.01))
    outcomes: dict[str, str] = field(default_factory=dict)
    cpu: float = 0.2
    lag: float = 0.01
    late: float = 0.01
    backlog: int = 0
    begun: float = 1.0
    processes: tuple[str, ...] = ("here-1",)
    silent: dict[str, int] = field(default_factory=dict)
    marks: tuple[str, ...] = ("here-1",)

    def write(self) -> Made:
        """Write plan, measures, marks and a ledger of three whole exams."""
        self.plan.write(self.folder)
        for name in self.marks:
            (self.folder / f"ended-{name}.json").write_text("{}", encoding="utf-8")
        for number, name in enumerate(self.processes):
            measures = Measures(self.folder / "measures", name)
            for second in range(self.silent.get(name, int(self.plan.seconds))):
                measures.generator(second, cpu=self.cpu, lag=self.lag, rss=1 << 26, backlog=self.backlog)
                for kind, took in self.took.items() if number == 0 else ():
                    for _ in range(5):
                        measures.note(
                            kind, took, at=second + 0.5, outcome=self.outcomes.get(kind, "ok"), nbytes=1000
                        )
            for kind, count in self.plan.planned.items() if number == 0 else ():
                for each in range(int(count * self.begun)):
                    measures.note(
                        "arrival", self.late, at=each % self.plan.seconds, late=self.late, group=kind
                    )
            measures.close()
        self.ledger()
        return self

    def ledger(self) -> None:
        """Write what three exams sent, all of it acknowledged."""
        book = Ledger(self.folder / "ledger", "here-1")
        for exam in range(3):
            keys: dict[str, Any] = {"patient": f"SW{exam}", "accession": f"A{exam}", "exam": exam}
            for kind, identity, more in (
                ("order", f"P{exam}", {}),
                ("study", f"1.{exam}", {"planned": 2}),
                ("instance", f"1.{exam}.1", {"study": f"1.{exam}", "sha256": "aa", "door": "C-STORE"}),
                ("instance", f"1.{exam}.2", {"study": f"1.{exam}", "sha256": "bb", "door": "C-STORE"}),
                ("mpps", f"2.{exam}", {"mpps": f"2.{exam}"}),
                ("mpps", f"2.{exam}#end", {"mpps": f"2.{exam}"}),
                ("report", f"A{exam}#F", {"text": f"Report {exam}."}),
            ):
                book.write(kind, identity, "attempted", **keys, **more)
                book.write(kind, identity, "acknowledged")
        book.close()

    def facts(self, case_gates: dict[str, Any] | None = None, **more: Any) -> gates.Facts:
        """Return what gates are judged by."""
        series, account = Series.read(self.folder / "measures"), Account.read(self.folder / "ledger")
        told = {
            "drained": gates.Drained(0.5),
            "marks": gates.marks(self.folder),
            "done": gates.marks(self.folder, "done"),
        } | more
        return gates.Facts(self.plan, limits.load(case_gates or {}), series, account, **told)

    def page(self, **summary: Any) -> None:
        """Write what a verdict leaves beside it, without a page."""
        for name, value in summary.items():
            (self.folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def made(tmp_path) -> Made:
    plan = resolve(case.load("lod-02"), day.load("m"), seed=1, seconds=12, lab="a lab")
    planned = {"exam": 20, "poll": 10, "adt": 5}
    return Made(
        tmp_path,
        replace(plan, planned=planned, expects=("ADT^A04", "C-STORE"), gates={}, sample=0.0, began=1.0),
    )
