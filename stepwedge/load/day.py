"""Hospitals as load: how many exams a year, of what, at which hour, with how many images, and what goes wrong how often.

A day file (``load/days/*.yaml``) holds these numbers, and for each of them where it comes from, or why it was assumed. A report
that says *holds a Monday of hospital M* can be read down to its sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stepwedge import kit
from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput
from stepwedge.scenario import source

FOLDER: Final = "load/days"
HOURS: Final = 24
M = TypeVar("M", bound=BaseModel)
SECONDS: Final = 3600
EXCEPTIONS: Final = (
    "cancel",
    "reschedule",
    "no_show",
    "manual_entry",
    "unidentified",
    "merge",
    "update",
    "wrong_entry",
    "addendum",
    "corrected",
    "duplicate",
)
"""What happens to an exam beside the usual; each is a share of all exams, at most one to an exam."""


class Part(BaseModel):
    """A part of a file: nothing in it that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Number(Part):
    """A number and where it comes from."""

    value: float
    source: str = Field("", description="where it was published, with what was computed from it")
    assumed: str = Field("", description="why this value was assumed; tune it to the site")

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if bool(self.source) == bool(self.assumed):
            raise ValueError("either a source, or why it is assumed")
        return self


class Shares(Part):
    """Numbers that belong together, with one source."""

    value: list[float] = Field(min_length=HOURS, max_length=HOURS)
    source: str = ""
    assumed: str = ""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if bool(self.source) == bool(self.assumed):
            raise ValueError("either a source, or why it is assumed")
        if min(self.value) < 0 or abs(sum(self.value) - 1) > 0.005:  # noqa: PLR2004 - half a percent is rounding
            raise ValueError(f"24 shares from 00:00 that add up to 1, not to {sum(self.value):g}")
        return self


class Machine(Part):
    """One kind of modality.

    Attributes:
        procedure: code in the procedure catalogue, ordered for its exams.
        seconds: how long an exam of it takes, clinical seconds.
    """

    share: Number
    images: Number
    megabytes: Number = Field(description="of one image, uncompressed")
    seconds: Number
    machines: Number
    procedure: str


class Background(Part):
    """What goes on beside the exams."""

    adt_a_second: Number = Field(
        description="messages a second in the mean of the day, beside the patients who are examined"
    )
    poll_seconds: Number = Field(description="how often each modality asks for its worklist")


class Reading(Part):
    """Who looks at images."""

    stations: Number
    seconds: Number = Field(description="from one study to the next, each station")
    priors: Number = Field(description="earlier studies opened with one")
    clinicians_a_study: Number = Field(description="looks at a study outside the department, over DICOMweb")


class Waits(Part):
    """Clinical seconds between the stations of an exam, means."""

    order_to_scan: Number
    scan_to_read: Number
    read_to_sign: Number


Share = Annotated[Number, Field(description="share of all exams")]


class Day(Part):
    """The days of one hospital.

    Attributes:
        weekdays: by how much a year's exams are divided to get a working day's.
        emergency: share of exams from the emergency department; ``stat`` and ``stat_emergency`` are shares of urgent orders.
    """

    day: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    title: str
    exams_a_year: Number
    weekdays: Number
    monday: Number
    hours: Shares
    modalities: dict[str, Machine] = Field(min_length=1)
    emergency: Share
    stat: Share
    stat_emergency: Share
    exceptions: dict[str, Share]
    background: Background
    reading: Reading
    waits: Waits

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = sum(one.share.value for one in self.modalities.values())
        if abs(total - 1) > 0.005:  # noqa: PLR2004 - half a percent is rounding
            raise ValueError(f"shares of modalities that add up to 1, not to {total:g}")
        for name in self.exceptions:
            if name not in EXCEPTIONS:
                raise ValueError(f"exceptions among {', '.join(EXCEPTIONS)}, not {name}")
        return self

    @property
    def exams(self) -> float:
        """Exams of an ordinary working day."""
        return self.exams_a_year.value / self.weekdays.value

    def exams_between(self, begin: float, end: float) -> float:
        """Return the exams ordered between two moments of a working day, seconds since midnight."""
        total = 0.0
        for hour, share in enumerate(self.hours.value):
            overlap = min(end, (hour + 1) * SECONDS) - max(begin, hour * SECONDS)
            total += share * max(0.0, overlap) / SECONDS
        return total * self.exams

    def intensity(self, at: float) -> float:
        """Return exams a second at a moment of a working day, seconds since midnight."""
        hour = int(at // SECONDS) % HOURS
        return self.hours.value[hour] * self.exams / SECONDS

    def numbers(self) -> list[tuple[str, float, str, bool]]:
        """Return every number as (place, value, where it comes from, whether it was assumed)."""
        return list(_numbers(self, ""))


def _numbers(part: object, place: str) -> Any:
    if isinstance(part, Number):
        yield place, part.value, part.source or part.assumed, bool(part.assumed)
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _numbers(getattr(part, name), f"{place}.{name}".lstrip("."))
    elif isinstance(part, dict):
        for name, inner in part.items():
            yield from _numbers(inner, f"{place}.{name}".lstrip("."))


def load(name: str) -> Day:
    """Read a day by its name (``m``) or its file; raises BadInput with file and line."""
    return read_as(Day, find(name, FOLDER, "day"))


def find(name: str, folder: str, what: str) -> Path:
    """Return the file of a name below a folder of the kit, or the file itself."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    known = {path.stem.lower(): path for path in sorted(kit.find(folder).glob("*.yaml"))}
    if name.lower() in known:
        return known[name.lower()]
    near = did_you_mean(name.lower(), known).removeprefix("; ")
    raise BadInput(what, f"one of {', '.join(sorted(known))}, or a file", repr(name), near)


def read_as(model: type[M], path: Path) -> M:
    """Read a YAML file as a model; every mistake names its line."""
    text = source.read(path)
    try:
        return model.model_validate(text.value)
    except ValidationError as trouble:
        error = trouble.errors(include_url=False)[0]
        where = tuple(part for part in error["loc"] if part != "[key]")
        said = error["msg"].removeprefix("Value error, ")
        raise text.problem(where, said, error.get("input"), ".".join(map(str, where))) from None
