"""The taps of a hospital: put between caller and callee when it starts, told which fault to let act."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from stepwedge.clock import moment
from stepwedge.errors import BadInput, Broken
from stepwedge.sim.address import Address, Directory
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import Fault, Wish
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.tap import Edge, Seal, Tap
from stepwedge.sim.tap.units import UNITS
from stepwedge.wire.tls import Credentials
from stepwedge.wire.tls_asyncio import Gate, nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stepwedge.errors import WireError
    from stepwedge.sim.ports import Ports
    from stepwedge.sim.tap.apart import Apart

LONGEST: Final = 120.0
"""Seconds after which a fault is lifted, whatever became of the case that began it."""
_KEPT: Final = 1000
"""Faults that are remembered after they were lifted."""


@dataclass(frozen=True, slots=True)
class TapPlan:
    """One tap of a lab file: ``on: caller->callee``, which doors (none named: all), and the ports where a real caller finds them.

    Attributes:
        terminate: the ``tls`` of the lab when TLS is to end in the tap; None hands it on as it is.
    """

    caller: str
    callee: str
    doors: tuple[str, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)
    terminate: dict[str, Any] | None = None

    @classmethod
    def parse(cls, written: Any, place: str) -> TapPlan:
        """Read ``{"on": "ris->pacs", "doors": ["hl7"], "ports": {"hl7": 2576}, "terminate": {"folder": ...}}``."""
        if not isinstance(written, dict) or not isinstance(written.get("on"), str):
            raise BadInput(place, "a tap such as {on: ris->pacs}", repr(written))
        caller, callee = ends(written["on"], place)
        doors, ports = tuple(written.get("doors") or ()), dict(written.get("ports") or {})
        return cls(caller, callee, doors, ports, written.get("terminate") or None)

    def seal(self, refused: Callable[[str, WireError], None]) -> Seal:
        """End TLS between the two: the caller is shown the callee's certificate of the lab, the callee the caller's."""
        written = self.terminate or {}
        gate, ours = (Credentials.parse(written, name, "tls") for name in (self.callee, self.caller))
        return Seal(Gate(gate, refused=refused), ours.client())


def ends(on: str, place: str) -> tuple[str, str]:
    """Return caller and callee of ``ris->pacs``."""
    caller, arrow, callee = (part.strip() for part in on.partition("->"))
    if not (caller and arrow and callee) or caller == callee:
        raise BadInput(place, "caller->callee, such as ris->pacs", on)
    return caller, callee


@dataclass
class Running:
    """A fault that was begun.

    Attributes:
        left: what of it is still there after it was lifted; empty when nothing is.
    """

    number: int
    edge: str
    case: str
    fault: Fault
    taps: list[Tap]
    began: float
    ended: float = 0.0
    left: str = ""
    alarm: asyncio.Task[None] | None = None

    def told(self) -> dict[str, Any]:
        """Return what it was and did, as JSON values."""
        return {
            "fault": self.number,
            "on": self.edge,
            "kind": self.fault.kind,
            "side": self.fault.side,
            "case": self.case,
            "began": self.began,
            "ended": self.ended,
            "left": self.left,
            **self.fault.told(),
        }


class Taps:
    """All taps of one host process."""

    def __init__(self, plans: list[TapPlan], ports: Ports) -> None:
        """Put them in place with :meth:`start`."""
        self._plans, self._ports = plans, ports
        self.taps: list[Tap] = []
        self._watch: Apart | None = None
        self.faults: dict[int, Running] = {}
        self._count = 0

    async def start(
        self,
        directory: Directory,
        wire: Callable[[str, Directory], None],
        watch: Apart | None = None,
    ) -> None:
        """Listen for every edge, and let ``wire(caller, directory)`` give each caller the addresses it is to use."""
        self._watch = watch
        own: dict[str, Directory] = {}
        for plan in self._plans:
            doors = [door for door in UNITS if _streams(getattr(directory[plan.callee], door))]
            for door in plan.doors or doors:
                tap = self._tap(plan, Edge(plan.caller, plan.callee, door), directory, watch)
                await self._listen(tap, plan.ports.get(door))
                self.taps.append(tap)
                view = own.setdefault(plan.caller, Directory(directory))
                view[plan.callee] = moved(view[plan.callee], door, tap.port)
        if watch:
            await watch.start()
        for caller, view in own.items():
            wire(caller, view)

    def _tap(self, plan: TapPlan, edge: Edge, directory: Directory, watch: Apart | None) -> Tap:
        """Make one tap; TLS at its door ends in it or passes."""
        at = directory.door(edge.callee, edge.door)
        if not _streams(at):
            raise BadInput(f"taps: {edge}", "a door of streams", str(at), "a tap hands on no datagrams")
        tls = _secured(at)
        seal = plan.seal(watch.refused(edge) if watch else nobody) if tls and plan.terminate else None
        sealed = tls and seal is None
        reads = watch.of(edge, at, sealed=sealed) if watch else None
        return Tap(edge, place(at), reads or (lambda _: None), seal=seal, sealed=sealed, behind=watch)

    async def _listen(self, tap: Tap, wish: int | None) -> None:
        edge = tap.edge
        await self._ports.listen(f"tap.{edge.caller}.{edge.callee}", edge.door, wish, tap.listen)

    def on(self, edge: str, door: str = "") -> list[Tap]:
        """Return the taps of an edge such as ``ris->pacs``, at one door or all."""
        caller, callee = ends(edge, "fault.on")
        return [
            tap
            for tap in self.taps
            if (tap.edge.caller, tap.edge.callee) == (caller, callee) and door in {"", tap.edge.door}
        ]

    async def begin(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Let a fault act on the taps of an edge; return what it is, with its number.

        Raises BadInput for what cannot be read, Broken where no tap is or one has a fault already.
        """
        edge, kind = str(asked.get("on", "")), kinds().get(str(asked.get("kind", "")))
        if kind is None:
            raise BadInput("fault.kind", f"one of {', '.join(kinds())}", str(asked.get("kind")))
        doors = kind.doors
        taps = [
            tap for tap in self.on(edge, str(asked.get("door") or "")) if not doors or tap.edge.door in doors
        ]
        if not taps:
            where = f"{edge} {asked.get('door') or ' or '.join(doors)}".strip()
            raise Broken(
                f"there is no tap on {where} for {kind.kind}; taps: {', '.join(str(t.edge) for t in self.taps)}"
            )
        fault = kind(_wish(asked))
        self._count += 1
        running = Running(self._count, edge, str(asked.get("case", "")), fault, taps, moment())
        try:
            for tap in taps:
                await tap.begin(fault)
        except BaseException:  # on all of them, or on none
            await self._lift(running)
            raise
        self.faults[running.number] = running
        if len(self.faults) > _KEPT:
            del self.faults[next(iter(self.faults))]
        seconds = min(float(asked.get("seconds") or LONGEST), LONGEST)
        running.alarm = asyncio.get_running_loop().create_task(self._later(running, seconds))
        return running.told()

    async def _later(self, running: Running, seconds: float) -> None:
        await asyncio.sleep(seconds)
        running.alarm = None
        await self._lift(running)

    async def lift(self, number: int) -> dict[str, Any]:
        """Lift a fault, if it is still on, and return all it did."""
        if number not in self.faults:
            raise BadInput("fault", "the number of a fault that was begun", str(number))
        running = self.faults[number]
        await self._lift(running)
        return running.told()

    async def _lift(self, running: Running) -> None:
        if running.alarm is not None:
            running.alarm.cancel()
        if running.ended:
            return
        left = [await tap.lift() for tap in running.taps if tap.fault is running.fault]
        running.left = "; ".join(filter(None, left))
        running.ended = moment()

    def told(self) -> dict[str, Any]:
        """Return taps and faults, as JSON values."""
        taps = [
            {
                "on": f"{tap.edge.caller}->{tap.edge.callee}",
                "door": tap.edge.door,
                "port": tap.port,
                "lines": len(tap.lines),
                "fault": tap.fault.kind if tap.fault else "",
            }
            for tap in self.taps
        ]
        return {"taps": taps, "faults": [one.told() for one in self.faults.values()]}

    async def stop(self) -> None:
        """Lift every fault and close every tap."""
        for running in self.faults.values():
            await self._lift(running)
        for tap in self.taps:
            await tap.close()
        if self._watch is not None:
            await self._watch.stop()

    async def caught_up(self) -> None:
        """Wait until what passed by now is in the journal, as far as it is read and not far behind."""
        if self._watch is not None:
            await self._watch.caught_up()


