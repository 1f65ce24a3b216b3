"""What a lab file may say about the interface engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput

from .routes import DEFAULT, REPLIES, Route
from .translation import OTHERWISE, Normal, Table, place, rows

_ROUTE: Final = ("name", "listener", "from", "type", "where", "to", "translate", "normalise", "reply")
_TABLE: Final = ("at", "rows", "otherwise")
_NORMAL: Final = ("move", "drop")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults.

    Attributes:
        routes: the routing table; every route that takes a message sends it on.
        tables: code tables by name, as the lab file has them.
        listeners: names of further HL7 listeners, on ports ``hl7_NAME_port`` or free ones; senders call them ``engine.NAME``.
        enhanced: destinations that are spoken to in enhanced mode: both acknowledgements are asked for.
        tries: how often an application error (AE, CE) is tried again before the message becomes a dead letter.
        within: seconds to wait for the answer of a destination that replies itself.
    """

    routes: tuple[Route, ...] = DEFAULT
    tables: dict[str, Table] = field(default_factory=dict)
    listeners: tuple[str, ...] = ()
    enhanced: tuple[str, ...] = ()
    tries: int = 3
    within: float = 5.0

    @classmethod
    def read(cls, given: dict[str, Any], name: str) -> Settings:
        """Read what concerns the engine; ports and application belong to the bench."""
        tables = {
            key: _table(key, value, f"{name}.tables.{key}")
            for key, value in _mapping(
                given.get("tables") or {}, f"{name}.tables", "table name to table"
            ).items()
        }
        default = cls()
        listeners = _texts(given.get("listeners"), f"{name}.listeners")
        for one in listeners:
            if not one.isidentifier():
                raise BadInput(f"{name}.listeners", "names of letters, digits and underscores", one)
        enhanced = _texts(given.get("enhanced"), f"{name}.enhanced")
        routes = default.routes
        if "routes" in given:
            listed = _list(given["routes"], f"{name}.routes", "a list of routes")
            routes = tuple(
                _route(one, number, f"{name}.routes[{number}]", tables, listeners)
                for number, one in enumerate(listed, 1)
            )
        tries, within = given.get("tries", default.tries), given.get("within", default.within)
        if type(tries) is not int or tries < 1:
            raise BadInput(f"{name}.tries", "a whole number, 1 or more", repr(tries))
        if type(within) not in {int, float} or not 0 < within < 3600:  # noqa: PLR2004 - an hour
            raise BadInput(f"{name}.within", "seconds, more than 0", repr(within))
        return cls(routes, tables, listeners, enhanced, tries, within)


def _route(given: Any, number: int, at: str, tables: dict[str, Table], listeners: tuple[str, ...]) -> Route:
    one = _known(_mapping(given, at, "a route"), _ROUTE, at)
    if (listener := str(one.get("listener") or "")) and listener not in listeners:
        known = f"a listener out of {', '.join(listeners) or 'none: there is no listeners:'}"
        raise BadInput(f"{at}.listener", known, listener, did_you_mean(listener, listeners).strip(" ;"))
    if "to" not in one:
        raise BadInput(
            f"{at}.to", "destinations", "none", "write to: [ris]; to: [] takes messages that go nowhere"
        )
    reply = one.get("reply", REPLIES[0])
    if reply not in REPLIES:
        raise BadInput(
            f"{at}.reply", " or ".join(REPLIES), repr(reply), did_you_mean(str(reply), REPLIES).strip(" ;")
        )
    translate = _texts(one.get("translate"), f"{at}.translate")
    for table in translate:
        if table not in tables:
            known = f"a table out of {', '.join(tables) or 'none: there is no tables:'}"
            raise BadInput(f"{at}.translate", known, table, did_you_mean(table, tables).strip(" ;"))
    where = _mapping(one.get("where") or {}, f"{at}.where", "HL7 path to pattern")
    to = _texts(one["to"], f"{at}.to")
    if reply == "destination" and not to:
        raise BadInput(
            f"{at}.reply", "engine, where nobody else could answer", reply, "name a destination in to:"
        )
    return Route(
        name=str(one.get("name") or f"route {number}"),
        source=str(one.get("from") or ""),
        types=_texts(one.get("type"), f"{at}.type"),
        where={place(key, f"{at}.where"): str(value) for key, value in where.items()},
        to=to,
        translate=translate,
        normal=_normal(one.get("normalise") or {}, f"{at}.normalise"),
        reply=reply,
        listener=listener,
    )


def _normal(given: Any, at: str) -> Normal:
    one = _known(_mapping(given, at, "move and drop"), _NORMAL, at)
    move = _mapping(one.get("move") or {}, f"{at}.move", "their place to the standard place")
    drop = _texts(one.get("drop"), f"{at}.drop")
    for name in drop:
        if len(name) != 3 or not name.isalnum() or name in {"MSH", "PID"}:  # noqa: PLR2004 - segment IDs have three
            raise BadInput(f"{at}.drop", "segments that can be missed, such as ZAC", name)
    return Normal({place(key, f"{at}.move"): place(to, f"{at}.move.{key}") for key, to in move.items()}, drop)


def _table(name: str, given: Any, at: str) -> Table:
    one = _known(_mapping(given, at, "a table"), _TABLE, at)
    places = _texts(one.get("at"), f"{at}.at")
    if not places:
        raise BadInput(f"{at}.at", "the HL7 paths it is for", "none", "write at: PID-8")
    otherwise = one.get("otherwise", OTHERWISE[0])
    if otherwise not in OTHERWISE:
        remedy = did_you_mean(str(otherwise), OTHERWISE).strip(" ;")
        raise BadInput(f"{at}.otherwise", " or ".join(OTHERWISE), repr(otherwise), remedy)
    codes = rows(one.get("rows") or {}, f"{at}.rows")
    return Table(name, tuple(place(path, f"{at}.at") for path in places), codes, otherwise)


def _known(one: dict[str, Any], keys: tuple[str, ...], at: str) -> dict[str, Any]:
    for key in one:
        if key not in keys:
            raise BadInput(
                at, f"the keys {', '.join(keys)}", str(key), did_you_mean(str(key), keys).strip(" ;")
            )
    return one


def _mapping(given: Any, at: str, what: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadInput(at, f"{what}, a mapping", repr(given))
    return given


def _list(given: Any, at: str, what: str) -> list[Any]:
    if not isinstance(given, list):
        raise BadInput(at, what, repr(given), "write each with a dash before it")
    return given


def _texts(given: Any, at: str) -> tuple[str, ...]:
    """Return one text or a list of texts."""
    listed = [] if given is None else given if isinstance(given, list) else [given]
    for one in listed:
        if not isinstance(one, str) or not one:
            raise BadInput(at, "a text, or a list of texts", repr(one))
    return tuple(listed)
