"""Durable state of one simulated system: SQLite, one transaction per change.

WAL with ``synchronous=NORMAL``: a transaction that was committed survives the death of the process at any moment
(SIGKILL included), because its bytes are with the operating system; after a power failure the newest may be missing.
That is the promise a simulator makes for what it acknowledged.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stepwedge.errors import BadInput, Broken
from stepwedge.sim.rows import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stepwedge.sim.tables import State

FORMAT = 1
_SCHEMA = f"""
CREATE TABLE rows (place INTEGER PRIMARY KEY, tab TEXT NOT NULL, key TEXT NOT NULL, row TEXT NOT NULL);
CREATE TABLE outbox (place INTEGER PRIMARY KEY AUTOINCREMENT, "to" TEXT NOT NULL, body BLOB NOT NULL,
    kind TEXT NOT NULL, control TEXT NOT NULL, "case" TEXT NOT NULL, parked TEXT);
CREATE TABLE replies (place INTEGER PRIMARY KEY, sender TEXT NOT NULL, control TEXT NOT NULL, digest BLOB NOT NULL,
    reply BLOB NOT NULL);
PRAGMA user_version = {FORMAT};
"""
_PRAGMAS = (
    "synchronous = NORMAL",
    "page_size = 1024",  # every page changed is written whole to the log, and most changes are a row or two
    "journal_mode = WAL",  # after page_size, which it fixes
    "locking_mode = EXCLUSIVE",  # one process owns a state folder; saves the locks of every transaction
    "wal_autocheckpoint = 32000",  # a checkpoint is the only moment that waits for the disk
)
_REPLY = "INSERT INTO replies (place, sender, control, digest, reply) VALUES (?, ?, ?, ?, ?)"
_INSERT = "INSERT INTO rows (place, tab, key, row) VALUES (?, ?, ?, ?)"
_UPDATE = "UPDATE rows SET row = ? WHERE place = ?"
_DELETE = "DELETE FROM rows WHERE place = ?"
_Places = dict[tuple[str, str], int]
_New = tuple[int, str, str, str]
_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Send:
    """One message on its way out.

    Attributes:
        to: actor name in the directory.
        body: what the sender of its kind needs; for ``hl7`` the message, whose MSH-10 is fixed here for all retries.
        kind: which registered sender takes it.
        control: MSH-10, or any name that is the same for all retries.
        case: the case it belongs to, when known.
        place: number in the outbox; 0 until it is committed.
    """

    to: str
    body: bytes
    kind: str = "hl7"
    control: str = ""
    case: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What was answered to a message, kept to answer its repetition."""

    sender: str
    control: str
    digest: bytes
    reply: bytes


@dataclass
class Change:
    """What one transaction takes along besides changed rows."""

    sends: list[Send] = field(default_factory=list)
    replies: dict[tuple[str, str], StoredReply] = field(default_factory=dict)

    def send(self, send: Send) -> Send:
        """Put a message into the outbox; it leaves after the commit."""
        self.sends.append(send)
        return send

    def remember(self, reply: StoredReply) -> None:
        """Keep what is answered to a sender's message."""
        self.replies[reply.sender, reply.control] = reply


def digest(message: bytes) -> bytes:
    """Return what tells two messages with the same control ID apart."""
    return hashlib.blake2b(message, digest_size=16).digest()


class StoreHabits:
    """What a careful system does."""

    def lies(self, file: str) -> str:
        """Return the file in which everything that was acknowledged lies."""
        return file


