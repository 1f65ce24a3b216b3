"""Specific Character Set (0008,0005): bytes to text and back (PS3.3 C.12.1.1.2, PS3.5 section 6.1)."""

from __future__ import annotations

from functools import cache

from stepwedge.errors import LocalProtocolError, RemoteProtocolError

SINGLE = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO 2022 IR 6": "ascii",
    "ISO_IR 100": "latin-1",
    "ISO 2022 IR 100": "latin-1",
    "ISO_IR 192": "utf-8",
}
"""Defined terms that Python's own codecs read; all other terms go through pydicom."""


@cache
def _known() -> dict[str, str]:
    from pydicom.charset import python_encoding

    return dict(python_encoding)


def _terms(charset: str) -> list[str]:
    terms = [term.strip() for term in charset.split("\\")]
    unknown = [term for term in terms if term not in SINGLE and term not in _known()]
    if unknown:
        raise RemoteProtocolError(
            f"SpecificCharacterSet {unknown[0]!r} is no defined term of PS3.3 C.12.1.1.2"
        )
    return terms


def read(raw: bytes, charset: str, vr: str) -> str:
    """Decode text of one element; bytes outside the declared set become U+FFFD, never an error."""
    if raw.isascii() and b"\x1b" not in raw:
        return str(raw, "ascii")
    codec = SINGLE.get(charset)
    if codec is not None:
        return raw.decode(codec, "replace")
    terms = _terms(charset)
    if len(terms) == 1 and terms[0] in SINGLE:
        return raw.decode(SINGLE[terms[0]], "replace")
    from pydicom import charset as codes
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    encodings = codes.convert_encodings(terms)
    delimiters = PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS
    return str(codes.decode_bytes(raw, encodings, delimiters))


def write(text: str, charset: str, key: str) -> bytes:
    """Encode text of one element; a character outside the declared set is our own error."""
    if text.isascii():
        return text.encode("ascii")
    try:
        codec = SINGLE.get(charset)
        if codec is not None:
            return text.encode(codec)
        return _write_extended(text, charset)
    except (UnicodeEncodeError, LookupError) as error:
        raise LocalProtocolError(
            f"{key}: {text!r} cannot be written in SpecificCharacterSet {charset or 'ISO_IR 6'!r}"
        ) from error


def writes(text: str, charset: str) -> bool:
    """Tell whether ``text`` can be written in a Specific Character Set."""
    try:
        write(text, charset, "")
    except LocalProtocolError:
        return False
    return True


def _write_extended(text: str, charset: str) -> bytes:
    terms = _terms(charset)
    if len(terms) == 1:
        return text.encode(SINGLE.get(terms[0]) or _known()[terms[0]])
    from pydicom import charset as codes

    encodings = codes.convert_encodings(terms)
    parts: list[bytes] = []
    run = ""
    for character in (*text, ""):  # a delimiter resets the code extension, PS3.5 section 6.1.2.5.3
        if character and character not in "\\^=\r\n\t\f":
            run += character
            continue
        encoded: bytes = codes.encode_string(run, encodings) if run else b""
        if run and codes.decode_bytes(encoded, encodings, set()) != run:
            raise UnicodeEncodeError(terms[-1], run, 0, len(run), "outside the declared character sets")
        parts += (encoded, character.encode("ascii"))
        run = ""
    return b"".join(parts)
