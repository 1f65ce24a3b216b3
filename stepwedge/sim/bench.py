"""What one simulated system stands on."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from stepwedge.clock import Clock, SystemClock, moment
from stepwedge.evidence.exchange import NOTHING, Direction, Exchange, Payload, Protocol
from stepwedge.evidence.redact import Identity
from stepwedge.sim.charsets import Charsets
from stepwedge.sim.dimse import DimseSender
from stepwedge.sim.hl7 import Hl7Sender
from stepwedge.sim.log import LogHabits
from stepwedge.sim.metrics import Counts
from stepwedge.sim.outbox import Outbox
from stepwedge.sim.quirks import Quirks
from stepwedge.sim.security import Security
from stepwedge.sim.store import Change, Store, StoreHabits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from stepwedge.evidence.journal import Journal
    from stepwedge.sim.address import Directory
    from stepwedge.sim.audit import Trail
    from stepwedge.sim.files import Files
    from stepwedge.sim.ports import Ports
    from stepwedge.sim.simulator import Case
    from stepwedge.sim.tables import State

S = TypeVar("S", bound="State")
H = TypeVar("H")
T = TypeVar("T")


class _Changing:
    """The ``with`` of :meth:`Bench.change`: a class, because a generator costs every message several microseconds."""

    __slots__ = ("_bench", "_change", "_state")

    def __init__(self, bench: Bench, state: State) -> None:
        self._bench, self._state, self._change = bench, state, Change()

    def __enter__(self) -> Change:
        state = self._state
        if (
            state.log and not state.settled()
        ):  # numbers given before are given for good, whatever becomes of this change
            self._bench.store.commit(state, self._change)
            state.keep()
        state.changing = True
        return self._change

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outbox, change = self._bench.outbox, self._change
        try:
            if kind is not None:
                self._state.undo()
                return
            if self._state.before_commit is not None and self._state.log:
                self._state.before_commit(change)
            for send in change.sends:
                outbox.check(send)
            self._bench.store.commit(self._state, change)
        except BaseException:
            self._state.undo()
            raise
        finally:
            self._state.changing = False
        self._state.keep()
        if change.sends:
            outbox.take(change.sends)


@dataclass
class Bench:
    """Everything a simulated system is given: who it is, what it keeps, whom it can reach.

    Attributes:
        name: the actor's name in the lab file (``ct``); ``role`` is the simulator that plays it (``modality``).
        settings: the actor's mapping from the lab file, without ``simulated``.
        folder: its own folder below the host's state folder, for files such as stored objects.
    """

    name: str
    role: str
    settings: dict[str, Any]
    folder: Path
    seed: int
    journal: Journal
    directory: Directory
    ports: Ports
    quirks: Quirks = field(default_factory=Quirks)
    clock: Clock = field(default_factory=SystemClock)
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        """Open the store and what waits in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.adopt(StoreHabits()).lies(str(self.folder / "state.sqlite")))
        self.outbox = Outbox(self)
        self.outbox.register("hl7", Hl7Sender(self))
        self.outbox.register("dimse", DimseSender(self))
        self.charsets = Charsets.of(self.settings, self.name)
        self.identity = Identity.of(self.settings.get("identity") or {})
        self.log = self.adopt(LogHabits())
        self.trail: Trail | None = None
        self.objects: Files | None = (
            None  # where the data sets lie that it took, for a simulator that keeps them
        )

    @cached_property
    def security(self) -> Security:
        """Who may call, and how we call others."""
        return Security(self)

    @property
    def application(self) -> str:
        """Sending and receiving application (MSH-3, MSH-5): ``application`` of the settings, or ``SW_`` and the name."""
        return str(self.settings.get("application") or f"SW_{self.name.upper()}")

    @property
    def ae_title(self) -> str:
        """AE title: ``ae_title`` of the settings, or ``SW_`` and the name."""
        return str(self.settings.get("ae_title") or f"SW_{self.name.upper()}"[:16])

    def restore(self, state: S) -> S:
        """Fill a fresh state with what the store kept, and return it."""
        self.store.load(state)
        return state

    def adopt(self, habits: H) -> H:
        """Return the habits with this system's active quirks in them."""
        return self.quirks.adopt(habits)

    async def listen(self, door: str, serve: Callable[[str, int], Awaitable[T]]) -> tuple[T, int]:
        """Call ``serve(host, port)`` with this system's port for a door: ``<door>_port`` of the settings, or a free one."""
        wish = self.settings.get(f"{door}_port")
        return await self.ports.listen(self.name, door, wish, lambda port: serve(self.ports.bind, port))

    async def stop(self) -> None:
        """End all that is on its way out and close the store."""
        await self.outbox.stop()
        self.store.close()

    def change(self, state: State) -> _Changing:
        """Change the state and send messages in one transaction; no ``await`` inside.

        On leaving, changed rows, the messages given to ``change.send`` and stored replies are durable (see
        :class:`stepwedge.sim.store.Store`); on an exception nothing has happened.
        """
        return _Changing(self, state)

    def exchange(
        self,
        protocol: Protocol,
        direction: Direction,
        kind: str,
        *,
        began: float,
        peer: str,
        outcome: str,
        keys: dict[str, list[str]] | None = None,
        facts: dict[str, Any] | None = None,
        request: bytes | Payload = NOTHING,
        response: bytes | Payload = NOTHING,
        case: str = "",
        took: float | None = None,
    ) -> Exchange:
        """Describe one exchange that took so many seconds, or is over now; ``began`` is ``moment()`` at its start."""
        return Exchange(
            0,
            began,
            moment() - began if took is None else took,
            self.name,
            direction,
            protocol,
            kind,
            peer,
            outcome,
            keys or {},
            facts or {},
            request if isinstance(request, Payload) else Payload.of(request),
            response if isinstance(response, Payload) else Payload.of(response),
            case,
        )

    def record(self, protocol: Protocol, direction: Direction, kind: str, **told: Any) -> int:
        """Append what :meth:`exchange` describes to the journal and return its number."""
        return self.keep([self.exchange(protocol, direction, kind, **told)])

    def keep(self, exchanges: Sequence[Exchange]) -> int:
        """Append exchanges to the journal in one write, then tell audit trail and log; return the last number."""
        self.journal.extend(exchanges)
        number = self.journal.last
        for exchange in exchanges:
            self.counts.add(exchange)
            if self.trail is not None:
                self.trail.witness(exchange)
            if line := self.log.line(exchange):
                print(line, file=sys.stderr, flush=True)  # noqa: T201 - the log of a simulated system
        return number

    @contextmanager
    def acting(self, word: str, args: dict[str, Any], case: Case) -> Iterator[dict[str, Any]]:
        """Record one act with the result put into the mapping, or with the trouble that ended it."""
        from stepwedge.sim.admin import kind_of
        from stepwedge.sim.keys import of_values

        began = moment()
        result: dict[str, Any] = {}
        try:
            yield result
        except Exception as trouble:
            kind = kind_of(trouble)
            facts = {"args": args, "error": {"kind": kind, "message": str(trouble)}}
            self.record(
                "act",
                "out",
                word,
                began=began,
                peer="",
                outcome=kind,
                keys=of_values(args),
                facts=facts,
                case=case.id,
            )
            raise
        keys = of_values([args, result])
        facts = {"args": args, "result": dict(result)}
        self.record(
            "act", "out", word, began=began, peer="", outcome="passed", keys=keys, facts=facts, case=case.id
        )