class Store:
    """The SQLite file of one simulated system.

    Where a row or a reply stands is known in memory, so that a transaction touches the last page of each table and no index:
    half the time of a commit.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        self._rows: dict[tuple[str, str], int] = {}
        self._replies: dict[tuple[str, str], int] = {}
        for pragma in _PRAGMAS:
            self._pragma(pragma)
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        elif found != FORMAT:
            raise BadInput(
                str(path), f"state of format {FORMAT}", f"format {found}", "remove the state folder"
            )
        for place, sender, control in self._db.execute("SELECT place, sender, control FROM replies"):
            self._replies[sender, control] = place
        # places are given here, because many rows in one statement would not tell theirs
        self._place, self._reply_place = self._count("rows"), self._count("replies")

    def _pragma(self, pragma: str) -> None:
        try:
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.OperationalError as trouble:
            raise Broken(
                f"{self._path}: {trouble}; another process may be using this state folder"
            ) from trouble

    def _count(self, table: str) -> Iterator[int]:
        """Return the places after the last row of a table."""
        (last,) = self._db.execute(f"SELECT max(place) FROM {table}").fetchone()  # noqa: S608 - one of our own names
        return itertools.count((last or 0) + 1)

    def load(self, state: State) -> None:
        """Fill the tables of a fresh state, each in the order its rows were first put."""
        for place, name, key, row in self._db.execute("SELECT place, tab, key, row FROM rows ORDER BY place"):
            self._rows[name, key] = place
            if (table := state.tables.get(name)) is not None:
                table.put(key, unpack(table.kind, json.loads(row)))

    def commit(self, state: State, change: Change) -> None:
        """Make the state's changes, the outgoing messages (which get their place) and the replies durable at once."""
        if state.log or change.sends or len(change.replies) > 1:
            answered = self._commit(state, change)
        elif change.replies:
            answered = self._remember(change.replies)  # one statement is a transaction of its own
        else:
            return
        self._replies.update(answered)

    def _commit(self, state: State, change: Change) -> _Places:
        """Write everything in one transaction and return the places of the replies."""
        new, known, gone = self._sorted(state)
        with self._db as db:  # commits, or rolls back when something is raised
            db.execute("BEGIN IMMEDIATE")
            for statement, rows in (
                (_DELETE, [(place,) for place in gone.values()]),
                (_UPDATE, known),
                (_INSERT, new),
            ):
                if rows:
                    db.executemany(statement, rows)
            change.sends[:] = [self.enqueue(send) for send in change.sends]
            answered = self._remember(change.replies)
        for place, name, key, _ in new:
            self._rows[name, key] = place
        for row in gone:
            del self._rows[row]
        return answered

    def replied(self, sender: str, control: str) -> StoredReply | None:
        """Return what was answered to a sender's message with this control ID."""
        if (place := self._replies.get((sender, control))) is None:
            return None
        found = self._db.execute("SELECT digest, reply FROM replies WHERE place = ?", (place,)).fetchone()
        return StoredReply(sender, control, *found)

    def waiting(self) -> list[Send]:
        """Return all messages that are neither delivered nor parked, oldest first."""
        return [send for send, parked in self._outbox() if parked is None]

    def parked(self) -> list[tuple[Send, str]]:
        """Return the messages a receiver would not take, with the reasons."""
        return [(send, parked) for send, parked in self._outbox() if parked is not None]

    def delivered(self, place: int) -> None:
        """Remove a message from the outbox."""
        self._db.execute("DELETE FROM outbox WHERE place = ?", (place,))

    def park(self, place: int, reason: str) -> None:
        """Set a message aside, with the receiver's reason."""
        self._db.execute("UPDATE outbox SET parked = ? WHERE place = ?", (reason, place))

    def clear_outbox(self) -> None:
        """Remove all outgoing messages, parked ones too, and all remembered replies."""
        with self._db as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM outbox")
            db.execute("DELETE FROM replies")
        self._replies.clear()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _outbox(self) -> Iterator[tuple[Send, str | None]]:
        query = 'SELECT "to", body, kind, control, "case", place, parked FROM outbox ORDER BY place'
        for *values, parked in self._db.execute(query):
            yield Send(*values), parked

    def _sorted(self, state: State) -> tuple[list[_New], list[tuple[str, int]], dict[tuple[str, str], int]]:
        """Return the rows to insert and to update, as the statements take them, and where rows stood that are gone."""
        new: list[_New] = []
        known: list[tuple[str, int]] = []
        gone: dict[tuple[str, str], int] = {}
        for table, key in state.changed():
            place = self._rows.get((table.name, key))
            if key not in table:
                if place is not None:
                    gone[table.name, key] = place
                continue
            row = _json(pack(table[key]))
            if place is None:
                new.append((next(self._place), table.name, key, row))
            else:
                known.append((row, place))
        return new, known, gone

    def _remember(self, replies: Mapping[tuple[str, str], StoredReply]) -> _Places:
        """Write replies in one statement and return their places."""
        answered = dict(zip(replies, self._reply_place, strict=False))
        rows = [
            (place, one.sender, one.control, one.digest, one.reply)
            for place, one in zip(answered.values(), replies.values(), strict=True)
        ]
        if len(rows) == 1:
            self._db.execute(_REPLY, rows[0])
        else:
            self._db.executemany(_REPLY, rows)
        return answered

    def enqueue(self, send: Send) -> Send:
        """Put a message into the outbox and return it with its place; outside a commit it is a transaction of its own."""
        cursor = self._db.execute(
            'INSERT INTO outbox ("to", body, kind, control, "case") VALUES (?, ?, ?, ?, ?)',
            (send.to, send.body, send.kind, send.control, send.case),
        )
        return replace(send, place=cursor.lastrowid or 0)
