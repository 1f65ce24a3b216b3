"""Read a lab file: YAML in, a :class:`Lab` out, and every mistake with its file, line and remedy."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from stepwedge import kit
from stepwedge.actors.words import did_you_mean
from stepwedge.errors import BadInput
from stepwedge.lab.claims import CLAIMS, effective
from stepwedge.lab.schema import LabText, Part, Real, Simulated, Start, actor
from stepwedge.scenario import source

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

DEFAULT = "fixtures/labs/default.yaml"
BUILT_IN = {"STEPWEDGE_PYTHON": sys.executable}
"""Variables that every lab file may name, besides those of the environment."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_SECRET = re.compile(r"pass(word|phrase|wd)?$|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
_WHOLE_INTERNET = 0


@dataclass(frozen=True)
class Lab:
    """A lab: who is simulated, who is real and where, what the system under test claims, whom we may contact."""

    file: Path
    text: LabText
    actors: dict[str, Real | Simulated] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.text.lab

    @property
    def real(self) -> dict[str, Real]:
        """The actors that are not ours."""
        return {name: one for name, one in self.actors.items() if isinstance(one, Real)}

    @property
    def simulated(self) -> dict[str, Simulated]:
        """The actors that Stepwedge plays."""
        return {name: one for name, one in self.actors.items() if isinstance(one, Simulated)}

    @property
    def apart(self) -> dict[str, str]:
        """Admin APIs of the simulated actors that run already, each by itself; a lab has only such, or none."""
        return {name: one.admin for name, one in self.simulated.items() if one.admin}

    @property
    def own(self) -> dict[str, Simulated]:
        """The simulated actors that get a process of their own."""
        return {name: one for name, one in self.simulated.items() if one.own}

    @property
    def claims(self) -> frozenset[str] | None:
        """Every claim that holds here; ``None`` when all systems are simulated."""
        return effective(self.text.sut.claims, {one.role for one in self.real.values()})


def load(path: Path | None = None) -> Lab:
    """Read a lab file; without a path the default one, in which everything is simulated."""
    path = path or kit.find(DEFAULT)
    return _Reader(path, source.read(path)).lab()


def allows(lab: Lab, host: str) -> bool:
    """Tell whether a lab allows us to contact a host, by its text alone."""
    names, networks = {"localhost"}, []
    for entry in lab.text.allow:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            names.add(entry.lower())
    return host.lower() in names or _inside(host, networks)


