"""DIMSE messages encoded once and sent many times, each time with other identifiers; sans-io.

A load generator that encodes every image measures itself. Here the command set and the data set are cut into P-DATA for one
presentation context and one maximum length, and the places of what varies are known: a message of its own is then a copy of its
first few kilobytes with new values in these places, and the rest, the pixels, which all messages share and nobody copies.

Values may have any length. Where they stand depends on how long they are, so a layout is made for each combination of lengths
that comes; with identifiers of constant length (:func:`stepwedge.model.identifiers.uid`) that is one layout, or a few.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from stepwedge.errors import LocalProtocolError, Refused
from stepwedge.wire import command as commands
from stepwedge.wire import part10, pdu
from stepwedge.wire.command import MEDIUM, Command, Field
from stepwedge.wire.dimse import Agreed
from stepwedge.wire.elements import Elements, encode, recode
from stepwedge.wire.encodings import WRAPPED
from stepwedge.wire.places import Place, moved, replaced, slots, text_of, value_of
from stepwedge.wire.services import storage_context

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stepwedge.wire.results import Instance

Buffer = bytes | bytearray | memoryview

INSTANCE: Final = "SOPInstanceUID"
OF_AN_IMAGE: Final = (INSTANCE, "InstanceNumber")
"""What differs from image to image of a series."""
OF_AN_EXAM: Final = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
)
"""What differs from exam to exam, in objects as modalities make them."""
_US: Final = struct.Struct("<H")
_ELEMENT: Final = struct.Struct("<HHI")
_MESSAGE_ID, _AFFECTED = 0x0110, 0x1000
"""Element numbers in a command set (PS3.7 table E.1-1)."""
_LAYOUTS: Final = 64
"""Layouts kept for one message; each holds its first bytes and the headers between the pixels."""
_NEGOTIATIONS: Final = 16
"""Combinations of context and maximum length that a study is kept compiled for."""


class _Layout(NamedTuple):
    """One message as it is sent, for values of certain lengths.

    Attributes:
        head: all bytes up to the last that varies.
        patches: for each place, which value stands there and which part of it: (at, end, value, from, to).
        rest: what follows the head, as views of what all messages share and of headers between.
        size: bytes of all.
        pdus: P-DATA-TF that carry it.
    """

    head: bytes
    patches: tuple[tuple[int, int, int, int, int], ...]
    rest: tuple[Buffer, ...]
    size: int
    pdus: int


class CompiledMessage:
    """One DIMSE request with a data set, for one presentation context and one maximum length.

    Args:
        context: the accepted presentation context.
        max_pdu: the peer's maximum length received; 0 when it sets none.
        command: its command set but for Message ID and Command Data Set Type.
        data: the beginning of its data set with all places, and the rest.
        found: by name, where what varies stands.
        charset: Specific Character Set of its text.
    """

    def __init__(
        self,
        context: Agreed,
        max_pdu: int,
        command: Command,
        data: tuple[bytes, memoryview],
        found: Mapping[str, list[Place]],
        charset: str,
    ) -> None:
        self.context = context
        self.max_pdu = max_pdu
        self.command = {**command, "CommandDataSetType": 1}
        self.names = tuple(found)
        self._size = (max_pdu or pdu.UNLIMITED) - pdu.OVERHEAD
        self._front, self._shared = data
        self._charset = charset
        self._vrs = [(name, where[0].vr) for name, where in found.items()]
        self._places = sorted(
            ((place, number) for number, where in enumerate(found.values()) for place in where),
            key=lambda each: each[0].at,
        )
        self._layouts: dict[tuple[int, ...], _Layout] = {}

    @classmethod
    def compile(
        cls, context: Agreed, max_pdu: int, command: Command, data: bytes, names: Iterable[str]
    ) -> Self:
        """Find the places of what varies, as :mod:`stepwedge.wire.places` names it, in a data set.

        ``SOPInstanceUID`` varies in the command set too.

        Raises:
            LocalProtocolError: a name has no place in the data set.
        """
        found = slots(data, tuple(names), explicit=context.explicit)
        last = max((place.at + place.length for where in found.values() for place in where), default=0)
        charset = text_of(data, "SpecificCharacterSet", context.transfer) or ""
        return cls(context, max_pdu, command, (data[:last], memoryview(data)[last:]), found, charset)

    def bound(self, values: Mapping[str, str]) -> CompiledMessage:
        """Return this message with these values in it for good; only the other names vary then."""
        given = {name: self._raw(name, vr, values[name]) for name, vr in self._vrs if name in values}
        changes = [(place, given[name]) for place, name in self._named() if name in given]
        front, _ = replaced(self._front, changes)
        found: dict[str, list[Place]] = {name: [] for name in self.names if name not in given}
        for place, name in self._named():
            if name not in given:
                found[name] += moved([place], changes)
        command = self.command
        if INSTANCE in given and "AffectedSOPInstanceUID" in command:
            command = {**command, "AffectedSOPInstanceUID": values[INSTANCE]}
        return CompiledMessage(
            self.context, self.max_pdu, command, (front, self._shared), found, self._charset
        )

    def _raws(self, values: Mapping[str, str]) -> list[bytes]:
        try:
            return [self._raw(name, vr, values[name]) for name, vr in self._vrs]
        except KeyError as error:
            raise LocalProtocolError(
                f"{error.args[0]} varies from message to message and is missing"
            ) from None

    def _raw(self, name: str, vr: str, value: str) -> bytes:
        return value_of(name, vr, value, self._charset)

    def _named(self) -> list[tuple[Place, str]]:
        return [(place, self.names[number]) for place, number in self._places]

    def data_set(self, values: Mapping[str, str]) -> list[Buffer]:
        """Return the data set with these values, as it is written to a file; ``values`` has every name, and may have more."""
        raws = self._raws(values)
        front, _ = replaced(self._front, [(place, raws[number]) for place, number in self._places])
        return [front, self._shared]

    def render(self, message_id: int, values: Mapping[str, str]) -> tuple[list[Buffer], int, int]:
        """Return a message's buffers, its bytes and its number of PDUs; ``values`` has every name, and may have more."""
        raws = self._raws(values)
        raws.append(_US.pack(message_id))
        lengths = tuple(map(len, raws))
        layout = self._layouts.get(lengths)
        if layout is None:
            layout = self._lay_out(raws)
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            self._layouts[lengths] = layout
        head = bytearray(layout.head)  # its own: another message may leave before this one is gone
        for at, end, value, start, stop in layout.patches:
            head[at:end] = raws[value][start:stop]
        return [head, *layout.rest], layout.size, layout.pdus

    def _lay_out(self, raws: list[bytes]) -> _Layout:
        """Place values of certain lengths, cut all into P-DATA-TF, and note which bytes are theirs."""
        context_id, size, shared = self.context.id, self._size, self._shared
        command = self._command(raws)
        head = bytearray().join(pdu.fragments(context_id, command, size + pdu.OVERHEAD, is_command=True))
        patches = _patches(_command_spans(command, self.names), size, 0)
        pdus = -(-len(command) // size)

        front, offsets = replaced(self._front, [(place, raws[number]) for place, number in self._places])
        spans = [
            (at, number, len(raws[number])) for at, (_, number) in zip(offsets, self._places, strict=True)
        ]
        patches += _patches(spans, size, len(head))
        rest: list[Buffer] = []
        total, behind = len(front) + len(shared), len(front)
        for start in range(0, total, size):
            stop = min(start + size, total)
            header = pdu.fragment_header(context_id, stop - start, pdu.LAST if stop == total else 0)
            if start < behind:
                head += header + front[start : min(stop, behind)]
            else:
                rest.append(header)
            if stop > behind:
                rest.append(shared[max(start - behind, 0) : stop - behind])
            pdus += 1
        return _Layout(bytes(head), tuple(patches), tuple(rest), len(head) + sum(map(len, rest)), pdus)

    def _command(self, raws: list[bytes]) -> bytes:
        command = {**self.command, "MessageID": 0}
        if INSTANCE in self.names and "AffectedSOPInstanceUID" in command:
            length = len(raws[self.names.index(INSTANCE)])
            command["AffectedSOPInstanceUID"] = "1" * length
        return commands.encode(command)


def _command_spans(command: bytes, names: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return where Message ID and SOP instance UID stand in a command set: (offset, number of the value, length)."""
    spans, at = [], 0
    while at < len(command):
        _, element, length = _ELEMENT.unpack_from(command, at)
        at += _ELEMENT.size
        if element == _MESSAGE_ID:
            spans.append((at, len(names), length))
        elif element == _AFFECTED and INSTANCE in names:
            spans.append((at, names.index(INSTANCE), length))
        at += length
    return spans


def _patches(
    spans: list[tuple[int, int, int]], size: int, before: int
) -> list[tuple[int, int, int, int, int]]:
    """Turn offsets in a set into offsets in the stream of P-DATA-TF that begins at ``before``, in pieces where one ends."""
    found = []
    for offset, number, length in spans:
        done = 0
        while done < length:
            at = offset + done
            piece = min(length - done, size - at % size)
            place = before + at + (at // size + 1) * pdu.FRAGMENT_HEADER
            found.append((place, place + piece, number, done, done + piece))
            done += piece
    return found


class CompiledStudy:
    """Composite instances that are sent over and over as studies of their own.

    A study of 500 slices needs only as many instances here as there are different pixels; memory is that of these instances,
    whatever is sent. It is compiled for each presentation context and maximum length that it meets.

    Args:
        instances: what one study is made of.
        names: what varies. An instance that lacks one of them is refused.
        base: the study that this one is made of, with ``values`` that it has for good (:meth:`of`).
    """

    def __init__(
        self,
        instances: Iterable[Instance],
        names: Iterable[str] = (*OF_AN_IMAGE, *OF_AN_EXAM),
        *,
        base: CompiledStudy | None = None,
        values: Mapping[str, str] | None = None,
    ) -> None:
        self.instances = tuple(instances)
        self.names = tuple(names)
        if not self.instances:
            raise LocalProtocolError("a study to compile has one instance at least")
        if INSTANCE not in self.names:
            raise LocalProtocolError(f"{INSTANCE} must vary: no instance is sent twice")
        self._compiled: dict[tuple[int, Agreed, int], CompiledMessage] = {}
        self._base = base
        self._values = dict(values or {})

    def of(self, values: Mapping[str, str]) -> CompiledStudy:
        """Return this study with these values in it for good, such as those of one exam; it shares the pixels."""
        return CompiledStudy(self.instances, self.names, base=self, values=values)

    def message(self, number: int, contexts: Iterable[Agreed], max_pdu: int) -> CompiledMessage:
        """Return the C-STORE request of instance ``number``, counted round and round, for what was negotiated.

        Raises:
            Refused: no context was accepted that can carry the instance.
            LocalProtocolError: one of the names has no place in it, or its encoding cannot be compiled.
        """
        number %= len(self.instances)
        instance = self.instances[number]
        context = storage_context(contexts, instance.sop_class, instance.transfer_syntax)
        key = number, context, max_pdu
        if (message := self._compiled.get(key)) is None:
            if len(self._compiled) >= _NEGOTIATIONS * len(self.instances):
                self._compiled.clear()
            message = self._compiled[key] = (
                self._compile(instance, context, max_pdu)
                if self._base is None
                else self._base.message(number, [context], max_pdu).bound(self._values)
            )
        return message

    def file(self, values: Mapping[str, str], number: int = 0) -> bytes:
        """Return instance ``number`` as a DICOM file (PS3.10) with these values, in its own transfer syntax; for STOW-RS."""
        instance = self.instances[number % len(self.instances)]
        own = Agreed(1, instance.sop_class, instance.transfer_syntax)
        given = {**self._values, **values}
        head = part10.head(instance.sop_class, given.get(INSTANCE, ""), instance.transfer_syntax)
        return b"".join((head, *self.message(number, [own], 0).data_set(given)))

    def _compile(self, instance: Instance, context: Agreed, max_pdu: int) -> CompiledMessage:
        data = instance.data
        if context.transfer in WRAPPED:
            raise LocalProtocolError(f"a data set in {context.transfer} cannot be compiled")
        if context.transfer != instance.transfer_syntax:
            data = recode(data, explicit=not context.explicit, to_explicit=context.explicit)
        command: Command = {
            "AffectedSOPClassUID": instance.sop_class,
            "CommandField": int(Field.C_STORE),
            "Priority": MEDIUM,
            "AffectedSOPInstanceUID": instance.sop_instance,
        }
        return CompiledMessage.compile(context, max_pdu, command, data, self.names)


class CompiledQuery:
    """A C-FIND identifier whose keys are filled in for each query.

    Args:
        model: SOP class of the information model.
        identifier: all keys; those that vary must be in it, empty or not.
        names: what varies, such as ``AccessionNumber`` or ``ScheduledProcedureStepSequence.Modality``.
    """

    def __init__(self, model: str, identifier: Elements, names: Sequence[str]) -> None:
        self.model = model
        self.identifier = identifier
        self.names = tuple(names)
        self._compiled: dict[tuple[Agreed, int], CompiledMessage] = {}

    def message(self, contexts: Iterable[Agreed], max_pdu: int) -> CompiledMessage:
        """Return the C-FIND request for what was negotiated; Refused when there is no context of its model."""
        context = next((one for one in contexts if one.abstract == self.model), None)
        if context is None:
            raise Refused(f"the peer accepted no presentation context for SOP class {self.model}")
        key = context, max_pdu
        if (message := self._compiled.get(key)) is None:
            command: Command = {
                "AffectedSOPClassUID": self.model,
                "CommandField": int(Field.C_FIND),
                "Priority": MEDIUM,
            }
            data = encode(self.identifier, explicit=context.explicit)
            message = self._compiled[key] = CompiledMessage.compile(
                context, max_pdu, command, data, self.names
            )
        return message
