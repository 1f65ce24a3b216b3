"""When what arrives: an open model. Nobody waits with the next patient because a system is slow. Pure and seeded.

Exams arrive as a Poisson process whose rate follows the plan (by thinning, Lewis and Shedler 1979), foreign messages as one of a
constant rate, scanners poll at their pace. The agenda is the same however many workers share it: each takes the arrivals whose
number is its own modulo the number of workers.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.load.day import Day
    from stepwedge.load.plan import Plan

CASUALTIES: Final[tuple[str, ...]] = ("CT", "DX", "DX")
"""What a mass casualty is examined with: one CT for two radiographs, as far as the hospital has them."""


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """Something that is due.

    Attributes:
        at: real seconds from the beginning of the run.
        kind: ``exam``, ``adt`` or ``poll``.
        number: its number among those of its kind, from which its identifiers derive.
    """

    at: float
    kind: str
    number: int
    facts: dict[str, Any] = field(default_factory=dict, compare=False)


def agenda(plan: Plan, worker: int = 0, workers: int = 1) -> Iterator[Arrival]:
    """Return what is due for one of the workers, in order."""
    streams = [_bursts(plan)]
    wanted = plan.only or ("exam", "adt", "poll")
    if "exam" in wanted:
        streams.append(_exams(plan))
    if "adt" in wanted:
        streams.append(_background(plan))
    if "poll" in wanted:
        streams.append(_polls(plan))
    return (one for one in heapq.merge(*streams) if one.number % workers == worker)


def expected(plan: Plan) -> dict[str, float]:
    """Return how many arrivals of each kind the plan means, bursts included."""
    wanted = plan.only or ("exam", "adt", "poll")
    counts = dict.fromkeys(wanted, 0.0)
    if "exam" in wanted:
        counts["exam"] = sum(_integral(plan, one.begin, one.end) for one in plan.phases)
    if "adt" in wanted:
        counts["adt"] = plan.day.background.adt_a_second.value * plan.background * plan.times * plan.seconds
    if "poll" in wanted:
        counts["poll"] = _machines(plan.day) / _pace(plan) * plan.seconds
    for burst in plan.bursts:
        kind = {"polls": "poll", "adt": "adt"}.get(burst["of"], "exam")
        counts[kind] = counts.get(kind, 0.0) + burst["count"]
    return counts


def _integral(plan: Plan, begin: float, end: float) -> float:
    steps = 400
    width = (end - begin) / steps
    middle = (begin + (step + 0.5) * width for step in range(steps))
    return sum(plan.phase(at).rate(plan.day, at) * width for at in middle)


def _exams(plan: Plan) -> Iterator[Arrival]:
    chance = Random(f"{plan.seed}/exams")  # noqa: S311 - not a secret
    at, number = 0.0, 0
    for phase in plan.phases:
        at, most = max(at, phase.begin), phase.most(plan.day)
        while most > 0:
            at += chance.expovariate(most)
            if at >= phase.end:
                break
            if chance.random() * most <= phase.rate(plan.day, at):
                yield Arrival(at, "exam", number, exam(plan, number, at))
                number += 1
        at = phase.end


def exam(plan: Plan, number: int, at: float, **fixed: Any) -> dict[str, Any]:
    """Return what is to happen in one exam; ``fixed`` facts are not drawn.

    ``waits`` are real seconds: the clinical ones, compressed like the day; ``images`` are those that are sent.
    """
    chance = Random(f"{plan.seed}/exam/{number}")  # noqa: S311 - not a secret
    day = plan.day
    names = list(day.modalities)
    modality = (
        fixed.get("modality")
        or chance.choices(names, [one.share.value for one in day.modalities.values()])[0]
    )
    machine = day.modalities[modality]
    emergency = chance.random() < day.emergency.value
    stat = chance.random() < (day.stat_emergency if emergency else day.stat).value
    hurry = max(plan.hurry, plan.phase(at).compress)
    usual = {
        "order_to_scan": day.waits.order_to_scan.value * (0.1 if emergency or stat else 1),
        "scan": machine.seconds.value,
        "scan_to_read": day.waits.scan_to_read.value * (0.25 if emergency or stat else 1),
        "read_to_sign": day.waits.read_to_sign.value,
    }
    waits = {name: mean * chance.choice((0.6, 0.8, 1.0, 1.2, 1.4)) / hurry for name, mean in usual.items()}
    facts = {
        "modality": modality,
        "procedure": machine.procedure,
        "images": max(1, round(machine.images.value * plan.images * chance.uniform(0.7, 1.3))),
        "emergency": emergency,
        "stat": stat,
        "version": chance.choice(("2.3.1", "2.5.1")),
        "exception": _exception(day, chance) if plan.exceptions else "none",
        "sampled": chance.random() < plan.sample,
        "priors": round(day.reading.priors.value),
        "clinicians": round(day.reading.clinicians_a_study.value),
        "waits": waits,
    }
    return facts | fixed


def _exception(day: Day, chance: Random) -> str:
    point = chance.random()
    for name, share in day.exceptions.items():
        point -= share.value
        if point < 0:
            return name
    return "none"


def _background(plan: Plan) -> Iterator[Arrival]:
    rate = plan.day.background.adt_a_second.value * plan.background * plan.times
    chance = Random(f"{plan.seed}/adt")  # noqa: S311 - not a secret
    at, number = 0.0, 0
    while rate > 0 and (at := at + chance.expovariate(rate)) < plan.seconds:
        yield Arrival(at, "adt", number)
        number += 1


def _machines(day: Day) -> int:
    return sum(round(one.machines.value) for one in day.modalities.values())


def _pace(plan: Plan) -> float:
    """Seconds from one poll of a scanner to its next."""
    return plan.day.background.poll_seconds.value / max(plan.background * plan.times, 1e-9)


def _polls(plan: Plan) -> Iterator[Arrival]:
    """Every scanner at its own pace, each with a phase of its own."""
    day, pace = plan.day, _pace(plan)
    kinds = [name for name, one in day.modalities.items() for _ in range(round(one.machines.value))]
    chance = Random(f"{plan.seed}/polls")  # noqa: S311 - not a secret
    begins = sorted((chance.random() * pace, index) for index in range(len(kinds)))
    number, turn = 0, 0.0
    while turn < plan.seconds:
        for begin, index in begins:
            if (at := turn + begin) < plan.seconds:
                yield Arrival(at, "poll", number, {"modality": kinds[index], "machine": index})
                number += 1
        turn += pace


def _bursts(plan: Plan) -> Iterator[Arrival]:
    """What the case adds; numbers begin far above those of the day, so that identifiers never meet."""
    found: list[Arrival] = []
    for which, burst in enumerate(plan.bursts, 1):
        begin, over, first = burst["at"] * plan.seconds, burst["over"], which * 10_000_000
        for each in range(burst["count"]):
            at = begin + over * each / burst["count"]
            found.append(_of_burst(plan, burst["of"], first + each, at, begin))
    return iter(sorted(found))


def _of_burst(plan: Plan, what: str, number: int, at: float, begin: float) -> Arrival:
    day = plan.day
    if what == "polls":
        kinds = [name for name, one in day.modalities.items() for _ in range(round(one.machines.value))]
        index = number % len(kinds)
        return Arrival(at, "poll", number, {"modality": kinds[index], "machine": index, "burst": what})
    if what == "adt":
        return Arrival(at, "adt", number, {"burst": what})
    fixed: dict[str, Any] = {"burst": what, "exception": "none"}
    if what == "casualties":
        have: list[str] = [one for one in CASUALTIES if one in day.modalities] or list(day.modalities)
        fixed |= {"modality": have[number % len(have)], "emergency": True, "stat": True}
        fixed |= {"exception": "unidentified", "sampled": True}
    elif what == "merges":
        fixed |= {"exception": "merge"}
    elif what == "uploads":
        fixed |= {"door": "stow-rs"}
    elif what == "reports":  # everything before is done early, so that all signatures fall into the burst
        facts = exam(plan, number, begin, **fixed, sign_at=at)
        return Arrival(begin * _before(number), "exam", number, facts)
    return Arrival(at, "exam", number, exam(plan, number, at, **fixed))


def _before(number: int) -> float:
    """Return a share of the time before a burst, spread evenly over the numbers (the golden ratio's multiples)."""
    return 0.6 * ((number * 0.6180339887498949) % 1.0)
