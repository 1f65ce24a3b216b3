"""What a lab file may say about the identity provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from stepwedge.errors import BadInput
from stepwedge.model.roles import RIGHTS

GRANTS: Final = ("authorization_code", "refresh_token", "client_credentials")
PERSONAL: Final = (
    "openid profile fhirUser launch launch/patient offline_access online_access user/*.cruds patient/*.cruds"
)
USERS: Final = {
    "reading": "radiologist",
    "scanning": "technologist",
    "referring": "referrer",
    "managing": "administrator",
}
_LONGEST_NAME: Final = 64
_FAILURES: Final = 5


@dataclass(frozen=True, slots=True)
class Client:
    """A program that is known here.

    Attributes:
        public: it cannot keep a secret, so it has none and must prove possession of its codes (PKCE).
        redirects: where browsers may be sent back to.
        scopes: what it may ask for.
    """

    name: str
    public: bool = False
    redirects: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    grants: tuple[str, ...] = GRANTS


_HERE: Final = ("http://127.0.0.1/callback",)
CLIENTS: Final = {
    one.name: one
    for one in (
        Client("viewer", public=True, redirects=_HERE, scopes=tuple(PERSONAL.split()), grants=GRANTS[:2]),
        Client("portal", redirects=_HERE, scopes=tuple(PERSONAL.split()), grants=GRANTS[:2]),
    )
}
"""Two apps for people; besides them every actor of the lab and the probe are known as programs, see :meth:`Settings.program`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults; times in seconds.

    Attributes:
        users: name to role.
        clients: programs that people use, by name: ``{public, redirects, scopes, grants}``; added to those that are here.
        failures: sign-ins in a row that fail before an account is locked; written ``lockout: {failures}``.
        locked: seconds of such a lock; written ``lockout: {seconds}``.
        access: seconds that an access token lives; written ``lifetimes: {access}``, like the next three.
        refresh: seconds that a refresh token lives.
        session: seconds that a sign-in lasts.
        code: seconds in which an authorization code must be redeemed.
        signs: algorithm of access tokens; ID tokens are RS256 (OpenID Connect Core section 15.1) unless this says otherwise.
        rights: role to rights; written ``tokens: {roles}`` of the lab file.
    """

    users: dict[str, str] = field(default_factory=lambda: dict(USERS))
    clients: dict[str, Client] = field(default_factory=lambda: dict(CLIENTS))
    failures: int = _FAILURES
    locked: float = 900.0
    access: float = 300.0
    refresh: float = 86_400.0
    session: float = 28_800.0
    code: float = 60.0
    signs: str = "ES256"
    rights: dict[str, str] = field(default_factory=lambda: dict(RIGHTS))

    @classmethod
    def read(cls, given: dict[str, Any], name: str) -> Settings:
        """Read what concerns the provider; ports and application belong to the bench."""
        rights = RIGHTS | dict((given.get("tokens") or {}).get("roles") or {})
        users = given.get("users", USERS)
        if not isinstance(users, dict) or not all(_good_name(user) for user in users):
            raise BadInput(f"{name}.users", "a mapping of user names to roles", repr(users))
        for user, role in users.items():
            if role not in rights:
                raise BadInput(f"{name}.users.{user}", f"a role, one of {', '.join(rights)}", repr(role))
        lockout = _mapping(given, "lockout", name, {"failures", "seconds"})
        lifetimes = _mapping(given, "lifetimes", name, {"access", "refresh", "session", "code"})
        if (signs := given.get("signs", "ES256")) not in {"ES256", "RS256"}:
            raise BadInput(f"{name}.signs", "ES256 or RS256", repr(signs))
        failures = int(lockout.pop("failures", _FAILURES))
        times = {
            "locked" if key == "seconds" else key: value for key, value in {**lockout, **lifetimes}.items()
        }
        clients = CLIENTS | {
            client: _client(client, told, f"{name}.clients.{client}")
            for client, told in _mapping(given, "clients", name).items()
        }
        return cls(dict(users), clients, failures, signs=signs, rights=rights, **times)


def program(name: str) -> Client:
    """Return the client that an actor of the lab is, or the probe: a program of its own (SMART Backend Services)."""
    return Client(name, scopes=("system/*.cruds",), grants=("client_credentials",))


def _good_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _mapping(given: dict[str, Any], key: str, name: str, numbers: set[str] | None = None) -> dict[str, Any]:
    found = given.get(key, {})
    if not isinstance(found, dict):
        raise BadInput(f"{name}.{key}", "a mapping", repr(found))
    for what, value in found.items():
        good = type(value) in {int, float} and 0 < value < 1e9  # noqa: PLR2004 - thirty years
        if numbers is not None and (what not in numbers or not good):
            raise BadInput(
                f"{name}.{key}.{what}", f"numbers above 0 for {', '.join(sorted(numbers))}", repr(value)
            )
    return dict(found)


def _client(name: str, told: Any, place: str) -> Client:
    form = "{public: true, redirects: [URI], scopes: [SCOPE], grants: [GRANT]}"
    if not isinstance(told, dict) or set(told) - {"public", "redirects", "scopes", "grants"}:
        raise BadInput(place, form, repr(told))
    lists = {key: told.get(key) for key in ("redirects", "scopes", "grants") if key in told}
    if not all(
        isinstance(value, list) and all(isinstance(one, str) for one in value) for value in lists.values()
    ):
        raise BadInput(place, form, repr(told))
    if strange := set(lists.get("grants") or ()) - set(GRANTS):
        raise BadInput(f"{place}.grants", f"grants out of {', '.join(GRANTS)}", ", ".join(strange))
    return Client(name, bool(told.get("public")), **{key: tuple(value or ()) for key, value in lists.items()})
