"""D4: presentation contexts are not accepted, or only in the plainest transfer syntax (PS3.8 section 9.3.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.dimse import DOORS
from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.whole import Whole
from stepwedge.wire import pdu
from stepwedge.wire.elements import IMPLICIT_LE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line

IMPLICIT_ONLY: Final = "implicit-only"
RESULTS: Final = {"user-rejection": 1, "no-reason": 2, "abstract-syntax": 3, "transfer-syntax": 4}
"""Result/Reason of PS3.8 table 9-18."""
_FIXED: Final = 68
"""Bytes of A-ASSOCIATE-RQ and -AC between the PDU header and the variable items."""
_PROPOSED, _ANSWERED, _TRANSFER = 0x20, 0x21, 0x40
_PLAIN: Final = IMPLICIT_LE.encode()


class Contexts(Whole):
    """Changes what the receiver answers to presentation contexts, or lets it hear of implicit little endian alone."""

    kind = "contexts"
    says = "presentation contexts are not accepted, or only implicit little endian is"
    doors = DOORS
    usual = ANSWER
    takes = (
        Argument(
            "what", "how they are answered", "abstract-syntax", "text", choices=(*RESULTS, IMPLICIT_ONLY)
        ),
        Argument("which", "all of them, or the first", "all", "text", choices=("all", "first")),
    )

    def __init__(self, wish: Wish) -> None:
        """Have changed nothing."""
        super().__init__(wish)
        self._dropped: dict[int, list[int]] = {}

    def concerns(self, side: Side) -> bool:
        """Look at the request and at its answer."""
        return bool(side)

    def unit(self, line: Line, side: Side, unit: bytes) -> None:
        """Change the association that is due."""
        narrow = self.args["what"] == IMPLICIT_ONLY
        if unit[0] == pdu.Kind.ASSOCIATE_RQ and narrow and self._due():
            unit = self._narrowed(line, unit)
            self.acted("only implicit little endian is proposed", line, REQUEST, len(unit))
        elif unit[0] == pdu.Kind.ASSOCIATE_AC and line.number in self._dropped:
            unit = _rebuilt(unit, [*_items(unit[pdu.HEADER.size + _FIXED :]), *self._answers(line)])
        elif unit[0] == pdu.Kind.ASSOCIATE_AC and not narrow and self._due():
            unit = self._refused(line, unit)
        line.give(side, unit)

    def _due(self) -> bool:
        if self.spent:
            return False
        self.hits += 1
        return True

    def _refused(self, line: Line, unit: bytes) -> bytes:
        """Return the answer with other results."""
        result, refused = RESULTS[self.args["what"]], 0
        items: list[bytes] = []
        for item in _items(unit[pdu.HEADER.size + _FIXED :]):
            if item[0] == _ANSWERED and (self.args["which"] == "all" or not refused):
                refused += 1
                item = item[:6] + bytes((result,)) + item[7:]  # noqa: PLW2901 - the item that goes on
            items.append(item)
        self.acted(f"{refused} contexts answered {result}", line, ANSWER, len(unit))
        return _rebuilt(unit, items)

    def _narrowed(self, line: Line, unit: bytes) -> bytes:
        """Return the request with one transfer syntax; a context that does not propose it is left out."""
        items: list[bytes] = []
        for item in _items(unit[pdu.HEADER.size + _FIXED :]):
            if item[0] != _PROPOSED:
                items.append(item)
                continue
            parts = [
                one for one in _items(item[8:]) if one[0] != _TRANSFER or one[4:].rstrip(b"\0") == _PLAIN
            ]
            if any(one[0] == _TRANSFER for one in parts):
                items.append(_item(_PROPOSED, item[4:8] + b"".join(parts)))
            else:
                self._dropped.setdefault(line.number, []).append(item[4])
        return _rebuilt(unit, items)

    def _answers(self, line: Line) -> Iterator[bytes]:
        """Answer the contexts that were left out: no transfer syntax is supported."""
        for number in self._dropped.pop(line.number):
            head = bytes((number, 0, RESULTS["transfer-syntax"], 0))
            yield _item(_ANSWERED, head + _item(_TRANSFER, _PLAIN))


def _items(data: bytes) -> Iterator[bytes]:
    """Yield items whole: type, reserved, length, content (PS3.8 section 9.3.2)."""
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at:end]
        at = end


def _item(kind: int, content: bytes) -> bytes:
    return bytes((kind, 0)) + len(content).to_bytes(2, "big") + content


def _rebuilt(unit: bytes, items: list[bytes]) -> bytes:
    body = unit[pdu.HEADER.size : pdu.HEADER.size + _FIXED] + b"".join(items)
    return pdu.write(pdu.Kind(unit[0]), body)
