"""What an audit record repository keeps: records in the order they came, chained by hashes. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stepwedge.sim.rows import pack
from stepwedge.sim.tables import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .habits import AuditorHabits

NOTE = "note"
MOST_NOTES = 1000
"""Records of what was no audit message; beyond them the journal alone tells of it, and nobody can fill the memory."""
START = "0" * 64
"""What the first record is chained to."""


@dataclass(frozen=True, slots=True)
class Record:
    """One audit record as it came, and what was read from it.

    Attributes:
        number: its place, from 1.
        received: when it came (ISO 8601, UTC).
        transport: ``udp``, ``tcp``, ``tls``, or ``self`` for what the repository reports about itself.
        raw: the audit message, octet for octet; empty when the syslog message held none.
        problems: what is wrong with it, by the schema (A.5.1) and by A.5.3.
        at: EventDateTime; empty when the message could not be read.
        users: UserIDs of the active participants.
        message: digest of the syslog message it came in, when its sender numbers them; the same again is a repetition.
        seal: hash over this record and the seal before it.
    """

    number: int
    received: str
    transport: str
    peer: str
    host: str
    application: str
    raw: bytes
    problems: tuple[str, ...] = ()
    event: str = ""
    action: str = ""
    outcome: int = 0
    at: str = ""
    source: str = ""
    types: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    message: str = ""
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What following the chain showed.

    Attributes:
        broken: numbers of records that are not what was sealed, or whose neighbour is missing.
        reason: what is wrong; empty when the chain is whole.
    """

    records: int
    seal: str
    broken: tuple[int, ...] = field(default=())
    reason: str = ""


class Repository(State):
    """All audit records."""

    def __init__(self, seed: int, name: str, habits: AuditorHabits) -> None:
        super().__init__(seed, name)
        self.habits = habits
        self.records = self.table("records", Record)
        self.records.index("patient", lambda record: record.patients)
        self.records.index("entity", lambda record: record.entities)
        self.records.index("note", lambda record: () if record.raw else (NOTE,))
        self.records.index("message", lambda record: (record.message,) if record.message else ())

    def has(self, record: Record) -> bool:
        """Tell whether a numbered message is here already: its sender could not know, and sent it again."""
        return bool(record.message and self.records.by("message", record.message))

    def full(self, record: Record) -> bool:
        """Tell whether a record is one of nothing, of which there are enough."""
        return not record.raw and len(self.records.by("note", NOTE)) >= MOST_NOTES

    def head(self) -> str:
        """Return the seal of the newest record."""
        newest = self.records.get(str(len(self.records)))
        return newest.seal if newest else START

    def add(self, record: Record) -> Record:
        """Chain a record to the one before it and keep it."""
        numbered = replace(record, number=len(self.records) + 1, seal="")
        sealed = replace(numbered, seal=self.habits.seal(self.head(), content(numbered)))
        self.records[str(sealed.number)] = sealed
        return sealed

    def verify(self, head: str = "", number: int = 0) -> Verdict:
        """Follow the chain; ``head`` is a seal that was noted earlier for record ``number``: it must still be there."""
        broken = tuple(self._broken())
        newest = self.head()
        if broken:
            return Verdict(len(self.records), newest, broken, f"record {broken[0]} is not what was sealed")
        noted = self.records.get(str(number)) if number else None
        if head and (noted is None or noted.seal != head):
            return Verdict(
                len(self.records), newest, (number,), f"record {number} had another seal, or is gone"
            )
        return Verdict(len(self.records), newest)

    def _broken(self) -> Iterator[int]:
        before = START
        for expected, record in enumerate(self.records.values(), 1):
            if record.number != expected:
                yield expected
                return
            if self.habits.seal(before, content(replace(record, seal=""))) != record.seal:
                yield record.number
            before = record.seal


def content(record: Record) -> bytes:
    """Return what is sealed: everything of a record but its seal."""
    told: dict[str, Any] = pack(record)
    told.pop("seal", None)
    return json.dumps(told, sort_keys=True, ensure_ascii=True).encode()


def sha256(before: str, what: bytes) -> str:
    """Chain content to the seal before it."""
    return hashlib.sha256(before.encode("ascii") + what).hexdigest()