class _Reader:
    """One lab file being read: knows where everything stands."""

    def __init__(self, path: Path, written: source.Source) -> None:
        self.path = path
        self.source = written

    def lab(self) -> Lab:
        if not isinstance(self.source.value, dict):
            raise self._bad((), "a lab file: a mapping with the keys lab and actors", self.source.value, "")
        written = self._substituted(self.source.value, ())
        try:
            text = LabText.model_validate(written)
        except ValidationError as trouble:
            raise self._explained(trouble, LabText, ()) from None
        if not text.actors:
            raise self._bad(("actors",), "at least one actor", "none", "write for example 'pacs: simulated'")
        actors = {name: self._actor(name, entry) for name, entry in text.actors.items()}
        lab = Lab(self.path, text, actors)
        self._all_apart_or_none(lab)
        self._allowed(lab)
        self._addresses_differ(lab)
        self._triggers(lab)
        self._claims_bind(lab)
        self._issuer_known(lab)
        self._taps_between(lab)
        return lab

    def _actor(self, name: str, entry: Any) -> Real | Simulated:
        where = ("actors", name)
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
            raise self._bad(
                where, "an actor name of a-z, 0-9 and _ (at most 32)", name, "for example ct or pacs2"
            )
        try:
            return actor(name, entry)
        except ValidationError as trouble:
            raise self._explained(trouble, Start, (*where, "start")) from None
        except Exception as trouble:
            if (context := getattr(trouble, "context", None)) is None:
                raise
            at = entry if context["at"] is None else context["at"]
            place = _place_of(at, entry, where) or where
            raise self._bad(place, context["expected"], at, context["remedy"], context["hidden"]) from None

    def _substituted(self, value: Any, where: source.Location) -> Any:
        """Replace ``${NAME}`` and ``${NAME:-default}`` from the environment."""
        if isinstance(value, dict):
            return {key: self._substituted(inner, (*where, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._substituted(inner, (*where, at)) for at, inner in enumerate(value)]
        self._not_secret(value, where)
        if not isinstance(value, str) or "${" not in value:
            return value

        def one(found: re.Match[str]) -> str:
            name, default = found.groups()
            if (text := {**BUILT_IN, **os.environ}.get(name, default)) is None:
                raise self._bad(
                    where,
                    f"the environment variable {name} to be set",
                    "none",
                    f"set {name}, or write ${{{name}:-default}}",
                )
            return text

        replaced = _VARIABLE.sub(one, value)
        if "${" in _VARIABLE.sub("", value):
            raise self._bad(
                where, "${NAME} with its closing brace", value, "names hold letters, digits and _"
            )
        return replaced

    def _not_secret(self, value: Any, where: source.Location) -> None:
        """Refuse a secret that stands in the file itself; ``${NAME}`` is a reference, not a secret."""
        key = str(where[-1]) if where else ""
        if isinstance(value, bool) or value is None or re.fullmatch(r"\$\{\w+\}", str(value)):
            return
        if _SECRET.search(key):
            remedy = f"put it into an environment variable and write {key}: ${{NAME}}"
            raise self._bad(where, "no secret in a lab file", value, remedy, "a value that is not shown")

    def _all_apart_or_none(self, lab: Lab) -> None:
        """Refuse a lab of which we would have to start a part: it could not be found by what runs already."""
        for name in lab.simulated:
            if lab.apart and name not in lab.apart:
                raise self._bad(
                    ("actors", name),
                    "admin: the admin API of every simulated actor, or of none",
                    "a simulated actor without it",
                    "what runs already cannot find what is started later",
                )

    def _allowed(self, lab: Lab) -> None:
        """Refuse every host that the file does not allow, by its text alone."""
        networks, names = [], {"localhost"}
        for at, entry in enumerate(lab.text.allow):
            try:
                network = ipaddress.ip_network(entry, strict=False)
            except ValueError:
                if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", entry):
                    raise self._bad(
                        ("allow", at), "a network such as 10.1.2.0/24, or a host name", entry, ""
                    ) from None
                names.add(entry.lower())
                continue
            if network.prefixlen == _WHOLE_INTERNET:
                raise self._bad(
                    ("allow", at),
                    "the hosts of your test systems",
                    entry,
                    "allowing every host protects nobody; list them",
                )
            networks.append(network)
        if not lab.text.allow:
            raise self._bad(
                ("allow",), "at least one network or host", "none", "leave the key out for loopback alone"
            )
        named: list[tuple[source.Location, str]] = [
            (("actors", name, "real", door), text)
            for name, one in lab.real.items()
            for door, text in one.doors.items()
        ]
        named += [(("actors", name, "admin"), url) for name, url in lab.apart.items()]
        for where, text in named:
            host = urlsplit(text).hostname
            if host is not None and host not in names and not _inside(host, networks):
                raise self._bad(
                    where,
                    f"a host out of {', '.join(lab.text.allow)}",
                    host,
                    f"if {host} is a test system you may contact, add it under allow:",
                )

    def _addresses_differ(self, lab: Lab) -> None:
        """Refuse one AE title or one port for two actors: nobody could tell them apart."""
        titles: dict[str, str] = {lab.text.probe.ae_title: "probe"}
        ports: dict[tuple[str, int], str] = {}
        for name, one in lab.actors.items():
            own_titles, own_ports = _own(one)
            for title in own_titles:
                if titles.setdefault(title, name) != name:
                    raise self._bad(
                        ("actors", name),
                        "an AE title of its own",
                        title,
                        f"{titles[title]} has the same AE title",
                    )
            for place in own_ports:
                if ports.setdefault(place, name) != name:
                    raise self._bad(
                        ("actors", name),
                        "a port of its own",
                        f"{place[0]}:{place[1]}",
                        f"{ports[place]} has the same port",
                    )

    def _triggers(self, lab: Lab) -> None:
        for trigger in lab.text.triggers:
            name = trigger.partition(".")[0]
            if name not in lab.actors or "." not in trigger:
                near = did_you_mean(name, lab.actors).strip(" ;")
                raise self._bad(("triggers", trigger), "ACTOR.WORD of an actor above", trigger, near)

    def _claims_bind(self, lab: Lab) -> None:
        """Refuse a claim that nobody in this lab could keep."""
        roles = {one.role for one in lab.actors.values()}
        for at, claim in enumerate(lab.text.sut.claims):
            if not set(CLAIMS[claim].roles) & roles:
                needed = " or ".join(CLAIMS[claim].roles)
                raise self._bad(
                    ("sut", "claims", at),
                    f"a claim of {', '.join(sorted(roles))}",
                    claim,
                    f"it needs a {needed}",
                )

    def _issuer_known(self, lab: Lab) -> None:
        """Refuse tokens of an issuer that nobody could ask."""
        if lab.text.tokens is None:
            return
        name = lab.text.tokens.issuer
        one = lab.actors.get(name)
        where = ("tokens", "issuer")
        if one is None:
            near = did_you_mean(name, lab.actors).strip(" ;")
            raise self._bad(where, "an actor above", name, near or f"add it: {name}: {{simulated: idp}}")
        if isinstance(one, Simulated) and one.role != "idp":
            raise self._bad(where, "an identity provider", name, f"{name} plays {one.role}")
        if isinstance(one, Real) and not one.address.web:
            raise self._bad(where, "an actor with a web address", name, "its web address is the issuer's URL")

    def _taps_between(self, lab: Lab) -> None:
        """Refuse a tap between actors that are not there, and one that its caller could not find."""
        for at, tap in enumerate(lab.text.taps):
            caller, _, callee = tap.on.partition("->")
            for name in (caller, callee):
                if name not in lab.actors:
                    near = did_you_mean(name, lab.actors).strip(" ;")
                    raise self._bad(("taps", at, "on"), "two actors above", name, near)
            if caller == callee:
                raise self._bad(("taps", at, "on"), "two actors", tap.on, "a tap stands between two systems")
            if caller in lab.real and not tap.ports:
                remedy = f"{caller} is real: write ports: {{hl7: 2576}} and enter them there as {callee}'s"
                raise self._bad(("taps", at), "ports where the caller finds the tap", tap.on, remedy)
            if tap.tls == "terminate" and lab.text.tls is None:
                remedy = "write tls: {} for certificates made on the fly, or tls: {folder: pki}"
                raise self._bad(("taps", at, "tls"), "a lab with tls", tap.tls, remedy)

    def _explained(self, trouble: ValidationError, model: type[Part], prefix: source.Location) -> BadInput:
        error = trouble.errors(include_url=False)[0]
        where = (*prefix, *(part for part in error["loc"] if part != "[key]"))
        expected, found, remedy = _said(error, model)
        return self._bad(where, expected, found, remedy)

    def _bad(
        self, where: source.Location, expected: str, found: Any, remedy: str, hidden: str = ""
    ) -> BadInput:
        place = self.source.place(*where)
        named = f"{place} ({'.'.join(map(str, where))})" if where else place
        return BadInput(named, expected, hidden or source.shown(found), remedy)


def _place_of(wanted: Any, entry: Any, where: source.Location) -> source.Location | None:
    """Return the location of the key or value ``wanted`` inside ``entry``."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            if wanted is value or wanted == key:
                return (*where, key)
            if (deeper := _place_of(wanted, value, (*where, key))) is not None:
                return deeper
    return None


def _own(one: Real | Simulated) -> tuple[set[str], set[tuple[str, int]]]:
    """Return the AE titles and the (host, port) pairs that an actor claims for itself."""
    if isinstance(one, Simulated):
        title = one.settings.get("ae_title")
        ports = {value for key, value in one.settings.items() if key == "port" or key.endswith("_port")}
        return {title} if title else set(), {("127.0.0.1", value) for value in ports}
    address = one.address
    doors = [found for found in (address.dicom, address.worklist) if found]
    places = {(found.host, found.port) for found in doors}
    if address.hl7:
        places.add((address.hl7.host, address.hl7.port))
    return {found.ae for found in doors} | ({address.calling} if address.calling else set()), places


def _inside(host: str, networks: list[Any]) -> bool:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(number in network for network in networks)


def _said(error: ErrorDetails, model: type[Part]) -> tuple[str, Any, str]:
    """Say what pydantic found in the words of a lab file."""
    found = error["input"]
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "lab":
        return context["expected"], found, context["remedy"]
    if kind == "extra_forbidden":
        key = str(error["loc"][-1])
        known = _fields(model, error["loc"][:-1])
        return f"one of the keys {', '.join(known)}", key, did_you_mean(key, known).strip(" ;")
    if kind == "missing":
        return f"the key {error['loc'][-1]}", "none", "every lab file needs it"
    if kind == "too_short":
        return "at least one entry", found, ""
    if kind == "tuple_type":
        return "a list", found, "write it in brackets: [a, b]"
    if kind in {"int_type", "float_type", "bool_type", "string_type"}:
        names = {"int_type": "a whole number", "float_type": "a number", "bool_type": "true or false"}
        return names.get(kind, "a text"), found, 'mind the quotes: "7.3" is a text, 7.3 a number'
    return error["msg"].replace("Input should be", "").strip(), found, ""


def _fields(model: type[Part], loc: source.Location) -> list[str]:
    """Return the keys that are known at ``loc`` of ``model``."""
    for part in loc:
        inner = model.model_fields.get(str(part))
        annotation = inner.annotation if inner else None
        if not (isinstance(annotation, type) and issubclass(annotation, Part)):
            break
        model = annotation
    return list(model.model_fields)
