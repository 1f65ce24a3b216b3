"""Who a case's patients are at each moment: registered, corrected, merged (RAD-1, RAD-12, ITI-30)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.checks.message_view import MessageView, authority
from stepwedge.checks.rules.sightings import between, day, relayed
from stepwedge.wire.hl7 import HL7Error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.evidence.exchange import Exchange

DEMOGRAPHICS: Final = ("name", "birth_date", "sex")
_RENAMES: Final = frozenset({"ADT^A40", "ADT^A47"})
_ACCEPTED: Final = frozenset({"AA", "CA"})


@dataclass(slots=True)
class Version:
    """One state of one patient record.

    Attributes:
        id: patient ID; of the survivor when the record was ``merged`` away.
        values: demographics by name.
        origin: who said so first; ``sent`` is when.
        taken: when each receiver had accepted it.
    """

    id: str
    values: dict[str, str]
    issuer: str
    origin: str
    sent: float
    merged: bool = False
    taken: dict[str, float] = field(default_factory=dict)

    def same(self, other: Version) -> bool:
        """Tell whether both say the same: one event is told to every receiver in a message of its own."""
        return (self.id, self.values, self.merged) == (other.id, other.values, other.merged)

    def holds(self, actor: str, at: float, *, final: bool) -> bool:
        """Tell whether an actor must know this version at a moment."""
        if actor == self.origin:
            return self.sent <= at
        return actor in self.taken and (final or self.taken[actor] <= at)


@dataclass(slots=True)
class People:
    """The patients of a case.

    Attributes:
        records: the versions of each record by patient ID, oldest first; the last may say that it was merged away.
        newest: when the newest event of each record happened (EVN-2).
    """

    records: dict[str, list[Version]] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> People:
        """Gather the patients from the ADT messages among the exchanges."""
        people = cls()
        for exchange in sorted(exchanges, key=lambda one: one.at):
            if exchange.protocol == "hl7" and exchange.kind.startswith("ADT"):
                people._learn(exchange)
        return people

    def _learn(self, exchange: Exchange) -> None:
        try:
            view = MessageView.of(exchange)
        except HL7Error:
            return
        if view.message.type == "ADT^A47" and exchange.outcome not in _ACCEPTED:
            return  # an identifier that could not be changed is what it was
        prior = str(view.get("prior") or "") if view.message.type in _RENAMES else ""
        history = self.records.setdefault(prior or self._record(view), [])
        event = view.message["EVN-2.1"][:14]
        record = prior or self._record(view)
        if not prior and event < self.newest.get(record, ""):
            return  # of before what is known already: who applies it goes back in time
        self.newest[record] = max(event, self.newest.get(record, ""))
        version = self._version(view, exchange, merged=bool(prior), before=None if prior else history[-1:])
        known = next((one for one in reversed(history) if one.same(version)), None)
        if known is None or (known is not history[-1] and not known.merged):
            known = version
            history.append(version)
        if exchange.outcome in _ACCEPTED:
            known.taken.setdefault(between(exchange)[1], exchange.at + exchange.took)

    def _record(self, view: MessageView) -> str:
        """Return the record a message is about; the same number of another house is another person's."""
        patient, issuer = str(view.get("patient") or ""), authority(view.message, "PID-3")
        known = self.records.get(patient)
        stranger = known and issuer and known[0].issuer and issuer != known[0].issuer
        return f"{patient}^^^{issuer}" if stranger else patient

    def _version(
        self, view: MessageView, exchange: Exchange, *, merged: bool, before: list[Version] | None
    ) -> Version:
        """Read one message; what it leaves out stays as it was, ``""`` removes (ITI TF-2 appendix C)."""
        patient = str(view.get("patient") or "")
        if before is None:
            before = self.records.get(patient, [])[-1:]
        values = dict(before[0].values) if before else {}
        for name in DEMOGRAPHICS:
            if (said := view.get(name)) is not None:
                values[name] = "" if said == '""' or (name, said) == ("sex", "U") else str(said)
                if name == "birth_date":
                    values[name] = day(values[name])
        issuer = authority(view.message, "PID-3")
        # who changes a message on its way says something of its own
        origin = exchange.actor if "PID" in str(relayed(exchange).get("changed")) else between(exchange)[0]
        return Version(patient, values, issuer, origin, exchange.at, merged)

    def acceptable(self, record: str, source: str, at: float, *, final: bool, follows: bool) -> list[Version]:
        """Return the versions of a record that ``source`` may speak of at a moment, the newest last.

        Args:
            record: patient ID under which the order was placed.
            source: the actor that speaks.
            at: when it speaks.
            final: it was asked at the end, when everything it accepted must show.
            follows: it takes ADT messages; who does not may hold an older copy for ever, as a scanner does.
        """
        possible: list[Version] = []
        for version in self._chain(record):
            if version.sent > at and not final:
                break
            if follows and version.holds(source, at, final=final):
                possible = []
            possible.append(version)
        return possible

    def _chain(self, record: str) -> Iterator[Version]:
        """Yield the versions of a record and, from the merge on, those of its survivor."""
        seen: set[str] = set()
        since = 0.0
        while record in self.records and record not in seen:
            seen.add(record)
            merge: Version | None = None
            for version in self.records[record]:
                if version.sent < since:
                    continue
                yield version
                if version.merged:
                    merge = version
                    break
            if merge is None:
                return
            record, since = merge.id, merge.sent
