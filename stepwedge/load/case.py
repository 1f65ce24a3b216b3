"""Load cases: which day of which hospital is driven, in which shape, with what disturbances, against which gates.

A case file (``load/cases/*.yaml``) is to load what a scenario is to a single exam. Its rates come from a day file, compressed so
that hours pass in minutes; what is compressed and thinned is said in the report.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stepwedge.load import day as days
from stepwedge.load.day import SECONDS, Part

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "load/cases"
_CLOCK: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")


def _moment(text: object) -> int:
    """Return seconds since midnight of ``07:30``."""
    found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    seconds = int(found[1]) * SECONDS + int(found[2]) * 60 if found else -1
    if not 0 <= seconds <= 24 * SECONDS:
        raise ValueError("a time of day such as 07:00, 24:00 at most")
    return seconds


Clock = Annotated[
    int, BeforeValidator(_moment), WithJsonSchema({"type": "string", "pattern": _CLOCK.pattern})
]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=1000)]


class PhaseText(Part):
    """A part of a run.

    Either hours of the day pass in it, at their own rates, or it is one hour into which ``busy`` of the day's exams fall.

    Attributes:
        share: of the run's seconds.
        rates: by how much the rate is multiplied, at its beginning and at its end.
    """

    phase: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    share: float = Field(1.0, gt=0, le=1)
    begin: Clock | None = Field(None, alias="from")
    end: Clock | None = Field(None, alias="to")
    busy: Annotated[float, Field(gt=0, le=1)] | None = None
    rates: tuple[Rate, Rate] = (1.0, 1.0)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        hours = self.begin is not None and self.end is not None
        if hours == (self.busy is not None) or (self.begin is None) != (self.end is None):
            raise ValueError("either from and to, or busy")
        if self.begin is not None and self.end is not None and self.end <= self.begin:
            raise ValueError("an end after the beginning")
        return self


class Burst(Part):
    """Something that happens within a short time, beside the exams of the day.

    Attributes:
        of: ``polls`` (every scanner asks for its worklist at once, again and again), ``casualties`` (exams of unidentified
            patients, STAT), ``reports`` (signatures of exams done before), ``merges`` (of patients already examined),
            ``adt`` (messages), ``uploads`` (studies sent over DICOMweb while others search).
        at: share of the run after which it begins; ``over`` seconds it takes.
    """

    of: Literal["polls", "casualties", "reports", "merges", "adt", "uploads"]
    at: Fraction = 0.3
    over: float = Field(gt=0, le=3600)
    count: int = Field(gt=0, le=100_000)


class Outage(Part):
    """A system that is ended and comes back; shares of the run."""

    on: str
    begin: Fraction = Field(alias="from")
    end: Fraction = Field(alias="to")

    @model_validator(mode="after")
    def _comes_back(self) -> Self:
        if self.end <= self.begin:
            raise ValueError("an end after the beginning")
        return self


class LoadCase(Part):
    """One load case.

    Attributes:
        images: share of a study's images that are sent, at least one; what two cores can carry.
        background: by how much polling and foreign messages are multiplied; they run at their real pace, not compressed.
        associations: how many a scanner opens for one study.
        only: kinds of arrivals; empty for all.
    """

    load: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,47}$")
    title: str
    story: str
    catalogue: tuple[str, ...] = ()
    day: str
    seconds: float = Field(ge=2, le=7 * 24 * SECONDS)
    phases: list[PhaseText] = Field(min_length=1)
    images: Annotated[float, Field(gt=0, le=1)] = 1.0
    background: float = Field(1.0, ge=0, le=1000)
    associations: int = Field(1, ge=1, le=64)
    exceptions: bool = True
    only: tuple[Literal["exam", "adt", "poll"], ...] = ()
    bursts: tuple[Burst, ...] = ()
    outage: Outage | None = None
    sample: Fraction = 0.05
    requires: tuple[str, ...] = ()
    lab: str = Field(
        "", description="lab file this case needs when none is named: systems with processes of their own"
    )
    gates: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = sum(one.share for one in self.phases)
        if abs(total - 1) > 0.001:  # noqa: PLR2004 - a thousandth is rounding
            raise ValueError(f"shares of phases that add up to 1, not to {total:g}")
        return self


def load(name: str) -> LoadCase:
    """Read a case by its name (``LOD-02``, ``monday``) or its file; raises BadInput with file and line."""
    return days.read_as(LoadCase, find(name))


def find(name: str) -> Path:
    """Return the file of a case."""
    return days.find(name, FOLDER, "load case")
