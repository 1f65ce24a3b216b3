"""Whether a door stands what was never meant for it, and goes on serving others."""

from __future__ import annotations

from stepwedge.actors import intruding, pestering
from stepwedge.actors.words import Parameter, did_you_mean
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import BadInput

_PATIENCE = 5.0
"""Seconds after which a connection with nonsense on it must be over, before patience scales them; ARTIM is 30 (PS3.8 9.1.5) at most."""


@check(
    "door.stands",
    says="the door stands nonsense and goes on serving others",
    ihe="ITI-19",
    observes="wire",
    place="from",
    where=only("nonsense", "door"),
    chosen_by=("nonsense",),
    takes=(
        Parameter("times", "number", says="on so many connections at once", default=1),
        Parameter(
            "seconds",
            "number",
            says="how long the door may take to hang up, and to serve others",
            default=_PATIENCE,
        ),
    ),
)
def stands(question: Question) -> Look:
    """Serve a known node, bring nonsense, serve the known node again.

    ``where: {nonsense: NAME, door: DOOR}``; the nonsense is ``web-request``, ``random-bytes``, ``endless-length`` (a PDU of four gigabytes), ``no-start``, ``cut-off``,
    ``wrong-end``, ``long-header``, ``oversize`` (a message that never ends), ``silent`` or ``trickle`` (many that say next to nothing).
    """
    kind = str(question.where["nonsense"])
    if kind not in pestering.KINDS:
        near = did_you_mean(kind, pestering.KINDS).strip(" ;")
        raise BadInput("door.stands nonsense", f"one of {', '.join(pestering.KINDS)}", kind, near)
    door = str(question.where.get("door") or intruding.DOORS[0])
    if door not in intruding.DOORS:
        raise BadInput("door.stands door", f"one of {', '.join(intruding.DOORS)}", door)
    times = int(question.args.get("times") or 1)
    seconds = float(question.args.get("seconds") or _PATIENCE) * question.cast.patience
    label = f"{kind} at the {door} door of {question.from_}, {times} times"
    wrong = pestering.pester(question.cast, question.from_, door, kind, times, seconds)
    differences = [Difference(label, "hung up on, and others served", wrong)] if wrong else []
    return Look([] if wrong else [Candidate(label, None)], differences, label, 1, final=bool(wrong))
