"""Which witness reads a tap's connections, and on whose behalf it writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stepwedge.clock import moment
from stepwedge.sim.tap.witness_dimse import DimseWitness
from stepwedge.sim.tap.witness_hl7 import Hl7Witness
from stepwedge.sim.tap.witness_tls import PROTOCOLS, TlsWitness
from stepwedge.sim.tap.witness_web import WebWitness
from stepwedge.wire.overheard import Room, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.errors import WireError
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Edge
    from stepwedge.sim.tap.witness import Witness


class Witnesses:
    """The witnesses of one process, which share what room there is for data sets and bodies under way."""

    def __init__(self, bench: Callable[[str], Bench | None]) -> None:
        """Write on what ``bench(callee)`` gives; None for a system that keeps a journal of its own."""
        self._bench, self._room = bench, Room()
        self._slow = False

    async def ready(self) -> None:
        """Load beforehand, beside the loop, what the first connections that are read would have to wait for."""
        if self._slow:
            await asyncio.to_thread(prepare)

    def refused(self, edge: Edge) -> Callable[[str, WireError], None]:
        """Return what writes down a handshake that came to nothing where TLS ends in a tap."""
        bench = self._bench(edge.callee)

        def note(_: str, why: WireError) -> None:
            if bench is not None:
                facts = {"error": str(why), "tap": str(edge)}
                bench.record(
                    PROTOCOLS[edge.door],
                    "in",
                    "TLS",
                    began=moment(),
                    peer=edge.caller,
                    outcome="refused",
                    facts=facts,
                )

        return note

    def of(self, edge: Edge, place: object, *, sealed: bool) -> Callable[[Line], Witness | None]:
        """Return what makes a witness for each connection at a door; ``place`` is its URL or its address."""
        bench = self._bench(edge.callee)
        if bench is None:
            return lambda _: None
        if sealed:
            return lambda _: TlsWitness(bench, edge)
        if edge.door == "syslog":  # a repository that is not simulated is asked what it holds
            return lambda _: None
        if edge.door == "hl7":
            return lambda _: Hl7Witness(bench, edge)
        self._slow = True
        if edge.door in {"dicom", "worklist"}:
            return lambda _: DimseWitness(bench, edge, self._room)
        root = urlsplit(str(place)).path
        return lambda _: WebWitness(bench, edge, self._room, root)
