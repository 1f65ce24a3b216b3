"""What a load run is held to: the limits of ``fixtures/load/gates.yaml``, over them those of its case, over them the lab file's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stepwedge import kit
from stepwedge.actors.words import did_you_mean
from stepwedge.scenario import source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULTS: Final = "fixtures/load/gates.yaml"


class Part(BaseModel):
    """A part of the limits: nothing in it that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(Part):
    """A number that must not be exceeded, and where it comes from."""

    value: float = Field(ge=0)
    source: str = ""
    assumed: str = ""

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if bool(self.source) == bool(self.assumed):
            raise ValueError("either a source, or why it is assumed")
        return self

    @property
    def why(self) -> str:
        """Where it comes from, for reading."""
        return self.source or f"assumed: {self.assumed}"

    def times(self, factor: float) -> Limit:
        """Return the limit multiplied, as it holds under an overload."""
        return self.model_copy(
            update={"value": self.value * factor, "source": f"{factor:g} x ({self.why})", "assumed": ""}
        )


def _plain(value: Any) -> Any:
    return value if isinstance(value, dict | Limit) else {"value": value, "source": "as asked"}


Given = Annotated[Limit, BeforeValidator(_plain)]


class Transaction(Part):
    """The limits of one transaction, times in seconds and budgets as shares of its requests."""

    p50: Given | None = None
    p95: Given | None = None
    p99: Given | None = None
    errors: Given | None = None
    refused: Given | None = None


class Queue(Part):
    """How many messages may still wait, and within how many seconds after the generator is done there may be no more."""

    waiting: Given
    within: Given


class Steady(Part):
    """By what share of what they had after the first tenth the systems under test may have grown at the end, in a soak."""

    rss: Given | None = None
    files: Given | None = None
    threads: Given | None = None


class Generator(Part):
    """What the load generator must not exceed; see the file for each."""

    cpu: Given
    lag: Given
    hang: Given
    late: Given
    begun: Given
    backlog: Given
    seconds: Given
    others: Given


class Phase(Part):
    """A phase in which times may be ``factor`` times as long, and this share of the requests of each kind may go wrong.

    Budgets stay what they are where it does not say.
    """

    factor: float = Field(1.0, ge=1)
    errors: Given | None = None


class Limits(Part):
    """Everything a run is held to.

    Attributes:
        asked: transactions whose limits the case or the lab file set: not to have made one is then no excuse.
    """

    transactions: dict[str, Transaction]
    queue: Queue
    generator: Generator
    steady: Steady = Steady()
    phases: dict[str, Phase] = Field(default_factory=dict)
    asked: frozenset[str] = frozenset()


def defaults() -> dict[str, Any]:
    """Return the limits of the kit, as they are written."""
    return dict(source.read(kit.find(DEFAULTS)).value)


def load(case: Mapping[str, Any] | None = None, lab: Path | None = None) -> Limits:
    """Return the limits of a run: the kit's, those of its ``case``, and what the lab file says below ``load: gates:``.

    Raises ``BadInput`` with the line of the lab file for what is not known there.
    """
    merged = defaults()
    known = set(merged["transactions"])
    asked: set[str] = set()
    for name, said, place in _layers(case, lab):
        for transaction in said.get("transactions", {}) if isinstance(said, dict) else ():
            if transaction not in known:
                near = did_you_mean(transaction, known).strip(" ;")
                raise place.problem(
                    _at(place, "transactions", transaction),
                    "a transaction that is measured",
                    transaction,
                    near,
                )
        merged = _over(merged, said, name)
        asked |= set(said.get("transactions", {}))
        try:
            Limits.model_validate(merged)
        except ValidationError as trouble:
            error = trouble.errors(include_url=False)[0]
            where = tuple(part for part in error["loc"] if part != "[key]")
            raise place.problem(
                _at(place, *where), "limits of a load run", error["input"], error["msg"]
            ) from None
    return Limits.model_validate(merged | {"asked": frozenset(asked)})


def _layers(
    case: Mapping[str, Any] | None, lab: Path | None
) -> list[tuple[str, dict[str, Any], source.Source]]:
    """Return who asks for what, and where it stands."""
    found = []
    if case:
        found.append(("the case", dict(case), source.Source("the case's gates", dict(case))))
    if lab is not None:
        written = source.read(lab)
        inside = written.value.get("load") if isinstance(written.value, dict) else None
        if isinstance(inside, dict) and isinstance(inside.get("gates"), dict):
            found.append((f"the lab file {lab.name}", inside["gates"], written))
    return found


def _at(place: source.Source, *where: str | int) -> source.Location:
    return ("load", "gates", *where) if "load" in (place.value or {}) else where


def _over(below: Any, above: Any, name: str, key: str = "") -> Any:
    """Lay one mapping over another; a plain number says that ``name`` asked for it."""
    if isinstance(above, dict) and "value" not in above:
        lower = below if isinstance(below, dict) else {}
        return lower | {each: _over(lower.get(each), value, name, each) for each, value in above.items()}
    if isinstance(above, int | float) and not isinstance(above, bool) and key != "factor":
        return {"value": above, "source": f"as {name} asks"}
    return above
