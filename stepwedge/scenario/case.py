"""What is known of a running case: the exchanges that belong to it, recorded before anything judges them.

The journal of a hospital holds the traffic of many cases. An exchange belongs to a case when it was made for it, or
when it speaks of an identifier the case knows; then the case knows its other identifiers too. Answers to queries
speak of many patients, so a query never adds identifiers.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from stepwedge.actors.words import words
from stepwedge.evidence.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.actors.cast import Admin
    from stepwedge.actors.journals import Journals
    from stepwedge.scenario.record import Recorder

_IDENTIFY: Final = {
    # kind of key: under which kind a case knows it. Control IDs identify nothing beyond one sender.
    "patient": "patient",
    "prior": "patient",
    "accession": "accession",
    "placer": "placer",
    "filler": "filler",
    "study": "study",
    "series": "series",
    "sop": "sop",
    "mpps": "mpps",
    "transaction": "transaction",
}
_QUERIES: Final = frozenset({"RAD-5", "RAD-14"})
_MOST: Final = 1000

Key = tuple[str, str]


@dataclass(slots=True)
class Stopwatch:
    """Counts the seconds spent waiting for others, so that what remains is our own."""

    waited: float = 0.0
    _depth: int = 0

    @staticmethod
    def tick() -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Count what happens inside as waiting; nested uses count once."""
        start = time.monotonic()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.waited += time.monotonic() - start


@dataclass(slots=True)
class Feed:
    """Reads the journal of the simulated hospital onwards."""

    host: Admin | Journals | None
    after: int = 0

    def take(self, wait: float = 0.0) -> list[Exchange]:
        """Return what is new, waiting up to ``wait`` seconds for the first of it."""
        taken: list[Exchange] = []
        while self.host is not None:
            batch = self.host.journal(self.after, wait if not taken else 0.0)
            taken += [Exchange.from_json(one) for one in batch]
            if batch:
                self.after = int(batch[-1]["number"])
            if len(batch) < _MOST:
                break
        return taken


@dataclass(slots=True)
class CaseView:
    """The evidence of one case, as it grows.

    Attributes:
        keys: the identifiers the case knows, by kind.
        exchanges: what belongs to the case, numbered from 1 in the order it came to be known.
        files: for each number the file that shows it.
        strangers: what happened meanwhile and does not belong.
    """

    id: str
    seed: int
    feed: Feed
    recorder: Recorder
    watch: Stopwatch = field(default_factory=Stopwatch)
    keys: dict[str, list[str]] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    files: dict[int, str] = field(default_factory=dict)
    strangers: list[Exchange] = field(default_factory=list)
    _known: set[Key] = field(default_factory=set)

    @property
    def acts(self) -> list[Exchange]:
        """What the scenario told actors to do."""
        return [exchange for exchange in self.exchanges if exchange.protocol == "act"]

    def pull(self, wait: float = 0.0) -> int:
        """Take what is new from the hospital's journal and record what belongs; return how much does."""
        with self.watch.outside():
            new = self.feed.take(wait)
        if not new:
            return 0
        mine = self._mine([*self.strangers, *new])
        for exchange in mine:
            self._keep(exchange)
        return len(mine)

    def observe(self, exchange: Exchange) -> int:
        """Record an exchange that a check made itself; return its number."""
        return self._keep(replace(exchange, case=self.id))

    def _keep(self, exchange: Exchange) -> int:
        kept = replace(exchange, number=len(self.exchanges) + 1)
        self.exchanges.append(kept)
        self.files[kept.number] = self.recorder.exchange(self.id, kept)
        return kept.number

    def _mine(self, candidates: list[Exchange]) -> list[Exchange]:
        """Pick what belongs, until no identifier is new any more; keep the rest for later."""
        belonging: set[int] = set()
        grown = True
        while grown:
            grown = False
            for exchange in candidates:
                if exchange.number not in belonging and self._belongs(exchange):
                    belonging.add(exchange.number)
                    grown |= self._learn(exchange)
        self.strangers = [exchange for exchange in candidates if exchange.number not in belonging]
        return [exchange for exchange in candidates if exchange.number in belonging]

    def _belongs(self, exchange: Exchange) -> bool:
        if exchange.case:
            return exchange.case == self.id
        return not self._known.isdisjoint(identities(exchange))

    def _learn(self, exchange: Exchange) -> bool:
        """Take over the identifiers of a belonging exchange; tell whether one was new."""
        new = set() if is_query(exchange) else identities(exchange) - self._known
        self._known |= new
        for kind, value in sorted(new):
            self.keys.setdefault(kind, []).append(value)
        return bool(new)


def identities(exchange: Exchange) -> set[Key]:
    """Return the identifiers an exchange speaks of that can tell one case from another."""
    return {
        (_IDENTIFY[kind], value)
        for kind, values in exchange.keys.items()
        if kind in _IDENTIFY
        for value in values
        if value
    }


def is_query(exchange: Exchange) -> bool:
    """Tell whether an exchange only asks: its answers may speak of anybody."""
    if exchange.protocol == "act":
        return exchange.kind.rpartition(".")[2] in _asking()
    return exchange.kind == "C-FIND" or exchange.kind.startswith("GET ")


@cache
def _asking() -> frozenset[str]:
    return frozenset(word.name for word in words() if word.ihe in _QUERIES)
