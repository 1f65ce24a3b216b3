"""The ledger of intents: written before anything is sent, so that afterwards nothing can be lost unnoticed.

One JSON line for each change of state. An order is *attempted* before its first byte leaves, then *acknowledged* or
*refused*; what stays attempted is unknown (RELIABILITY invariants I1 to I4).
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["attempted", "acknowledged", "refused"]


class Ledger:
    """Appends to one file per process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"ledger-{socket.gethostname()}-{os.getpid()}.jsonl").open(
            "a", encoding="utf-8", buffering=1
        )

    def write(self, state: State, placer: str, accession: str = "") -> None:
        """Note what is now true of one order."""
        self._file.write(json.dumps({"state": state, "placer": placer, "accession": accession}) + "\n")


@dataclass
class Account:
    """What the ledgers of a run add up to, by placer order number.

    Attributes:
        accessions: accession number of each acknowledged order.
    """

    accessions: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Path) -> Account:
        """Add up all ledgers below a folder."""
        account = cls()
        for path in sorted(folder.glob("ledger-*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                account.attempted.add(entry["placer"])
                if entry["state"] == "acknowledged":
                    account.accessions[entry["placer"]] = entry["accession"]
                elif entry["state"] == "refused":
                    account.refused.add(entry["placer"])
        return account

    @property
    def unknown(self) -> set[str]:
        """Orders of which nobody can say whether they arrived."""
        return self.attempted - self.refused - self.accessions.keys()

    def shared(self) -> list[str]:
        """Accession numbers that more than one order was given."""
        return sorted(number for number, count in Counter(self.accessions.values()).items() if count > 1)
