"""INV-9 and INV-12: every message is answered once and properly, and none is dropped in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.checks.difference import Difference
from stepwedge.checks.message_view import MessageView
from stepwedge.checks.rules.ledger import linked
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule
from stepwedge.checks.rules.sightings import between, labelled, once
from stepwedge.wire.hl7 import HL7Error, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.hl7 import Message

ACKNOWLEDGMENTS: Final = frozenset({"AA", "AE", "AR", "CA", "CE", "CR"})
"""HL7 table 0008."""
_ACCEPTED: Final = frozenset({"AA", "CA"})
_UNANSWERED: Final = frozenset({"lost", "timeout", "refused"})
_ANSWERED_WITH: Final = {
    "ORM": ("ORR", "ACK"),
    "OMG": ("ORG", "ACK"),
    "OMI": ("ORI", "ACK"),
    "ADT": ("ACK",),
    "ORU": ("ACK",),
    "SIU": ("ACK",),
}
"""HL7 chapters 3, 4 and 7: the message type that answers; RAD-3 and RAD-4 allow a plain ACK."""


def _hl7(facts: CaseFacts) -> Iterator[Exchange]:
    return (one for one in once(facts.exchanges) if one.protocol == "hl7" and one.kind != "MLLP")


@rule(
    "INV-9",
    says="every message gets exactly one answer that is its own, on the same connection",
    source="HL7 2.5.1 section 2.9 and 2.15.7 (MSA-1, MSA-2), table 0008; ITI TF-2 C.2.3",
)
def answered(facts: CaseFacts) -> Finding:
    """Compare each answer with its message, and each control ID with its content.

    An answer that a fault made, changed or repeated is nobody's, and blames nobody.
    """
    differences: list[Difference] = []
    reached = 0
    first: dict[tuple[str, str, str], Exchange] = {}
    for exchange in _hl7(facts):
        if exchange.outcome in _UNANSWERED:
            continue  # a lost answer is judged by INV-12: the sender must have tried again
        reached += 1
        asker, asked = between(exchange)
        control = "".join(exchange.keys.get("control", ()))
        if control not in facts.forged:
            differences += _answer(exchange)
        before = first.setdefault((asker, asked, control), exchange)
        if control and before.request.read() != exchange.request.read():
            differences.append(
                Difference(
                    f"{labelled(exchange)}: MSH-10", f"not {control}, used by {labelled(before)}", control
                )
            )
    differences += _doubled(facts)
    return Finding(differences, reached)


def _doubled(facts: CaseFacts) -> Iterator[Difference]:
    """Yield the messages that got more answers than times they were sent."""
    sent: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    labels: dict[str, str] = {}
    for exchange in _hl7(facts):
        control = "".join(exchange.keys.get("control", ()))
        labels.setdefault(control, labelled(exchange))
        sent[control] += 1
        answers[control] += exchange.response.size > 0
        answers.update(exchange.facts.get("late") or ())
    for control in sent.keys() - facts.forged:
        if answers[control] > sent[control]:
            wanted = f"{sent[control]}, as often as it was sent"
            yield Difference(f"{labels[control]}: answers", wanted, str(answers[control]))


def _answer(exchange: Exchange) -> Iterator[Difference]:
    label = labelled(exchange)
    if exchange.outcome == "garbled" or not exchange.response.size:
        found = str(exchange.facts.get("error") or "nothing")
        yield Difference(f"{label}: answer", "one acknowledgment of this message", found)
        return
    try:
        message, answer = parse(exchange.request.read()), parse(exchange.response.read())
    except HL7Error as trouble:
        yield Difference(f"{label}: answer", "a readable message", str(trouble))
        return
    if answer["MSA-2"] != message.control:
        yield Difference(f"{label}: MSA-2", message.control, answer["MSA-2"] or "nothing")
    if answer["MSA-1"] not in ACKNOWLEDGMENTS:
        yield Difference(f"{label}: MSA-1", "a code of table 0008", answer["MSA-1"] or "nothing")
    kinds = _ANSWERED_WITH.get(message.type[:3])
    if kinds and answer.type[:3] not in kinds:
        yield Difference(f"{label}: MSH-9 of the answer", " or ".join(kinds), answer.type or "nothing")


@dataclass(slots=True)
class _Fate:
    """What became of one message (one control ID from one sender to one receiver)."""

    label: str
    accepted: bool = False
    refused: str | None = None
    lost: str = ""
    exchanges: list[Exchange] = field(default_factory=list)


@rule(
    "INV-12",
    says="no message is dropped in silence and none takes effect twice: orders reach the archive, reports the ward, once",
    source="HL7 2.5.1 section 2.9; IHE RAD TF-2 RAD-4, RAD-128; ITI TF-2 C.2.3",
)
def none_dropped(facts: CaseFacts) -> Finding:
    """Follow each message to its end, each report to the ward, and each order to the archive."""
    differences: list[Difference] = []
    unsure: list[str] = []
    fates = _fates(facts)
    for fate in fates:
        if fate.accepted:
            continue
        if fate.refused is not None:
            if not fate.refused:
                differences.append(Difference(f"{fate.label}: refusal", "a reason in MSA-3 or ERR", "none"))
        elif fate.lost:
            unsure.append(f"{fate.label}: {fate.lost}, and it was not sent again")
    differences += [*_reports(facts), *_readable(facts), *_schedules(facts)]
    return Finding(differences, len(fates), "; ".join(unsure))


def _fates(facts: CaseFacts) -> list[_Fate]:
    fates: dict[tuple[str, ...], _Fate] = {}
    for exchange in _hl7(facts):
        key = (*between(exchange), *exchange.keys.get("control", ()))
        fate = fates.setdefault(key, _Fate(labelled(exchange)))
        fate.exchanges.append(exchange)
        if exchange.outcome in _ACCEPTED:
            fate.accepted = True
        elif exchange.outcome in ACKNOWLEDGMENTS:
            fate.refused = _reason(exchange)
        elif exchange.outcome in _UNANSWERED:
            fate.lost = exchange.outcome
    return list(fates.values())


def _reason(exchange: Exchange) -> str:
    try:
        answer = parse(exchange.response.read())
    except HL7Error:
        return ""
    return " ".join(
        text
        for text in (answer["MSA-3"], answer["ERR-8"], answer["ERR-7"], answer["ERR-3.1"], answer["ERR-1"])
        if text
    )


def _taken_and_passed(
    facts: CaseFacts, manager: str, ward: str
) -> tuple[Counter[tuple[str, str, str]], Counter[tuple[str, str, str]]]:
    """Count the reports the report manager took, and those it passed on, by what they say."""
    taken: Counter[tuple[str, str, str]] = Counter()
    passed: Counter[tuple[str, str, str]] = Counter()
    controls: set[tuple[str, ...]] = set()
    for exchange in _hl7(facts):
        if not exchange.kind.startswith("ORU") or exchange.outcome not in _ACCEPTED:
            continue
        key = (*between(exchange), *exchange.keys.get("control", ()))
        if key in controls:
            continue  # the same message again, after a lost answer
        controls.add(key)
        if facts.by_hand.get(key[-1]):
            continue  # what a tester lets come late need not be passed on
        if key[1] == manager and key[0] != ward:  # what comes from the ward acknowledges a result
            taken[_gist(parse(exchange.request.read()))] += 1
        elif key[:2] == (manager, ward):
            passed[_gist(parse(exchange.request.read()))] += 1
    return taken, passed


def _reports(facts: CaseFacts) -> Iterator[Difference]:
    """Compare the reports the report manager took with those it passed on to the ward, one for one."""
    manager, ward = facts.readback.player("ris"), facts.readback.player("ehr")
    if manager is None or ward is None:
        return
    taken, passed = _taken_and_passed(facts, manager.name, ward.name)
    for gist in sorted({*taken, *passed}):
        accession, status, text = gist
        if taken[gist] and passed[gist] != taken[gist]:
            label = f"report for {accession}, status {status}, “{text[:40]}”"
            yield Difference(
                f"{label}: passed on to {ward.name}", f"{taken[gist]} times, as received", str(passed[gist])
            )
        elif passed[gist] and not taken[gist] and taken:
            label = f"report for {accession}, status {status}, “{text[:40]}”"
            yield Difference(f"{label}: passed on to {ward.name}", "only what was received", "never received")


def _readable(facts: CaseFacts) -> Iterator[Difference]:
    """Compare what the ward can read with the last report it took for each order; a late preliminary changes nothing."""
    ward = facts.readback.player("ehr")
    if ward is None or not ward.simulated:
        return
    last: dict[str, MessageView] = {}
    for exchange in _hl7(facts):
        if (
            exchange.kind.startswith("ORU")
            and exchange.outcome in _ACCEPTED
            and between(exchange)[1] == ward.name
        ):
            view = MessageView(parse(exchange.request.read()))
            accession = str(view.get("accession") or "")
            if view.get("status") != "P" or accession not in last or last[accession].get("status") == "P":
                last[accession] = view
    for accession, view in last.items():
        shown = str((facts.readback.report(accession) or {}).get("text") or "")
        lines = [] if view.get("status") == "X" else str(view.get("text") or "").splitlines()
        if missing := [line for line in lines if line not in shown]:
            yield Difference(
                f"report for {accession} on the ward", f"“{missing[0]}”", shown or "nothing to read"
            )


def _schedules(facts: CaseFacts) -> Iterator[Difference]:
    """Compare the orders the filler took with what it told the archive: each step once (RAD-4)."""
    pacs = facts.readback.player("pacs")
    if pacs is None or not pacs.simulated or not pacs.address.hl7:
        return
    told: dict[str, Counter[str]] = {}
    controls: set[tuple[str, str]] = set()
    heard: dict[str, set[tuple[str, str]]] = {}
    for sighting, order in linked(facts.ledger, facts.seen):
        heard.setdefault(order.placer, set()).add((sighting.kind, sighting["control"]))
        if sighting.kind == "schedule" and (sighting.uid, sighting["step"]) not in controls:
            controls.add((sighting.uid, sighting["step"]))
            told.setdefault(order.placer, Counter())[sighting["step"]] += sighting["control"] == "NW"
    for order in facts.ledger.orders:
        if not order.numbers.get("accession"):
            continue
        known = heard.get(order.placer, set())
        given_up = ("reply", "CR") in known and ("status", "SC") not in known
        if order.placer not in told and not given_up:  # cancelled before anybody scheduled it
            yield Difference(f"{order}: told to {pacs.name}", "once it is scheduled", "never")
        for step, times in told.get(order.placer, {}).items():
            if times > 1:
                yield Difference(f"{order}: step {step} told to {pacs.name} as new", "once", f"{times} times")


def _gist(message: Message) -> tuple[str, str, str]:
    """Return accession number, result status (OBR-25 and, where they differ, OBX-11; OBX-8 where it is critical) and text."""
    view = MessageView(message)
    status = "/".join(
        dict.fromkeys([str(view.get("status") or ""), *message.all("OBX-11"), *message.all("OBX-8")])
    )
    return str(view.get("accession") or ""), status, str(view.get("text") or "")
