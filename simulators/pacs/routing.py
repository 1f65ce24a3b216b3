"""Which objects go on to whom: routing rules, and priors fetched ahead for an order that was scheduled. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

from .tiers import DAYS_A_YEAR, day_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .state import Archive, Expected, Instance

ATTRIBUTES: Final = {
    "modality": "Modality",
    "station": "StationName",
    "description": "StudyDescription",
    "body_part": "BodyPartExamined",
    "protocol": "ProtocolName",
    "class": "SOPClassUID",
}
"""What a rule may ask of an object, beside ``sender``, the AE title it came from, and ``procedure``, a code of its study."""


@dataclass(frozen=True, slots=True)
class Routed:
    """One object on its way to a destination.

    Attributes:
        rule: the name of the routing rule, or ``prefetch``.
        accession: the order for which a prior is fetched ahead.
        status: ``waiting``, ``sent``, ``failed`` with the reason, or ``dropped`` when its order was cancelled.
    """

    sop: str
    study: str
    to: str
    rule: str
    accession: str = ""
    status: str = "waiting"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A routing rule: every condition holds, a shell pattern each; no condition takes everything."""

    name: str
    when: Mapping[str, str]
    to: tuple[str, ...]

    @classmethod
    def read(cls, given: Any, place: str) -> Rule:
        """Read ``{name: neuro, when: {modality: MR, station: MR*}, to: [neuro_archive]}``."""
        known = {*ATTRIBUTES, "sender", "procedure"}
        if not isinstance(given, dict) or set(given) - {"name", "when", "to"} or not given.get("to"):
            raise BadInput(f"{place}.routes", "name, when and to of each rule", repr(given))
        when, to = given.get("when") or {}, given["to"]
        if not isinstance(when, dict) or (strange := set(when) - known):
            raise BadInput(
                f"{place}.routes: when",
                f"conditions on {', '.join(sorted(known))}",
                repr(when if not isinstance(when, dict) else sorted(strange)),
            )
        names = tuple(to) if isinstance(to, list | tuple) else (str(to),)
        return cls(
            str(given.get("name") or "unnamed"), {key: str(value) for key, value in when.items()}, names
        )

    def takes(self, instance: Instance) -> bool:
        """Tell whether the rule means an object."""
        return all(
            fnmatchcase(value, pattern)
            for pattern, value in ((p, _value(instance, n)) for n, p in self.when.items())
        )


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Which priors are sent ahead, and where to, when an exam is scheduled.

    Attributes:
        priors: how many studies at most, the newest first.
        years: how old a prior may be.
        same: attributes (keys of ``ATTRIBUTES``) in which a prior must agree with the procedure's newest study; empty takes any.
    """

    to: tuple[str, ...]
    priors: int = 2
    years: float = 5
    modality: str = ""

    @classmethod
    def read(cls, given: Any, place: str) -> Prefetch:
        """Read ``{to: [cache], priors: 2, years: 5, modality: CT}``."""
        if (
            not isinstance(given, dict)
            or set(given) - {"to", "priors", "years", "modality"}
            or not given.get("to")
        ):
            raise BadInput(
                f"{place}.prefetch", "to, and priors, years and modality where they matter", repr(given)
            )
        to = tuple(given["to"]) if isinstance(given["to"], list | tuple) else (str(given["to"]),)
        priors, years = given.get("priors", 2), given.get("years", 5)
        if not isinstance(priors, int) or not isinstance(years, int | float) or priors < 1 or years <= 0:
            raise BadInput(f"{place}.prefetch", "priors 1 or more, years above 0", repr(given))
        return cls(to, priors, years, str(given.get("modality") or ""))


def _value(instance: Instance, name: str) -> str:
    if name == "sender":
        return instance.sender
    if name == "procedure":
        codes = instance.header.get("ProcedureCodeSequence") or [{}]
        return str(codes[0].get("CodeValue", ""))
    return str(instance.header.get(ATTRIBUTES[name], ""))


def route(
    archive: Archive, rules: Sequence[Rule], instance: Instance, senders: Mapping[str, str]
) -> list[Routed]:
    """Decide where a new object goes: every rule that takes it counts, each destination gets it once.

    ``senders`` maps AE titles to actors, so that nothing goes back to where it came from.
    """
    everyone = list(dict.fromkeys(to for rule in rules for to in rule.to))
    origin = senders.get(instance.sender, instance.sender)
    found: dict[str, Routed] = {}
    for rule in rules:
        if not rule.takes(instance):
            continue
        for to in archive.habits.destinations(rule.to, everyone):
            if archive.habits.sends_back(origin, to):
                found.setdefault(to, Routed(instance.sop, instance.study, to, rule.name))
    return list(found.values())


def priors(archive: Archive, order: Expected, rule: Prefetch, today: date) -> list[str]:
    """Return the studies to fetch ahead for an order, the newest first."""
    oldest = today - timedelta(days=rule.years * DAYS_A_YEAR)
    person = archive.survivor(order.patient)
    if person is None:
        return []
    found: list[tuple[date, str]] = []
    for key in archive.aliases(person.key):
        for study in archive.studies.by("patient", key):
            shown = archive.shown(study.uid)
            if not shown or study.uid == order.study or study.accession == order.accession:
                continue
            day = day_of(str(shown[0].header.get("StudyDate", "")))
            fits = not rule.modality or any(one.header.get("Modality") == rule.modality for one in shown)
            if day is not None and day >= oldest and fits:
                found.append((day, study.uid))
    return [uid for _, uid in sorted(found, reverse=True)[: rule.priors]]


def fetch_ahead(archive: Archive, order: Expected, rule: Prefetch, today: date) -> list[Routed]:
    """Decide which objects of priors go where; what a destination has from us, or is on its way there, does not go again."""
    return [
        Routed(one.sop, one.study, to, "prefetch", order.accession)
        for study in priors(archive, order, rule, today)
        for one in archive.shown(study)
        for to in rule.to
        if archive.habits.prefetches(_there(archive, one.sop, to))
    ]


def _there(archive: Archive, sop: str, to: str) -> bool:
    routed = archive.routed.get(f"{sop} {to}")
    return routed is not None and routed.status in {"waiting", "sent"}
