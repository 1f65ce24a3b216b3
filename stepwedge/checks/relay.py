"""What an interface engine says of the messages it could not deliver."""

from __future__ import annotations

from stepwedge.checks.check import Candidate, Look, Parameter, Question, check, look, only


@check(
    "relay.dead_letter",
    says="the message nobody would take waits aside, with the reason",
    ihe="HL7 2.5.1 section 2.9",
    observes="ask",
    place="at",
    where=only("patient", "to", "control", "kind", "from", "reason", "letter"),
    is_=only("patient", "to", "control", "kind", "from", "reason", "letter"),
    chosen_by=("patient", "control", "letter"),
    takes=(Parameter("count", "number", says="how many there must be; any number when left out"),),
)
def dead_letter(question: Question) -> Look:
    """Ask the engine for its dead letters."""
    told = question.cast[question.at].ask("dead_letters", {})["letters"]
    candidates = [
        Candidate(f"dead letter {one['letter']} for {one['to']}: {one['reason']}", one) for one in told
    ]
    return look(
        candidates, question.where, question.is_, what="dead letters", count=question.args.get("count")
    )


@check(
    "relay.unresolved",
    says="the message that was accepted and never answered for is on the list of those to look after",
    ihe="HL7 2.5.1 section 2.9.3",
    observes="ask",
    place="at",
    where=only("patient", "to", "control", "kind", "from", "reason", "letter"),
    is_=only("patient", "to", "control", "kind", "from", "reason", "letter"),
    chosen_by=("patient", "control", "letter"),
    takes=(Parameter("count", "number", says="how many there must be; any number when left out"),),
)
def unresolved(question: Question) -> Look:
    """Ask the engine what was taken into storage (CA) and has no application acknowledgement."""
    told = question.cast[question.at].ask("unresolved", {})["letters"]
    candidates = [Candidate(f"copy {one['letter']} for {one['to']}: {one['reason']}", one) for one in told]
    return look(
        candidates, question.where, question.is_, what="unresolved copies", count=question.args.get("count")
    )
