"""Who becomes whom: the same value the same invention, as long as one secret lives.

Nothing is remembered. What is invented follows from the value and a random secret of the run by HMAC-SHA-256 (RFC 2104): without the
secret, which is in no file, nobody can go back, and two runs invent differently. Equal stays equal and different stays different,
wherever a number stands: an order number in ORC-2 and the same number in (0040,2016) become one.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from stepwedge.model.identifiers import PATIENT_PREFIX, UID_ROOT
from stepwedge.model.people import person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.evidence.exchange import Keys
    from stepwedge.model.patient import PersonName

_DIGITS: Final = 12
_UIDS: Final = frozenset({"study", "series", "sop", "mpps", "transaction"})
_LEAST, _MOST = 30, 1500
"""Days by which the birth date of a patient is moved, one way or the other."""
_OLDEST: Final = 85
"""Years; who is older is told apart by that alone (45 CFR 164.514(b)(2)(i)(C) draws the line at 89), and becomes this old."""
TEXT: Final = "not kept"
"""What stands for a free text."""
STANDARD: Final = "1.2.840.10008."
"""UIDs that the standard itself gives out (PS3.6) say nothing about anybody."""


class Surrogates:
    """What stands for whom in one run."""

    def __init__(self, secret: bytes = b"") -> None:
        """Take a random secret, unless a test gives one."""
        self._secret = secret or secrets.token_bytes(32)

    def _number(self, kind: str, value: str) -> int:
        digest = hmac.digest(self._secret, f"{kind}\x1f{value.strip()}".encode("utf-8", "replace"), "sha256")
        return int.from_bytes(digest, "big")

    def _digits(self, kind: str, value: str, count: int = _DIGITS) -> str:
        low = 10 ** (count - 1)
        return str(low + self._number(kind, value) % (9 * low))

    def identifier(self, value: str) -> str:
        """Return what stands for a number of any kind - patient, order, accession, visit, device - such as ``SW482910374655``."""
        return PATIENT_PREFIX + self._digits("id", value) if value.strip() else ""

    def issuer(self, value: str) -> str:
        """Return what stands for who gave a number out, such as ``SWA40193``."""
        return "SWA" + self._digits("issuer", value, 5) if value.strip() else ""

    def uid(self, value: str) -> str:
        """Return what stands for a UID; one that the standard gives out stays."""
        value = value.strip(" \0")
        if not value or is_of_the_standard(value):
            return value
        return f"{UID_ROOT}.{self._digits('uid', value, 19)}"

    def name(self, value: str) -> PersonName | None:
        """Return who stands for a person by the letters of a name, however it is cut into components; None for nobody.

        A name with letters outside ASCII becomes another with such letters, out of ISO 8859-1.
        """
        letters = " ".join("".join(one if one.isalnum() else " " for one in value).split()).upper()
        if not letters:
            return None
        accented = not letters.isascii()
        locale = "de_DE" if accented else "en_US"
        found, _, _ = person(
            self._number("name", letters), "recorded", locale=locale, fits="iso8859-1", accented=accented
        )
        return found

    def birth_date(self, value: str, patient: str) -> str:
        """Return a birth date moved by a number of days that is the patient's own, as ``YYYYMMDD``; empty when it is none.

        Another date of birth for the same patient, say a corrected one, stays as far from it as it was.
        """
        try:
            born = date(int(value[:4]), int(value[4:6]), int(value[6:8]))
        except ValueError:
            return ""
        number = self._number("days", patient)
        days = (_LEAST + number % (_MOST - _LEAST)) * (1 if number >> 200 & 1 else -1)
        today = date.today()  # noqa: DTZ011 - an age in years, wherever we are
        youngest, oldest = today - timedelta(days=1), today - timedelta(days=_OLDEST * 365 + number % 365)
        try:
            moved = born + timedelta(days=days)
        except OverflowError:
            moved = oldest
        if moved > youngest:
            moved = born - timedelta(days=abs(days))
        return f"{max(moved, oldest):%Y%m%d}"

    def keys(self, keys: Mapping[str, list[str]]) -> Keys:
        """Return the identifiers of an exchange as they are from now on."""
        return {
            kind: [self.uid(one) if kind in _UIDS else self.identifier(one) for one in values]
            for kind, values in keys.items()
        }

    def forget(self) -> None:
        """Forget the secret: from now on nobody can tell who was who."""
        self._secret = secrets.token_bytes(32)


def is_of_the_standard(uid: str) -> bool:
    """Tell whether a UID stands in PS3.6 itself."""
    from pydicom.uid import UID_dictionary

    return uid.startswith(STANDARD) and uid in UID_dictionary


__all__ = ["STANDARD", "TEXT", "Surrogates", "is_of_the_standard"]
