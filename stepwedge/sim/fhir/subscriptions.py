"""Subscriptions of R4 (hl7.org/fhir/R4/subscription.html): criteria, and a rest-hook that is told of what meets them.

A notice is written in the transaction of the change it tells of, and delivered by the outbox, for each subscription in order
and until its endpoint decides. With a payload it is an update of the resource below the endpoint, without one an empty POST
(hl7.org/fhir/R4/subscription.html#2.46.7.1). Endpoints outside the networks of the lab are refused when they are named and
again when they are told.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from stepwedge.errors import LinkLost, NoAnswer
from stepwedge.sim.outbox import Delivery
from stepwedge.sim.resources.naming import keys_of
from stepwedge.sim.store import Send
from stepwedge.wire import fhir, fhir_matching, fhir_search
from stepwedge.wire.fhir import FhirError, refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.fhir.offer import Given
    from stepwedge.sim.fhir.shelf import Shelf, Version
    from stepwedge.sim.store import Change
    from stepwedge.sim.tables import State
    from stepwedge.sim.web_client import Web
    from stepwedge.wire.fhir import Resource

KIND: Final = "rest-hook"
MOST_SUBSCRIPTIONS: Final = 100
TRIES: Final = 8
"""Deliveries without an answer after which a subscription is switched to ``error``."""
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_MOST_HEADERS: Final = 10


def tell(subscription: Version, fresh: Iterable[Version], change: Change) -> None:
    """Write a notice for each new version that an active subscription's criteria match."""
    told = subscription.resource
    search = criteria(told["criteria"])
    for version in fresh:
        if version.kind == search.kind and fhir_matching.matches(search, version.resource):
            change.send(_notice(told, version))


def criteria(text: str) -> fhir_search.Search:
    """Read the criteria of a subscription: a type, and search parameters that it must know."""
    kind, _, query = text.partition("?")
    return fhir_search.parse(kind, parse_qsl(query), strict=True)


def _notice(subscription: Resource, version: Version) -> Send:
    channel = subscription["channel"]
    payload = bool(channel.get("payload"))
    url = channel["endpoint"] + (f"/{version.kind}/{version.id}" if payload else "")
    body = {
        "subscription": subscription["id"],
        "method": "PUT" if payload else "POST",
        "url": url,
        "headers": channel.get("header", []),
        "body": version.text if payload else "",
        "place": version.place,
    }
    to = f"Subscription/{subscription['id']}"
    return Send(to, json.dumps(body).encode(), KIND, f"{version.place} to {subscription['id']}")


