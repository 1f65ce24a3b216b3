"""Durable state of one simulated system: SQLite, one transaction per change.

WAL with ``synchronous=NORMAL``: a transaction that was committed survives the death of the process at any moment
(SIGKILL included), because its bytes are with the operating system; after a power failure the newest may be missing.
That is the promise a simulator makes for what it acknowledged.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stepwedge.errors import BadInput
from stepwedge.sim.rows import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stepwedge.sim.tables import State

FORMAT = 1
_SCHEMA = f"""
CREATE TABLE rows (place INTEGER PRIMARY KEY AUTOINCREMENT, tab TEXT NOT NULL, key TEXT NOT NULL, row TEXT NOT NULL, UNIQUE (tab, key));
CREATE TABLE outbox (place INTEGER PRIMARY KEY AUTOINCREMENT, "to" TEXT NOT NULL, body BLOB NOT NULL, kind TEXT NOT NULL,
    control TEXT NOT NULL, "case" TEXT NOT NULL, parked TEXT);
CREATE TABLE replies (sender TEXT NOT NULL, control TEXT NOT NULL, digest BLOB NOT NULL, reply BLOB NOT NULL,
    PRIMARY KEY (sender, control)) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""


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
    reply: StoredReply | None = None

    def send(self, send: Send) -> Send:
        """Put a message into the outbox; it leaves after the commit."""
        self.sends.append(send)
        return send


def digest(message: bytes) -> bytes:
    """Return what tells two messages with the same control ID apart."""
    return hashlib.blake2b(message, digest_size=16).digest()


class Store:
    """The SQLite file of one simulated system."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        elif found != FORMAT:
            raise BadInput(
                str(path), f"state of format {FORMAT}", f"format {found}", "remove the state folder"
            )

    def load(self, state: State) -> None:
        """Fill the tables of a fresh state."""
        for name, key, row in self._db.execute("SELECT tab, key, row FROM rows ORDER BY place"):
            if (table := state.tables.get(name)) is not None:
                table.put(key, unpack(table.kind, json.loads(row)))

    def commit(self, state: State, change: Change) -> None:
        """Make the state's changes, the outgoing messages (which get their place) and the reply durable at once."""
        rows, gone = [], []
        for table, key in state.changed():
            if key in table:
                rows.append((table.name, key, json.dumps(pack(table[key]), ensure_ascii=False)))
            else:
                gone.append((table.name, key))
        if not (rows or gone or change.sends or change.reply):
            return
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO rows (tab, key, row) VALUES (?, ?, ?) "
                "ON CONFLICT (tab, key) DO UPDATE SET row = excluded.row",
                rows,
            )
            db.executemany("DELETE FROM rows WHERE tab = ? AND key = ?", gone)
            change.sends[:] = [self._enqueue(db, send) for send in change.sends]
            if (reply := change.reply) is not None:
                db.execute(
                    "INSERT INTO replies VALUES (?, ?, ?, ?)",
                    (reply.sender, reply.control, reply.digest, reply.reply),
                )

    def replied(self, sender: str, control: str) -> StoredReply | None:
        """Return what was answered to a sender's message with this control ID."""
        found = self._db.execute(
            "SELECT digest, reply FROM replies WHERE sender = ? AND control = ?", (sender, control)
        ).fetchone()
        return StoredReply(sender, control, *found) if found else None

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
        with self._transaction() as db:
            db.execute("DELETE FROM outbox")
            db.execute("DELETE FROM replies")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _outbox(self) -> Iterator[tuple[Send, str | None]]:
        query = 'SELECT "to", body, kind, control, "case", place, parked FROM outbox ORDER BY place'
        for *values, parked in self._db.execute(query):
            yield Send(*values), parked

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @staticmethod
    def _enqueue(db: sqlite3.Connection, send: Send) -> Send:
        cursor = db.execute(
            'INSERT INTO outbox ("to", body, kind, control, "case") VALUES (?, ?, ?, ?, ?)',
            (send.to, send.body, send.kind, send.control, send.case),
        )
        return replace(send, place=cursor.lastrowid or 0)
