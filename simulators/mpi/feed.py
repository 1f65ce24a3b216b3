"""What sources tell the index (ITI-8, ITI-30, ITI-31), and what consumers hear of it (ITI-10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from stepwedge.sim.hl7 import Handler, Reply
from stepwedge.sim.messages.envelope import Envelope, said
from stepwedge.sim.messages.identity import identifiers, notice
from stepwedge.sim.store import Send
from stepwedge.wire.hl7 import HL7Error

from .state import APART, FIELDS, LINKED

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.messages.identity import Identifier
    from stepwedge.wire.hl7 import Group, Message

    from .state import Index, Record

Change = Callable[["Index", "Message"], None]
Known = dict[str, tuple["Identifier", ...]]
"""Record key to the identifiers known to be of the same person."""

REGISTERS: Final = (
    "A01",
    "A02",
    "A03",
    "A04",
    "A05",
    "A06",
    "A07",
    "A08",
    "A11",
    "A12",
    "A13",
    "A23",
    "A28",
    "A31",
)
"""Events that say who somebody is; an encounter's own facts are not kept."""


def _entered(index: Index, message: Group) -> list[Record]:
    """File every identifier of a PID; several in one message are one person's by the word of the sender."""
    found = identifiers(message)
    if not found:
        raise HL7Error(101, "PID-3", "no patient identifier")
    values = {place: said(message, f"PID-{place}") for place in FIELDS}
    records = [index.tell(one, values, f"PID-3[{number}]") for number, one in enumerate(found, 1)]
    for one in records[1:]:
        if one not in index.person(records[0]):
            index.tie(records[0], one, LINKED)
    return records


def register(index: Index, message: Message) -> None:
    """Take who somebody is."""
    _entered(index, message)


def merge(index: Index, message: Message) -> None:
    """Merge the prior record of each pair into the survivor (A40)."""
    for number, group in enumerate(message.groups("PID"), 1):
        survivor = _entered(index, group)[0].identifier
        priors = identifiers(group, "MRG-1")
        if not priors:
            raise HL7Error(101, f"MRG[{number}]-1", "no prior identifier")
        for prior in priors:
            index.merge(survivor, prior, f"MRG[{number}]-1")


def rename(index: Index, message: Message) -> None:
    """Give a record another identifier (A47)."""
    now, before = identifiers(message), identifiers(message, "MRG-1")
    if len(now) != 1 or len(before) != 1:
        raise HL7Error(101, "MRG-1", "one new and one prior identifier")
    index.rename(now[0], before[0], "MRG-1")


def _tied(kind: str) -> Change:
    def tie(index: Index, message: Message) -> None:
        pids = message.groups("PID")
        if len(pids) != 2:  # noqa: PLR2004 - two identifiers
            raise HL7Error(100, "PID", "two patients to link or to take apart")
        both = []
        for number, group in enumerate(pids, 1):
            found = identifiers(group)
            if not found:
                raise HL7Error(101, f"PID[{number}]-3", "no patient identifier")
            both.append(index.record(found[0], f"PID[{number}]-3"))
        index.tie(both[0], both[1], kind)

    return tie


CHANGES: Final[dict[str, Change]] = {
    **{f"ADT^{event}": register for event in REGISTERS},
    "ADT^A40": merge,
    "ADT^A47": rename,
    "ADT^A24": _tied(LINKED),
    "ADT^A37": _tied(APART),
}


def _named(message: Message) -> list[Identifier]:
    """Return every identifier a message speaks of."""
    groups = message.groups("PID")
    return [one for group in groups for place in ("PID-3", "MRG-1") for one in identifiers(group, place)]


class Notices:
    """Tells consumers of cross references that have changed."""

    def __init__(self, bench: Bench, index: Index) -> None:
        self._bench = bench
        self._index = index

    def handlers(self) -> dict[str, Handler]:
        """Return the feed's handlers; each compares what consumers know before and after."""
        return {kind: self._watched(change) for kind, change in CHANGES.items()}

    def _watched(self, change: Change) -> Handler:
        def handle(index: Index, message: Message, now: datetime) -> Reply:
            return Reply(sends=self.watch(_named(message), lambda: change(index, message), now))

        return handle

    def watch(self, named: Sequence[Identifier], change: Callable[[], None], now: datetime) -> list[Send]:
        """Do something to the named records and return a notice for every cross reference that is another now."""
        before = {actor: self._around(named, domains) for actor, domains in self._consumers()}
        change()
        sends: list[Send] = []
        for actor, domains in self._consumers():
            were = before[actor]
            are = self._around(
                [*named, *(one.identifier for key in were if (one := self._index.records.get(key)))], domains
            )
            changed = dict.fromkeys(ids for key, ids in are.items() if ids and were.get(key) != ids)
            sends += [
                self._notice(actor, ids, now) for ids in changed if len(ids) > 1 or self._parted(ids, were)
            ]
        return sends

    def _consumers(self) -> list[tuple[str, tuple[str, ...]]]:
        return list(self._index.settings.notify.items()) if self._index.habits.notifies() else []

    def _around(self, named: Iterable[Identifier], domains: tuple[str, ...]) -> Known:
        """Return what a consumer of some domains knows of the named records and of everybody joined to them."""
        index = self._index
        found: Known = {}
        for one in named:
            record = index.records.get(str(one))
            if record is not None and index.habits.offers(record) and record.key not in found:
                people = [each for each in index.person(record) if each.domain in domains]
                ids = tuple(sorted(each.identifier for each in people))
                found |= {each.key: ids for each in people}
        return found

    def _parted(self, ids: tuple[Identifier, ...], were: Known) -> bool:
        """Tell whether somebody who stands alone now had other identifiers before; a newcomer alone is no news."""
        return any(len(were.get(str(one), ())) > 1 for one in ids)

    def _notice(self, actor: str, ids: tuple[Identifier, ...], now: datetime) -> Send:
        receiver = self._bench.directory[actor].application or actor
        envelope = Envelope(self._bench.application, receiver, self._index.control(), now)
        return Send(actor, notice(ids, envelope), control=envelope.control)
