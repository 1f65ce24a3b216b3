"""What a lab file may say about the router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput, LocalProtocolError
from stepwedge.wire.dictionary import find

from .rules import LANES, PLACES, Rule

_RULE: Final = ("name", *PLACES, "hours", "where", "to", "lane", "set", "remove")
COMMITMENT: Final = ("proxy", "self")
EVERYTHING: Final = (Rule("everything", to=("pacs",)),)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults.

    Attributes:
        rules: every rule that takes an image adds its destinations.
        disk: bytes of objects kept at most; what is delivered everywhere makes room, what is not never does.
        tries: how often an object is sent to a destination that fails on it (0110, abort) before it is parked.
        longest: longest pause between two tries, in seconds.
        ordered: an object waits for the earlier ones of its series.
        commitment: ``proxy`` asks the destinations, ``self`` answers for what is on this disk.
        commitment_within: seconds until a commitment that no destination answered is reported as failed.
        query: whether what is in the cache is offered to C-FIND, C-MOVE and C-GET.
    """

    rules: tuple[Rule, ...] = EVERYTHING
    disk: int = 1 << 30
    tries: int = 5
    longest: float = 5.0
    ordered: bool = True
    commitment: str = COMMITMENT[0]
    commitment_within: float = 60.0
    query: bool = True

    @classmethod
    def read(cls, given: dict[str, Any], name: str) -> Settings:
        """Read what concerns the router; ports, AE title and time limits belong to the bench."""
        values = {key: given[key] for key in cls.__dataclass_fields__ if key in given}
        if "rules" in values:
            if not isinstance(values["rules"], list) or not values["rules"]:
                raise BadInput(f"{name}.rules", "a list of rules", repr(values["rules"]))
            numbered = enumerate(values["rules"], 1)
            values["rules"] = tuple(_rule(one, f"{name}.rules[{number}]", number) for number, one in numbered)
        settings = cls(**values)
        for key, kinds, most in (
            ("disk", (int,), 1 << 44),
            ("tries", (int,), 1000),
            ("longest", (int, float), 3600),
            ("commitment_within", (int, float), 86400),
        ):
            value = getattr(settings, key)
            if type(value) not in kinds or not 0 < value <= most:
                raise BadInput(f"{name}.{key}", f"a number above 0, at most {most}", repr(value))
        for key in ("ordered", "query"):
            if not isinstance(getattr(settings, key), bool):
                raise BadInput(f"{name}.{key}", "true or false", repr(getattr(settings, key)))
        _chosen(settings.commitment, COMMITMENT, f"{name}.commitment")
        return settings

    @property
    def destinations(self) -> tuple[str, ...]:
        """Every destination that a rule names, in the order of the lab file."""
        return tuple(dict.fromkeys(to for rule in self.rules for to in rule.to))


def _rule(given: Any, at: str, number: int) -> Rule:
    if not isinstance(given, dict):
        raise BadInput(at, "a rule, a mapping", repr(given))
    for key in given:
        _chosen(str(key), _RULE, at)
    where = {PLACES[key]: _texts(given[key], f"{at}.{key}") for key in PLACES if key in given}
    for key, value in _mapping(given.get("where"), f"{at}.where").items():
        where[_keyword(key, f"{at}.where")] = _texts(value, f"{at}.where.{key}")
    to, lane = _texts(given.get("to"), f"{at}.to"), str(given.get("lane") or LANES[-1])
    changes = {
        _keyword(key, f"{at}.set"): str(value) for key, value in _mapping(given.get("set"), at).items()
    }
    removed = tuple(_keyword(key, f"{at}.remove") for key in _texts(given.get("remove"), f"{at}.remove"))
    if (changes or removed) and not to:
        raise BadInput(at, "destinations that get the changed object", "none", "write to: [pacs]")
    for key in (*changes, *removed):
        if key.endswith("UID") or key == "PixelData":
            raise BadInput(at, "attributes that do not identify an object or hold its pixels", key)
    return Rule(
        str(given.get("name") or f"rule {number}"),
        where,
        _hours(given.get("hours"), f"{at}.hours"),
        to,
        _chosen(lane, LANES, f"{at}.lane"),
        changes,
        removed,
    )


def _hours(given: Any, at: str) -> tuple[int, int] | None:
    """Read ``18-6``: from 18:00 until 06:00."""
    if given is None:
        return None
    first, _, last = str(given).partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) < 24 and int(last) <= 24):  # noqa: PLR2004 - hours
        raise BadInput(at, "hours such as 18-6", repr(given), 'put it in quotes: "18-6"')
    return int(first), int(last)


def _keyword(key: Any, at: str) -> str:
    try:
        return str(find(str(key)) and key)
    except LocalProtocolError as trouble:
        raise BadInput(at, "DICOM keywords (PS3.6)", str(key), str(trouble)) from trouble


def _chosen(value: str, known: tuple[str, ...], at: str) -> str:
    if value not in known:
        raise BadInput(at, f"one of {', '.join(known)}", value, did_you_mean(value, known).strip(" ;"))
    return value


def _mapping(given: Any, at: str) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise BadInput(at, "a mapping of DICOM keyword to value", repr(given))
    return dict(given or {})


def _texts(given: Any, at: str) -> tuple[str, ...]:
    """Return one text or a list of texts."""
    listed = [] if given is None else given if isinstance(given, list) else [given]
    for one in listed:
        if not isinstance(one, str) or not one:
            raise BadInput(at, "a text, or a list of texts", repr(one))
    return tuple(listed)
