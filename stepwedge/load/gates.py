"""Gates: what was measured against what it is held to. A gate is *met*, *missed*, or *untold*; what did not happen is never met.

Whose times are they? A generator that has no time left measures itself: then every time is untold, and so is every budget that was
kept. What the systems under test answered wrong stays missed, whoever was slow.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from stepwedge.load.arrivals import agenda
from stepwedge.load.measures import Series, quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from stepwedge.load.ledger import Account
    from stepwedge.load.limits import Generator, Limit, Limits, Steady, Transaction
    from stepwedge.load.plan import Plan

Word = Literal["met", "missed", "untold"]
ARRIVAL: Final = "arrival"
"""The name under which the generator notes each arrival that it begins, grouped by kind; its time is how late it was."""
BROKEN: Final = " broken"
"""Ends the name under which the generator notes what it broke itself."""
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_ALWAYS: Final = {
    # Kind of arrival: of each of these, at least one must have been made.
    "exam": (("ADT^A04",), ("ORM^O01", "OMG^O19"), ("C-FIND worklist",), ("C-STORE", "STOW-RS")),
    "poll": (("C-FIND worklist",),),
    "adt": (("ADT background",),),
}
WARM: Final = 60.0
"""Seconds that a system needs to have loaded what it loads when it is first asked."""
_EARLY: Final = 2.0
"""Seconds before the end of the arrivals at which a process may have written its last line."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate and how it came out.

    Attributes:
        name: the transaction, or what else is held to a limit; ``what`` is ``p95``, ``errors``, ...
        phase: the part of the run it is about; empty for all of it.
        found: what was measured; NaN when nothing was.
        unit: ``s``, ``share``, ``count``.
        count: how many requests it rests on.
        said: one sentence for a reader.
        why: where the limit comes from.
        generator: whether it says something about the load generator, not about the systems under test.
        follows: whether it is untold for no other reason than an unfit generator.
    """

    name: str
    what: str
    verdict: Word
    said: str
    limit: float
    found: float = math.nan
    unit: str = "s"
    phase: str = ""
    count: int = 0
    why: str = ""
    generator: bool = False
    follows: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what was not measured is null."""
        return {key: None if value != value else value for key, value in asdict(self).items()}  # noqa: PLR0124 - NaN alone differs from itself


