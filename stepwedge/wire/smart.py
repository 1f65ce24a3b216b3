"""Scopes of SMART App Launch 2 (and 1), and which one a request at a web door needs. Pure.

A scope names who looks (``patient``, ``user``, ``system``), at what (a FHIR resource type or ``*``) and what for: ``cruds``
for create, read, update, delete, search, in that order (SMART App Launch 2.2, section "Scopes for requesting FHIR
Resources"). The words of version 1 are read as what they meant: ``read`` is ``rs``, ``write`` is ``cud``, ``*`` all of them.
DICOMweb has no scopes of its own in the standard; as SMART Imaging Access does it, a study is an ``ImagingStudy``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

INTERACTIONS: Final = "cruds"
LONGEST: Final = 4096
"""Characters of a scope parameter that are read."""
STUDY: Final = "ImagingStudy"
_SCOPE: Final = re.compile(
    r"(?P<who>patient|user|system)/(?P<what>\*|[A-Z][A-Za-z]{1,63})\.(?P<does>\*|read|write|[a-z]{1,5})(?P<narrowed>\?.+)?"
)
_FIRST_VERSION: Final = {"read": "rs", "write": "cud", "*": INTERACTIONS}
_SEARCHES: Final = frozenset({"studies", "series", "instances"})
_OPEN: Final = frozenset({"metadata", ".well-known"})


@dataclass(frozen=True, slots=True)
class Scope:
    """One resource scope.

    Attributes:
        who: ``patient``, ``user`` or ``system``.
        what: a resource type, or ``*``.
        does: letters out of ``cruds``, in that order.
    """

    who: str
    what: str
    does: str

    def __str__(self) -> str:
        return f"{self.who}/{self.what}.{self.does}"

    @classmethod
    def parse(cls, text: str) -> Scope | None:
        """Read one scope; None for one that is of another kind (``openid``), malformed, or narrowed by a search we cannot judge."""
        found = _SCOPE.fullmatch(text)
        if found is None or found["narrowed"]:
            return None
        does = _FIRST_VERSION.get(found["does"], found["does"])
        if not does or list(does) != sorted(set(does) & set(INTERACTIONS), key=INTERACTIONS.index):
            return None
        return cls(found["who"], found["what"], does)

    def covers(self, need: Need) -> bool:
        """Tell whether this scope allows what a request needs."""
        return self.what in {"*", need.what} and set(need.does) <= set(self.does)


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs: a resource type and one of ``c r u d s``."""

    what: str
    does: str


def words(scope: str) -> list[str]:
    """Return the parts of a scope parameter (RFC 6749 section 3.3), each once."""
    return list(dict.fromkeys(scope[:LONGEST].split()))


def scopes(scope: str) -> list[Scope]:
    """Return the resource scopes of a scope parameter."""
    return [one for word in words(scope) if (one := Scope.parse(word))]


def narrow(asked: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return what of ``asked`` may be granted: words that are allowed as they are, resource scopes as far as allowed.

    What is not allowed is left out: ``user/*.cruds`` of somebody who may ``user/*.rs user/DiagnosticReport.cruds`` becomes that.
    """
    allowed = list(allowed)
    limits = [one for one in map(Scope.parse, allowed) if one is not None]
    granted: dict[str, None] = {}
    for word in asked:
        wanted = Scope.parse(word)
        if word in allowed:
            granted[word] = None
        elif wanted is not None:
            granted |= dict.fromkeys(map(str, _meet(wanted, limits)))
    return list(granted)


def _meet(wanted: Scope, limits: Iterable[Scope]) -> list[Scope]:
    """Return what is both wanted and allowed, ``*`` first, without what another one covers already."""
    letters: dict[str, set[str]] = {}
    for one in limits:
        if one.who != wanted.who or ("*" not in {one.what, wanted.what} and one.what != wanted.what):
            continue
        what = wanted.what if one.what == "*" else one.what
        letters.setdefault(what, set()).update(set(one.does) & set(wanted.does))
    everything = letters.get("*", set())
    found = {
        what: does | everything for what, does in letters.items() if what == "*" or not does <= everything
    }
    return [
        Scope(wanted.who, what, "".join(sorted(does, key=INTERACTIONS.index)))
        for what, does in sorted(found.items())
        if does
    ]


def need_at(root: str, method: str, path: str) -> Need | None:
    """Return what a request below ``root`` needs; None for what everybody may see (FHIR's ``/metadata``).

    Args:
        root: ``/dicom-web`` or another, taken for DICOMweb unless its last part begins with ``fhir``.
        method: of HTTP.
        path: below the root, beginning with a slash.
    """
    parts = [part for part in path.split("/") if part]
    if root.rpartition("/")[2].startswith("fhir"):
        return _fhir(method, parts)
    if method == "POST":
        return Need(STUDY, "c")
    if method == "DELETE":
        return Need(STUDY, "d")
    if method == "PUT":
        return Need(STUDY, "u")
    return Need(STUDY, "s" if not parts or parts[-1] in _SEARCHES else "r")


def _fhir(method: str, parts: list[str]) -> Need | None:
    if parts and parts[0] in _OPEN:
        return None
    what = parts[0] if parts and parts[0][:1].isupper() else "*"
    if method in {"GET", "HEAD"}:
        return Need(what, "s" if len(parts) < 2 or what == "*" else "r")  # noqa: PLR2004 - a type and an id
    if method == "POST":
        return Need(what, "s" if parts[-1:] == ["_search"] else "c")
    return Need(what, "d" if method == "DELETE" else "u")
