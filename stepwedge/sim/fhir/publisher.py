"""What the books say, shown as resources.

A change of the books is a version of the resources its rows are. It is written out when somebody looks: the transaction of the
change holds what was changed and when (:class:`stepwedge.sim.fhir.shelf.Due`), and the version that is made of that later
is the one that would have been made then. Where a subscriber waits, or a client's resource is in the same change, it is made at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stepwedge.sim.fhir import subscriptions
from stepwedge.sim.fhir.shelf import Due, instant
from stepwedge.sim.rows import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.fhir.shelf import Shelf, Version
    from stepwedge.sim.store import Change
    from stepwedge.sim.tables import State, Table
    from stepwedge.wire.fhir import Resource

MOST_DUE = 16
"""Changes of one row that nobody has looked at; with the next one they are all written out."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What the rows of a table are as resources.

    Attributes:
        kinds: the types of resource.
        of: key and row to resources.
        alone: it reads nothing but its row, so that the resources are the same whenever they are made.
    """

    kinds: tuple[str, ...]
    of: Callable[[str, Any], Iterable[Resource]]
    alone: bool = True


@dataclass
class Publisher:
    """Shows what the books say as resources, and tells subscribers in the transaction of the change.

    Attributes:
        projections: by table of the books.
    """

    bench: Bench
    state: State
    shelf: Shelf
    projections: Mapping[str, Projection]

    def attach(self) -> Publisher:
        """Be told of every change, and of every look at a resource, from now on."""
        self.state.before_commit = self.publish
        self.shelf.catch_up = self.catch_up
        return self

    def publish(self, change: Change) -> None:
        """Bring the shelf up to date with the rows that changed, or note that it is due; tell subscribers."""
        changed = self.state.changed()
        waited_for = self._subscriptions() or any(table is self.shelf.versions for table, _ in changed)
        now = self.bench.clock.now()
        at = instant(now)
        for (table, key), old in changed.items():
            if (projection := self.projections.get(table.name)) is None:
                continue
            if key not in table:
                self._settle(table, key, old)
            elif projection.alone and not waited_for:
                self._owe(table, key, old, at)
            else:
                self._settle(table, key, old)
                for resource in projection.of(key, table[key]):
                    self.shelf.publish(resource, now)
        if subscribed := self._subscriptions():
            fresh = [one for one in self.shelf.fresh() if one.text and one.kind != "Subscription"]
            for subscription in subscribed if fresh else ():
                subscriptions.tell(subscription, fresh, change)
        self.shelf.late.clear()

    def catch_up(self, kind: str) -> None:
        """Write out what is due of a type of resource, as it was before the change under way."""
        names = [name for name, one in self.projections.items() if kind in one.kinds]
        due = [one for name in names for one in self.shelf.due.by("table", name)]
        if not due:
            return
        if self.state.changing:
            self._settle_all(due)
        else:
            with self.bench.change(self.state):
                self._settle_all(due)

    def _settle_all(self, due: Sequence[Due]) -> None:
        changed = self.state.changed()
        for one in due:
            table = self.state.tables[one.table]
            here = (table, one.key)
            self._settle(table, one.key, changed[here] if here in changed else table.get(one.key))

    def _subscriptions(self) -> list[Version]:
        rows = self.shelf.current.by("kind", "Subscription")
        found = (self.shelf.versions[row.place] for row in rows if not row.deleted)
        return [one for one in found if one.resource.get("status") == "active"]

    def _owe(self, table: Table[Any], key: str, old: Any, at: str) -> None:
        """Note that the resources of a row are to be made of it as it is now."""
        if old is not None and old == table[key]:
            return
        place = f"{table.name}/{key}"
        due = self.shelf.due.get(place)
        if due is not None and len(due.at) >= MOST_DUE:
            self._settle(table, key, old)
            due = None
        if due is None:
            self.shelf.due[place] = Due(table.name, key, (at,))
        else:
            self.shelf.due[place] = Due(table.name, key, (*due.at, at), (*due.rows, pack(old)))

    def _settle(self, table: Table[Any], key: str, newest: Any) -> None:
        """Write out what is due of a row, of which ``newest`` is the last due."""
        place = f"{table.name}/{key}"
        if (due := self.shelf.due.get(place)) is None:
            return
        del self.shelf.due[place]
        rows = [*(unpack(table.kind, row) for row in due.rows), newest]
        for at, row in zip(due.at, rows, strict=True):
            for resource in self.projections[table.name].of(key, row):
                self.shelf.publish(resource, datetime.fromisoformat(at), late=True)
