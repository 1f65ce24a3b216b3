"""The ledger of intents: what a case meant to send, written before it is sent, and what became of each.

One file of JSON lines in the evidence of a case, each with the operating system before the next thing happens, so that it survives
the death of whoever writes it. An intent has an identity that all tries share: SOP Instance UID, MSH-10 of one sender, Transaction
UID, UID of a performed step. It is *attempted*, then *acknowledged* (K), *refused* with a definite code (R) or *unknown* (U): lost,
timed out, cut off. Only an answer to the same identity resolves what is unknown; what stays so makes the case inconclusive.

What is really there (O) is read through another door than it was sent by: K must be in O, R must not, nothing may be there twice, and
nothing that nobody sent.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules.account import accounts
from stepwedge.checks.rules.rule import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from stepwedge.checks.rules import CaseFacts
    from stepwedge.evidence.exchange import Exchange

SAYS: Final = "every intent of a disturbed case is accounted for: acknowledged is there, once; refused is not; nothing stays unknown"
SOURCE: Final = (
    "PS3.4 B.2.3 (a status answers for one instance); HL7 2.5.1 section 2.9 (MSA-1); PS3.18 10.5.3"
)
FILE: Final = "ledger.jsonl"
ATTEMPTED, ACKNOWLEDGED, REFUSED, UNKNOWN = "attempted", "acknowledged", "refused", "unknown"
THERE: Final = "there already"
"""A refusal that says that an earlier try arrived; where none was in doubt it is a refusal like any other."""
_ARRIVED: Final = {("N-CREATE", "0111"), ("N-SET", "0110")}
"""Duplicate SOP Instance; the performed step may no longer be updated (PS3.4 F.7.2.1.3, F.7.2.2.3)."""
_MESSAGES: Final = {
    "AA": ACKNOWLEDGED,
    "CA": ACKNOWLEDGED,
    **dict.fromkeys(("AE", "AR", "CE", "CR"), REFUSED),
}
"""HL7 table 0008."""
_KINDS: Final = {"C-STORE": "sop", "N-CREATE": "mpps", "N-SET": "mpps", "N-ACTION": "transaction"}
_STORED, _FAILED, _SOP = "00081199", "00081198", "00081155"
"""Referenced and Failed SOP Sequence, Referenced SOP Instance UID (PS3.18 annex I)."""
_HEX: Final = re.compile(r"[0-9A-F]{4}")
_SHOWN: Final = 8


class Intent(NamedTuple):
    """What all tries of one intent have in common."""

    what: str
    sender: str
    to: str
    id: str

    def __str__(self) -> str:
        return f"{self.what} {self.id} {self.sender}->{self.to}"


@dataclass(slots=True)
class Fate:
    """What is known of one intent.

    Attributes:
        doubted: a try of it was once unknown, so that a later refusal does not mean that nothing arrived.
        through: the protocols it was sent by.
    """

    state: str = ATTEMPTED
    doubted: bool = False
    through: set[str] = field(default_factory=set)

    def hear(self, state: str) -> None:
        """Take the outcome of one more try; what was acknowledged once stays so."""
        self.doubted |= state == UNKNOWN
        if state == THERE:
            state = ACKNOWLEDGED if self.doubted else REFUSED
        if self.state != ACKNOWLEDGED:
            self.state = UNKNOWN if state == REFUSED and self.doubted else state


@dataclass(slots=True)
class Ledger:
    """The intents of one case."""

    file: Path
    fates: dict[Intent, Fate] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    _seen: int = 0
    _open: int = -1

    def attempt(self, word: str, args: Mapping[str, Any]) -> None:
        """Write down what an act is about to send, as far as its identities exist already; before it is told to act."""
        sops = sorted(set(_instances(args)))
        self.named.update(sops)
        self._write(ATTEMPTED, word=word, **({"sop": sops} if sops else {}))

    def read(self, exchanges: list[Exchange]) -> None:
        """Write down what became of what was sent since the last time; ``exchanges`` are all of the case."""
        for exchange in exchanges[self._seen :]:
            for intent, state in outcomes(exchange):
                fate = self.fates.setdefault(intent, Fate())
                fate.through.add(exchange.protocol)
                fate.hear(state)
                self._write(
                    state,
                    **intent._asdict(),
                    outcome=exchange.outcome,
                    exchange=exchange.number,
                    at=exchange.at,
                )
        self._seen = len(exchanges)

    def account(self) -> dict[str, int]:
        """Return how many intents are in each state, and how many were once unknown and then acknowledged."""
        counts = Counter(fate.state for fate in self.fates.values())
        recovered = sum(fate.doubted and fate.state == ACKNOWLEDGED for fate in self.fates.values())
        states = {state: counts[state] for state in (ACKNOWLEDGED, REFUSED, UNKNOWN)}
        return {ATTEMPTED: len(self.fates), **states, "recovered": recovered}

    def lost(self, facts: CaseFacts) -> list[Difference]:
        """Return what another door does not show as it should; nothing when the archive cannot be asked just now."""
        pacs = facts.readback.player("pacs")
        return [] if pacs is None or pacs.away else self._compared_all(facts, [])

    def _compared_all(self, facts: CaseFacts, unseen: list[str]) -> list[Difference]:
        differences: list[Difference] = []
        objects = {intent.id for intent in self.fates if intent.what == "sop"}
        for account in accounts(facts.exchanges):
            sent, withdrawn = objects & set(account.pixels), set(account.withdrawn)
            there = _there(facts, account.study, self._other_doors(sent), unseen) if sent else {}
            for door, found in there.items():
                differences += self._compared(door, found, sent - withdrawn, withdrawn)
        return differences

    def judge(self, facts: CaseFacts) -> Finding:
        """Compare what was acknowledged and refused with what another door shows."""
        unseen: list[str] = []
        differences = self._compared_all(facts, unseen)
        unknown = [str(intent) for intent, fate in self.fates.items() if fate.state == UNKNOWN]
        said = (
            f"nobody knows what became of {len(unknown)} intents: {'; '.join(unknown[:_SHOWN])}"
            if unknown
            else ""
        )
        return Finding(differences, len(self.fates), said, unseen)

    def close(self) -> None:
        """Close the file."""
        if self._open >= 0:
            os.close(self._open)
            self._open = -1

    def _compared(
        self, door: str, found: Counter[str], meant: set[str], gone: set[str]
    ) -> Iterator[Difference]:
        """Compare one study as one door shows it (invariants: nothing lost, invented, doubled; refused is absent)."""
        for sop in sorted(meant):
            fates = [fate for intent, fate in self.fates.items() if (intent.what, intent.id) == ("sop", sop)]
            states = {fate.state for fate in fates}
            if ACKNOWLEDGED in states and not found[sop]:
                yield Difference(f"{door}: image {sop}", "there, because it was acknowledged", "not there")
            if states == {REFUSED} and found[sop]:
                yield Difference(f"{door}: image {sop}", "not there, because it was refused", "there")
            if found[sop] > 1:
                yield Difference(f"{door}: image {sop}", "there once", f"there {found[sop]} times")
        known = self.named | {intent.id for intent in self.fates} | gone
        for sop in sorted(found.keys() - known):
            yield Difference(f"{door}: image {sop}", "only what somebody sent", "an image nobody sent")

    def _other_doors(self, sops: Iterable[str]) -> list[str]:
        """Return the query doors, those first that are not of the protocol the images came by."""
        through = {way for intent, fate in self.fates.items() if intent.id in sops for way in fate.through}
        return ["c-find", "qido-rs"] if "web" in through else ["qido-rs", "c-find"]

    def _write(self, state: str, **more: Any) -> None:
        if self._open < 0:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._open = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._open, json.dumps({"state": state, **more}).encode() + b"\n")


def outcomes(exchange: Exchange) -> Iterator[tuple[Intent, str]]:
    """Yield the intents that one exchange carried, each with what its answer says; queries and acts carry none."""
    if exchange.direction != "out" or exchange.actor == "probe":
        return
    if exchange.protocol == "hl7" and not exchange.kind.startswith("QBP"):
        state = _MESSAGES.get(exchange.outcome, UNKNOWN)
        for control in exchange.keys.get("control", ())[:1]:
            yield Intent("message", exchange.actor, exchange.peer, control), state
    elif exchange.protocol == "dimse" and (what := _KINDS.get(exchange.kind)):
        named = (
            exchange.facts.get("sop")
            if what != "transaction"
            else next(iter(exchange.keys.get(what, ())), "")
        )
        if named:
            step = f"{named} {exchange.kind}" if what == "mpps" else str(named)
            arrived = (exchange.kind, exchange.outcome) in _ARRIVED
            state = THERE if arrived else _status(exchange.outcome)
            yield Intent(what, exchange.actor, exchange.peer, step), state
    elif exchange.protocol == "web" and exchange.kind.startswith("POST") and exchange.keys.get("sop"):
        for sop, state in _stowed(exchange):
            yield Intent("sop", exchange.actor, exchange.peer, sop), state


def _status(outcome: str) -> str:
    """Read a DIMSE status (PS3.7 annex C): success and warnings were taken; an abort tells nothing, only a status refuses."""
    if outcome == "0000" or outcome.startswith("B"):
        return ACKNOWLEDGED
    return REFUSED if _HEX.fullmatch(outcome) else UNKNOWN


def _stowed(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yield each instance of a STOW-RS request with what the answer says of it (PS3.18 10.5.3)."""
    try:
        told = json.loads(exchange.response.read() or b"{}")
    except (OSError, ValueError):
        told = {}
    said = {
        item[_SOP]["Value"][0]: state
        for key, state in ((_STORED, ACKNOWLEDGED), (_FAILED, REFUSED))
        for item in (told.get(key) or {}).get("Value", ())
        if _SOP in item
    }
    for sop in exchange.keys["sop"]:
        yield sop, said.get(sop, ACKNOWLEDGED if exchange.outcome == "200" else UNKNOWN)


def _instances(value: Any) -> Iterator[str]:
    """Yield the SOP Instance UIDs of arguments such as ``images``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "sop" and isinstance(inner, str):
                yield inner
            else:
                yield from _instances(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _instances(inner)


def _there(facts: CaseFacts, study: str, doors: list[str], unseen: list[str]) -> dict[str, Counter[str]]:
    """Return what the first of the doors that is here shows of a study: how often each instance is listed."""
    here = facts.readback.doors()
    door = next((door for door in doors if door in here), None)
    if door is None:
        unseen.append(f"study {study}: the archive has no door the probe can ask at")
        return {}
    if door != doors[0]:
        unseen.append(f"study {study}: read through {door}, by which it was sent; there is no other door")
    listed = facts.readback.instances(door, study)
    return {door: Counter(str(one.get("SOPInstanceUID", "")) for one in listed)}
