"""In which lab a known wrong behaviour can act: what a quirk needs, held against what each lab file offers.

Nobody keeps a list. A lab offers what stands in its file: its actors, their roles, the settings it gives them, and what it
sets for all of them, such as ``tls``. A quirk needs its own role simulated, and the one further thing that it may name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.lab import labfile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.lab.labfile import Lab
    from stepwedge.sim.quirks import Quirk

FIRST: Final = "fixtures/labs/department.yaml"
"""Where a quirk is tried before anywhere else: every device, and so the widest choice of cases."""
ANY: Final = "any"
"""The role of quirks that each simulated system can have."""


def offers(lab: Lab) -> frozenset[str]:
    """Return what a lab has: actors, their roles, and every setting of the lab or of a simulated actor that is not off."""
    settings = {key for one in lab.simulated.values() for key, value in one.settings.items() if value}
    settings |= {key for key in lab.text.model_fields_set if getattr(lab.text, key)}
    settings |= {"process"} if lab.own else set()
    settings |= {"disk"} if any(one.disk for one in lab.own.values()) else set()
    return frozenset({*lab.actors, *(one.role for one in lab.actors.values()), *settings})


def can_act(role: str, quirk: Quirk, lab: Lab) -> bool:
    """Tell whether a quirk of a role has anything to change in a lab; whether a scenario leads there only a run can tell."""
    played = {one.role for one in lab.simulated.values()}
    return bool(played if role == ANY else role in played) and quirk.needs in {"", *offers(lab)}


def shipped() -> list[Lab]:
    """Return the labs to try quirks in, in this order: the department, then the others, those with few actors and processes first.

    A lab with real systems, or one that must run already, is none of them (it needs what may not be there), nor is one that
    offers nothing which the department does not offer.
    """
    first = labfile.load(kit.shipped() / FIRST)
    others = (labfile.load(path) for path in sorted(first.file.parent.glob("*.yaml")) if path != first.file)
    further = [lab for lab in others if not lab.real and not lab.apart and not offers(lab) <= offers(first)]
    return [first, *sorted(further, key=lambda lab: (len(lab.actors), bool(lab.own)))]


def of(role: str, quirk: Quirk, labs: Iterable[Lab]) -> list[Lab]:
    """Return those of ``labs`` in which a quirk can act, the order kept."""
    return [lab for lab in labs if can_act(role, quirk, lab)]
