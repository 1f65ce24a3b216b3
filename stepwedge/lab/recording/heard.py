"""What is left of an exchange once every identity in it is replaced: all that a draft is made from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from stepwedge.checks.message_view import MessageView
from stepwedge.lab.recording import datasets, messages, vocabulary
from stepwedge.sim import keys
from stepwedge.wire.dictionary import by_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.evidence.exchange import Exchange, Keys
    from stepwedge.lab.recording.surrogates import Surrogates
    from stepwedge.sim.tap.tap import Edge

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_SHOWN: Final = 1200
"""Characters of a replaced data set that are shown in a draft."""


def _brought(kind: str, facts: Mapping[str, Any], found: Keys) -> int | None:
    if kind in {"C-MOVE", "C-GET"}:
        said = (facts.get("response") or {}).get("NumberOfCompletedSuboperations")
        return said if isinstance(said, int) else None
    return len(found.get("sop", ())) or None if kind == "GET /studies/{}" else None


def _matching(query: str) -> dict[str, str]:
    """Return the matching keys of a search (PS3.18 section 8.3.4) by keyword, whether they were written as such or as tags."""
    found = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        tag = name.rpartition(".")[2]
        found[by_tag()[int(tag, 16)][0] if _TAG.fullmatch(tag) and int(tag, 16) in by_tag() else tag] = value
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    """One exchange between two actors, without anybody who is real.

    Attributes:
        at: when it began, in seconds; it puts exchanges in order and is written nowhere.
        caller, callee, door: as the lab names them.
        kind: ``ADT^A04``, ``C-STORE``, ``GET /studies``; empty when it has no name that is known.
        outcome: as the journal has it; empty when it is no code that is known.
        keys: its identifiers, all of them inventions.
        message: of HL7; None for other protocols, and when it could not be read.
        identifier: the data set of a DIMSE request, or the matching keys of a web one.
        answers: data sets that were answered.
        drawn_on: whether pictures in it may show whose they are.
        brought: how many instances a retrieval brought, where that was said.
    """

    at: float
    caller: str
    callee: str
    door: str
    protocol: str
    kind: str
    outcome: str
    keys: Keys
    message: MessageView | None = None
    identifier: dict[str, Any] = field(default_factory=dict)
    answers: tuple[dict[str, Any], ...] = ()
    sop_class: str = ""
    drawn_on: bool = False
    brought: int | None = None

    @classmethod
    def of(cls, exchange: Exchange, edge: Edge, to: Surrogates) -> Heard:
        """Replace everybody in an exchange and keep what may stay; the exchange itself is kept nowhere."""
        facts, protocol = exchange.facts, exchange.protocol
        message: MessageView | None = None
        identifier: dict[str, Any] = {}
        answers: tuple[dict[str, Any], ...] = ()
        drawn_on = False
        kind, found = vocabulary.kind(protocol, exchange.kind), to.keys(exchange.keys)
        if protocol == "hl7":
            made = messages.replaced(exchange.request.read(), to, edge.caller, edge.callee)
            message = MessageView(made) if made is not None else None
            kind = made.type if made is not None else ""
            found = keys.merge(keys.of_message(made) if made is not None else {}, found)
        else:
            header = (facts.get("dataset") or {}).get("header") or {}
            query = facts.get("query") or {}
            asked = (
                facts.get("identifier") or (_matching(query) if isinstance(query, str) else query) or header
            )
            identifier = datasets.replaced(asked, to) if isinstance(asked, dict) else {}
            answers = tuple(
                datasets.replaced(one, to) for one in facts.get("answers") or () if isinstance(one, dict)
            )
            drawn_on = bool(header) and datasets.drawn_on(header)
        return cls(
            exchange.at,
            edge.caller,
            edge.callee,
            edge.door,
            protocol,
            kind,
            vocabulary.outcome(exchange.outcome),
            found,
            message,
            identifier,
            answers,
            to.uid(str(facts.get("sop_class") or "")),
            drawn_on,
            _brought(kind, facts, found),
        )

    def key(self, kind: str) -> str:
        """Return the first identifier of a kind, empty when there is none."""
        return next(iter(self.keys.get(kind, ())), "")

    def said(self, name: str) -> str:
        """Return what its message says under a name or path, empty when it says nothing."""
        return (self.message[name] or "") if self.message is not None and name in self.message else ""

    @property
    def taken(self) -> bool:
        """Whether the callee took it: AA or CA, 0000 or a warning, a status below 300."""
        said = self.outcome
        if self.protocol == "web":
            return said.startswith("2")
        return said in {"AA", "CA"} or (len(said) == 4 and (said == "0000" or said.startswith("B")))  # noqa: PLR2004

    def __str__(self) -> str:
        named = self.kind or f"a message of {self.door} without a name that is known"
        return f"{named} {self.caller}->{self.callee}, {'answered ' + self.outcome if self.outcome else 'no answer that is known'}"

    def shown(self) -> list[str]:
        """Return what it said, replaced, in lines for people."""
        if self.message is not None:
            return [line for line in self.message.message.raw.decode().split("\r") if line][:40]
        if not self.identifier:
            return []
        text = json.dumps(self.identifier, ensure_ascii=False)
        return [text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."]
