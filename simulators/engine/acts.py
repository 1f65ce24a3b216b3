"""What the interface engine can be told to do and asked, as ``stepwedge.actors.words_engine`` describes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput, Skipped
from stepwedge.sim.rows import pack
from stepwedge.wire.hl7 import parse

from . import translation
from .state import DEAD, UNRESOLVED, WAITING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .hl7 import Relay
    from .state import Copy, Engine, Letter


@dataclass(frozen=True)
class Operator:
    """The person at the engine's console."""

    bench: Bench
    engine: Engine
    relay: Relay

    def acts(self) -> dict[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]]:
        """Return the words of this role."""
        return {
            "replay": self.replay,
            "reload_table": self.reload_table,
            "pause": self.pause,
            "resume": self.resume,
        }

    def asks(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """Return what can be asked."""
        return {
            "trail": self._trail,
            "dead_letters": self._dead_letters,
            "unresolved": self._unresolved,
            "queues": self._queues,
            "tables": self._tables,
        }

    async def replay(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Send a dead letter again, corrected or as the tables make it now; it joins the end of its queue."""
        named = args.get("letter")
        number = str(named.get("letter", "") if isinstance(named, dict) else named)
        copy = self.engine.dead(number)
        if copy is None:
            dead = ", ".join(str(one.number) for one in self.engine.copies.by("fate", DEAD)) or "none"
            raise BadInput("engine.replay: letter", f"a dead letter; there are {dead}", number)
        letter = self.engine.letters[str(copy.letter)]
        wanted = translation.corrections(args.get("correct") or {}, letter.body, "engine.replay: correct")
        applications = self.relay.applications()
        if copy.to not in applications:
            raise BadInput("engine.replay: letter", "a destination that can be reached by HL7", copy.to)
        with self.bench.change(self.engine) as change:
            parcels = self.engine.replay(copy, applications[copy.to], wanted, self.relay.now())
            change.sends.extend(self.relay.sends(parcels, case.id))
        self.bench.outbox.forget(copy.to, str(copy.number))
        again = self.engine.copies_of(letter)[-1]
        return {"letter": str(again.number), "control": again.control, "to": again.to, "fate": again.fate}

    async def reload_table(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Give a code table other rows, for messages that come from now on."""
        del case
        name = str(args.get("table"))
        if name not in self.engine.given:
            known = ", ".join(self.engine.given) or "none: the lab file gives no tables"
            remedy = did_you_mean(name, self.engine.given).strip(" ;")
            raise BadInput("engine.reload_table: table", f"one of {known}", name, remedy)
        rows = translation.rows(args.get("rows"), "engine.reload_table: rows")
        held = self.engine.current(name)
        with self.bench.change(self.engine):
            table = self.engine.reload(name, rows)
        return {"table": name, "version": table.version, "before": dict(held.rows) if held else {}}

    async def pause(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Keep back what is for a destination; it is taken and stored all the same."""
        del case
        to = self._destination(args, "engine.pause")
        with self.bench.change(self.engine):
            self.engine.held[to] = True
        return {"destination": to}

    async def resume(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Let out what was kept back, the oldest first."""
        del case
        to = self._destination(args, "engine.resume")
        if to in self.engine.held:
            with self.bench.change(self.engine):
                del self.engine.held[to]
        self.bench.outbox.wake(to)
        return {"destination": to}

    def _destination(self, args: dict[str, Any], word: str) -> str:
        to, known = str(args.get("destination")), self.relay.applications()
        if to not in known:
            near = did_you_mean(to, known).strip(" ;")
            raise BadInput(f"{word}: destination", f"one of {', '.join(known) or 'none'}", to, near)
        return to

    # Questions

    def _trail(self, args: dict[str, Any]) -> dict[str, Any]:
        control = str(args.get("control", ""))
        numbers = [letter.number for letter in self.engine.letters.by("control", control)]
        numbers += [copy.letter for copy in self.engine.copies.by("control", control)]
        return {"letters": [self._told(self.engine.letters[str(one)]) for one in dict.fromkeys(numbers)]}

    def _told(self, letter: Letter) -> dict[str, Any]:
        copies = [self._copy(copy) for copy in self.engine.copies_of(letter)]
        known = pack(letter)
        del known["body"]
        return {**known, "message": parse(letter.body).raw.decode("latin-1"), "copies": copies}

    def _dead_letters(self, args: dict[str, Any]) -> dict[str, Any]:
        patient, to = args.get("patient"), args.get("to")
        told = [self._copy(copy) for copy in self.engine.copies.by("fate", DEAD)]
        found = [one for one in told if patient in {None, one["patient"]} and to in {None, one["to"]}]
        return {"letters": found}

    def _unresolved(self, args: dict[str, Any]) -> dict[str, Any]:
        if not self.engine.enhanced:
            raise Skipped("the engine asks nobody for two acknowledgements in this lab (enhanced:)")
        patient, to = args.get("patient"), args.get("to")
        told = [self._copy(copy) for copy in self.engine.copies.by("fate", UNRESOLVED)]
        return {
            "letters": [one for one in told if patient in {None, one["patient"]} and to in {None, one["to"]}]
        }

    def _copy(self, copy: Copy) -> dict[str, Any]:
        letter = self.engine.letters[str(copy.letter)]
        return {
            "letter": str(copy.number),
            "to": copy.to,
            "control": copy.control,
            "fate": copy.fate,
            "at": copy.at,
            "reason": copy.reason,
            "changed": dict(copy.changed),
            "kind": letter.kind,
            "from": letter.sender,
            "patient": parse(letter.body)["PID-3.1"],
        }

    def _queues(self, _: dict[str, Any]) -> dict[str, Any]:
        waiting = Counter(copy.to for copy in self.engine.copies.by("fate", WAITING))
        trouble = {one["to"]: one["trouble"] for one in self.bench.outbox.waiting()}
        dead = Counter(copy.to for copy in self.engine.copies.by("fate", DEAD))
        return {
            to: {
                "waiting": waiting[to],
                "dead": dead[to],
                "paused": to in self.engine.held,
                "trouble": trouble.get(to, ""),
            }
            for to in self.relay.applications()
        }

    def _tables(self, _: dict[str, Any]) -> dict[str, Any]:
        tables = {name: self.engine.current(name) for name in self.engine.given}
        return {
            name: {"version": table.version, "at": list(table.at), "rows": dict(table.rows)}
            for name, table in tables.items()
            if table
        }
