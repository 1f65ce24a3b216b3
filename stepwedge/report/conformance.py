"""What each simulated system speaks, read from the running code, and held against the conformance statement in its README.

``statement(role)`` builds the system as a lab does and asks its doors: message types, SOP classes, transfer syntaxes, DIMSE services,
extended negotiation, web routes, resources, limits, settings, words, questions. A README carries that text between two marks, so that
``complaints`` can say where a README and the code have parted ways.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import MISSING, fields
from inspect import getdoc
from itertools import groupby
from pathlib import Path
from sys import modules
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit
from stepwedge.report.proposed import proposed
from stepwedge.sim.charsets import DICOM, HL7
from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.fhir.door import FhirDoor
from stepwedge.sim.hl7 import Hl7Door
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.web import WebDoor
from stepwedge.wire import fhir_search
from stepwedge.wire.mllp import MESSAGE_LIMIT
from stepwedge.wire.provider import Provider
from stepwedge.wire.storage_classes import storage_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stepwedge.sim.simulator import Door, Simulator

BEGIN: Final = "<!-- from the code: stepwedge matrix --conformance -->"
END: Final = "<!-- until here -->"
SEED: Final = 1
SERVICES: Final = {
    "on_echo": "C-ECHO",
    "on_store": "C-STORE",
    "on_find": "C-FIND",
    "on_move": "C-MOVE",
    "on_get": "C-GET",
    "on_create": "N-CREATE",
    "on_set": "N-SET",
    "on_get_attributes": "N-GET",
    "on_action": "N-ACTION",
    "on_event": "N-EVENT-REPORT",
    "on_delete": "N-DELETE",
}
"""Handlers of ``wire.provider.Provider`` and the DIMSE services they answer (PS3.7 sections 9 and 10)."""
EXTENDED: Final = {
    5: (
        "relational queries",
        "combined date and time matching",
        "fuzzy matching of names",
        "timezone query adjustment",
        "enhanced multi-frame conversion",
    ),
    2: ("relational retrieval", "enhanced multi-frame conversion"),
}
"""Options by byte of the Service Class Application Information of queries and of retrieval (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1)."""

PORTS: Final = ("hl7", "dicom", "web", "fhir", "syslog")
ANY_MESSAGE: Final = "every type"
EVERYWHERE: Final = {
    "application": ("`SW_` and the actor's name", "sending and receiving application (MSH-3, MSH-5)"),
    "ae_title": ("`SW_` and the actor's name", "AE title, 16 characters at most"),
    "hl7_port": ("a free one", "port of the HL7 listener"),
    "dicom_port": ("a free one", "port of the DICOM listener"),
    "web_port": ("a free one", "port of the web listener"),
    "fhir_port": ("a free one", "port of the FHIR listener"),
    "syslog_port": ("a free one", "port of the syslog listeners"),
    "hl7_timeout": ("10", "seconds to wait for an acknowledgement"),
    "dimse_timeout": ("30", "seconds for a connection and each answer of a DICOM peer"),
    "web_timeout": ("30", "seconds for each answer of a web server"),
    "charsets": (", ".join(one or "none" for one in DICOM), "Specific Character Sets to write, best first"),
    "hl7_charsets": (", ".join(one or "none" for one in HL7), "values of MSH-18 to write, best first"),
    "identity": ("those of the lab", "how synthetic patients are known: `patients`, `accessions`, `issuer`"),
    "nodes": ("everybody", "who may call: `hosts`, `applications`, `ae_titles`, `certificates`"),
    "tls": ("that of the lab, else plain text", "`false`, or certificates and profile (ITI-19)"),
    "audit": ("the lab's repository", "`false`, or `{to, transport, tls}` (ITI-20)"),
    "tokens": ("those of the lab, else none", "`false`, or whose bearer tokens web doors ask for"),
    "allow": ("loopback", "networks that FHIR subscriptions may point to"),
}
"""Settings that the bench and its doors read, whoever stands on it: default and meaning."""


def build(role: str, folder: Path) -> Simulator:
    """Build a system with nothing set, as a lab would, without opening a door."""
    host = Host(Plan({role: Part(role)}), folder, SEED)
    host.journal.close()
    return host.simulators[role]


def statement(role: str) -> str:
    """Return what a system speaks, as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        simulator = build(role, Path(folder))
        try:
            return describe(role, simulator)
        finally:
            simulator.bench.store.close()


