"""Say in one JSON file what a run came to: verdicts, reasons, what was exercised and what was not."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stepwedge import __version__
from stepwedge.report.atomic import replace
from stepwedge.scenario.transactions import TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.report.run_model import Case, Record, Run


def write(run: Run) -> Record:
    """Write ``summary.json`` and return what it says."""
    said = summarise(run)
    replace(run.folder / "summary.json", json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    return said


def summarise(run: Run) -> Record:
    """Return the summary as JSON values."""
    end = run.end or {}
    return {
        "stepwedge": __version__,
        "run": run.id,
        "verdict": run.verdict,
        "exit": run.exit,
        "aborted": run.aborted,
        "counts": run.counts,
        "started": run.about.get("started"),
        "finished": end.get("finished"),
        "seconds": seconds_between(run.about.get("started"), end.get("finished")),
        "seed": run.about.get("seed"),
        "patience": run.about.get("patience"),
        "argv": run.about.get("argv"),
        "versions": run.about.get("versions", {}),
        "lab": run.about.get("lab", {}),
        "cases": [_case(case) for case in run.cases],
        "transactions": transactions(run.cases),
        "rules": rules(run.cases),
        "fences": fences(run.cases),
        "torn": run.torn,
    }


def _case(case: Case) -> Record:
    end = case.end or {}
    return {
        "case": case.id,
        "scenario": case.get("scenario"),
        "variant": case.get("variant"),
        "title": case.get("title"),
        "catalogue": case.get("catalogue"),
        "severity": case.get("severity"),
        "place": f"{case.get('file')}:{case.get('line')}",
        "verdict": case.verdict,
        "message": case.message,
        "seconds": round(case.took, 3),
        "own_seconds": end.get("own_time"),
        "steps": dict(Counter(str(step.get("verdict") or "left out") for step in case.steps)),
        "exchanges": len(case.exchanges),
        "left_out": [{"step": step.get("title"), "reason": step["left_out"]} for step in case.left_out],
        "replay": end.get("replay", ""),
    }


def transactions(cases: Iterable[Case]) -> dict[str, Record]:
    """Return, per IHE transaction, how many steps exercised it and how they came out; known ones stand at zero."""
    table: dict[str, Record] = {
        name: {"name": said, "exercised": 0, "left_out": 0, "verdicts": {}, "cases": []}
        for name, said in TRANSACTIONS.items()
    }
    for case in cases:
        for step in case.steps:
            for name in several(step.get("ihe")):
                row = table.setdefault(
                    name, {"name": "", "exercised": 0, "left_out": 0, "verdicts": {}, "cases": []}
                )
                if step.get("left_out"):
                    row["left_out"] += 1
                    continue
                row["exercised"] += 1
                verdict = str(step.get("verdict"))
                row["verdicts"][verdict] = row["verdicts"].get(verdict, 0) + 1
                if case.id not in row["cases"]:
                    row["cases"].append(case.id)
    return table


def rules(cases: Iterable[Case]) -> dict[str, Record]:
    """Return, per standing rule, how often it held, was broken or had nothing to judge."""
    table: dict[str, Record] = {}
    for case in cases:
        for record in case.rules:
            row = table.setdefault(
                str(record["rule"]), {"says": record.get("says", ""), "verdicts": {}, "cases": []}
            )
            word = rule_verdict(record)
            row["verdicts"][word] = row["verdicts"].get(word, 0) + 1
            if word not in {"passed", "not reached"}:
                row["cases"].append(case.id)
    return dict(sorted(table.items(), key=lambda item: natural(item[0])))


def rule_verdict(record: Record) -> str:
    """Return how a standing rule came out: a verdict word, or ``not reached`` when it had nothing to judge."""
    word = str(record.get("verdict") or "")
    if word in {"failed", "broken", "inconclusive"}:
        return word
    return "passed" if word == "passed" and record.get("reached") else "not reached"


def fences(cases: Iterable[Case]) -> dict[str, int]:
    """Return how many ``never`` were proven by a fence, and how many only by waiting."""
    total = {"proven": 0, "waited": 0}
    for case in cases:
        for kind, count in ((case.end or {}).get("fences") or {}).items():
            total[kind] = total.get(kind, 0) + int(count)
    return total


def seconds_between(start: Any, end: Any) -> float | None:
    """Return seconds between two times as the journal writes them (ISO 8601, or seconds since 1970)."""
    first, last = moment(start), moment(end)
    return round((last - first).total_seconds(), 3) if first and last else None


def moment(value: Any) -> datetime | None:
    """Read a time of the journal."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value).astimezone()
    try:
        return datetime.fromisoformat(value).astimezone()
    except (TypeError, ValueError):
        return None


def several(value: Any) -> list[str]:
    """Return what a journal field lists, whether it was written as a list or as text with commas."""
    parts = value if isinstance(value, list | tuple) else str(value or "").split(",")
    return [text for part in parts if (text := str(part).strip())]


def natural(name: str) -> tuple[str, int]:
    """Return the key that sorts INV-2 before INV-11."""
    word, _, number = name.rpartition("-")
    return (word, int(number)) if number.isdigit() else (name, 0)
