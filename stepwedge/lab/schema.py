"""The shape of a lab file: every key, what it may hold, and the words for what is wrong with it.

Validators raise :func:`wrong`, which carries what was expected and what to do; :mod:`stepwedge.lab.labfile` adds the
file and line. Nothing here opens a socket or asks a name server: a lab file is judged before any packet.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from stepwedge import kit
from stepwedge.actors.cast import PROBE_AE
from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput
from stepwedge.lab.claims import CLAIMS
from stepwedge.model.identifiers import ACCESSION_PREFIX, ISSUER, PATIENT_PREFIX
from stepwedge.sim.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable

_AE_LENGTH = 16
_HIGHEST_PORT = 65535
_DOORS = ("hl7", "dicom", "worklist", "web", "fhir", "syslog")
_URLS = frozenset({"web", "fhir"})
"""Doors that are the URL of a web service."""
_PLACED = ("process", "disk")
_SMALLEST, _LARGEST = 8, 1024
_CALLS_ITSELF = ("application", "calling")


def wrong(expected: str, *, remedy: str = "", at: Any = None, hidden: str = "") -> PydanticCustomError:
    """Return the error a validator raises.

    ``at`` is the key or value to point at when it lies deeper than what was validated; ``hidden`` is said instead of
    a value that must not be shown.
    """
    said = {"expected": expected, "remedy": remedy, "at": at, "hidden": hidden}
    return PydanticCustomError("lab", "{expected}", said)


def ae_title(value: str) -> str:
    """Accept an application entity title as PS3.5 section 6.2 (VR AE) allows it."""
    if not value.strip():
        raise wrong("an AE title of 1 to 16 characters", remedy="ask the system's owner for its AE title")
    if len(value) > _AE_LENGTH:
        raise wrong(
            f"an AE title of at most 16 characters, this one has {len(value)}",
            remedy="PS3.5 section 6.2, VR AE",
        )
    if value != value.strip():
        raise wrong("an AE title without leading or trailing blanks", remedy=f"write {value.strip()!r}")
    if "\\" in value or not value.isascii() or not value.isprintable():
        raise wrong("an AE title of printable ASCII without backslash", remedy="PS3.5 section 6.2, VR AE")
    return value


def port(value: int) -> int:
    """Accept a TCP port that can be named in an address."""
    if not 0 < value <= _HIGHEST_PORT:
        raise wrong("a TCP port from 1 to 65535", remedy="leave the key out to take a free port")
    return value


def finite(value: float) -> float:
    """Accept a factor that time budgets can be multiplied with."""
    if not 0 < value <= 1000:  # noqa: PLR2004 - also refuses NaN; beyond it no budget is one
        raise wrong("a factor above 0 and at most 1000", remedy="1.0 keeps the budgets, 2.0 doubles them")
    return value


def size(value: Any) -> int:
    """Accept the size of a disk, such as ``32MB``; return it in bytes."""
    found = re.fullmatch(r"(\d{1,4})MB", value) if isinstance(value, str) else None
    if not found or not _SMALLEST <= int(found[1]) <= _LARGEST:
        raise wrong(f"a size such as 32MB, from {_SMALLEST}MB to {_LARGEST}MB", remedy="it lies in memory")
    return int(found[1]) << 20


def door(name: str, value: Any) -> str:
    """Accept the address of one door, or say how it is written."""
    forms = {"hl7": "mllp://HOST:PORT", "syslog": "tcp://HOST:PORT"} | dict.fromkeys(
        _URLS, "http://HOST:PORT/PATH"
    )
    form = forms.get(name, "dicom://AE@HOST:PORT")
    if not isinstance(value, str):
        raise wrong(f"an address such as {form}")
    try:
        url = urlsplit(value)
        number = url.port
    except ValueError:
        raise wrong(f"an address such as {form}", remedy="the port is a number from 1 to 65535") from None
    if url.password or (name in {"hl7", "syslog", *_URLS} and url.username):
        raise wrong(
            f"{form} without credentials",
            remedy="never write a secret into a lab file; name an environment variable instead: ${NAME}",
            hidden="an address with a user name or password (not shown)",
        )
    schemes = {"hl7": ("mllp", "mllps"), "syslog": ("udp", "tcp", "tls")} | dict.fromkeys(
        _URLS, ("http", "https")
    )
    if url.scheme not in schemes.get(name, ("dicom", "dicoms")):
        raise wrong(
            f"an address such as {form}", remedy=f"the scheme {url.scheme or '(none)'!r} is not for {name}"
        )
    if number == 0 or (name not in _URLS and not number):
        raise wrong(f"{form} with a port from 1 to 65535")
    if url.hostname in {"0.0.0.0", "::", "*"}:  # noqa: S104 - refused here, not bound
        raise wrong(
            f"{form} with one host",
            remedy="0.0.0.0 means every interface; write 127.0.0.1 or the host's name",
        )
    try:
        Address.parse({name: value})
    except BadInput as trouble:
        raise wrong(trouble.expected, remedy=trouble.remedy) from None
    return value


def known_claim(value: str) -> str:
    """Accept a claim that scenarios can require."""
    if value not in CLAIMS:
        raise wrong(f"a claim out of {', '.join(CLAIMS)}", remedy=did_you_mean(value, CLAIMS).strip(" ;"))
    return value


KnownClaim = Annotated[str, AfterValidator(known_claim)]
AeTitle = Annotated[str, AfterValidator(ae_title)]
Port = Annotated[int, AfterValidator(port)]
Factor = Annotated[float, AfterValidator(finite)]


class Part(BaseModel):
    """Any part of a lab file: unknown keys are mistakes, and values keep the type they were written with."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Sut(Part):
    """The system under test, as the report names it, and what it claims to support."""

    name: str = "the simulated hospital"
    version: str = ""
    claims: tuple[KnownClaim, ...] = Field(default=(), strict=False)
    environment: Literal["test", "pilot", "production"] = "test"

    @field_validator("environment", mode="after")
    @classmethod
    def _never_production(cls, value: str) -> str:
        if value == "production":
            raise wrong(
                "a test or pilot environment",
                remedy="Stepwedge makes patients, orders and images up; it never talks to a production system",
            )
        return value


