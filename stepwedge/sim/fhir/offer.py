"""What a FHIR door offers of each resource type, and what it makes of the resources it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stepwedge.wire import fhir, fhir_search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from stepwedge.sim.store import Change
    from stepwedge.wire.fhir import Issue, Resource

READS: Final = ("read", "vread", "history-instance", "history-type", "search-type")
VIEWS: Final = ("read", "search-type")
WRITES: Final = ("create", "update")


@dataclass(frozen=True, slots=True)
class Given:
    """One resource a client wants stored.

    Attributes:
        id: the logical id it is to have; empty when the server gives one.
        old: what is stored under that id now.
    """

    resource: Resource
    id: str
    old: Resource | None
    now: datetime
    change: Change


@dataclass(frozen=True, slots=True)
class Offer:
    """One resource type at a door.

    Attributes:
        interactions: codes of the value set TypeRestfulInteraction.
        take: makes of a valid resource what the books make of it and returns its logical id; raises ``FhirError`` for
            what the books refuse. None keeps the resource as it came.
    """

    kind: str
    interactions: tuple[str, ...] = READS
    take: Callable[[Given], str] | None = None


class FhirHabits:
    """What a conforming FHIR server does."""

    def refuses(self, issues: list[Issue]) -> list[Issue]:
        """Refuse a resource for everything that is wrong with it (hl7.org/fhir/R4/http.html#create)."""
        return issues

    def there_already(self, matches: list[Resource]) -> list[Resource]:
        """Return what a conditional create finds: it makes nothing twice (hl7.org/fhir/R4/http.html#ccreate)."""
        return matches


def capability(offers: Iterable[Offer], *, name: str, base: str, now: datetime, version: str) -> Resource:
    """Return the CapabilityStatement of what is really offered (hl7.org/fhir/R4/capabilitystatement.html)."""
    resources = [_resource(offer) for offer in offers]
    writes = any("create" in offer.interactions for offer in offers)
    system = [{"code": "transaction"}, {"code": "batch"}] if writes else []
    rest: Resource = {"mode": "server", "resource": resources}
    if system:
        rest["interaction"] = system
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now.astimezone().isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "Stepwedge", "version": version},
        "implementation": {"description": f"{name}, a simulated system", "url": base},
        "fhirVersion": fhir.VERSION,
        "format": ["json", fhir.MEDIA_TYPE],
        "rest": [rest],
    }


def _resource(offer: Offer) -> Resource:
    known = fhir_search.parameters(offer.kind)
    told: Resource = {
        "type": offer.kind,
        "interaction": [{"code": code} for code in offer.interactions],
        "versioning": "versioned" if "vread" in offer.interactions else "no-version",
    }
    if "create" in offer.interactions:
        told |= {"conditionalCreate": True}
    if "update" in offer.interactions:
        told |= {"versioning": "versioned-update", "updateCreate": True, "conditionalUpdate": True}
    references = [one.name for one in known.values() if one.kind == "reference"]
    if references:
        told["searchInclude"] = [f"{offer.kind}:{name}" for name in references]
    told["searchParam"] = [{"name": one.name, "type": one.kind} for one in known.values()]
    return told
