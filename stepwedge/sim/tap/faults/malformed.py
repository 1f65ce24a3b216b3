"""D13: what is said has not the form that PS3.8 gives it, or the most awkward form that it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.dimse import SERVICES, Messages
from stepwedge.sim.tap.fault import Argument
from stepwedge.wire import command as commands
from stepwedge.wire import pdu

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.sim.tap.dimse import Message
    from stepwedge.sim.tap.fault import Side
    from stepwedge.sim.tap.line import Line
    from stepwedge.wire.command import Command

NOBODYS: Final = 251
"""A presentation context ID that nobody proposes: odd, and the last but two there is."""
SIZES: Final = {"one-byte": 1, "two-bytes": 2}
"""Bytes of a fragment, in forms that break nothing."""
_PDU: Final = 4000
_HUGE: Final = 8 << 20
_ENDLESS: Final = 0xFFFFFFFF


class Malformed(Messages):
    """Says a request in another form: one or two bytes at a time, or broken in one of four ways.

    Some receivers take two bytes at a time but not one: Orthanc stores nothing then.
    """

    kind = "malformed"
    says = "a message comes in the smallest pieces, in a foreign context, interleaved, or in a PDU beyond every bound"
    takes = (
        Argument("service", "which requests", "c-store", "text", choices=tuple(SERVICES)),
        Argument(
            "what",
            "its form",
            "one-byte",
            "text",
            choices=("one-byte", "two-bytes", "wrong-context", "interleaved", "oversized", "endless-length"),
        ),
    )

    def wanted(self, line: Line, side: Side, command: Command) -> bool:
        """Choose requests of the service."""
        del line, side
        return bool(command["CommandField"] == SERVICES[self.args["service"]])

    def act(self, line: Line, side: Side, message: Message) -> None:
        """Say it."""
        what = self.args["what"]
        command, data, context = commands.encode(message.command), message.data, message.context_id
        if what in SIZES:
            said = _packed([*_bits(context, command, 1, SIZES[what]), *_bits(context, data, 0, SIZES[what])])
        elif what == "wrong-context":
            said = _packed([_value(NOBODYS, command, 3), _value(NOBODYS, data[:_PDU], 2)])
        elif what == "interleaved":
            half = len(command) // 2
            parts = ((command[:half], 1), (data[:_PDU], 0), (command[half:], 3), (data[_PDU : 2 * _PDU], 2))
            said = _packed(_value(context, part, control) for part, control in parts)
        elif what == "oversized":
            said = _packed([_value(context, command, 3)]) + pdu.write(
                pdu.Kind.P_DATA_TF, _value(context, data.ljust(_HUGE, b"\0"), 2)
            )
        else:
            said = pdu.HEADER.pack(pdu.Kind.P_DATA_TF, _ENDLESS) + _value(context, command, 3)
        self.acted(f"said {what}", line, side, len(said))
        line.give(side, said)


def _value(context: int, fragment: bytes, control: int) -> bytes:
    """Write a presentation data value; control 1 is a command, 2 the last fragment (PS3.8 annex E.2)."""
    return (len(fragment) + 2).to_bytes(4, "big") + bytes((context, control)) + fragment


def _bits(context: int, data: bytes, kind: int, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield _value(context, data[at : at + size], kind | (2 if at + size >= len(data) else 0))


def _packed(values: Iterable[bytes]) -> bytes:
    """Write values as PDUs of up to a size that every receiver takes; a longer value stands in one of its own."""
    said, body = bytearray(), bytearray()
    for value in values:
        if body and len(body) + len(value) > _PDU:
            said += pdu.write(pdu.Kind.P_DATA_TF, bytes(body))
            body.clear()
        body += value
    if body:
        said += pdu.write(pdu.Kind.P_DATA_TF, bytes(body))
    return bytes(said)
