"""One simulated system: its doors, what it can be told to do and what it can be asked."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from stepwedge.errors import Broken
from stepwedge.sim.address import Address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tables import State


@dataclass(frozen=True, slots=True)
class Case:
    """The case an act is done for: its id, and the seed identifiers are made from."""

    id: str = ""
    seed: int | None = None


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
        if (do := self.acts.get(word)) is None:
            raise Broken(
                f"{self.bench.name} cannot {word!r}; it can {', '.join(sorted(self.acts)) or 'nothing'}"
            )
        with self.bench.acting(word, args, case) as result:
            result.update(await do(args, case))
        return dict(result)

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
