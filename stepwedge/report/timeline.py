"""Draw what happened in one case: actors as lanes, messages as arrows, time downwards. Pure layout, no markup.

The same message is often seen twice, by its sender and by its receiver; it becomes one arrow. Images that follow each
other between the same two systems become one arrow with a count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.report.run_model import Record

_ORDER: Final = ("ehr", "ris", "modality", "pacs", "reader", "probe")
_SAME_MESSAGE: Final = 2.0
"""Seconds within which two observers may have written the same message down."""

LEFT: Final = 74
LANE: Final = 128
HEAD: Final = 54
ROW: Final = 34
TEXT: Final = 520
"""Sizes of the drawing in its own units."""


@dataclass
class Arrow:
    """One message (or a run of images) from one actor to another.

    Attributes:
        numbers: the journal numbers of everything it stands for, the first one is what a click opens.
        count: how many messages it stands for.
    """

    sender: str
    receiver: str
    exchange: Record
    numbers: list[int] = field(default_factory=list)
    count: int = 1

    @property
    def trouble(self) -> bool:
        """Whether the answer was not a plain yes."""
        outcome = str(self.exchange.get("outcome") or "")
        good = outcome in {"AA", "CA", "0000", "passed", "ok", ""} or outcome.startswith(("2", "FF", "B"))
        return not good


@dataclass(frozen=True)
class Row:
    """One arrow where it is drawn, with what is written beside it."""

    y: int
    x1: int
    x2: int
    time: str
    said: str
    answer: str
    arrow: Arrow


@dataclass(frozen=True)
class Drawing:
    """A whole timeline: lanes as (x, name), rows from top to bottom."""

    width: int
    height: int
    text_x: int
    lanes: list[tuple[int, str]]
    rows: list[Row]


def draw(
    exchanges: Sequence[Record], roles: dict[str, str], say: Callable[[Arrow], tuple[str, str]]
) -> Drawing:
    """Lay the timeline of a case out; ``say`` gives the sentence and the answer of an arrow."""
    drawn = arrows(exchanges)
    names = lanes(drawn, roles)
    x = {name: LEFT + LANE // 2 + at * LANE for at, name in enumerate(names)}
    start = min((arrow.exchange.get("at") or 0.0 for arrow in drawn), default=0.0)
    rows = []
    for at, arrow in enumerate(drawn):
        time = f"{(arrow.exchange.get('at') or 0.0) - start:.2f} s"
        said, answered = say(arrow)
        rows.append(
            Row(HEAD + at * ROW + ROW // 2, x[arrow.sender], x[arrow.receiver], time, said, answered, arrow)
        )
    text_x = LEFT + LANE * len(names) + 8
    return Drawing(
        text_x + TEXT, HEAD + ROW * len(rows) + 10, text_x, [(x[name], name) for name in names], rows
    )


def arrows(exchanges: Sequence[Record]) -> list[Arrow]:
    """Return the messages of a case in their order, each once."""
    drawn: list[Arrow] = []
    for exchange in sorted(exchanges, key=lambda one: (one.get("at") or 0.0, one["number"])):
        if exchange["protocol"] == "act":
            continue
        sender, receiver = ends(exchange)
        twin = next((a for a in reversed(drawn) if _same(a, exchange, sender, receiver)), None)
        if twin is not None:
            twin.numbers.append(int(exchange["number"]))
            continue
        last = drawn[-1] if drawn else None
        if last is not None and _goes_on(last, exchange, sender, receiver):
            last.count += 1
            last.numbers.append(int(exchange["number"]))
            continue
        drawn.append(Arrow(sender, receiver, exchange, [int(exchange["number"])]))
    return drawn


def lanes(drawn: Sequence[Arrow], roles: dict[str, str]) -> list[str]:
    """Return the actors that take part, in the order a patient meets them."""
    found = {name for arrow in drawn for name in (arrow.sender, arrow.receiver)}

    def place(name: str) -> tuple[int, str]:
        role = roles.get(name, name)
        return (_ORDER.index(role) if role in _ORDER else len(_ORDER), name)

    return sorted(found, key=place)


def ends(exchange: Record) -> tuple[str, str]:
    """Return sender and receiver of an exchange."""
    actor, peer = str(exchange["actor"]), str(exchange.get("peer") or "?")
    return (peer, actor) if exchange["direction"] == "in" else (actor, peer)


def _identity(exchange: Record) -> tuple[Any, ...]:
    keys = exchange.get("keys") or {}
    for name in ("control", "sop", "mpps", "transaction"):
        if keys.get(name):
            return (name, *keys[name])
    return tuple(sorted((name, *values) for name, values in keys.items()))


def _same(arrow: Arrow, exchange: Record, sender: str, receiver: str) -> bool:
    """Tell whether the other end wrote down the message of ``arrow``."""
    other = arrow.exchange
    return (
        (arrow.sender, arrow.receiver) == (sender, receiver)
        and other["actor"] != exchange["actor"]
        and other["kind"].partition(" ")[0] == exchange["kind"].partition(" ")[0]
        and abs((other.get("at") or 0.0) - (exchange.get("at") or 0.0)) < _SAME_MESSAGE
        and (_identity(other) == _identity(exchange) or arrow.count > 1)
        and exchange["number"] not in arrow.numbers
    )


def _goes_on(arrow: Arrow, exchange: Record, sender: str, receiver: str) -> bool:
    """Tell whether ``exchange`` is one more image, or the same question asked again, as ``arrow`` stands for."""
    return (
        (exchange["kind"] == "C-STORE" or sender == "probe")
        and exchange["kind"] == arrow.exchange["kind"]
        and (arrow.sender, arrow.receiver) == (sender, receiver)
        and arrow.exchange["actor"] == exchange["actor"]
        and arrow.exchange.get("outcome") == exchange.get("outcome")
    )
