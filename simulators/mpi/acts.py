"""What the keeper of the index can do and ask, as ``stepwedge.actors.words_mpi`` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.messages.identity import Identifier
from stepwedge.sim.objects import patient_number
from stepwedge.sim.rows import pack
from stepwedge.wire.hl7 import HL7Error

from .state import APART, LINKED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .feed import Notices
    from .state import Index, Record


@dataclass(frozen=True)
class Keeper:
    """The person who decides what no rule can."""

    bench: Bench
    index: Index
    notices: Notices

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words of this role."""
        return {"link": self.link, "unlink": self.unlink}

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked."""
        return {"record": self._record_seen, "duplicates": self._duplicates}

    async def link(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Say that two records are one person."""
        del case
        return self._tie(args, LINKED)

    async def unlink(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Say that two records are two persons, whatever they have in common."""
        del case
        return self._tie(args, APART)

    def _tie(self, args: dict[str, Any], kind: str) -> dict[str, Any]:
        one, other = self._record(args, "patient"), self._record(args, "other")
        if one.key == other.key:
            raise BadInput("mpi: other", "another record", one.key)
        with self.bench.change(self.index) as change:
            named, now = [one.identifier, other.identifier], self.bench.clock.now()
            sends = self.notices.watch(named, lambda: self.index.tie(one, other, kind), now)
            change.sends.extend(sends)
        return {"identifiers": [str(each.identifier) for each in self.index.person(one)]}

    def _record(self, args: dict[str, Any], name: str) -> Record:
        value = args.get(name)
        domain = str(value.get("issuer") or ISSUER) if isinstance(value, dict) else ISSUER
        identifier = Identifier(domain, patient_number(value))
        try:
            return self.index.record(identifier, name)
        except HL7Error:
            raise BadInput(f"mpi: {name}", "a patient the index knows", str(identifier)) from None

    def _record_seen(self, args: dict[str, Any]) -> dict[str, Any]:
        found = self.index.records.get(
            str(Identifier(str(args.get("domain") or ISSUER), str(args.get("id"))))
        )
        return pack(found) or {}

    def _duplicates(self, _: dict[str, Any]) -> dict[str, Any]:
        pairs = self.index.duplicates()
        return {"pairs": [[str(one.identifier), str(other.identifier)] for one, other in pairs]}
