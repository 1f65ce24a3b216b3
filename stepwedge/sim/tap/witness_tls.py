"""TLS that does not end in the tap: what of it is in the clear, one exchange for each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire.overheard_tls import CLIENT, SERVER, OverheardTls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.evidence.exchange import Exchange, Protocol
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.tap import Edge

PROTOCOLS: dict[str, Protocol] = {
    "hl7": "hl7",
    "dicom": "dimse",
    "worklist": "dimse",
    "web": "web",
    "fhir": "web",
    "syslog": "syslog",
}
"""What is spoken at each door."""


class TlsWitness:
    """One connection whose content nobody reads here; outcome ``sealed``, ``refused``, ``lost`` or ``garbled``."""

    def __init__(self, bench: Bench, edge: Edge) -> None:
        """Describe what happens on the ``bench`` of the system at the far end."""
        self.bench, self._edge = bench, edge
        self._connection: OverheardTls | None = OverheardTls()
        self._began = 0.0

    def asked(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what was handed to the system."""
        return self._heard(CLIENT, data, at)

    def answered(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what the system said."""
        return self._heard(SERVER, data, at)

    def over(self, at: float) -> Iterator[Exchange]:
        """Tell of a handshake that came to nothing."""
        if self._connection is not None and self._began:
            yield self._described("lost", "the connection ended within the handshake", at)

    def missed(self, why: str, at: float) -> Iterator[Exchange]:
        """Tell that reading ends here."""
        if self._connection is not None:
            yield self._described("garbled", why, at)

    def _heard(self, side: int, data: bytes, at: float) -> Iterator[Exchange]:
        if self._connection is None:
            return
        self._began = self._began or at
        try:
            self._connection.heard(side, data)
        except RemoteProtocolError as error:
            yield self._described("garbled", str(error), at)
            return
        if self._connection.refused:
            facts = self._connection.facts
            yield self._described("refused", f"{facts['alert']}, said the {facts['alert_by']}", at)
        elif self._connection.sealed:
            yield self._described("sealed", "", at)

    def _described(self, outcome: str, error: str, at: float) -> Exchange:
        """Tell what became of the connection; nothing of it is read from here on."""
        told = self._connection.facts if self._connection else {}
        self._connection = None
        return self.bench.exchange(
            PROTOCOLS[self._edge.door],
            "in",
            "TLS",
            began=self._began or at,
            took=max(at - (self._began or at), 0.0),
            peer=self._edge.caller,
            outcome=outcome,
            facts={**({"error": error} if error else {}), "tls": told, "tap": str(self._edge)},
        )