class Start(Part):
    """How the lab itself starts a real system: a child process, ended with the lab.

    Attributes:
        command: program and arguments; run in the lab file's folder, without a shell; ``{state}`` is that folder of its own.
        ready: the door that must answer before the system counts as started.
        env: added to its environment; ``STEPWEDGE_STATE`` is always set to a folder of its own.
        seconds: how long it may take to become ready.
        disk: the bytes of a file system of its own for that folder, which faults can fill; none when left out.
    """

    command: tuple[str, ...] = Field(strict=False, min_length=1)
    ready: Literal["dicom", "worklist", "hl7", "http"] = "dicom"
    env: dict[str, str] = Field(default_factory=dict)
    seconds: Factor = 30.0
    disk: Annotated[int, BeforeValidator(size)] = 0


class Real(Part):
    """A system that is not ours: where it is reached, and nothing else."""

    role: str
    doors: dict[str, str]
    start: Start | None = None

    @property
    def address(self) -> Address:
        """Its doors, read."""
        return Address.parse(dict(self.doors))


class Simulated(Part):
    """A system that Stepwedge plays; ``settings`` go to the simulator as they are.

    Attributes:
        admin: URL of its admin API, when it runs already, in a container for example, and is not ours to start.
        own: whether it gets a process of its own, which faults can kill and pause; ``disk`` is the size of its own disk in bytes.
    """

    role: str
    settings: dict[str, Any] = Field(default_factory=dict)
    admin: str | None = None
    own: bool = False
    disk: int = 0


def actor(name: str, written: Any) -> Real | Simulated:
    """Read one entry of ``actors``: ``simulated``, ``{simulated: ROLE, ...}`` or ``{real: {...}, ...}``."""
    forms = "'simulated', {simulated: ROLE, ...settings} or {real: {hl7: ..., dicom: ..., web: ...}}"
    if written == "simulated":
        return Simulated(role=_role(name, name))
    if not isinstance(written, dict) or ("simulated" in written) == ("real" in written):
        remedy = did_you_mean(str(written), ["simulated"]).strip(" ;") if isinstance(written, str) else ""
        raise wrong(forms, remedy=remedy)
    if "simulated" in written:
        role = _role(name, written["simulated"])
        if "admin" in written:
            return Simulated(role=role, admin=_elsewhere(written))
        settings = {key: value for key, value in written.items() if key not in {"simulated", *_PLACED}}
        return Simulated(role=role, settings=_settings(settings), **_placed(written))
    rest = {key: value for key, value in written.items() if key not in {"real", "role", "start"}}
    if rest:
        stranger = next(iter(rest))
        near = did_you_mean(stranger, ["real", "role", "start", *_DOORS]).strip(" ;")
        raise wrong("the keys real, role and start of a real system", at=stranger, remedy=near)
    start = Start.model_validate(written["start"]) if "start" in written else None
    return Real(role=_role(name, written.get("role", name)), doors=_doors(written["real"]), start=start)


