"""The ledger of intents: written before anything is sent, so that afterwards nothing can be lost unnoticed.

One JSON line for each change of state of one thing. It is *attempted* before its first byte leaves, then *acknowledged* or
*refused*; what stays attempted is unknown (RELIABILITY invariants I1 to I4), until it is sent again under the same identity.

::

    {"kind": "order", "id": "LP1234567890", "state": "acknowledged", "at": 1764000000.1, "accession": "SW12", "patient": ...}

Kinds are ``patient``, ``merge``, ``order``, ``study``, ``instance``, ``commitment``, ``mpps``, ``report`` and ``query``.
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from stepwedge.clock import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

State = Literal["attempted", "acknowledged", "refused"]
PATTERN: Final = "ledger-*.jsonl"


def process_name() -> str:
    """Return what tells this process from all others of a run, on any machine: it names its files."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Ledger:
    """Appends to one file of this process; each line is with the operating system before anything follows from it.

    That survives the death of the process, which is what a ledger must; it does not survive the death of the machine.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        """Write into ``folder``; a ``name`` of its own is for what only one process writes."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / (name or f"ledger-{process_name()}.jsonl")).open("ab", buffering=0)

    def write(self, kind: str, identity: str, state: State, **keys: Any) -> None:
        """Note what is now true of one thing: of the order with a placer number, the image with a SOP Instance UID."""
        self.write_all(kind, [identity], state, **keys)

    def write_all(self, kind: str, identities: Iterable[str], state: State, **keys: Any) -> None:
        """Note the same of many, with one system call."""
        self.write_each(kind, ((identity, {}) for identity in identities), state, **keys)

    def write_each(
        self, kind: str, things: Iterable[tuple[str, dict[str, Any]]], state: State, **keys: Any
    ) -> None:
        """Note the same of many, each with keys of its own (the hash of its pixels)."""
        shared = {"state": state, "at": round(moment(), 6), **keys}
        lines = [json.dumps({"kind": kind, "id": one, **shared, **own}) + "\n" for one, own in things]
        self._file.write("".join(lines).encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield all lines of the ledgers of a folder, each file in its order.

    A last line that was torn off by the death of its writer is passed over: nothing had followed from it.
    """
    for path in sorted(folder.glob(PATTERN)):
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)


class Entry(NamedTuple):
    """What is known of one thing, with all keys that were ever noted of it."""

    kind: str
    id: str
    state: State
    at: float
    keys: dict[str, Any]


_OWN: Final = frozenset({"kind", "id", "state", "at"})


@dataclass
class Account:
    """What the ledgers of a run add up to.

    What was acknowledged once stays so, whatever becomes of a repetition; of anything else the last line is true.
    """

    kinds: dict[str, dict[str, Entry]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Add up all ledgers of a folder."""
        account = cls()
        for line in entries(folder):
            account.add(line)
        return account

    def add(self, line: dict[str, Any]) -> None:
        """Take one line in."""
        kind, identity, state = line["kind"], line["id"], line["state"]
        known = self.kinds.setdefault(kind, {})
        keys = {key: value for key, value in line.items() if key not in _OWN}
        if (before := known.get(identity)) is not None:
            keys = before.keys | keys
            state = before.state if before.state == "acknowledged" else state
        known[identity] = Entry(kind, identity, state, line["at"], keys)

    def of(self, kind: str, state: State | None = None) -> list[Entry]:
        """Return the things of a kind, all or those in one state; *attempted* are those nobody can say more of."""
        return [one for one in self.kinds.get(kind, {}).values() if state in {None, one.state}]

    def count(self, kind: str) -> Counter[str]:
        """Return how many things of a kind are in each state."""
        return Counter(one.state for one in self.of(kind))

    def shared(self, kind: str, key: str) -> list[str]:
        """Return the values of a key that more than one acknowledged thing was given: an accession of two orders."""
        values = (one.keys.get(key) for one in self.of(kind, "acknowledged"))
        return sorted(value for value, count in Counter(filter(None, values)).items() if count > 1)
