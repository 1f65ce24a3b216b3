"""Where the resources of a simulated system lie: every version ever shown, in the tables of its state. Pure.

What a system knows in its own books (patients, orders, reports) is *published*: each change of a row is a version of the
resource it is (:class:`Shelf.publish`), so a result that came by HL7 has its versions in FHIR too. Versions that nobody has
looked at yet may be *due*: noted in the transaction of the change, and written out before the first look. What a client
sent and the books have no place for stays in the resource.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from stepwedge.wire import fhir, fhir_matching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stepwedge.sim.tables import State
    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.fhir_search import Search

CREATED, UPDATED, DELETED = "POST", "PUT", "DELETE"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource, never changed again.

    Attributes:
        number: its version; 0 where only the current one is known.
        at: ``meta.lastUpdated``, an instant.
        method: what made it: ``POST``, ``PUT`` or ``DELETE``.
        text: the resource as JSON with its meta; empty when it was deleted.
    """

    kind: str
    id: str
    number: int
    at: str
    method: str
    text: str

    @property
    def resource(self) -> Resource:
        """The resource, read; not to be changed."""
        return _parsed(self.text)

    @property
    def place(self) -> str:
        """Its version-specific path below the base."""
        return f"{self.kind}/{self.id}/_history/{self.number}"