def _placed(written: dict[str, Any]) -> dict[str, Any]:
    """Read where a simulated system is played: ``process: own``, and with it ``disk: 32MB``."""
    if written.get("process", "own") != "own":
        raise wrong("process: own, or the hospital's when left out", at=written["process"])
    if "disk" in written and "process" not in written:
        raise wrong(
            "process: own beside disk", at="disk", remedy="only a process of its own has a disk of its own"
        )
    if "disk" in written:
        _pointing(written["disk"], size)
    return {"own": "process" in written, "disk": size(written["disk"]) if "disk" in written else 0}


def _elsewhere(written: dict[str, Any]) -> str:
    """Accept the admin API of a simulated system that runs already; how it behaves was said where it was started."""
    for key in written:
        if key not in {"simulated", "admin"}:
            raise wrong("simulated and admin alone", at=key, remedy="settings are given where it is started")
    _pointing(written["admin"], partial(door, "web"))
    return str(written["admin"]).rstrip("/")


def _role(name: str, role: Any) -> str:
    known = kit.simulators()
    if role not in known:
        remedy = (
            did_you_mean(str(role), known).strip(" ;")
            or f"say which system {name} is: {{simulated: ROLE}} or role:"
        )
        raise wrong(f"a role, one of {', '.join(known)}", at=role, remedy=remedy)
    return str(role)


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    for key, value in settings.items():
        if key in {"ae_title", "calling_ae_title"}:
            if not isinstance(value, str):
                raise wrong("an AE title", at=value, remedy="put it in quotes")
            _pointing(value, ae_title)
        elif key == "port" or key.endswith("_port"):
            if not isinstance(value, int) or isinstance(value, bool):
                raise wrong("a TCP port, a whole number from 1 to 65535", at=value)
            _pointing(value, port)
    if (own := settings.get("tls")) is not None and own is not False:
        if not isinstance(own, dict):
            raise wrong("tls: false, or a mapping such as {profile: bcp195-modified}", at=own)
        _pointing(own, Tls.model_validate)
    if "port" in settings:  # short for the one DICOM port a scanner has
        settings["dicom_port"] = settings.pop("port")
    return settings


def _doors(written: Any) -> dict[str, str]:
    if not isinstance(written, dict) or not written:
        raise wrong(
            "at least one door: {hl7: mllp://HOST:PORT, dicom: dicom://AE@HOST:PORT, web: http://...}"
        )
    for key, value in written.items():
        if key not in {*_DOORS, *_CALLS_ITSELF}:
            near = did_you_mean(str(key), [*_DOORS, *_CALLS_ITSELF]).strip(" ;")
            raise wrong(f"doors out of {', '.join([*_DOORS, *_CALLS_ITSELF])}", at=key, remedy=near)
        if key == "calling":
            _pointing(_text(value), ae_title)
        elif key == "application":
            _text(value)
        else:
            _pointing(value, partial(door, key))
    if not set(written) & set(_DOORS):
        raise wrong(f"at least one of the doors {', '.join(_DOORS)}")
    return dict(written)


def _pointing(value: Any, accept: Callable[[Any], object]) -> None:
    """Let ``accept`` judge ``value``, and point its complaint at the value."""
    try:
        accept(value)
    except PydanticCustomError as trouble:
        said = trouble.context or {}
        raise wrong(said["expected"], remedy=said["remedy"], at=value, hidden=said["hidden"]) from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise wrong("a text", at=value, remedy='put it in quotes: "7"')
    return value


