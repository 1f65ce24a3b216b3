"""What a lab file may say about the patient index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stepwedge.errors import BadInput
from stepwedge.model.identifiers import ISSUER


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings with their defaults.

    Attributes:
        domains: assigning authorities whose identifiers are taken and answered; others are unknown.
        notify: actor to the domains it is told of when a cross reference in them changes (ITI-10).
        most: patients in one answer when the asker sets no limit.
    """

    domains: tuple[str, ...] = (ISSUER,)
    notify: dict[str, tuple[str, ...]] = field(default_factory=dict)
    most: int = 50

    @classmethod
    def read(cls, given: dict[str, Any], name: str) -> Settings:
        """Read what concerns the index; ports and application belong to the bench."""
        domains = _texts(given.get("domains", list(cls().domains)), f"{name}.domains")
        if not domains:
            raise BadInput(f"{name}.domains", "at least one assigning authority", "none")
        notify = given.get("notify") or {}
        if not isinstance(notify, dict):
            raise BadInput(
                f"{name}.notify", "actor to domains", repr(notify), "write notify: {ehr: [STEPWEDGE]}"
            )
        wanted = {str(actor): _texts(them, f"{name}.notify.{actor}") for actor, them in notify.items()}
        for actor, them in wanted.items():
            if strange := [one for one in them if one not in domains]:
                raise BadInput(f"{name}.notify.{actor}", f"domains out of {', '.join(domains)}", strange[0])
        most = given.get("most", cls().most)
        if type(most) is not int or not 0 < most <= 1000:  # noqa: PLR2004 - an answer somebody could read
            raise BadInput(f"{name}.most", "a whole number from 1 to 1000", repr(most))
        return cls(domains, wanted, most)


def _texts(given: Any, at: str) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else [given]
    for one in listed:
        if not isinstance(one, str) or not one:
            raise BadInput(at, "a list of texts", repr(given))
    return tuple(listed)
