"""Invented persons: the same seed gives the same person, in the names of a chosen country."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.model.patient import PersonName

if TYPE_CHECKING:
    from collections.abc import Iterator

_EARLIEST: Final = date(1931, 1, 1)
_DAYS: Final = 85 * 365
_TRIES: Final = 1000
_NAME_LIMIT: Final = 30
"""Characters of one name part: HL7 2.3.1 gives the whole PID-5 48, DICOM PN 64 a group."""


def person(
    seed: int, *parts: object, locale: str = "en_US", fits: str = "", accented: bool = False
) -> tuple[PersonName, str, str]:
    """Return name, birth date (``YYYYMMDD``) and sex (``F`` or ``M``) that depend on the seed and all ``parts``.

    Args:
        seed: of the run.
        parts: what tells this person from others of the run.
        locale: of Faker, such as ``de_DE``; en_US, de_DE, fr_FR and es_ES are tested.
        fits: Python codec that must be able to write the name (``iso8859-1``); "" for any.
        accented: whether the name must hold a letter outside ASCII.
    """
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *parts, locale))).encode()).digest()
    sex = "FM"[digest[0] % 2]
    born = _EARLIEST + timedelta(days=int.from_bytes(digest[1:5], "big") % _DAYS)
    for name in _names(locale, int.from_bytes(digest[5:13], "big"), sex):
        text = name.family + name.given
        if (not accented or not text.isascii()) and _writable(text, fits):
            return name, f"{born:%Y%m%d}", sex
    wanted = (
        f"a name{' with a letter outside ASCII' if accented else ''}{f' that fits {fits}' if fits else ''}"
    )
    raise BadInput(
        f"locale {locale!r}", wanted, f"none among {_TRIES}", "choose another locale, such as de_DE or fr_FR"
    )


def _names(locale: str, seed: int, sex: str) -> Iterator[PersonName]:
    source = _faker(locale)
    source.seed_instance(seed)
    for _ in range(_TRIES):
        family = source.last_name_female() if sex == "F" else source.last_name_male()
        given = source.first_name_female() if sex == "F" else source.first_name_male()
        if max(len(family), len(given)) <= _NAME_LIMIT:
            yield PersonName(family, given)


def _writable(text: str, fits: str) -> bool:
    try:
        text.encode(fits or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _faker(locale: str) -> Any:
    from faker import Faker

    try:
        return Faker(locale)
    except AttributeError:
        raise BadInput("locale", "one that Faker knows, such as en_US or de_DE", repr(locale)) from None
