"""The DICOM JSON model (PS3.18 annex F) to and from :mod:`stepwedge.wire.elements`."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.dictionary import by_tag, describe, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stepwedge.wire.elements import Elements

_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_INTEGERS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_FLOATS: Final = frozenset({"FD", "FL"})
_NUMBER_TEXTS: Final = frozenset({"DS", "IS"})
_SINGLE: Final = frozenset({"LT", "ST", "UR", "UT"})
"""Text in which a backslash is a sign like any other (PS3.5 section 6.2)."""
_TEXTS: Final = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UC", "UI", *_SINGLE})
_VRS: Final = _BYTES | _INTEGERS | _FLOATS | _NUMBER_TEXTS | _TEXTS | {"AT", "SQ"}
_CONTEXTUAL: Final = frozenset({"OB", "OW", "SS", "US"})
"""PS3.6 leaves the choice between these to other attributes."""
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_MAX_DEPTH: Final = 32
_WHOLE: Final = 1e12
"""Numbers below this are written without ``.0`` when they are whole: DS has 16 characters."""
_CHARSET: Final = "SpecificCharacterSet"
_UTF8: Final = "ISO_IR 192"


class Bulk(str):
    """A BulkDataURI in place of bytes. Nothing here ever fetches it: the address is the peer's word."""

    __slots__ = ()


def encode(elements: Elements, *, bulk: Callable[[str, bytes], str | None] | None = None) -> dict[str, Any]:
    """Return one data set as a JSON object.

    ``bulk`` may turn ``(key, bytes)`` into a BulkDataURI; ``None`` from it, or without it, the bytes are written inline.
    IS and DS become numbers, as every reader expects, so ``1.50`` comes back as ``1.5``.
    """
    found = sorted((*find(key), key, value) for key, value in elements.items())
    return {f"{tag:08X}": _element(key, vr, value, bulk) for tag, vr, key, value in found}


def _element(
    key: str, vr: str, value: Any, bulk: Callable[[str, bytes], str | None] | None
) -> dict[str, Any]:
    if vr == "UN" and not isinstance(value, bytes | bytearray | memoryview | Bulk):
        vr = "SQ" if isinstance(value, list) and all(isinstance(item, dict) for item in value) else "LO"
    if vr in _BYTES:
        return _bytes(key, vr, value, bulk)
    if value is None or value in ("", []):
        return {"vr": vr}
    if vr == "SQ":
        return {"vr": vr, "Value": [encode(item, bulk=bulk) for item in value]}
    if key == _CHARSET:  # annex F.2: the JSON text itself is UTF-8
        return {"vr": vr, "Value": [_UTF8]}
    if isinstance(value, str):
        parts = [value] if vr in _SINGLE else value.split("\\")
        return {"vr": vr, "Value": [_text(vr, part) for part in parts]}
    return {"vr": vr, "Value": list(value) if isinstance(value, list | tuple) else [value]}


def _bytes(key: str, vr: str, value: Any, bulk: Callable[[str, bytes], str | None] | None) -> dict[str, Any]:
    if isinstance(value, Bulk):
        return {"vr": vr, "BulkDataURI": str(value)}
    if not value:
        return {"vr": vr}
    if isinstance(value, str):
        raise LocalProtocolError(f"{key} ({vr}) must hold bytes, not text")
    if bulk is not None and (uri := bulk(key, value)) is not None:
        return {"vr": vr, "BulkDataURI": uri}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _text(vr: str, part: str) -> Any:
    if part == "":
        return None
    if vr == "PN":
        return {name: group for name, group in zip(_GROUPS, part.split("="), strict=False) if group}
    if vr in _NUMBER_TEXTS:
        return _number(vr, part)
    return part


def _number(vr: str, part: str) -> int | float | str:
    """Return a JSON number; what is none travels as text (annex F.2.3 allows both)."""
    for kind in (int,) if vr == "IS" else (int, float):
        try:
            number = kind(part)
        except ValueError:
            continue
        return number if math.isfinite(number) else part
    return part


