"""Whose the machine was: where generator and systems under test share one with others, a time that is missed may be theirs.

What was met although others took their part is met all the same: a busy machine makes nothing faster. What was missed then is
untold, since nobody can tell whose time that was. Errors, refusals and losses stay what they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.load.gates import QUANTILES, Gate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.load.gates import Facts


def others(facts: Facts) -> tuple[float, int] | None:
    """Return how many cores of this machine others used in the mean while the load ran, and how many it has.

    None when nobody watched, or when no system under test runs here.
    """
    own: dict[int, float] = {}
    for lines in facts.series.generators.values():
        for line in lines:
            own[int(line["second"])] = own.get(int(line["second"]), 0.0) + float(line["cpu"])
    found, cores = [], 0
    for line in facts.watched:
        told, systems = line.get("machine"), line.get("processes")
        if told and systems and 0 <= line["second"] <= facts.plan.seconds:
            used = sum(one["cpu"] for one in systems.values()) + own.get(int(line["second"]), 0.0)
            found.append(max(0.0, float(told["cpu"]) - used))
            cores = int(told["cores"])
    return (sum(found) / len(found), cores) if found else None


def shared(facts: Facts, gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates, those for times that were missed untold where others had the machine."""
    late = [one for one in gates if one.verdict == "missed" and _is_a_time(one)]
    seen, limit = others(facts), facts.limits.generator.others
    if not late or seen is None or seen[0] <= limit.value * seen[1]:
        return list(gates)
    said = f"others used {seen[0]:.2g} of the {seen[1]} cores of this machine, and {len(late)} times were missed: whose they are nobody can tell"
    crowd = Gate(
        "machine",
        "others",
        "untold",
        said,
        limit.value,
        seen[0] / seen[1],
        "share",
        why=limit.why,
        generator=True,
    )
    why = "while others used the machine"
    told = [
        replace(one, verdict="untold", said=f"{one.said}, {why}") if one in late else one for one in gates
    ]
    return [crowd, *told]


def _is_a_time(gate: Gate) -> bool:
    return not gate.generator and (gate.what in QUANTILES or gate.name == "queues")
