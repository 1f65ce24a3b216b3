"""Who may call a simulated system, and how it calls others: TLS and lists of known nodes.

The lab file says both, for the whole lab or for one actor::

    tls: {folder: pki, mutual: true, profile: bcp195}
    nodes: {ae_titles: [SW_CT1], hosts: [10.1.2.0/24], applications: [SW_EHR], certificates: [ehr, ct]}

Without ``tls`` doors speak plain text, without ``nodes`` everybody may call. Every refusal stands in the journal, as IHE
ITI-19 wants node authentication failures to be audited.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from stepwedge.clock import moment
from stepwedge.errors import BadInput, Broken, WireError
from stepwedge.sim.quirks import collect, quirk
from stepwedge.wire.tls import Credentials
from stepwedge.wire.tls_asyncio import Gate, Manners

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from stepwedge.evidence.exchange import Protocol
    from stepwedge.sim.bench import Bench

LISTS: Final = ("ae_titles", "hosts", "applications", "certificates")


class DoorHabits(Manners):
    """What every door of a simulated system decides."""

    def admits(self, *, listed: bool) -> bool:
        """Tell whether a node may call."""
        return listed


class Security:
    """The security of one simulated system, made from its settings ``tls`` and ``nodes``."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.habits = bench.adopt(DoorHabits())
        nodes = bench.settings.get("nodes") or {}
        if unknown := set(nodes) - set(LISTS):
            raise BadInput(
                f"{bench.name}.nodes", f"lists out of {', '.join(LISTS)}", ", ".join(sorted(unknown))
            )
        self._titles = frozenset(map(str, nodes.get("ae_titles", ())))
        self._applications = frozenset(map(str, nodes.get("applications", ())))
        self._hosts = [_network(bench.name, host) for host in nodes.get("hosts", ())]
        self._certificates = tuple(map(str, nodes.get("certificates", ())))
        self._strangers: dict[str, str] = {}

    @cached_property
    def credentials(self) -> Credentials | None:
        """What this system presents and whom it trusts; None in plain text."""
        written = self._bench.settings.get("tls")
        if not written:
            return None
        name = self._bench.name
        return replace(Credentials.parse(written, name, f"{name}.tls"), known=self._certificates)

    @cached_property
    def _client(self) -> ssl.SSLContext | None:
        return self.credentials.client() if self.credentials else None

    @property
    def tls(self) -> bool:
        """Tell whether our doors speak TLS."""
        return self.credentials is not None

    def context(self, *, tls: bool) -> ssl.SSLContext | None:
        """Return what we call a peer with; None for one that speaks plain text."""
        if tls and self._client is None:
            raise Broken(
                f"{self._bench.name} is to call a peer over TLS and has no certificate: give it tls: in the lab"
            )
        return self._client if tls else None

    def gate(self, protocol: Protocol) -> Gate | None:
        """Return what connections to a door must pass; None in plain text."""
        if self.credentials is None:
            return None

        def refused(peer: str, why: WireError) -> None:
            self.note(protocol, "TLS", peer, str(why), getattr(why, "reason", ""))

        return Gate(self.credentials, manners=self.habits, refused=refused, strangers=self._strangers)

    @property
    def open(self) -> bool:
        """Tell whether everybody may call."""
        return not (self._titles or self._applications or self._hosts or self._certificates)

    def stranger(self, peer: str, *, ae: str = "", application: str = "") -> str:
        """Return why a node may not call, ``""`` when it may.

        Args:
            peer: its ``host:port``.
            ae: its AE title, for DICOM.
            application: its sending application (MSH-3), for HL7.
        """
        if self.open:
            return ""
        why = self._strangers.get(peer, "")
        host = peer.rpartition(":")[0]
        if (
            not why
            and self._hosts
            and not any(ipaddress.ip_address(host) in network for network in self._hosts)
        ):
            why = f"host {host} is not a known node"
        if not why and ae and self._titles and ae not in self._titles:
            why = f"AE title {ae} is not a known node"
        if not why and application and self._applications and application not in self._applications:
            why = f"application {application} is not a known node"
        return "" if self.habits.admits(listed=not why) else why

    def note(self, protocol: Protocol, kind: str, peer: str, why: str, reason: str = "") -> None:
        """Put a refusal into the journal."""
        facts: dict[str, Any] = {"error": why, "security": reason or why}
        self._bench.record(protocol, "in", kind, began=moment(), peer=peer, outcome="refused", facts=facts)


def _network(name: str, host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        remedy = "host names are not looked up: they can be forged"
        raise BadInput(
            f"{name}.nodes.hosts", "an address or a network such as 10.1.2.0/24", str(host), remedy
        ) from None


def _puts_up_with(*what: str) -> Callable[[Callable[[], frozenset[str]]], frozenset[str]]:
    return lambda original: original() | frozenset(what)


def _tls(name: str, defect: str, severity: str, notices: str, *what: str) -> Any:
    """Declare the quirk of a door that puts up with what it must refuse."""
    declare = quirk(
        name, defect=defect, severity=severity, overrides=Manners.tolerates, notices=notices, needs="tls"
    )
    return declare(_puts_up_with(*what))


old_versions = _tls(
    "tls.old_versions", "DEF-170", "S1", "a scan finds TLS 1.0 at the archive's port", "old-versions"
)
no_revocation = _tls(
    "tls.no_revocation",
    "DEF-171",
    "S2",
    "a stolen laptop still connects after its certificate was revoked",
    "revoked",
)
accepts_expired = _tls(
    "tls.expired", "DEF-172", "S2", "nobody notices that a certificate has ended", "expired"
)
weak_ciphers = _tls(
    "tls.weak_ciphers",
    "DEF-240",
    "S2",
    "a scan finds cipher suites without forward secrecy or with CBC",
    "weak-ciphers",
)
no_client_cert = _tls(
    "tls.no_client_cert",
    "not listed",
    "S1",
    "any program on the network can talk to the archive",
    "no-certificate",
)
accepts_unknown_ca = _tls(
    "tls.accepts_unknown_ca",
    "not listed",
    "S1",
    "a certificate that somebody made at home is good enough",
    "unknown-ca",
)


@quirk(
    "tls.plain_too",
    defect="not listed",
    severity="S1",
    overrides=Manners.speaks_plain,
    notices="patient data crosses the network in the clear, on the port that is called secure",
    needs="tls",
)
def plain_too(original: Callable[[], bool]) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Serve plain text on the TLS port."""
    return True


@quirk(
    "tls.frozen_handshake",
    defect="DEF-173",
    severity="S2",
    overrides=Manners.handshakes,
    notices="one stalled connection keeps everybody else out",
    needs="tls",
)
def frozen_handshake(original: Callable[[], int]) -> int:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Shake hands with one peer at a time."""
    return 1


@quirk(
    "ae.accept_unknown",
    defect="DEF-174",
    severity="S1",
    overrides=DoorHabits.admits,
    notices="a laptop under any AE title stores and queries",
    needs="nodes",
)
def accept_unknown(original: Callable[..., bool], *, listed: bool) -> bool:  # noqa: ARG001 - a quirk knows what it replaces
    """Let every node call."""
    return True


QUIRKS: Final = collect(globals())
"""What any simulated system's doors can do wrong."""
