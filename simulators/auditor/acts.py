"""What the audit record repository can be told to do and asked, as ``stepwedge.actors.words_auditor`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.sim.rows import pack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .door import Door
    from .state import Record, Repository

TOLD = 1000
"""Records that one question is answered with, the newest."""


@dataclass(frozen=True)
class Keeper:
    """The person who looks after the repository, and one who should not."""

    bench: Bench
    repository: Repository
    door: Door

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words of this role."""
        return {"pause": self.pause, "resume": self.resume, "tamper": self.tamper, "restore": self.restore}

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked."""
        return {"records": self._records, "verify": self._verify}

    async def pause(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Stop listening, as a repository does that is down."""
        del args, case
        await self.door.stop()
        return {"records": len(self.repository.records)}

    async def resume(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Listen again."""
        del args, case
        await self.door.resume()
        return {"records": len(self.repository.records)}

    async def tamper(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Change who it was in the newest record of a patient, as somebody who has the disk could."""
        del case
        record = self._newest(str(args.get("patient", "")))
        forged = replace(record, users=("nobody", *record.users[1:]))
        with self.bench.change(self.repository):
            self.repository.records[str(record.number)] = forged
        return {"record": record.number, "was": list(record.users)}

    async def restore(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Undo what ``tamper`` did."""
        del case
        number = str(args.get("record"))
        if (record := self.repository.records.get(number)) is None:
            raise BadInput("auditor.restore: record", "the number of a record", number)
        with self.bench.change(self.repository):
            self.repository.records[number] = replace(record, users=tuple(args.get("users") or ()))
        return {"record": record.number}

    def _newest(self, patient: str) -> Record:
        found = self.repository.records.by("patient", patient)
        if not found:
            raise BadInput("auditor.tamper: patient", "a patient of whom there is a record", patient)
        return found[-1]

    def _records(self, args: dict[str, Any]) -> dict[str, Any]:
        patient = args.get("patient")
        every = (
            self.repository.records.by("patient", patient) if patient else [*self.repository.records.values()]
        )
        return {"count": len(every), "records": [_told(record) for record in every[-TOLD:]]}

    def _verify(self, args: dict[str, Any]) -> dict[str, Any]:
        verdict = self.repository.verify(str(args.get("seal", "")), int(args.get("number", 0)))
        return {"intact": not verdict.reason, **pack(verdict)}


def _told(record: Record) -> dict[str, Any]:
    return {**pack(record), "raw": record.raw.decode("utf-8", "replace")}