def describe(role: str, simulator: Simulator) -> str:
    """Return what a built system speaks, as Markdown."""
    parts = [part for door in simulator.doors for part in _door(door)]
    if calls := proposed(role):
        rows = [(_name(uid) if uid else "those of the objects it stores", how) for uid, how in calls]
        parts.append(_table(("SOP class proposed to others", "role"), rows))
    parts += [_settings(role), _everywhere(simulator), _told(simulator), _quirks(role)]
    return "\n\n".join(("## As the code has it", *parts))


def readme(role: str) -> Path:
    """Return the file that holds a system's conformance statement."""
    return kit.find(f"simulators/{role}") / "README.md"


def complaints(written: str, told: str) -> list[str]:
    """Return where a README and the code differ: lines that only one of them has."""
    found = re.search(re.escape(BEGIN) + r"\n(.*?)\n" + re.escape(END), written, re.DOTALL)
    if found is None:
        return [f"there is no part between {BEGIN!r} and {END!r}"]
    theirs, ours = found[1].strip().splitlines(), told.splitlines()
    return [
        *(f"the code has, the README has not: {line}" for line in ours if line not in theirs),
        *(f"the README has, the code has not: {line}" for line in theirs if line not in ours),
    ]


def renewed(written: str, told: str) -> str:
    """Return a README whose part from the code is what the code says now."""
    pattern = re.escape(BEGIN) + r"\n.*?\n" + re.escape(END)
    if not re.search(pattern, written, re.DOTALL):
        written = f"{written.rstrip()}\n\n{BEGIN}\n\n{END}\n"
    return re.sub(pattern, lambda _: f"{BEGIN}\n{told}\n{END}", written, flags=re.DOTALL)


# --- doors


def _door(door: Door) -> Iterator[str]:
    """Yield what one door takes."""
    match door:
        case Hl7Door():
            yield _messages(door)
        case DimseDoor():
            yield from _services(door)
        case FhirDoor():
            yield _resources(door)
        case WebDoor():
            yield _routes(door)


def _messages(door: Hl7Door) -> str:
    rows = [("messages taken", ANY_MESSAGE), ("refused", "what no route takes: AR, error 200")]
    if "*" not in door.takes:
        others = "any other message type AR, error 200; any other event of a type above AR, error 201"
        rows = [("messages taken", ", ".join(_grouped(door.takes))), ("refused", others)]
    return _table(("HL7 v2 over MLLP", ""), [*rows, ("largest message", _size(MESSAGE_LIMIT))])


def _grouped(kinds: Iterable[str]) -> Iterator[str]:
    """Yield message types with the events of each: ``ADT^A01, A02``."""
    for code, several in groupby(sorted(kinds), key=lambda kind: kind.partition("^")[0]):
        yield f"{code}^" + " ".join(kind.partition("^")[2] for kind in several)


def _services(door: DimseDoor) -> Iterator[str]:
    acceptor = door.acceptor
    served = [name for handler, name in SERVICES.items() if _overrides(acceptor.provider, handler)]
    stored = set(storage_classes())
    rows: list[tuple[str, str, str]] = []
    for uid, syntaxes in acceptor.accepts.items():
        if uid not in stored:
            rows.append(
                (f"{_name(uid)} {uid}", _syntaxes(syntaxes), _extended(acceptor.options.get(uid, b"")))
            )
    kept = [uid for uid in acceptor.accepts if uid in stored]
    if kept:
        rows.append((f"{len(kept)} storage SOP classes", _syntaxes(acceptor.accepts[kept[0]]), ""))
    yield _table(("SOP class accepted", "transfer syntaxes", "extended negotiation"), rows)
    first = "; ".join(sorted(map(_name, acceptor.as_proposed))) or "none: ours decides"
    limits = [
        ("DIMSE services answered", ", ".join(served)),
        ("taken where the peer names it first", first),
        (
            "called AE title",
            "any"
            if acceptor.any_called
            else f"{acceptor.ae_title}, or `ae_title`; another is rejected 1/1/7",
        ),
        ("associations at once", f"{acceptor.max_associations}, then rejected 2/3/2"),
        ("maximum length received", str(acceptor.max_pdu)),
        ("largest data set", _size(acceptor.max_data)),
        ("association request, idle association", f"{acceptor.artim:g} s, {acceptor.idle:g} s"),
    ]
    yield _table(("DICOM", ""), limits)


