"""DIMSE that passes to a system that is not ours, read into the journal as that system would have written it down."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim import datasets, keys
from stepwedge.sim.dimse import described
from stepwedge.wire.dimse import DimseExchange
from stepwedge.wire.overheard import ACCEPTOR, REQUESTOR, Incident, Overheard, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.tap import Edge
    from stepwedge.wire.overheard import Room, Told


class DimseWitness:
    """Both directions of one association, either of which can ask (C-GET, N-EVENT-REPORT)."""

    def __init__(self, bench: Bench, edge: Edge, room: Room) -> None:
        """Describe what happens on the ``bench`` of the system at the far end; hold data sets in ``room``."""
        self.bench, self._edge = bench, edge
        self._association = Overheard(room, _look)

    def asked(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what was handed to the system."""
        return self._described(self._association.heard(REQUESTOR, data, at), at)

    def answered(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what the system said."""
        return self._described(self._association.heard(ACCEPTOR, data, at), at)

    def over(self, at: float) -> Iterator[Exchange]:
        """Tell what was never answered, and an association that nobody released."""
        return self._described(self._association.over(at), at)

    def missed(self, why: str, at: float) -> Iterator[Exchange]:
        """Tell that reading ends here."""
        return self._described(self._association.lose(why, at), at)

    def _described(self, told: Iterable[Told], at: float) -> Iterator[Exchange]:
        for one in told:
            if isinstance(one, DimseExchange):
                peer, tap = self._edge.caller, str(self._edge)
                yield described(self.bench, one, peer=peer, tap=tap, ended=at)
            else:
                yield self._incident(one, at)

    def _incident(self, one: Incident, at: float) -> Exchange:
        command = one.command
        sop_class = command.get("AffectedSOPClassUID") or command.get("RequestedSOPClassUID") or ""
        sop = command.get("AffectedSOPInstanceUID") or command.get("RequestedSOPInstanceUID") or ""
        facts: dict[str, Any] = {"calling": one.calling, "called": one.called, "error": one.error}
        if command:
            facts |= {"command": command, "sop_class": sop_class, "sop": sop}
        return self.bench.exchange(
            "dimse",
            "in" if one.side == REQUESTOR else "out",
            one.kind,
            began=one.began,
            took=max(at - one.began, 0.0),
            peer=self._edge.caller,
            outcome=one.outcome,
            keys=keys.of_dimse(sop_class, sop, ()),
            facts={**facts, "tap": str(self._edge)},
        )


def _look(exchange: DimseExchange) -> None:
    """Read and hash an image while the callee is at work on it, not when its answer waits to be handed on."""
    if exchange.kind == "C-STORE" and not isinstance(exchange.data, Part):
        with contextlib.suppress(RemoteProtocolError):  # said when the operation is described
            datasets.read(exchange.data, exchange.context.transfer)
