"""What those who act in a load share: the plan, where everybody is, what is measured, and the ledger. One for each process.

A request is timed from when it was *due*, not from when it was begun: who has to wait because the generator, or the system before,
was slow has waited (no coordinated omission).
"""

from __future__ import annotations

import contextlib
import functools
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from stepwedge import clock
from stepwedge.actors.cast import Admin
from stepwedge.errors import LinkLost, NoAnswer, Refused, StepwedgeError
from stepwedge.load.ledger import Ledger
from stepwedge.load.measures import Measures, Outcome
from stepwedge.sim.address import Address
from stepwedge.wire import tls
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.mllp_blocking import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from stepwedge.load.plan import Plan
    from stepwedge.sim.address import Endpoint, Entity

TIMEOUT: Final = 30.0
"""Seconds for one answer, as an impatient modality waits."""
_AGAIN, _LONGEST = 0.25, 5.0
"""Seconds before a rejected association is asked for again, at first and at most."""
_LOOK: Final = 0.01
CALLING: Final = "SW_LD"
"""AE title of whoever needs none that is known."""


@dataclass(slots=True)
class Request:
    """One request while it is made.

    Attributes:
        bytes: how much it carried.
        outcome: what came of it; only the one who asked can tell a *no* that came as an answer.
        group: what requests of this kind are told apart by.
    """

    bytes: int = 0
    outcome: Outcome = "ok"
    group: str = ""


def outcome_of(trouble: BaseException) -> Outcome:
    """Return what an error makes of a request: without an answer nobody knows what became of it."""
    if isinstance(trouble, LinkLost | NoAnswer):
        return "unknown"
    return "refused" if isinstance(trouble, Refused) else "failed"


