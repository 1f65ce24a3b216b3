"""How a receiver answers a message that was written by hand, byte for byte (HL7 2.5.1 section 2.9, IHE ITI TF-2 C.2.3)."""

from __future__ import annotations

from stepwedge.actors import asking_hl7
from stepwedge.actors.words import Parameter
from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.message_view import MessageView
from stepwedge.checks.messages import MESSAGE
from stepwedge.errors import BadInput, NoAnswer


@check(
    "message.answered",
    says="the system answers the message as it should",
    ihe="RAD-1, RAD-2",
    observes="wire",
    place="from",
    where=only("message"),
    is_=MESSAGE,
    chosen_by=("message",),
    takes=(
        Parameter("encoding", says="codec of its bytes, whatever MSH-18 says", default="utf-8"),
        Parameter("ends", says="what ends a segment", default="cr", choices=tuple(asking_hl7.ENDS)),
        Parameter("form", says="how it goes onto the line", default="whole", choices=asking_hl7.FORMS),
    ),
)
def answered(question: Question) -> Look:
    """Let the probe send ``where: {message: TEXT}`` and judge each answer with ``is``; CONTROL in the text becomes MSH-10, MOMENT the time.

    A message that was answered otherwise was answered otherwise: no later look makes it good. One that is answered when it
    comes in one piece, and not in the form that was asked for, was not understood in that form.
    """
    how = {"encoding": "utf-8", "ends": "cr", "form": "whole"} | dict(question.args)
    if how["ends"] not in asking_hl7.ENDS or how["form"] not in asking_hl7.FORMS:
        raise BadInput(
            "message.answered", f"ends {list(asking_hl7.ENDS)}, form {list(asking_hl7.FORMS)}", str(how)
        )
    text = str(question.where["message"])
    try:
        found = asking_hl7.answers(question.cast, question.from_, text, **how)
    except NoAnswer as silence:
        if how["form"] == "whole":
            raise
        return _deaf(question, text, how, str(silence))
    candidates = [Candidate(_label(MessageView(one)), MessageView(one), (number,)) for one, number in found]
    differences: list[Difference] = []
    for one in candidates:
        differences += [each.below(one.label) for each in matchers.compare("", question.is_ or {}, one.value)]
    return Look(
        [] if differences else candidates,
        differences,
        candidates[0].label,
        len(candidates),
        [candidates[0].evidence[0]],
        final=bool(differences),
    )


def _deaf(question: Question, text: str, how: dict[str, str], silence: str) -> Look:
    """Judge silence: when nothing answers the whole message either, this raises as well, and nothing is known."""
    ((answer, number),) = asking_hl7.answers(question.cast, question.from_, text, **how | {"form": "whole"})
    label = _label(MessageView(answer))
    heard = Difference("answer", f"one to each message sent as {how['form']}", f"{silence}; whole: {label}")
    return Look([], [heard], label, 1, [number], final=True)


def _label(view: MessageView) -> str:
    said = [str(view.get(path) or "") for path in ("MSA-1", "ERR-3.1", "ERR-2", "ERR-8", "MSA-3")]
    return " ".join(dict.fromkeys(one for one in said if one))
