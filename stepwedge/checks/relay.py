"""What an interface engine says of the messages it could not deliver."""

from __future__ import annotations

from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, look, only

_COPY = only("patient", "to", "control", "kind", "from", "reason", "letter")
_CHOSEN = ("patient", "control", "letter")
_COUNT = (Parameter("count", "number", says="how many there must be; any number when left out"),)


@check(
    "relay.dead_letter",
    says="the message nobody would take waits aside, with the reason",
    ihe="HL7 2.5.1 section 2.9",
    observes="ask",
    place="at",
    where=_COPY,
    is_=_COPY,
    chosen_by=_CHOSEN,
    takes=_COUNT,
)
def dead_letter(question: Question) -> Look:
    """Ask the engine for its dead letters."""
    return _copies(question, "dead_letters", "dead letter", "dead letters")


@check(
    "relay.unresolved",
    says="the message that was accepted and never answered for is on the list of those to look after",
    ihe="HL7 2.5.1 section 2.9.3",
    observes="ask",
    place="at",
    where=_COPY,
    is_=_COPY,
    chosen_by=_CHOSEN,
    takes=_COUNT,
)
def unresolved(question: Question) -> Look:
    """Ask the engine what was taken into storage (CA) and has no application acknowledgement."""
    return _copies(question, "unresolved", "copy", "unresolved copies")


def _copies(question: Question, asked: str, one: str, all_of_them: str) -> Look:
    told = question.cast[question.at].ask(asked, {})["letters"]
    candidates = [
        Candidate(f"{one} {copy['letter']} for {copy['to']}: {copy['reason']}", copy) for copy in told
    ]
    return look(candidates, question.where, question.is_, what=all_of_them, count=question.args.get("count"))
