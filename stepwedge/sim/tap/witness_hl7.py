"""HL7 that passes to a system that is not ours, read into the journal as that system would have written it down."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from stepwedge.errors import RemoteProtocolError
from stepwedge.evidence.redact import refusal
from stepwedge.sim import keys
from stepwedge.wire.hl7 import HL7Error, control_of, parse
from stepwedge.wire.mllp import Frame, Framer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.tap import Edge

_OPEN: Final = 64
"""Messages without an answer that are kept on one connection; older ones are journaled as unanswered."""


class Hl7Witness:
    """Both directions of one MLLP connection: an answer belongs to the message whose MSH-10 its MSA-2 repeats."""

    def __init__(self, bench: Bench, edge: Edge) -> None:
        """Describe what happens on the ``bench`` of the system at the far end."""
        self.bench, self._edge = bench, edge
        self._said: list[Framer | None] = [Framer(), Framer()]
        self._open: deque[tuple[str, bytes, float]] = deque()
        self._why = ""

    def asked(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what was handed to the system."""
        for raw in self._frames(0, data):
            self._open.append((control_of(raw), raw, at))
            if len(self._open) > _OPEN:
                yield self._described(*self._open.popleft()[1:], b"", "timeout", at)
        yield from self._stuck(0, at)

    def answered(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what the system said."""
        for raw in self._frames(1, data):
            code, control = _answer(raw)
            for one in self._open:
                if one[0] == control:
                    self._open.remove(one)
                    yield self._described(one[1], one[2], raw, code, at)
                    break
        yield from self._stuck(1, at)

    def over(self, at: float) -> Iterator[Exchange]:
        """Tell what was never answered."""
        while self._open:
            yield self._described(*self._open.popleft()[1:], b"", "lost", at)

    def missed(self, why: str, at: float) -> Iterator[Exchange]:
        """Tell that reading ends here."""
        self._said = [None, None]
        self._open.clear()
        yield self._trouble(0, why, at)

    def _stuck(self, direction: int, at: float) -> Iterator[Exchange]:
        """Tell once that a direction cannot be read any more."""
        if self._why and self._said[direction] is None:
            why, self._why = self._why, ""
            yield self._trouble(direction, why, at)

    def _trouble(self, direction: int, why: str, at: float) -> Exchange:
        return self.bench.exchange(
            "hl7",
            "out" if direction else "in",
            "unreadable",
            began=at,
            took=0.0,
            peer=self._edge.caller,
            outcome="garbled",
            facts={"error": why, "tap": str(self._edge)},
        )

    def _frames(self, direction: int, data: bytes) -> Iterator[bytes]:
        framer = self._said[direction]
        if framer is None:
            return  # the stream has lost its frame boundaries: the systems themselves will end it
        framer.receive_data(data)
        try:
            while isinstance(event := framer.next_event(), Frame):
                yield event.payload
        except RemoteProtocolError as error:
            self._said[direction], self._why = None, str(error)

    def _described(self, raw: bytes, began: float, reply: bytes, outcome: str, at: float) -> Exchange:
        bench = self.bench
        try:
            message = parse(raw)
        except HL7Error as error:
            kind, found, facts = "unreadable", {}, {"error": str(error)}
            if bench.identity.patients:  # nobody can tell whom it speaks of
                raw, reply = b"", b""
        else:
            kind, found, facts = message.type, keys.of_message(message), {}
        facts["tap"] = str(self._edge)
        if refusal(bench.identity, patients=[*found.get("patient", ()), *found.get("prior", ())]):
            raw, reply, found = b"", b"", {}
            facts["refused"] = "identifiers that are not synthetic"
        return bench.exchange(
            "hl7",
            "in",
            kind,
            began=began,
            took=at - began,
            peer=self._edge.caller,
            outcome=outcome,
            keys=found,
            facts=facts,
            request=raw,
            response=reply,
        )


def _answer(raw: bytes) -> tuple[str, str]:
    """Return MSA-1 and MSA-2, read off the segment alone; empty where there is none."""
    start = raw.find(b"\rMSA" + raw[3:4])
    fields = raw[start + 1 :].partition(b"\r")[0].split(raw[3:4], 3) if start >= 0 else []
    if len(fields) < 3:  # noqa: PLR2004 - MSA-2, counted with the segment's name
        return "garbled", ""
    return fields[1].decode("latin-1"), fields[2].decode("latin-1")
