"""Write ``load.html``: one file that shows a hospital what its systems carried, and on what that rests.

It asks nothing of any other host, has no script, and is made from the files of the run's folder alone, so that it can be made anew.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.clock import SystemClock
from stepwedge.load import charts, truth, watching
from stepwedge.load.arrivals import expected
from stepwedge.load.gates import ARRIVAL, BROKEN, seconds
from stepwedge.load.ledger import Account
from stepwedge.load.measures import Series, quantile
from stepwedge.load.plan import Plan
from stepwedge.report import html
from stepwedge.report.atomic import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from stepwedge.load.charts import Chart
    from stepwedge.load.measures import Row

FILE: Final = "load.html"
SPOKEN: Final = {
    "ADT^A04": "Register a patient",
    "ADT^A08": "Correct a patient",
    "ADT^A40": "Merge two records",
    "ADT background": "Patients of other departments",
    "ORM^O01": "Order an exam (HL7 2.3.1)",
    "OMG^O19": "Order an exam (HL7 2.5.1)",
    "C-FIND worklist": "Fetch the worklist",
    "N-CREATE MPPS": "Say that an exam begins",
    "N-SET MPPS": "Say that an exam is done",
    "C-STORE": "Store an image",
    "STOW-RS": "Store images over the web",
    "N-ACTION commitment": "Ask for storage commitment",
    "C-FIND study": "Find a study",
    "QIDO-RS": "Find a study over the web",
    "C-GET": "Open a study",
    "WADO-RS": "Open a study over the web",
    "ORU^R01": "Send a report",
    "FHIR search": "Look into the record",
    "order to worklist": "From order to worklist",
    "STAT order to worklist": "From urgent order to worklist",
    "scan end to readable": "From the end of the scan until the study can be read",
    "sign to EHR": "From signature until the ward reads it",
}
"""What a transaction is to somebody who works in a hospital."""
AREAS: Final = {
    "What a patient waits for": (
        "order to worklist",
        "STAT order to worklist",
        "scan end to readable",
        "sign to EHR",
    ),
    "Registration and orders": ("ADT^A04", "ORM^O01", "OMG^O19", "ADT^A08", "ADT^A40", "ADT background"),
    "At the scanner": ("C-FIND worklist", "N-CREATE MPPS", "N-SET MPPS"),
    "Into the archive": ("C-STORE", "STOW-RS", "N-ACTION commitment"),
    "Reading and reports": ("C-FIND study", "QIDO-RS", "C-GET", "WADO-RS", "ORU^R01", "FHIR search"),
}
WORDS: Final = {"met": "passed", "missed": "failed", "untold": "inconclusive"}
"""Under which verdict of a scenario the colours of a word are found."""
CELLS: Final = ("p50", "p95", "p99", "errors", "refused")
_APART: Final = frozenset({ARRIVAL, "A-ASSOCIATE"})
"""What is measured and is no request that was to be answered: arrivals, and associations that were refused for now and tried again."""
_MEGA, _GIGA = 1e6, 1e9
_LAST: Final = 10


@dataclass(frozen=True)
class Files:
    """What the folder of a run holds."""

    plan: Plan
    series: Series
    account: Account
    gates: list[dict[str, Any]]
    reconciliation: dict[str, Any]
    summary: dict[str, Any]
    watched: list[dict[str, Any]]
    truths: list[dict[str, Any]]
    baseline: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Files:
        """Read a folder that was judged."""
        return cls(
            Plan.read(folder),
            Series.read(folder / "measures"),
            Account.read(folder / "ledger"),
            _json(folder / "gates.json"),
            _json(folder / "reconciliation.json"),
            _json(folder / "summary.json"),
            watching.read(folder),
            truth.read(folder),
            _json(folder / "baseline.json") or {},
        )


def write(folder: Path) -> None:
    """Write the page of a run that was judged."""
    replace(folder / FILE, render(Files.read(folder), SystemClock().now()))


def render(files: Files, made: datetime) -> str:
    """Return the page."""
    environment = html.environment()
    environment.filters |= {"time": seconds, "many": many, "percent": percent, "size": size, "figure": figure}
    length = max(files.series.last + 1, files.plan.seconds, 1)
    axis = charts.Axis(files.plan, length)
    return environment.get_template("load.html.j2").render(
        plan=files.plan,
        summary=files.summary,
        word=WORDS[files.summary["verdict"]],
        words=WORDS,
        tallies=tallies(files),
        sentence=what_was_driven(files),
        rows=gate_rows(files),
        others=[one for one in files.gates if not one["generator"] and one["what"] not in CELLS],
        generator=[one for one in files.gates if one["generator"]],
        areas=areas(files, axis),
        overall=overall(files, axis),
        reconciliation=files.reconciliation,
        truths=truth_rows(files.truths),
        numbers=files.plan.day.numbers(),
        baseline=baseline_rows(files.baseline),
        against=files.baseline.get("with", ""),
        spoken=SPOKEN,
        made=f"{made:%d %B %Y, %H:%M}",
    )


def _json(path: Path) -> Any:
    with contextlib.suppress(OSError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


# -- figures for people -------------------------------------------------------------------------------------------------------------


def many(value: float) -> str:
    """Write a count."""
    return f"{value:,.0f}"


def percent(value: float | None) -> str:
    """Write a share."""
    if value is None:
        return "–"
    return f"{value:.2%}".replace(".00%", "%") if value else "0"


def size(value: float) -> str:
    """Write bytes as megabytes or gigabytes."""
    return f"{value / _GIGA:.2f} GB" if value >= _GIGA else f"{value / _MEGA:.3g} MB"


def figure(value: float | None, unit: str) -> str:
    """Write a figure with its unit."""
    if value is None:
        return "–"
    if unit == "s":
        return seconds(value)
    if unit == "share":
        return percent(value)
    return size(value) if unit == "bytes" else f"{value:.3g}{'' if unit == 'count' else f' {unit}'}"


def what_was_driven(files: Files) -> str:
    """Return what the systems were loaded with, as a sentence or two."""
    plan, counts = files.plan, expected(files.plan)
    clinical = sum(one.clinical for one in plan.phases)
    length = f"{clinical / 3600:.3g} hours" if clinical >= 3600 else f"{clinical / 60:.3g} minutes"  # noqa: PLR2004 - an hour
    times = f", at {plan.times:g} times its rate" if plan.times != 1 else ""
    exams = f"{counts['exam']:.0f} exams" if counts.get("exam") else "no exams"
    told = f"{plan.day.title}{times}: {length} of its working day in {plan.seconds:g} s, {exams} expected"
    if plan.images < 1:
        told += f"; of each study's images {percent(plan.images)} were sent"
    return (
        told
        + ". Patients arrive whether or not anybody is ready for them, and waiting counts from when they were due."
    )


@dataclass(frozen=True)
class Tally:
    """One large figure, what it counts, and its colour."""

    value: str
    said: str
    word: str = ""


def tallies(files: Files) -> list[Tally]:
    """Return the figures at the top."""
    series, account = files.series, files.account
    names = _requests(series)
    rows = {name: series.total(name) for name in names}
    stored = sum(rows[name].bytes for name in ("C-STORE", "STOW-RS") if name in rows)
    wrong = sum(row.bad for row in rows.values())
    exams = {one.keys.get("exam") for one in account.of("order")} - {None}
    return [
        Tally(many(len(exams) or len(account.of("order"))), "exams ordered"),
        Tally(many(len(account.of("instance", "acknowledged"))), f"images stored, {size(stored)}"),
        Tally(many(sum(row.count for row in rows.values())), "requests"),
        Tally(many(wrong), "requests that went wrong", "failed" if wrong else "passed"),
    ]


def _requests(series: Series) -> list[str]:
    """Return the names of all requests that were to be answered."""
    return [name for name in series.names() if name not in _APART and not name.endswith(BROKEN)]


# -- gates --------------------------------------------------------------------------------------------------------------------------


@dataclass
class GateRow:
    """The gates of one transaction in one phase."""

    name: str
    phase: str
    count: int = 0
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    verdict: str = "met"
    said: list[str] = field(default_factory=list)


def gate_rows(files: Files) -> list[GateRow]:
    """Gather gates by transaction, what a patient waits for first."""
    found: dict[tuple[str, str], GateRow] = {}
    order = [name for names in AREAS.values() for name in names]
    for one in files.gates:
        if one["generator"] or (one["what"] not in CELLS and one["what"] != "count"):
            continue
        row = found.setdefault((one["name"], one["phase"]), GateRow(one["name"], one["phase"]))
        row.count = max(row.count, one["count"])
        row.cells[one["what"]] = one | {"part": _part(one)}
        if one["verdict"] != "met":
            row.verdict = "missed" if "missed" in {one["verdict"], row.verdict} else "untold"
            row.said.append(one["said"])
    return sorted(found.values(), key=lambda row: order.index(row.name) if row.name in order else len(order))


def _part(one: Mapping[str, Any]) -> float:
    """Return how much of a limit was used, in percent, for a bar."""
    if one["found"] is None or not one["limit"]:
        return 100.0 if one["verdict"] == "missed" else 0.0
    return round(min(float(one["found"]) / float(one["limit"]), 1.0) * 100, 1)


# -- charts -------------------------------------------------------------------------------------------------------------------------


def areas(files: Files, axis: charts.Axis) -> dict[str, list[Chart]]:
    """Return a chart for each transaction that was made, by area."""
    limits = {(one["name"], one["what"]): one["limit"] for one in files.gates if not one["phase"]}
    verdicts = {row.name: row.verdict for row in gate_rows(files)}
    known = {name for names in AREAS.values() for name in names}
    others = [
        name
        for name in files.series.names()
        if name not in known and name != ARRIVAL and not name.endswith(BROKEN)
    ]
    found: dict[str, list[Chart]] = {}
    for area, names in {**AREAS, "Others": tuple(others)}.items():
        for name in names:
            if not (row := files.series.total(name)).count:
                continue
            chart = charts.times(axis, name, files.series.seconds(name), limits.get((name, "p95")), seconds)
            chart.said = _said(row, limits.get((name, "p95")))
            chart.word = verdicts.get(name, "")
            found.setdefault(area, []).append(chart)
    return found


def _said(row: Row, limit: float | None) -> str:
    told = f"{many(row.count)} · p95 {seconds(row.percentile(0.95))}"
    if limit is not None:
        told += f" of {seconds(limit)} allowed"
    return told + (f" · {many(row.bad)} wrong" if row.bad else "")


def overall(files: Files, axis: charts.Axis) -> list[Chart]:
    """Return the charts of the whole: what was driven, and what the systems and the generator used."""
    from stepwedge.load.measures import Row

    series, merged, stored = files.series, dict[int, Row](), dict[int, Row]()
    for name in _requests(series):
        for second, row in series.seconds(name).items():
            merged.setdefault(second, Row()).add(row)
            if name in {"C-STORE", "STOW-RS"}:
                stored.setdefault(second, Row()).add(row)
    found = [
        charts.counts(axis, "All requests a second", merged, "requests a second", lambda row: row.count),
        charts.counts(
            axis, "Megabytes stored a second", stored, "MB a second", lambda row: row.bytes / _MEGA, bad=False
        ),
    ]
    if any(row.bad for row in merged.values()):
        found.append(charts.counts(axis, "Errors a second", merged, "a second", lambda row: row.bad))
    if "exam" in series.groups(ARRIVAL):
        exams = series.seconds(ARRIVAL, "exam")
        found.insert(
            0,
            charts.counts(
                axis, "Exams begun a second", exams, "exams a second", lambda row: row.count, bad=False
            ),
        )
    found += list(_watched(files.watched, axis))
    found += list(_generators(series, axis))
    return [one for one in found if one.bars or one.lines]


def _watched(watched: Iterable[Mapping[str, Any]], axis: charts.Axis) -> Iterable[Chart]:
    lines = [line for line in watched if 0 <= line["second"] <= axis.length]
    used: dict[str, dict[str, list[tuple[float, float]]]] = {"cpu": {}, "rss": {}}
    queues: dict[str, list[tuple[float, float]]] = {}
    oldest: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, told in line.get("processes", {}).items():
            for what, points in used.items():
                points.setdefault(name, []).append((line["second"], told[what]))
        for name, told in line.get("queues", {}).items():
            queues.setdefault(name, []).append((line["second"], told["waiting"]))
            if "oldest" in told:
                oldest.setdefault(name, []).append((line["second"], told["oldest"]))
    ordered = sorted(queues.items(), key=lambda one: -max(value for _, value in one[1]))[:5]
    busiest = dict([one for one in ordered if any(value for _, value in one[1])] or ordered[:1])
    if busiest:
        yield charts.lines(axis, "Messages that wait to be sent", busiest, lambda value: f"{value:g}")
    if oldest := {name: oldest[name] for name in busiest if name in oldest}:
        yield charts.lines(axis, "Age of the oldest message that waits", oldest, seconds)
    if used["cpu"]:
        yield charts.lines(
            axis, "Processor of the systems, in cores", used["cpu"], lambda value: f"{value:.2g}"
        )
        yield charts.lines(axis, "Memory of the systems", used["rss"], size)


def _generators(series: Series, axis: charts.Axis) -> Iterable[Chart]:
    told = {f"process {number}": lines for number, lines in enumerate(series.generators.values(), 1)}
    if told:
        cpu = {name: [(line["second"], line["cpu"]) for line in lines] for name, lines in told.items()}
        yield charts.lines(axis, "Processor of the load generator, share of a core", cpu, percent, 0.85)
    late = {second: quantile(row.late, 0.99) for second, row in series.seconds(ARRIVAL).items()}
    if late:
        yield charts.lines(
            axis, "How late arrivals were begun (p99)", {"arrivals": list(late.items())}, seconds
        )


# -- tables -------------------------------------------------------------------------------------------------------------------------


def truth_rows(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sampled exams and how each standing rule came out at the end."""
    from stepwedge.checks.rules import rules

    says = {rule.id: rule.says for rule in rules()}
    last = [one for one in records if one["when"] == "after"]
    found: dict[str, dict[str, int]] = {}
    for one in last:
        row = found.setdefault(one["rule"], {})
        row[one["verdict"]] = row.get(one["verdict"], 0) + 1
    ordered = [(rule, found[rule]) for rule in says if rule in found]
    return {
        "exams": len({one["exam"] for one in last}),
        "during": len({one["exam"] for one in records if one["when"] == "during"}),
        "rules": [{"rule": rule, "says": says.get(rule, ""), **counts} for rule, counts in ordered],
        "broken": [one for one in last if one["verdict"] == "failed"][:_LAST],
    }


def baseline_rows(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what changed since the baseline, what is worse first; what stayed is left out."""
    order = {"worse": 0, "gone": 1, "new": 2, "better": 3}
    changed = [one for one in told.get("changes", ()) if one["word"] in order]
    return sorted(changed, key=lambda one: (order[one["word"]], one["name"], one["what"]))
