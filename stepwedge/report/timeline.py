"""Draw what happened in one case: actors as lanes, messages as arrows, time downwards. Pure layout, no markup.

The same message is often seen twice, by its sender and by its receiver; it becomes one arrow. Images that follow each
other between the same two systems become one arrow with a count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stepwedge.report.run_model import Record

PROBE: Final = "probe"
_ORDER: Final = ("ehr", "ris", "modality", "pacs", "reader", PROBE)
_NEAR: Final = 40
"""Arrows to look back over for the other end of a message."""
_SAME_MESSAGE: Final = 2.0
"""Seconds within which two observers may have written the same message down."""

LEFT: Final = 74
LANE: Final = 112
HEAD: Final = 54
ROW: Final = 30
TEXT: Final = 440
"""Sizes of the drawing in its own units."""


@dataclass
class Arrow:
    """One message from one actor to another, or a run of images, or of questions that a check asked.

    Attributes:
        seen: what it stands for, the first one is what a click opens.
        twins: the same messages as the other end wrote them down.
    """

    sender: str
    receiver: str
    seen: list[Record]
    twins: list[Record] = field(default_factory=list)

    @property
    def first(self) -> Record:
        """The first message it stands for."""
        return self.seen[0]

    @property
    def trouble(self) -> bool:
        """Whether the answer was not a plain yes."""
        return trouble(self.first)

    @property
    def asks(self) -> bool:
        """Whether it is only a check that asks, and nothing of the patient's story."""
        return self.sender == PROBE


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
    drawn: Sequence[Arrow], roles: Mapping[str, str], say: Callable[[Arrow], tuple[str, str]]
) -> Drawing:
    """Lay the timeline of a case out; ``say`` gives the sentence and the answer of an arrow."""
    names = lanes(drawn, roles)
    x = {name: LEFT + LANE // 2 + at * LANE for at, name in enumerate(names)}
    start = min((arrow.first.get("at") or 0.0 for arrow in drawn), default=0.0)
    rows = []
    for at, arrow in enumerate(drawn):
        time = f"{(arrow.first.get('at') or 0.0) - start:.2f} s"
        said, answered = say(arrow)
        rows.append(
            Row(HEAD + at * ROW + ROW // 2, x[arrow.sender], x[arrow.receiver], time, said, answered, arrow)
        )
    text_x = LEFT + LANE * len(names) + 8
    return Drawing(
        text_x + TEXT, HEAD + ROW * len(rows) + 10, text_x, [(x[name], name) for name in names], rows
    )


def arrows(exchanges: Sequence[Record], names: Mapping[str, str] | None = None) -> list[Arrow]:
    """Return the messages of a case in their order, each once; ``names`` are further names of actors."""
    drawn: list[Arrow] = []
    for exchange in sorted(exchanges, key=lambda one: (one.get("at") or 0.0, one["number"])):
        if exchange["protocol"] == "act":
            continue
        sender, receiver = ends(exchange, names)
        twin = next((a for a in reversed(drawn[-_NEAR:]) if _same(a, exchange, sender, receiver)), None)
        if twin is not None:
            twin.twins.append(exchange)
            continue
        last = drawn[-1] if drawn else None
        if last is not None and _goes_on(last, exchange, sender, receiver):
            last.seen.append(exchange)
            continue
        drawn.append(Arrow(sender, receiver, [exchange]))
    return drawn


def lanes(drawn: Sequence[Arrow], roles: Mapping[str, str]) -> list[str]:
    """Return the actors that take part, in the order a patient meets them."""
    found = {name for arrow in drawn for name in (arrow.sender, arrow.receiver)}

    def place(name: str) -> tuple[int, str]:
        role = roles.get(name, name)
        return (_ORDER.index(role) if role in _ORDER else len(_ORDER), name)

    return sorted(found, key=place)


def ends(exchange: Record, names: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Return sender and receiver of an exchange; an act is told by the scenario."""
    actor, peer = str(exchange["actor"]), str(exchange.get("peer") or "?")
    if exchange["protocol"] == "act":
        return ("scenario", actor)
    if peer.lower().startswith("python-httpx"):  # a check that asks over the web has no other name
        peer = PROBE
    peer = (names or {}).get(peer, peer)
    return (peer, actor) if exchange["direction"] == "in" else (actor, peer)


def _identity(exchange: Record) -> tuple[Any, ...]:
    keys = exchange.get("keys") or {}
    for name in ("control", "sop", "mpps", "transaction"):
        if keys.get(name):
            return (name, *sorted(keys[name]))
    return ()


def _same(arrow: Arrow, exchange: Record, sender: str, receiver: str) -> bool:
    """Tell whether the other end wrote down one of the messages of ``arrow``."""
    return (
        (arrow.sender, arrow.receiver) == (sender, receiver)
        and len(arrow.twins) < len(arrow.seen)
        and any(
            one["actor"] != exchange["actor"]
            and one["kind"].partition(" ")[0] == exchange["kind"].partition(" ")[0]
            and abs((one.get("at") or 0.0) - (exchange.get("at") or 0.0)) < _SAME_MESSAGE
            and _identity(one) == _identity(exchange)
            for one in arrow.seen
        )
    )


def _goes_on(arrow: Arrow, exchange: Record, sender: str, receiver: str) -> bool:
    """Tell whether ``exchange`` is one more image, or one more question of a check, as ``arrow`` stands for."""
    return (
        (arrow.sender, arrow.receiver) == (sender, receiver)
        and arrow.first["actor"] == exchange["actor"]
        and (sender == PROBE or exchange["kind"] == "C-STORE" == arrow.first["kind"])
        and trouble(arrow.first) == trouble(exchange)
    )


def trouble(exchange: Record) -> bool:
    """Tell whether the answer was not a plain yes."""
    outcome = str(exchange.get("outcome") or "")
    return not (outcome in {"AA", "CA", "0000", "passed", "ok", ""} or outcome.startswith(("2", "FF", "B")))