@dataclass(frozen=True, slots=True)
class Drained:
    """How queues emptied after a load.

    Attributes:
        seconds: until fewer messages waited than the limit; None when no system can be asked, infinite when they never did.
        waiting: how many still wait.
        silent: systems that do not answer, so that nobody can tell what they still have to send.
    """

    seconds: float | None = None
    waiting: int = 0
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What gates are judged by.

    Attributes:
        trouble: what whoever started the processes saw go wrong.
        watched: what the systems under test used, second by second (``watch.jsonl``).
        drained: how the queues emptied when the generator was done.
        marks: processes of the generator that said that they ended in order; None when nobody asked them to.
        done: processes that did all they had to do.
        unfinished: arrivals that were still under way when the run was over.
    """

    plan: Plan
    limits: Limits
    series: Series
    account: Account
    trouble: Sequence[str] = ()
    watched: Sequence[dict[str, Any]] = ()
    drained: Drained = Drained()
    marks: frozenset[str] | None = None
    done: frozenset[str] = frozenset()
    unfinished: int = 0


def unfinished(folder: Path) -> int:
    """Return how many arrivals were still under way, or not even begun, when the processes had to stop."""
    told = (json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("done-*.json"))
    return sum(int(one.get("running", 0)) + int(one.get("backlog", 0)) for one in told)


def marks(folder: Path, kind: str = "ended") -> frozenset[str]:
    """Return the names of the processes that left a mark: that they are ``ready``, ``done``, or ``ended`` in order."""
    return frozenset(path.stem.removeprefix(f"{kind}-") for path in folder.glob(f"{kind}-*.json"))


def judge(facts: Facts) -> list[Gate]:
    """Judge a run: its generator first, since everything else rests on it."""
    generator = list(fitness(facts))
    unfit = "; ".join(one.said for one in generator if one.verdict == "untold")
    found = [
        *_transactions(facts, unfit),
        *_ended(facts),
        *_queue(facts),
        *_steady(facts.limits.steady, facts.watched, facts.plan),
    ]
    if not found:
        found.append(Gate("gates", "any", "untold", "no transaction was measured", 1, unit="count"))
    return [*generator, *found]


def verdict(gates: Iterable[Gate]) -> Word:
    """Return the word for all of them: one that is missed decides, then one that nobody can tell; none at all tells nothing."""
    words = {one.verdict for one in gates}
    if "missed" in words:
        return "missed"
    return "met" if words == {"met"} else "untold"


# -- the generator ------------------------------------------------------------------------------------------------------------------


def fitness(facts: Facts) -> Iterator[Gate]:
    """Judge the generator: what keeps it from being a measure of anything is *untold*, never missed."""
    for sentence in facts.trouble:
        yield _generator("processes", "trouble", fit=False, said=sentence)
    yield _processes(facts)
    yield from _saturation(facts)
    yield from _begun(facts)
    for name in facts.series.names():
        if name.endswith(BROKEN):
            count = facts.series.total(name).count
            said = (
                f"load generator: {count} arrivals ({name.removesuffix(BROKEN)}) ended in an error of its own"
            )
            yield _generator("arrivals", name, fit=False, said=said, found=count)


def _generator(
    name: str,
    what: str,
    *,
    fit: bool,
    said: str,
    limit: float = 0,
    found: float = math.nan,
    unit: str = "count",
    count: int = 0,
    why: str = "",
) -> Gate:
    return Gate(
        name, what, "met" if fit else "untold", said, limit, found, unit, "", count, why, generator=True
    )


def _processes(facts: Facts) -> Gate:
    """Look for processes that were lost: too few of them, without a mark of their end, or silent before it."""
    wanted, told = facts.plan.workers, facts.series.generators
    ends = {name: max(line["second"] for line in lines) for name, lines in told.items()}
    silent = {name for name, last in ends.items() if last < facts.plan.seconds - _EARLY} - facts.done
    unmarked = set(told) - facts.marks - facts.done if facts.marks is not None else set[str]()
    lost = [f"{name} fell silent after {ends[name]} s" for name in sorted(silent)]
    lost += [f"{name} did not end in order" for name in sorted(unmarked - silent)]
    if len(told) < wanted:
        lost.append(f"{wanted - len(told)} of {wanted} workers measured nothing")
    said = (
        f"load generator: {'; '.join(lost)}"
        if lost
        else f"every process of the generator ({wanted}) worked to the end"
    )
    return _generator(
        "processes", "lost", fit=not lost, said=said, limit=wanted, found=len(told) - len(silent | unmarked)
    )


def _saturation(facts: Facts) -> Iterator[Gate]:
    limits = facts.limits.generator
    units = {"cpu": "share", "lag": "s", "hang": "s", "backlog": "count"}
    for what, unit in units.items():
        limit: Limit = getattr(limits, what)
        worst, at = math.nan, ""
        for name, lines in facts.series.generators.items():
            value = _most(lines, what, limits)
            if not worst >= value:
                worst, at = value, name
        fit = worst <= limit.value
        said = _busy(what, worst, limit.value)
        if not fit and len(facts.series.generators) > 1:
            said = f"{said} ({at})"
        yield _generator(
            "saturation", what, fit=fit, said=said, limit=limit.value, found=worst, unit=unit, why=limit.why
        )


def _busy(what: str, found: float, limit: float) -> str:
    """Say how busy a generator was."""
    if math.isnan(found):
        return f"the load generator did not say how busy it was ({what})"
    return {
        "cpu": f"the load generator used {found:.2g} of a core; {limit:.2g} is allowed",
        "lag": f"the load generator was held up again and again for {seconds(found)}; {seconds(limit)} is allowed",
        "hang": f"the load generator was held up for {seconds(found)} at the most; {seconds(limit)} is allowed",
        "backlog": f"{found:.0f} arrivals were due and not begun; {limit:.0f} are allowed",
    }[what]


def _most(lines: Sequence[dict[str, Any]], what: str, limits: Generator) -> float:
    """Return what was exceeded in no more than the allowed share of the seconds; of a hang, the longest of all."""
    if what == "hang":
        return max(float(line["lag"]) for line in lines)
    values = sorted(float(line[what]) for line in lines)
    return values[min(len(values) - 1, math.ceil(len(values) * (1 - limits.seconds.value)) - 1)]


def _begun(facts: Facts) -> Iterator[Gate]:
    """Compare the arrivals that were planned with those begun, and how late."""
    limits = facts.limits.generator
    planned = Counter(facts.plan.planned) or Counter(one.kind for one in agenda(facts.plan))
    begun = {kind: facts.series.total(ARRIVAL, kind).count for kind in facts.series.groups(ARRIVAL)}
    if not begun and (
        exams := {one.keys.get("exam") for kind in facts.account.entries.values() for one in kind.values()}
        - {None}
    ):
        begun = {"exam": len(exams)}
        planned = Counter({"exam": planned["exam"]})
    if not planned:
        yield _generator("arrivals", "begun", fit=False, said="nothing was due: the plan has no arrivals")
    for kind, count in sorted(planned.items()):
        share = begun.get(kind, 0) / count
        said = f"{begun.get(kind, 0)} of {count} arrivals ({kind}) were begun"
        yield _generator(
            "arrivals",
            f"begun {kind}",
            fit=share >= limits.begun.value,
            said=said,
            limit=limits.begun.value,
            found=share,
            unit="share",
            count=count,
            why=limits.begun.why,
        )
    late = quantile(facts.series.total(ARRIVAL).late, 0.99)
    if late == late:  # noqa: PLR0124 - NaN
        fit = late <= limits.late.value
        said = f"99 % of the arrivals were begun within {seconds(late)} of when they were due"
        yield _generator(
            "arrivals",
            "late",
            fit=fit,
            said=said,
            limit=limits.late.value,
            found=late,
            unit="s",
            count=facts.series.total(ARRIVAL).count,
            why=limits.late.why,
        )


# -- transactions -------------------------------------------------------------------------------------------------------------------


def _transactions(facts: Facts, unfit: str) -> Iterator[Gate]:
    for name in sorted(_missing(facts)):
        limits = facts.limits.transactions.get(name)
        limit = next((one for _, one in _set(limits)), None) if limits else None
        yield Gate(
            name, "count", "untold", f"no {name} was made", 1, 0, "count", why=limit.why if limit else ""
        )
    for name in facts.limits.transactions:
        if facts.series.total(name).count:
            yield from _of_phases(facts, name, unfit)


def _ended(facts: Facts) -> Iterator[Gate]:
    """Look for what was cut off by the end of the run: times of those that ended say nothing of those that did not."""
    total = sum(facts.plan.planned.values())
    if total:
        share, limit = 1 - facts.unfinished / total, facts.limits.generator.begun
        said = f"{facts.unfinished} of {total} arrivals were still under way when the run was over"
        word: Word = "met" if share >= limit.value else "untold"
        yield Gate("arrivals", "ended", word, said, limit.value, share, "share", "", total, limit.why)


def _missing(facts: Facts) -> set[str]:
    """Return transactions that had to be made and were not."""
    series, missing = facts.series, set(facts.limits.asked) | set(facts.plan.expects)
    for kind in {one.kind for one in agenda(facts.plan)}:
        for alternatives in _ALWAYS.get(kind, ()):
            if not any(series.total(name).count for name in alternatives):
                missing.add(alternatives[0])
    return {name for name in missing if not series.total(name).count}


def _set(limits: Transaction) -> list[tuple[str, Limit]]:
    named = ((what, getattr(limits, what)) for what in type(limits).model_fields)
    return [(what, limit) for what, limit in named if limit is not None]


def _of_phases(facts: Facts, name: str, unfit: str) -> Iterator[Gate]:
    """Judge a transaction over the whole run, and by phase where phases have limits of their own."""
    apart = facts.limits.phases
    parts = facts.plan.phases if any(one.name in apart for one in facts.plan.phases) else ()
    spans: list[tuple[str, float, float, float]] = [("", 0, math.inf, 1)]
    if parts:
        last = parts[-1].name
        spans = [
            (
                one.name,
                one.begin,
                math.inf if one.name == last else one.end,
                apart[one.name].factor if one.name in apart else 1,
            )
            for one in parts
        ]
    for phase, begin, end, factor in spans:
        row = facts.series.total(name, begin=begin, end=end)
        if not row.count:
            if phase in apart and apart[phase].errors is not None:
                continue  # a part in which things may go wrong may do without
            if name not in {*facts.plan.expects, *facts.limits.asked}:
                continue  # what is rare may fall into the other phases
            yield Gate(
                name, "count", "untold", f"no {name} was made in the phase {phase}", 1, 0, "count", phase
            )
            continue
        budget = apart[phase].errors if phase in apart else None
        for what, limit in _set(facts.limits.transactions[name]):
            if what in QUANTILES:
                yield _time(
                    name,
                    what,
                    row.percentile(QUANTILES[what]),
                    row.count,
                    limit.times(factor) if factor > 1 else limit,
                    phase,
                    unfit,
                )
            else:
                yield _budget(name, what, row, budget or limit, phase, unfit)


def _time(name: str, what: str, found: float, count: int, limit: Limit, phase: str, unfit: str) -> Gate:
    met = found <= limit.value
    during = f" in the phase {phase}" if phase else ""
    said = f"{what[1:]} % of {count} {name}{during} took at most {seconds(found)}; the limit is {seconds(limit.value)}"
    if unfit:
        return Gate(
            name,
            what,
            "untold",
            f"{said}, but whose time that is nobody can tell",
            limit.value,
            found,
            "s",
            phase,
            count,
            limit.why,
            follows=True,
        )
    return Gate(
        name, what, "met" if met else "missed", said, limit.value, found, "s", phase, count, limit.why
    )


def _budget(name: str, what: str, row: Any, limit: Limit, phase: str, unfit: str) -> Gate:
    """Judge a budget; a request without an answer counts against it, unless the generator had no time to hear one."""
    bad = row.refused if what == "refused" else row.failed + row.unknown
    share = bad / row.count
    word: Word = "met" if share <= limit.value else "missed"
    during = f" in the phase {phase}" if phase else ""
    how = "were refused" if what == "refused" else f"went wrong ({row.unknown} without any answer)"
    said = f"{bad} of {row.count} {name}{during} {how}; the budget is {limit.value:.2%}"
    certain = row.refused if what == "refused" else row.failed
    if unfit and certain / row.count <= limit.value:
        word = "untold"
    follows = word == "untold"
    return Gate(
        name, what, word, said, limit.value, share, "share", phase, row.count, limit.why, follows=follows
    )


def seconds(value: float) -> str:
    """Write a time as a person reads it."""
    if value != value or math.isinf(value):  # noqa: PLR0124 - NaN
        return "no time at all" if value != value else "for ever"  # noqa: PLR0124 - NaN
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


# -- queues and growth --------------------------------------------------------------------------------------------------------------


def _queue(facts: Facts) -> Iterator[Gate]:
    limit, most, found = facts.limits.queue.within, facts.limits.queue.waiting, facts.drained
    if found.seconds is None:
        return  # no system that can be asked what it still has to send
    met = found.seconds <= limit.value
    said = f"fewer than {most.value:g} messages wait after {seconds(found.seconds)}; {seconds(limit.value)} are allowed"
    if not met:
        said = f"{found.waiting} messages still wait {seconds(limit.value)} after the load; fewer than {most.value:g} are allowed"
    word: Word = "met" if met else "missed"
    if found.silent:
        word, said = (
            "untold",
            f"{', '.join(found.silent)} does not answer, so nobody can tell what still waits",
        )
    yield Gate(
        "queues", "drained", word, said, limit.value, found.seconds, "s", count=found.waiting, why=limit.why
    )


def _steady(limits: Steady, watched: Sequence[dict[str, Any]], plan: Plan) -> Iterator[Gate]:
    """Judge growth in a soak: the last tenth of the run against the second."""
    for what, limit in ((what, getattr(limits, what)) for what in type(limits).model_fields):
        if limit is None:
            continue
        series: dict[str, list[tuple[float, float]]] = {}
        for line in watched:
            for name, used in line.get("processes", {}).items():
                if what in used and 0 <= line["second"] <= plan.seconds:
                    series.setdefault(name, []).append((line["second"], used[what]))
        if not series:
            yield Gate(
                "growth",
                what,
                "untold",
                f"nobody could read the {what} of a system under test",
                limit.value,
                unit="share",
                why=limit.why,
            )
        for name, points in series.items():
            yield _growth(name, what, points, limit, plan.seconds)


def _growth(name: str, what: str, points: Sequence[tuple[float, float]], limit: Limit, length: float) -> Gate:
    early = [value for at, value in points if 0.1 * length <= at < 0.2 * length]
    late = [value for at, value in points if at >= 0.9 * length]
    if not early or not late:
        return Gate(
            f"growth of {name}",
            what,
            "untold",
            f"{name} was not watched long enough to see whether its {what} grows",
            limit.value,
            unit="share",
            why=limit.why,
        )
    before, after = sum(early) / len(early), sum(late) / len(late)
    share = after / before - 1 if before else math.inf
    said = f"{name} has {share:+.1%} {what} at the end of what it had when it was warm; {limit.value:.0%} are allowed"
    word: Word = "met" if share <= limit.value else "missed"
    if (
        word == "missed" and 0.1 * length < WARM
    ):  # it may have been warming up; that it did not grow is seen all the same
        word, said = (
            "untold",
            f"{said}; it was watched from {0.1 * length:.0f} s on, and a system is warm after {WARM:.0f} s",
        )
    return Gate(
        f"growth of {name}",
        what,
        word,
        said,
        limit.value,
        share,
        "share",
        count=len(points),
        why=limit.why,
    )
