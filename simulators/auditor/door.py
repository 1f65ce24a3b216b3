"""The syslog door of the audit record repository: what comes is kept, sealed and in the journal, and never answered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stepwedge.clock import moment
from stepwedge.sim.address import Address, SyslogPoint
from stepwedge.sim.audit import START, STOP
from stepwedge.wire import audit
from stepwedge.wire.audit import AuditMessage, Code, Object, Participant
from stepwedge.wire.audit_fhir import instant
from stepwedge.wire.audit_schema import EVENTS
from stepwedge.wire.audit_xml import compose
from stepwedge.wire.syslog_asyncio import Receiver

from . import reading
from .state import Record

if TYPE_CHECKING:
    from stepwedge.errors import WireError
    from stepwedge.sim.bench import Bench

    from .settings import Settings
    from .state import Repository

LOG_URI = "urn:stepwedge:audit"


class Door:
    """UDP and TCP on one port number; with credentials the streams are TLS."""

    def __init__(self, bench: Bench, repository: Repository, settings: Settings) -> None:
        self._bench = bench
        self._repository = repository
        self._settings = settings
        self._receiver: Receiver | None = None
        self._port = 0
        self._turned_away = ""

    async def start(self) -> Address:
        """Listen on the bench's ``syslog`` port."""
        _, self._port = await self._bench.listen("syslog", self._listen)
        self._activity(starts=True)
        transport = "tls" if self._bench.security.tls else "tcp"
        return Address(syslog=SyslogPoint(transport, self._bench.ports.host, self._port))

    async def stop(self) -> None:
        """Stop listening; those who sent over a stream notice."""
        if self._receiver is not None:
            await self._receiver.stop()
            self._receiver = None
            self._activity(starts=False)

    async def resume(self) -> None:
        """Listen again where it did before."""
        if self._receiver is None:
            await self._listen(self._bench.ports.bind, self._port)
            self._activity(starts=True)

    async def _listen(self, host: str, port: int) -> None:
        gate = self._bench.security.gate("syslog")
        if gate is not None:
            gate.refused = self._refused
        receiver = Receiver(self.hear, self._trouble, self._settings.largest)
        await receiver.start(host, port, gate)
        self._receiver = receiver

    def hear(self, raw: bytes, peer: str, transport: str) -> None:
        """Keep one message."""
        began = moment()
        if why := self._bench.security.stranger(peer):
            self._turn_away(peer, why)
            return
        found = reading.take(raw, peer, transport, self._bench.clock.now(), self._bench.identity)
        if found.refused:
            self._journal(began, "syslog", peer, "refused", {"refused": found.refused})
            return
        if self._repository.has(found.record):
            self._journal(began, "syslog", peer, "repeated", {"message": found.record.message})
            return
        if self._repository.full(found.record):
            self._journal(began, "syslog", peer, "unreadable", {"error": "; ".join(found.record.problems)})
            return
        with self._bench.change(self._repository):
            record = self._repository.add(found.record)
        name = EVENTS[record.event].name if record.event in EVENTS else ""
        facts = {
            "record": record.number,
            "event": record.event,
            "action": record.action,
            "outcome": record.outcome,
            "source": record.source,
            "types": list(record.types),
            "users": list(record.users),
            "patients": list(record.patients),
            "instances": found.instances,
            "problems": list(record.problems),
            "transport": transport,
        }
        sender = self._bench.directory.by_application(record.application) if record.application else peer
        kind = f"{record.event} {name}".strip() or "syslog"
        outcome = "kept" if record.event else "unreadable"
        self._bench.record(
            "syslog",
            "in",
            kind,
            began=began,
            peer=sender,
            outcome=outcome,
            keys=found.found,
            facts=facts,
            request=record.raw,
        )

    def used(self, who: str, query: str) -> None:
        """Keep a record of somebody who looked into the log (A.5.3.2)."""
        now = self._bench.clock.now()
        log = Object(
            LOG_URI, audit.URI, "2", "13", name="Security Audit Log", details=(("query", query.encode()),)
        )
        self._own(
            AuditMessage(
                audit.event("110101"),
                "R",
                now,
                participants=(Participant(who, requestor=True, address="127.0.0.1"),),
                source=self._bench.application,
                objects=(log,),
            )
        )

    def _activity(self, *, starts: bool) -> None:
        """Keep a record of the repository's own start or stop (A.5.3.1)."""
        own = Participant(
            self._bench.application,
            roles=(audit.APPLICATION_ROLE,),
            alternative=str(os.getpid()),
            address=self._bench.ports.host,
        )
        now, kind = self._bench.clock.now(), START if starts else STOP
        source = self._bench.application
        self._own(
            AuditMessage(audit.event("110100"), "E", now, participants=(own,), source=source, types=(kind,))
        )

    def _own(self, message: AuditMessage) -> None:
        now = instant(message.at)
        blank = Record(0, now, "self", "", self._bench.ports.host, self._bench.application, compose(message))
        with self._bench.change(self._repository):
            self._repository.add(reading.describe(message, blank))

    def _turn_away(self, peer: str, why: str) -> None:
        """Note what a node that is on no list says, and keep one record of it (ITI-19)."""
        self._journal(moment(), "syslog", peer, "refused", {"error": why})
        if peer != self._turned_away:
            self._turned_away = peer
            self._alert(peer, why)

    def _refused(self, peer: str, why: WireError) -> None:
        """Keep a record of a node that could not prove who it is (ITI-19)."""
        self._journal(moment(), "TLS", peer, "refused", {"error": str(why)})
        self._alert(peer, str(why))

    def _alert(self, peer: str, why: str) -> None:
        people = (Participant(self._bench.application), Participant(peer, requestor=True, address=peer))
        kind = Code("110126", text="Node Authentication")
        now = self._bench.clock.now()
        source = self._bench.application
        self._own(
            AuditMessage(
                audit.event("110113"),
                "E",
                now,
                audit.MINOR,
                people,
                source,
                types=(kind,),
                description=why,
            )
        )

    def _trouble(self, peer: str, error: Exception) -> None:
        self._journal(moment(), "syslog", peer, "garbled", {"error": str(error)})

    def _journal(self, began: float, kind: str, peer: str, outcome: str, facts: dict[str, str]) -> None:
        self._bench.record("syslog", "in", kind, began=began, peer=peer, outcome=outcome, facts=facts)
