"""Fuzzy semantic matching of person names (PS3.4 C.2.2.2.1.1 leaves to the provider what it is; this is ours).

Each word of the key must be found among the words of the name, in whatever component or order: as it is without accents
and case, as its beginning, by wild card, or by sound (Soundex, for words of Latin letters).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_SOUNDS: Final = {
    letter: digit
    for digit, letters in {"1": "bfpv", "2": "cgjkqsxz", "3": "dt", "4": "l", "5": "mn", "6": "r"}.items()
    for letter in letters
}
_SILENT: Final = frozenset("hw")
"""Letters that do not part two of the same sound."""
_BETWEEN: Final = re.compile(r"[\^=\s,.'\\\u2019-]+")
_LONG: Final = 3
"""Letters a word must have to be compared by sound."""


def similar(wanted: str, name: str) -> bool:
    """Tell whether a PN value answers a PN key; a key without a word matches every name."""
    words = _words(name)
    return all(any(_alike(word, other) for other in words) for word in _words(wanted) if word.strip("*"))


@lru_cache(maxsize=8192)
def _words(text: str) -> tuple[str, ...]:
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign)
    ).casefold()
    return tuple(filter(None, _BETWEEN.split(plain)))


def _alike(word: str, other: str) -> bool:
    if "*" in word or "?" in word:
        pattern = re.escape(word).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(pattern, other) is not None
    if other.startswith(word):
        return True
    return min(len(word), len(other)) >= _LONG and (sound := soundex(word)) != "" and sound == soundex(other)


@lru_cache(maxsize=8192)
def soundex(word: str) -> str:
    """Return the Soundex code of a word in lower case; "" when it has other letters than a to z."""
    if not word.isascii() or not word.isalpha():
        return ""
    code, last = word[0].upper(), _SOUNDS.get(word[0], "")
    for letter in word[1:]:
        sound = _SOUNDS.get(letter, "")
        if sound and sound != last:
            code += sound
        if letter not in _SILENT:
            last = sound
    return f"{code:0<4.4}"
