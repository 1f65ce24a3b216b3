"""D1 and D2: an association is refused, or aborted in the midst of it (PS3.8 sections 9.3.4 and 9.3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.line import OTHER
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire import pdu

if TYPE_CHECKING:
    from stepwedge.sim.tap.line import Line


class Rejected(Whole):
    """Answers A-ASSOCIATE-RJ in the receiver's place."""

    kind = "reject"
    says = "the association is refused (A-ASSOCIATE-RJ)"
    doors = ("dicom", "worklist")
    takes = (
        Argument("result", "1 for good, 2 for now", 2, "number", 1, 2),
        Argument("source", "1 application, 2 and 3 DICOM layer", 3, "number", 1, 3),
        Argument(
            "reason", "PS3.8 table 9-21; with source 3: 1 congestion, 2 limit exceeded", 1, "number", 1, 10
        ),
    )

    def whole(self, line: Line, unit: bytes) -> None:
        """Refuse the association that is due."""
        if unit[0] != pdu.Kind.ASSOCIATE_RQ or self.spent:
            line.give(REQUEST, unit)
            return
        self.hits += 1
        result, source, reason = (int(self.args[name]) for name in ("result", "source", "reason"))
        self.acted(f"refused {result}/{source}/{reason}", line, REQUEST, len(unit))
        line.give(ANSWER, pdu.rejection(result, source, reason))
        line.close()


class Aborted(Whole):
    """Sends A-ABORT both ways behind the PDU it was told."""

    kind = "abort"
    says = "the association is aborted (A-ABORT)"
    doors = ("dicom", "worklist")
    takes = (
        Argument("source", "0 the peer's application, 2 its DICOM layer", 0, "number", 0, 2),
        Argument("reason", "PS3.8 table 9-26, for source 2", 0, "number", 0, 6),
    )

    def whole(self, line: Line, unit: bytes) -> None:
        """Abort instead of handing on the PDU behind those that pass."""
        if not self.chosen(line):
            line.give(self.side, unit)
            return
        source, reason = int(self.args["source"]), int(self.args["reason"])
        self.acted(f"aborted {source}/{reason}", line, self.side, len(unit))
        for side in (self.side, OTHER[self.side]):
            line.give(side, pdu.abort(source, reason))
        line.close()
