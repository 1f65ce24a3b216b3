"""State as tables of frozen rows, changed in memory, with an undo list: pure, no file, no clock.

A simulated system's state is one subclass of :class:`State` that makes its tables in ``__init__``. Functions that take the
state and a message and return a reply can be tested without anything else. A change is a new row (``dataclasses.replace``)
put under its key; every change is logged, so that the shell can either take the changed keys to the store or roll back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from stepwedge.errors import Broken
from stepwedge.model.identifiers import Mint, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
_ABSENT: Any = object()
_FEW = 64
"""New values that are put into a sorted list one by one; with more of them it is sorted anew."""

_ACTS: Final = 64
"""Cases of which :class:`State` remembers where the latest act began to count."""


class Table(Generic[T]):
    """Rows of one kind by key, in the order they were first put; with indexes."""

    def __init__(
        self, name: str, kind: type[T], log: list[tuple[Table[Any], str, Any]] | None = None
    ) -> None:
        self.name = name
        self.kind = kind
        self._rows: dict[str, T] = {}
        self._indexes: dict[str, _Index[T]] = {}
        self._log: list[tuple[Table[Any], str, Any]] = [] if log is None else log

    def index(self, name: str, of: Callable[[T], Iterable[str]], *, ordered: bool = False) -> None:
        """Keep an index: ``of(row)`` gives the values under which the row is found by :meth:`by`.

        An ordered one also finds values :meth:`between` two.
        """
        self._indexes[name] = index = _Ordered(of) if ordered else _Index(of)
        for key, row in self._rows.items():
            index.add(key, row)

    def by(self, index: str, value: str) -> list[T]:
        """Return the rows under one value of an index, in the order they came there."""
        return [self._rows[key] for key in self._indexes[index].keys.get(value, ())]

    def count(self, index: str, value: str) -> int:
        """Return how many rows are under one value of an index."""
        return len(self._indexes[index].keys.get(value, ()))

    def between(self, index: str, low: str, high: str) -> list[str]:
        """Return the values of an ordered index from ``low`` to ``high``, both included, in order."""
        return self._indexes[index].between(low, high)

    def get(self, key: str) -> T | None:
        """Return the row, or None."""
        return self._rows.get(key)

    def values(self) -> Iterable[T]:
        """Return all rows."""
        return self._rows.values()

    def items(self) -> Iterable[tuple[str, T]]:
        """Return all keys and rows."""
        return self._rows.items()

    def put(self, key: str, row: Any) -> None:
        """Set or (``_ABSENT``) remove a row without logging it: for the store and for rollback."""
        old = self._rows.get(key, _ABSENT)
        for index in self._indexes.values():
            if old is not _ABSENT:
                index.remove(key, old)
            if row is not _ABSENT:
                index.add(key, row)
        if row is _ABSENT:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row

    def forget(self) -> None:
        """Drop every row from memory alone, unlogged: what the store kept can be loaded again."""
        for key in list(self._rows):
            self.put(key, _ABSENT)

    def __getitem__(self, key: str) -> T:
        return self._rows[key]

    def __setitem__(self, key: str, row: T) -> None:
        self._log.append((self, key, self._rows.get(key, _ABSENT)))
        self.put(key, row)

    def __delitem__(self, key: str) -> None:
        self._log.append((self, key, self._rows[key]))
        self.put(key, _ABSENT)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _Index(Generic[T]):
    """Values to keys; a dict stands for an ordered set."""

    def __init__(self, of: Callable[[T], Iterable[str]]) -> None:
        self.of = of
        self.keys: dict[str, dict[str, None]] = {}

    def add(self, key: str, row: T) -> None:
        for value in self.of(row):
            self.keys.setdefault(value, {})[key] = None

    def remove(self, key: str, row: T) -> None:
        for value in self.of(row):
            if (keys := self.keys.get(value)) is not None:
                keys.pop(key, None)
                if not keys:
                    del self.keys[value]

    def between(self, low: str, high: str) -> list[str]:
        """Return the values in a range: all must be looked at where they are in no order."""
        return sorted(value for value in self.keys if low <= value <= high)


class _Ordered(_Index[T]):
    """An index whose values are also kept sorted, from the first question on."""

    def __init__(self, of: Callable[[T], Iterable[str]]) -> None:
        super().__init__(of)
        self._sorted: list[str] = []
        self._new: dict[str, None] = {}

    def add(self, key: str, row: T) -> None:
        for value in self.of(row):
            if value not in self.keys:
                self._new[value] = None
        super().add(key, row)

    def remove(self, key: str, row: T) -> None:
        super().remove(key, row)
        for value in self.of(row):
            if value not in self.keys and self._new.pop(value, value) is not None:
                at = bisect_left(self._sorted, value)
                if self._sorted[at : at + 1] == [value]:
                    del self._sorted[at]

    def between(self, low: str, high: str) -> list[str]:
        if len(self._new) > _FEW:
            self._sorted += self._new
            self._sorted.sort()
        else:
            for value in self._new:
                insort(self._sorted, value)
        self._new.clear()
        return self._sorted[bisect_left(self._sorted, low) : bisect_right(self._sorted, high)]


class State:
    """The tables of one simulated system, and its durable counters.

    Attributes:
        seed: the hospital's seed.
        name: the actor's name in the lab file.
        before_commit: told of every change (``store.Change``) before it is durable, and may add to it.
        began: by case and actor, where the counts stood that its latest act changed.
        changing: a change is under way (``Bench.change``): what is put now becomes durable with it.
    """

    def __init__(self, seed: int, name: str) -> None:
        self.seed = seed
        self.name = name
        self.log: list[tuple[Table[Any], str, Any]] = []
        self._mark = 0
        self.tables: dict[str, Table[Any]] = {}
        self.before_commit: Callable[[Any], None] | None = None
        self.changing = False
        self.counters = self.table("counters", int)
        self.began: dict[str, dict[str, int]] = {}

    def table(self, name: str, kind: type[T]) -> Table[T]:
        """Make a table that takes part in this state's changes."""
        self.tables[name] = table = Table(name, kind, self.log)
        return table

    def next(self, counter: str) -> int:
        """Count one further; numbers start at 1 and are never given twice, over restarts too."""
        self.counters[counter] = number = (self.counters.get(counter) or 0) + 1
        return number

    def control(self) -> str:
        """Return the next message control ID (MSH-10): 16 characters, unlike those of other actors and seeds."""
        return "SW" + digits(14, self.seed, self.name, "control", self.next("control"))

    def mint(self, case: str, seed: int | None = None) -> Mint:
        """Return the maker of this actor's identifiers for one case; it goes on counting after a restart."""
        where = f"{case}@{self.name}"
        return Mint(self.seed if seed is None else seed, where, _Counts(self, where))

    def count_from_here(self, case: str) -> None:
        """Remember from here on where the identifiers of a case were counted from, for :meth:`count_again`."""
        where = f"{case}@{self.name}"
        self.began.pop(where, None)
        self.began[where] = {}
        if len(self.began) > _ACTS:
            del self.began[next(iter(self.began))]

    def count_again(self, case: str) -> None:
        """Count the identifiers of a case from where its latest act began: it is done again, under the same identity."""
        for key, count in self.began.get(f"{case}@{self.name}", {}).items():
            self.counters[key] = count

    def changed(self) -> dict[tuple[Table[Any], str], Any]:
        """Return each changed table and key with the row that was there before, None where there was none."""
        before: dict[tuple[Table[Any], str], Any] = {}
        for table, key, old in self.log:
            if (table, key) not in before:
                before[table, key] = None if old is _ABSENT else old
        return before

    def keep(self) -> None:
        """Forget how to undo: the changes are durable, or nobody will ask."""
        self.log.clear()
        self._mark = 0

    def mark(self) -> None:
        """Begin what :meth:`rollback` undoes: one message of several that become durable together."""
        self._mark = len(self.log)

    def rollback(self) -> None:
        """Undo every change since the last :meth:`mark` or :meth:`keep`."""
        for table, key, old in reversed(self.log[self._mark :]):
            table.put(key, old)
        del self.log[self._mark :]

    def undo(self) -> None:
        """Undo every change since the last :meth:`keep`, whatever was marked."""
        self._mark = 0
        self.rollback()

    def clear(self) -> None:
        """Remove every row (logged, like any change)."""
        for table in self.tables.values():
            for key in list(table):
                del table[key]

    def settled(self) -> bool:
        """Tell whether nothing changed since the last :meth:`keep`; only counters may have, outside a transaction."""
        for table, key, _ in self.log:
            if table is not self.counters:
                raise Broken(f"{self.name}: {table.name}[{key!r}] was changed outside bench.change()")
        return not self.log


class _Counts(dict[str, int]):
    """A mint's counts, kept in the counters table."""

    def __init__(self, state: State, where: str) -> None:
        super().__init__()
        self._state = state
        self._where = where

    def get(self, kind: str, default: Any = 0) -> Any:
        return self._state.counters.get(f"{self._where}/{kind}") or default

    def __getitem__(self, kind: str) -> int:
        return self._state.counters[f"{self._where}/{kind}"]

    def __setitem__(self, kind: str, count: int) -> None:
        key = f"{self._where}/{kind}"
        if (began := self._state.began.get(self._where)) is not None:
            began.setdefault(key, self._state.counters.get(key) or 0)
        self._state.counters[key] = count
