"""What the patient index knows: records as their sources sent them, and what people said about pairs of them. Pure.

Who is one person is never stored: it follows from the records' demographics and from links made by hand, each time it is
asked. So a corrected birth date or an undone link takes effect everywhere at once, and nothing has to be undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from stepwedge.sim.messages.identity import Identifier
from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .habits import MpiHabits
    from .settings import Settings

LINKED, APART = "linked", "apart"
PAGES: Final = 200
"""Answers that can be gone on with; the oldest is forgotten first."""
UNKNOWN, TAKEN = 204, 205
FIELDS: Final = ("5.1", "5.2", "5.3", "7.1", "8.1", "11.1", "11.3", "11.4", "11.5", "11.6", "18.1")
"""Places of PID that are kept and can be asked for, besides PID-3 (ITI TF-2 table 3.21.4.1.2-3)."""
FAMILY, GIVEN, BIRTH_DATE, SEX = "5.1", "5.2", "7.1", "8.1"


@dataclass(frozen=True, slots=True)
class Record:
    """One identifier and what its source says of the person.

    Attributes:
        values: place in PID (one of ``FIELDS``) to value.
        fingerprint: what it must share with another record to be the same person.
        merged_into: key of the surviving record of the same domain.
    """

    id: str
    domain: str
    values: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    merged_into: str = ""

    @property
    def identifier(self) -> Identifier:
        """The identifier."""
        return Identifier(self.domain, self.id)

    @property
    def key(self) -> str:
        """The same ID in two domains is two records."""
        return str(self.identifier)


@dataclass(frozen=True, slots=True)
class Tie:
    """What was said about two records: that they are ``linked``, or that they are to stay ``apart``."""

    one: str
    other: str
    kind: str


@dataclass(frozen=True, slots=True)
class Page:
    """The rest of an answer: keys of the records that still have to be told."""

    tag: str
    left: tuple[str, ...]
    domains: tuple[str, ...]


class Index(State):
    """The patient index."""

    def __init__(self, seed: int, name: str, settings: Settings, habits: MpiHabits) -> None:
        super().__init__(seed, name)
        self.settings = settings
        self.habits = habits
        self.records = self.table("records", Record)
        self.ties = self.table("ties", Tie)
        self.pages = self.table("pages", Page)
        self.records.index("fingerprint", lambda one: [one.fingerprint] if one.fingerprint else [])
        self.ties.index("of", lambda tie: [tie.one, tie.other])

    # --- who is who

    def record(self, identifier: Identifier, place: str) -> Record:
        """Return a record that is offered; a domain or an ID nobody has is an error 204 at a place of the message."""
        self.known(identifier.domain, f"{place}.4")
        found = self.records.get(str(identifier))
        if found is None or not self.habits.offers(found):
            raise HL7Error(UNKNOWN, f"{place}.1", "no such patient identifier in this domain")
        return found

    def known(self, domain: str, place: str) -> None:
        """Refuse a domain that nobody feeds."""
        if domain not in self.settings.domains:
            raise HL7Error(UNKNOWN, place, "unknown assigning authority")

    def person(self, record: Record) -> list[Record]:
        """Return all records of the same person, this one first, then by domain and ID."""
        found = {record.key: record}
        waiting = [record]
        while waiting:
            for near in self._near(waiting.pop()):
                if near.key not in found and not self._apart(record, near):
                    found[near.key] = near
                    waiting.append(near)
        others = sorted((one for one in found.values() if one != record), key=lambda one: one.identifier)
        return [record, *others]

    def _near(self, record: Record) -> list[Record]:
        """Return the records joined to one directly: by demographics across domains, or by hand."""
        alike = self.records.by("fingerprint", record.fingerprint) if record.fingerprint else []
        near = [one for one in alike if one.domain != record.domain]
        linked = (tie for tie in self.ties.by("of", record.key) if tie.kind == LINKED)
        near += [self.records[tie.other if tie.one == record.key else tie.one] for tie in linked]
        return [one for one in near if self.habits.offers(one) and not self._apart(record, one)]

    def _apart(self, one: Record, other: Record) -> bool:
        tie = self.ties.get(_pair(one.key, other.key))
        return self.habits.obeys(tie is not None and tie.kind == APART)

    def duplicates(self) -> list[tuple[Record, Record]]:
        """Return the pairs a person should look at: alike within one domain, or alike but for the given name or sex."""
        groups: dict[str, list[Record]] = {}
        for record in self.records.values():
            if not record.merged_into and record.values.get(BIRTH_DATE) and record.values.get(FAMILY):
                near = f"{record.values[FAMILY].casefold()}|{record.values[BIRTH_DATE]}"
                groups.setdefault(near, []).append(record)
        return [
            (one, other)
            for several in groups.values()
            for number, one in enumerate(several)
            for other in several[number + 1 :]
            if _pair(one.key, other.key) not in self.ties and other not in self.person(one)
        ]

    # --- what sources say

    def tell(self, identifier: Identifier, values: dict[str, str | None], place: str) -> Record:
        """File what a source says of a person; None is what it does not mention and stays, "" removes."""
        self.known(identifier.domain, f"{place}.4")
        before = self.records.get(str(identifier)) or Record(identifier.id, identifier.domain)
        if before.merged_into:
            raise HL7Error(UNKNOWN, f"{place}.1", "this identifier was merged away")
        now = before.values | {at: value for at, value in values.items() if value is not None}
        fingerprint = self.habits.fingerprint(*(now.get(at, "") for at in (FAMILY, GIVEN, BIRTH_DATE, SEX)))
        self.records[before.key] = record = replace(before, values=now, fingerprint=fingerprint)
        return record

    def tie(self, one: Record, other: Record, kind: str) -> None:
        """Link two records by hand, or keep them apart."""
        if one.key == other.key:
            raise HL7Error(TAKEN, "PID[2]-3", "an identifier cannot be linked to itself")
        first, second = sorted((one.key, other.key))
        self.ties[_pair(first, second)] = Tie(first, second, kind)

    def merge(self, survivor: Identifier, prior: Identifier, place: str) -> None:
        """Merge a record away (A40); what was linked to it is linked to the survivor. An unknown prior is nothing to do."""
        if survivor.domain != prior.domain:
            raise HL7Error(UNKNOWN, f"{place}.4", "a merge stays within one domain")
        if survivor == prior:
            raise HL7Error(TAKEN, f"{place}.1", "a record cannot be merged into itself")
        gone, stays = self.records.get(str(prior)), self.records[str(survivor)]
        if gone is None or gone.merged_into or not self.habits.merges():
            return
        others = self.person(gone)[1:]
        self.records[gone.key] = replace(gone, merged_into=stays.key, fingerprint="")
        self._untie(gone)
        for other in others:
            if other.key != stays.key and other not in self.person(stays):
                self.tie(stays, other, LINKED)

    def rename(self, identifier: Identifier, prior: Identifier, place: str) -> None:
        """Give a record another identifier (A47); one that is taken is an error 205."""
        old = self.records.get(str(prior))
        if str(identifier) in self.records:
            raise HL7Error(TAKEN, "PID-3.1", "this identifier belongs to another record")
        if old is None or old.merged_into:
            raise HL7Error(UNKNOWN, f"{place}.1", "no such patient identifier in this domain")
        self.known(identifier.domain, "PID-3.4")
        renamed = replace(old, id=identifier.id, domain=identifier.domain)
        ties = list(self.ties.by("of", old.key))
        self._untie(old)
        del self.records[old.key]
        self.records[renamed.key] = renamed
        for tie in ties:
            other = tie.other if tie.one == old.key else tie.one
            self.tie(renamed, self.records[other], tie.kind)

    def _untie(self, record: Record) -> None:
        for tie in list(self.ties.by("of", record.key)):
            del self.ties[_pair(tie.one, tie.other)]

    # --- answers in parts

    def put_by(self, page: Page) -> str:
        """Keep the rest of an answer and return the pointer that asks for it."""
        while len(self.pages) >= PAGES:
            del self.pages[next(iter(self.pages))]
        pointer = f"P{self.next('page')}"
        self.pages[pointer] = page
        return pointer

    def taken_up(self, pointer: str, tag: str) -> Page:
        """Return the rest of an answer, which can be asked for once; an unknown pointer is an error 204."""
        page = self.pages.get(pointer)
        if page is None or page.tag != tag:
            raise HL7Error(UNKNOWN, "DSC-1", "no answer can be gone on with under this pointer and tag")
        del self.pages[pointer]
        return page

    def cancel(self, tag: str) -> None:
        """Forget the rest of an answer."""
        for pointer in [pointer for pointer, page in self.pages.items() if page.tag == tag]:
            del self.pages[pointer]

    def known_as(self, record: Record, domains: Iterable[str]) -> list[Identifier]:
        """Return the identifiers of a person in some domains, or in all."""
        wanted = set(domains) or set(self.settings.domains)
        return sorted(one.identifier for one in self.person(record) if one.domain in wanted)


def _pair(one: str, other: str) -> str:
    return "~".join(sorted((one, other)))
