"""Who somebody is as a FHIR resource: what the claim ``fhirUser`` names (SMART App Launch 2.2, scopes for identity data). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .state import hashed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .state import User

SCOPE: Final = "fhirUser"
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""The type ``id`` of FHIR R4."""


def id_of(name: str) -> str:
    """Return the id of a person's resource: the name where it can be one, else a hash of it."""
    return name if _ID.fullmatch(name) else hashed(name)[:32]


def url_of(issuer: str, name: str) -> str:
    """Return the absolute URL of a person's resource, which the provider serves itself."""
    return f"{issuer}/fhir/Practitioner/{id_of(name)}"


def find(users: Iterable[User], id_: str) -> User | None:
    """Return the person whose resource has an id."""
    return next((user for user in users if id_of(user.name) == id_), None)


def resource(issuer: str, user: User) -> dict[str, Any]:
    """Return a person as a Practitioner (hl7.org/fhir/R4/practitioner.html)."""
    return {
        "resourceType": "Practitioner",
        "id": id_of(user.name),
        "identifier": [{"system": issuer, "value": user.name}],
        "active": True,
        "name": [{"text": user.name}],
        "qualification": [{"code": {"text": user.role}}],
    }
