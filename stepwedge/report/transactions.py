"""Every transaction: who sends it, who receives it, what judges it, and which software we did not write has verified it.

``fixtures/transactions.yaml`` says who takes part and which test of ``tests/peers`` is the proof; words and checks say for
themselves which transaction they perform and judge. A side without a proof is shown as such: it has only ever
been tried against ourselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.markup import escape
from rich.table import Table

from stepwedge import kit
from stepwedge.actors.words import words
from stepwedge.checks.check import checks
from stepwedge.errors import BadInput
from stepwedge.scenario.transactions import TRANSACTIONS, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

__all__ = ["Proof", "Row", "Transaction", "as_json", "read", "rows", "say"]

FILE: Final = "fixtures/transactions.yaml"
ALONE: Final = "no peer"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Proof(_Strict):
    """Software we did not write, and the test in which it was at the other end."""

    by: str
    test: str = Field(pattern=r"^tests/peers/test_\w+\.py::test_\w+$")


class Transaction(_Strict):
    """Who takes part in a transaction, and who has seen each of them speak it.

    Attributes:
        message: what goes over the wire.
        peers: for each actor the proofs of its side.
        alone: for an actor without a proof, why there is none.
    """

    message: str
    sends: tuple[str, ...] = Field(min_length=1)
    receives: tuple[str, ...] = Field(min_length=1)
    peers: dict[str, tuple[Proof, ...]] = {}
    alone: dict[str, str] = {}


class Row(_Strict):
    """One transaction with what words and checks say of it."""

    number: str
    name: str
    said: Transaction
    words: tuple[str, ...]
    checks: tuple[str, ...]

    @property
    def unverified(self) -> tuple[str, ...]:
        """The actors whose side only ever met our own software."""
        actors = dict.fromkeys((*self.said.sends, *self.said.receives))
        return tuple(actor for actor in actors if not self.said.peers.get(actor))


def read(path: Path | None = None) -> dict[str, Transaction]:
    """Read who takes part; a file that cannot be read that way raises ``BadInput``."""
    path = path or kit.find(FILE)
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {number: Transaction.model_validate(one) for number, one in written.items()}
    except ValidationError as trouble:
        first = trouble.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(str(path), first["msg"], f"{where}: {first['input']!r}"[:200]) from trouble
    except (AttributeError, yaml.YAMLError) as trouble:
        raise BadInput(str(path), "a mapping from transaction to who takes part", str(trouble)) from trouble


def rows() -> list[Row]:
    """Return every transaction that the product names, in the order of the standard's numbers."""
    said = read()
    if missing := TRANSACTIONS.keys() ^ said.keys():
        raise BadInput(FILE, "the transactions of the product, each once", ", ".join(sorted(missing)))
    return [
        Row(
            number=number,
            name=name,
            said=said[number],
            words=tuple(word.full for word in words() if number in numbers(word.ihe)),
            checks=tuple(check.name for check in checks() if number in numbers(check.ihe)),
        )
        for number, name in TRANSACTIONS.items()
    ]


def say(console: Console) -> None:
    """Print the transactions, and how many sides only ever met ourselves."""
    table = Table(title="Transactions", title_justify="left", show_lines=True)
    for column in ("transaction", "sends → receives", "judged by", "verified by"):
        table.add_column(column, overflow="fold")
    every = rows()
    for row in every:
        table.add_row(*(escape(cell) for cell in _cells(row)))
    console.print(table)
    sides = sum(len({*row.said.sends, *row.said.receives}) for row in every)
    alone = sum(len(row.unverified) for row in every)
    console.print(
        f"{len(every)} transactions, {sides} sides: {sides - alone} verified by software we did not write, {alone} not"
    )


def _cells(row: Row) -> tuple[str, str, str, str]:
    said = row.said
    parties = f"{', '.join(said.sends)} → {', '.join(said.receives)}\n{said.message}"
    judged = "\n".join(row.checks) or "standing rules only"
    proven = [
        f"{actor}: {', '.join(dict.fromkeys(proof.by for proof in proofs))}"
        for actor, proofs in said.peers.items()
    ]
    alone = [
        f"{actor}: {ALONE}{f' ({said.alone[actor]})' if actor in said.alone else ''}"
        for actor in row.unverified
    ]
    return f"{row.number}\n{row.name}", parties, judged, "\n".join([*proven, *alone])


def as_json() -> list[dict[str, object]]:
    """Return the same as JSON values."""
    return [{**row.model_dump(mode="json"), "unverified": list(row.unverified)} for row in rows()]
