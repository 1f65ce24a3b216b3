"""Messages written by hand and sent by the probe, in whatever form the line allows or forbids (MLLP release 1)."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stepwedge.actors.asking import ASK_SECONDS
from stepwedge.actors.witness import Witness
from stepwedge.errors import BadInput, Broken, LinkLost, NoAnswer, RemoteProtocolError
from stepwedge.evidence.exchange import Payload
from stepwedge.wire import hl7
from stepwedge.wire.mllp import NEED_DATA, Frame, Framer, frame

if TYPE_CHECKING:
    from stepwedge.actors.cast import Cast

FORMS: Final = ("whole", "bytes", "end-apart", "three-at-once", "nuls-between", "no-last-end", "blank-line")
"""How a message goes onto the line: in one write; byte by byte; with the two bytes of its end in two writes; three messages in one
write; with NULs before it; without the end of its last segment; with an empty line in its midst."""
ENDS: Final = {"cr": "\r", "lf": "\n", "crlf": "\r\n"}
_PLACE: Final = "CONTROL"
"""Stands in the text where each copy gets a control ID of its own (MSH-10)."""
_MOMENT: Final = "MOMENT"
"""Stands in the text where the time of sending belongs (MSH-7, EVN-2): what is older than what is known is not applied."""


def answers(
    cast: Cast, actor: str, text: str, *, encoding: str, ends: str, form: str
) -> list[tuple[hl7.Message, int]]:
    """Send a message and return its answer, or the three of three, with the number of the exchange.

    Raises:
        LinkLost: the peer closed before all answers were there.
        NoAnswer: they did not come in time.
        RemoteProtocolError: an answer is another message's, or no message.
    """
    endpoint = cast[actor].address.hl7
    if endpoint is None:
        raise Broken(f"{actor} has no hl7 address in the lab file, so it cannot be told anything")
    stamp = time.time_ns() % 10**15
    controls = [f"SWP{stamp + number}" for number in range(3 if form == "three-at-once" else 1)]
    sent = [_written(text, control, encoding, ENDS[ends], form) for control in controls]
    witness = Witness(cast, actor, "hl7", "MLLP", {"form": form, "encoding": encoding}, {"control": controls})
    witness.request = Payload.of(b"".join(sent))
    with witness.watching():
        try:
            link = socket.create_connection((endpoint.host, endpoint.port), ASK_SECONDS * cast.patience)
        except OSError as error:
            raise LinkLost(f"{actor}: no connection: {error}") from error
        if (context := cast.context(tls=endpoint.tls)) is not None:
            from stepwedge.wire import tls

            link = tls.wrap(link, context, endpoint.host, actor)
        with closing(link):
            payloads = _asked(link, actor, sent, form, ASK_SECONDS * cast.patience)
        witness.response = Payload.of(b"".join(payloads))
        found = [hl7.parse(payload) for payload in payloads]
        witness.outcome = found[0]["MSA-1"]
        if [one["MSA-2"] for one in found] != controls:
            said = ", ".join(one["MSA-2"] or "nothing" for one in found)
            raise RemoteProtocolError(
                f"{actor} answered {said}, asked were {', '.join(controls)} (HL7 2.5.1 section 2.9.2)"
            )
    return [(one, witness.number) for one in found]


def _written(text: str, control: str, encoding: str, end: str, form: str) -> bytes:
    """Return one message as bytes, with its envelope."""
    lines = [line for line in text.strip().splitlines() if line]
    if form == "blank-line":
        lines.insert(1, "")
    try:
        written = end.join(lines).replace(_PLACE, control).replace(_MOMENT, f"{datetime.now():%Y%m%d%H%M%S}")  # noqa: DTZ005 - as a sender's clock shows it
        body = written.encode(encoding)
    except (UnicodeError, LookupError) as error:
        raise BadInput("message.answered: encoding", "a codec that has every character", str(error)) from None
    return frame(body if form == "no-last-end" else body + end.encode("ascii"))


def _asked(link: socket.socket, actor: str, sent: list[bytes], form: str, seconds: float) -> list[bytes]:
    """Put the messages onto the line in their form, and read as many answers."""
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    payloads: list[bytes] = []
    framer, deadline = Framer(), time.monotonic() + seconds
    try:
        for piece in _pieces(sent, form):
            link.sendall(piece)
        while len(payloads) < len(sent):
            event = framer.next_event()
            if isinstance(event, Frame):
                payloads.append(event.payload)
                continue
            if event is not NEED_DATA:
                raise LinkLost(f"{actor} closed behind {len(payloads)} answers of {len(sent)}")
            link.settimeout(max(0.001, deadline - time.monotonic()))
            framer.receive_data(link.recv(1 << 16))
    except TimeoutError:
        raise NoAnswer(f"{actor} gave {len(payloads)} answers of {len(sent)} within {seconds:g} s") from None
    except OSError as error:
        raise LinkLost(f"{actor}: lost behind {len(payloads)} answers of {len(sent)}: {error}") from error
    return payloads


def _pieces(sent: list[bytes], form: str) -> list[bytes]:
    whole = b"".join(sent)
    match form:
        case "bytes":
            return [whole[at : at + 1] for at in range(len(whole))]
        case "end-apart":
            return [whole[:-1], whole[-1:]]
        case "nuls-between":
            return [b"\x00\x00\x00" + whole]
    return [whole]
