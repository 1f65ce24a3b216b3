"""HL7 character sets: table 0211 (MSH-18) and the Python codec for each."""

from __future__ import annotations

from functools import cache
from typing import Final

# ISO 2022 sets switch by escape sequences, so one codec that knows all of them serves any combination.
_JAPANESE: Final = "iso2022_jp_ext"

CODECS: Final[dict[str, str]] = {
    # HL7 v2.5.1 table 0211; an empty MSH-18 means ASCII (2.15.9.18).
    "": "ascii",
    "ASCII": "ascii",
    "ISO IR6": "ascii",
    **{f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 10), 15)},
    "UNICODE": "utf-8",  # 2.3.1 had no finer word; every sender seen means UTF-8
    "UNICODE UTF-8": "utf-8",
    "ISO IR14": _JAPANESE,
    "ISO IR87": _JAPANESE,
    "ISO IR159": _JAPANESE,
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}


@cache
def codec(field: str) -> str | None:
    """Return the codec for MSH-18 as written (repetitions joined by ``~``), or ``None`` when it is unknown."""
    names = [name.strip() for name in field.split("~")]
    found = [CODECS.get(name) for name in names]
    if None in found:
        return None
    return _JAPANESE if _JAPANESE in found else found[0]
