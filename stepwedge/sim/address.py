"""Where an actor can be reached, and who is who."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from stepwedge.errors import BadInput, Broken


class Endpoint(NamedTuple):
    """A TCP endpoint of an HL7 receiver; ``tls`` when it speaks TLS."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"mllp{'s' * self.tls}://{self.host}:{self.port}"


class Entity(NamedTuple):
    """A DICOM application entity and its TCP endpoint; ``tls`` when it speaks TLS (PS3.15 annex B)."""

    ae: str
    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"dicom{'s' * self.tls}://{self.ae}@{self.host}:{self.port}"


class SyslogPoint(NamedTuple):
    """Where an audit record repository listens (ITI-20), and how: ``udp``, ``tcp`` or ``tls``."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}://{self.host}:{self.port}"


class Listeners(dict[str, Endpoint]):
    """Further HL7 receivers of one actor, by name; whoever sends to one names it ``ACTOR.LISTENER``."""

    @classmethod
    def parse(cls, text: str, place: str) -> Listeners:
        """Read ``results=mllp://h:p orders=mllps://h:p``."""
        named = (one.partition("=") for one in text.split())
        return cls({name: _parse("hl7", where, f"{place}.{name}") for name, _, where in named})

    def __str__(self) -> str:
        return " ".join(f"{name}={endpoint}" for name, endpoint in self.items())


def actor_of(name: str) -> str:
    """Return the actor of a destination: ``engine`` of ``engine.results``."""
    return name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Address:
    """Every door of one actor; a door it does not have is None.

    Attributes:
        hl7: HL7 v2 receiver; ``listeners`` are further ones.
        dicom: storage, query/retrieve, storage commitment.
        worklist: modality worklist and performed procedure step, when they stand apart from ``dicom``.
        web: DICOMweb root URL without trailing slash; ``fhir`` the base URL of a FHIR server.
        syslog: audit record repository.
        admin: admin API of a simulated actor.
        application: sending application (MSH-3) this actor calls itself by.
        calling: AE title this actor calls from, when it has no DICOM door of its own.
    """

    hl7: Endpoint | None = None
    dicom: Entity | None = None
    worklist: Entity | None = None
    web: str | None = None
    fhir: str | None = None
    syslog: SyslogPoint | None = None
    admin: str | None = None
    application: str | None = None
    calling: str | None = None
    listeners: Listeners | None = None

    @classmethod
    def parse(cls, doors: dict[str, Any], place: str = "address") -> Address:
        """Read ``{"hl7": "mllp://h:p", "dicom": "dicom://AE@h:p", "web": "http://..."}``; ``mllps``, ``dicoms``, ``https`` are TLS."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        for door, text in doors.items():
            if door not in known:
                raise BadInput(f"{place}.{door}", f"one of {', '.join(sorted(known))}", door)
            if text is None:
                values[door] = None
            else:
                read = Listeners.parse if door == "listeners" else partial(_parse, door)
                values[door] = read(text, f"{place}.{door}")
        return cls(**values)

    def format(self) -> dict[str, str]:
        """Write the doors this actor has, as :meth:`parse` reads them."""
        return {
            field.name: str(value)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }

    def joined(self, other: Address) -> Address:
        """Return both: the other's doors are added to ours."""
        changes = {
            field.name: value for field in fields(other) if (value := getattr(other, field.name)) is not None
        }
        if self.listeners and other.listeners:
            changes["listeners"] = Listeners({**self.listeners, **other.listeners})
        return replace(self, **changes)


def _parse(door: str, text: str, place: str) -> Any:
    if door in {"application", "calling"}:
        return text
    url = urlsplit(text)
    scheme = {"hl7": "mllp", "dicom": "dicom", "worklist": "dicom"}.get(door)
    if door == "syslog":
        scheme = url.scheme if url.scheme in {"udp", "tls"} else "tcp"
    if scheme is None:
        if url.scheme not in {"http", "https"} or not url.hostname or url.username:
            raise BadInput(place, "http://HOST:PORT/PATH without credentials", text)
        return text.rstrip("/")
    form = f"{scheme}://{'AE@' if scheme == 'dicom' else ''}HOST:PORT"
    try:
        port = url.port
    except ValueError:
        port = None
    tls = url.scheme == f"{scheme}s"
    if url.scheme not in {scheme, f"{scheme}s"} or not url.hostname or not port:
        raise BadInput(place, form, text)
    if door == "syslog":
        return SyslogPoint(scheme, url.hostname, port)
    if scheme == "mllp":
        return Endpoint(url.hostname, port, tls)
    ae = text.split("//", 1)[1].rpartition("@")[0]
    if not ae.strip() or len(ae) > 16 or "\\" in ae or not ae.isprintable():  # noqa: PLR2004 - PS3.5, VR AE
        raise BadInput(place, f"{form}, the AE title 1 to 16 printable characters", text)
    return Entity(ae, url.hostname, port, tls)


class Directory(dict[str, Address]):
    """Actor name to address, for simulated and real actors alike; filled by the host, read when something is sent.

    ``engine.results`` is the address of ``engine`` with its listener ``results`` as HL7 receiver.
    """

    def __missing__(self, name: str) -> Address:
        actor, _, listener = name.partition(".")
        address = self.get(actor)
        if address is None or not address.listeners or listener not in address.listeners:
            raise KeyError(name)
        return replace(address, hl7=address.listeners[listener])

    def door(self, name: str, door: str) -> Any:
        """Return one door of an actor, or say what is missing."""
        try:
            address = self[name]
        except KeyError:
            known = ", ".join(sorted(self)) or "none"
            raise Broken(f"no actor is called {name!r} here; known are {known}") from None
        if (value := getattr(address, door)) is None:
            raise Broken(
                f"actor {name!r} has no {door} address; it has {', '.join(address.format()) or 'none'}"
            )
        return value

    def reaches(self, name: str, door: str) -> bool:
        """Tell whether an actor, or one of its listeners, is here and has a door."""
        try:
            return getattr(self[name], door) is not None
        except KeyError:
            return False

    def having(self, door: str) -> list[str]:
        """Return the names of all actors that have a door, in the order of the lab file."""
        return [name for name, address in self.items() if getattr(address, door) is not None]

    def by_ae(self, title: str) -> str:
        """Return the actor that uses an AE title, or the title itself."""
        for name, address in self.items():
            own = (
                address.calling,
                address.dicom and address.dicom.ae,
                address.worklist and address.worklist.ae,
            )
            if title in own:
                return name
        return title

    def by_application(self, application: str) -> str:
        """Return the actor that sends as an application (MSH-3), or the application itself."""
        return next(
            (name for name, address in self.items() if address.application == application), application
        )
