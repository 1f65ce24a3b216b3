"""The audit trail of a simulated system: one audit message for each auditable exchange it takes part in (ITI-20).

A lab that has an audit record repository (an actor of the role ``auditor``, or a real one with a ``syslog`` address) gets
a trail for every simulated system; otherwise there is none, and nothing of this is loaded. ``audit: false`` in the lab file
keeps one system silent, ``audit: {to: NAME, transport: udp}`` chooses. An exchange is in the outbox as a syslog message
before its answer leaves, and from there it goes to the repository in order, again after an outage.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.sim import auditable
from stepwedge.sim.outbox import Policy
from stepwedge.sim.store import Send
from stepwedge.sim.syslog import SyslogSender
from stepwedge.wire import audit, syslog
from stepwedge.wire.audit import AuditMessage, Code, Object, Participant
from stepwedge.wire.audit_xml import compose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.sim.bench import Bench

MESSAGE_ID: Final = "IHE+RFC-3881"
"""MSGID of audit messages (ITI-20)."""
MOST_NUMBER: Final = 2**31 - 1
"""The last sequenceId; 1 follows (RFC 5424 section 7.3.1)."""
LAST_WORDS: Final = 0.5
"""Seconds for a repository to take what a system says while it stops; what it does not take is sent at the next start."""
TRANSPORTS: Final = ("udp", "tcp", "tls")
START, STOP = Code("110120", text="Application Start"), Code("110121", text="Application Stop")
LOGIN, LOGOUT = Code("110122", text="Login"), Code("110123", text="Logout")
USER_ATTRIBUTES: Final = Code("110137", text="User Security Attributes Changed")
ATTACH, DETACH = Code("110124", text="Attach"), Code("110125", text="Detach")
USER_ID: Final = Code("11", "RFC-3881", "User Identifier")
NODE_ID: Final = Code("110182", text="Node ID")
NODE_AUTHENTICATION: Final = Code("110126", text="Node Authentication")
_SEVERITY: Final = {
    audit.SUCCESS: syslog.NOTICE,
    audit.MINOR: syslog.WARNING,
    audit.SERIOUS: syslog.ERROR,
    audit.MAJOR: syslog.CRITICAL,
}


class TrailHabits:
    """What a system that claims ATNA does about its audit trail."""

    def tells(self, event: str, outcome: int) -> bool:
        """Return whether an event is reported: each, whatever came of it."""
        return bool(event) or bool(outcome)

    def patient(self, patient: str) -> str:
        """Return whom an event is said to be about."""
        return patient

    def user(self, user: str) -> str:
        """Return who is said to have taken part."""
        return user

    def insists(self, word: str) -> bool:
        """Return whether a message that the repository did not take (``lost timeout refused``) is tried again."""
        return word != "refused"


@dataclass(frozen=True, slots=True)
class Wish:
    """What ``audit`` of the settings asks for."""

    to: str
    transport: str = ""
    tls: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any, name: str, repository: str) -> Wish | None:
        """Read ``audit: false`` or ``audit: {to, transport, tls}``; ``repository`` is the lab's own, empty when it has none."""
        if given is False:
            return None
        chosen = {} if given is None or given is True else given
        if not isinstance(chosen, dict) or set(chosen) - {"to", "transport", "tls"}:
            raise BadInput(f"{name}.audit", "false, or {to, transport, tls}", repr(given))
        if (transport := str(chosen.get("transport", ""))) not in {"", *TRANSPORTS}:
            raise BadInput(f"{name}.audit.transport", " or ".join(TRANSPORTS), transport)
        to = str(chosen.get("to") or repository)
        return cls(to, transport, chosen.get("tls") or {}) if to else None