class Patience(Part):
    """How long things may take; every budget of every scenario is multiplied with ``scale``."""

    scale: Factor = 1.0


class Identity(Part):
    """How synthetic patients and accession numbers are recognised."""

    patients: str = Field(default=PATIENT_PREFIX, pattern=r"^[A-Z]{2,4}$")
    accessions: str = Field(default=ACCESSION_PREFIX, pattern=r"^[A-Z]{2,4}$")
    issuer: str = Field(default=ISSUER, min_length=1, max_length=64)


class Tls(Part):
    """Transport security of the whole lab; an actor's own entry may say otherwise, or ``tls: false``.

    Attributes:
        folder: what ``stepwedge certs`` made; without it and without ``ca`` certificates are made when the lab starts.
        ca: authorities to trust; ``cert`` and ``key`` are what we present, ``crl`` the revocation lists.
        mutual: insist on the caller's certificate (IHE ITI-19).
        verify: judge the certificates of servers; off is for diagnosis alone.
        profile: PS3.15 B.12 or B.13.
        passphrase_from: environment variable with the key's passphrase.
    """

    folder: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    crl: str | None = None
    mutual: bool = True
    verify: bool = True
    profile: Literal["bcp195", "bcp195-modified"] = "bcp195"
    passphrase_from: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")

    @model_validator(mode="after")
    def _whole(self) -> Tls:
        if self.folder and self.ca:
            raise wrong("folder, or ca with cert and key", remedy="take one of them out")
        if (self.cert or self.key) and not self.ca:
            raise wrong(
                "ca, the authorities to trust, beside cert and key",
                remedy="or folder: what stepwedge certs made",
            )
        if bool(self.cert) != bool(self.key):
            raise wrong("cert and key together", remedy="a certificate is of no use without its key")
        return self


class Tokens(Part):
    """Bearer tokens at every web door of the lab; an actor's own entry may say ``tokens: false``.

    Attributes:
        issuer: the actor that issues them, simulated or real; its web address is the issuer identifier.
        audience: what tokens are made out to; each door's own root URL when left out.
        introspect: simulated doors ask the issuer about every token, so that revocation counts at once.
        roles: role to rights, such as ``{referrer: ImagingStudy.rs}``.
    """

    issuer: str
    audience: str | None = None
    introspect: bool = True
    roles: dict[str, str] = Field(default_factory=dict)


class Probe(Part):
    """What checks call themselves when they ask a real system; it must know this AE title."""

    ae_title: AeTitle = PROBE_AE
    port: Port | None = None


class TapText(Part):
    """A tap between two actors: the caller is led through it (a real caller must be told its ports).

    Attributes:
        on: ``caller->callee``.
        doors: the callee's doors that are tapped; all it has when left out.
        ports: door to the port where a real caller finds the tap, such as ``{hl7: 2576}``.
        tls: whether TLS is handed on as it is (``pass``), or ends in the tap, which shows the certificates of the lab's PKI
            and calls on over TLS (``terminate``).
    """

    on: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}->[a-z][a-z0-9_]{0,31}$")
    doors: tuple[Literal["hl7", "dicom", "worklist", "web", "fhir", "syslog"], ...] = Field(
        default=(), strict=False
    )
    ports: dict[Literal["hl7", "dicom", "worklist", "web", "fhir", "syslog"], Port] = Field(
        default_factory=dict
    )
    tls: Literal["pass", "terminate"] = "pass"


class LoadText(Part):
    """What load runs are held to here; :mod:`stepwedge.load.limits` reads it, and knows what may stand in it."""

    gates: dict[str, Any] = Field(default_factory=dict)


class LabText(Part):
    """A whole lab file."""

    lab: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")
    sut: Sut = Sut()
    actors: dict[str, Any]
    triggers: dict[str, Literal["automatic", "operator"]] = Field(default_factory=dict)
    patience: Patience = Patience()
    identity: Identity = Identity()
    lanes: int = Field(default=1, ge=1, le=64)
    allow: tuple[str, ...] = Field(default=("127.0.0.0/8", "::1/128"), strict=False)
    probe: Probe = Probe()
    tls: Tls | None = None
    tokens: Tokens | None = None
    taps: tuple[TapText, ...] = Field(default=(), strict=False)
    load: LoadText = LoadText()