def decode(found: Any, *, place: str = "", depth: int = 0) -> Elements:
    """Read one JSON object; what contradicts PS3.6 or the model raises :class:`RemoteProtocolError`."""
    if not isinstance(found, dict):
        raise RemoteProtocolError(f"DICOM JSON{place}: expected an object, found {type(found).__name__}")
    if depth > _MAX_DEPTH:
        raise RemoteProtocolError(f"DICOM JSON: sequences nested deeper than {_MAX_DEPTH}")
    elements: Elements = {}
    for text, element in found.items():
        if len(text) != 8 or not set(text) <= set("0123456789ABCDEFabcdef"):  # noqa: PLR2004 - GGGGEEEE
            raise RemoteProtocolError(
                f"DICOM JSON{place}: {text[:40]!r} is no tag of eight hexadecimal digits"
            )
        tag = int(text, 16)
        key, known = describe(tag)
        elements[key] = _value(element, known if tag in by_tag() else "", f"{place} {key}", depth)
    return elements


def _value(element: Any, known: str, place: str, depth: int) -> Any:
    if not isinstance(element, dict) or element.get("vr") not in _VRS:
        raise RemoteProtocolError(
            f"DICOM JSON{place}: expected an object with a known vr, found {str(element)[:60]!r}"
        )
    vr = element["vr"]
    if known and vr not in {known, "UN"} and not {vr, known} <= _CONTEXTUAL:
        raise RemoteProtocolError(f"DICOM JSON{place}: vr {vr}, but PS3.6 says {known}")
    forms = [name for name in ("Value", "InlineBinary", "BulkDataURI") if name in element]
    if len(forms) > 1:
        raise RemoteProtocolError(
            f"DICOM JSON{place}: both {forms[0]} and {forms[1]} (annex F.2.2 allows one)"
        )
    if "BulkDataURI" in element:
        return Bulk(_expect(element["BulkDataURI"], str, place))
    if vr in _BYTES:
        return _inline(element, place)
    values = _expect(element.get("Value", []), list, place)
    if vr == "SQ":
        return [
            decode(item, place=f"{place}[{number}]", depth=depth + 1) for number, item in enumerate(values, 1)
        ]
    read = [_read(vr, value, place) for value in values]
    if vr in _INTEGERS or vr in _FLOATS or vr == "AT":
        return read[0] if len(read) == 1 else read or ""
    return "\\".join(read)


def _expect(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RemoteProtocolError(f"DICOM JSON{place}: expected {kind.__name__}, found {str(value)[:60]!r}")
    return value


def _inline(element: dict[str, Any], place: str) -> bytes:
    if "Value" in element:
        raise RemoteProtocolError(
            f"DICOM JSON{place}: bytes come as InlineBinary or BulkDataURI, not as Value"
        )
    try:
        return base64.b64decode(_expect(element.get("InlineBinary", ""), str, place), validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError(f"DICOM JSON{place}: InlineBinary is no base64") from None


def _read(vr: str, value: Any, place: str) -> Any:
    """Return one value in the form :mod:`stepwedge.wire.elements` uses."""
    if vr in _INTEGERS:
        return (
            int(_expect(value, str, place))
            if isinstance(value, str) and vr in {"SV", "UV"}
            else _expect(value, int, place)
        )
    if vr in _FLOATS:
        return float(_expect(value, int if isinstance(value, int) else float, place))
    if value is None:
        return ""
    if vr == "PN":
        groups = _expect(value, dict, place)
        return "=".join(_expect(groups.get(name, ""), str, place) for name in _GROUPS).rstrip("=")
    if vr in _NUMBER_TEXTS and isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if float(value).is_integer() and abs(value) < _WHOLE else str(value)
    text: str = _expect(value, str, place)
    if "\\" in text and vr not in _SINGLE:
        raise RemoteProtocolError(
            f"DICOM JSON{place}: a backslash in {text[:40]!r}; several values are several entries"
        )
    return text


def dumps(results: Iterable[Elements]) -> bytes:
    """Return an ``application/dicom+json`` body."""
    return json.dumps([encode(each) for each in results], ensure_ascii=False, separators=(",", ":")).encode()


def loads(body: bytes) -> list[Elements]:
    """Read an ``application/dicom+json`` body: an array of data sets, or the lone object that some servers send."""
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_once)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"DICOM JSON: the body of {len(body)} bytes is no JSON: {error}") from error
    results = found if isinstance(found, list) else [found]
    return [decode(each, place=f" result {number}") for number, each in enumerate(results, 1)]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands twice in one object")
    return found
