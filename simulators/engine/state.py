"""The engine's books: every letter it took, each copy and its fate, the code tables in all their versions. Pure.

A letter is a message as it came. Each destination gets a copy, translated by the tables as they are at that moment. A
copy that cannot be translated, or that its destination refuses, is a dead letter: it waits aside with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import HL7Error, parse
from stepwedge.wire.hl7_edit import Draft

from . import translation
from .translation import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.wire.hl7 import Message

    from .habits import EngineHabits
    from .routes import Route

WAITING, DELIVERED, DEAD, HANDED_BACK, REPLAYED = "waiting", "delivered", "dead", "handed back", "replayed"
UNRESOLVED = "unresolved"
"""What becomes of a copy; ``unresolved`` was accepted (CA), and its application has not said what it made of it; ``handed back`` is a refusal its sender was told, so that sending again is the sender's business."""
_TYPE_BY_ROUTE: Final = 200
"""HL7 table 0357, unsupported message type: no route takes it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it came in.

    Attributes:
        control: MSH-10.
        sender: actor that sent it, or its application (MSH-3).
        at: when it was accepted, ``YYYYMMDDHHMMSS``.
        routes: names of the routes that took it.
        replies: destination whose answer the sender waits for; empty when the engine answers itself.
    """

    number: int
    control: str
    sender: str
    kind: str
    at: str
    body: bytes
    routes: tuple[str, ...]
    replies: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """What one destination gets of a letter.

    Attributes:
        number: its own, of all copies; names it in the outbox and in ``engine.replay``.
        control: MSH-10 it travels under: the letter's own, or a new one when an operator changed its content.
        changed: place to the reason why it differs from the letter.
        answer: what the destination answered at last.
    """

    number: int
    letter: int
    to: str
    control: str
    fate: str
    at: str
    reason: str = ""
    changed: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    replays: int = 0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A copy ready to leave."""

    copy: Copy
    body: bytes


class Engine(State):
    """All tables of the engine, and what may happen to them."""

    def __init__(
        self,
        seed: int,
        name: str,
        *,
        routes: tuple[Route, ...],
        tables: Mapping[str, Table],
        habits: EngineHabits,
        enhanced: tuple[str, ...] = (),
    ) -> None:
        super().__init__(seed, name)
        self.routes = {route.name: route for route in routes}
        self.given = tables
        self.habits = habits
        self.enhanced = enhanced
        self.letters = self.table("letters", Letter)
        self.copies = self.table("copies", Copy)
        self.versions = self.table("versions", Table)
        self.held = self.table("held", bool)
        self.letters.index("control", lambda letter: [letter.control])
        self.copies.index("letter", lambda copy: [str(copy.letter)])
        self.copies.index("control", lambda copy: [copy.control])
        self.copies.index("fate", lambda copy: [copy.fate])

    # --- tables

    def current(self, name: str) -> Table | None:
        """Return a code table as it is now."""
        given = self.given.get(name)
        number = self.counters.get(f"version of {name}") or 0
        return self.versions.get(f"{name} {number}") or given

    def reload(self, name: str, rows: dict[str, str]) -> Table:
        """Give a table other rows, for messages that come from now on; every version is kept."""
        table = self.current(name)
        if table is None:
            raise KeyError(name)
        self.counters[f"version of {name}"] = version = table.version + 1
        self.versions[f"{name} {version}"] = new = replace(table, rows=rows, version=version)
        return new

    # --- messages

    def take(
        self, message: Message, sender: str, applications: Mapping[str, str], now: str, listener: str = ""
    ) -> tuple[Letter, list[Parcel]]:
        """Take a message and return the copies that can leave; the others are dead letters.

        ``applications`` are the destinations that can be reached, each with the name it is addressed by (MSH-5).
        """
        routes = [route for route in self.routes.values() if route.takes(message, sender, listener)]
        if not routes:
            raise HL7Error(
                _TYPE_BY_ROUTE,
                "MSH-9",
                f"no route takes {message.type} from {sender}{f' at {listener}' if listener else ''}",
            )
        ways = self._ways(routes, applications)
        replying = next((to for to, route in ways.items() if route.reply == "destination"), "")
        number = self.next("letter")
        names = tuple(route.name for route in routes)
        letter = Letter(number, message.control, sender, message.type, now, message.raw, names, replying)
        self.letters[str(number)] = letter
        parcels = []
        for to in self.habits.destinations(tuple(ways)):
            copy = Copy(self.next("copy"), number, to, message.control, WAITING, now)
            parcels += self._write(copy, letter, applications[to], {}, now)
        return letter, parcels

    def _ways(self, routes: list[Route], applications: Mapping[str, str]) -> dict[str, Route]:
        """Return each destination with the first route that names it."""
        ways: dict[str, Route] = {}
        for route in routes:
            for to in route.to:
                if to in applications:
                    ways.setdefault(to, route)
                elif not route.optional:
                    known = ", ".join(applications) or "nobody"
                    raise HL7Error(
                        207, "", f"{route.name} leads to {to}, but only {known} can be reached by HL7"
                    )
        return ways

    def _write(
        self, copy: Copy, letter: Letter, application: str, corrections: Mapping[str, str], now: str
    ) -> list[Parcel]:
        """File a copy as it is to leave, or as a dead letter when it cannot be written."""
        draft = Draft(parse(letter.body))
        try:
            draft.put("MSH-5", application, "addressed to the destination")
            self._ask(draft, copy.to)
            if copy.control != letter.control:
                draft.put("MSH-10", copy.control, "corrected by an operator")
            self._translate(draft, letter, copy.to)
            translation.correct(draft, corrections)
            body = draft.body(self.habits.segment)
        except HL7Error as error:
            self.copies[str(copy.number)] = replace(copy, fate=DEAD, at=now, reason=f"not sent: {error}")
            return []
        self.copies[str(copy.number)] = copy = replace(copy, changed=draft.changed)
        return [Parcel(copy, body)]

    def _ask(self, draft: Draft, to: str) -> None:
        """Ask the destination for the acknowledgements of its own mode; the sender's wishes end here."""
        wanted = "AL" if to in self.enhanced else ""
        for place in ("MSH-15", "MSH-16"):
            if draft.message[place] != wanted:
                draft.put(place, wanted, "acknowledged in the destination's mode")

    def _translate(self, draft: Draft, letter: Letter, to: str) -> None:
        """Apply what the first route to a destination says: proprietary segments, then tables as they are now."""
        route = next((r for name in letter.routes if (r := self.routes.get(name)) and to in r.to), None)
        if route is None:  # the lab file has changed since the message came
            raise HL7Error(207, "", f"no route leads to {to} any more")
        translation.normalise(draft, route.normal)
        for name in route.translate:
            if table := self.current(name):
                translation.apply(draft, table)

    def decided(self, copy: Copy, code: str, reason: str, answer: bytes, now: str) -> Copy:
        """Write down what became of a copy."""
        fate = DELIVERED
        if not reason and self.habits.unresolved(code, asked=copy.to in self.enhanced):
            fate, reason = UNRESOLVED, "CA, and no application acknowledgement in time"
        elif reason:
            told = self.letters[str(copy.letter)].replies == copy.to and answer and not copy.replays
            fate = HANDED_BACK if told else DEAD
        after = replace(copy, fate=fate, at=now, reason=reason or code, answer=answer)
        self.copies[str(copy.number)] = after
        return after

    def replay(self, copy: Copy, application: str, corrections: Mapping[str, str], now: str) -> list[Parcel]:
        """Write a dead letter anew, by the tables as they are now; other content travels under another control ID."""
        letter = self.letters[str(copy.letter)]
        again = Copy(
            self.next("copy"), letter.number, copy.to, letter.control, WAITING, now, replays=copy.replays + 1
        )
        if corrections or copy.changed or copy.control != letter.control:
            again = replace(again, control=self.control())
        parcels = self._write(again, letter, application, corrections, now)
        self.copies[str(copy.number)] = replace(copy, fate=REPLAYED, at=now)
        return parcels

    def dead(self, number: str) -> Copy | None:
        """Return one dead letter by its number, or the only one under a control ID."""
        if (copy := self.copies.get(number)) and copy.fate == DEAD:
            return copy
        letters = {letter.number for letter in self.letters.by("control", number)}
        dead = self.copies.by("fate", DEAD)
        found = [one for one in dead if one.control == number or one.letter in letters]
        return found[0] if len(found) == 1 else None

    def unresolved(self, to: str, control: str) -> Copy | None:
        """Return the copy under a control ID of which a destination's application has said nothing yet."""
        found = self.copies.by("control", control)
        return next((one for one in found if one.to == to and one.fate == UNRESOLVED), None)

    def copies_of(self, letter: Letter) -> list[Copy]:
        """Return every copy of a letter, replays too, in the order they were made."""
        return sorted(self.copies.by("letter", str(letter.number)), key=lambda copy: copy.number)
