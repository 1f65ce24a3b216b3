"""Black-box questions to a patient index (ITI-9, ITI-21), asked by the probe over MLLP."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from stepwedge.actors.asking import ASK_SECONDS
from stepwedge.actors.witness import Witness  # one way to be a witness, whatever the protocol
from stepwedge.errors import Broken, RemoteProtocolError
from stepwedge.evidence.exchange import Payload
from stepwedge.sim import keys as keys_of
from stepwedge.sim.messages import Envelope
from stepwedge.sim.messages.identity import demographics_query, pix_query, read_answer
from stepwedge.wire.hl7 import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stepwedge.actors.cast import Cast
    from stepwedge.sim.messages.identity import Answered, Identifier

_numbers = itertools.count(1)
_RUN: Final = f"{datetime.now(UTC):%H%M%S}{os.getpid():x}"
"""Part of every control ID: another process, or another run against the same index, must not repeat one."""
PARTS: Final = 1000


def cross_reference(
    cast: Cast, actor: str, whose: Identifier, domains: Iterable[str] = ()
) -> tuple[Answered, tuple[int, ...]]:
    """Ask for the other identifiers of a person (ITI-9); return the answer and the exchange that proves it."""
    envelope = _envelope(cast, actor)
    return _ask(cast, actor, "QBP^Q23", pix_query(envelope, envelope.control, whose, domains))


def demographics(
    cast: Cast, actor: str, keys: Mapping[str, str], domains: Iterable[str] = (), most: int = 0
) -> tuple[list[dict[str, object]], tuple[int, ...]]:
    """Ask who matches (ITI-21), going on until the index says that it was all.

    ``keys`` are fields such as ``@PID.5.1.1``. An answer AE raises RemoteProtocolError: what was asked is well-formed.
    """
    people: list[dict[str, object]] = []
    evidence: tuple[int, ...] = ()
    tag, pointer = f"T{_RUN}{next(_numbers)}", ""
    for _ in range(PARTS):
        envelope = _envelope(cast, actor)
        body = demographics_query(envelope, tag, keys, domains, most=most, pointer=pointer)
        answer, seen = _ask(cast, actor, "QBP^Q22", body)
        evidence += seen
        if answer.acknowledged != "AA":
            raise RemoteProtocolError(f"{actor} answered {answer.acknowledged}: {answer.text or answer.code}")
        people += answer.people
        if not (pointer := answer.pointer):
            return people, evidence
    raise RemoteProtocolError(f"{actor} goes on after {PARTS} answers")


def _envelope(cast: Cast, actor: str) -> Envelope:
    receiver = cast[actor].address.application or actor
    control = f"PR{_RUN}{next(_numbers)}"[:20]
    return Envelope(cast.probe, receiver, control, datetime.now(UTC))


def _ask(cast: Cast, actor: str, kind: str, body: bytes) -> tuple[Answered, tuple[int, ...]]:
    from stepwedge.wire.mllp_blocking import Link

    endpoint = cast[actor].address.hl7
    if endpoint is None:
        raise Broken(f"{actor} has no hl7 address in the lab file, so it cannot be asked")
    witness = Witness(cast, actor, "hl7", kind, {}, keys_of.of_message(parse(body)), Payload.of(body))
    with witness.watching():
        link = Link.open(endpoint.host, endpoint.port, ASK_SECONDS * cast.patience)
        try:
            reply = link.ask(body)
        finally:
            link.close()
        witness.response = Payload.of(reply)
        witness.outcome = parse(reply)["MSA-1"]
        answer = read_answer(reply)
    return answer, (witness.number,)
