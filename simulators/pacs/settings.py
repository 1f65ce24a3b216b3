"""What a lab file may say about the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

from .retention import Term
from .routing import Plan, Prefetch, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHOICES: Final = {
    "quality": ("hide", "show"),
    "resend": ("hide", "refuse"),
    "commitment": ("any", "new", "next"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How this archive behaves where the standard leaves a choice.

    Attributes:
        event_pause: seconds between the answer to N-ACTION and the first attempt to report its result, so that a requester
            that hangs up at once is called back on a new association instead of being spoken to while it releases.
        commitment: where the result of storage commitment goes: ``any`` the requester's own association while it lasts, else a
            new one; ``new`` always a new one, after ``event_pause``; ``next`` the next one that the requester opens.
        destinations: ``dicom://AE@host:port`` of C-MOVE destinations that are no actors of the lab.
        notify: actors that hear how available studies are (RAD-49).
        quality: what becomes of images rejected for their quality: ``hide``, or ``show`` (RAD-66 leaves it to the site).
        resend: what becomes of a rejected instance that comes again: ``hide`` takes it and shows nothing, ``refuse`` refuses it.
        recall: seconds it takes to bring a nearline study back.
        reading_tasks: a task to read it is made for each performed step that is over and all here (PS3.18 section 11).
        associations: how many there may be at once; one more is rejected for now (PS3.8 table 9-21: source 3, reason 2).
        routes: where new objects go on to.
        prefetch: which priors are fetched ahead.
        retention: how long studies are kept; what no rule is for is kept for ever.
    """

    event_pause: float = 0.03
    commitment: str = "any"
    destinations: tuple[str, ...] = ()
    notify: tuple[str, ...] = ("ris",)
    quality: str = "hide"
    resend: str = "hide"
    recall: float = 0.0
    reading_tasks: bool = True
    associations: int = 64
    routes: tuple[Route, ...] = ()
    prefetch: tuple[Prefetch, ...] = ()
    retention: tuple[Term, ...] = ()

    @property
    def plan(self) -> Plan:
        """What goes on to other systems by itself."""
        return Plan(self.routes, self.prefetch)

    @classmethod
    def read(cls, given: Mapping[str, Any], place: str = "pacs") -> Settings:
        """Read what concerns the archive; ports, AE title and time limits belong to the bench."""
        known = {name: given[name] for name in cls.__dataclass_fields__ if name in given}
        for name, allowed in CHOICES.items():
            if known.get(name, allowed[0]) not in allowed:
                raise BadInput(f"{place}.{name}", f"one of {', '.join(allowed)}", repr(known[name]))
        for name in ("recall", "event_pause"):
            seconds = known.get(name, 0.0)
            if not isinstance(seconds, int | float) or not 0 <= seconds <= 600:  # noqa: PLR2004 - ten minutes
                raise BadInput(f"{place}.{name}", "seconds, 0 to 600", repr(seconds))
        _associations(known.get("associations", 64), place)
        if not isinstance(known.get("reading_tasks", True), bool):
            raise BadInput(f"{place}.reading_tasks", "true or false", repr(known["reading_tasks"]))
        for name in ("notify", "destinations"):
            if name in known:
                known[name] = tuple(known[name] or ())
        rules: dict[str, Callable[[Any, str], Any]]
        rules = {"routes": Route.read, "prefetch": Prefetch.read, "retention": Term.read}
        for name, read in rules.items():
            if not isinstance(known.get(name) or [], list):
                raise BadInput(f"{place}.{name}", "a list of rules", repr(known[name]))
            known[name] = tuple(read(one, place) for one in known.get(name) or ())
        return cls(**known)


def _associations(most: object, place: str) -> None:
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= 1000:  # noqa: PLR2004 - more than any archive has
        raise BadInput(f"{place}.associations", "associations at once, 1 to 1000", repr(most))
