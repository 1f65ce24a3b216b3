"""Who is kept out of a secure door (IHE ITI-19, PS3.15 annex B)."""

from __future__ import annotations

from stepwedge.actors import intruding
from stepwedge.actors.words import did_you_mean
from stepwedge.checks.check import Candidate, Look, Question, check, only
from stepwedge.checks.difference import Difference
from stepwedge.errors import BadInput


@check(
    "door.refuses",
    says="the door serves the nodes it knows and nobody else",
    ihe="ITI-19",
    observes="wire",
    place="from",
    doors=dict.fromkeys(intruding.DOORS, "tls"),
    where=only("intruder"),
    chosen_by=("intruder",),
)
def refuses(question: Question) -> Look:
    """Let a known node in, then the intruder, then the known node again; only the intruder may be turned away.

    ``where: {intruder: NAME}`` is a bad certificate of ``stepwedge certs`` (``expired``, ``revoked``, ...), ``no-certificate``,
    ``plain-text``, ``tls-1-0``, ``tls-1-1``, ``cbc-sha1``, ``no-encryption``, ``unknown-name`` (an AE title or application on no
    list) or ``stalled`` (a handshake that does not go on: others are served beside it).
    """
    intruder = str(question.where["intruder"])
    if intruder not in intruding.KINDS:
        near = did_you_mean(intruder, intruding.KINDS).strip(" ;")
        raise BadInput("door.refuses intruder", f"one of {', '.join(intruding.KINDS)}", intruder, near)
    matched, differences, evidence = [], [], []
    for door in question.through or intruding.DOORS[:1]:
        tried, served = intruding.round_of(question.cast, question.from_, door, intruder)
        evidence += [served.evidence, tried.evidence]
        label = f"{intruder} at the {door} door of {question.from_}"
        if fault := intruding.fault(tried, served, intruder):
            differences.append(Difference(label, "refused, and why is said", fault))
        else:
            matched.append(Candidate(f"{label}: {tried.trouble or tried.answer}", None, (tried.evidence,)))
    seen = len(matched) + len(differences)
    return Look(matched, differences, seen=seen, evidence=evidence, final=bool(differences))