class Trail:
    """Turns what a system does into audit messages, and sees that they arrive."""

    def __init__(self, bench: Bench, wish: Wish) -> None:
        self._bench = bench
        self._to = wish.to
        self._habits = bench.adopt(TrailHabits())
        self._memory = auditable.Memory()
        sender = SyslogSender(bench, wish.transport, wish.tls)
        bench.outbox.register("syslog", sender, _Patience(self._habits))
        self._sent = 0

    def witness(self, exchange: Exchange) -> None:
        """Report an exchange when it is auditable; called when it is in the journal."""
        done = auditable.deed(exchange, self._bench.role)
        if done is None:
            if exchange.protocol == "act":
                self._memory.learn(exchange)
            return
        self._memory.learn(exchange)
        patients, studies = self._memory.completed(exchange.keys)
        outcome = auditable.outcome(exchange)
        other = self._bench.directory.get(exchange.peer)
        peer = (other.application if other else None) or exchange.peer
        if done.event == auditable.ALERT:
            self._alert(exchange, peer)
            return
        own = self._bench.ae_title if exchange.protocol == "dimse" else self._bench.application
        told = [self._habits.patient(patient) for patient in patients]
        self._report(
            done.event,
            done.action,
            outcome,
            auditable.participants(exchange, done, own, peer),
            auditable.objects(exchange, done, told, studies),
            types=done.types,
            why="" if outcome == audit.SUCCESS else exchange.outcome,
            at=exchange.at + exchange.took,
            case=exchange.case,
        )

    def application(self, *, starts: bool) -> None:
        """Report that this system starts or stops (A.5.3.1)."""
        own = Participant(
            self._bench.application,
            roles=(audit.APPLICATION_ROLE,),
            alternative=str(os.getpid()),
            address="127.0.0.1",
        )
        self._report("110100", "E", audit.SUCCESS, (own,), types=(START if starts else STOP,))

    def network(self, *, enters: bool) -> None:
        """Report that this system enters or leaves the network (A.5.3.9): its doors are open, or about to close."""
        own = Participant(
            self._bench.application, alternative=str(os.getpid()), address=self._bench.ports.host
        )
        self._report("110108", "E", audit.SUCCESS, (own,), types=(ATTACH if enters else DETACH,))

    def authentication(self, user: str, *, good: bool, out: bool = False, why: str = "") -> None:
        """Report that somebody signed in, tried to, or signed out (A.5.3.12)."""
        people = (
            Participant(user, requestor=True, address="127.0.0.1"),
            Participant(self._bench.application, alternative=str(os.getpid())),
        )
        outcome = audit.SUCCESS if good else audit.MINOR
        self._report("110114", "E", outcome, people, types=(LOGOUT if out else LOGIN,), why=why)

    def locked(self, user: str, why: str) -> None:
        """Report that an account was locked (A.5.3.11, User Security Attributes Changed)."""
        people = (Participant(self._bench.application), Participant(user, requestor=True))
        account = Object(user, USER_ID, "2", "13", details=(("Alert Description", why.encode()),))
        self._report(auditable.ALERT, "E", audit.MINOR, people, (account,), types=(USER_ATTRIBUTES,), why=why)

    async def end(self) -> None:
        """Report that this system stops, and let that leave before it does."""
        self.application(starts=False)
        await self._bench.outbox.drained(self._to, LAST_WORDS)

    def _alert(self, exchange: Exchange, peer: str) -> None:
        """Report a node that could not prove who it is, or is on no list (A.5.3.11, ITI-19)."""
        host, _, port = peer.rpartition(":")
        address = host if host and port.isdigit() else ""
        people = (Participant(self._bench.application), Participant(peer, requestor=True, address=address))
        why = str(exchange.facts.get("security") or exchange.facts.get("error") or exchange.outcome)
        node = Object(
            peer, NODE_ID, "2", "13", details=(("Alert Description", why.encode()),)
        )  # the subject of the alert
        self._report(
            auditable.ALERT,
            "E",
            audit.MINOR,
            people,
            (node,),
            types=(NODE_AUTHENTICATION,),
            why=why,
            at=exchange.at + exchange.took,
            case=exchange.case,
        )

    def _report(
        self,
        event: str,
        action: str,
        outcome: int,
        people: tuple[Participant, ...],
        about: tuple[Object, ...] = (),
        *,
        types: tuple[Code, ...] = (),
        why: str = "",
        at: float | None = None,
        case: str = "",
    ) -> None:
        if not self._habits.tells(event, outcome):
            return
        moment = self._bench.clock.now() if at is None else datetime.fromtimestamp(at, UTC)
        people = tuple(_named(one, self._habits.user(one.user)) for one in people)
        message = AuditMessage(
            audit.event(event), action, moment, outcome, people, self._bench.application, about, types, why
        )
        self._send(compose(message), outcome, moment, case)

    def _send(self, document: bytes, outcome: int, moment: datetime, case: str) -> None:
        self._sent = self._sent % MOST_NUMBER + 1
        raw = syslog.compose(
            syslog.Syslog(
                document,
                syslog.SECURITY,
                _SEVERITY[outcome],
                moment,
                self._bench.ports.host,
                _printable(self._bench.application),
                str(os.getpid()),
                MESSAGE_ID,
                {"meta": {"sequenceId": str(self._sent)}},
            )
        )
        send = self._bench.store.enqueue(Send(self._to, raw, "syslog", case=case))
        self._bench.outbox.take([send])


def _named(one: Participant, user: str) -> Participant:
    if user == one.user:
        return one
    return Participant(
        user, one.requestor, one.roles, one.alternative, one.name, one.address, one.address_kind
    )


def _printable(name: str) -> str:
    """Return a name as APP-NAME can carry it (RFC 5424 section 6.2.5)."""
    return "".join(sign if "!" <= sign <= "~" else "_" for sign in name)[:48]


class _Patience(Policy):
    """The repository acknowledges nothing, so only what kept a message from leaving is followed by another try."""

    def __init__(self, habits: TrailHabits) -> None:
        self._habits = habits

    def pause(self, word: str, tries: int) -> float | None:
        """Return the seconds until the same message is sent again, None to park it."""
        return super().pause(word, tries) if self._habits.insists(word) else None