def _streams(door: Any) -> bool:
    """Tell whether a door is there and is one that a tap can stand before: not one of datagrams."""
    return door is not None and getattr(door, "transport", "tcp") != "udp"


def _secured(door: Any) -> bool:
    """Tell whether TLS is spoken at a door."""
    if isinstance(door, str):
        return door.startswith("https:")
    return bool(getattr(door, "tls", False)) or getattr(door, "transport", "") == "tls"


def place(door: Any) -> tuple[str, int]:
    """Return host and port of a door."""
    if isinstance(door, str):
        url = urlsplit(door)
        return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    return door.host, door.port


def moved(address: Address, door: str, port: int) -> Address:
    """Return an address with one door led through a tap on the loopback address."""
    here = getattr(address, door)
    there: Any
    if isinstance(here, str):
        there = urlunsplit(urlsplit(here)._replace(netloc=f"{Tap.host}:{port}"))
    else:
        there = here._replace(host=Tap.host, port=port)
    return replace(address, **{door: there})


def _wish(asked: Mapping[str, Any]) -> Wish:
    after = asked.get("after") or {}
    units = after.get("pdu") or after.get("frame") or 0  # a step names both, one of them 0
    return Wish(
        str(asked["kind"]),
        asked.get("side") or None,
        After(int(units), int(after.get("bytes", 0)), int(after.get("connection", 0))),
        int(asked.get("times") or 0),
        dict(asked.get("args") or {}),
        int(asked.get("seed") or 0),
    )