@dataclass
class Site:
    """The hospital as one process of the load sees it.

    Attributes:
        pause: sleeps; under gevent that lets others run.
        spawn: begins something beside us: a thread, under gevent a greenlet.
        tell: told of each request (name, seconds, bytes, error): Locust counts too.
        calling: AE title of whoever needs none that is known.
    """

    plan: Plan
    folder: Path
    directory: dict[str, Address]
    roles: dict[str, str]
    measures: Measures
    ledger: Ledger
    admins: dict[str, str] = field(default_factory=dict)
    credentials: tls.Credentials | None = None
    pause: Callable[[float], None] = time.sleep
    spawn: Callable[[Callable[[], None]], Any] = lambda work: threading.Thread(
        target=work, daemon=True
    ).start()
    tell: Callable[[str, float, int, str], None] = lambda *_: None
    calling: str = CALLING
    notes: set[str] = field(default_factory=set)
    _links: dict[str, list[Link]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, plan: Plan, **more: Any) -> Self:
        """Read where everybody is, and begin files of our own below ``folder``."""
        told = json.loads((folder / plan.hospital).read_text(encoding="utf-8"))
        if "actors" in told:  # a hospital.json
            directory = {name: one["address"] for name, one in told["actors"].items()}
            roles = {name: one["role"] for name, one in told["actors"].items()}
            admins = {name: one["admin"] for name, one in told["actors"].items()}
        else:
            directory, roles = told["directory"], told.get("roles", {})
            admins = told.get("admins", {})
        given = told.get("tls")
        return cls(
            plan,
            folder,
            {name: Address.parse(one, name) for name, one in directory.items()},
            {name: roles.get(name, name) for name in directory},
            Measures(folder / "measures"),
            Ledger(folder / "ledger"),
            admins,
            tls.Credentials.parse(given, "load") if given else None,
            **more,
        )

    # --- time ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return seconds since the run began."""
        return clock.moment() - self.plan.began

    @property
    def ends(self) -> float:
        """When everything that began must be over, in seconds of the run."""
        return self.plan.seconds + self.plan.drain

    def wait(self, seconds: float) -> bool:
        """Wait; False when the run is over before."""
        left = self.ends - self.now()
        self.pause(max(0.0, min(seconds, left)))
        return seconds < left

    # --- whom there is -------------------------------------------------------------------------------------------

    def role(self, role: str) -> str:
        """Return the first actor of a role; "" when there is none."""
        return next((name for name, one in self.roles.items() if one == role), "")

    def door(self, role: str, door: str) -> Any:
        """Return a door of the first actor of a role, or None; whoever needs it leaves the step out and says so."""
        address = self.directory.get(self.role(role))
        return getattr(address, door) if address else None

    def admin(self, role: str) -> Admin | None:
        """Return a line of its own to a simulated actor."""
        url = self.admins.get(self.role(role))
        return Admin(url, TIMEOUT) if url else None

    def modality(self, modality: str) -> str:
        """Return the AE title of a scanner: one that the archive knows where there is such a one."""
        known = [self.directory[name] for name, role in self.roles.items() if role == "modality"]
        titles = [one.dicom.ae if one.dicom else one.calling or "" for one in known]
        fitting = [title for title in titles if modality in title]
        return next(iter(fitting or titles), "") or f"{self.calling}_{modality}"[:16]

    def can(self, claim: str, what: str) -> bool:
        """Tell whether the systems claim something; what they do not claim is left out, and that is noted."""
        if self.plan.claim(claim):
            return True
        self.leave_out(what, f"{claim} is not claimed")
        return False

    def leave_out(self, what: str, why: str) -> None:
        """Note that something is not done here."""
        if (line := f"{what}: left out, {why}") not in self.notes:
            self.notes.add(line)

    # --- requests ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def request(self, name: str, *, due: float | None = None, group: str = "") -> Iterator[Request]:
        """Measure what happens inside; an error passes on and decides what came of it.

        Args:
            name: kind of request, as the measures name it.
            due: when it was to be made, in seconds of the run; now when it follows from something else.
            group: what requests of this kind are told apart by.
        """
        begun = self.now()
        due = begun if due is None else due
        asked, error = Request(group=group), ""
        try:
            yield asked
        except BaseException as trouble:
            asked.outcome, error = outcome_of(trouble), f"{type(trouble).__name__}: {trouble}"
            raise
        finally:
            ended = self.now()
            if asked.outcome != "ok":
                error = error or asked.outcome
            self.measures.note(
                name,
                ended - due,
                at=ended,
                outcome=asked.outcome,
                nbytes=asked.bytes,
                late=max(0.0, begun - due),
                group=asked.group,
            )
            self.tell(name, ended - due, asked.bytes, error)

    def span(self, name: str, since: float, *, group: str = "", seen: bool = True) -> None:
        """Measure a time that was found by asking, from ``since`` until now; one that never came is unknown."""
        now = self.now()
        outcome: Outcome = "ok" if seen else "unknown"
        self.measures.note(name, now - since, at=now, outcome=outcome, group=group)

    def ask(self, actor: str, raw: bytes) -> bytes:
        """Send one HL7 message to an actor and return its answer; links are kept and used again."""
        endpoint: Endpoint | None = self.directory[actor].hl7
        if endpoint is None:
            raise Refused(f"{actor} has no HL7 door")
        idle = self._links.setdefault(actor, [])
        link = (
            idle.pop()
            if idle
            else Link.open(endpoint.host, endpoint.port, TIMEOUT, context=self._context(tls=endpoint.tls))
        )
        try:
            answer = link.ask(raw)
        except BaseException:
            link.close()
            raise
        idle.append(link)
        return answer

    def associate(self, entity: Entity, contexts: Sequence[Any], calling: str = "") -> Association:
        """Open an association as this plan's modalities do; one that is rejected *for now* is asked for again (PS3.8 9.3.4)."""
        pause = _AGAIN
        while True:
            begun = self.now()
            try:
                return Association.open(
                    entity.host,
                    entity.port,
                    calling=calling or self.calling,
                    called=entity.ae,
                    contexts=contexts,
                    timeout=TIMEOUT,
                    context=self._context(tls=entity.tls),
                    ordinary=self.plan.ordinary,
                )
            except Refused as refused:
                if "transient" not in str(refused):
                    raise
                now = self.now()
                self.measures.note("A-ASSOCIATE", now - begun, at=now, outcome="refused", group=entity.ae)
                if not self.wait(pause):
                    raise
                pause = min(_LONGEST, pause * 2)

    def beside(self, works: Sequence[Callable[[], None]]) -> None:
        """Do several things at once, and wait for all; the first error is raised then."""
        left, errors = [len(works)], list[BaseException]()

        def one(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as trouble:  # noqa: BLE001 - raised again by whoever waits
                errors.append(trouble)
            finally:
                left[0] -= 1

        for work in works:
            self.spawn(functools.partial(one, work))
        while left[0]:
            self.pause(_LOOK)
        if errors:
            raise errors[0]

    @functools.cached_property
    def trusted(self) -> ssl.SSLContext:
        """Whom to trust behind ``https``: made once, since that takes longer than most requests."""
        return self.credentials.client() if self.credentials else ssl.create_default_context()

    def _context(self, *, tls: bool) -> Any:
        if not tls:
            return None
        if self.credentials is None:
            raise StepwedgeError("a system speaks TLS, and the load was given no credentials")
        return self.credentials.client()

    def close(self, *, whole: bool = True) -> None:
        """Write down what was measured, and hang up; not ``whole`` while something is under way that may still be answered."""
        self.measures.close()
        if not whole:
            return
        for links in self._links.values():
            while links:
                links.pop().close()
        self.ledger.close()
