"""Who plays what: the actors of a lab, simulated or real, and the line to the simulated ones.

The engine talks to a simulated actor through its admin API (:class:`Admin`) and to everybody else on the wire alone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput, Broken, Failed, Inconclusive, Refused, Skipped

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from stepwedge.actors.journals import Journals
    from stepwedge.actors.machines import Machine
    from stepwedge.actors.wallet import Wallet
    from stepwedge.evidence.exchange import Exchange
    from stepwedge.sim.address import Address
    from stepwedge.wire.tls import Credentials

PROBE_AE = "SW_PROBE"
"""The calling AE title of questions that checks ask; a real system under test must know it (connection sheet)."""

_TIMEOUT = 60.0
_AWAY = 3.0
"""Seconds for an answer of a system that a fault keeps from answering."""
_IDLE = 10.0  # A host keeps an idle connection for 30 s (stepwedge.sim.web.KEPT).
_KINDS: Mapping[str, type[Exception]] = {
    "failed": Failed,
    "refused": Refused,
    "inconclusive": Inconclusive,
    "skipped": Skipped,
}
"""What an error kind of the admin API is raised as; anything else is our own trouble."""


class Admin:
    """The admin API of one host process, over one persistent HTTP connection."""

    def __init__(self, url: str, timeout: float = _TIMEOUT, idle: float = _IDLE) -> None:
        """Give an answer ``timeout`` seconds, and use no connection that was silent for ``idle`` seconds."""
        self.url = url.rstrip("/")
        self._parts = urlsplit(self.url)
        self._timeout, self._idle = timeout, idle
        self._link: http.client.HTTPConnection | None = None
        self._used = 0.0

    def act(self, word: str, args: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
        """Tell the actor to do something and return its result.

        Raises the verdict that the actor came to: what the system under test answered (``Refused``, ``Failed``),
        what nobody can tell (``Inconclusive``), or our own trouble (``Broken``).
        """
        answer = self._post("/act", {"word": word, "args": args, "case": case})
        return self._result(answer, word)

    def ask(self, what: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the actor for something it knows."""
        return self._result(self._post("/ask", {"what": what, "args": args}), what)

    def journal(self, after: int, wait: float = 0.0) -> list[dict[str, Any]]:
        """Return the exchanges with numbers above ``after``, waiting up to ``wait`` seconds for the first one."""
        query = urlencode({"after": after, "wait": f"{wait:.3f}"})
        answer = self._call("GET", f"/journal?{query}", None, self._timeout + wait)
        return list(answer["exchanges"])

    def begin_fault(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Let a fault act in a tap; return what it is, with its number under ``fault``."""
        return self._result(self._post("/taps/begin", asked), "fault")

    def lift_fault(self, number: int) -> dict[str, Any]:
        """Lift a fault, if it is still on; return what it did (``count``, ``acts``), and what is ``left`` of it."""
        return self._result(self._post("/taps/lift", {"fault": number}), "lift")

    def health(self) -> dict[str, Any]:
        """Return what the process says about itself; raises ``Broken`` when it does not answer."""
        return self._call("GET", "/health", None, self._timeout)

    def health_of(self) -> dict[str, Any]:
        """Return what one actor says about itself: how many messages wait and are parked."""
        return self._result(self._call("GET", "/health", None, self._timeout), "health")

    def payload(self, number: int, part: str) -> bytes | None:
        """Return the payload that a line of the journal refers to as a file; None when it is gone."""
        query = urlencode({"number": number, "part": part})
        status, data = self._exchange("GET", f"/payload?{query}", None, self._timeout)
        return data if status == http.client.OK else None

    def quirks(self) -> dict[str, Any]:
        """Return the actor's quirks: ``known``, ``active``, and how often each ``acted``."""
        return dict(self._call("GET", "/quirks", None, self._timeout)["result"])

    def behave(self, quirks: Sequence[str]) -> None:
        """Give the actor these quirks, and no others."""
        self._result(self._post("/quirks", {"active": list(quirks)}), "quirks")

    def reset(self) -> None:
        """Let the actor forget everything: rows, what waits, what it answered."""
        self._result(self._post("/reset", {}), "reset")

    def close(self) -> None:
        """End the connection; the next call opens a new one."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, json.dumps(body).encode(), self._timeout)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a live connection: an act must not be repeated, so a dead one is noticed before sending.

        One that the other side is about to end for being idle cannot be noticed; it is left before that time comes.
        """
        if self._link is not None and self._link.sock is not None:
            if time.monotonic() - self._used >= self._idle or select.select([self._link.sock], [], [], 0)[0]:
                self.close()
            else:
                self._link.sock.settimeout(timeout)
        if self._link is None:
            self._link = http.client.HTTPConnection(
                self._parts.hostname or "", self._parts.port, timeout=timeout
            )
        return self._link

    def _call(self, method: str, path: str, body: bytes | None, timeout: float) -> dict[str, Any]:
        _, data = self._exchange(method, path, body, timeout)
        try:
            answer: dict[str, Any] = json.loads(data)
        except ValueError as trouble:
            self.close()
            raise Broken(f"{self.url}{path}: no simulated system answers here ({trouble})") from trouble
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            link = self._connection(timeout)
            link.request(method, self._parts.path + path, body, headers)
            answer = link.getresponse()
            data = answer.read()
        except TimeoutError:
            self.close()
            raise Broken(
                f"{self.url}{path}: the simulated system did not answer within {timeout:g} s"
            ) from None
        except (OSError, http.client.HTTPException) as trouble:
            self.close()
            raise Broken(
                f"{self.url}{path}: the simulated system cannot be reached ({trouble!r})"
            ) from trouble
        self._used = time.monotonic()
        return answer.status, data

    @staticmethod
    def _result(answer: Mapping[str, Any], asked: str) -> dict[str, Any]:
        if (error := answer.get("error")) is None:
            return dict(answer["result"])
        raise _KINDS.get(error["kind"], Broken)(f"{asked}: {error['message']}")


@dataclass(slots=True)
class Player:
    """One actor of the lab: who plays it, and where it is reached.

    Attributes:
        away: the fault of the running case that lets it answer nobody; empty when it should answer.
    """

    name: str
    role: str
    simulated: bool
    address: Address
    admin: Admin | None = None
    claims: frozenset[str] = frozenset()
    away: str = ""

    @property
    def played(self) -> str:
        """Who plays it, as reports say it."""
        return "simulated" if self.simulated else "real"

    def act(self, word: str, args: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
        """Tell a simulated actor to do something."""
        if self.admin is None:
            raise Broken(f"{self.name} is a real system: nobody can tell it to {word}")
        with self._reached() as admin:
            return admin.act(word, args, case)

    def ask(self, what: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Ask a simulated actor for something it knows."""
        if self.admin is None:
            raise Broken(f"{self.name} is a real system: it can only be asked on the wire")
        with self._reached() as admin:
            return admin.ask(what, args)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[Admin]:
        """Return the line to it; under a fault of the case its silence is what was asked for, and tells nothing."""
        assert self.admin is not None  # noqa: S101 - the caller looked
        if not self.away:
            yield self.admin
            return
        with contextlib.closing(Admin(self.admin.url, timeout=_AWAY)) as admin:
            try:
                yield admin
            except Broken as trouble:
                raise Inconclusive(f"{self.name} is under the fault {self.away}: {trouble}") from trouble


@dataclass(slots=True)
class Cast:
    """The players of one lab, by actor name.

    Attributes:
        host: the admin API of the whole simulated hospital, whose journal holds what its actors saw; or, where each runs by
            itself, their journals read as one.
        claims: what the systems under test promise to support; ``None`` when everything is simulated.
        probe: the calling AE title of questions asked by checks.
        tls: what checks present to doors that speak TLS, and whom they trust there.
        logs: what the processes of the simulated actors write besides the journal.
        observe: told of every exchange a check makes itself; returns the number it is evidence under.
        tokens: how checks get bearer tokens, where web doors ask for them.
        taps: where traffic is led through a tap: caller, callee and door.
        machines: what those systems run on that faults can kill, pause and fill up.
    """

    players: dict[str, Player]
    host: Admin | Journals | None = None
    claims: frozenset[str] | None = None
    probe: str = PROBE_AE
    patience: float = 1.0
    tls: Credentials | None = None
    logs: tuple[Path, ...] = ()
    observe: Callable[[Exchange], int] = field(default=lambda _exchange: 0)
    tokens: Wallet | None = None
    taps: frozenset[tuple[str, str, str]] = frozenset()
    machines: Mapping[str, Machine] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Player:
        """Return one player; an unknown name is answered with the nearest known."""
        try:
            return self.players[name]
        except KeyError:
            near = did_you_mean(name, self.players).strip(" ;")
            raise BadInput(f"actor {name!r}", f"one of {', '.join(self.players)}", name, near) from None

    def __contains__(self, name: object) -> bool:
        return name in self.players

    def __iter__(self) -> Iterator[Player]:
        """Iterate over the players."""
        return iter(self.players.values())

    def context(self, *, tls: bool) -> ssl.SSLContext | None:
        """Return what a door is called with; None for one that speaks plain text."""
        if not tls:
            return None
        if self.tls is None:
            raise Broken("a door speaks TLS, and the lab file has no tls: to say what checks present there")
        return self.tls.client()

    def bearer(self, url: str) -> Callable[[], str] | None:
        """Return what gives the probe's token for a web door; None where nobody asks for one."""
        wallet = self.tokens
        return None if wallet is None else lambda: wallet.bearer(url)

    def claimed(self, claim: str) -> bool:
        """Tell whether the systems under test promise ``claim``; simulated ones promise everything."""
        return self.claims is None or claim in self.claims

    def close(self) -> None:
        """End all connections to simulated actors."""
        for admin in {id(p.admin): p.admin for p in self}.values():
            if admin is not None:
                admin.close()
        if self.host is not None:
            self.host.close()