def contactable(url: str, networks: Iterable[str], names: Collection[str] = ()) -> bool:
    """Tell whether an endpoint lies in the lab: an address in its networks, ``localhost``, or a host that the lab names."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or port == 0:
        return False
    if "@" in parts.netloc or parts.fragment or parts.query:
        return False
    if parts.hostname in names:
        return True
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network, strict=False) for network in networks)


@dataclass
class Hooks:
    """The rest-hooks of one system: which are taken, and how they are told."""

    bench: Bench
    state: State
    shelf: Shelf
    web: Web
    kinds: frozenset[str]
    _tries: dict[str, int]

    @classmethod
    def of(cls, bench: Bench, state: State, shelf: Shelf, web: Web, kinds: Iterable[str]) -> Hooks:
        """Return the hooks of a system whose subscribers may hear of ``kinds``, registered at its outbox."""
        hooks = cls(bench, state, shelf, web, frozenset(kinds), {})
        bench.outbox.register(KIND, hooks)
        return hooks

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks that may be contacted: ``allow`` of the settings, loopback alone when it says nothing."""
        return tuple(self.bench.settings.get("allow") or LOOPBACK)

    def _contactable(self, url: str) -> bool:
        names = {urlsplit(one.fhir).hostname or "" for one in self.bench.directory.values() if one.fhir}
        return contactable(url, self.networks, names - {""})

    def take(self, given: Given) -> str:
        """Accept a subscription and make it active, or say why not."""
        told, where = given.resource, "Subscription.channel"
        channel = told["channel"]
        if channel["type"] != "rest-hook":
            raise refused(422, "not-supported", "rest-hook is the only channel here", f"{where}.type")
        if not self._contactable(str(channel.get("endpoint", ""))):
            raise refused(422, "business-rule", "the endpoint is outside of this lab", f"{where}.endpoint")
        if channel.get("payload", fhir.MEDIA_TYPE) not in {fhir.MEDIA_TYPE, "application/json"}:
            raise refused(422, "not-supported", f"{fhir.MEDIA_TYPE} or none", f"{where}.payload")
        _headers(channel.get("header", []), f"{where}.header")
        try:
            search = criteria(told["criteria"])
        except FhirError as error:
            raise refused(422, "not-supported", str(error), "Subscription.criteria") from error
        if search.kind not in self.kinds:
            raise refused(
                422, "not-supported", f"{search.kind[:40]!r} is not told of", "Subscription.criteria"
            )
        if len(self.shelf.current.by("kind", "Subscription")) >= MOST_SUBSCRIPTIONS and given.old is None:
            raise refused(422, "too-costly", f"at most {MOST_SUBSCRIPTIONS} subscriptions are kept")
        if told["status"] in {"requested", "active"}:  # the server alone decides between the two
            told["status"] = "active"
            told.pop("error", None)
        return given.id or f"S{self.state.next('fhir/Subscription')}"

    def check(self, send: Send) -> None:
        """A notice was written by ourselves: nothing to check."""

    async def __call__(self, send: Send) -> Delivery:
        """Tell a subscriber once; what it refuses, and what is not answered too often, ends the subscription."""
        asked: dict[str, Any] = json.loads(send.body)
        if not self._contactable(asked["url"]):
            return self._over(asked, "the endpoint is outside of this lab", "refused")
        try:
            to = urlsplit(asked["url"])
            answer = await self.web.ask(
                self._named(to.netloc),
                asked["method"],
                to.path,
                root=f"{to.scheme}://{to.netloc}",
                headers=dict(line.split(":", 1) for line in asked["headers"])
                | ({"Content-Type": fhir.MEDIA_TYPE} if asked["body"] else {}),
                body=asked["body"].encode(),
                found=keys_of(fhir.read(asked["body"].encode())) if asked["body"] else {},
                facts={"subscription": asked["subscription"], "of": asked["place"]},
            )
        except (LinkLost, NoAnswer) as trouble:
            tries = self._tries[send.control] = self._tries.get(send.control, 0) + 1
            if tries < TRIES:
                raise
            return self._over(asked, f"no answer after {tries} tries: {trouble}", "lost", send.control)
        self._tries.pop(send.control, None)
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110: 2xx is success; redirects are not followed
            return self._over(asked, f"the endpoint answered HTTP {answer.status}", str(answer.status))
        return Delivery(answer.body, code=str(answer.status))

    def _named(self, place: str) -> str:
        """Return the actor whose FHIR server is at a host and port, or that place itself."""
        found = ((name, one.fhir) for name, one in self.bench.directory.items() if one.fhir)
        return next((name for name, url in found if urlsplit(url).netloc == place), place)

    def _over(self, asked: dict[str, Any], why: str, code: str, control: str = "") -> Delivery:
        """Switch a subscription to ``error`` (hl7.org/fhir/R4/subscription.html#2.46.3) and park its notice."""
        self._tries.pop(control, None)
        version = self.shelf.latest("Subscription", asked["subscription"])
        if version is not None and version.text:
            with self.bench.change(self.state):
                told = {**version.resource, "status": "error", "error": why}
                self.shelf.put("Subscription", version.id, told, self.bench.clock.now())
        return Delivery(reason=why, code=code)

    async def close(self) -> None:
        """The web client is closed by its owner."""


def _headers(lines: list[str], where: str) -> None:
    """Refuse header lines that are none, or that could carry a second one."""
    if len(lines) > _MOST_HEADERS:
        raise refused(422, "too-costly", f"at most {_MOST_HEADERS} headers", where)
    for line in lines:
        name, colon, value = line.partition(":")
        bad = not colon or not name.replace("-", "").isalnum() or not name.isascii()
        if (
            bad
            or not value.isascii()
            or not value.isprintable()
            or name.lower() in {"host", "content-length"}
        ):
            raise refused(422, "value", "no HTTP header that can be sent", where)
