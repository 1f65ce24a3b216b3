"""The plan of a load run: a case and a day, resolved to real seconds. Written before the first byte is sent (``plan.json``)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.load.day import SECONDS, Day

if TYPE_CHECKING:
    from pathlib import Path

    from stepwedge.load.case import LoadCase

FILE: Final = "plan.json"
_LONGER: Final = 1.4
"""The longest wait, as a multiple of its mean (see :func:`stepwedge.load.arrivals.exam`)."""
_LAG: Final = 20.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run, in real seconds from its beginning.

    Attributes:
        clinical: the seconds of the day that pass in it; ``first`` is the moment when it begins, seconds since midnight.
        busy: share of the day's exams that fall into it, when it stands for one hour; 0 when the day's own hours count.
        rates: by how much the rate is multiplied at its beginning and its end.
    """

    name: str
    begin: float
    end: float
    clinical: float
    first: float
    busy: float
    rates: tuple[float, float]

    @property
    def compress(self) -> float:
        """Clinical seconds that pass in one real second."""
        return self.clinical / (self.end - self.begin)

    def rate(self, day: Day, at: float) -> float:
        """Return exams a real second at ``at`` real seconds into the run."""
        done = (at - self.begin) / (self.end - self.begin)
        times = self.rates[0] + (self.rates[1] - self.rates[0]) * done
        if self.busy:
            return self.busy * day.exams / (self.end - self.begin) * times
        return day.intensity(self.first + done * self.clinical) * self.compress * times

    def most(self, day: Day) -> float:
        """Return a bound that :meth:`rate` never exceeds in this phase."""
        times = max(self.rates)
        if self.busy:
            return self.busy * day.exams / (self.end - self.begin) * times
        hours = range(int(self.first // SECONDS), int((self.first + self.clinical - 1) // SECONDS) + 1)
        return max(day.intensity(hour * SECONDS) for hour in hours) * self.compress * times


@dataclass(frozen=True)
class Plan:
    """Everything that says what a run drives; the same plan and seed give the same arrivals.

    Attributes:
        planned: arrivals of each kind; ``expects`` the transactions that must be seen, or nobody can tell anything.
        times: by how much all rates are multiplied; ``images`` the share of a study's images that are sent.
        began: when second 0 is, seconds since the epoch; 0 while nobody has begun.
        hurry: clinical seconds of an exam that pass in one real second: as the day is compressed, or more, so that the longest
            exam takes half of the run at most.
        drain: seconds after the last arrival that what began has to end.
        hospital: ``hospital.json`` or the plan of systems that run apart, from which addresses are read.
        notes: what is left out here, and why.
    """

    case: str
    title: str
    lab: str
    seed: int
    seconds: float
    day: Day
    phases: tuple[Phase, ...]
    times: float = 1.0
    images: float = 1.0
    background: float = 1.0
    associations: int = 1
    exceptions: bool = True
    only: tuple[str, ...] = ()
    bursts: tuple[dict[str, Any], ...] = ()
    outage: dict[str, Any] = field(default_factory=dict)
    sample: float = 0.05
    workers: int = 1
    ordinary: bool = False
    hospital: str = ""
    claims: tuple[str, ...] | None = None
    gates: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hurry: float = 1.0
    drain: float = 30.0
    began: float = 0.0
    planned: dict[str, int] = field(default_factory=dict)
    expects: tuple[str, ...] = ()

    @property
    def compress(self) -> float:
        """Clinical seconds that pass in one real second, in the mean."""
        return sum(one.clinical for one in self.phases) / self.seconds

    def phase(self, at: float) -> Phase:
        """Return the phase at ``at`` seconds; the last one while the run drains."""
        return next((one for one in self.phases if at < one.end), self.phases[-1])

    def claim(self, name: str) -> bool:
        """Tell whether the systems under test claim something; simulated ones claim everything."""
        return self.claims is None or name in self.claims

    def write(self, folder: Path) -> None:
        """Write ``plan.json``, whole or not at all."""
        told = asdict(replace(self, day=None)) | {"day": self.day.model_dump(mode="json", by_alias=True)}  # type: ignore[arg-type]  # asdict would not copy a model
        told["compress"] = self.compress
        part = folder / f"{FILE}.part"
        part.write_text(json.dumps(told, indent=1), encoding="utf-8")
        part.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Read the plan of a run."""
        try:
            told: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
            told.pop("compress")
            told["day"] = Day.model_validate(told["day"])
            told["phases"] = tuple(Phase(**one | {"rates": tuple(one["rates"])}) for one in told["phases"])
            for key in ("only", "bursts", "notes", "expects", "claims"):
                told[key] = None if told[key] is None else tuple(told[key])
            return cls(**told)
        except (OSError, ValueError, KeyError, TypeError) as trouble:
            raise BadInput(str(folder / FILE), "the plan of a load run", repr(trouble)) from None


def _longest(day: Day) -> float:
    """Return the clinical seconds of the longest exam, from its order to its signature."""
    waits = day.waits.order_to_scan.value + day.waits.scan_to_read.value + day.waits.read_to_sign.value
    return _LONGER * (waits + max(one.seconds.value for one in day.modalities.values()))


def resolve(
    case: LoadCase,
    day: Day,
    *,
    seed: int,
    seconds: float = 0,
    times: float = 1.0,
    images: float = 0,
    **more: Any,
) -> Plan:
    """Make the plan of a case: ``seconds`` and ``images`` replace the case's own when given, ``times`` multiplies its rates."""
    length = seconds or case.seconds
    phases, begin = [], 0.0
    for one in case.phases:
        end = begin + one.share * length
        first, last = (one.begin or 0, one.end or SECONDS) if one.busy is None else (0, SECONDS)
        phases.append(Phase(one.phase, begin, end, last - first, first, one.busy or 0.0, one.rates))
        begin = end
    hurry = max(min(one.compress for one in phases), _longest(day) / (length / 2))
    settings: dict[str, Any] = {
        "sample": case.sample,
        "outage": case.outage.model_dump(by_alias=True) if case.outage else {},
        "bursts": tuple(_shorter(one.model_dump(), min(1.0, length / case.seconds)) for one in case.bursts),
        "only": tuple(case.only),
        "gates": case.gates,
        "hurry": hurry,
        "drain": _longest(day) / hurry + _LAG,
    }
    plan = Plan(
        case.load,
        case.title,
        seed=seed,
        seconds=length,
        day=day,
        phases=tuple(phases),
        images=images or case.images,
        background=case.background,
        associations=case.associations,
        exceptions=case.exceptions,
        **{"lab": ""} | settings | more,
    )
    return at_times(plan, times)


def _shorter(burst: dict[str, Any], share: float) -> dict[str, Any]:
    """Return a burst for a run that is shorter than its case: as dense, and as much shorter."""
    return burst | {"over": burst["over"] * share, "count": max(1, round(burst["count"] * share))}


def at_times(plan: Plan, times: float) -> Plan:
    """Return the plan with all its rates multiplied once more."""
    phases = tuple(replace(one, rates=(one.rates[0] * times, one.rates[1] * times)) for one in plan.phases)
    return replace(plan, times=plan.times * times, phases=phases)