def _overrides(provider: Provider, handler: str) -> bool:
    return handler == "on_echo" or getattr(type(provider), handler) is not getattr(Provider, handler)


def _name(uid: str) -> str:
    """Return what PS3.6 calls a UID."""
    from pydicom.uid import UID

    return str(UID(uid).name)


def _syntaxes(uids: Sequence[str]) -> str:
    return "; ".join(map(_name, uids))


def _extended(options: bytes) -> str:
    names = EXTENDED.get(len(options), ())
    given = [name for name, bit in zip(names, options, strict=True) if bit]
    return ", ".join(given)


def _resources(door: FhirDoor) -> str:
    rows = [
        (
            offer.kind,
            ", ".join(offer.interactions),
            " ".join(f"`{name}`" for name in fhir_search.parameters(offer.kind)),
        )
        for offer in door.offers
    ]
    return _table(("FHIR R4 resource", "interactions", "search parameters"), rows)


def _routes(door: WebDoor) -> str:
    found: dict[str, set[str]] = {}
    for route in getattr(door.application, "routes", ()):
        found.setdefault(route.path, set()).update(set(route.methods or ()) - {"HEAD"})
    rows = [(f"`{path}`", ", ".join(sorted(methods))) for path, methods in sorted(found.items())]
    return _table(("web", "methods"), rows)


# --- settings, words, quirks


def _settings(role: str) -> str:
    kind = modules[f"stepwedge_simulators.{role}.settings"].Settings
    said = _meanings(getdoc(kind) or "")
    rows = [(f"`{one.name}`", _default(one), said.get(one.name, "")) for one in fields(kind)]
    return _table(("setting", "default", "meaning"), rows)


def _everywhere(simulator: Simulator) -> str:
    ports = {f"{port(door)}_port" for door in simulator.doors}
    absent = {f"{name}_port" for name in PORTS} - ports
    if "fhir_port" not in ports:
        absent.add("allow")
    rows = [(f"`{name}`", *said) for name, said in EVERYWHERE.items() if name not in absent]
    return _table(("setting of every system", "default", "meaning"), rows)


def port(door: Door) -> str:
    """Return the name of a door's port, as the settings ``<name>_port`` have it."""
    match door:
        case Hl7Door():
            return "hl7"
        case DimseDoor():
            return "dicom"
        case FhirDoor():
            return "fhir"
        case WebDoor():
            return "web"
    return "syslog"  # the audit record repository's, which is the only listener of its kind


def _meanings(doc: str) -> dict[str, str]:
    """Read the ``Attributes`` of a docstring: name to meaning."""
    listed = doc.partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "`") for name, text in found}


def _default(one: Any) -> str:
    value = one.default_factory() if one.default is MISSING else one.default
    match value:
        case dict():
            return ", ".join(map(str, value)) or "none"
        case tuple() | list():
            return ", ".join(str(getattr(item, "name", item)) for item in value) or "none"
        case None | "":
            return "not set"
        case bool():
            return str(value).lower()
    return f"{value}"


def _told(simulator: Simulator) -> str:
    rows = [
        ("words", ", ".join(f"`{name}`" for name in sorted(simulator.acts)) or "none"),
        ("questions", ", ".join(f"`{name}`" for name in sorted(simulator.asks)) or "none"),
    ]
    return _table(("admin API, besides what every system has", ""), rows)


def _quirks(role: str) -> str:
    known = getattr(kit.load_simulator(role), "QUIRKS", {})
    named = ", ".join(f"`{name}`" for name in sorted(known)) or "none"
    return _table(("known wrong behaviours, off unless asked for", ""), [(str(len(known)), named)])


# --- Markdown


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _size(octets: int) -> str:
    return f"{octets >> 20} MiB"
