"""The ledger of intents: written before anything is sent, so that afterwards nothing can be lost unnoticed.

One JSON line for each change of state. What is sent is *attempted* before its first byte leaves, then *acknowledged* or
*refused*; what stays attempted is unknown (RELIABILITY invariants I1 to I7).
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from stepwedge import clock

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["attempted", "acknowledged", "refused"]
Kind = Literal["patient", "merge", "order", "mpps", "study", "instance", "commitment", "report"]
PATTERN: Final = "ledger-*.jsonl"


class Ledger:
    """Appends to one file per process; a line is with the operating system before its message is."""

    def __init__(self, folder: Path, name: str = "") -> None:
        """Write below ``folder``; ``name`` is the process when it is not the host's name and our process id."""
        folder.mkdir(parents=True, exist_ok=True)
        name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._file = (folder / f"ledger-{name}.jsonl").open("a", encoding="utf-8", buffering=1)

    def write(self, kind: Kind, identity: str, state: State, **keys: Any) -> None:
        """Note what is now true of one thing; ``keys`` (patient, accession, study, exam, ...) add to what was said of it."""
        line = {"kind": kind, "id": identity, "state": state, "at": round(clock.moment(), 3)} | keys
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass
class Entry:
    """What is known of one thing that was sent, or meant to be.

    Attributes:
        keys: everything that was said of it, the last word counts.
        attempts: how often it was sent under the same identity.
        at: when it came into its state, seconds since the epoch.
    """

    kind: str
    id: str
    state: State = "attempted"
    attempts: int = 0
    at: float = 0.0
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def unknown(self) -> bool:
        """Whether nobody can say if it arrived."""
        return self.state == "attempted"


@dataclass
class Account:
    """What the ledgers of a run add up to.

    Attributes:
        entries: by kind and identity.
        torn: lines that could not be read, the last one of a process that was killed.
    """

    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    torn: int = 0

    @classmethod
    def read(cls, folder: Path) -> Account:
        """Add up all ledgers of a folder."""
        account = cls()
        for path in sorted(folder.glob(PATTERN)):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    account._take(json.loads(line))
                except (ValueError, KeyError):
                    account.torn += 1
        return account

    def _take(self, told: dict[str, Any]) -> None:
        kind, identity, state = told.pop("kind"), told.pop("id"), told.pop("state")
        entry = self.entries.setdefault(kind, {}).setdefault(identity, Entry(kind, identity))
        entry.at = told.pop("at")
        entry.keys |= told
        if state == "attempted":
            entry.attempts += 1
            entry.state = "acknowledged" if entry.state == "acknowledged" else "attempted"
        elif (
            entry.state != "acknowledged"
        ):  # what was acknowledged once stays so, whatever a repetition is told
            entry.state = state

    def of(self, kind: Kind, state: State | None = None) -> list[Entry]:
        """Return what is known of a kind of thing, all of it or what is in one state."""
        return [one for one in self.entries.get(kind, {}).values() if state is None or one.state == state]

    def shared(self, kind: Kind, key: str) -> list[str]:
        """Return values of ``key`` that more than one acknowledged thing of a kind was given, such as accession numbers."""
        values = (str(one.keys[key]) for one in self.of(kind, "acknowledged") if one.keys.get(key))
        return sorted(value for value, count in Counter(values).items() if count > 1)
