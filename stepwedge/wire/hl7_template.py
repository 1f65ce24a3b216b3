"""HL7 messages composed once and sent many times, each time with other identifiers.

A builder writes one message with *samples*: values that stand nowhere else in it. Where they are found, whole fields, components
or subcomponents, other values are written then, escaped and in the message's character set: the bytes are those that the builder
would write, at a fiftieth of its time::

    sample = {"control": "SAMPLECONTROL", "patient": "SAMPLEPATIENT", "at": hl7.timestamp(SOME_TIME)}
    template = HL7Template.of(build(control=sample["control"], patient=sample["patient"], now=SOME_TIME), sample)
    raw = template.render({"control": "L000000001", "patient": "SW12345678", "at": hl7.timestamp(now)})
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.hl7 import parse
from stepwedge.wire.hl7_charset import codec
from stepwedge.wire.hl7_escape import encode, escape

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD: Final = "MSH|^~\\&"
_EMPTY: Final = (
    (re.compile(r"&+(?=[\^~|\r])"), ""),
    (re.compile(r"\^+(?=[~|\r])"), ""),
    (re.compile(r"\|+(?=\r)"), ""),
)
"""Separators behind the last value, which composing leaves out (2.5.1 section 2.10)."""

_CODES: Final = frozenset((b"AA", b"AE", b"AR", b"CA", b"CE", b"CR"))
_ANSWERED: Final = 3
"""Fields of an MSA with MSA-2, its name counted."""


class HL7Template:
    """One message with named slots.

    Attributes:
        names: what has to be given for each message.
    """

    def __init__(self, texts: list[str], slots: list[str], charset: str) -> None:
        """Take the texts between the slots, one more than slots; :meth:`of` makes both."""
        self._texts = texts
        self._slots = slots
        self._charset = charset
        self.names = frozenset(slots)

    @classmethod
    def of(cls, raw: bytes, samples: Mapping[str, str]) -> Self:
        """Make a template of a composed message.

        Args:
            raw: the message, with the recommended separators.
            samples: slot name -> the value that stands in its places, unescaped.

        Raises:
            LocalProtocolError: a sample is nowhere, two are the same, or other separators are used.
        """
        message = parse(raw)
        text = raw.decode(codec(message.charset) or "ascii")
        if not text.startswith(_HEAD):
            raise LocalProtocolError("a template needs the recommended separators |^~\\&")
        written = {escape(value): name for name, value in samples.items()}
        if "" in written or len(written) < len(samples):
            raise LocalProtocolError("samples must be different from each other, and none empty")
        between = r"(?:(?<=[|^~&\r]){}(?=[|^~&\r]|$))"
        pattern = "|".join(re.escape(each) for each in sorted(written, key=len, reverse=True))
        parts = re.split(between.format(f"({pattern})"), text)
        slots = [written[each] for each in parts[1::2]]
        if missing := set(samples) - set(slots):
            name = min(missing)
            raise LocalProtocolError(f"{name}: {samples[name]!r} is no value of the message")
        return cls(parts[::2], slots, message.charset)

    def render(self, values: Mapping[str, str]) -> bytes:
        """Return the message with these values; they are escaped, and those of other names are not used.

        Raises:
            LocalProtocolError: a value is missing, or cannot be written in the message's character set.
        """
        try:
            written = {name: escape(values[name]) for name in self.names}
        except KeyError as error:
            raise LocalProtocolError(
                f"{error.args[0]} varies from message to message and is missing"
            ) from None
        parts = [self._texts[0]]
        for slot, text in zip(self._slots, self._texts[1:], strict=True):
            parts += (written[slot], text)
        text = "".join(parts)
        if not all(written.values()):
            head, text = _HEAD, text[len(_HEAD) :]
            for pattern, nothing in _EMPTY:
                text = pattern.sub(nothing, text)
            text = head + text
        return encode(text, self._charset)


class Acknowledged(NamedTuple):
    """What a peer answered: MSA-1 (table 0008), MSA-2 and MSA-3, the text as it is written."""

    code: str
    control: str
    text: str


def acknowledged(raw: bytes) -> Acknowledged:
    """Read the MSA of an answer, nothing else of it; :class:`~stepwedge.wire.mllp_blocking.Link` has matched MSA-2.

    Raises:
        RemoteProtocolError: it has no MSA, or MSA-1 is not in table 0008.
    """
    separator = raw[3:4]
    start = raw.find(b"\rMSA" + separator)
    fields = raw[start + 1 :].partition(b"\r")[0].split(separator) if separator and start > 0 else []
    if len(fields) < _ANSWERED or fields[1] not in _CODES:
        found = fields[1].decode("latin-1") if len(fields) > 1 else "no MSA"
        raise RemoteProtocolError(f"HL7: an answer holds {found!r} where MSA-1 is required (table 0008)")
    text = fields[3].decode("latin-1") if len(fields) > _ANSWERED else ""
    return Acknowledged(fields[1].decode(), fields[2].decode("latin-1"), text)
