"""What the ward's calendar says about an exam (RAD-48)."""

from __future__ import annotations

from collections.abc import Mapping

from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.orders import number_of


@check(
    "appointment.status",
    says="the ward's calendar shows the exam once, as it stands",
    ihe="RAD-48",
    observes="ask",
    place="at",
    where=only("order", "placer"),
    chosen_by=("order", "placer"),
    requires=("appointments",),
)
def status(question: Question) -> Look:
    """Ask the ward for the one appointment of an order; ``is`` is its status, or a mapping of what is known."""
    placer = number_of(question.where, "placer")
    known = question.cast[question.at].ask("appointment", {"placer": placer})
    if matchers.missing(known.get("status")):
        return Look(differences=[Difference("appointment", f"one for order {placer}", "none")])
    wanted = question.is_
    if wanted is not None and (not isinstance(wanted, Mapping) or matchers.matcher_word(wanted)):
        wanted = {"status": wanted}
    differences = [] if wanted is None else matchers.compare("", wanted, known)
    if (count := known.get("count")) != 1:
        differences = [Difference("appointments", f"one for order {placer}", str(count)), *differences]
    found = Candidate(f"appointment of order {placer}: {known['status']}, {known.get('start')}", known)
    return Look([] if differences else [found], differences, found.label, 1)
