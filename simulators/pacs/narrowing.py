"""Which studies and patients a query can mean, by its narrowest key, so that few of a large archive are compared. Pure.

What is found here is a superset: matching (PS3.4 C.2.2.2) decides. A key that an index cannot follow narrows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.wire.matching import bounds

from .state import folded, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stepwedge.sim.tables import Table

    from .state import Archive, Person

Elements = dict[str, Any]

_LAST: Final = "\U0010ffff"
"""Sorts behind all that a text can go on with."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to the candidates.

    Attributes:
        cost: how many rows lie on it.
        walk: gives the candidates, a study perhaps more than once.
    """

    cost: int
    walk: Callable[[], Iterable[str]]


def studies(archive: Archive, identifier: Elements) -> list[str]:
    """Return the UIDs of the studies that may match, each once."""
    ways = [way for key, find in _WAYS.items() if (way := find(archive, _text(identifier, key))) is not None]
    if not ways:
        return list(archive.studies)
    return list(dict.fromkeys(min(ways, key=lambda way: way.cost).walk()))


def people(archive: Archive, identifier: Elements) -> Iterable[Person]:
    """Return the patient records that may match."""
    values = {"id": _text(identifier, "PatientID"), "name": folded(_text(identifier, "PatientName"))}
    found = [(name, some) for name, text in values.items() if (some := _values(archive.people, name, text))]
    if not found:
        return archive.people.values() if not any(map(_narrows, values.values())) else ()
    name, some = min(found, key=lambda one: len(one[1]))
    return [person for value in some for person in archive.people.by(name, value)]


def _text(identifier: Elements, key: str) -> str:
    value = identifier.get(key)
    return value.strip() if isinstance(value, str) else ""


def _narrows(text: str) -> bool:
    """Tell whether a key says how its values begin."""
    return text[:1] not in {"", "*", "?"}


def _values(table: Table[Any], index: str, text: str) -> list[str]:
    """Return the values of an ordered index that a text with wild cards (C.2.2.2.4) may mean; none when it narrows nothing."""
    if not _narrows(text):
        return []
    ends = [at for sign in "*?" if (at := text.find(sign)) >= 0]
    if not ends:
        return [text] if table.count(index, text) else []
    start = text[: min(ends)]
    return table.between(index, start, start + _LAST)


def _by_uid(archive: Archive, text: str) -> _Way | None:
    uids = [uid for uid in parts(text) if uid in archive.studies]
    return _Way(len(uids), lambda: uids) if text and text != "*" else None


def _by_instance(archive: Archive, text: str) -> _Way | None:
    found = [one.study for sop in parts(text) if (one := archive.instances.get(sop)) is not None]
    return _Way(len(found), lambda: found) if text and text != "*" else None


def _by_accession(archive: Archive, text: str) -> _Way | None:
    if not _narrows(text):
        return None
    return _over_instances(archive, "accession", _values(archive.instances, "accession", text))


def _by_person(index: str) -> Callable[[Archive, str], _Way | None]:
    """Go through the patient records, and what was merged into them."""

    def find(archive: Archive, text: str) -> _Way | None:
        wanted = folded(text) if index == "name" else text
        if not _narrows(wanted):
            return None
        values = _values(archive.people, index, wanted)

        def walk() -> Iterator[str]:
            for value in values:
                for person in archive.people.by(index, value):
                    for key in archive.aliases(person.key):
                        for one in archive.instances.by("patient", key):
                            yield one.study

        return _Way(len(values), walk)

    return find


def _over_instances(archive: Archive, index: str, values: list[str]) -> _Way:
    """Go through the instances that say one of these values; those of one study need not agree."""

    def walk() -> Iterator[str]:
        for value in values:
            for one in archive.instances.by(index, value):
                yield one.study

    return _Way(sum(archive.instances.count(index, value) for value in values), walk)


def _by_date(archive: Archive, text: str) -> _Way | None:
    if not text or text == "*":
        return None
    return _over_instances(archive, "date", archive.instances.between("date", *bounds("DA", text)))


def _by_modality(archive: Archive, text: str) -> _Way | None:
    if not text or set("*?\\") & set(text):
        return None
    return _Way(
        archive.instances.count("modality", text),
        lambda: (one.study for one in archive.instances.by("modality", text)),
    )


_WAYS: Final[dict[str, Callable[[Archive, str], _Way | None]]] = {
    "StudyInstanceUID": _by_uid,
    "SOPInstanceUID": _by_instance,
    "AccessionNumber": _by_accession,
    "PatientID": _by_person("id"),
    "PatientName": _by_person("name"),
    "StudyDate": _by_date,
    "ModalitiesInStudy": _by_modality,
    "Modality": _by_modality,
}
