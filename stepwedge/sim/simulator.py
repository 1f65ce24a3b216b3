"""One simulated system: its doors, what it can be told to do and what it can be asked."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from stepwedge.errors import BadInput, Broken
from stepwedge.sim.address import Address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tables import State


DOORS_CLOSED = 30.0
LONGEST_CLOSED = 3600.0
"""Seconds after which closed doors open by themselves, and the longest that can be asked for."""


@dataclass(frozen=True, slots=True)
class Case:
    """The case an act is done for: its id, and the seed identifiers are made from.

    Attributes:
        again: the act before was this one, and nobody knows what became of it.
    """

    id: str = ""
    seed: int | None = None
    again: bool = False


class Door(Protocol):
    """A listener of a simulated system."""

    async def start(self) -> Address:
        """Listen, and return the address to be reached at."""
        ...

    async def stop(self) -> None:
        """Stop listening and end what is open."""
        ...


class Closable(Protocol):
    """What holds connections of its own."""

    async def close(self) -> None:
        """End them."""
        ...


@dataclass
class Simulator:
    """What the host starts, stops and talks to; ``build(bench)`` of a simulator's package returns one.

    Attributes:
        acts: word to coroutine function ``(args, case) -> result``, called with the checked JSON arguments.
        asks: question to function ``(args) -> JSON`` (plain or coroutine), reading the state only.
        background: coroutine functions started when all addresses are known, and cancelled when it stops.
        calling: AE title it calls from, when it has no DICOM door.
        closes: what else is closed in the end, such as a ``Web`` client.
    """

    bench: Bench
    state: State
    doors: Sequence[Door] = ()
    acts: Mapping[str, Callable[[dict[str, Any], Case], Awaitable[dict[str, Any]]]] = field(
        default_factory=dict
    )
    asks: Mapping[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    calling: str | None = None
    closes: Sequence[Closable] = ()
    _address: Address = field(default_factory=Address)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _reopening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open every door."""
        self._address = Address(application=self.bench.application, calling=self.calling)
        for door in self.doors:
            self._address = self._address.joined(await door.start())

    def begin(self) -> None:
        """Let out what waits and start what runs in the background; called when every actor's address is known."""
        if self.bench.trail is not None:
            self.bench.trail.application(starts=True)
            self.bench.trail.network(enters=True)
        self.bench.outbox.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work()) for work in self.background]

    async def stop(self) -> None:
        """Close every door, then end all that is on its way out."""
        for task in self._tasks:
            task.cancel()
        self._stop_reopening()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.bench.trail is not None:
            self.bench.trail.network(enters=False)
        for door in self.doors:
            await door.stop()
        for client in self.closes:
            await client.close()
        if self.bench.trail is not None:
            await self.bench.trail.end()
        await self.bench.stop()

    def addresses(self) -> Address:
        """Return where this system can be reached; complete after :meth:`start`."""
        return self._address

    async def act(self, word: str, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Do one word, and put it into the journal with its result or its trouble."""
        acts = {"close_doors": self._close_doors, "open_doors": self._open_doors, **self.acts}
        if (do := acts.get(word)) is None:
            raise Broken(f"{self.bench.name} cannot {word!r}; it can {', '.join(sorted(acts))}")
        if case.again:
            with self.bench.change(self.state):
                self.state.count_again(case.id)
        self.state.count_from_here(case.id)
        with self.bench.acting(word, args, case) as result:
            result.update(await do(args, case))
        return dict(result)

    async def _close_doors(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Stop listening: whoever calls is refused by the operating system, as when the machine is down.

        After ``seconds`` the doors open by themselves, so that a case that ends early leaves nobody unreachable.
        """
        del case
        seconds = float(args.get("seconds") or DOORS_CLOSED)
        if not 0 < seconds <= LONGEST_CLOSED:
            raise BadInput("close_doors: seconds", f"more than 0, at most {LONGEST_CLOSED:g}", str(seconds))
        self._stop_reopening()
        for door in self.doors:
            await door.stop()
        self._reopening = asyncio.get_running_loop().create_task(self._reopen(seconds))
        return {"doors": len(self.doors)}

    async def _open_doors(self, args: dict[str, Any], case: Case) -> dict[str, Any]:
        """Listen again, at the addresses known before."""
        del args, case
        if self._stop_reopening():
            await self._reopen(0)
        return {"doors": len(self.doors)}

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for door in self.doors:
            await door.start()
        self._reopening = None

    def _stop_reopening(self) -> bool:
        """Cancel the opening that is planned; tell whether one was."""
        planned, self._reopening = self._reopening, None
        return planned is not None and planned.cancel()

    async def ask(self, what: str, args: dict[str, Any]) -> Any:
        """Answer one question about the state; every system can tell what is ``parked`` and ``waiting``."""
        asks = {
            "parked": lambda _: self.bench.outbox.parked(),
            "waiting": lambda _: self.bench.outbox.waiting(),
        }
        if (answer := {**asks, **self.asks}.get(what)) is None:
            raise Broken(
                f"{self.bench.name} cannot be asked {what!r}; it answers {', '.join(sorted({**asks, **self.asks}))}"
            )
        found = answer(args)
        return await found if inspect.isawaitable(found) else found

    def reset(self) -> None:
        """Forget every row and everything on its way out."""
        with self.bench.change(self.state):
            self.state.clear()
        self.bench.outbox.clear()
