"""Which character sets a simulated system writes in: the first of its own, in order, that can hold what it has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, LocalProtocolError, RemoteProtocolError
from stepwedge.wire import charset
from stepwedge.wire.hl7_charset import codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DICOM: Final = ("", "ISO_IR 100", "ISO_IR 192")
HL7: Final = ("", "8859/1", "UNICODE UTF-8")


@dataclass(frozen=True, slots=True)
class Charsets:
    """The character sets of one system, best first.

    Attributes:
        dicom: values of Specific Character Set (PS3.3 C.12.1.1.2); "" is the default repertoire.
        hl7: values of MSH-18 (HL7 table 0211); "" is ASCII.
    """

    dicom: tuple[str, ...] = DICOM
    hl7: tuple[str, ...] = HL7

    @classmethod
    def of(cls, settings: Mapping[str, Any], place: str) -> Charsets:
        """Read ``charsets`` and ``hl7_charsets``, each a list; UTF-8 is the last resort of every list."""
        dicom = _list(settings.get("charsets"), DICOM, f"{place}.charsets")
        hl7 = _list(settings.get("hl7_charsets"), HL7, f"{place}.hl7_charsets")
        for term in dicom:
            try:
                charset.write("é", term, "")
            except LocalProtocolError:
                continue
            except RemoteProtocolError as error:
                raise BadInput(
                    f"{place}.charsets", "defined terms of PS3.3 C.12.1.1.2", term, str(error)
                ) from error
        for field in hl7:
            if codec(field) is None:
                raise BadInput(f"{place}.hl7_charsets", "values of HL7 table 0211, such as 8859/5", field)
        return cls(dicom, hl7)

    def for_dicom(self, texts: Iterable[str]) -> str:
        """Return the first Specific Character Set that can write all ``texts``."""
        whole = "\\".join(texts)
        return next((term for term in self.dicom if charset.writes(whole, term)), DICOM[-1])

    def for_hl7(self, texts: Iterable[str]) -> str:
        """Return the first MSH-18 that can write all ``texts``."""
        whole = "".join(texts)
        return next((field for field in self.hl7 if _encodes(whole, codec(field) or "ascii")), HL7[-1])


def _list(given: Any, usual: tuple[str, ...], place: str) -> tuple[str, ...]:
    if given is None:
        return usual
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise BadInput(place, "a list of character sets, best first", repr(given))
    return tuple(given)


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def texts(value: object) -> Iterable[str]:
    """Yield every text in nested mappings and sequences."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