@dataclass(frozen=True, slots=True)
class Current:
    """Which version of a resource counts, and the identifiers it is found by."""

    kind: str
    id: str
    number: int
    deleted: bool = False
    identifiers: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The place of the version that counts."""
        return f"{self.kind}/{self.id}/_history/{self.number}"


@dataclass(frozen=True, slots=True)
class Due:
    """Changes of a row of the books that are not written out as versions yet.

    Attributes:
        table: name of the table.
        key: the row's key in it.
        at: when it changed, an instant for each change, oldest first.
        rows: what the row was after each of them, as ``sim.rows.pack`` writes it; after the last it is what the table holds.
    """

    table: str
    key: str
    at: tuple[str, ...]
    rows: tuple[Any, ...] = ()


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Resource:
    return fhir.read(text.encode())


class Source(Protocol):
    """Where a FHIR door finds resources: a shelf, or a view of something else."""

    def latest(self, kind: str, id_: str) -> Version | None:
        """Return the version that counts; a deleted one has no text."""
        ...

    def version(self, kind: str, id_: str, number: int) -> Version | None:
        """Return one version."""
        ...

    def history(self, kind: str, id_: str = "") -> Sequence[Version]:
        """Return every version of a resource or of all of a type, newest first."""
        ...

    def candidates(self, search: Search) -> Iterable[Version]:
        """Return all that may match a search, deleted ones left out."""
        ...


def instant(now: datetime) -> str:
    """Return a time as an instant to the millisecond."""
    return now.astimezone().isoformat(timespec="milliseconds")


class Shelf:
    """The resources of one state.

    Attributes:
        due: what is to be written out before somebody looks.
        catch_up: does that for a type of resource; called before every look.
        late: places of the versions that the change under way made of earlier changes.
    """

    def __init__(self, state: State) -> None:
        """Make the tables in ``state``: while it is built, so that the store finds them when it is restored."""
        self._state = state
        self.versions = state.table("fhir_versions", Version)
        self.current = state.table("fhir", Current)
        self.due = state.table("fhir_due", Due)
        self.catch_up: Callable[[str], None] = lambda _kind: None
        self.late: set[str] = set()
        self.due.index("table", lambda row: [row.table])
        self.versions.index("kind", lambda row: [row.kind])
        self.current.index("kind", lambda row: [row.kind])
        self.current.index("identifier", lambda row: [f"{row.kind}|{value}" for value in row.identifiers])

    def latest(self, kind: str, id_: str) -> Version | None:
        """Return the version that counts."""
        self.catch_up(kind)
        return self._latest(kind, id_)

    def _latest(self, kind: str, id_: str) -> Version | None:
        row = self.current.get(f"{kind}/{id_}")
        return None if row is None else self.versions[row.place]

    def version(self, kind: str, id_: str, number: int) -> Version | None:
        """Return one version."""
        self.catch_up(kind)
        return self.versions.get(f"{kind}/{id_}/_history/{number}")

    def history(self, kind: str, id_: str = "") -> Sequence[Version]:
        """Return the versions of a resource, or of a type, newest first."""
        self.catch_up(kind)
        if not id_:  # in the order of their times, which is not that in which they were written out
            return sorted(self.versions.by("kind", kind), key=lambda one: datetime.fromisoformat(one.at))[
                ::-1
            ]
        row = self.current.get(f"{kind}/{id_}")
        numbers = range(row.number, 0, -1) if row else ()
        return [self.versions[f"{kind}/{id_}/_history/{number}"] for number in numbers]

    def candidates(self, search: Search) -> Iterable[Version]:
        """Return what may match, by the index of identifiers where that can tell."""
        self.catch_up(search.kind)
        if wanted := fhir_matching.identifiers(search):
            rows = {
                row.id: row
                for value in wanted
                for row in self.current.by("identifier", f"{search.kind}|{value}")
            }
            return [self.versions[row.place] for row in rows.values() if not row.deleted]
        return [self.versions[row.place] for row in self.current.by("kind", search.kind) if not row.deleted]

    def put(self, kind: str, id_: str, resource: Resource, now: datetime) -> Version:
        """Make a new version of a resource."""
        self.catch_up(kind)
        return self._put(kind, id_, resource, now)

    def _put(self, kind: str, id_: str, resource: Resource, now: datetime) -> Version:
        row = self.current.get(f"{kind}/{id_}")
        return self._write(kind, id_, resource, (row.number if row else 0) + 1, now)

    def _write(self, kind: str, id_: str, resource: Resource, number: int, now: datetime) -> Version:
        at = instant(now)
        meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": at}
        rest = {key: value for key, value in resource.items() if key not in {"resourceType", "id", "meta"}}
        whole = {"resourceType": kind, "id": id_, "meta": meta, **rest}
        made = Version(kind, id_, number, at, UPDATED if number > 1 else CREATED, fhir.write(whole).decode())
        self.versions[made.place] = made
        self.current[f"{kind}/{id_}"] = Current(kind, id_, number, identifiers=_identifiers(whole))
        return made

    def remove(self, kind: str, id_: str, now: datetime) -> Version:
        """Mark a resource as deleted; its versions stay."""
        self.catch_up(kind)
        row = self.current[f"{kind}/{id_}"]
        made = Version(kind, id_, row.number + 1, instant(now), DELETED, "")
        self.versions[made.place] = made
        self.current[f"{kind}/{id_}"] = replace(row, number=made.number, deleted=True, identifiers=())
        return made

    def publish(self, resource: Resource, now: datetime, *, late: bool = False) -> None:
        """Show what the books say of a resource: nothing when it is shown so already, else its next version.

        A version that a client made in the same change becomes what the books made of it, unless that is ``late``: what the
        books said before this change.
        """
        resource = fhir.tellable(resource)  # it is read again, and must not be what no reader takes
        kind, id_ = resource["resourceType"], resource["id"]
        old = self._latest(kind, id_)
        shown = old.resource if old is not None and old.text else {}
        whole = {**shown, **resource}
        if shown.get("identifier") and resource.get("identifier"):
            whole["identifier"] = _joined(shown["identifier"], resource["identifier"])
        for key in [key for key, value in whole.items() if value is None]:
            del whole[key]
        if whole == shown:
            return
        if old is not None and old.text and not late and old in self.fresh():
            self._write(kind, id_, whole, old.number, now)
            return
        made = self._put(kind, id_, whole, now)
        if late:
            self.late.add(made.place)

    def fresh(self) -> list[Version]:
        """Return the versions that the change under way makes, without those of earlier changes."""
        return [
            self.versions[key]
            for table, key in self._state.changed()
            if table is self.versions and key in self.versions and key not in self.late
        ]


def _joined(shown: list[Resource], told: list[Resource]) -> list[Resource]:
    """Return the identifiers that were there, whoever gave them, and those that came."""
    there = {one.get("value") for one in shown}
    return [*shown, *(one for one in told if one["value"] not in there)]


def _identifiers(resource: Resource) -> tuple[str, ...]:
    found: dict[str, Any] = {
        str(one["value"]): None
        for name in ("identifier", "groupIdentifier")
        for one in fhir.at(resource, name)
        if isinstance(one, dict) and isinstance(one.get("value"), str)
    }
    return tuple(found)
